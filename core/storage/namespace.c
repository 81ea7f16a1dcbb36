/* Namespaces as one text: see item.h for its shape. */
#include <errno.h>

#include "base/json_text.h"
#include "storage/item.h"

#define END    '\x1f' /* of an element */
#define ESCAPE '\x1e'

/* Adds one element and its end. */
static void add_element(struct apd_buf *out, struct apd_str element)
{
	for (size_t i = 0; i < element.len; i++) {
		if (element.ptr[i] == END || element.ptr[i] == ESCAPE)
			apd_buf_add_char(out, ESCAPE);
		apd_buf_add_char(out, element.ptr[i]);
	}
	apd_buf_add_char(out, END);
}

int apd_namespace_of_json(struct apd_buf *out, const struct apd_json *json, uint32_t i)
{
	struct apd_buf scratch = {0};
	size_t before = out->len;
	int r = 0;

	if (apd_json_type(json, i) != APD_JSON_ARRAY)
		return -EINVAL;
	if (json->toks[i].count > APD_NAMESPACE_DEPTH_MAX)
		return -E2BIG;
	apd_json_each_item (json, i, k) {
		struct apd_str element;

		if (apd_json_type(json, k) != APD_JSON_STRING) {
			r = -EINVAL;
			break;
		}
		element = apd_json_string(json, k, &scratch);
		if (element.len == 0)
			r = -EINVAL;
		else if (out->len - before + element.len >= APD_NAMESPACE_MAX)
			r = -E2BIG;
		if (r < 0)
			break;
		add_element(out, element);
	}
	apd_buf_finish(&scratch);
	if (r == 0 && out->len - before > APD_NAMESPACE_MAX)
		r = -E2BIG;
	if (r < 0 && out->data)
		out->len = before;
	return r;
}

bool apd_namespace_next(struct apd_str *ns, struct apd_buf *element)
{
	size_t i = 0;

	if (ns->len == 0)
		return false;
	apd_buf_clear(element);
	for (; i < ns->len && ns->ptr[i] != END; i++) {
		if (ns->ptr[i] == ESCAPE && i + 1 < ns->len)
			i++;
		apd_buf_add_char(element, ns->ptr[i]);
	}
	i += i < ns->len;
	ns->ptr += i;
	ns->len -= i;
	return true;
}

void apd_namespace_add_json(struct apd_buf *out, struct apd_str ns)
{
	struct apd_buf element = {0};

	apd_buf_lit(out, "[");
	while (apd_namespace_next(&ns, &element)) {
		apd_json_add_comma(out);
		apd_json_add_string(out, apd_buf_str(&element));
	}
	apd_buf_lit(out, "]");
	apd_buf_finish(&element);
}
