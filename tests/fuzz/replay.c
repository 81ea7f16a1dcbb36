/*
 * Stands in for libFuzzer: runs the files of the folders that it is given, and
 * some beginnings of each, through a fuzz target once.
 */
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* So many beginnings of a file are run besides the whole of it. */
#define BEGINNINGS 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Runs one input from memory of its exact size, so that reading past the end is noticed. */
static void run(const char *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);

	if (!copy)
		abort();
	memcpy(copy, data, size);
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

/* Runs one file; false if it cannot be read. */
static bool run_file(const char *path)
{
	FILE *file = fopen(path, "r");
	static char data[1 << 20];
	size_t size;
	bool good;

	if (!file)
		return false;
	size = fread(data, 1, sizeof(data), file);
	good = !ferror(file);
	fclose(file);
	/* The last name printed is that of the input which ended the process. */
	printf("%s: %zu bytes\n", path, size);
	fflush(stdout);
	for (size_t i = 0; i < BEGINNINGS && size; i++)
		run(data, size * i / BEGINNINGS);
	run(data, size);
	return good;
}

/* Runs the files of a folder; returns how many there were, or -1. */
static int run_folder(const char *folder)
{
	struct dirent **names;
	int count = scandir(folder, &names, NULL, alphasort), run_files = 0;

	for (int i = 0; i < count; i++) {
		char path[4096];

		snprintf(path, sizeof(path), "%s/%s", folder, names[i]->d_name);
		if (names[i]->d_name[0] != '.' && run_files >= 0)
			run_files = run_file(path) ? run_files + 1 : -1;
		free(names[i]);
	}
	if (count >= 0)
		free(names);
	return run_files;
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (run_folder(argv[i]) <= 0) {
			fprintf(stderr, "%s: no inputs, or they cannot be read\n", argv[i]);
			return 1;
		}
	}
	return 0;
}
