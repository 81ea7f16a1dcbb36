/* The daemon's end of a session's socket. */
#ifndef APD_APD_CHECK_WIRE_H
#define APD_APD_CHECK_WIRE_H

#include "apd/check/session.h"

/* Sends what is in the buffer and frees it. */
void apd_check_send(struct apd_check_session *session, struct apd_buf *out);

/*
 * Waits for a message, until a time of the monotonic clock: 1, 0 at the end of
 * the worker, -ETIME, or -EBADMSG for nonsense. Log lines and reports of misuse
 * are dealt with and not given.
 */
int apd_check_receive(struct apd_check_session *session, int64_t until_ns,
	struct apd_frame *ret_frame, struct apd_str *ret_payload);

#endif
