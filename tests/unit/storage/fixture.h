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

/* What is special about a row; all zero is a pending ephemeral run of agent "echo". */
struct row_spec {
	const char *agent;
	const struct apd_id
		*thread; /* a kept one, which must be there; NULL: the run is ephemeral */
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

/* What is special about a checkpoint; all zero but thread and patch is the first of a thread. */
struct checkpoint_spec {
	const struct apd_id *thread;
	const struct apd_id *parent;
	const struct apd_id *run;
	const struct apd_id *id;
	int64_t step;
	enum apd_checkpoint_source source;
	bool whole;
	const char *name;
	const char *patch;
	const char *removed;
	int64_t created_us; /* 0: now */
};
struct apd_checkpoint_row *fixture_checkpoint(struct fixture *f, struct checkpoint_spec spec);

/* A batch with what became of it. */
struct call {
	struct apd_batch batch;
	struct fixture *f;
	int result;
	unsigned place; /* it was the n-th to be done; 0: not yet */
};
struct call *call_create(struct fixture *f);
/* Adds a plain thread. */
void call_put_thread(struct call *call, const struct apd_id *id, int64_t created_us);
void call_send(struct call *call);
int call_wait(struct call *call);
void call_destroy(struct call *call);

/* Sends a batch, waits for it and frees it; the result. */
int call_finish(struct call *call);

/* Commits a batch of one row, which it gives back; the result. */
int fixture_put(struct fixture *f, struct apd_run_row *row);
int fixture_put_thread(struct fixture *f, const struct apd_id *id);

/* The same for a checkpoint, whose id is left in ret_id unless that is NULL. */
int fixture_put_checkpoint(struct fixture *f, struct checkpoint_spec spec, struct apd_id *ret_id);

/* Puts a thread with what is in the row. */
int fixture_put_thread_row(struct fixture *f, struct apd_thread_row row);

/* Deletes a thread; how many were missing. */
uint32_t fixture_delete_thread(struct fixture *f, const struct apd_id *id);

/* Loads; done with load->done set. */
int fixture_load(struct fixture *f, struct apd_load *load);

/* Searches and waits. */
int fixture_search(struct fixture *f, struct apd_run_search *search);
int fixture_search_threads(struct fixture *f, struct apd_thread_search *search);
void fixture_views_free(struct apd_thread_view *views, size_t n);
int fixture_history(struct fixture *f, struct apd_history_read *read);
void fixture_items_free(struct apd_history_item *items, size_t n);
void fixture_rows_free(struct apd_run_row **rows, size_t n);

/* 0 if the run is there, -ENOENT... */
int fixture_has(struct fixture *f, const struct apd_id *run_id);
bool fixture_has_thread(struct fixture *f, const struct apd_id *id);

/* Whether the state, as one JSON object, is this text. */
void fixture_assert_state(const struct apd_state *state, const char *expected);

/* Runs SQL on the database while it is open or closed; a number it gives, or -1. */
int64_t fixture_sql(const struct fixture *f, const char *sql);

#endif
