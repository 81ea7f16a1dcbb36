/* Driving runs: answers their frames, stops them when that is due, and judges how they end. */
#include <errno.h>
#include <stdio.h>

#include "apd/check/kept.h"
#include "apd/check/wire.h"
#include "base/clock.h"
#include "base/json_text.h"
#include "host/event_cost.h"

/* A run that does not end by itself is stopped after this, unless it says otherwise. */
#define PATIENCE_NS APD_NS_PER_S
/* Bytes of events that a run may be ahead. */
#define CREDIT (256u << 10)

/* Runs side by side. */
struct drive {
	struct apd_check_session *session;
	struct apd_check_run *runs;
	uint32_t n;
	struct apd_buf out;
};

static const char *id_of(const struct drive *drive, const struct apd_check_run *run)
{
	return drive->session->description->agents[run->agent].id.ptr;
}

static const char *status_name(ap_status status, char space[32])
{
	static const char *const names[] = {"AP_OK", "AP_E_FAILED", "AP_E_INVALID", "AP_E_NOMEM",
		"AP_E_CANCELLED", "AP_E_DEADLINE", "AP_E_NOT_FOUND", "AP_E_CONFLICT", "AP_E_LIMIT",
		"AP_E_UNAVAILABLE", "AP_E_UNSUPPORTED", "AP_E_DENIED", "AP_E_MISUSE"};

	if (status <= 0 && status >= AP_E_MISUSE)
		return names[-status];
	snprintf(space, 32, "%d", (int)status);
	return status == AP_INTERRUPTED ? "AP_INTERRUPTED" : space;
}

static void add_stop(struct drive *drive, struct apd_check_run *run)
{
	if (run->stopped || run->ended)
		return;
	run->stopped = true;
	run->stop_ns = apd_clock_mono_ns();
	apd_frame_add(&drive->out, APD_FRAME_STOP, run->number,
		run->stop ? run->stop : APD_STOP_CANCEL, NULL, 0);
}

/* All messages of the thread, for an agent that wants them. */
static struct apd_str transcript_of(
	const struct apd_described *agent, const struct apd_check_input *input)
{
	if (!(agent->flags & AP_AGENT_WANTS_TRANSCRIPT))
		return APD_STR_ABSENT;
	if (input->transcript.len)
		return apd_buf_str(&input->transcript);
	return input->messages.len ? apd_buf_str(&input->messages) : APD_STR("[]");
}

/* Adds the INVOKE of a run. */
static void add_invoke(struct drive *drive, struct apd_check_run *run)
{
	static const struct apd_check_input nothing;
	struct apd_check_session *session = drive->session;
	const struct apd_described *agent = &session->description->agents[run->agent];
	const struct apd_check_input *input = run->input ? run->input : &nothing;
	char run_id[APD_ID_TEXT + 1], thread_id[APD_ID_TEXT + 1];
	struct apd_id id = apd_id_next(&session->random, apd_clock_wall_us());
	struct apd_str messages =
		input->messages.len ? apd_buf_str(&input->messages) : APD_STR_ABSENT;
	struct apd_invoke head = {.deadline_ns = run->deadline_ns, .attempt = 1, .listening = ~0u};
	const struct apd_str fields[] = {
		{(const char *)&head, sizeof(head)},
		{run_id, APD_ID_TEXT},
		{thread_id, APD_ID_TEXT},
		agent->id,
		input->input.len ? apd_buf_str(&input->input) : APD_STR("null"),
		messages,
		transcript_of(agent, input),
		input->config.len ? apd_buf_str(&input->config) : APD_STR("{}"),
		APD_STR("{}"),
		input->values.len ? apd_buf_str(&input->values) : APD_STR("{}"),
		input->resume.len ? apd_buf_str(&input->resume) : APD_STR_ABSENT,
		APD_STR_ABSENT,
		input->continuation.len ? apd_buf_str(&input->continuation) : APD_STR_ABSENT,
	};

	if (!run->durable && !(agent->flags & AP_AGENT_NEEDS_THREAD))
		head.flags = AP_RUN_EPHEMERAL;
	/* With the least credit every event waits until the one before it was seen here. */
	head.credit = run->stop_at_op ? 1 : CREDIT;
	apd_id_format(&id, run_id);
	id = apd_id_next(&session->random, apd_clock_wall_us());
	apd_id_format(&id, thread_id);
	if (run->answers)
		run->kept = apd_check_kept_create(session, messages);
	run->number = ++session->last_run;
	run->stop_ns = apd_clock_mono_ns() + (run->patience_ns ? run->patience_ns : PATIENCE_NS);
	apd_frame_add(&drive->out, APD_FRAME_INVOKE, run->number, run->agent, fields, 13);
	/* In one piece with the INVOKE, so that it is read before any thread begins the run. */
	if (run->stop_at_once)
		add_stop(drive, run);
}

static struct apd_check_run *find(struct drive *drive, uint32_t number)
{
	for (uint32_t i = 0; i < drive->n; i++)
		if (drive->runs[i].number == number && !drive->runs[i].ended)
			return &drive->runs[i];
	return NULL;
}

/* Takes questions: answers each with true, for a run that is to go on. */
static void take_ask(struct apd_check_run *run, uint32_t n, struct apd_fields *fields)
{
	struct apd_str continuation, id, ns, payload;

	run->asked = true;
	if (!run->answers || apd_fields_next(fields, &continuation) < 0)
		return;
	apd_buf_clear(&run->answers->resume);
	apd_buf_clear(&run->answers->continuation);
	apd_buf_add_str(&run->answers->continuation, continuation);
	apd_buf_lit(&run->answers->resume, "[");
	for (uint32_t i = 0; i < n; i++) {
		if (apd_fields_next(fields, &id) < 0 || apd_fields_next(fields, &ns) < 0 ||
			apd_fields_next(fields, &payload) < 0)
			break;
		apd_json_add_comma(&run->answers->resume);
		apd_buf_lit(&run->answers->resume, "{");
		apd_json_member_raw(
			&run->answers->resume, "namespace", ns.ptr ? ns : APD_STR("[]"));
		apd_json_member_str(&run->answers->resume, "id", id);
		apd_json_member_raw(&run->answers->resume, "response", APD_STR("true"));
		apd_buf_lit(&run->answers->resume, "}");
	}
	apd_buf_lit(&run->answers->resume, "]");
}

/* Counts an event or a commit; stops the run when it was the one to wait for. */
static void count_op(struct drive *drive, struct apd_check_run *run, uint32_t *counter)
{
	++*counter;
	if (run->stop_at_op && run->events + run->commits >= run->stop_at_op)
		add_stop(drive, run);
}

/* Takes one frame of a run. */
static void take(struct drive *drive, const struct apd_frame *frame, struct apd_str payload)
{
	struct apd_check_run *run = find(drive, frame->run);
	struct apd_fields fields = {payload.ptr, payload.ptr + payload.len};
	const ap_status ok = AP_OK;
	const struct apd_str answer = {(const char *)&ok, sizeof(ok)};
	struct apd_str parts[3];

	if (!run)
		return;
	if (frame->type == APD_FRAME_EMIT) {
		count_op(drive, run, &run->events);
		for (size_t i = 0; i < 3; i++)
			if (apd_fields_next(&fields, &parts[i]) < 0)
				return;
		if (!run->stopped || !run->stop_at_op)
			apd_frame_add(&drive->out, APD_FRAME_CREDIT, run->number,
				(uint32_t)apd_event_cost(parts[0], parts[1], parts[2]), NULL, 0);
	} else if (frame->type == APD_FRAME_COMMIT) {
		count_op(drive, run, &run->commits);
		if (run->kept)
			apd_check_kept_add(run->kept, payload);
		if (frame->arg)
			apd_frame_add(&drive->out, APD_FRAME_COMMITTED, run->number, frame->arg,
				&answer, 1);
	} else if (frame->type == APD_FRAME_ASK) {
		take_ask(run, frame->arg, &fields);
	} else if (frame->type == APD_FRAME_DONE) {
		run->ended = true;
		run->status = (ap_status)frame->arg;
		if (apd_fields_next(&fields, &parts[0]) < 0 ||
			apd_fields_next(&fields, &parts[1]) < 0)
			return;
		snprintf(run->code, sizeof(run->code), "%.*s", APD_STR_FMT(parts[0]));
		snprintf(run->message, sizeof(run->message), "%.*s", APD_STR_FMT(parts[1]));
	}
}

/* Stops what lasts too long; the time of what comes next, INT64_MAX when all have ended, or -1. */
static int64_t look_at_clock(struct drive *drive)
{
	struct apd_check *check = drive->session->check;
	int64_t now = apd_clock_mono_ns(), next = INT64_MAX;

	for (uint32_t i = 0; i < drive->n; i++) {
		struct apd_check_run *run = &drive->runs[i];
		int64_t at = run->stop_ns + (run->stopped ? check->target->grace_ns : 0);

		if (run->ended)
			continue;
		if (at <= now && run->stopped) {
			apd_check_fail(check,
				"agent %s: a run did not end within %d ms of being told to",
				id_of(drive, run), (int)(check->target->grace_ns / APD_NS_PER_MS));
			return -1;
		}
		if (at <= now) {
			add_stop(drive, run);
			at = now + check->target->grace_ns;
		}
		next = at < next ? at : next;
	}
	return next;
}

/* Executes the runs until all have ended; -1 when that cannot be. */
static int drive_all(struct drive *drive)
{
	struct apd_check *check = drive->session->check;

	for (;;) {
		int64_t next = look_at_clock(drive);
		struct apd_frame frame;
		struct apd_str payload;
		int r;

		apd_check_send(drive->session, &drive->out);
		if (next == INT64_MAX)
			return check->result == APD_CHECK_FAIL ? -1 : 0;
		if (next < 0)
			return -1;
		r = apd_check_receive(drive->session, next, &frame, &payload);
		if (r > 0) {
			take(drive, &frame, payload);
		} else if (r != -ETIME) {
			apd_check_fail(check, "the worker ended during a run");
			return -1;
		}
	}
}

/* Executes a run again as it was, but lets it end by itself: true if it ends the same way. */
static bool ends_so_unstopped(struct apd_check_session *session, const struct apd_check_run *run)
{
	struct apd_check_run again = {
		.agent = run->agent, .input = run->input, .durable = run->durable};
	struct drive drive = {.session = session, .runs = &again, .n = 1};

	add_invoke(&drive, &again);
	return drive_all(&drive) == 0 && !again.stopped && again.status == run->status;
}

/* Judges how a run ended. */
static void judge(struct drive *drive, const struct apd_check_run *run)
{
	struct apd_check *check = drive->session->check;
	bool by_time = run->stop == APD_STOP_DEADLINE;
	ap_status due = by_time ? AP_E_DEADLINE : AP_E_CANCELLED;
	char space[32], other[32];

	if (run->status >= 0)
		return; /* what is wrong with that the worker has reported */
	if (!run->stopped && run->deadline_ns && run->status == AP_E_DEADLINE)
		return;
	if (!run->stopped && (run->status == AP_E_CANCELLED || run->status == AP_E_DEADLINE))
		apd_check_fail(check,
			"agent %s: invoke() returned %s, and nobody had stopped the run",
			id_of(drive, run), status_name(run->status, space));
	if (!run->stopped || run->status == due)
		return;
	if (!ends_so_unstopped(drive->session, run))
		apd_check_fail(check, "agent %s: %s, invoke() returned %s and not %s (%s: %s)",
			id_of(drive, run), by_time ? "out of time" : "cancelled",
			status_name(run->status, space), status_name(due, other),
			run->code[0] ? run->code : "no code",
			run->message[0] ? run->message : "no message");
}

int apd_check_session_run(struct apd_check_session *session, struct apd_check_run *runs, uint32_t n)
{
	struct drive drive = {.session = session, .runs = runs, .n = n};
	int r;

	for (uint32_t i = 0; i < n; i++)
		add_invoke(&drive, &runs[i]);
	r = drive_all(&drive);
	for (uint32_t i = 0; i < n; i++)
		if (runs[i].kept)
			apd_check_kept_finish(runs[i].kept, runs[i].answers);
	if (r < 0)
		return -1;
	for (uint32_t i = 0; i < n; i++)
		judge(&drive, &runs[i]);
	session->check->tried++;
	return session->check->result == APD_CHECK_FAIL ? -1 : 0;
}
