/* The keys of apd.yaml, as tables. */
#ifndef APD_APD_CONFIG_KEYS_H
#define APD_APD_CONFIG_KEYS_H

#include <stddef.h>
#include <stdint.h>

enum config_type {
	CONFIG_STRING, /* const char * */
	CONFIG_STRINGS, /* const char **, NULL-terminated: a list or one string */
	CONFIG_BOOL, /* bool */
	CONFIG_COUNT, /* uint32_t */
	CONFIG_BYTES, /* uint64_t: 4096, 64KiB, 16MiB, 1GiB */
	CONFIG_DURATION, /* int64_t ns: 250ms, 10s, 15m, 24h, 7d */
	CONFIG_WORD, /* int: the index of one of `words`, from `least` on */
	CONFIG_JSON, /* const char *: a mapping, as JSON text */
	CONFIG_SECRET, /* const char *: a key for signatures */
	CONFIG_SECRET_FILE, /* the same, from a file */
	CONFIG_NETWORKS, /* const char **: as CONFIG_STRINGS, each 10.0.0.0/8 or an address */
	CONFIG_SECTION, /* a mapping with keys of its own */
	CONFIG_AGENTS, /* the mapping of agents */
};

/* A key: its name, what it takes, where that goes in the struct, and its limits. */
struct config_key {
	const char *name;
	enum config_type type;
	size_t offset;
	int64_t least;
	int64_t most;
	const char *const *words; /* CONFIG_WORD: NULL-terminated */
	const struct config_key *section; /* CONFIG_SECTION: ends with a NULL name */
};

/* The keys of the whole file, in a struct apd_config. */
extern const struct config_key config_root[];

/* The keys of one agent, in a struct apd_agent_config. */
extern const struct config_key config_agent[];

#endif
