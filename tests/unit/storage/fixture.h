/* A storage in a directory of its own, and the thread of the test as its runtime. */
#ifndef STORAGE_FIXTURE_H
#define STORAGE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above before it */
#include <cmocka.h>
#include <pthread.h>

#include "storage/sqlite/engine.h"

struct fixture {
	char dir[64];
	unsigned reader_threads;
	unsigned budget_ms;
	struct apd_storage *storage;
	struct apd_mailbox mailbox;
	pthread_mutex_t mutex;
	pthread_cond_t wake;
	bool woken;
	struct apd_id_gen gen;
	int64_t now_us;
	unsigned delivered; /* done() calls so far */
};

/* A cmocka setup: a fresh directory with an open storage. And its teardown. */
int fixture_setup(void **state);
int fixture_teardown(void **state);

/* Closes the storage, delivering what it still posts; opens it again. */
void fixture_close(struct fixture *f);
void fixture_open(struct fixture *f);
void fixture_reopen(struct fixture *f);

/* Runs what was posted, waiting for the first. */
void fixture_drain(struct fixture *f);

/* The path of a file in the directory; valid until the next call. */
const char *fixture_path(const struct fixture *f, const char *name);

struct apd_id fixture_id(struct fixture *f);

/* What is special about a row; all zero is an ended run of agent "echo" on a thread of its own. */
struct row_spec {
	const char *agent;
	const struct apd_id *thread;
	const char *metadata;
	const char *output;
	const char *error;
	enum apd_run_status status;
	uint32_t flags;
	int64_t created_us; /* 0: the next microsecond */
	int64_t ended_us;
	const struct apd_id *run_id;
};
struct apd_run_row *fixture_row(struct fixture *f, struct row_spec spec);

/* A batch with what became of it. */
struct call {
	struct apd_batch batch;
	struct fixture *f;
	int result;
	unsigned place; /* it was the n-th to be done; 0: not yet */
};
struct call *call_create(struct fixture *f);
void call_send(struct call *call);
int call_wait(struct call *call);
void call_destroy(struct call *call);

/* Commits a batch of one row, which it gives back; the result. */
int fixture_put(struct fixture *f, struct apd_run_row *row);
int fixture_put_thread(struct fixture *f, const struct apd_id *id);

/* Loads; done with load->done set. */
int fixture_load(struct fixture *f, struct apd_load *load);

/* Searches and waits. */
int fixture_search(struct fixture *f, struct apd_run_search *search);
void fixture_rows_free(struct apd_run_row **rows, size_t n);

/* 0 if the run is there, -ENOENT... */
int fixture_has(struct fixture *f, const struct apd_id *run_id);
bool fixture_has_thread(struct fixture *f, const struct apd_id *id);

#endif
