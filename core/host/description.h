/*
 * What a plugin says of itself: the JSON of a HELLO frame, taken apart. A worker
 * made it, so nothing in it is believed before it is checked.
 *
 *	{"name":"echo","version":"1.0.0","agents":[{"id":"echo","flags":0,
 *	 "name":"Echo","description":...,"version":...,"capabilities":["ap.io.streaming"],
 *	 "input_schema":{...},"output_schema":...,"state_schema":...,"config_schema":...,
 *	 "settings_schema":...,"metadata":{...},"max_concurrency":1}]}
 *
 * Members that are absent or null are not given. Schemas and metadata may also
 * be strings that hold the JSON text. Unknown members are ignored.
 */
#ifndef APD_HOST_DESCRIPTION_H
#define APD_HOST_DESCRIPTION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

/* An agent as its plugin describes it. Strings end with a NUL; absent ones were not given. */
struct apd_described {
	struct apd_str id;
	struct apd_str name; /* the id if there is none */
	struct apd_str description;
	struct apd_str version; /* the plugin's if there is none */
	struct apd_str capabilities; /* JSON object of trues */
	struct apd_str input_schema, output_schema, state_schema, config_schema, settings_schema;
	struct apd_str metadata; /* JSON object */
	bool messages; /* has the capability ap.io.messages */
	uint32_t flags; /* AP_AGENT_... */
	uint32_t max_concurrency; /* not 0 */
};

struct apd_description {
	struct apd_str name;
	struct apd_str version;
	struct apd_described *agents;
	size_t n_agents;
};

/*
 * Takes a description apart; the text may go away afterwards. Returns 0, or
 * -EINVAL with a sentence for people in why. [any]
 */
int apd_description_parse(
	struct apd_str json, struct apd_description **ret_description, char *why, size_t why_size);

void apd_description_destroy(struct apd_description *description);

/* The agent of an id, or NULL. */
const struct apd_described *apd_description_find(
	const struct apd_description *description, struct apd_str id);

/* True for 1 to 64 of [A-Za-z0-9._-]. */
bool apd_agent_id_ok(struct apd_str id);

#endif
