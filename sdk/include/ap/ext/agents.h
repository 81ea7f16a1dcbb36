/*
 * ap/ext/agents.h - calling another agent of the same daemon
 */
#ifndef AP_EXT_AGENTS_H
#define AP_EXT_AGENTS_H

#include <ap/agent.h>

#ifdef __cplusplus
extern "C" {
#endif

#define AP_EXT_AGENTS "ap.agents/1"

/* A call.  Grows by size. */
typedef struct ap_call {
	uint32_t size;
	uint32_t flags;         /* zero */
	ap_str agent_id;
	ap_str request;         /* JSON object: "input", "messages", "config", "metadata" of a
	                         * run; or absent */
	ap_str name;            /* of the child's namespace; the agent_id if absent */
	ap_str cause;           /* JSON object: why it was called, for those who watch; or absent */

	/*
	 * Sees each event of the child, in order, on the calling thread, before
	 * call() returns.  The event is borrowed.  A negative status stops the
	 * child.  May be NULL.  It may use ops, but must not call(). [run]
	 */
	ap_status (*on_event)(void *data, const ap_event *event);
	void *data;
} ap_call;

typedef struct ap_agents {
	uint32_t size;
	uint32_t reserved;

	/*
	 * Runs another agent to its end and gives {"run","values","messages"} as
	 * JSON.  The child has a state of its own that ends with it, inherits the
	 * deadline, is stopped with the caller, and streams into the caller's
	 * thread under a namespace of its own, with lifecycle events.  It never
	 * enters an instance that has a caller of its chain in it, so an agent may
	 * call itself.
	 *
	 * AP_OK: the child succeeded.  Else err (which may be NULL) says why:
	 * AP_E_NOT_FOUND: no such agent; AP_E_LIMIT: past the recursion limit;
	 * AP_E_UNSUPPORTED: the child asks for a person; AP_E_INVALID: the request
	 * is not what that agent takes; AP_E_UNAVAILABLE: it is broken;
	 * AP_E_FAILED: it failed or crashed; AP_E_CANCELLED, AP_E_DEADLINE: the
	 * caller must stop.  Where the child had begun, response is given too. [run]
	 */
	ap_status (*call)(ap_run *run, const ap_call *call, ap_blob *response, ap_error *err);
} ap_agents;

#ifdef __cplusplus
}
#endif

#endif /* AP_EXT_AGENTS_H */
