/* The state of a thread: how a commit makes the next one. */
#include "storage/state.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/json_text.h"
#include "base/map.h"

/* From so many entries on a look-up goes through a map. */
#define MAP_FROM 24

static struct apd_state the_empty = {.refs = 1};

struct apd_state *apd_state_empty(void)
{
	return apd_state_ref(&the_empty);
}

struct apd_state *apd_state_ref(struct apd_state *state)
{
	atomic_fetch_add_explicit(&state->refs, 1, memory_order_relaxed);
	return state;
}

static void free_entries(struct apd_state_entry *entries, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		apd_text_unref(entries[i].key);
		apd_text_unref(entries[i].value);
	}
}

void apd_state_unref(struct apd_state *state)
{
	if (!state || atomic_fetch_sub_explicit(&state->refs, 1, memory_order_acq_rel) != 1)
		return;
	free_entries(state->values, state->n_values);
	free_entries(state->messages, state->n_messages);
	free(state);
}

/* A list of entries while a commit is applied: what is removed leaves a hole. */
struct builder {
	struct apd_state_entry *entries;
	size_t count;
	size_t cap;
	struct apd_map index; /* key to position + 1, once the list is long */
};

static void builder_init(
	struct builder *b, const struct apd_state_entry *entries, size_t n, size_t more)
{
	*b = (struct builder){.cap = n + more};
	b->entries = apd_malloc((b->cap ? b->cap : 1) * sizeof(*b->entries));
	for (; b->count < n; b->count++) {
		b->entries[b->count].key = apd_text_ref(entries[b->count].key);
		b->entries[b->count].value = apd_text_ref(entries[b->count].value);
	}
}

static void builder_finish(struct builder *b)
{
	free_entries(b->entries, b->count);
	free(b->entries);
	apd_map_finish(&b->index);
}

static void builder_note(struct builder *b, size_t i)
{
	apd_map_put(&b->index, apd_text_str(b->entries[i].key), (void *)(uintptr_t)(i + 1));
}

/* The position of a key, or SIZE_MAX. */
static size_t builder_find(struct builder *b, struct apd_str key)
{
	if (b->count >= MAP_FROM && !b->index.cap)
		for (size_t i = 0; i < b->count; i++)
			if (b->entries[i].key)
				builder_note(b, i);
	if (b->index.cap)
		return (size_t)(uintptr_t)apd_map_get(&b->index, key) - 1;
	for (size_t i = 0; i < b->count; i++)
		if (b->entries[i].key && apd_str_eq(apd_text_str(b->entries[i].key), key))
			return i;
	return SIZE_MAX;
}

/* Puts an entry; takes over the value. */
static void builder_put(struct builder *b, struct apd_str key, struct apd_text *value)
{
	size_t i = builder_find(b, key);

	if (i != SIZE_MAX) {
		apd_text_unref(b->entries[i].value);
		b->entries[i].value = value;
		return;
	}
	if (b->count == b->cap) {
		b->cap = b->cap ? b->cap * 2 : 8;
		b->entries = apd_realloc(b->entries, b->cap * sizeof(*b->entries));
	}
	b->entries[b->count] = (struct apd_state_entry){apd_text_create(key), value};
	if (b->index.cap)
		builder_note(b, b->count);
	b->count++;
}

static void builder_remove(struct builder *b, struct apd_str key)
{
	size_t i = builder_find(b, key);

	if (i == SIZE_MAX)
		return;
	if (b->index.cap)
		apd_map_remove(&b->index, key);
	apd_text_unref(b->entries[i].key);
	apd_text_unref(b->entries[i].value);
	b->entries[i] = (struct apd_state_entry){0};
}

static void builder_clear(struct builder *b)
{
	free_entries(b->entries, b->count);
	b->count = 0;
	apd_map_finish(&b->index);
}

/* Moves the entries to where the state keeps them; returns how many there are. */
static size_t builder_take(struct builder *b, struct apd_state_entry *to, size_t *bytes)
{
	size_t n = 0;

	for (size_t i = 0; i < b->count; i++) {
		if (!b->entries[i].key)
			continue;
		*bytes += b->entries[i].key->len + b->entries[i].value->len;
		to[n++] = b->entries[i];
	}
	b->count = 0;
	return n;
}

/* The message's text with an id of its own put in, as its first member. */
static struct apd_text *message_with_id(
	const struct apd_json *json, uint32_t i, const char *id_text)
{
	struct apd_str whole = apd_json_slice(json, i);
	uint32_t null_id = apd_json_member(json, i, APD_STR("id"));
	struct apd_buf out = {0};
	struct apd_text *text;

	if (null_id) {
		size_t before = json->toks[null_id].start - json->toks[i].start;

		apd_buf_add(&out, whole.ptr, before);
		apd_buf_addf(&out, "\"%s\"", id_text);
		apd_buf_add(&out, whole.ptr + before + 4, whole.len - before - 4);
	} else {
		apd_buf_addf(&out, "{\"id\":\"%s\"%s", id_text, json->toks[i].count ? "," : "");
		apd_buf_add(&out, whole.ptr + 1, whole.len - 1);
	}
	text = apd_text_of(&out);
	apd_buf_finish(&out);
	return text;
}

/* What applies to all of one commit. */
struct applying {
	struct builder values;
	struct builder messages;
	bool has_messages;
	bool told_messages; /* the change speaks of messages */
	const struct apd_state_change *change;
	struct apd_buf *stored; /* the messages as a checkpoint has them, or NULL */
	struct apd_buf scratch;
};

/* Notes a message for the checkpoint. */
static void store_message(struct applying *a, struct apd_str message)
{
	if (!a->stored)
		return;
	apd_json_add_comma(a->stored);
	apd_buf_add_str(a->stored, message);
}

/* Puts a message that came without an id. */
static int put_nameless(struct applying *a, const struct apd_json *json, uint32_t i)
{
	char text[APD_ID_TEXT + 1];
	struct apd_text *message;
	struct apd_id id;

	if (!a->change->gen)
		return -EINVAL;
	id = apd_id_next(a->change->gen, a->change->wall_us);
	apd_id_format(&id, text);
	message = message_with_id(json, i, text);
	store_message(a, apd_text_str(message));
	builder_put(&a->messages, (struct apd_str){text, APD_ID_TEXT}, message);
	return 0;
}

/* Combines one message by its id. */
static int combine_message(struct applying *a, const struct apd_json *json, uint32_t i)
{
	uint32_t id, type;
	struct apd_str key;
	bool remove;

	if (apd_json_type(json, i) != APD_JSON_OBJECT)
		return -EINVAL;
	id = apd_json_given(json, i, APD_STR("id"));
	type = apd_json_given(json, i, APD_STR("type"));
	if (id && apd_json_type(json, id) != APD_JSON_STRING)
		return -EINVAL;
	remove = type && apd_json_type(json, type) == APD_JSON_STRING &&
		apd_json_is(json, type, APD_STR("remove"));
	/* Removing nothing in particular is nothing. */
	if (!id)
		return remove ? 0 : put_nameless(a, json, i);
	store_message(a, apd_json_slice(json, i));
	key = apd_json_string(json, id, &a->scratch);
	if (remove)
		builder_remove(&a->messages, key);
	else
		builder_put(&a->messages, key, apd_text_create(apd_json_slice(json, i)));
	return 0;
}

static int combine_messages(struct applying *a, const struct apd_json *json, uint32_t array)
{
	int r;

	if (apd_json_type(json, array) != APD_JSON_ARRAY)
		return -EINVAL;
	a->has_messages = a->told_messages = true;
	apd_json_each_item (json, array, i) {
		r = combine_message(a, json, i);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Takes the members of a patch. */
static int apply_patch(struct applying *a, const struct apd_json *patch)
{
	int r;

	apd_json_each_member (patch, 0, k) {
		if (apd_json_is(patch, k, APD_STR("messages"))) {
			r = combine_messages(a, patch, k + 1);
			if (r < 0)
				return r;
			continue;
		}
		builder_put(&a->values, apd_json_string(patch, k, &a->scratch),
			apd_text_create(apd_json_slice(patch, k + 1)));
	}
	return 0;
}

static void apply_removed(struct applying *a, const struct apd_json *removed)
{
	apd_json_each_item (removed, 0, i) {
		if (apd_json_type(removed, i) != APD_JSON_STRING)
			continue;
		if (apd_json_is(removed, i, APD_STR("messages"))) {
			builder_clear(&a->messages);
			a->has_messages = false;
		} else {
			builder_remove(&a->values, apd_json_string(removed, i, &a->scratch));
		}
	}
}

/* Makes the state of what was built. */
static struct apd_state *applied(struct applying *a)
{
	size_t n = a->values.count + a->messages.count;
	struct apd_state *state = apd_malloc(sizeof(*state) + n * sizeof(struct apd_state_entry));

	*state = (struct apd_state){.has_messages = a->has_messages};
	atomic_init(&state->refs, 1);
	state->values = (struct apd_state_entry *)(state + 1);
	state->n_values = builder_take(&a->values, state->values, &state->bytes);
	state->messages = state->values + state->n_values;
	state->n_messages = builder_take(&a->messages, state->messages, &state->bytes);
	return state;
}

/* Whether a checkpoint cannot store the patch just as it came. */
static bool must_rewrite(const struct apd_state_change *change)
{
	uint32_t messages;

	if (!change->patch || change->messages)
		return true;
	messages = apd_json_member(change->patch, 0, APD_STR("messages"));
	if (!messages || apd_json_type(change->patch, messages) != APD_JSON_ARRAY)
		return false;
	apd_json_each_item (change->patch, messages, i) {
		if (apd_json_type(change->patch, i) == APD_JSON_OBJECT &&
			!apd_json_given(change->patch, i, APD_STR("id")))
			return true;
	}
	return false;
}

/* The patch as a checkpoint stores it, with the messages that were noted. */
static struct apd_text *stored_patch(const struct applying *a, struct apd_str messages)
{
	const struct apd_json *patch = a->change->patch;
	struct apd_buf out = {0};
	struct apd_text *text;

	apd_buf_lit(&out, "{");
	if (patch) {
		apd_json_each_member (patch, 0, k) {
			if (apd_json_is(patch, k, APD_STR("messages")))
				continue;
			apd_json_add_comma(&out);
			apd_buf_add_str(&out, apd_json_slice(patch, k));
			apd_buf_lit(&out, ":");
			apd_buf_add_str(&out, apd_json_slice(patch, k + 1));
		}
	}
	if (a->told_messages) {
		apd_json_add_comma(&out);
		apd_buf_lit(&out, "\"messages\":");
		apd_buf_add_str(&out, messages);
		apd_buf_lit(&out, "]");
	}
	apd_buf_lit(&out, "}");
	text = apd_text_of(&out);
	apd_buf_finish(&out);
	return text;
}

/* Begins with what a state holds; `more` values and messages are expected. */
static void begin(
	struct applying *a, const struct apd_state *state, size_t more_values, size_t more_messages)
{
	*a = (struct applying){.has_messages = state->has_messages};
	builder_init(&a->values, state->values, state->n_values, more_values);
	builder_init(&a->messages, state->messages, state->n_messages, more_messages);
}

/* Takes one change. */
static int take(struct applying *a, const struct apd_state_change *change)
{
	int r = 0;

	a->change = change;
	if (change->messages)
		r = combine_messages(a, change->messages, 0);
	if (r == 0 && change->patch)
		r = apply_patch(a, change->patch);
	if (r == 0 && change->removed)
		apply_removed(a, change->removed);
	return r;
}

static void end(struct applying *a)
{
	builder_finish(&a->values);
	builder_finish(&a->messages);
	apd_buf_finish(&a->scratch);
}

int apd_state_apply(struct apd_state *state, const struct apd_state_change *change,
	struct apd_state **ret_state, struct apd_text **ret_patch)
{
	bool rewrite = ret_patch && must_rewrite(change);
	struct apd_buf stored = {0};
	struct applying a;
	int r;

	begin(&a, state, change->patch ? change->patch->toks[0].count : 0,
		change->messages ? change->messages->toks[0].count : 0);
	if (rewrite) {
		apd_buf_lit(&stored, "[");
		a.stored = &stored;
	}
	r = take(&a, change);
	if (r == 0 && ret_patch)
		*ret_patch = rewrite ? stored_patch(&a, apd_buf_str(&stored)) : NULL;
	if (r == 0)
		*ret_state = applied(&a);
	end(&a);
	apd_buf_finish(&stored);
	return r;
}

struct apd_state_fold {
	struct applying applying;
	int error;
};

struct apd_state_fold *apd_state_fold_create(struct apd_state *from)
{
	struct apd_state_fold *fold = apd_calloc(1, sizeof(*fold));

	begin(&fold->applying, from, 0, 0);
	return fold;
}

int apd_state_fold_add(struct apd_state_fold *fold, const struct apd_state_change *change)
{
	int r = take(&fold->applying, change);

	if (r < 0)
		fold->error = r;
	return r;
}

struct apd_state *apd_state_fold_finish(struct apd_state_fold *fold)
{
	struct apd_state *state = fold->error ? NULL : applied(&fold->applying);

	end(&fold->applying);
	free(fold);
	return state;
}

struct apd_str apd_state_value(const struct apd_state *state, struct apd_str key)
{
	for (size_t i = 0; i < state->n_values; i++)
		if (apd_str_eq(apd_text_str(state->values[i].key), key))
			return apd_text_str(state->values[i].value);
	return APD_STR_ABSENT;
}

static void add_values(struct apd_buf *out, const struct apd_state *state)
{
	for (size_t i = 0; i < state->n_values; i++) {
		apd_json_add_comma(out);
		apd_json_add_string(out, apd_text_str(state->values[i].key));
		apd_buf_lit(out, ":");
		apd_buf_add_str(out, apd_text_str(state->values[i].value));
	}
}

void apd_state_add_values(struct apd_buf *out, const struct apd_state *state)
{
	apd_buf_lit(out, "{");
	add_values(out, state);
	apd_buf_lit(out, "}");
}

void apd_state_add_messages(struct apd_buf *out, const struct apd_state *state)
{
	apd_buf_lit(out, "[");
	for (size_t i = 0; i < state->n_messages; i++) {
		if (i > 0)
			apd_buf_lit(out, ",");
		apd_buf_add_str(out, apd_text_str(state->messages[i].value));
	}
	apd_buf_lit(out, "]");
}

void apd_state_add_json(struct apd_buf *out, const struct apd_state *state)
{
	apd_buf_lit(out, "{");
	add_values(out, state);
	if (state->has_messages) {
		apd_json_add_comma(out);
		apd_buf_lit(out, "\"messages\":");
		apd_state_add_messages(out, state);
	}
	apd_buf_lit(out, "}");
}
