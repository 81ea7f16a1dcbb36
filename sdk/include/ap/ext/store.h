/*
 * ap/ext/store.h - long-term memory: the Agent Protocol's /store
 *
 * Items live outside of threads, under a namespace and a key, and are the same
 * that clients see at /store.  The functions may block; durable calls have been
 * written when they return.  They belong to no transaction with commit().
 */
#ifndef AP_EXT_STORE_H
#define AP_EXT_STORE_H

#include <ap/agent.h>

#ifdef __cplusplus
extern "C" {
#endif

#define AP_EXT_STORE "ap.store/1"

/*
 * A namespace is a JSON array of non-empty strings: ["users","42"]; [] is the
 * root.  Keys are non-empty text.  Results are blobs: release() them, or let the
 * end of invoke() do it.
 *
 * Every function gives AP_E_INVALID for what is not shaped as it should be,
 * AP_E_LIMIT for what is too big, AP_E_CANCELLED or AP_E_DEADLINE when the run
 * must stop meanwhile, AP_E_UNAVAILABLE when the database does not answer.
 */
typedef struct ap_store {
	uint32_t size;
	uint32_t reserved;

	/*
	 * Gives the item as JSON: {"namespace","key","value","created_at",
	 * "updated_at"}; or AP_E_NOT_FOUND. [run]
	 */
	ap_status (*get)(ap_run *run, ap_str ns, ap_str key, ap_blob *item);

	/*
	 * Creates or replaces the item; value is a JSON object.  Works in the
	 * grace after a cancellation or deadline, as commit() does. [run]
	 */
	ap_status (*put)(ap_run *run, ap_str ns, ap_str key, ap_str value);

	/* Removes the item; AP_E_NOT_FOUND if there was none. [run] */
	ap_status (*remove)(ap_run *run, ap_str ns, ap_str key);

	/*
	 * Searches.  query is what POST /store/items/search takes, result what it
	 * answers: {"items":[...]}. [run]
	 */
	ap_status (*search)(ap_run *run, ap_str query, ap_blob *result);
} ap_store;

#ifdef __cplusplus
}
#endif

#endif /* AP_EXT_STORE_H */
