/* What the thread of a run that asks keeps of it: what it commits, for the run that goes on. */
#ifndef APD_APD_CHECK_KEPT_H
#define APD_APD_CHECK_KEPT_H

#include "apd/check/session.h"

/* The state of a thread before its run: the run's messages (JSON array, or absent), no values. */
struct apd_check_kept *apd_check_kept_create(
	struct apd_check_session *session, struct apd_str messages);

/* Takes the payload of a COMMIT. */
void apd_check_kept_add(struct apd_check_kept *kept, struct apd_str payload);

/* Puts what came of it into an input, and frees it. */
void apd_check_kept_finish(struct apd_check_kept *kept, struct apd_check_input *input);

#endif
