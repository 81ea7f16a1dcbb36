/* A run without a host. */
#include "fake_run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

/* Writes one line down. */
__attribute__((format(printf, 2, 3))) static void note(
	struct fake_run *fake, const char *format, ...)
{
	va_list args;

	assert_true(fake->count < FAKE_LINES);
	va_start(args, format);
	assert_true(vasprintf(&fake->lines[fake->count], format, args) >= 0);
	va_end(args);
	fake->count++;
}

static int length(ap_str s)
{
	return (int)s.len;
}

static const char *bytes(ap_str s)
{
	return s.ptr ? s.ptr : "";
}

/* Plugins must only ever send valid JSON. */
static void assert_json(ap_str text)
{
	json_error_t error;
	json_t *json = json_loadb(bytes(text), text.len, JSON_DECODE_ANY, &error);

	if (!json)
		print_error("%s: %.*s\n", error.text, length(text), bytes(text));
	assert_non_null(json);
	json_decref(json);
}

static ap_status fake_check(const ap_run *run)
{
	const struct fake_run *fake = run->impl;

	return fake->stopped ? fake->stop_status : AP_OK;
}

static ap_status fake_emit(ap_run *run, const ap_event *event)
{
	static const char *const names[] = {
		"?", "messages", "tools", "custom", "tasks", "lifecycle"};
	struct fake_run *fake = run->impl;

	assert_int_equal(event->size, sizeof(*event));
	assert_in_range(event->channel, 1, 5);
	assert_null(event->ns.ptr);
	if (fake->stopped)
		return fake->stop_status;
	assert_json(event->data);
	note(fake, "%s %.*s %.*s", names[event->channel], length(event->node), bytes(event->node),
		length(event->data), bytes(event->data));
	if (fake->stop_after_emits && --fake->stop_after_emits == 0)
		fake_run_stop(fake, AP_E_CANCELLED);
	return AP_OK;
}

static ap_status fake_commit(ap_run *run, const ap_step *step)
{
	struct fake_run *fake = run->impl;

	assert_int_equal(step->size, sizeof(*step));
	assert_int_equal(step->flags, 0);
	assert_null(step->ns.ptr);
	assert_json(step->patch);
	if (step->removed.ptr)
		assert_json(step->removed);
	note(fake, "commit %.*s %.*s%s%.*s", length(step->name), bytes(step->name),
		length(step->patch), bytes(step->patch), step->removed.ptr ? " without " : "",
		length(step->removed), bytes(step->removed));
	return fake->commit_status;
}

static ap_status fake_interrupt(
	ap_run *run, const ap_question *const *questions, size_t n, ap_str continuation)
{
	struct fake_run *fake = run->impl;

	for (size_t i = 0; i < n; i++) {
		assert_int_equal(questions[i]->size, sizeof(ap_question));
		assert_json(questions[i]->payload);
		note(fake, "ask %.*s %.*s %.*s", length(questions[i]->id), bytes(questions[i]->id),
			length(questions[i]->payload), bytes(questions[i]->payload),
			length(continuation), bytes(continuation));
	}
	return run->flags & AP_RUN_EPHEMERAL ? AP_E_UNSUPPORTED : AP_OK;
}

static ap_status fake_fail(ap_run *run, ap_status status, ap_str code, ap_str message)
{
	note(run->impl, "fail %d %.*s %.*s", status, length(code), bytes(code), length(message),
		bytes(message));
	return status;
}

static void fake_release(ap_run *run, ap_blob *blob)
{
	(void)run;
	if (blob)
		memset(blob, 0, sizeof(*blob));
}

static uint32_t fake_listening(const ap_run *run)
{
	return ((const struct fake_run *)run->impl)->listening;
}

static void fake_log(const ap_host *host, ap_level level, ap_str message)
{
	note(host->impl, "log %d %.*s", level, length(message), bytes(message));
}

static const void *fake_get_extension(const ap_host *host, const char *id)
{
	(void)host;
	(void)id;
	return NULL;
}

void fake_run_init(struct fake_run *fake)
{
	memset(fake, 0, sizeof(*fake));
	assert_int_equal(pipe(fake->pipe), 0);
	fake->ops = (ap_run_ops){
		.size = sizeof(ap_run_ops),
		.check = fake_check,
		.emit = fake_emit,
		.commit = fake_commit,
		.interrupt = fake_interrupt,
		.fail = fake_fail,
		.release = fake_release,
		.listening = fake_listening,
	};
	fake->host = (ap_host){
		.size = sizeof(ap_host),
		.name = "fake",
		.version = "1",
		.impl = fake,
		.log = fake_log,
		.get_extension = fake_get_extension,
	};
	fake->run = (ap_run){
		.size = sizeof(ap_run),
		.attempt = 1,
		.ops = &fake->ops,
		.host = &fake->host,
		.impl = fake,
		.run_id = {"run-1", 5},
		.stop_fd = fake->pipe[0],
	};
	fake->listening = UINT32_MAX;
}

void fake_run_forget(struct fake_run *fake)
{
	while (fake->count)
		free(fake->lines[--fake->count]);
}

void fake_run_finish(struct fake_run *fake)
{
	fake_run_forget(fake);
	close(fake->pipe[0]);
	close(fake->pipe[1]);
}

void fake_run_stop(struct fake_run *fake, ap_status status)
{
	fake->stopped = 1;
	fake->stop_status = status;
	assert_int_equal(write(fake->pipe[1], "x", 1), 1);
}
