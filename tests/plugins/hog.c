/* Takes all memory there is; then fails, goes on to use the host, or crashes, as its input says. */
#include "plugin.h"

#include <stdlib.h>

/* A list of blocks, so that nobody optimises them away. */
struct block {
	struct block *next;
	char rest[(64 << 10) - sizeof(void *)];
};

/* What malloc() gave last, and nobody looked whether it is NULL. */
static struct block *volatile unchecked;

static ap_status invoke(void *self, ap_run *run)
{
	struct block *list = NULL, *block;
	int fail = run->input.ptr[1] == 'f', go_on = run->input.ptr[1] == 'g';

	(void)self;
	if (run->input.ptr[1] == 'n')
		return commit(run, "{\"done\":true}");
	while ((unchecked = block = malloc(sizeof(*block)))) {
		block->next = list;
		list = block;
	}
	if (go_on) {
		for (int i = 0; i < 100; i++)
			emit(run, AP_CHANNEL_CUSTOM, NULL, "{\"name\":\"still\",\"payload\":null}");
		return commit(run, "{\"done\":true}");
	}
	while (fail && list) {
		block = list;
		list = list->next;
		free(block);
	}
	if (!fail)
		unchecked->rest[0] = 1;
	return run->ops->fail(run, AP_E_NOMEM, LIT("no_memory"), LIT("There is no memory left."));
}

ONE_AGENT("hog", invoke);
