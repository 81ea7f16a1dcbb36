/* apd: finds the subcommand and runs it. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "apd/command.h"
#include "base/alloc.h"

static const struct apd_command commands[] = {
	{"serve", "serves agents over HTTP", apd_command_serve},
	{"agents", "lists the agents that would be served", apd_command_agents},
	{"run", "runs an agent without a server", apd_command_run},
	{"check", "tests whether a plugin keeps the rules", apd_command_check},
};

/* What `apd` can do. */
static void print_help(FILE *out)
{
	fprintf(out,
		"usage: apd COMMAND [OPTION]...\n\n"
		"Serves the Agent Protocol and hosts agents that are plugins.\n\n");
	for (size_t i = 0; i < APD_COUNT(commands); i++)
		fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].summary);
	fprintf(out,
		"\n  --version  prints the version\n  --help     prints this; also behind a "
		"command\n");
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";

	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a file at its limit is an error of write() */
	if (strcmp(name, "--version") == 0) {
		printf("apd %s\n", APD_VERSION);
		return 0;
	}
	if (strcmp(name, "--help") == 0 || strcmp(name, "help") == 0 || strcmp(name, "-h") == 0) {
		print_help(stdout);
		return 0;
	}
	for (size_t i = 0; i < APD_COUNT(commands); i++)
		if (strcmp(name, commands[i].name) == 0)
			return commands[i].run(argc - 2, argv + 2);
	if (*name)
		fprintf(stderr, "apd: there is no command \"%s\"\n\n", name);
	print_help(stderr);
	return 2;
}
