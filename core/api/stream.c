/* The streams of runs. */
#include "api/stream.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "ap/agent.h"
#include "api/project.h"
#include "base/alloc.h"

struct api_stream {
	struct api_call *call;
	struct apd_http_stream *http; /* [http] NULL before it begins and after it closed */
	struct apd_event_reader reader;
	struct api_projection projection;
	uint64_t from; /* shows what is behind this event; UINT64_MAX: what comes next */
	bool creator; /* its client created the run */
	bool whole; /* its client wants the run from its first event on */
	bool greeted; /* [http] metadata was shown */
	uint64_t pulled; /* [http] the last event that was given to the socket */
	bool reading; /* the reader is initialised */
	bool ended; /* [http] nothing follows */
	bool missed; /* [http] events were gone, which was not the client's wish */
	unsigned modes; /* API_MODE_...; 0: those that the run was created with */
	struct apd_watch watch;
	bool watching; /* [runtime] */
	bool let_go; /* [runtime] nobody reads; the run goes on */
	struct apd_task news, taken, let_go_out, let_go_back;
	_Atomic bool news_due; /* the news task is on its way */
	_Atomic bool taken_due; /* the taken task is */
	_Atomic uint64_t taken_seq;
};

/* [http] There are events to read. */
static void at_home_news(struct apd_task *task)
{
	struct api_stream *stream = apd_container_of(task, struct api_stream, news);

	atomic_store(&stream->news_due, false);
	if (stream->http)
		apd_http_stream_wake(stream->http);
}

/* [runtime] The log has news: one task is enough for any number of them. */
static void on_news(struct apd_watch *watch)
{
	struct api_stream *stream = apd_container_of(watch, struct api_stream, watch);

	if (!atomic_exchange(&stream->news_due, true))
		apd_mailbox_post(stream->call->home, &stream->news);
}

/* [runtime] The creator's socket has taken events. */
static void at_runtime_taken(struct apd_task *task)
{
	struct api_stream *stream = apd_container_of(task, struct api_stream, taken);
	struct api_call *call = stream->call;

	atomic_store(&stream->taken_due, false);
	if (!call->finished)
		apd_runtime_taken(
			call->api->deps.runtime, &call->run_call, atomic_load(&stream->taken_seq));
}

/* [runtime] Nobody reads what the run still produces, but it was not cancelled either. */
static void let_go_at_runtime(struct apd_task *task)
{
	struct api_stream *stream = apd_container_of(task, struct api_stream, let_go_out);
	struct api_call *call = stream->call;

	api_stream_unwatch(stream);
	stream->let_go = true;
	if (call->finished)
		apd_mailbox_post(call->home, &stream->let_go_back);
	else
		apd_runtime_taken(call->api->deps.runtime, &call->run_call, UINT64_MAX);
}

/* [http] The runtime is done with the call. */
static void let_go_at_home(struct apd_task *task)
{
	api_call_release(apd_container_of(task, struct api_stream, let_go_back)->call);
}

struct api_stream *api_stream_create(
	struct api_call *call, unsigned modes, uint64_t from, bool creator)
{
	struct api_stream *stream = apd_calloc(1, sizeof(*stream));

	stream->call = call;
	stream->modes = modes;
	stream->from = from;
	stream->creator = creator;
	stream->news.run = at_home_news;
	stream->taken.run = at_runtime_taken;
	stream->let_go_out.run = let_go_at_runtime;
	stream->let_go_back.run = let_go_at_home;
	stream->watch.news = on_news;
	return stream;
}

void api_stream_destroy(struct api_stream *stream)
{
	if (!stream)
		return;
	if (stream->reading) {
		apd_event_reader_finish(&stream->reader);
		api_projection_finish(&stream->projection);
	}
	free(stream);
}

void api_stream_unwatch(struct api_stream *stream)
{
	if (!stream->watching)
		return;
	stream->watching = false;
	apd_runtime_unwatch(stream->call->api->deps.runtime, &stream->watch);
}

/* The channels that the modes read. */
static uint32_t channels_of(unsigned modes)
{
	return (modes & API_MODE_MESSAGES ? 1u << AP_CHANNEL_MESSAGES : 0) |
		(modes & API_MODE_CUSTOM ? 1u << AP_CHANNEL_CUSTOM : 0);
}

/* [runtime] The run exists: from here on the log tells of it. */
static void on_accepted(struct apd_run_call *run_call)
{
	struct api_call *call = apd_container_of(run_call, struct api_call, run_call);
	struct api_stream *stream = call->stream;

	call->outcome = API_ACCEPTED;
	call->row = apd_run_row_ref(run_call->row);
	call->log = apd_event_log_ref(run_call->log);
	call->log_seq = run_call->log_seq;
	if (!stream->modes)
		stream->modes = api_modes_of_row(call->row);
	stream->watch.channels = channels_of(stream->modes);
	stream->watching = true;
	apd_runtime_watch(call->api->deps.runtime, call->log, &stream->watch);
	api_call_home(call);
}

/* [runtime] The runtime calls back no more: what was let go can be freed. */
static void finish(struct api_call *call)
{
	call->finished = true;
	if (call->stream->let_go)
		apd_mailbox_post(call->home, &call->stream->let_go_back);
}

/* [runtime] The log has told the reader already. */
static void on_ended(struct apd_run_call *run_call)
{
	finish(apd_container_of(run_call, struct api_call, run_call));
}

/* [runtime] Behind accepted (shutdown) the log is closed, which ends the stream. */
static void on_refused(struct apd_run_call *run_call, const struct apd_problem *problem)
{
	struct api_call *call = apd_container_of(run_call, struct api_call, run_call);

	if (call->outcome == API_NOTHING)
		api_call_refused(run_call, problem);
	else
		finish(call);
}

const struct apd_run_call_ops api_stream_ops = {on_refused, on_accepted, on_ended};

/* Tells the runtime what the creator's socket has taken, once for many events. */
static void tell_taken(struct api_stream *stream)
{
	struct api_call *call = stream->call;

	if (!stream->creator || stream->pulled == atomic_load(&stream->taken_seq))
		return;
	atomic_store(&stream->taken_seq, stream->pulled);
	if (!atomic_exchange(&stream->taken_due, true))
		apd_mailbox_post(call->api->deps.runtime_mailbox, &stream->taken);
}

/* True if the run had ended when the stream joined it: its log may not tell of that any more. */
static bool joined_ended(const struct api_stream *stream)
{
	return stream->call->row->status != APD_RUN_PENDING;
}

/* Makes up the metadata that the client has not seen, or not from this connection. */
static void greet(struct api_stream *stream, struct apd_buf *out, uint32_t attempt)
{
	const struct apd_run_row *row = stream->call->row;

	if (!stream->greeted)
		api_project_metadata(out, &row->run_id, &row->thread_id, attempt);
	stream->greeted = true;
}

/* Ends the stream: events that it should have shown are gone. */
static void end_missed(struct api_stream *stream, struct apd_buf *out)
{
	greet(stream, out, stream->call->row->attempt);
	api_project_missed(out);
	stream->ended = stream->missed = true;
}

/*
 * True if the client wants all of a run that has begun, but has not seen its
 * beginning. A run may also end between its first attempt and the event that
 * tells of it, which only its creator's log is known to have from the start.
 */
static bool lacks_beginning(const struct api_stream *stream, uint32_t attempt, bool at_end)
{
	return stream->whole && !stream->greeted && (!at_end || (attempt > 0 && !stream->creator));
}

/* Ends the stream of a run whose end the log does not have. */
static void end_of_row(struct api_stream *stream, struct apd_buf *out)
{
	const struct apd_run_row *row = stream->call->row;

	if (lacks_beginning(stream, row->attempt, true)) {
		end_missed(stream, out);
		return;
	}
	greet(stream, out, row->attempt);
	api_project_end(out, 0, &row->run_id, row->status, row->error);
	stream->ended = true;
}

/* Shows an event of the log. */
static void show_event(
	struct api_stream *stream, const struct apd_event *event, struct apd_buf *out)
{
	bool silent = event->seq <= stream->from;

	stream->pulled = event->seq;
	if (!apd_id_eq(&event->run_id, &stream->projection.run_id))
		return;
	/* A log that was begun after the run lacks what came before it. */
	if (!silent && event->kind != APD_EVENT_STARTED &&
		lacks_beginning(stream, event->attempt, event->kind == APD_EVENT_ENDED)) {
		end_missed(stream, out);
		return;
	}
	if (event->kind == APD_EVENT_ENDED || (!silent && event->kind != APD_EVENT_STARTED))
		greet(stream, out, event->attempt);
	else if (!silent)
		stream->greeted = true;
	stream->ended = api_project(&stream->projection, event, silent, out);
}

/* Shows what comes next: false when there is nothing now. */
static bool show_next(struct api_stream *stream, struct apd_buf *out)
{
	const struct apd_event *event;

	switch (apd_event_reader_next(&stream->reader, &event)) {
	case APD_READ_EVENT:
		show_event(stream, event, out);
		return true;
	case APD_READ_NONE:
		if (!joined_ended(stream))
			return false;
		end_of_row(stream, out);
		return true;
	case APD_READ_END:
		/* Of a run that goes on in the daemon's next life the stream just breaks off. */
		if (joined_ended(stream))
			end_of_row(stream, out);
		stream->ended = true;
		return true;
	case APD_READ_MISSED:
		/* What it has seen before, or what other runs did before, it need not see. */
		if (stream->reader.next_seq > stream->from + 1 &&
			!(stream->whole && !stream->greeted))
			end_missed(stream, out);
		return true;
	}
	return false;
}

/* Gives the socket what the log has. All bytes that were given before have been taken. */
static int pull(void *data, struct apd_buf *out, size_t max)
{
	struct api_stream *stream = data;
	const struct apd_run_row *row = stream->call->row;
	size_t start = out->len;

	tell_taken(stream);
	/* A run that has not begun will say so itself; so do the first events. */
	if (!stream->creator && !stream->whole && row->attempt > 0)
		greet(stream, out, row->attempt);
	while (!stream->ended && out->len - start < max) {
		if (show_next(stream, out))
			continue;
		/* The creator is asked again, to hear when these bytes have been taken. */
		if (out->len > start)
			return stream->creator;
		tell_taken(stream);
		return 0;
	}
	return stream->ended ? -1 : 1;
}

/* The socket is gone, one way or the other. */
static void closed(void *data, bool left)
{
	struct api_stream *stream = data;

	(void)left;
	stream->http = NULL;
	/* Leaving would cancel the run of a creator, who was sent away and did not leave. */
	if (stream->missed && stream->creator) {
		stream->call->holds++;
		apd_mailbox_post(stream->call->api->deps.runtime_mailbox, &stream->let_go_out);
	} else {
		api_call_leave(stream->call);
	}
	api_call_release(stream->call);
}

static const struct apd_http_source source = {pull, closed};

/*
 * Puts the cursor where the reader left off. Messages are put together from
 * their beginning, and a run that has ended must be seen to end: then the
 * cursor starts at the oldest event of the log and is silent up to its place.
 */
static void start_reading(struct api_stream *stream)
{
	struct api_call *call = stream->call;
	bool oldest = (stream->modes & API_MODE_MESSAGES) || joined_ended(stream);

	stream->whole = stream->creator || stream->from == 0;
	/* Also for a number of an earlier life, behind which this log has yet to come. */
	if (stream->from > call->log_seq)
		stream->from = call->log_seq;
	api_projection_init(&stream->projection, stream->modes, &call->row->run_id);
	apd_event_reader_init(&stream->reader, call->log, oldest ? 0 : stream->from);
	stream->reading = true;
}

void api_stream_answer(struct api_call *call)
{
	struct api_stream *stream = call->stream;
	struct apd_http_request *request = call->request;

	if (call->outcome == API_PROBLEM || call->left) {
		if (call->left)
			apd_http_reply_empty(request);
		else
			api_call_answer_problem(call);
		call->request = NULL;
		api_call_release(call);
		return;
	}
	call->request = NULL;
	start_reading(stream);
	api_add_run_location(request, call->row, true);
	stream->http = apd_http_stream_begin(request, &source, stream);
}

/* A source that has its only bytes ready. */
struct last_words {
	struct apd_buf text;
};

static int pull_last_words(void *data, struct apd_buf *out, size_t max)
{
	struct last_words *words = data;

	(void)max;
	apd_buf_add_str(out, apd_buf_str(&words->text));
	return -1;
}

static void last_words_closed(void *data, bool left)
{
	struct last_words *words = data;

	(void)left;
	apd_buf_finish(&words->text);
	free(words);
}

void api_stream_ended(struct api_call *call, struct apd_run_row *row)
{
	static const struct apd_http_source last_source = {pull_last_words, last_words_closed};
	struct last_words *words = apd_calloc(1, sizeof(*words));

	api_add_run_location(call->request, row, true);
	api_project_metadata(&words->text, &row->run_id, &row->thread_id, row->attempt);
	/* Whoever goes on behind an event counts on being told all that came after it. */
	if (call->stream->from == UINT64_MAX || row->attempt == 0)
		api_project_end(&words->text, 0, &row->run_id, row->status, row->error);
	else
		api_project_missed(&words->text);
	apd_http_stream_begin(call->request, &last_source, words);
}
