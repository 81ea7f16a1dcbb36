/* A session's beginning and end. */
#include "apd/check/session.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "apd/check/random.h"
#include "apd/check/wire.h"
#include "apd/config.h"
#include "base/clock.h"
#include "base/json_text.h"
#include "host/confinement.h"
#include "worker/worker.h"

/* create() and its relatives should return within a second; they get more. */
#define MAIN_NS (10 * APD_NS_PER_S)

static void *serve(void *data)
{
	struct apd_check_session *session = data;

	apd_worker_serve(session->worker_socket, session->check->target->memfd, true);
	return NULL;
}

/* Sends SETUP with the limits that a daemon has by default. */
static void send_setup(struct apd_check_session *session)
{
	/* This process is the author's own: it is not confined. */
	const struct apd_confinement nothing = {0};
	struct apd_host_config host;
	struct apd_config config;
	struct apd_buf out = {0};

	apd_config_init(&config);
	apd_config_host(&config, &host);
	apd_setup_add(&out, &host, &nothing, session->check->target->name, false);
	apd_check_send(session, &out);
	apd_config_finish(&config);
}

/* Takes HELLO or FAILED. */
static int take_hello(struct apd_check_session *session)
{
	struct apd_check *check = session->check;
	char why[APD_CHECK_REASON] = "HELLO is malformed";
	struct apd_str text, more = APD_STR("");
	struct apd_frame frame;
	struct apd_fields fields;
	struct apd_str payload;

	if (apd_check_receive(session, apd_clock_mono_ns() + MAIN_NS, &frame, &payload) <= 0) {
		apd_check_fail(
			check, "it was not described within %d s", (int)(MAIN_NS / APD_NS_PER_S));
		return -1;
	}
	fields = (struct apd_fields){payload.ptr, payload.ptr + payload.len};
	if (apd_fields_next(&fields, &text) < 0 ||
		(frame.type == APD_FRAME_FAILED && apd_fields_next(&fields, &more) < 0)) {
		apd_check_fail(check, "the worker said nothing that can be read");
		return -1;
	}
	if (frame.type == APD_FRAME_HELLO &&
		apd_description_parse(text, &session->description, why, sizeof(why)) == 0)
		return 0;
	if (frame.type == APD_FRAME_FAILED)
		apd_check_fail(check, "%.*s: %.*s", APD_STR_FMT(text), APD_STR_FMT(more));
	else
		apd_check_fail(check, "%s", why);
	return -1;
}

int apd_check_session_open(struct apd_check_session *session, struct apd_check *check)
{
	int sockets[2];

	*session = (struct apd_check_session){.check = check, .reader.max = 256u << 20};
	apd_id_gen_init(&session->random, check->target->seed);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) < 0) {
		apd_check_fail(check, "no socket: %s", strerror(errno));
		return -1;
	}
	session->socket = sockets[0];
	session->worker_socket = sockets[1];
	if (pthread_create(&session->thread, NULL, serve, session)) {
		apd_check_fail(check, "no thread for the worker");
		close(sockets[0]);
		close(sockets[1]);
		return -1;
	}
	send_setup(session);
	return take_hello(session);
}

/* Says that an agent's create() refused. */
static void skip_refused(struct apd_check_session *session, const struct apd_described *agent,
	struct apd_str payload)
{
	struct apd_fields fields = {payload.ptr, payload.ptr + payload.len};
	struct apd_str code = APD_STR_ABSENT, message = APD_STR_ABSENT;
	const char *settings = session->check->target->settings;
	ap_status status = 0;

	if (apd_fields_struct(&fields, &status, sizeof(status)) == 0 &&
		apd_fields_next(&fields, &code) == 0)
		apd_fields_next(&fields, &message);
	apd_check_skip(session->check,
		"agent %s: create() refuses the settings %s (%d, %.*s: %.*s)", agent->id.ptr,
		settings ? settings : "{}", (int)status, APD_STR_FMT(code), APD_STR_FMT(message));
}

/* Makes the instance of one agent. */
static int create(struct apd_check_session *session, uint32_t number)
{
	const struct apd_described *agent = &session->description->agents[number];
	const char *settings = session->check->target->settings;
	struct apd_str fields[] = {agent->id, agent->id, apd_str(settings ? settings : "{}")};
	struct apd_buf out = {0};
	struct apd_frame frame;
	struct apd_str payload;
	int32_t status;
	int r;

	if (!apd_check_matches(agent->settings_schema, fields[2])) {
		apd_check_skip(session->check,
			"agent %s: %s does not match its settings_schema: say --settings",
			agent->id.ptr, fields[2].ptr);
		return -1;
	}
	apd_frame_add(&out, APD_FRAME_CREATE, 0, number, fields, 3);
	apd_check_send(session, &out);
	do
		r = apd_check_receive(session, apd_clock_mono_ns() + MAIN_NS, &frame, &payload);
	while (r > 0 && frame.type != APD_FRAME_CREATED);
	if (r <= 0) {
		apd_check_fail(session->check, "agent %s: create() did not return within %d s",
			agent->id.ptr, (int)(MAIN_NS / APD_NS_PER_S));
		return -1;
	}
	if (apd_fields_struct(&(struct apd_fields){payload.ptr, payload.ptr + payload.len}, &status,
		    sizeof(status)) == 0 &&
		status >= 0)
		return 0;
	skip_refused(session, agent, payload);
	return -1;
}

int apd_check_session_create(struct apd_check_session *session)
{
	for (uint32_t i = 0; i < session->description->n_agents; i++)
		if (create(session, i) < 0)
			return -1;
	return 0;
}

void apd_check_session_close(struct apd_check_session *session)
{
	struct apd_buf out = {0};
	struct apd_frame frame;
	struct apd_str payload;
	int r = 1;

	/* The process ends soon; a plugin that is in a bad way is not asked for more. */
	if (session->check->result == APD_CHECK_FAIL)
		return;
	apd_frame_add(&out, APD_FRAME_QUIT, 0, 0, NULL, 0);
	apd_check_send(session, &out);
	while (r > 0)
		r = apd_check_receive(session, apd_clock_mono_ns() + MAIN_NS, &frame, &payload);
	if (r == -ETIME) {
		apd_check_fail(session->check, "destroy() or deinit() did not return within %d s",
			(int)(MAIN_NS / APD_NS_PER_S));
		return;
	}
	pthread_join(session->thread, NULL);
	close(session->socket);
	apd_frame_reader_finish(&session->reader);
	apd_description_destroy(session->description);
}

bool apd_check_input_make(struct apd_check_session *session, uint32_t agent, bool least,
	struct apd_check_input *input)
{
	const struct apd_described *described = &session->description->agents[agent];
	struct apd_buf text = {0};

	*input = (struct apd_check_input){0};
	apd_buf_lit(&input->config, "{");
	if (described->config_schema.ptr) {
		apd_json_add_key(&input->config, "configurable");
		if (!apd_check_random(
			    &session->random, described->config_schema, least, &input->config))
			goto none;
	}
	apd_buf_lit(&input->config, "}");
	if (!least && described->messages) {
		apd_check_random(&session->random, APD_STR("{\"type\":\"string\"}"), false, &text);
		apd_buf_addf(&input->messages,
			"[{\"id\":\"m%u\",\"role\":\"user\",\"content\":%s}]", session->last_run,
			text.data);
		apd_buf_finish(&text);
	}
	if (apd_check_random(&session->random, described->input_schema, least, &input->input))
		return true;
none:
	apd_check_skip(session->check, "agent %s: no input that matches its schemas could be made",
		described->id.ptr);
	apd_check_input_finish(input);
	return false;
}

void apd_check_input_finish(struct apd_check_input *input)
{
	apd_buf_finish(&input->input);
	apd_buf_finish(&input->messages);
	apd_buf_finish(&input->config);
	apd_buf_finish(&input->resume);
	apd_buf_finish(&input->continuation);
	apd_buf_finish(&input->values);
	apd_buf_finish(&input->transcript);
}

void apd_check_each_agent(
	struct apd_check *check, void (*look)(struct apd_check_session *session, uint32_t agent))
{
	struct apd_check_session session;

	if (apd_check_session_open(&session, check) < 0)
		return;
	if (apd_check_session_create(&session) == 0)
		for (uint32_t i = 0; i < session.description->n_agents; i++)
			if (check->result != APD_CHECK_FAIL)
				look(&session, i);
	apd_check_session_close(&session);
}
