/* Pins the ABI: every size, every offset and every number of ap/agent.h. */
#include <ap/agent.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Checked by the compiler, so that a change does not even build. */
#define SIZE(type, size) _Static_assert(sizeof(type) == (size), "the size of " #type " changed");
#define FIELD(type, field, offset, size)                                              \
	_Static_assert(offsetof(type, field) == (offset), #type "." #field " moved"); \
	_Static_assert(sizeof(((type *)0)->field) == (size), #type "." #field " changed its size");
#include "layout.inc"
#undef SIZE
#undef FIELD

#define NUMBER(name, value) _Static_assert((name) == (value), #name " changed")

NUMBER(AP_ABI_MAJOR, 1u);
NUMBER(AP_ABI_MINOR, 0u);
NUMBER(AP_PLUGIN_MAGIC, 0x31765041u);
NUMBER(AP_OK, 0);
NUMBER(AP_INTERRUPTED, 1);
NUMBER(AP_E_FAILED, -1);
NUMBER(AP_E_INVALID, -2);
NUMBER(AP_E_NOMEM, -3);
NUMBER(AP_E_CANCELLED, -4);
NUMBER(AP_E_DEADLINE, -5);
NUMBER(AP_E_NOT_FOUND, -6);
NUMBER(AP_E_CONFLICT, -7);
NUMBER(AP_E_LIMIT, -8);
NUMBER(AP_E_UNAVAILABLE, -9);
NUMBER(AP_E_UNSUPPORTED, -10);
NUMBER(AP_E_DENIED, -11);
NUMBER(AP_E_MISUSE, -12);
NUMBER(AP_LOG_DEBUG, 1);
NUMBER(AP_LOG_INFO, 2);
NUMBER(AP_LOG_WARN, 3);
NUMBER(AP_LOG_ERROR, 4);
NUMBER(AP_CHANNEL_MESSAGES, 1);
NUMBER(AP_CHANNEL_TOOLS, 2);
NUMBER(AP_CHANNEL_CUSTOM, 3);
NUMBER(AP_CHANNEL_TASKS, 4);
NUMBER(AP_CHANNEL_LIFECYCLE, 5);
NUMBER(AP_RUN_EPHEMERAL, 1);
NUMBER(AP_AGENT_NEEDS_THREAD, 1);
NUMBER(AP_AGENT_RETRY_SAFE, 2);
NUMBER(AP_AGENT_WANTS_TRANSCRIPT, 4);
NUMBER(AP_UNLIMITED, 0xffffffffu);

/* One line of layout.inc; field is NULL for the size of the type itself. */
struct line {
	const char *type;
	const char *field;
	size_t offset;
	size_t size;
};

static const struct line lines[] = {
#define SIZE(type, size)                 {#type, NULL, 0, size},
#define FIELD(type, field, offset, size) {#type, #field, offset, size},
#include "layout.inc"
#undef SIZE
#undef FIELD
};

/*
 * Each field begins where the one before it ends and the last ends with the type: so the
 * structs have no holes whose bytes mean nothing, and no field is missing above.
 */
static void test_fields_fill_their_structs(void **state)
{
	size_t end = 0, total = 0;
	const char *type = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		if (!lines[i].field) {
			assert_int_equal(end, total);
			type = lines[i].type;
			total = lines[i].size;
			end = 0;
			continue;
		}
		assert_string_equal(lines[i].type, type);
		if (lines[i].offset != end)
			print_error("%s.%s\n", type, lines[i].field);
		assert_int_equal(lines[i].offset, end);
		end += lines[i].size;
	}
	assert_int_equal(end, total);
}

/* What the host reads from the file without loading it is integers only. */
static void test_plugin_begins_with_integers(void **state)
{
	static const ap_plugin plugin = {
		.magic = AP_PLUGIN_MAGIC,
		.size = sizeof(ap_plugin),
		.abi_major = 7,
		.abi_minor = 8,
		.needs_minor = 9,
	};
	uint32_t words[6];

	(void)state;
	memcpy(words, &plugin, sizeof(words));
	assert_memory_equal(words, "APv1", 4);
	assert_int_equal(words[1], sizeof(ap_plugin));
	assert_int_equal(words[2], 7);
	assert_int_equal(words[3], 8);
	assert_int_equal(words[4], 9);
	assert_int_equal(words[5], 0);
	assert_string_equal(AP_PLUGIN_SYMBOL, "ap_plugin_v1");
}

/* AP_HAS goes by the size that the maker wrote, not by the header that reads. */
static void test_has(void **state)
{
	ap_run run = {.size = sizeof(ap_run)};

	(void)state;
	assert_true(AP_HAS(&run, ap_run, flags));
	run.size = offsetof(ap_run, flags) + 3;
	assert_false(AP_HAS(&run, ap_run, flags));
	assert_true(AP_HAS(&run, ap_run, stop_fd));
	run.size = offsetof(ap_run, flags) + 4;
	assert_true(AP_HAS(&run, ap_run, flags));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields_fill_their_structs),
		cmocka_unit_test(test_plugin_begins_with_integers),
		cmocka_unit_test(test_has),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
