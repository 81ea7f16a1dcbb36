/*
 * A run as the protocol shows it. On the way of every answer, so the text is
 * written straight into one reservation.
 */
#include "base/clock.h"
#include "storage/row.h"

/* More than all of a Run that is not request, error or interrupts: names, ids, times, attempt. */
#define RUN_FIXED 512

/* More than what a result adds to a Run and the members of its output. */
#define RESULT_FIXED 32

#define PUT(at, literal) put(at, APD_STR(literal))

static char *put(char *at, struct apd_str s)
{
	if (s.len)
		memcpy(at, s.ptr, s.len);
	return at + s.len;
}

static char *put_word(char *at, const char *word)
{
	return put(at, apd_str(word));
}

static char *put_id(char *at, const struct apd_id *id)
{
	*at++ = '"';
	apd_id_format(id, at);
	at += APD_ID_TEXT;
	*at++ = '"';
	return at;
}

static char *put_time(char *at, int64_t wall_us)
{
	*at++ = '"';
	apd_time_format(wall_us, at);
	at += APD_TIME_TEXT;
	*at++ = '"';
	return at;
}

static char *put_u32(char *at, uint32_t n)
{
	char digits[10];
	size_t i = sizeof(digits);

	do {
		digits[--i] = (char)('0' + n % 10);
		n /= 10;
	} while (n);
	return put(at, (struct apd_str){digits + i, sizeof(digits) - i});
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* What stands between the braces of an object; absent when nothing does. */
static struct apd_str members_of(struct apd_str object)
{
	struct apd_str s = object;

	if (s.len < 2 || s.ptr[0] != '{' || s.ptr[s.len - 1] != '}')
		return APD_STR_ABSENT;
	for (s.ptr++, s.len -= 2; s.len && is_space(s.ptr[0]); s.len--)
		s.ptr++;
	while (s.len && is_space(s.ptr[s.len - 1]))
		s.len--;
	return s.len ? s : APD_STR_ABSENT;
}

/* The room that a Run needs at most. */
static size_t run_room(const struct apd_run_row *row)
{
	return RUN_FIXED + row->request.len + row->error.len + row->interrupts.len;
}

/* Writes the Run into room for it. */
static char *put_run(char *at, const struct apd_run_row *row)
{
	struct apd_str members = members_of(row->request);

	at = put_id(PUT(at, "{\"run_id\":"), &row->run_id);
	at = put_id(PUT(at, ",\"thread_id\":"), &row->thread_id);
	at = put_word(PUT(at, ",\"status\":\""), apd_run_status_word(row->status));
	at = put_time(PUT(at, "\",\"created_at\":"), row->created_us);
	at = put_time(PUT(at, ",\"updated_at\":"), row->updated_us);
	if (members.len)
		at = put(PUT(at, ","), members);
	if (row->started_us)
		at = put_time(PUT(at, ",\"started_at\":"), row->started_us);
	if (row->ended_us)
		at = put_time(PUT(at, ",\"ended_at\":"), row->ended_us);
	at = put_u32(PUT(at, ",\"attempt\":"), row->attempt);
	if (row->error.ptr)
		at = put(PUT(at, ",\"error\":"), row->error);
	if (row->interrupts.ptr)
		at = put(PUT(at, ",\"interrupts\":"), row->interrupts);
	return PUT(at, "}");
}

/* Takes over what was written behind the buffer's end. */
static void written(struct apd_buf *out, char *end)
{
	*end = '\0';
	out->len = (size_t)(end - out->data);
}

void apd_run_row_add_json(struct apd_buf *out, const struct apd_run_row *row)
{
	char *at = apd_buf_reserve(out, run_room(row));

	written(out, put_run(at, row));
}

void apd_run_row_add_result_json(struct apd_buf *out, const struct apd_run_row *row)
{
	struct apd_str members = members_of(row->output);
	char *at = apd_buf_reserve(out, run_room(row) + RESULT_FIXED + row->output.len);

	at = put_run(PUT(at, "{\"run\":"), row);
	if (members.len)
		at = put(PUT(at, ","), members);
	else
		at = PUT(at, ",\"values\":{}");
	written(out, PUT(at, "}"));
}
