/*
 * apd check: what its files share. A check is a function that looks at one
 * plugin file, in a process of its own: whatever the plugin does there, the
 * command goes on.
 */
#ifndef APD_APD_CHECK_CHECK_H
#define APD_APD_CHECK_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "host/elf_peek.h"

enum apd_check_result {
	APD_CHECK_OK = 0,
	APD_CHECK_FAIL,
	APD_CHECK_SKIP,
};

/* What is checked, and how. */
struct apd_check_target {
	const char *path;
	const char *name; /* of the file, without directories */
	const char *settings; /* of the operator, JSON; NULL: {} */
	int memfd; /* the file's bytes, sealed */
	int64_t grace_ns; /* a stopped run has so long */
	uint64_t seed; /* of what is random */
};

#define APD_CHECK_REASON 400

/* One check at work. Zeroed but for the target it has found nothing wrong. */
struct apd_check {
	const struct apd_check_target *target;
	enum apd_check_result result;
	unsigned tried; /* how many things were put to the test; none: the check is skipped */
	bool hopeless; /* this plugin cannot be used at all */
	char reason[APD_CHECK_REASON];
};

/* A check. */
struct apd_check_test {
	const char *name;
	const char *about;
	void (*run)(struct apd_check *check);
	bool gate; /* the checks behind it make no sense when it was hopeless */
	unsigned attempts; /* the best of so many counts; 0 is 1 */
	unsigned seconds; /* it may take so long; 0: as long as runs may, see process.c */
};

/* All of them in their order; ends with a NULL name. */
extern const struct apd_check_test apd_check_tests[];

/* Notes a failure. The first one counts. */
void apd_check_fail(struct apd_check *check, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Notes why there is nothing to check here, which is forgotten once something was checked. */
void apd_check_skip(struct apd_check *check, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* The bytes of the plugin file, mapped until the process ends; NULL (and a failure) if it is empty. */
const void *apd_check_bytes(struct apd_check *check, size_t *ret_size);

/* How a check ended, for the command. */
struct apd_check_report {
	enum apd_check_result result;
	bool hopeless; /* as in apd_check; or its process died or was killed for taking too long */
	char reason[APD_CHECK_REASON];
	char output[2048]; /* the end of what the plugin printed; with a NUL */
};

/* Runs a check here and now. */
void apd_check_here(const struct apd_check_target *target, const struct apd_check_test *test,
	struct apd_check_report *ret_report);

/* Runs it in a process of its own and kills that when it takes too long. For one thread. */
void apd_check_apart(const struct apd_check_target *target, const struct apd_check_test *test,
	struct apd_check_report *ret_report);

/* The checks, by file. */

/* file.c */
void apd_check_symbol_exported_alone(struct apd_check *check);
void apd_check_abi_fields(struct apd_check *check);
void apd_check_ids_unique(struct apd_check *check);
void apd_check_schemas(struct apd_check *check);
/* instances.c */
void apd_check_describe(struct apd_check *check);
void apd_check_create_bad_config(struct apd_check *check);
void apd_check_create_destroy(struct apd_check *check);
void apd_check_unknown_extension(struct apd_check *check);
/* runs.c */
void apd_check_run_empty_input(struct apd_check *check);
void apd_check_run_random_input(struct apd_check *check);
void apd_check_concurrent_runs(struct apd_check *check);
void apd_check_no_threads_left(struct apd_check *check);
void apd_check_no_fds_left(struct apd_check *check);
/* stops.c */
void apd_check_stop_before_start(struct apd_check *check);
void apd_check_stop_while_running(struct apd_check *check);
void apd_check_deadline_passed(struct apd_check *check);
void apd_check_emit_returns_cancelled(struct apd_check *check);
/* resumes.c */
void apd_check_interrupt_then_resume(struct apd_check *check);
void apd_check_resume_in_new_process(struct apd_check *check);

#endif
