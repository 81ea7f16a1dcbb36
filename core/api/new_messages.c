/* Messages that clients send: each gets an id if it has none. */
#include "api/internal.h"
#include "base/clock.h"
#include "base/json_text.h"

void api_messages_add(struct apd_buf *out, struct apd_request_maker *maker,
	const struct apd_json *body, uint32_t messages)
{
	apd_json_each_item (body, messages, m) {
		struct apd_id id;

		apd_json_add_comma(out);
		if (apd_json_given(body, m, APD_STR("id"))) {
			apd_buf_add_str(out, apd_json_slice(body, m));
			continue;
		}
		id = apd_id_next(&maker->ids, apd_clock_wall_us());
		apd_buf_lit(out, "{");
		apd_json_each_member (body, m, k) {
			if (apd_json_is(body, k, APD_STR("id")))
				continue;
			apd_json_add_comma(out);
			apd_buf_add_str(out, apd_json_slice(body, k));
			apd_buf_lit(out, ":");
			apd_buf_add_str(out, apd_json_slice(body, k + 1));
		}
		apd_json_member_id(out, "id", &id);
		apd_buf_lit(out, "}");
	}
}
