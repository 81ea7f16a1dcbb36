/* The subcommands: one file each. */
#ifndef APD_APD_COMMAND_H
#define APD_APD_COMMAND_H

#include <stdbool.h>

#include "apd/config.h"

/* A subcommand: gets the arguments behind its name and returns the process's exit status. */
struct apd_command {
	const char *name;
	const char *summary;
	int (*run)(int argc, char **argv);
};

int apd_command_serve(int argc, char **argv);
int apd_command_agents(int argc, char **argv);
int apd_command_run(int argc, char **argv);
int apd_command_check(int argc, char **argv);

/* An option that takes a value, or none (value is NULL then), or may stand several times. */
struct apd_option {
	const char *name; /* "--listen" */
	const char *brief; /* "-c", or NULL */
	const char *value; /* "HOST:PORT" for the help, or NULL */
	const char *help;
};

/* The arguments of a subcommand. */
struct apd_arguments {
	const struct apd_option *options; /* ends with a NULL name */
	int argc;
	char **argv;
	int at;
};

/*
 * Takes the next argument: the index of its option with the value in
 * *ret_value, -1 at the end, -2 for a positional (in *ret_value), -3 when it
 * has been refused on stderr. "--name=value" and "--name value" are the same.
 */
int apd_arguments_next(struct apd_arguments *arguments, const char **ret_value);

/* Prints "usage: ..." and a line an option. */
void apd_arguments_help(
	const struct apd_option *options, const char *usage, const char *description);

/*
 * Loads the file (NULL: none), lets plugin_dirs (a list of the configuration's,
 * or NULL) beat its own, and fills in where the plugins and apd-worker lie
 * relative to this binary. 0, or -1 when it has been said on stderr.
 */
int apd_command_config(struct apd_config *config, const char *file, const char **plugin_dirs);

#endif
