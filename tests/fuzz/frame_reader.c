/*
 * Fuzz target: the frame reader and the fields of what it gives. The first byte
 * says how much a read brings and how long a message may be; whatever comes, the
 * same bytes in one read and in small ones must give the same messages.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "host/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was seen, as a number that depends on all of it. */
struct seen {
	uint64_t hash;
	unsigned messages;
	int end;
};

static void mix(struct seen *seen, const void *data, size_t len)
{
	const unsigned char *at = data;

	for (size_t i = 0; i < len; i++)
		seen->hash = (seen->hash ^ at[i]) * 0x100000001b3u;
}

/* Walks the fields from a copy of exact size, so that reading past the end is noticed. */
static void walk(struct seen *seen, struct apd_str payload)
{
	char *copy = malloc(payload.len ? payload.len : 1);
	struct apd_fields fields = {copy, copy + payload.len};
	struct apd_str field;
	uint64_t number;

	memcpy(copy, payload.ptr, payload.len);
	(void)apd_fields_struct(&fields, &number, sizeof(number));
	while (apd_fields_next(&fields, &field) == 0) {
		if (field.ptr && field.ptr[field.len] != '\0')
			abort();
		mix(seen, field.ptr, field.len);
	}
	free(copy);
}

/* Reads everything, so many bytes a time. */
static struct seen read_all(const uint8_t *data, size_t size, size_t step, size_t max)
{
	struct apd_frame_reader reader = {.max = max};
	struct seen seen = {.hash = 0xcbf29ce484222325u};
	struct apd_frame frame;
	struct apd_str payload;

	for (size_t at = 0; at < size && seen.end >= 0;) {
		size_t room, n = size - at < step ? size - at : step;
		char *to = apd_frame_reader_room(&reader, &room);

		if (n > room)
			n = room;
		memcpy(to, data + at, n);
		apd_frame_reader_got(&reader, n);
		at += n;
		while ((seen.end = apd_frame_reader_next(&reader, &frame, &payload)) > 0) {
			if (payload.len > max || payload.len != frame.length ||
				(frame.type & APD_FRAME_MORE))
				abort();
			seen.messages++;
			mix(&seen, &frame, sizeof(frame));
			mix(&seen, payload.ptr, payload.len);
			walk(&seen, payload);
		}
	}
	apd_frame_reader_finish(&reader);
	return seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen whole, parts;
	size_t step, max;

	if (size == 0)
		return 0;
	step = (data[0] & 0x0f) + 1;
	max = (size_t)1 << (data[0] >> 4);
	whole = read_all(data + 1, size - 1, size, max);
	parts = read_all(data + 1, size - 1, step, max);
	if (whole.hash != parts.hash || whole.messages != parts.messages || whole.end != parts.end)
		abort();
	return 0;
}
