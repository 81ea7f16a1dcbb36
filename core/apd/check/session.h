/*
 * A session: the worker, as apd-worker has it, on a thread of the check's
 * process, and the daemon's side of the frames. What a worker reports of its
 * plugin's misbehaviour fails the check.
 */
#ifndef APD_APD_CHECK_SESSION_H
#define APD_APD_CHECK_SESSION_H

#include <pthread.h>

#include "apd/check/check.h"
#include "base/id.h"
#include "host/description.h"
#include "host/frame.h"
#include "host/host.h"

struct apd_check_session {
	struct apd_check *check;
	int socket, worker_socket;
	pthread_t thread;
	struct apd_frame_reader reader;
	struct apd_description *description;
	struct apd_id_gen random;
	uint32_t last_run;
};

/* What is asked of an agent. Zeroed it is nothing at all. */
struct apd_check_input {
	struct apd_buf input, messages, config; /* empty: absent, but for config */
	/* Of a run that goes on behind questions. */
	struct apd_buf resume, continuation, values, transcript;
};

struct apd_check_kept;

/* One run: what is to be done, and what came of it. */
struct apd_check_run {
	uint32_t agent;
	const struct apd_check_input *input;
	bool durable; /* the thread outlives the run: questions may be asked */
	int64_t deadline_ns;
	enum apd_stop_reason stop; /* how it is stopped in the end; 0: by cancelling it */
	int64_t patience_ns; /* it is stopped after so long at the latest; 0: after a second */
	uint32_t stop_at_op; /* stopped at its n-th event or commit; 0: not because of those */
	bool stop_at_once; /* stopped before it begins */

	uint32_t number;
	int64_t stop_ns; /* when it is or was stopped */
	bool ended, stopped, asked;
	ap_status status;
	uint32_t events, commits;
	char code[64], message[160];
	struct apd_check_input *answers; /* where what the run leaves for the next goes, or NULL */
	struct apd_check_kept *kept;
};

/* Starts the worker and takes its HELLO: 0, or -1 when the check has failed. */
int apd_check_session_open(struct apd_check_session *session, struct apd_check *check);

/* Makes an instance of every agent: 0, or -1 when the check has failed or is to be skipped. */
int apd_check_session_create(struct apd_check_session *session);

/* Lets the worker destroy its instances and end. After a failure it is left as it is. */
void apd_check_session_close(struct apd_check_session *session);

/* A whole session: calls look() for each agent, until one fails. */
void apd_check_each_agent(
	struct apd_check *check, void (*look)(struct apd_check_session *session, uint32_t agent));

/* Makes an input: false when none that matches the agent's schemas could be made. */
bool apd_check_input_make(struct apd_check_session *session, uint32_t agent, bool least,
	struct apd_check_input *input);
void apd_check_input_finish(struct apd_check_input *input);

/* Executes runs side by side to their ends. -1 when the check has failed, also for how they ended. */
int apd_check_session_run(
	struct apd_check_session *session, struct apd_check_run *runs, uint32_t n);

#endif
