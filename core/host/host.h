/*
 * The host, as the runtime sees it: slots in which runs execute. Which process
 * a slot lies in, when processes start and end, and which generation of a
 * plugin they map is the host's business. The real one is host/pool.h; the
 * simulator has a fake.
 *
 * Everything here happens on the runtime's thread. The host never calls the
 * sink from within one of its ops; it calls it from the loop.
 */
#ifndef APD_HOST_HOST_H
#define APD_HOST_HOST_H

#include <stdint.h>

#include "ap/agent.h"
#include "base/id.h"
#include "base/str.h"
#include "host/agent.h"

struct apd_host;

/* A place for one run in a worker. The host's, from acquire() to release() or abandon(). */
struct apd_slot {
	void *run; /* the runtime's */
};

/* What the agent gets to see of a run: ap_run, by value. Ranges are borrowed for the call. */
struct apd_invocation {
	struct apd_id run_id;
	struct apd_id thread_id;
	struct apd_str agent_id;
	struct apd_str input; /* "null" when the request has none */
	struct apd_str messages; /* absent when the request has none */
	struct apd_str transcript;
	struct apd_str config;
	struct apd_str metadata;
	struct apd_str values;
	struct apd_str resume;
	struct apd_str jump;
	struct apd_str continuation;
	uint32_t attempt;
	uint32_t flags; /* AP_RUN_... */
	uint32_t listening; /* bits of channels that somebody reads */
	uint32_t credit; /* bytes of events the run may send before it must wait */
	int64_t deadline_ns; /* on the runtime's monotonic clock, 0 for none */
	/*
	 * Nobody was promised anything about this run: commit() may return as soon
	 * as the step is on its way. Such commits have the number 0.
	 */
	bool relaxed;
};

enum apd_stop_reason {
	APD_STOP_CANCEL = 1, /* check() gives AP_E_CANCELLED, commit() still works */
	APD_STOP_DEADLINE = 2, /* AP_E_DEADLINE */
	APD_STOP_ROLLBACK = 3, /* AP_E_CANCELLED, commit() fails with it too */
};

/* What the runtime asks of a host. */
struct apd_host_ops {
	/*
	 * The agent as it is served now, or NULL if there is none of that id.
	 * Borrowed until the runtime returns to the loop: take a reference to keep it.
	 */
	struct apd_agent *(*find)(struct apd_host *host, struct apd_str agent_id);

	/*
	 * Finds a slot for a run of the agent; alone: in a worker that has no other
	 * run and gets none. NULL: none is free now; the host is making room if it
	 * may, and calls sink->slots(agent_id) when it is worth asking again.
	 */
	struct apd_slot *(*acquire)(struct apd_host *host, struct apd_str agent_id, bool alone);

	/* Starts the run in the slot. Frames of one loop turn leave together. One that is too large
	   for a worker ends as AP_E_LIMIT, too_large. */
	void (*invoke)(
		struct apd_host *host, struct apd_slot *slot, const struct apd_invocation *what);

	/* Tells the agent to stop. May be called again with a later reason. */
	void (*stop)(struct apd_host *host, struct apd_slot *slot, enum apd_stop_reason reason);

	/* Answers the commit with this number: AP_OK when durable, or a failure. Number 0: nobody
	 * waits, and nothing is sent. */
	void (*committed)(
		struct apd_host *host, struct apd_slot *slot, uint32_t number, ap_status status);

	/* Gives the run credit for so many more bytes of events. */
	void (*credit)(struct apd_host *host, struct apd_slot *slot, uint32_t bytes);

	/* Tells which channels are read now. */
	void (*listening)(struct apd_host *host, struct apd_slot *slot, uint32_t channels);

	/* The run is over on both sides, or never began: the slot is free for another. */
	void (*release)(struct apd_host *host, struct apd_slot *slot);

	/*
	 * The run did not stop: fence it off. Nothing of it reaches the sink any
	 * more; its worker takes no new runs and is killed when it has no other
	 * left, or after the drain time.
	 */
	void (*abandon)(struct apd_host *host, struct apd_slot *slot);
};

struct apd_host {
	const struct apd_host_ops *ops;
};

/* An agent's event. JSON has been scanned and message order checked by the host. */
struct apd_emission {
	ap_channel channel;
	struct apd_str ns; /* JSON array, or absent */
	struct apd_str node; /* or absent */
	struct apd_str data; /* JSON object */
};

/* An agent's commit. The JSON has been scanned. */
struct apd_commit {
	uint32_t number; /* for ops->committed(); 0: nobody waits for that */
	struct apd_str name;
	struct apd_str ns;
	struct apd_str patch; /* JSON object */
	struct apd_str removed; /* JSON array of strings, or absent */
};

struct apd_ask {
	struct apd_str id, ns, payload;
};

/* What the host tells the runtime. Ranges are borrowed for the call. */
struct apd_host_sink {
	void (*emitted)(void *data, struct apd_slot *slot, const struct apd_emission *emission);
	void (*commit)(void *data, struct apd_slot *slot, const struct apd_commit *commit);
	void (*asked)(void *data, struct apd_slot *slot, const struct apd_ask *asks, size_t n,
		struct apd_str continuation);
	/* invoke() returned. The runtime answers with release(). */
	void (*done)(void *data, struct apd_slot *slot, ap_status status, struct apd_str code,
		struct apd_str message);
	/* The worker died, or broke the frame protocol: reason "SIGSEGV", "exit status 3", ... The
	 * slot is gone with the call: neither release() nor abandon(). */
	void (*lost)(void *data, struct apd_slot *slot, const char *reason);
	/* A slot may be had for the agent, or it changed, broke or vanished: try its queue again. */
	void (*slots)(void *data, struct apd_str agent_id);
};

#endif
