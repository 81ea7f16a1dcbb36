/* What a message must have to be one. */
#include "host/message_shape.h"

static bool is_of(const struct apd_json *json, uint32_t i, enum apd_json_type type)
{
	return i && apd_json_type(json, i) == type;
}

/* True if content is a text or an array of blocks, each of which says its type. */
static bool is_content(const struct apd_json *json, uint32_t content)
{
	if (is_of(json, content, APD_JSON_STRING))
		return true;
	if (!is_of(json, content, APD_JSON_ARRAY))
		return false;
	apd_json_each_item (json, content, i) {
		if (apd_json_type(json, i) != APD_JSON_OBJECT ||
			!is_of(json, apd_json_member(json, i, APD_STR("type")), APD_JSON_STRING))
			return false;
	}
	return true;
}

static const char *check(const struct apd_json *json, uint32_t message)
{
	uint32_t id, type, metadata;

	if (apd_json_type(json, message) != APD_JSON_OBJECT)
		return "messages must be an array of objects";
	id = apd_json_given(json, message, APD_STR("id"));
	type = apd_json_member(json, message, APD_STR("type"));
	metadata = apd_json_member(json, message, APD_STR("metadata"));
	if (id && apd_json_type(json, id) != APD_JSON_STRING)
		return "the id of a message must be a string";
	if (is_of(json, type, APD_JSON_STRING) && apd_json_is(json, type, APD_STR("remove")))
		return id ? NULL : "a message to remove must have an id";
	if (!is_of(json, apd_json_member(json, message, APD_STR("role")), APD_JSON_STRING))
		return "a message must have a role, a string";
	if (!is_content(json, apd_json_member(json, message, APD_STR("content"))))
		return "a message must have content, a string or an array of blocks with a type";
	if (metadata && apd_json_type(json, metadata) != APD_JSON_OBJECT)
		return "the metadata of a message must be an object";
	return NULL;
}

const char *apd_message_shape_check(const struct apd_json *json, uint32_t messages)
{
	const char *why = NULL;

	if (apd_json_type(json, messages) != APD_JSON_ARRAY)
		return "messages must be an array of objects";
	for (uint32_t i = messages + 1; i < json->toks[messages].next && !why;
		i = json->toks[i].next)
		why = check(json, i);
	return why;
}
