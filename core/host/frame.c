/* Writing messages as frames and putting them together again. */
#include "host/frame.h"

#include <errno.h>
#include <string.h>

/* How much a read() may bring at once. */
#define ROOM (64u << 10)
/* An input buffer over this is given back when it runs empty. */
#define KEEP (1u << 20)

#define HEADER sizeof(struct apd_frame)

/* Writes one message's bytes; begins a new frame whenever one is full. */
struct writer {
	struct apd_buf *out;
	struct apd_frame header;
	size_t left; /* bytes of the message still to come, frames apart */
	size_t space; /* what still fits the frame that is open */
};

/* Writes the header of the frame that holds what is left, or the next part of it. */
static void open_frame(struct writer *w)
{
	struct apd_frame header = w->header;

	if (w->left > APD_FRAME_MAX) {
		header.length = APD_FRAME_MAX;
		header.type |= APD_FRAME_MORE;
	} else {
		header.length = (uint32_t)w->left;
	}
	w->space = header.length;
	apd_buf_add(w->out, &header, HEADER);
}

static void put(struct writer *w, const void *data, size_t len)
{
	const char *at = data;

	while (len) {
		size_t n;

		if (!w->space)
			open_frame(w);
		n = len < w->space ? len : w->space;
		apd_buf_add(w->out, at, n);
		at += n;
		len -= n;
		w->space -= n;
		w->left -= n;
	}
}

void apd_frame_add(struct apd_buf *out, uint16_t type, uint32_t run, uint32_t arg,
	const struct apd_str *fields, size_t n_fields)
{
	struct writer w = {
		.out = out,
		.header = {.type = type, .magic = APD_FRAME_MAGIC, .run = run, .arg = arg},
	};

	for (size_t i = 0; i < n_fields; i++)
		w.left += sizeof(uint32_t) + (fields[i].ptr ? fields[i].len + 1 : 0);
	apd_buf_reserve(out, w.left + (w.left / APD_FRAME_MAX + 1) * HEADER);
	open_frame(&w);
	for (size_t i = 0; i < n_fields; i++) {
		uint32_t len = fields[i].ptr ? (uint32_t)fields[i].len : APD_FIELD_ABSENT;

		put(&w, &len, sizeof(len));
		if (fields[i].ptr) {
			put(&w, fields[i].ptr, fields[i].len);
			put(&w, "", 1);
		}
	}
}

int apd_fields_next(struct apd_fields *fields, struct apd_str *ret_field)
{
	size_t left = (size_t)(fields->end - fields->at);
	uint32_t len;

	if (left < sizeof(len))
		return -EBADMSG;
	memcpy(&len, fields->at, sizeof(len));
	if (len == APD_FIELD_ABSENT) {
		fields->at += sizeof(len);
		*ret_field = APD_STR_ABSENT;
		return 0;
	}
	left -= sizeof(len);
	if (left <= len || fields->at[sizeof(len) + len] != '\0')
		return -EBADMSG;
	*ret_field = (struct apd_str){fields->at + sizeof(len), len};
	fields->at += sizeof(len) + len + 1;
	return 0;
}

int apd_fields_struct(struct apd_fields *fields, void *ret_struct, size_t size)
{
	struct apd_str field;
	int r;

	r = apd_fields_next(fields, &field);
	if (r < 0)
		return r;
	if (!field.ptr || field.len != size)
		return -EBADMSG;
	memcpy(ret_struct, field.ptr, size);
	return 0;
}

void apd_frame_reader_finish(struct apd_frame_reader *reader)
{
	apd_buf_finish(&reader->in);
	apd_buf_finish(&reader->whole);
	reader->taken = 0;
}

/* Forgets what was taken, so that the rest stands at the start of the buffer. */
static void forget_taken(struct apd_frame_reader *reader)
{
	if (reader->taken == reader->in.len) {
		if (reader->in.cap > KEEP)
			apd_buf_finish(&reader->in);
		else
			apd_buf_clear(&reader->in);
	} else {
		apd_buf_drop(&reader->in, reader->taken);
	}
	reader->taken = 0;
}

char *apd_frame_reader_room(struct apd_frame_reader *reader, size_t *ret_room)
{
	struct apd_buf *in = &reader->in;
	size_t want = ROOM;
	char *room;

	if (reader->taken)
		forget_taken(reader);
	if (in->len >= HEADER) {
		struct apd_frame header;

		/* A frame that began is read in one go. A bad length is found in _next(). */
		memcpy(&header, in->data, HEADER);
		if (header.length <= APD_FRAME_MAX && HEADER + header.length > in->len &&
			HEADER + header.length - in->len > want)
			want = HEADER + header.length - in->len;
	}
	room = apd_buf_reserve(in, want);
	*ret_room = in->cap - in->len - 1;
	return room;
}

void apd_frame_reader_got(struct apd_frame_reader *reader, size_t n)
{
	reader->in.len += n;
	reader->in.data[reader->in.len] = '\0';
}

/*
 * Adds a frame to the message that is being put together. `whole` holds the
 * first frame's header, with the MORE flag until the last part came, and then
 * the payload. Returns 1 when it is complete.
 */
static int put_together(
	struct apd_frame_reader *reader, const struct apd_frame *frame, const char *payload)
{
	struct apd_buf *whole = &reader->whole;
	struct apd_frame first;

	if (whole->len == 0) {
		apd_buf_add(whole, frame, HEADER);
	} else {
		memcpy(&first, whole->data, HEADER);
		if (((first.type ^ frame->type) & ~APD_FRAME_MORE) || first.run != frame->run ||
			first.arg != frame->arg)
			return -EBADMSG;
	}
	if (whole->len - HEADER + frame->length > reader->max)
		return -EMSGSIZE;
	apd_buf_add(whole, payload, frame->length);
	if (frame->type & APD_FRAME_MORE)
		return 0;
	memcpy(whole->data, frame, HEADER);
	return 1;
}

/* Forgets a whole message that was handed out by the call before. */
static void forget_whole(struct apd_frame_reader *reader)
{
	struct apd_frame first;

	if (reader->whole.len == 0)
		return;
	memcpy(&first, reader->whole.data, HEADER);
	if (!(first.type & APD_FRAME_MORE))
		apd_buf_finish(&reader->whole);
}

int apd_frame_reader_next(
	struct apd_frame_reader *reader, struct apd_frame *ret_frame, struct apd_str *ret_payload)
{
	struct apd_frame frame;
	const char *payload;
	int r;

	forget_whole(reader);
	for (;;) {
		size_t left = reader->in.len - reader->taken;

		if (left < HEADER)
			return 0;
		memcpy(&frame, reader->in.data + reader->taken, HEADER);
		if (frame.magic != APD_FRAME_MAGIC || frame.length > APD_FRAME_MAX ||
			!(frame.type & ~APD_FRAME_MORE) ||
			((frame.type & APD_FRAME_MORE) && frame.length == 0))
			return -EBADMSG;
		if (frame.length > reader->max)
			return -EMSGSIZE;
		if (left < HEADER + frame.length)
			return 0;
		payload = reader->in.data + reader->taken + HEADER;
		reader->taken += HEADER + frame.length;
		if (!(frame.type & APD_FRAME_MORE) && reader->whole.len == 0) {
			*ret_frame = frame;
			*ret_payload = (struct apd_str){payload, frame.length};
			return 1;
		}
		r = put_together(reader, &frame, payload);
		if (r < 0)
			return r;
		if (r)
			break;
	}
	frame.length = (uint32_t)(reader->whole.len - HEADER);
	*ret_frame = frame;
	*ret_payload = (struct apd_str){reader->whole.data + HEADER, reader->whole.len - HEADER};
	return 1;
}
