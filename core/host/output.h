/*
 * What plugins say: the lines of their standard streams and their log frames,
 * on their way to the daemon's log, in bounds that one chatty plugin cannot pass.
 */
#ifndef APD_HOST_OUTPUT_H
#define APD_HOST_OUTPUT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/log.h"

/* Zeroed but for name and dropped it is empty. */
struct apd_output {
	const char *name; /* of the plugin, for the log; borrowed */
	_Atomic uint64_t *dropped; /* counts lines that were not logged, or NULL */
	struct apd_buf line; /* begun and not yet ended */
	bool cut; /* the rest of this line is dropped */
	int64_t second; /* the lines below are of this second */
	unsigned lines;
	uint64_t lost; /* lines dropped and not yet told of */
};

/* Frees it after logging what has no line end yet. [runtime] */
void apd_output_finish(struct apd_output *output);

/* Takes bytes of a standard stream; logs the whole lines. [runtime] */
void apd_output_take(struct apd_output *output, const char *data, size_t n);

/* Logs one line of the plugin's, or of one of its agents (absent: none). [runtime] */
void apd_output_log(struct apd_output *output, enum apd_log_level level, struct apd_str agent_id,
	struct apd_str line);

#endif
