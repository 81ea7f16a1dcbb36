/* Makes a failure of its own of every stop. */
#include "plugin.h"

static ap_status invoke(void *self, ap_run *run)
{
	(void)self;
	for (int i = 0; i < 20; i++) {
		if (emit(run, AP_CHANNEL_CUSTOM, NULL, "{\"name\":\"here\"}") < 0)
			return run->ops->fail(run, AP_E_FAILED, LIT("broken"), LIT("It broke."));
	}
	return AP_OK;
}

ONE_AGENT("hides_cancel", invoke);
