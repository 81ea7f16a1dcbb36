/*
 * What the daemon sends to a worker, and what the worker makes of it: runs that
 * hand every text they got back through the ops. A worker without threads: jobs
 * and chores are done here, in between. Messages as in wire.h; a type of 0x80
 * does the first job that waits. Whatever comes, what the worker answers must
 * be frames that a daemon takes.
 */
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz/wire.h"
#include "worker/exec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define DO_JOB 0x80

/* Ends the process if something that has to hold does not. */
static void must(bool holds)
{
	if (!holds)
		abort();
}

/* A text of a run: absent, or with a NUL behind it. */
static void must_be_text(ap_str s)
{
	must(s.ptr ? s.ptr[s.len] == '\0' : s.len == 0);
}

static ap_status invoke(void *self, ap_run *run)
{
	const ap_str *const texts[] = {&run->run_id, &run->thread_id, &run->agent_id, &run->input,
		&run->messages, &run->transcript, &run->config, &run->metadata, &run->values,
		&run->resume, &run->jump, &run->continuation};
	const struct apd_exec *exec = run->impl;
	const ap_event event = {.size = sizeof(event),
		.channel = (ap_channel)run->attempt,
		.ns = run->values,
		.node = run->agent_id,
		.data = run->input};
	const ap_step step = {.size = sizeof(step),
		.name = run->agent_id,
		.ns = run->values,
		.patch = run->config,
		.removed = run->metadata};
	const ap_question question = {.size = sizeof(question),
		.id = run->run_id,
		.ns = run->values,
		.payload = run->resume};
	const ap_question *const questions[] = {&question};
	ap_status s;

	(void)self;
	for (size_t i = 0; i < APD_COUNT(texts); i++)
		must_be_text(*texts[i]);
	/* Without credit emit() waits; but for relaxed runs commit() does. */
	if (atomic_load(&exec->credit) > 0)
		run->ops->emit(run, &event);
	if (exec->relaxed)
		run->ops->commit(run, &step);
	s = run->ops->interrupt(run, questions, 1, run->continuation);
	return s < 0 ? s : AP_INTERRUPTED;
}

static ap_status create(const ap_agent *agent, const ap_host *host, ap_str agent_id,
	ap_str settings, void **ret_self, ap_error *error)
{
	(void)agent;
	(void)host;
	(void)error;
	must_be_text(agent_id);
	must_be_text(settings);
	if (settings.len == 3)
		return AP_E_INVALID;
	*ret_self = malloc(1);
	return AP_OK;
}

static void destroy(void *self)
{
	free(self);
}

static void stop(void *self, ap_run *run)
{
	(void)self;
	must_be_text(run->input);
}

static const ap_agent_info info = {.size = sizeof(info), .id = "a"};
static const ap_agent agent = {.size = sizeof(agent),
	.info = &info,
	.create = create,
	.destroy = destroy,
	.invoke = invoke,
	.stop = stop};

/* A worker, the daemon's end of its socket and what came out of that. */
struct lab {
	struct apd_worker worker;
	struct apd_mapped_agent mapped;
	struct apd_crew_thread thread;
	struct apd_frame_reader reader;
	struct apd_json json;
	int daemon;
};

static void set_up(struct lab *lab)
{
	struct apd_worker *worker = &lab->worker;
	int ends[2];

	*lab = (struct lab){.reader.max = SIZE_MAX, .thread.stop_fd = -1};
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
	lab->daemon = ends[1];
	worker->socket = ends[0];
	worker->in_process = true;
	worker->file = "fuzz.so";
	worker->setup.emit_max = worker->setup.commit_max = worker->setup.log_max = 4096;
	worker->reader.max = 1 << 20;
	pthread_mutex_init(&worker->read_lock, NULL);
	pthread_mutex_init(&worker->lock, NULL);
	pthread_cond_init(&worker->ended, NULL);
	apd_sender_init(&worker->sender, ends[0], false);
	apd_chores_init(&worker->chores);
	apd_host_table_init(&worker->host, worker);
	must(apd_crew_init(&worker->crew, NULL, NULL, worker) == 0);
	lab->thread.crew = &worker->crew;
	lab->mapped = (struct apd_mapped_agent){.agent = &agent, .info = info};
	worker->mapped.agents = &lab->mapped;
	worker->mapped.n_agents = 1;
}

static void tear_down(struct lab *lab)
{
	struct apd_worker *worker = &lab->worker;

	apd_instances_destroy(worker);
	apd_crew_finish(&worker->crew);
	apd_exec_forget(worker);
	apd_chores_finish(&worker->chores);
	apd_sender_finish(&worker->sender);
	apd_frame_reader_finish(&worker->reader);
	pthread_cond_destroy(&worker->ended);
	pthread_mutex_destroy(&worker->lock);
	pthread_mutex_destroy(&worker->read_lock);
	close(worker->socket);
	close(lab->daemon);
	if (lab->thread.stop_fd >= 0)
		close(lab->thread.stop_fd);
	apd_json_finish(&lab->thread.json);
	apd_json_finish(&lab->thread.ns_json);
	apd_json_finish(&lab->json);
	apd_frame_reader_finish(&lab->reader);
}

/* Does the first job, as a thread of the crew would; false if there is none. */
static bool do_job(struct lab *lab)
{
	struct apd_list *jobs = &lab->worker.crew.jobs;
	struct apd_job *job;

	if (apd_list_empty(jobs))
		return false;
	job = apd_list_first(jobs, struct apd_job, link);
	apd_list_remove(&job->link);
	job->execute(job, &lab->thread);
	return true;
}

/* Does the chores that wait. */
static void do_chores(struct lab *lab)
{
	struct apd_chores *chores = &lab->worker.chores;

	if (apd_list_empty(&chores->list))
		return;
	apd_chores_add(chores, APD_CHORE_LOST, 0, APD_STR_ABSENT);
	while (!apd_list_empty(&chores->list))
		apd_chores_run(&lab->worker);
}

/* JSON of the type that the daemon wants. */
static void must_be_json(struct lab *lab, struct apd_str text, enum apd_json_type type)
{
	must(text.ptr && apd_json_scan(&lab->json, text) == 0);
	must(type == APD_JSON_NULL || apd_json_type(&lab->json, 0) == type);
}

/* Checks a message as far as the daemon would kill the worker for it. */
static void check_sent(struct lab *lab, const struct apd_frame *frame, struct apd_str payload)
{
	struct apd_fields left = {payload.ptr, payload.ptr + payload.len};
	struct apd_str fields[4];
	size_t n = 0;

	must(frame->type >= APD_FRAME_HELLO && frame->type <= APD_FRAME_MISUSE);
	while (n < APD_COUNT(fields) && left.at < left.end)
		must(apd_fields_next(&left, &fields[n++]) == 0);
	must(left.at == left.end);
	if (frame->type == APD_FRAME_EMIT) {
		must(n == 3 && frame->arg >= AP_CHANNEL_MESSAGES &&
			frame->arg <= AP_CHANNEL_LIFECYCLE);
		must_be_json(lab, fields[2], APD_JSON_OBJECT);
		if (fields[0].ptr)
			must_be_json(lab, fields[0], APD_JSON_ARRAY);
	} else if (frame->type == APD_FRAME_COMMIT) {
		must(n == 4);
		must_be_json(lab, fields[2], APD_JSON_OBJECT);
		if (fields[3].ptr)
			must_be_json(lab, fields[3], APD_JSON_ARRAY);
	} else if (frame->type == APD_FRAME_ASK) {
		must(n == 4 && frame->arg == 1 && fields[1].len > 0);
		must_be_json(lab, fields[3], APD_JSON_NULL);
	}
}

/* Reads what the worker sent. */
static void read_sent(struct lab *lab)
{
	struct apd_frame frame;
	struct apd_str payload;
	ssize_t n;

	apd_sender_flush(&lab->worker.sender);
	do {
		size_t room;
		char *to = apd_frame_reader_room(&lab->reader, &room);

		n = recv(lab->daemon, to, room, MSG_DONTWAIT);
		if (n > 0)
			apd_frame_reader_got(&lab->reader, (size_t)n);
		while (apd_frame_reader_next(&lab->reader, &frame, &payload) > 0)
			check_sent(lab, &frame, payload);
	} while (n > 0);
	must(lab->reader.taken == lab->reader.in.len);
}

/* Sends one message to the worker: 0, or negative when it takes no more. */
static int send_message(struct lab *lab, const struct wire_message *message)
{
	struct apd_buf out = {0};
	int r = 0;

	apd_frame_add(&out, message->type, message->run, message->arg, message->fields,
		message->n_fields);
	for (size_t at = 0; at < out.len && r == 0;) {
		size_t room, n = out.len - at;
		char *to = apd_frame_reader_room(&lab->worker.reader, &room);

		if (n > room)
			n = room;
		memcpy(to, out.data + at, n);
		apd_frame_reader_got(&lab->worker.reader, n);
		at += n;
		r = apd_inbox_drain(&lab->worker);
	}
	apd_buf_finish(&out);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wire wire = {data, data + size};
	struct wire_message message;
	static struct lab lab;
	int r = 0;

	set_up(&lab);
	while (r == 0 && wire_next(&wire, &message)) {
		if (message.type == DO_JOB)
			do_job(&lab);
		else
			r = send_message(&lab, &message);
		do_chores(&lab);
		read_sent(&lab);
	}
	while (do_job(&lab))
		read_sent(&lab);
	tear_down(&lab);
	return 0;
}
