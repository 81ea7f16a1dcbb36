/* Stream modes: their words, as bits. */
#include "api/internal.h"
#include "base/alloc.h"

/* The bit of one word. */
static unsigned mode_of(const struct apd_json *json, uint32_t i)
{
	static const struct {
		struct apd_str word;
		unsigned bit;
	} modes[] = {
		{{"values", 6}, API_MODE_VALUES},
		{{"updates", 7}, API_MODE_UPDATES},
		{{"messages", 8}, API_MODE_MESSAGES},
		{{"custom", 6}, API_MODE_CUSTOM},
	};

	for (size_t m = 0; m < APD_COUNT(modes); m++)
		if (apd_json_type(json, i) == APD_JSON_STRING &&
			apd_json_is(json, i, modes[m].word))
			return modes[m].bit;
	return 0;
}

unsigned api_modes_of(const struct apd_json *json, uint32_t i)
{
	unsigned modes = 0;

	if (apd_json_type(json, i) != APD_JSON_ARRAY)
		return mode_of(json, i);
	apd_json_each_item (json, i, item)
		modes |= mode_of(json, item);
	return modes;
}

unsigned api_modes_of_row(const struct apd_run_row *row)
{
	struct apd_json json = {0};
	unsigned modes = 0;
	uint32_t i = 0;

	if (apd_json_scan(&json, row->request) == 0 && apd_json_type(&json, 0) == APD_JSON_OBJECT)
		i = apd_json_given(&json, 0, APD_STR("stream_mode"));
	if (i)
		modes = api_modes_of(&json, i);
	apd_json_finish(&json);
	return i ? modes : API_MODE_VALUES;
}

unsigned api_modes_of_query(struct apd_request_maker *maker, const struct apd_http_request *request)
{
	unsigned modes = 0;

	for (unsigned n = 0;; n++) {
		struct apd_str word = apd_http_request_query_at(request, "stream_mode", n);

		if (!word.ptr)
			return modes;
		apd_buf_clear(&maker->scratch);
		apd_buf_addf(&maker->scratch, "\"%.*s\"", APD_STR_FMT(word));
		if (apd_json_scan(&maker->value, apd_buf_str(&maker->scratch)) == 0)
			modes |= api_modes_of(&maker->value, 0);
	}
}
