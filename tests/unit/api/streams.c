/* Runs that tests stream. */
#include "streams.h"

#include "ap/agent.h"

struct lab *stream_lab;

int stream_open(void **state)
{
	(void)state;
	stream_lab = lab_create();
	lab_add_agent(stream_lab, "a", NULL, NULL);
	lab_set_run(stream_lab, APD_RUN_PENDING);
	return 0;
}

int stream_close(void **state)
{
	(void)state;
	lab_destroy(stream_lab);
	return 0;
}

uint64_t stream_started(void)
{
	return lab_event(stream_lab, (struct apd_event){.kind = APD_EVENT_STARTED});
}

uint64_t stream_custom(const char *payload)
{
	struct apd_buf data = {0};
	uint64_t seq;

	apd_buf_addf(&data, "{\"payload\":%s}", payload);
	seq = lab_event(stream_lab,
		(struct apd_event){.kind = APD_EVENT_EMITTED,
			.channel = AP_CHANNEL_CUSTOM,
			.data = apd_buf_str(&data)});
	apd_buf_finish(&data);
	return seq;
}

uint64_t stream_message(const char *data)
{
	return lab_event(stream_lab,
		(struct apd_event){.kind = APD_EVENT_EMITTED,
			.channel = AP_CHANNEL_MESSAGES,
			.data = apd_str(data)});
}

uint64_t stream_ended(enum apd_run_status status)
{
	return lab_event(stream_lab, (struct apd_event){.kind = APD_EVENT_ENDED, .status = status});
}

void stream_create(const char *modes)
{
	struct apd_run_call *call;
	struct apd_buf body = {0};

	apd_buf_addf(&body, "{\"agent_id\":\"a\",\"stream_mode\":%s}", modes);
	lab_handle(lab_request(stream_lab, NULL, body.data), api_create_and_stream);
	apd_buf_finish(&body);
	lab_run_runtime(stream_lab);
	call = stream_lab->runtime.call;
	call->row = stream_lab->runtime.row;
	call->log = stream_lab->runtime.log;
	call->log_seq = apd_event_log_last(call->log);
	call->ops->accepted(call);
	lab_run(stream_lab);
	assert_non_null(stream_lab->stream);
}

void stream_join(const char *modes, const char *last_event_id)
{
	struct apd_http_request *request = lab_request(stream_lab, STREAM_ID, NULL);

	request->query[0] = (struct lab_pair){"stream_mode", modes};
	if (last_event_id)
		request->headers[0] = (struct lab_pair){"Last-Event-ID", last_event_id};
	lab_handle(request, api_stream_run);
	lab_run(stream_lab);
	assert_non_null(stream_lab->stream);
}

const char *stream_pull(int expected)
{
	apd_buf_clear(&stream_lab->body);
	assert_int_equal(lab_pull(stream_lab, 65536), expected);
	return apd_buf_str(&stream_lab->body).ptr;
}

unsigned stream_count(const char *text, const char *part)
{
	unsigned n = 0;

	while ((text = strstr(text, part))) {
		text += strlen(part);
		n++;
	}
	return n;
}

void stream_finish(bool left)
{
	lab_close(stream_lab, left);
	lab_run(stream_lab);
	assert_null(stream_lab->runtime.watch);
}
