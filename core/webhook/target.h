/* Where a webhook goes: the URL, taken apart by the library that connects. */
#ifndef APD_WEBHOOK_TARGET_H
#define APD_WEBHOOK_TARGET_H

#include <curl/curl.h>

#include "base/buf.h"

struct apd_target {
	CURLU *url;
	struct apd_buf host; /* "example.org:443": what counts as one host */
};

/*
 * Reads a URL. 0, or -EINVAL with a sentence in error that does not repeat it:
 * not a URL, neither http nor https, without a host. [any]
 */
int apd_target_init(struct apd_target *target, struct apd_str url, struct apd_buf *error);
void apd_target_finish(struct apd_target *target);

/*
 * Adds a URL for a log line: without user, password, query and fragment; of
 * what is not a URL only that it is none. [any]
 */
void apd_target_add_text(struct apd_buf *out, struct apd_str url);

#endif
