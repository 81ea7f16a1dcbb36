/*
 * ap/sugar/message.h - streaming a text message.  No part of the ABI.
 *
 *	ap_message m;
 *
 *	ap_message_begin(&m, run, "answer", NULL);
 *	while (next_token(&token))
 *		ap_message_text(&m, token);
 *	ap_message_end(&m);
 *	status = ap_message_commit(&m, "answer");
 *	ap_message_free(&m);
 *
 * The events are those of the streaming protocol, in its order: message-start,
 * one text block with its deltas, message-finish.  The first failure to send
 * sticks in m.status and nothing is sent after it; the text is still gathered, so
 * that a stopped agent can commit what it has.  An ap_message must stay where it
 * is from begin to free, and is for one thread at a time.  Readers tell messages
 * that are open at the same time apart by their node: give each another one.
 */
#ifndef AP_SUGAR_MESSAGE_H
#define AP_SUGAR_MESSAGE_H

#include <ap/agent.h>

#include <time.h>

#include <ap/sugar/buf.h>

#include <ap/sugar/json.h>

#include <ap/sugar/run.h>

typedef struct ap_message {
	ap_run *run;
	const char *node; /* may be NULL */
	char id[128];
	ap_status status; /* AP_OK, or why an event could not be sent */
	int32_t quiet; /* sends nothing */
	size_t sent; /* bytes of text that are in deltas already */
	ap_buf text; /* the whole text up to now */
	ap_buf event;
	char text_space_[1024];
	char event_space_[1024];
} ap_message;

/*
 * An id that no other message has: the run's, the time, and a counter.  The run
 * and a counter alone would repeat when a run goes on in a new process, and a
 * message with a known id replaces the old one.
 */
static inline void ap_message_make_id_(ap_message *m)
{
	static uint32_t counter;
	struct timespec now;
	uint64_t nanos;

	timespec_get(&now, TIME_UTC);
	nanos = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	snprintf(m->id, sizeof(m->id), "%.*s-%llx-%x", (int)(m->run->run_id.len % 64),
		ap_fmt_ptr_(m->run->run_id), (unsigned long long)nanos,
		(unsigned)__atomic_add_fetch(&counter, 1, __ATOMIC_RELAXED));
}

/* Sends what m->event holds, unless the message is quiet or has failed. */
static inline ap_status ap_message_send_(ap_message *m)
{
	if (m->status == AP_OK && !m->quiet)
		m->status = m->event.status;
	if (m->status == AP_OK && !m->quiet)
		m->status = ap_emit(m->run, AP_CHANNEL_MESSAGES, m->node, ap_buf_str(&m->event));
	ap_buf_clear(&m->event);
	return m->status;
}

/* Readies m without sending anything. */
static inline void ap_message_init_(ap_message *m, ap_run *run, const char *node, const char *id)
{
	m->run = run;
	m->node = node;
	m->status = AP_OK;
	m->quiet = 0;
	m->sent = 0;
	ap_buf_init(&m->text, m->text_space_, sizeof(m->text_space_), 0);
	ap_buf_init(&m->event, m->event_space_, sizeof(m->event_space_), 0);
	if (id)
		snprintf(m->id, sizeof(m->id), "%s", id);
	else
		ap_message_make_id_(m);
}

/*
 * Begins a message of the assistant.  node (borrowed until free) may be NULL; id
 * is copied, at most 127 bytes, and NULL makes one.  m needs ap_message_free
 * whatever this returns. [run]
 */
static inline ap_status ap_message_begin(
	ap_message *m, ap_run *run, const char *node, const char *id)
{
	ap_message_init_(m, run, node, id);
	ap_buf_add(&m->event, AP_STR("{\"event\":\"message-start\",\"role\":\"ai\",\"id\":"));
	ap_json_add_string(&m->event, ap_cstr(m->id));
	ap_buf_add_char(&m->event, '}');
	ap_message_send_(m);
	ap_buf_add(&m->event,
		AP_STR("{\"event\":\"content-block-start\",\"index\":0,"
		       "\"content\":{\"type\":\"text\",\"text\":\"\"}}"));
	return ap_message_send_(m);
}

/*
 * Like ap_message_begin, but if nobody listens now the whole message is only
 * gathered and nothing of it is sent: cheaper, and whoever joins later sees the
 * message when it is committed. [run]
 */
static inline ap_status ap_message_begin_if_heard(
	ap_message *m, ap_run *run, const char *node, const char *id)
{
	if (ap_listening(run, AP_CHANNEL_MESSAGES))
		return ap_message_begin(m, run, node, id);
	ap_message_init_(m, run, node, id);
	m->quiet = 1;
	return AP_OK;
}

/* How much of the text may be sent: an unfinished UTF-8 character at its end waits. */
static inline size_t ap_message_whole_(const ap_message *m)
{
	size_t len = m->text.len;

	for (size_t back = 1; back <= 3 && back <= len - m->sent; back++) {
		unsigned char c = (unsigned char)m->text.ptr[len - back];

		if (c < 0x80)
			break;
		if (c >= 0xc0)
			return ap_utf8_length_(ap_mem(m->text.ptr + len - back, back)) < 0
				? len - back
				: len;
	}
	return len;
}

/* Sends the text from m->sent to end as a delta. */
static inline ap_status ap_message_delta_(ap_message *m, size_t end)
{
	if (end == m->sent || m->quiet || m->status != AP_OK)
		return m->status;
	ap_buf_add(&m->event,
		AP_STR("{\"event\":\"content-block-delta\",\"index\":0,"
		       "\"delta\":{\"type\":\"text-delta\",\"text\":"));
	ap_json_add_string(&m->event, ap_mem(m->text.ptr + m->sent, end - m->sent));
	ap_buf_add(&m->event, AP_STR("}}"));
	m->sent = end;
	return ap_message_send_(m);
}

/*
 * Adds to the text and sends what was added.  The pieces may be cut anywhere, in
 * a UTF-8 character too; an empty one sends nothing. [run]
 */
static inline ap_status ap_message_text(ap_message *m, ap_str delta)
{
	if (ap_buf_add(&m->text, delta) != AP_OK)
		return m->status = m->status ? m->status : m->text.status;
	return ap_message_delta_(m, ap_message_whole_(m));
}

/* Ends the message: the whole text once more, then message-finish. [run] */
static inline ap_status ap_message_end(ap_message *m)
{
	ap_message_delta_(m, m->text.len);
	if (m->quiet || m->status != AP_OK)
		return m->status;
	ap_buf_add(&m->event,
		AP_STR("{\"event\":\"content-block-finish\",\"index\":0,"
		       "\"content\":{\"type\":\"text\",\"text\":"));
	ap_json_add_string(&m->event, ap_buf_str(&m->text));
	ap_buf_add(&m->event, AP_STR("}}"));
	ap_message_send_(m);
	ap_buf_add(&m->event, AP_STR("{\"event\":\"message-finish\"}"));
	return ap_message_send_(m);
}

/* Ends the message with an error instead, also after another failure to send. [run] */
static inline ap_status ap_message_abort(ap_message *m, const char *message)
{
	m->status = AP_OK;
	ap_buf_add(&m->event, AP_STR("{\"event\":\"error\",\"message\":"));
	ap_json_add_string(&m->event, ap_cstr(message));
	ap_buf_add_char(&m->event, '}');
	return ap_message_send_(m);
}

/* The text up to now, until the next change or ap_message_free. [run] */
static inline ap_str ap_message_get_text(const ap_message *m)
{
	return ap_buf_str(&m->text);
}

/*
 * Commits the message to the thread, under the id that it was streamed with.
 * Works at any time after begin, also when sending failed. [run]
 */
static inline ap_status ap_message_commit(ap_message *m, const char *step)
{
	ap_status status;

	ap_buf_clear(&m->event);
	ap_buf_add(&m->event, AP_STR("{\"messages\":[{\"role\":\"assistant\",\"id\":"));
	ap_json_add_string(&m->event, ap_cstr(m->id));
	ap_buf_add(&m->event, AP_STR(",\"content\":"));
	ap_json_add_string(&m->event, ap_buf_str(&m->text));
	ap_buf_add(&m->event, AP_STR("}]}"));
	status = m->text.status ? m->text.status : m->event.status;
	if (status == AP_OK)
		status = ap_commit(m->run, step, ap_buf_str(&m->event));
	ap_buf_clear(&m->event);
	return status;
}

/* Gives its memory back.  The message can be begun again. [run] */
static inline void ap_message_free(ap_message *m)
{
	ap_buf_free(&m->text);
	ap_buf_free(&m->event);
}

#endif /* AP_SUGAR_MESSAGE_H */
