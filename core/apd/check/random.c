/*
 * Making values: the schema's keywords are followed as far as that is simple,
 * and the schema judges what came of it.
 */
#include "apd/check/random.h"

#include "base/alloc.h"
#include "base/json_scan.h"
#include "base/json_text.h"
#include "schema/schema.h"

#define DEPTH_MAX 6
#define TRIES     50

/* A value in the making. */
struct maker {
	struct apd_id_gen *random;
	struct apd_json schema;
	bool least;
	struct apd_buf *out;
};

static void make(struct maker *maker, uint32_t schema, unsigned depth);

/* A number below n. */
static uint32_t below(struct apd_id_gen *random, uint32_t n)
{
	return n ? (uint32_t)(apd_id_random(random) % n) : 0;
}

/* A text of so many characters; some take two bytes, some must be escaped. */
static void add_text(struct maker *maker, uint32_t len)
{
	static const char *const letters[] = {"a", "e", "i", "n", "o", "r", "s", "t", " ", "\"",
		"\\", "\n", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x99\x82", "{", "\x01"};
	struct apd_buf text = {0};

	for (uint32_t i = 0; i < len; i++)
		apd_buf_add_cstr(&text,
			maker->least ? "a" : letters[below(maker->random, APD_COUNT(letters))]);
	apd_json_add_string(maker->out, apd_buf_str(&text));
	apd_buf_finish(&text);
}

/* Any value at all. */
static void add_any(struct maker *maker, unsigned depth)
{
	uint32_t n = below(maker->random, 4);

	switch (maker->least ? 0 : below(maker->random, depth < DEPTH_MAX ? 7 : 5)) {
	case 0:
		apd_buf_lit(maker->out, "null");
		break;
	case 1:
		apd_buf_add_cstr(maker->out, below(maker->random, 2) ? "true" : "false");
		break;
	case 2:
		apd_buf_add_i64(maker->out,
			(int64_t)apd_id_random(maker->random) >> below(maker->random, 64));
		break;
	case 3:
		apd_buf_addf(maker->out, "%d.%ue%d", (int)below(maker->random, 200) - 100,
			below(maker->random, 1000), (int)below(maker->random, 40) - 20);
		break;
	case 4:
		add_text(maker, below(maker->random, 40));
		break;
	case 5:
		apd_buf_lit(maker->out, "[");
		for (uint32_t i = 0; i < n; i++) {
			apd_json_add_comma(maker->out);
			add_any(maker, depth + 1);
		}
		apd_buf_lit(maker->out, "]");
		break;
	default:
		apd_buf_lit(maker->out, "{");
		for (uint32_t i = 0; i < n; i++) {
			apd_buf_addf(maker->out, "%s\"k%u\":", i ? "," : "", i);
			add_any(maker, depth + 1);
		}
		apd_buf_lit(maker->out, "}");
	}
}

/*
 * A number of a keyword, or another where the keyword is not there. Numbers that
 * are too large to reckon with are made smaller; the schema will say no to them.
 */
static int64_t number(const struct maker *maker, uint32_t schema, const char *key, int64_t other)
{
	const int64_t most = INT64_C(1) << 53;
	uint32_t i = apd_json_member(&maker->schema, schema, apd_str(key));
	int64_t value;

	if (!i || apd_json_int64(&maker->schema, i, &value) < 0)
		return other;
	return value < -most ? -most : value > most ? most : value;
}

static void add_number(struct maker *maker, uint32_t schema, bool integer)
{
	int64_t low =
		number(maker, schema, "minimum", number(maker, schema, "exclusiveMinimum", -1) + 1);
	int64_t high = number(maker, schema, "maximum",
		number(maker, schema, "exclusiveMaximum", low + 1000) - 1);
	int64_t step = number(maker, schema, "multipleOf", 1);
	int64_t value = low;

	if (!maker->least && high > low && high - low < INT32_MAX)
		value += below(maker->random, (uint32_t)(high - low) + 1);
	if (step > 1)
		value = (value + step - 1) / step * step;
	apd_buf_add_i64(maker->out, value);
	if (!integer && !maker->least && value < high)
		apd_buf_addf(maker->out, ".%u", below(maker->random, 1000));
}

static void add_string(struct maker *maker, uint32_t schema)
{
	int64_t low = number(maker, schema, "minLength", 0);
	int64_t high = number(maker, schema, "maxLength", low + 40);

	if (high > low + 200)
		high = low + 200;
	if (low < 0 || low > 10000 || high < low)
		high = low = 1;
	add_text(maker,
		(uint32_t)low +
			(maker->least ? 0 : below(maker->random, (uint32_t)(high - low) + 1)));
}

static void add_array(struct maker *maker, uint32_t schema, unsigned depth)
{
	uint32_t items = apd_json_member(&maker->schema, schema, APD_STR("items"));
	int64_t low = number(maker, schema, "minItems", 0);
	int64_t high = number(maker, schema, "maxItems", low + 3);
	int64_t n = low;

	if (!maker->least && high > low)
		n += below(maker->random, (uint32_t)(high - low < 4 ? high - low : 4) + 1);
	apd_buf_lit(maker->out, "[");
	for (int64_t i = 0; i < n && i < 100; i++) {
		apd_json_add_comma(maker->out);
		if (items)
			make(maker, items, depth + 1);
		else
			add_any(maker, depth + 1);
	}
	apd_buf_lit(maker->out, "]");
}

/* True if the key (a string of the schema's) is one of the required. */
static bool is_required(const struct maker *maker, uint32_t schema, uint32_t key)
{
	uint32_t required = apd_json_member(&maker->schema, schema, APD_STR("required"));

	if (required && apd_json_type(&maker->schema, required) == APD_JSON_ARRAY)
		apd_json_each_item (&maker->schema, required, i)
			if (apd_json_type(&maker->schema, i) == APD_JSON_STRING &&
				apd_json_same_string(&maker->schema, i, &maker->schema, key))
				return true;
	return false;
}

static void add_object(struct maker *maker, uint32_t schema, unsigned depth)
{
	const struct apd_json *json = &maker->schema;
	uint32_t properties = apd_json_member(json, schema, APD_STR("properties"));

	apd_buf_lit(maker->out, "{");
	if (properties && apd_json_type(json, properties) == APD_JSON_OBJECT) {
		apd_json_each_member (json, properties, k) {
			if (!is_required(maker, schema, k) &&
				(maker->least || depth > DEPTH_MAX || below(maker->random, 2)))
				continue;
			apd_json_add_comma(maker->out);
			apd_buf_add_str(maker->out, apd_json_slice(json, k));
			apd_buf_lit(maker->out, ":");
			make(maker, k + 1, depth + 1);
		}
	}
	if (!maker->least && !apd_json_member(json, schema, APD_STR("additionalProperties")) &&
		below(maker->random, 4) == 0) {
		apd_json_add_comma(maker->out);
		apd_buf_lit(maker->out, "\"unheard of\":");
		add_any(maker, depth + 1);
	}
	apd_buf_lit(maker->out, "}");
}

/* One of an array's items, by chance. */
static uint32_t one_of(const struct maker *maker, uint32_t array)
{
	uint32_t at = maker->least ? 0 : below(maker->random, maker->schema.toks[array].count),
		 n = 0;

	apd_json_each_item (&maker->schema, array, i)
		if (n++ == at)
			return i;
	return 0;
}

/* The schema that a "#/..." points to, or 0. */
static uint32_t resolve(const struct maker *maker, uint32_t ref)
{
	struct apd_buf scratch = {0};
	struct apd_str path = apd_json_string(&maker->schema, ref, &scratch);
	uint32_t at = 0;

	if (path.len < 2 || path.ptr[0] != '#')
		path.len = 0;
	for (size_t i = 2; i <= path.len && path.len;) {
		const char *slash = memchr(path.ptr + i, '/', path.len - i);
		size_t end = slash ? (size_t)(slash - path.ptr) : path.len;

		at = apd_json_type(&maker->schema, at) == APD_JSON_OBJECT
			? apd_json_member(
				  &maker->schema, at, (struct apd_str){path.ptr + i, end - i})
			: 0;
		if (!at)
			break;
		i = end + 1;
	}
	apd_buf_finish(&scratch);
	return at;
}

/* Follows a keyword that stands for the whole value: true if there is one. */
static bool make_whole(struct maker *maker, uint32_t schema, unsigned depth)
{
	static const char *const choices[] = {"oneOf", "anyOf", "allOf"};
	const struct apd_json *json = &maker->schema;
	uint32_t i;

	i = apd_json_member(json, schema, APD_STR("const"));
	if (!i) {
		i = apd_json_member(json, schema, APD_STR("enum"));
		i = i && apd_json_type(json, i) == APD_JSON_ARRAY ? one_of(maker, i) : 0;
	}
	if (i) {
		apd_buf_add_str(maker->out, apd_json_slice(json, i));
		return true;
	}
	i = apd_json_member(json, schema, APD_STR("$ref"));
	i = i && apd_json_type(json, i) == APD_JSON_STRING ? resolve(maker, i) : 0;
	for (size_t c = 0; c < APD_COUNT(choices) && !i; c++) {
		i = apd_json_member(json, schema, apd_str(choices[c]));
		i = i && apd_json_type(json, i) == APD_JSON_ARRAY ? one_of(maker, i) : 0;
	}
	if (i && depth <= 2 * DEPTH_MAX)
		make(maker, i, depth + 1);
	return i && depth <= 2 * DEPTH_MAX;
}

/* True if the schema is one of objects, by its type or by the other things that it says. */
static bool is_object(const struct apd_json *json, uint32_t schema, uint32_t type)
{
	if (type)
		return apd_json_type(json, type) == APD_JSON_STRING &&
			apd_json_is(json, type, APD_STR("object"));
	return apd_json_member(json, schema, APD_STR("properties")) ||
		apd_json_member(json, schema, APD_STR("required"));
}

/* Adds a value for the schema at an index. */
static void make(struct maker *maker, uint32_t schema, unsigned depth)
{
	const struct apd_json *json = &maker->schema;
	uint32_t type;

	if (apd_json_type(json, schema) != APD_JSON_OBJECT || depth > 2 * DEPTH_MAX) {
		add_any(maker, depth);
		return;
	}
	type = apd_json_member(json, schema, APD_STR("type"));
	if (type && apd_json_type(json, type) == APD_JSON_ARRAY)
		type = one_of(maker, type);
	if (make_whole(maker, schema, depth))
		return;
	if (is_object(json, schema, type))
		add_object(maker, schema, depth);
	else if (!type || apd_json_type(json, type) != APD_JSON_STRING)
		add_any(maker, depth);
	else if (apd_json_is(json, type, APD_STR("array")))
		add_array(maker, schema, depth);
	else if (apd_json_is(json, type, APD_STR("string")))
		add_string(maker, schema);
	else if (apd_json_is(json, type, APD_STR("boolean")))
		apd_buf_add_cstr(maker->out, below(maker->random, 2) ? "true" : "false");
	else if (apd_json_is(json, type, APD_STR("null")))
		apd_buf_lit(maker->out, "null");
	else
		add_number(maker, schema, apd_json_is(json, type, APD_STR("integer")));
}

bool apd_check_matches(struct apd_str schema, struct apd_str value)
{
	struct apd_json json = {0};
	struct apd_schema *compiled;
	bool matches = true;

	if (!schema.ptr)
		return true;
	if (apd_schema_compile(schema, &compiled, NULL) < 0)
		return false;
	matches =
		apd_json_scan(&json, value) == 0 && apd_schema_check(compiled, &json, 0, NULL) == 0;
	apd_json_finish(&json);
	apd_schema_destroy(compiled);
	return matches;
}

bool apd_check_random(
	struct apd_id_gen *random, struct apd_str schema, bool least, struct apd_buf *out)
{
	struct maker maker = {.random = random, .least = least, .out = out};
	size_t before = out->len;
	bool made = false;

	if (!schema.ptr)
		schema = APD_STR("true");
	if (apd_json_scan(&maker.schema, schema) < 0)
		return false;
	for (unsigned i = 0; i < TRIES && !made; i++) {
		out->len = before;
		make(&maker, 0, 0);
		made = apd_check_matches(
			schema, (struct apd_str){out->data + before, out->len - before});
	}
	if (!made)
		out->len = before;
	apd_json_finish(&maker.schema);
	return made;
}
