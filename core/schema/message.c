/* The words of errors. Nothing here is reached by a value that matches. */
#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"
#include "schema/internal.h"

#define MAX_WORDS  8 /* of an enum that are listed */
#define ROOM_WORDS 150 /* bytes, after which no further one is listed */

void apd_schema_trim_utf8(char *text)
{
	size_t len = strlen(text), n = len;
	unsigned char lead;

	while (n && len - n < 3 && ((unsigned char)text[n - 1] & 0xc0) == 0x80)
		n--;
	if (n == 0)
		return;
	lead = (unsigned char)text[n - 1];
	if (lead >= 0xc0 && len - n < (lead >= 0xf0 ? 3u : lead >= 0xe0 ? 2u : 1u))
		text[n - 1] = '\0';
}

bool apd_schema_fail(struct schema_check *c, const struct schema_node *node, uint32_t token,
	const char *fmt, ...)
{
	va_list ap;

	c->failed = token;
	c->failed_node = node;
	if (c->quiet)
		return false;
	va_start(ap, fmt);
	vsnprintf(c->error->message, sizeof(c->error->message), fmt, ap);
	va_end(ap);
	apd_schema_trim_utf8(c->error->message);
	apd_schema_path(c->doc, c->root, token, c->error->path, sizeof(c->error->path));
	return false;
}

/* What a value is, in the words of schemas. */
static const char *kind_of(enum apd_json_type type)
{
	switch (type) {
	case APD_JSON_NULL:
		return "null";
	case APD_JSON_FALSE:
	case APD_JSON_TRUE:
		return "a boolean";
	case APD_JSON_INTEGER:
	case APD_JSON_REAL:
		return "a number";
	case APD_JSON_STRING:
		return "a string";
	case APD_JSON_ARRAY:
		return "an array";
	default:
		return "an object";
	}
}

const char *apd_schema_quote(const struct apd_json *doc, uint32_t i, char out[64])
{
	struct apd_str s = apd_json_slice(doc, i);

	if (apd_json_type(doc, i) >= APD_JSON_ARRAY)
		return kind_of(apd_json_type(doc, i));
	if (s.len <= 48) {
		memcpy(out, s.ptr, s.len);
		out[s.len] = '\0';
		return out;
	}
	memcpy(out, s.ptr, 44);
	out[44] = '\0';
	apd_schema_trim_utf8(out);
	snprintf(out + strlen(out), 64 - strlen(out), "%s", s.ptr[0] == '"' ? "...\"" : "...");
	return out;
}

/* Adds the n-th word of a list of `count`: with a comma or an "or" before it. */
static void add_word(struct apd_buf *out, const char *word, size_t n, size_t count)
{
	if (n > 0)
		apd_buf_add_cstr(out, n + 1 == count ? " or " : ", ");
	apd_buf_add_cstr(out, word);
}

bool apd_schema_fail_types(
	struct schema_check *c, const struct schema_node *node, uint32_t i, uint32_t types)
{
	static const struct {
		uint32_t types;
		const char *word;
	} kinds[] = {
		{SCHEMA_TYPE_OBJECT, "an object"},
		{SCHEMA_TYPE_ARRAY, "an array"},
		{SCHEMA_TYPE_STRING, "a string"},
		{SCHEMA_TYPE_NUMBER, "a number"},
		{SCHEMA_TYPE_INTEGER, "an integer"},
		{SCHEMA_TYPE_BOOLEAN, "a boolean"},
		{SCHEMA_TYPE_NULL, "null"},
	};
	const char *words[APD_COUNT(kinds)], *got = kind_of(apd_json_type(c->doc, i));
	struct apd_buf list = {0};
	size_t count = 0;
	char quote[64];

	if (c->quiet)
		return apd_schema_fail(c, node, i, "%s", got);
	for (size_t n = 0; n < APD_COUNT(kinds); n++) {
		if ((types & kinds[n].types) != kinds[n].types)
			continue;
		words[count++] = kinds[n].word;
		types &= ~kinds[n].types;
	}
	for (size_t n = 0; n < count; n++)
		add_word(&list, words[n], n, count);
	/* "expected an integer, got a number" would leave one wondering. */
	if (apd_json_type(c->doc, i) == APD_JSON_REAL)
		got = apd_schema_quote(c->doc, i, quote);
	if (count == 0)
		apd_schema_fail(c, node, i, "no value is allowed here");
	else
		apd_schema_fail(
			c, node, i, "expected %.*s, got %s", APD_STR_FMT(apd_buf_str(&list)), got);
	apd_buf_finish(&list);
	return false;
}

/* A list of values that is being put into words. */
struct listing {
	const struct apd_json *json[MAX_WORDS];
	uint32_t token[MAX_WORDS];
	size_t count; /* of all, listed or not */
};

static void list_value(struct listing *list, const struct apd_json *json, uint32_t i)
{
	for (size_t n = 0; n < list->count && n < MAX_WORDS; n++)
		if (apd_json_equal(list->json[n], list->token[n], json, i))
			return;
	if (list->count < MAX_WORDS) {
		list->json[list->count] = json;
		list->token[list->count] = i;
	}
	list->count++;
}

/* Writes the list, as far as there is room. */
static void write_listing(const struct listing *list, struct apd_buf *out)
{
	char quote[64];

	for (size_t n = 0; n < list->count; n++) {
		if (n == MAX_WORDS || out->len > ROOM_WORDS) {
			apd_buf_addf(out, " or one of %zu others", list->count - n);
			return;
		}
		add_word(out, apd_schema_quote(list->json[n], list->token[n], quote), n,
			list->count);
	}
}

bool apd_schema_fail_values(struct schema_check *c, const struct schema_node *node, uint32_t i,
	const struct schema_node *const *nodes, size_t count)
{
	struct listing list = {.count = 0};
	struct apd_buf words = {0};
	char quote[64];

	if (c->quiet)
		return apd_schema_fail(c, node, i, "not one of the values");
	for (size_t n = 0; n < count; n++)
		for (const struct schema_values *v = nodes[n]->values; v; v = v->next) {
			if (v->is_const) {
				list_value(&list, &v->json, 0);
				continue;
			}
			apd_json_each_item (&v->json, 0, item)
				list_value(&list, &v->json, item);
		}
	write_listing(&list, &words);
	if (list.count)
		apd_schema_fail(c, node, i, "expected %.*s, got %s",
			APD_STR_FMT(apd_buf_str(&words)), apd_schema_quote(c->doc, i, quote));
	else
		apd_schema_fail(c, node, i, "no value is allowed here");
	apd_buf_finish(&words);
	return false;
}
