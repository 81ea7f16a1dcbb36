/* Stream modes: words, lists of words, and what is neither. */
#include "lab.h"

/* The modes of a row whose request has this stream_mode, or none. */
static unsigned modes_of_row(const char *mode)
{
	struct apd_buf request = {0};
	struct apd_run_row *row;
	unsigned modes;

	apd_buf_lit(&request, "{\"agent_id\":\"a\"");
	if (mode)
		apd_buf_addf(&request, ",\"stream_mode\":%s", mode);
	apd_buf_lit(&request, "}");
	row = lab_row(APD_RUN_PENDING, request.data);
	modes = api_modes_of_row(row);
	apd_run_row_unref(row);
	apd_buf_finish(&request);
	return modes;
}

static void modes_are_words_or_lists(void **state)
{
	(void)state;
	assert_int_equal(modes_of_row(NULL), API_MODE_VALUES);
	assert_int_equal(modes_of_row("null"), API_MODE_VALUES);
	assert_int_equal(modes_of_row("\"messages\""), API_MODE_MESSAGES);
	assert_int_equal(
		modes_of_row("[\"values\",\"updates\"]"), API_MODE_VALUES | API_MODE_UPDATES);
	assert_int_equal(modes_of_row("[\"custom\",\"custom\"]"), API_MODE_CUSTOM);
	assert_int_equal(modes_of_row("[]"), 0);
	assert_int_equal(modes_of_row("[1,\"what\"]"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(modes_are_words_or_lists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
