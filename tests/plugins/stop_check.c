/* Works until check() fails; then keeps what it has. */
#include "plugin.h"

static ap_status invoke(void *self, ap_run *run)
{
	ap_status s[3];

	(void)self;
	emit(run, AP_CHANNEL_CUSTOM, NULL, "{\"name\":\"here\"}");
	while ((s[0] = run->ops->check(run)) == AP_OK)
		;
	s[1] = emit(run, AP_CHANNEL_CUSTOM, NULL, "{}");
	s[2] = tell(run, s, 2);
	run->ops->fail(run, s[0], LIT("stopped"), s[2] == AP_OK ? LIT("kept") : LIT("lost"));
	return s[0];
}

ONE_AGENT("stop_check", invoke);
