/* Frames: fields, splitting, putting together, and refusing what is wrong. */
#include "driver.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Feeds bytes to a reader, so many at a time. */
static void feed(struct apd_frame_reader *reader, const char *data, size_t len, size_t step)
{
	while (len) {
		size_t room, n;
		char *to = apd_frame_reader_room(reader, &room);

		n = len < step ? len : step;
		if (n > room)
			n = room;
		memcpy(to, data, n);
		apd_frame_reader_got(reader, n);
		data += n;
		len -= n;
	}
}

static void test_fields(void **state)
{
	const struct apd_str in[] = {APD_STR("one"), APD_STR_ABSENT, APD_STR(""), APD_STR("a\0b")};
	struct apd_frame_reader reader = {.max = 1000};
	struct apd_buf out = {0};
	struct apd_fields fields;
	struct apd_frame frame;
	struct apd_str payload, field;

	(void)state;
	apd_frame_add(&out, APD_FRAME_EMIT, 7, 9, in, APD_COUNT(in));
	feed(&reader, out.data, out.len, 1);
	assert_int_equal(apd_frame_reader_next(&reader, &frame, &payload), 1);
	assert_int_equal(frame.type, APD_FRAME_EMIT);
	assert_int_equal(frame.run, 7);
	assert_int_equal(frame.arg, 9);
	assert_int_equal(payload.len, 8 + 4 + 5 + 8);
	fields = (struct apd_fields){payload.ptr, payload.ptr + payload.len};
	for (size_t i = 0; i < APD_COUNT(in); i++) {
		assert_int_equal(apd_fields_next(&fields, &field), 0);
		assert_true(apd_str_eq(field, in[i]));
		assert_int_equal(!field.ptr, !in[i].ptr);
		if (field.ptr)
			assert_int_equal(field.ptr[field.len], '\0');
	}
	assert_int_equal(apd_fields_next(&fields, &field), -EBADMSG);
	assert_int_equal(apd_frame_reader_next(&reader, &frame, &payload), 0);
	apd_frame_reader_finish(&reader);
	apd_buf_finish(&out);
}

static void test_broken_fields(void **state)
{
	static const char *const broken[] = {"\1\0\0", "\1\0\0\0", "\1\0\0\0a", "\1\0\0\0ab",
		"\xfe\xff\xff\xff"
		"ab"};
	static const size_t lengths[] = {3, 4, 5, 6, 6};
	uint32_t number;
	struct apd_str field;

	(void)state;
	for (size_t i = 0; i < APD_COUNT(broken); i++) {
		/* On the heap, so that reading past the end is noticed. */
		char *copy = malloc(lengths[i]);
		struct apd_fields fields = {copy, copy + lengths[i]};

		memcpy(copy, broken[i], lengths[i]);
		assert_int_equal(apd_fields_next(&fields, &field), -EBADMSG);
		assert_int_equal(apd_fields_struct(&fields, &number, 4), -EBADMSG);
		free(copy);
	}
	struct apd_fields three = {"\3\0\0\0abc", NULL};

	three.end = three.at + 8;
	assert_int_equal(apd_fields_struct(&three, &number, 4), -EBADMSG);
}

/* A message of 2.5 MB becomes three frames and one message again, whatever the reads bring. */
static void test_long_message(void **state)
{
	size_t len = (2u << 20) + (1u << 19), steps[] = {1000, 65536, 5u << 20};
	char *big = malloc(len);
	const struct apd_str in[] = {{big, len}, APD_STR("tail")};
	struct apd_buf out = {0};

	(void)state;
	memset(big, 'x', len);
	apd_frame_add(&out, APD_FRAME_COMMIT, 3, 4, in, 2);
	apd_frame_add(&out, APD_FRAME_DONE, 3, 0, NULL, 0);
	assert_int_equal(out.len, 4 * sizeof(struct apd_frame) + len + 5 + 9);
	for (size_t i = 0; i < APD_COUNT(steps); i++) {
		struct apd_frame_reader reader = {.max = 4u << 20};
		struct apd_fields fields;
		struct apd_frame frame;
		struct apd_str payload, field;

		feed(&reader, out.data, out.len, steps[i]);
		assert_int_equal(apd_frame_reader_next(&reader, &frame, &payload), 1);
		assert_int_equal(frame.type, APD_FRAME_COMMIT);
		assert_int_equal(frame.run, 3);
		assert_int_equal(payload.len, len + 5 + 9);
		fields = (struct apd_fields){payload.ptr, payload.ptr + payload.len};
		assert_int_equal(apd_fields_next(&fields, &field), 0);
		assert_true(apd_str_eq(field, in[0]));
		assert_int_equal(apd_fields_next(&fields, &field), 0);
		assert_true(apd_str_eq(field, in[1]));
		assert_int_equal(apd_frame_reader_next(&reader, &frame, &payload), 1);
		assert_int_equal(frame.type, APD_FRAME_DONE);
		assert_int_equal(payload.len, 0);
		apd_frame_reader_finish(&reader);
	}
	apd_buf_finish(&out);
	free(big);
}

/* What a message of one header gives. */
static int read_header(struct apd_frame header, size_t max)
{
	struct apd_frame_reader reader = {.max = max};
	struct apd_frame frame;
	struct apd_str payload;
	int r;

	feed(&reader, (const char *)&header, sizeof(header), sizeof(header));
	r = apd_frame_reader_next(&reader, &frame, &payload);
	apd_frame_reader_finish(&reader);
	return r;
}

static void test_bad_headers(void **state)
{
	const struct apd_frame good = {.type = APD_FRAME_PING, .magic = APD_FRAME_MAGIC};
	struct apd_frame header = good;

	(void)state;
	assert_int_equal(read_header(good, 10), 1);
	header.magic++;
	assert_int_equal(read_header(header, 10), -EBADMSG);
	header = good;
	header.length = APD_FRAME_MAX + 1;
	assert_int_equal(read_header(header, 64u << 20), -EBADMSG);
	header.length = 11;
	assert_int_equal(read_header(header, 10), -EMSGSIZE);
	header.length = 10;
	assert_int_equal(read_header(header, 10), 0);
	header = good;
	header.type = 0;
	assert_int_equal(read_header(header, 10), -EBADMSG);
	header.type = APD_FRAME_MORE | APD_FRAME_PING;
	assert_int_equal(read_header(header, 10), -EBADMSG);
}

/* Parts of a message must belong together, and the whole stays within its limit. */
static void test_bad_parts(void **state)
{
	struct apd_frame parts[] = {
		{.length = 4,
			.type = APD_FRAME_EMIT | APD_FRAME_MORE,
			.magic = APD_FRAME_MAGIC,
			.run = 1},
		{.length = 4, .type = APD_FRAME_EMIT, .magic = APD_FRAME_MAGIC, .run = 1},
	};
	const struct {
		uint16_t type;
		uint32_t run, arg;
		size_t max;
		int result;
	} cases[] = {
		{APD_FRAME_EMIT, 1, 0, 8, 1},
		{APD_FRAME_EMIT, 1, 0, 7, -EMSGSIZE},
		{APD_FRAME_EMIT, 2, 0, 8, -EBADMSG},
		{APD_FRAME_EMIT, 1, 1, 8, -EBADMSG},
		{APD_FRAME_DONE, 1, 0, 8, -EBADMSG},
	};

	(void)state;
	for (size_t i = 0; i < APD_COUNT(cases); i++) {
		struct apd_frame_reader reader = {.max = cases[i].max};
		struct apd_frame frame;
		struct apd_str payload;

		parts[1].type = cases[i].type;
		parts[1].run = cases[i].run;
		parts[1].arg = cases[i].arg;
		for (size_t part = 0; part < 2; part++) {
			feed(&reader, (const char *)&parts[part], sizeof(parts[part]), 100);
			feed(&reader, "abcd", 4, 100);
		}
		assert_int_equal(apd_frame_reader_next(&reader, &frame, &payload), cases[i].result);
		if (cases[i].result == 1)
			assert_memory_equal(payload.ptr, "abcdabcd", 8);
		apd_frame_reader_finish(&reader);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_broken_fields),
		cmocka_unit_test(test_long_message),
		cmocka_unit_test(test_bad_headers),
		cmocka_unit_test(test_bad_parts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
