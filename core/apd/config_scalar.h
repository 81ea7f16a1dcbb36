/* The scalars of apd.yaml: numbers with units, plain scalars as JSON, words that look alike. */
#ifndef APD_APD_CONFIG_SCALAR_H
#define APD_APD_CONFIG_SCALAR_H

#include "apd/config_keys.h"
#include "base/buf.h"

/* Each: 0, or -EINVAL for what is none. Durations in nanoseconds; sizes in bytes. */
int config_scalar_count(struct apd_str text, int64_t *ret_value);
int config_scalar_bytes(struct apd_str text, int64_t *ret_value);
int config_scalar_duration(struct apd_str text, int64_t *ret_value);

/* Shows a value of a key's type with a unit that suits it. */
void config_scalar_show(struct apd_buf *out, enum config_type type, int64_t value);

/* Adds a scalar as JSON: a plain one as null, true, false or a number where it reads as such. */
void config_scalar_add_json(struct apd_buf *out, struct apd_str text, bool plain);

/* How many letters must change to make one word the other. */
size_t config_scalar_distance(struct apd_str a, struct apd_str b);

/* True for what may name an agent: [A-Za-z0-9._-], 1 to 64. */
bool config_scalar_is_agent_id(struct apd_str text);

#endif
