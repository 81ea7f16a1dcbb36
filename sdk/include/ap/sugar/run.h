/*
 * ap/sugar/run.h - the ops of a run in fewer words.  No part of the ABI.
 *
 * C strings are NUL-terminated UTF-8; where one may be NULL it says so.
 */
#ifndef AP_SUGAR_RUN_H
#define AP_SUGAR_RUN_H

#include <ap/agent.h>

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <ap/sugar/buf.h>

#include <ap/sugar/json.h>

#include <ap/sugar/read.h>

/* AP_OK while the run may go on, else AP_E_CANCELLED or AP_E_DEADLINE. [any] */
static inline ap_status ap_check(const ap_run *run)
{
	return run->ops->check(run);
}

/* Nonzero if somebody reads this channel now. [any] */
static inline int ap_listening(const ap_run *run, ap_channel channel)
{
	return (run->ops->listening(run) & (1u << channel)) != 0;
}

/* Says why invoke() is about to fail and gives the status back: return ap_fail(...). [run] */
static inline ap_status ap_fail(
	ap_run *run, ap_status status, const char *code, const char *message)
{
	return run->ops->fail(run, status, ap_cstr(code), ap_cstr(message));
}

/* The same with a message as printf makes it, cut at 447 bytes. [run] */
AP_PRINTF_(4, 5)
static inline ap_status ap_failf(
	ap_run *run, ap_status status, const char *code, const char *format, ...)
{
	char message[448];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	return ap_fail(run, status, code, message);
}

/* Fills the error of create() or init() and gives the status back. [main] */
AP_PRINTF_(4, 5)
static inline ap_status ap_error_set(
	ap_error *err, ap_status status, const char *code, const char *format, ...)
{
	va_list args;

	err->status = status;
	snprintf(err->code, sizeof(err->code), "%s", code);
	va_start(args, format);
	vsnprintf(err->message, sizeof(err->message), format, args);
	va_end(args);
	return status;
}

/*
 * Ends a step: the keys of the patch, a JSON object, replace those of the thread,
 * and those in removed, a JSON array of strings that may be absent, go. [run]
 */
static inline ap_status ap_commit_removing(
	ap_run *run, const char *step, ap_str patch, ap_str removed)
{
	ap_step s;

	memset(&s, 0, sizeof(s));
	s.size = sizeof(s);
	s.name = ap_cstr(step);
	s.patch = patch;
	s.removed = removed;
	return run->ops->commit(run, &s);
}

/* Ends a step that removes nothing. [run] */
static inline ap_status ap_commit(ap_run *run, const char *step, ap_str patch)
{
	return ap_commit_removing(run, step, patch, ap_mem(NULL, 0));
}

/* Sends one event; data is the channel's JSON object, node may be NULL. [run] */
static inline ap_status ap_emit(ap_run *run, ap_channel channel, const char *node, ap_str data)
{
	ap_event event;

	memset(&event, 0, sizeof(event));
	event.size = sizeof(event);
	event.channel = channel;
	event.node = ap_cstr(node);
	event.data = data;
	return run->ops->emit(run, &event);
}

/* Sends what a buffer holds, or returns the buffer's own failure, and frees it. */
static inline ap_status ap_emit_buf_(ap_run *run, ap_channel channel, const char *node, ap_buf *b)
{
	ap_status status = b->status;

	if (status == AP_OK)
		status = ap_emit(run, channel, node, ap_buf_str(b));
	ap_buf_free(b);
	return status;
}

/* Sends {"name": name, "payload": payload_json} on the custom channel. [run] */
static inline ap_status ap_emit_custom(ap_run *run, const char *name, ap_str payload_json)
{
	char space[1024];
	ap_buf b;

	ap_buf_init(&b, space, sizeof(space), 0);
	ap_buf_add_char(&b, '{');
	ap_json_member_str(&b, "name", ap_cstr(name));
	ap_json_member_raw(&b, "payload", payload_json);
	ap_buf_add_char(&b, '}');
	return ap_emit_buf_(run, AP_CHANNEL_CUSTOM, NULL, &b);
}

/* A question for ap_interrupt_all; both are borrowed until it was asked. [any] */
static inline ap_question ap_question_of(ap_str id, ap_str payload_json)
{
	ap_question question;

	memset(&question, 0, sizeof(question));
	question.size = sizeof(question);
	question.id = id;
	question.payload = payload_json;
	return question;
}

/*
 * Asks n questions at once: return ap_interrupt_all(run, questions, n, state).
 * Gives AP_INTERRUPTED, or the failure of the op.  continuation is what the next
 * invoke() shall find in run->continuation; it may be absent. [run]
 */
static inline ap_status ap_interrupt_all(
	ap_run *run, const ap_question *questions, size_t n, ap_str continuation)
{
	const ap_question **each;
	ap_status status;

	if (n > SIZE_MAX / sizeof(*each))
		return AP_E_LIMIT;
	each = (const ap_question **)malloc(n ? n * sizeof(*each) : 1);
	if (!each)
		return AP_E_NOMEM;
	for (size_t i = 0; i < n; i++)
		each[i] = &questions[i];
	status = run->ops->interrupt(run, each, n, continuation);
	free((void *)each);
	return status < 0 ? status : AP_INTERRUPTED;
}

/* Asks one question: return ap_interrupt(run, "approve", payload, state). [run] */
static inline ap_status ap_interrupt(
	ap_run *run, const char *id, ap_str payload_json, ap_str continuation)
{
	ap_question question = ap_question_of(ap_cstr(id), payload_json);

	return ap_interrupt_all(run, &question, 1, continuation);
}

/* The answer to the question with this id, as JSON, or absent: not answered. [any] */
static inline ap_str ap_answer(const ap_run *run, const char *id)
{
	ap_str item;
	size_t at = 0;

	while (ap_json_next(run->resume, &at, NULL, &item))
		if (ap_json_is(ap_json_get(item, "id"), id))
			return ap_json_get(item, "response");
	return ap_mem(NULL, 0);
}

/* Writes one line to the host's log, as printf makes it, cut at 2047 bytes. [any] */
AP_PRINTF_(3, 0)
static inline void ap_host_vlog(
	const ap_host *host, ap_level level, const char *format, va_list args)
{
	char line[2048];
	int n = vsnprintf(line, sizeof(line), format, args);

	if (n < 0)
		return;
	if ((size_t)n >= sizeof(line))
		n = (int)sizeof(line) - 1;
	host->log(host, level, ap_mem(line, (size_t)n));
}

/* ap_host_vlog for create() and init(). [any] */
AP_PRINTF_(3, 4)
static inline void ap_host_log(const ap_host *host, ap_level level, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	ap_host_vlog(host, level, format, args);
	va_end(args);
}

/* ap_host_vlog for a run. [any] */
AP_PRINTF_(3, 4)
static inline void ap_log(const ap_run *run, ap_level level, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	ap_host_vlog(run->host, level, format, args);
	va_end(args);
}

/* Milliseconds on a clock; with a strict -std=c11 there is only the one on the wall. */
static inline int64_t ap_now_ms_(void)
{
	struct timespec now;

#ifdef CLOCK_MONOTONIC
	clock_gettime(CLOCK_MONOTONIC, &now);
#else
	timespec_get(&now, TIME_UTC);
#endif
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/*
 * Sleeps, but not longer than the run may go on.  Gives what ap_check says at
 * the end: AP_OK after the whole time, else AP_E_CANCELLED or AP_E_DEADLINE.
 * Zero or less is only the check. [run]
 */
static inline ap_status ap_sleep_ms(const ap_run *run, int64_t ms)
{
	struct pollfd stop;
	int64_t now, end;
	ap_status status = ap_check(run);

	if (status != AP_OK || ms <= 0)
		return status;
	stop.fd = run->stop_fd;
	stop.events = POLLIN;
	stop.revents = 0;
	now = ap_now_ms_();
	end = ms < INT64_MAX - now ? now + ms : INT64_MAX;
	for (; now < end && status == AP_OK; now = ap_now_ms_()) {
		int64_t left = end - now;

		if (poll(&stop, 1, left < 60000 ? (int)left : 60000) > 0)
			return ap_check(run);
		status = ap_check(run);
	}
	return status;
}

#endif /* AP_SUGAR_RUN_H */
