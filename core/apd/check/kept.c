/* What a thread keeps of a run: its commits, folded as storage folds them. */
#include "apd/check/kept.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json_scan.h"
#include "storage/state.h"

struct apd_check_kept {
	struct apd_id_gen *ids;
	struct apd_state_fold *fold;
	struct apd_json patch, removed;
};

static void add(struct apd_check_kept *kept, const struct apd_json *patch,
	const struct apd_json *removed, const struct apd_json *messages)
{
	apd_state_fold_add(kept->fold,
		&(struct apd_state_change){.patch = patch,
			.removed = removed,
			.messages = messages,
			.gen = kept->ids,
			.wall_us = apd_clock_wall_us()});
}

struct apd_check_kept *apd_check_kept_create(
	struct apd_check_session *session, struct apd_str messages)
{
	struct apd_check_kept *kept = apd_calloc(1, sizeof(*kept));
	struct apd_state *empty = apd_state_empty();

	kept->ids = &session->random;
	kept->fold = apd_state_fold_create(empty);
	apd_state_unref(empty);
	if (messages.ptr && apd_json_scan(&kept->patch, messages) == 0)
		add(kept, NULL, NULL, &kept->patch);
	return kept;
}

void apd_check_kept_add(struct apd_check_kept *kept, struct apd_str payload)
{
	struct apd_fields fields = {payload.ptr, payload.ptr + payload.len};
	struct apd_str at[4];

	for (size_t i = 0; i < APD_COUNT(at); i++)
		if (apd_fields_next(&fields, &at[i]) < 0)
			return;
	if (apd_json_scan(&kept->patch, at[2]) < 0 ||
		(at[3].ptr && apd_json_scan(&kept->removed, at[3]) < 0))
		return;
	add(kept, &kept->patch, at[3].ptr ? &kept->removed : NULL, NULL);
}

void apd_check_kept_finish(struct apd_check_kept *kept, struct apd_check_input *input)
{
	struct apd_state *state = apd_state_fold_finish(kept->fold);

	apd_buf_clear(&input->values);
	apd_buf_clear(&input->transcript);
	if (state) {
		apd_state_add_values(&input->values, state);
		apd_state_add_messages(&input->transcript, state);
	}
	apd_state_unref(state);
	apd_json_finish(&kept->patch);
	apd_json_finish(&kept->removed);
	free(kept);
}
