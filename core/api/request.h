/*
 * A run's creation, made of the body of a request: the one door through which
 * runs reach the runtime, whoever asks for them. What the body names is found,
 * what it gives is checked against the agent's schemas, and the request is
 * written down as a Run shows it.
 */
#ifndef APD_API_REQUEST_H
#define APD_API_REQUEST_H

#include "base/json_scan.h"
#include "host/agent.h"
#include "runtime/runtime.h"

/* What making requests uses again and again; one for each thread that makes them. */
struct apd_request_maker {
	struct apd_json value;
	struct apd_buf scratch;
	struct apd_id_gen ids; /* of messages and new threads */
};

/* Seeds the ids from the kernel. [any] */
void apd_request_maker_init(struct apd_request_maker *maker);
void apd_request_maker_finish(struct apd_request_maker *maker);

/* A creation that is ready for apd_runtime_create_run(). */
struct apd_run_request {
	struct apd_run_spec spec;
	struct apd_text *text; /* what the ranges of spec point into: the caller's reference */
};

/*
 * Makes the creation of a body, an object of the shape RunCreate in
 * openapi.json: known members have their types, unknown ones are ignored.
 * thread_id: the thread that the request was sent to, or NULL. 0, or -1 with
 * the problem. [any, one thread a maker]
 */
int apd_run_request_init(struct apd_request_maker *maker, const struct apd_agent_set *agents,
	const struct apd_json *body, const struct apd_id *thread_id, enum apd_run_mode mode,
	struct apd_run_request *ret_request, struct apd_problem *problem);

void apd_run_request_finish(struct apd_run_request *request);

#endif
