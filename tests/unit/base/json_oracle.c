/*
 * The comparison with jansson. By design the two differ in this: the scanner
 * refuses more than 128 levels, jansson refuses integers beyond INT64_MAX and
 * reals beyond what a double holds. And jansson overlooks a NUL byte behind a
 * number.
 */
#include "json_oracle.h"

#include <jansson.h>

/* What is carried through the walk over a document. */
struct walk {
	const struct apd_json *json;
	struct apd_buf scratch;
	const char *trouble;
	bool reals; /* there was one */
};

/* Notes what is wrong; returns false. */
static bool differ(struct walk *w, const char *trouble)
{
	w->trouble = trouble;
	return false;
}

static bool check_string(struct walk *w, uint32_t i, const char *value, size_t len)
{
	struct apd_str expected = {value, len};

	if (apd_json_type(w->json, i) != APD_JSON_STRING)
		return differ(w, "no string");
	if (!apd_str_eq(apd_json_string(w->json, i, &w->scratch), expected))
		return differ(w, "another string");
	if (!apd_json_is(w->json, i, expected))
		return differ(w, "apd_json_is() disagrees");
	return true;
}

static bool check_number(struct walk *w, uint32_t i, const json_t *value)
{
	int64_t integer = 0;
	double real = 0;

	if (apd_json_double(w->json, i, &real) < 0 || real != json_number_value(value))
		return differ(w, "another number");
	if (json_is_real(value)) {
		w->reals = true;
		if (apd_json_type(w->json, i) != APD_JSON_REAL)
			return differ(w, "no real");
		if (apd_json_int64(w->json, i, &integer) == 0 && (double)integer != real)
			return differ(w, "another integral value");
		return true;
	}
	if (apd_json_type(w->json, i) != APD_JSON_INTEGER)
		return differ(w, "no integer");
	if (apd_json_int64(w->json, i, &integer) < 0 || integer != json_integer_value(value))
		return differ(w, "another integer");
	return true;
}

static bool check_value(struct walk *w, uint32_t i, const json_t *value);

static bool check_array(struct walk *w, uint32_t i, const json_t *value)
{
	size_t n = 0;

	if (apd_json_type(w->json, i) != APD_JSON_ARRAY)
		return differ(w, "no array");
	if (w->json->toks[i].count != json_array_size(value))
		return differ(w, "another number of items");
	apd_json_each_item (w->json, i, k)
		if (!check_value(w, k, json_array_get(value, n++)))
			return false;
	return n == json_array_size(value) || differ(w, "fewer items");
}

static bool check_object(struct walk *w, uint32_t i, const json_t *value)
{
	size_t n = 0;

	if (apd_json_type(w->json, i) != APD_JSON_OBJECT)
		return differ(w, "no object");
	if (w->json->toks[i].count != json_object_size(value))
		return differ(w, "another number of members");
	apd_json_each_member (w->json, i, k) {
		struct apd_str key = apd_json_string(w->json, k, &w->scratch);
		char *name = strndup(key.ptr, key.len);
		const json_t *member = json_object_get(value, name);

		n++;
		/* For large objects, each look-up is a walk: a few have to do. */
		if ((n < 50 || n % 64 == 0) && apd_json_member(w->json, i, apd_str(name)) != k + 1)
			differ(w, "a member is not found");
		if (!member)
			differ(w, "another key");
		else if (check_string(w, k, name, strlen(name)))
			check_value(w, k + 1, member);
		free(name);
		if (w->trouble)
			return false;
	}
	return n == json_object_size(value) || differ(w, "fewer members");
}

static bool check_value(struct walk *w, uint32_t i, const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_NULL:
		return apd_json_type(w->json, i) == APD_JSON_NULL || differ(w, "no null");
	case JSON_TRUE:
		return apd_json_type(w->json, i) == APD_JSON_TRUE || differ(w, "no true");
	case JSON_FALSE:
		return apd_json_type(w->json, i) == APD_JSON_FALSE || differ(w, "no false");
	case JSON_STRING:
		return check_string(w, i, json_string_value(value), json_string_length(value));
	case JSON_INTEGER:
	case JSON_REAL:
		return check_number(w, i, value);
	case JSON_ARRAY:
		return check_array(w, i, value);
	case JSON_OBJECT:
		return check_object(w, i, value);
	}
	return differ(w, "an unknown type");
}

/* What jansson writes again, with the keys sorted, is the same value. */
static bool check_dump(struct walk *w, const json_t *value)
{
	char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_SORT_KEYS | JSON_ENSURE_ASCII);
	struct apd_json again = {0};

	if (!text)
		return differ(w, "jansson cannot write it");
	if (apd_json_scan(&again, apd_str(text)) < 0)
		differ(w, "what jansson wrote is refused");
	/* jansson rounds reals. */
	else if (!w->reals &&
		(!apd_json_equal(w->json, 0, &again, 0) || !apd_json_equal(&again, 0, w->json, 0)))
		differ(w, "not equal to what jansson wrote");
	else if (!w->reals && w->json->count < 200 &&
		(!apd_json_contains(w->json, 0, &again, 0) ||
			!apd_json_contains(&again, 0, w->json, 0)))
		differ(w, "does not contain what jansson wrote");
	apd_json_finish(&again);
	free(text);
	return !w->trouble;
}

/* Tokens lie within each other and in order, and stand for what their slice is. */
static const char *check_tokens(const struct apd_json *json)
{
	if (json->toks[0].next != json->count)
		return "the first token is not the whole";
	for (uint32_t i = 0; i < json->count; i++) {
		const struct apd_json_tok *tok = &json->toks[i];

		if (tok->len == 0 || (size_t)tok->start + tok->len > json->text.len)
			return "a token lies outside";
		if (tok->next <= i || tok->next > json->count)
			return "a token's next is wrong";
		if (i > 0 && tok->start <= json->toks[i - 1].start)
			return "tokens are out of order";
		if (tok->next < json->count && json->toks[tok->next].start < tok->start + tok->len)
			return "tokens overlap";
	}
	return apd_json_equal(json, 0, json, 0) ? NULL : "not equal to itself";
}

static const char *check_refusal(
	const struct apd_json *json, struct apd_str text, const json_t *value)
{
	uint32_t line = 1, column = 1;
	size_t at = 0;

	while (at < text.len && (line < json->error_line || column < json->error_column)) {
		column = text.ptr[at] == '\n' ? 1 : column + 1;
		line += text.ptr[at++] == '\n';
	}
	if (line != json->error_line || column != json->error_column)
		return "the place of the error lies outside";
	if (value && strcmp(json->error, "nested deeper than 128") != 0 &&
		!(at < text.len && text.ptr[at] == '\0'))
		return "refused, and jansson takes it";
	return NULL;
}

const char *json_oracle_check(struct apd_json *json, struct apd_str text)
{
	struct walk w = {.json = json};
	json_error_t error;
	json_t *value;
	int rc;

	value = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
	rc = apd_json_scan(json, text);
	if (rc < 0) {
		w.trouble = check_refusal(json, text, value);
	} else {
		w.trouble = check_tokens(json);
		if (!value && json_error_code(&error) != json_error_numeric_overflow)
			w.trouble = "taken, and jansson refuses it";
		if (value && !w.trouble && check_value(&w, 0, value))
			check_dump(&w, value);
	}
	json_decref(value);
	apd_buf_finish(&w.scratch);
	return w.trouble;
}
