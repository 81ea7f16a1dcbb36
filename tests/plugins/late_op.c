/* Keeps its ap_run and uses it in the next run, when the first one is long over. */
#include "plugin.h"

static ap_run *kept;

static ap_status invoke(void *self, ap_run *run)
{
	const ap_question question = {
		.size = sizeof(question), .id = LIT("q"), .payload = LIT("1")};
	const ap_question *const questions[] = {&question};
	ap_blob blob = {{NULL, 0}, NULL};
	ap_status s[5];

	(void)self;
	if (!kept) {
		kept = run;
		return AP_OK;
	}
	s[0] = commit(kept, "{}");
	s[1] = emit(kept, AP_CHANNEL_CUSTOM, NULL, "{}");
	s[2] = kept->ops->check(kept);
	s[3] = kept->ops->interrupt(kept, questions, 1, (ap_str){NULL, 0});
	s[4] = kept->ops->fail(kept, AP_E_FAILED, LIT("c"), LIT("m"));
	kept->ops->release(kept, &blob);
	return tell(run, s, 5);
}

ONE_AGENT("late_op", invoke);
