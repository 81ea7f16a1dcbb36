/* apd run: one run without a server, streamed to the terminal. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "apd/command.h"
#include "apd/engine.h"
#include "apd/no_storage.h"
#include "api/request.h"
#include "base/alloc.h"
#include "base/json_scan.h"
#include "base/json_text.h"
#include "base/log.h"
#include "base/utf8.h"

enum {
	OPT_MESSAGE,
	OPT_INPUT,
	OPT_RUN_CONFIG,
	OPT_JSON,
	OPT_IN_PROCESS,
	OPT_CONFIG,
	OPT_PLUGIN_DIR,
	OPT_HELP
};

static const struct apd_option options[] = {
	[OPT_MESSAGE] = {"--message", "-m", "TEXT",
		"a message of the user's; may stand several times"},
	[OPT_INPUT] = {"--input", "-i", "JSON", "the input, any JSON"},
	[OPT_RUN_CONFIG] = {"--configurable", NULL, "JSON", "the config's configurable, an object"},
	[OPT_JSON] = {"--json", NULL, NULL, "prints every event as a line of JSON"},
	[OPT_IN_PROCESS] = {"--in-process", NULL, NULL,
		"maps the agent into this process, for gdb and valgrind"},
	[OPT_CONFIG] = {"--config", "-c", "FILE", "the configuration (YAML)"},
	[OPT_PLUGIN_DIR] = {"--plugin-dir", NULL, "DIR",
		"where plugins lie; may stand several times"},
	[OPT_HELP] = {"--help", "-h", NULL, "prints this"},
	{0},
};

/* One run on a terminal. */
struct session {
	struct apd_config config;
	struct apd_engine engine;
	const char *agent_id, *file, **dirs;
	struct apd_buf messages; /* items of the array */
	const char *input, *configurable;
	bool json, in_process;
	bool terminal; /* stdout is one: what the agent says must not command it */
	struct apd_run_call call;
	struct apd_watch watch;
	struct apd_event_reader reader;
	struct apd_event_log *log; /* a reference; the watched one */
	struct apd_json scan;
	bool started, over, in_message;
	uint64_t taken;
	struct apd_run_row *row; /* final, a reference */
	struct apd_problem problem;
	uv_signal_t interrupt;
};

/* Adds what the user said. */
static void add_message(struct session *session, const char *text)
{
	if (session->messages.len)
		apd_buf_lit(&session->messages, ",");
	apd_buf_lit(&session->messages, "{\"role\":\"user\"");
	apd_json_member_str(&session->messages, "content", apd_str(text));
	apd_buf_lit(&session->messages, "}");
}

/* Prints what the agent said as it is, but to a terminal what can be seen of it. */
static void show(const struct session *session, struct apd_str text)
{
	struct apd_buf out = {0};

	while (session->terminal && text.len) {
		size_t n = 0;

		while (n < text.len && text.ptr[n] != '\n' && text.ptr[n] != '\t')
			n++;
		apd_buf_add_visible(&out, (struct apd_str){text.ptr, n});
		if (n < text.len)
			apd_buf_add_char(&out, text.ptr[n++]);
		text = (struct apd_str){text.ptr + n, text.len - n};
	}
	apd_buf_add_str(&out, text);
	fwrite(apd_buf_str(&out).ptr, 1, out.len, stdout);
	apd_buf_finish(&out);
}

/* Prints an event as a line of JSON. */
static void print_event_json(const struct apd_event *event)
{
	static const char *const kinds[] = {
		"", "started", "", "updates", "values", "checkpoint", "ended"};
	static const char *const channels[] = {
		"", "messages", "tools", "custom", "tasks", "lifecycle"};
	struct apd_buf out = {0};

	apd_buf_lit(&out, "{");
	apd_json_member_i64(&out, "seq", (int64_t)event->seq);
	apd_json_member_str(&out, "event",
		apd_str(event->kind == APD_EVENT_EMITTED ? channels[event->channel]
							 : kinds[event->kind]));
	if (event->node.ptr)
		apd_json_member_str(&out, "node", event->node);
	if (event->ns.ptr)
		apd_json_member_raw(&out, "namespace", event->ns);
	if (event->kind == APD_EVENT_ENDED)
		apd_json_member_str(&out, "status", apd_str(apd_run_status_word(event->status)));
	if (event->data.ptr)
		apd_json_member_raw(&out, "data", event->data);
	if (event->kind == APD_EVENT_VALUES) {
		apd_json_add_key(&out, "data");
		apd_state_add_json(&out, event->state);
	}
	apd_buf_lit(&out, "}\n");
	fwrite(out.data, 1, out.len, stdout);
	apd_buf_finish(&out);
}

/* Prints the text of a message as it comes. */
static void print_message(struct session *session, const struct apd_event *event)
{
	const struct apd_json *json = &session->scan;
	struct apd_buf text = {0};
	uint32_t kind, delta, part;

	if (apd_json_scan(&session->scan, event->data) < 0)
		return;
	kind = apd_json_member(json, 0, APD_STR("event"));
	delta = apd_json_member(json, 0, APD_STR("delta"));
	part = delta ? apd_json_member(json, delta, APD_STR("text")) : 0;
	if (part && apd_json_type(json, part) == APD_JSON_STRING) {
		apd_json_unescape(json, part, &text);
		show(session, apd_buf_str(&text));
		session->in_message = true;
	} else if (kind && session->in_message &&
		(apd_json_is(json, kind, APD_STR("message-finish")) ||
			apd_json_is(json, kind, APD_STR("error")))) {
		printf("\n");
		session->in_message = false;
	}
	fflush(stdout);
	apd_buf_finish(&text);
}

/* Prints a line with the name of who says it. */
static void print_data(const struct session *session, struct apd_str name, struct apd_str data)
{
	printf("[");
	show(session, name);
	printf("] ");
	show(session, data);
	printf("\n");
}

/* Prints an event for people: messages as text, the rest only where it says something. */
static void print_event(struct session *session, const struct apd_event *event)
{
	if (session->json)
		print_event_json(event);
	else if (event->kind == APD_EVENT_EMITTED && event->channel == AP_CHANNEL_MESSAGES)
		print_message(session, event);
	else if (event->kind == APD_EVENT_EMITTED && event->channel == AP_CHANNEL_CUSTOM)
		print_data(session, APD_STR("custom"), event->data);
	else if (event->kind == APD_EVENT_UPDATES)
		print_data(session, event->node, event->data);
}

/* Prints what the log has. */
static void on_news(struct apd_watch *watch)
{
	struct session *session = apd_container_of(watch, struct session, watch);
	const struct apd_event *event;

	while (apd_event_reader_next(&session->reader, &event) == APD_READ_EVENT) {
		print_event(session, event);
		session->taken = event->seq;
	}
	if (!session->over)
		apd_runtime_taken(session->engine.runtime, &session->call, session->taken);
}

static void on_accepted(struct apd_run_call *call)
{
	struct session *session = apd_container_of(call, struct session, call);

	session->started = true;
	session->log = apd_event_log_ref(call->log);
	apd_event_reader_init(&session->reader, call->log, call->log_seq);
	session->watch.news = on_news;
	session->watch.channels = ~0u;
	apd_runtime_watch(session->engine.runtime, session->log, &session->watch);
}

/* The loop must not wait any more: this may have been decided just before it does. */
static void set_over(struct session *session)
{
	session->over = true;
	uv_stop(&session->engine.loop);
}

static void on_ended(struct apd_run_call *call)
{
	struct session *session = apd_container_of(call, struct session, call);

	session->row = apd_run_row_ref(call->row);
	set_over(session);
}

static void on_refused(struct apd_run_call *call, const struct apd_problem *problem)
{
	struct session *session = apd_container_of(call, struct session, call);

	session->problem = *problem;
	set_over(session);
}

/* Ctrl-C: ask the agent to stop. */
static void on_interrupt(uv_signal_t *handle, int number)
{
	struct session *session = handle->data;

	(void)number;
	if (session->started && !session->over)
		apd_runtime_cancel_run(
			session->engine.runtime, &session->call.row->run_id, false, NULL);
}

/* Adds the body of the request that a client would send for this. */
static void add_body(struct apd_buf *out, const struct session *session)
{
	apd_buf_lit(out, "{");
	apd_json_member_str(out, "agent_id", apd_str(session->agent_id));
	if (session->input)
		apd_json_member_raw(out, "input", apd_str(session->input));
	if (session->messages.len)
		apd_buf_addf(out, ",\"messages\":[%s]", session->messages.data);
	apd_buf_addf(out, ",\"config\":{\"configurable\":%s}}", session->configurable);
}

/* Creates the run of the body, unless it is refused. */
static void create(struct session *session, struct apd_str body)
{
	static const struct apd_run_call_ops ops = {on_refused, on_accepted, on_ended};
	struct apd_agent_set *agents = apd_pool_agents(session->engine.pool);
	struct apd_request_maker maker;
	struct apd_run_request request;
	int r;

	apd_request_maker_init(&maker);
	session->call.ops = &ops;
	r = apd_json_scan(&session->scan, body);
	if (r < 0)
		apd_problem_set(
			&session->problem, APD_PROBLEM_INVALID_JSON, "%s", session->scan.error);
	else
		r = apd_run_request_init(&maker, agents, &session->scan, NULL, APD_MODE_STREAM,
			&request, &session->problem);
	if (r < 0) {
		set_over(session);
	} else {
		apd_runtime_create_run(session->engine.runtime, &request.spec, &session->call);
		apd_run_request_finish(&request);
	}
	apd_request_maker_finish(&maker);
	apd_agent_set_unref(agents);
}

/* Creates the run and turns the loop until it is over. */
static void execute(struct session *session)
{
	struct apd_buf body = {0};

	add_body(&body, session);
	create(session, apd_buf_str(&body));
	while (!session->over)
		uv_run(&session->engine.loop, UV_RUN_ONCE);
	apd_buf_finish(&body);
}

/* Prints what came of it; the exit status. */
static int report(struct session *session)
{
	int status = 1;

	if (session->started)
		on_news(&session->watch);
	if (session->problem.code) {
		fprintf(stderr, "apd run: %s\n", session->problem.message);
		status = apd_problem_status(session->problem.code) == 422 ? 2 : 1;
	} else if (session->row->status != APD_RUN_SUCCESS) {
		fprintf(stderr, "apd run: the run ended as %s: %.*s\n",
			apd_run_status_word(session->row->status),
			APD_STR_FMT(session->row->error));
	} else {
		if (!session->json) {
			show(session, session->row->output);
			printf("\n");
		}
		status = 0;
	}
	return status;
}

/* Starts the engine, executes the run, and takes everything down again. */
static int run_session(struct session *session)
{
	struct apd_buf error = {0};
	int status = 1;
	int r = apd_engine_init(&session->engine, &error);

	if (r == 0)
		r = apd_engine_start(&session->engine, &session->config, apd_no_storage(),
			session->in_process, &error);
	if (r == 0) {
		uv_signal_init(&session->engine.loop, &session->interrupt);
		session->interrupt.data = session;
		uv_signal_start(&session->interrupt, on_interrupt, SIGINT);
		execute(session);
		status = report(session);
		if (session->started) {
			apd_runtime_unwatch(session->engine.runtime, &session->watch);
			apd_event_reader_finish(&session->reader);
		}
		apd_engine_shutdown(&session->engine);
		apd_engine_stop_workers(&session->engine);
	} else {
		fprintf(stderr, "apd: %s\n", error.data);
	}
	apd_engine_finish(&session->engine);
	apd_event_log_unref(session->log);
	apd_run_row_unref(session->row);
	apd_buf_finish(&error);
	return status;
}

/* Checks that an argument is JSON (an object, where it must be one). */
static int check_json(struct session *session, const char *option, const char *text, bool object)
{
	if (!text)
		return 0;
	if (apd_json_scan(&session->scan, apd_str(text)) < 0) {
		fprintf(stderr, "apd run: %s: line %u, column %u: %s\n", option,
			session->scan.error_line, session->scan.error_column, session->scan.error);
		return -1;
	}
	if (object && apd_json_type(&session->scan, 0) != APD_JSON_OBJECT) {
		fprintf(stderr, "apd run: %s: expected an object\n", option);
		return -1;
	}
	return 0;
}

/* Reads the arguments: 0 to go on, 1 to exit with success, -1 with failure. */
static int read_arguments(struct session *session, int argc, char **argv)
{
	struct apd_arguments arguments = {options, argc, argv, 0};
	const char *value;
	int r;

	while ((r = apd_arguments_next(&arguments, &value)) != -1) {
		switch (r) {
		case OPT_MESSAGE:
			add_message(session, value);
			break;
		case OPT_INPUT:
			session->input = value;
			break;
		case OPT_RUN_CONFIG:
			session->configurable = value;
			break;
		case OPT_JSON:
			session->json = true;
			break;
		case OPT_IN_PROCESS:
			session->in_process = true;
			break;
		case OPT_CONFIG:
			session->file = value;
			break;
		case OPT_PLUGIN_DIR:
			apd_config_add(&session->config, &session->dirs, apd_str(value));
			break;
		case OPT_HELP:
			apd_arguments_help(options, "run AGENT [OPTION]...",
				"Runs an agent without a server and shows what it streams.");
			return 1;
		case -2:
			if (!session->agent_id) {
				session->agent_id = value;
				break;
			}
			fprintf(stderr, "apd run: unexpected argument %s\n", value);
			return -1;
		default:
			return -1;
		}
	}
	if (!session->agent_id) {
		fprintf(stderr, "apd run: name an agent (see `apd agents`)\n");
		return -1;
	}
	return check_json(session, "--input", session->input, false) < 0 ||
			check_json(session, "--configurable", session->configurable, true) < 0
		? -1
		: 0;
}

int apd_command_run(int argc, char **argv)
{
	struct session *session = apd_calloc(1, sizeof(*session));
	int r, status;

	apd_config_init(&session->config);
	session->configurable = "{}";
	session->terminal = isatty(STDOUT_FILENO);
	r = read_arguments(session, argc, argv);
	status = r > 0 ? 0 : 2;
	if (r != 0) {
		free((void *)session->dirs);
	} else if (apd_command_config(&session->config, session->file, session->dirs) == 0) {
		apd_log_set_level(APD_LOG_WARN);
		status = run_session(session);
	}
	apd_json_finish(&session->scan);
	apd_buf_finish(&session->messages);
	apd_config_finish(&session->config);
	free(session);
	return status;
}
