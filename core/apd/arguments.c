/* Reading the command line. */
#include <stdio.h>
#include <string.h>

#include "apd/command.h"

/* The option of an argument, with what stands behind "=" in *ret_value. */
static int find_option(
	const struct apd_option *options, const char *argument, const char **ret_value)
{
	const char *equals = strchr(argument, '=');
	size_t len = equals ? (size_t)(equals - argument) : strlen(argument);

	*ret_value = equals ? equals + 1 : NULL;
	for (int i = 0; options[i].name; i++) {
		if (strlen(options[i].name) == len && strncmp(argument, options[i].name, len) == 0)
			return i;
		if (options[i].brief && strcmp(argument, options[i].brief) == 0)
			return i;
	}
	return -1;
}

int apd_arguments_next(struct apd_arguments *arguments, const char **ret_value)
{
	const char *argument;
	int i;

	if (arguments->at >= arguments->argc)
		return -1;
	argument = arguments->argv[arguments->at++];
	if (argument[0] != '-' || argument[1] == '\0') {
		*ret_value = argument;
		return -2;
	}
	i = find_option(arguments->options, argument, ret_value);
	if (i < 0) {
		fprintf(stderr, "apd: unknown option %s (see --help)\n", argument);
		return -3;
	}
	if (!arguments->options[i].value && *ret_value) {
		fprintf(stderr, "apd: %s takes no value\n", arguments->options[i].name);
		return -3;
	}
	if (arguments->options[i].value && !*ret_value) {
		if (arguments->at >= arguments->argc) {
			fprintf(stderr, "apd: %s needs %s\n", argument,
				arguments->options[i].value);
			return -3;
		}
		*ret_value = arguments->argv[arguments->at++];
	}
	return i;
}

void apd_arguments_help(
	const struct apd_option *options, const char *usage, const char *description)
{
	printf("usage: apd %s\n\n%s\n\n", usage, description);
	for (int i = 0; options[i].name; i++) {
		char left[64];

		snprintf(left, sizeof(left), "%s%s%s%s%s", options[i].brief ? options[i].brief : "",
			options[i].brief ? ", " : "", options[i].name, options[i].value ? " " : "",
			options[i].value ? options[i].value : "");
		printf("  %-24s %s\n", left, options[i].help);
	}
}
