/*
 * States as the ledger reckons them: numbers instead of JSON, and rules of its own, so that
 * what the runtime folds is held against something that shares no line with it.
 */
#include "sim.h"

#include <stdlib.h>

/* More messages than this are forgotten by the next commit. */
#define MANY_SAID 14

struct model *model_ref(struct model *model)
{
	if (model)
		model->refs++;
	return model;
}

void model_unref(struct model *model)
{
	if (model && --model->refs == 0)
		free(model);
}

/* Says one message: replaces, appends or takes away. */
static void say(struct model *model, const struct said *said)
{
	unsigned i = 0;

	while (i < model->n_said && (said->id == 0 || model->said[i].id != said->id))
		i++;
	if (said->n && i < model->n_said)
		model->said[i].n = said->n;
	else if (said->n)
		model->said[model->n_said++] = *said;
	else if (i < model->n_said)
		memmove(&model->said[i], &model->said[i + 1],
			(--model->n_said - i) * sizeof(model->said[0]));
}

struct model *model_apply(const struct model *model, const struct patch *patch)
{
	unsigned n = model ? model->n_said : 0;
	struct model *next =
		apd_malloc(sizeof(*next) + (n + patch->n_said) * sizeof(next->said[0]));

	*next = (struct model){.refs = 1};
	if (model)
		memcpy(next, model, sizeof(*next) + n * sizeof(next->said[0]));
	next->refs = 1;
	for (int k = 0; k < N_KEYS; k++) {
		if (patch->values[k])
			next->values[k] = patch->values[k];
		if (patch->removed >> k & 1)
			next->values[k] = 0;
	}
	next->has_messages |= patch->says;
	for (unsigned i = 0; i < patch->n_said; i++)
		say(next, &patch->said[i]);
	if (patch->forgets) {
		next->n_said = 0;
		next->has_messages = false;
	}
	return next;
}

/* The number behind `"n":` in a message, or 0. */
static uint32_t said_number(struct apd_str message)
{
	const char *at = memmem(message.ptr, message.len, "\"n\":", 4);

	return at ? (uint32_t)strtoul(at + 4, NULL, 10) : 0;
}

/* Whether an id is that of the message, or may be: those that others chose are UUIDs. */
static bool same_id(const struct said *said, struct apd_str id)
{
	if (said->id == 0)
		return id.len == APD_ID_TEXT;
	return id.len >= 2 && id.ptr[0] == 'm' && strtoul(id.ptr + 1, NULL, 10) == said->id;
}

/* Whether the value of a key is what was reckoned. */
static bool same_value(const struct model *model, struct apd_str key, struct apd_str value)
{
	unsigned k = key.len == 2 && key.ptr[0] == 'k' ? (unsigned)(key.ptr[1] - '0') : N_KEYS;

	return k < N_KEYS && model->values[k] == strtoul(value.ptr, NULL, 10);
}

static unsigned count_values(const struct model *model)
{
	unsigned n = 0;

	for (int k = 0; k < N_KEYS; k++)
		n += model->values[k] != 0;
	return n;
}

bool model_is(const struct model *model, const struct apd_state *state)
{
	static const struct model empty;

	if (!model)
		model = &empty;
	if (state->n_values != count_values(model) || state->n_messages != model->n_said ||
		state->has_messages != model->has_messages)
		return false;
	for (size_t i = 0; i < state->n_values; i++)
		if (!same_value(model, apd_text_str(state->values[i].key),
			    apd_text_str(state->values[i].value)))
			return false;
	for (size_t i = 0; i < state->n_messages; i++)
		if (model->said[i].n != said_number(apd_text_str(state->messages[i].value)) ||
			!same_id(&model->said[i], apd_text_str(state->messages[i].key)))
			return false;
	return true;
}

bool model_is_json(
	struct world *w, const struct model *model, struct apd_str values, struct apd_str messages)
{
	static const struct model empty;
	struct apd_json *json = &w->json;
	unsigned n = 0;

	if (!model)
		model = &empty;
	if (apd_json_scan(json, values) < 0 || apd_json_type(json, 0) != APD_JSON_OBJECT ||
		json->toks[0].count != count_values(model))
		return false;
	apd_json_each_member (json, 0, k) {
		struct apd_str key = apd_json_slice(json, k);

		key = (struct apd_str){key.ptr + 1, key.len - 2};
		if (!same_value(model, key, apd_json_slice(json, k + 1)))
			return false;
	}
	if (!messages.ptr)
		return true;
	if (apd_json_scan(json, messages) < 0 || apd_json_type(json, 0) != APD_JSON_ARRAY ||
		json->toks[0].count != model->n_said)
		return false;
	apd_json_each_item (json, 0, i) {
		uint32_t id = apd_json_member(json, i, APD_STR("id"));
		struct apd_str text = id ? apd_json_slice(json, id) : APD_STR("\"\"");

		text = (struct apd_str){text.ptr + 1, text.len - 2};
		if (model->said[n].n != said_number(apd_json_slice(json, i)) ||
			!same_id(&model->said[n], text))
			return false;
		n++;
	}
	return true;
}

struct patch *patch_ref(struct patch *patch)
{
	if (patch)
		patch->refs++;
	return patch;
}

void patch_unref(struct patch *patch)
{
	if (patch && --patch->refs == 0)
		free(patch);
}

/* Messages: of clients' requests all have ids, agents leave that to the daemon at times. */
static void make_messages(
	struct world *w, struct patch *patch, enum patch_kind kind, const struct model *before)
{
	patch->says = true;
	patch->n_said = (kind == PATCH_CLIENT) + sim_below(w, 3);
	for (unsigned i = 0; i < patch->n_said; i++) {
		struct said *said = &patch->said[i];

		said->id = kind != PATCH_REQUEST && sim_chance(w, 40) ? 0 : 1 + sim_below(w, 9);
		said->n = said->id && sim_chance(w, 25) ? 0 : ++w->numbers;
	}
	if (sim_chance(w, 12) && patch->n_said && patch->said[0].n)
		patch->padding = 200 + sim_below(w, 1500);
	/* So that states stay small. */
	if (kind == PATCH_COMMIT && before && before->n_said > MANY_SAID)
		patch->forgets = true;
}

struct patch *patch_make(struct world *w, enum patch_kind kind, const struct model *before)
{
	struct patch *patch = apd_calloc(1, sizeof(*patch));

	patch->refs = 1;
	if (kind != PATCH_REQUEST || sim_chance(w, 15))
		for (unsigned n = sim_below(w, 3); n > 0; n--)
			patch->values[sim_below(w, N_KEYS)] = ++w->numbers;
	if (kind == PATCH_COMMIT && sim_chance(w, 20))
		patch->removed = 1u << sim_below(w, N_KEYS);
	if (sim_chance(w, 60) || (before && before->n_said > MANY_SAID))
		make_messages(w, patch, kind, before);
	else if (kind == PATCH_COMMIT && sim_chance(w, 3))
		patch->forgets = true;
	return patch;
}

void patch_add_values(struct apd_buf *out, const struct patch *patch)
{
	bool first = true;

	for (unsigned k = 0; k < N_KEYS; k++) {
		if (!patch->values[k])
			continue;
		if (!first)
			apd_buf_lit(out, ",");
		apd_buf_lit(out, "\"k");
		apd_buf_add_u64(out, k);
		apd_buf_lit(out, "\":");
		apd_buf_add_u64(out, patch->values[k]);
		first = false;
	}
}

void patch_add_messages(struct apd_buf *out, const struct patch *patch)
{
	apd_buf_lit(out, "[");
	for (unsigned i = 0; i < patch->n_said; i++) {
		const struct said *said = &patch->said[i];

		if (i)
			apd_buf_lit(out, ",");
		apd_buf_lit(out, "{");
		if (said->id) {
			apd_buf_lit(out, "\"id\":\"m");
			apd_buf_add_u64(out, said->id);
			apd_buf_lit(out, "\",");
		}
		if (!said->n) {
			apd_buf_lit(out, "\"type\":\"remove\"}");
			continue;
		}
		apd_buf_lit(out, "\"type\":\"ai\",\"n\":");
		apd_buf_add_u64(out, said->n);
		if (i == 0 && patch->padding) {
			apd_buf_lit(out, ",\"pad\":\"");
			memset(apd_buf_reserve(out, patch->padding), 'x', patch->padding);
			out->len += patch->padding;
			apd_buf_lit(out, "\"");
		}
		apd_buf_lit(out, "}");
	}
	apd_buf_lit(out, "]");
}

void patch_add_removed(struct apd_buf *out, const struct patch *patch)
{
	apd_buf_lit(out, "[");
	for (unsigned k = 0; k < N_KEYS; k++)
		if (patch->removed >> k & 1)
			apd_buf_addf(
				out, "%s\"k%u\"", out->data[out->len - 1] == '[' ? "" : ",", k);
	if (patch->forgets)
		apd_buf_addf(out, "%s\"messages\"", out->data[out->len - 1] == '[' ? "" : ",");
	apd_buf_lit(out, "]");
}
