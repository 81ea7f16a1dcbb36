/* Peeking into plugin files: good ones, broken ones, and every way of being cut off. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ap/agent.h"
#include "host/elf_peek.h"
#include "lab.h"

/* Reads a file into memory of exactly its size, so that a read behind it is found. */
static unsigned char *load(const char *path, size_t *ret_size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	unsigned char *data;
	struct stat st;

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	data = malloc((size_t)st.st_size);
	assert_int_equal(read(fd, data, (size_t)st.st_size), st.st_size);
	close(fd);
	*ret_size = (size_t)st.st_size;
	return data;
}

/* Where the plugin constant lies in the file. */
static unsigned char *constant(unsigned char *data, size_t size)
{
	const uint32_t head[] = {AP_PLUGIN_MAGIC, sizeof(ap_plugin), AP_ABI_MAJOR};
	unsigned char *at = memmem(data, size, head, sizeof(head));

	assert_non_null(at);
	return at;
}

static void test_good(void **state)
{
	size_t size;
	unsigned char *data = load(STUB, &size);
	struct apd_elf_peek peek;
	const char *why;
	char text[400];

	(void)state;
	assert_int_equal(apd_elf_peek(data, size, &peek, &why), 0);
	assert_int_equal(peek.plugin.magic, AP_PLUGIN_MAGIC);
	assert_int_equal(peek.plugin.size, sizeof(ap_plugin));
	assert_null(peek.run_path);
	assert_int_equal(apd_elf_judge(data, size, text, sizeof(text)), 0);
	free(data);
}

static void expect(const unsigned char *data, size_t size, const char *wanted)
{
	char why[400] = "";

	assert_int_equal(apd_elf_judge(data, size, why, sizeof(why)), -ENOEXEC);
	if (!strstr(why, wanted))
		fail_msg("\"%s\" does not tell of \"%s\"", why, wanted);
}

static void test_fields(void **state)
{
	static const struct {
		size_t offset;
		uint32_t value;
		const char *wanted;
	} cases[] = {
		{offsetof(ap_plugin, magic), 0x12345678,
			"magic: wanted 0x31765041, found 0x12345678"},
		{offsetof(ap_plugin, size), 40, "size: wanted at least 80, found 40"},
		{offsetof(ap_plugin, abi_major), 2, "abi_major: wanted 1, found 2"},
		{offsetof(ap_plugin, abi_minor), 7, "abi_minor"},
		{offsetof(ap_plugin, needs_minor), 3, "needs_minor: wanted at most 0, found 3"},
	};
	size_t size;
	unsigned char *data = load(STUB, &size), *at = constant(data, size);

	(void)state;
	for (size_t i = 0; i < APD_COUNT(cases); i++) {
		uint32_t old;

		memcpy(&old, at + cases[i].offset, sizeof(old));
		memcpy(at + cases[i].offset, &cases[i].value, sizeof(old));
		expect(data, size, cases[i].wanted);
		memcpy(at + cases[i].offset, &old, sizeof(old));
	}
	free(data);
}

static void test_kinds_of_files(void **state)
{
	size_t size;
	unsigned char *data = load(STUB, &size);

	(void)state;
	expect((const unsigned char *)"#!/bin/sh\n", 10, "not an ELF file");
	expect((const unsigned char *)"", 0, "not an ELF file");
	data[4] = 1;
	expect(data, size, "32-bit");
	data[4] = 2;
	data[5] = 2;
	expect(data, size, "byte order");
	data[5] = 1;
	data[18] ^= 0x40;
	expect(data, size, "another kind of machine");
	free(data);
	data = load(SCRIPTED_WORKER, &size);
	expect(data, size, "does not export ap_plugin_v1");
	free(data);
	data = load(STUB_ORIGIN, &size);
	expect(data, size, "its run path has $ORIGIN in it: $ORIGIN/lib");
	free(data);
}

/* Libraries are looked for where nobody but root or apd's user may put them. */
static void test_run_paths(void **state)
{
	static const struct {
		const char path[sizeof("$ORIGIN/lib")];
		bool bad;
	} cases[] = {{"lib", true}, {"/a:", true}, {":/a", true}, {"/a::/b", true},
		{"/a:./b", true}, {"${ORIGIN}", true}, {"/a/b:/c", false}, {"", false}};
	size_t size;
	unsigned char *data = load(STUB_ORIGIN, &size);
	char *path = memmem(data, size, "$ORIGIN/lib", sizeof("$ORIGIN/lib"));
	char why[400];

	(void)state;
	assert_non_null(path);
	for (size_t i = 0; i < APD_COUNT(cases); i++) {
		memcpy(path, cases[i].path, sizeof(cases[i].path));
		if (cases[i].bad)
			expect(data, size, "its run path has ");
		else
			assert_int_equal(apd_elf_judge(data, size, why, sizeof(why)), 0);
	}
	free(data);
}

/* A library that is needed by a path in the working directory. */
static void test_needed_paths(void **state)
{
	static const char libc[] = "libc.so.6";
	size_t size;
	unsigned char *data = load(STUB, &size);
	char *name = memmem(data, size, libc, sizeof(libc));

	(void)state;
	if (!name) { /* built in a way that needs no C library */
		free(data);
		skip();
	}
	memcpy(name, "./c.so.66", sizeof(libc));
	expect(data, size, "it needs a library of the working directory: ./c.so.66");
	free(data);
}

static void test_every_cut(void **state)
{
	size_t size, refused = 0;
	unsigned char *data = load(STUB, &size);

	(void)state;
	for (size_t n = 0; n < size; n += 64) {
		unsigned char *cut = malloc(n ? n : 1);
		char why[400];

		memcpy(cut, data, n);
		refused += apd_elf_judge(cut, n, why, sizeof(why)) < 0;
		free(cut);
	}
	/* The tail holds only section headers and debug information, which nobody reads. */
	assert_true(refused > 10);
	free(data);
}

/* Turns bits over, one byte at a time: whatever comes of it, nothing is read that is not there. */
static void test_every_byte(void **state)
{
	size_t size;
	unsigned char *data = load(STUB, &size);
	size_t last = size < 16384 ? size : 16384, refused = 0;

	(void)state;
	for (size_t i = 0; i < last; i++) {
		char why[400];

		data[i] ^= 0xff;
		refused += apd_elf_judge(data, size, why, sizeof(why)) < 0;
		data[i] ^= 0xff;
	}
	assert_true(refused > 100);
	free(data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_kinds_of_files),
		cmocka_unit_test(test_run_paths),
		cmocka_unit_test(test_needed_paths),
		cmocka_unit_test(test_every_cut),
		cmocka_unit_test(test_every_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
