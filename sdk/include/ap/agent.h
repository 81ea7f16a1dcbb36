/*
 * ap/agent.h - the apd agent plugin ABI, version 1
 *
 * An apd plugin is a shared object that exports one constant, ap_plugin_v1.
 * The constant names the agents in the plugin; each agent is a small table of
 * functions.  The daemon (or a worker process it started) is the host.
 *
 * This header is the whole mandatory ABI.  It needs only the C standard
 * library and is valid C11 and C++17.  Optional host services live in
 * <ap/ext/...>; conveniences that are not ABI live in <ap/sugar.h>.
 *
 * Thread annotations
 *
 *   [main]  Calls marked [main] for one plugin never overlap each other.
 *           They may come from different OS threads over time.  Return soon:
 *           no network, no waiting for a person.
 *   [run]   Called between entry to and return from invoke(), from the thread
 *           that entered invoke() or from a thread the agent started for that
 *           run.  May block.
 *   [any]   May be called from any thread, concurrently.
 *
 * Ownership, in two sentences
 *
 *   Every ap_str argument is borrowed: the callee copies what it keeps.
 *   The only thing the host hands over is an ap_blob, which the agent gives
 *   back with release(), and which the host takes back anyway when invoke()
 *   returns.
 */
#ifndef AP_AGENT_H
#define AP_AGENT_H

/* The comments are aligned by hand. */
/* clang-format off */

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define AP_ABI_MAJOR 1u
#define AP_ABI_MINOR 0u

#define AP_PLUGIN_MAGIC  0x31765041u /* "APv1", little endian */
#define AP_PLUGIN_SYMBOL "ap_plugin_v1"

#if defined(__GNUC__) || defined(__clang__)
#define AP_EXPORT __attribute__((visibility("default")))
#else
#define AP_EXPORT
#endif

typedef struct ap_host ap_host;
typedef struct ap_run ap_run;
typedef struct ap_agent ap_agent;

/*
 * A borrowed byte range.  Text is UTF-8.  In ranges made by the host,
 * ptr[len] is '\0' and ptr is never NULL unless the value is absent.  Ranges
 * made by a plugin need no terminator.
 */
typedef struct ap_str {
	const char *ptr;
	size_t len;
} ap_str;

/* A byte range lent by the host until release() or the end of invoke(). */
typedef struct ap_blob {
	ap_str str;
	void *impl; /* the host's; do not touch */
} ap_blob;

/*
 * Zero is success, negative is failure, positive is a success that needs a
 * name.  A reader that does not know a negative value treats it as
 * AP_E_FAILED.
 */
typedef int32_t ap_status;

enum {
	AP_OK = 0,
	AP_INTERRUPTED = 1,     /* invoke(): suspended, interrupt() was called */

	AP_E_FAILED = -1,       /* anything without a better name */
	AP_E_INVALID = -2,      /* the input, config or argument is wrong */
	AP_E_NOMEM = -3,
	AP_E_CANCELLED = -4,    /* somebody asked the run to stop */
	AP_E_DEADLINE = -5,     /* the run is out of time */
	AP_E_NOT_FOUND = -6,
	AP_E_CONFLICT = -7,
	AP_E_LIMIT = -8,        /* too big, too many, too deep */
	AP_E_UNAVAILABLE = -9,  /* may work later */
	AP_E_UNSUPPORTED = -10,
	AP_E_DENIED = -11,      /* the operator does not allow it */
	AP_E_MISUSE = -12       /* the caller broke the contract */
};

typedef int32_t ap_level;

enum {
	AP_LOG_DEBUG = 1,
	AP_LOG_INFO = 2,
	AP_LOG_WARN = 3,
	AP_LOG_ERROR = 4
};

/*
 * What an agent may emit: channels of the Agent Protocol's streaming protocol.
 * The data is that protocol's "data" object for the channel.  The others
 * (values, updates, checkpoints, lifecycle, input) are the host's: they follow
 * from commit(), interrupt() and invoke() itself.
 */
typedef int32_t ap_channel;

enum {
	AP_CHANNEL_MESSAGES = 1, /* message-start ... message-finish */
	AP_CHANNEL_TOOLS = 2,    /* tool-started ... tool-finished */
	AP_CHANNEL_CUSTOM = 3,   /* {"name":...,"payload":...} */
	AP_CHANNEL_TASKS = 4,
	AP_CHANNEL_LIFECYCLE = 5 /* of the agent's own children: ns not empty */
};

/* One event.  Grows by size; absent strings are {NULL, 0}. */
typedef struct ap_event {
	uint32_t size;
	ap_channel channel;
	ap_str ns;              /* JSON array below the run's own namespace, or absent */
	ap_str node;            /* the step that sends it, or absent */
	ap_str data;            /* JSON object */
} ap_event;

/* One step of state.  Grows by size. */
typedef struct ap_step {
	uint32_t size;
	uint32_t flags;         /* zero */
	ap_str name;            /* of the step: "plan", "search" */
	ap_str ns;              /* as in ap_event */
	ap_str patch;           /* JSON object: these keys are replaced whole */
	ap_str removed;         /* JSON array of keys to delete, or absent */
} ap_step;

/* One question to a person.  Grows by size. */
typedef struct ap_question {
	uint32_t size;
	uint32_t flags;         /* zero */
	ap_str id;              /* unique among the pending */
	ap_str ns;              /* as in ap_event */
	ap_str payload;         /* JSON, any type */
} ap_question;

/* Details of a failure, in memory the caller provides. */
typedef struct ap_error {
	uint32_t size;
	ap_status status;
	char code[56];          /* for programs: "model_overloaded" */
	char message[448];      /* for people */
} ap_error;

/*
 * The host.  Outlives every call it is passed to, until deinit() returns.
 * This struct does not grow; new services are extensions.
 */
struct ap_host {
	uint32_t size;
	uint32_t abi_minor;     /* the host's AP_ABI_MINOR */
	const char *name;       /* "apd" */
	const char *version;    /* "0.1.0" */
	void *impl;

	/* Writes one line to the host's log. [any] */
	void (*log)(const ap_host *host, ap_level level, ap_str message);

	/*
	 * Returns the table for an extension id such as "ap.store/1", or NULL.
	 * The table is the host's and lives as long as the host. [any]
	 */
	const void *(*get_extension)(const ap_host *host, const char *id);
};

/* What an agent can do during a run.  This struct does not grow. */
typedef struct ap_run_ops {
	uint32_t size;
	uint32_t reserved;      /* zero */

	/*
	 * AP_OK while the run may go on, else AP_E_CANCELLED or AP_E_DEADLINE.
	 * Cheap: call it in every loop. [any]
	 */
	ap_status (*check)(const ap_run *run);

	/*
	 * Sends one event to whoever streams the run.  Events keep the order
	 * in which one thread sends them.  May block while a reader is slow;
	 * fails with AP_E_CANCELLED or AP_E_DEADLINE once the run must stop.
	 * Events are replayed on reconnection, and are not thread state. [run]
	 */
	ap_status (*emit)(ap_run *run, const ap_event *event);

	/*
	 * Ends a step: replaces the keys of the patch in the thread's values
	 * ("messages" is appended to, by id) and makes a checkpoint.  Durable
	 * on AP_OK; AP_E_UNAVAILABLE means nothing was applied.  Then streams
	 * "updates", "values" and "checkpoints".  Still works during the
	 * grace after a cancellation or deadline, so that partial work is
	 * kept; not after a rollback. [run]
	 */
	ap_status (*commit)(ap_run *run, const ap_step *step);

	/*
	 * Asks people n questions at once.  The agent then returns
	 * AP_INTERRUPTED from invoke() and keeps no memory of the run.  When
	 * answers come, perhaps after a restart, invoke() is called again with
	 * them in ap_run.resume and with these continuation bytes; what was
	 * not answered must be asked again.  Once per invoke(); where the
	 * thread ends with the run, AP_E_UNSUPPORTED. [run]
	 */
	ap_status (*interrupt)(ap_run *run, const ap_question *const *questions,
	                       size_t n, ap_str continuation);

	/*
	 * Says why invoke() is about to return a failure: a stable code for
	 * programs and a sentence for people.  Returns status, so an agent can
	 * write "return ap_fail(...)".  The last call counts. [run]
	 */
	ap_status (*fail)(ap_run *run, ap_status status, ap_str code,
	                  ap_str message);

	/* Gives a blob back early.  Clears it.  NULL and empty are fine. [run] */
	void (*release)(ap_run *run, ap_blob *blob);

	/* Bit 1u << channel for each channel that somebody reads now: a hint
	 * for skipping costly deltas. [any] */
	uint32_t (*listening)(const ap_run *run);
} ap_run_ops;

/*
 * One execution.  Valid from entry to invoke() to its return, and not a moment
 * longer.  Fields may be appended in a later minor version: test them with
 * AP_HAS.
 */
struct ap_run {
	uint32_t size;
	uint32_t attempt;       /* 1 the first time invoke() sees this run */
	const ap_run_ops *ops;
	const ap_host *host;
	void *impl;

	ap_str run_id;
	ap_str thread_id;       /* see AP_RUN_EPHEMERAL */
	ap_str agent_id;        /* the operator's name for this agent */

	ap_str input;           /* JSON, any type: the request's "input", or null */
	ap_str messages;        /* JSON array: the request's "messages", or absent */
	ap_str transcript;      /* JSON array: the thread's messages, these included;
	                         * absent unless AP_AGENT_WANTS_TRANSCRIPT */
	ap_str config;          /* JSON object: the request's "config" */
	ap_str metadata;        /* JSON object */
	ap_str values;          /* JSON object: the thread's values now, without messages */

	ap_str resume;          /* JSON array of {"namespace","id","response"}, or absent */
	ap_str jump;            /* JSON: where the resume asks to go on ("goto"), or absent */
	ap_str continuation;    /* bytes from interrupt(), or absent */

	int64_t deadline_ns;    /* on CLOCK_MONOTONIC; 0 for none */
	int32_t stop_fd;        /* readable once check() fails; poll it only */
	uint32_t flags;         /* AP_RUN_... */
};

enum {
	AP_RUN_EPHEMERAL = 1 << 0 /* the thread ends with the run */
};

/*
 * What an agent is, as data: the host can list agents without running them.
 * Strings are static.  Fields may be appended in a later minor version.
 */
typedef struct ap_agent_info {
	uint32_t size;
	uint32_t flags;                  /* AP_AGENT_... */
	const char *id;                  /* "echo": [A-Za-z0-9._-], at most 64; the
	                                  * agent_id unless the operator names another */
	const char *name;                /* for people: "Echo" */
	const char *description;
	const char *version;

	const char *const *capabilities; /* "ap.io.streaming", ..., NULL */
	const char *const *needs;        /* host extensions it cannot do without */

	const char *input_schema;        /* JSON Schema text, or NULL for any */
	const char *output_schema;
	const char *state_schema;
	const char *config_schema;       /* of a request's config.configurable */
	const char *settings_schema;     /* of the operator's settings, see create */
	const char *metadata;            /* JSON object text, or NULL */

	uint32_t max_concurrency;        /* runs at once in one instance; 0 is 1 */
	uint32_t reserved;               /* zero */
} ap_agent_info;

enum {
	AP_AGENT_NEEDS_THREAD = 1 << 0,  /* refuses stateless runs */
	AP_AGENT_RETRY_SAFE = 1 << 1,    /* the host may run it again after a crash */
	AP_AGENT_WANTS_TRANSCRIPT = 1 << 2
};

#define AP_UNLIMITED UINT32_MAX

/* The agent.  This struct does not grow. */
struct ap_agent {
	uint32_t size;
	uint32_t reserved;               /* zero */
	const ap_agent_info *info;

	/*
	 * Makes an instance for one agent in the operator's configuration:
	 * agent_id is its name there, settings its JSON object, already
	 * checked against settings_schema.  On failure fills err and returns negative;
	 * destroy() is then not called.  NULL means there is nothing to make,
	 * and self is NULL in the calls below. [main]
	 */
	ap_status (*create)(const ap_agent *agent, const ap_host *host,
	                    ap_str agent_id, ap_str settings, void **self,
	                    ap_error *err);

	/*
	 * Destroys an instance.  No run is in it any more.  On return no
	 * thread of this instance may still run.  NULL if create is. [main]
	 */
	void (*destroy)(void *self);

	/*
	 * Executes a run.  At most info->max_concurrency calls are inside one
	 * instance.  Returns AP_OK, AP_INTERRUPTED or a failure. [run]
	 */
	ap_status (*invoke)(void *self, ap_run *run);

	/*
	 * Optional: pokes an invoke() that cannot poll stop_fd.  Called once at
	 * most, never begins after invoke() returned, but overlaps it: the run
	 * lives until both have returned.  Must not block and may use no op
	 * but check(). [any]
	 */
	void (*stop)(void *self, ap_run *run);

	/* Optional: the agent's own extensions, as in ap_host. [any] */
	const void *(*get_extension)(const ap_agent *agent, const char *id);
};

/*
 * The plugin: the one exported symbol.  The host reads magic, abi_major,
 * needs_minor and size before it calls anything, and can read them from the
 * file without loading it.
 */
typedef struct ap_plugin {
	uint32_t magic;                  /* AP_PLUGIN_MAGIC */
	uint32_t size;
	uint32_t abi_major;              /* AP_ABI_MAJOR */
	uint32_t abi_minor;              /* AP_ABI_MINOR it was built with */
	uint32_t needs_minor;            /* the least host minor it works with */
	uint32_t reserved;               /* zero */
	const char *name;
	const char *version;
	const char *license;             /* SPDX expression */
	const char *url;
	const ap_agent *const *agents;   /* NULL-terminated */

	/*
	 * Optional, once per process before anything else, and once after
	 * everything else.  A failed init() is not followed by deinit(). [main]
	 */
	ap_status (*init)(const ap_host *host, ap_error *err);
	void (*deinit)(void);
} ap_plugin;

AP_EXPORT extern const ap_plugin ap_plugin_v1;

/* True if *p, as its maker built it, has the field f. */
#define AP_HAS(p, type, f) \
	((p)->size >= offsetof(type, f) + sizeof(((type *)0)->f))

/*
 * Defines ap_plugin_v1:
 *
 *	AP_PLUGIN(.name = "echo", .version = "1.0.0", .agents = agents);
 */
#define AP_PLUGIN(...)                                                  \
	const ap_plugin ap_plugin_v1 = {                                \
		.magic = AP_PLUGIN_MAGIC, .size = sizeof(ap_plugin),    \
		.abi_major = AP_ABI_MAJOR, .abi_minor = AP_ABI_MINOR,   \
		__VA_ARGS__                                             \
	}

#ifdef __cplusplus
}
#endif

/* clang-format on */

#endif /* AP_AGENT_H */
