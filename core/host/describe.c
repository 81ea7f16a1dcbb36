/* The throw-away worker: SETUP with describe set, one HELLO or FAILED, the end. */
#include "host/describe.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "host/child.h"
#include "host/plugin_file.h"

struct apd_describe {
	struct apd_child child;
	struct apd_deadline timeout;
	struct apd_description *description;
	char why[APD_WHY_SIZE];
	bool unconfined;
	apd_described_cb *done;
	void *data;
};

/* Takes the step that failed and what it says. */
static void take_failure(struct apd_describe *job, struct apd_str payload)
{
	struct apd_fields fields = {payload.ptr, payload.ptr + payload.len};
	struct apd_str step, message;

	if (apd_fields_next(&fields, &step) < 0 || apd_fields_next(&fields, &message) < 0)
		snprintf(job->why, sizeof(job->why), "its worker failed and could not say why");
	else {
		job->unconfined = apd_setup_is_confinement(step);
		snprintf(job->why, sizeof(job->why), "%.*s: %.*s", APD_STR_FMT(step),
			APD_STR_FMT(message));
	}
}

static const char *on_frame(
	struct apd_child *child, const struct apd_frame *frame, struct apd_str payload)
{
	struct apd_describe *job = apd_container_of(child, struct apd_describe, child);
	struct apd_fields fields = {payload.ptr, payload.ptr + payload.len};
	struct apd_str json;

	if (job->description || job->why[0])
		return NULL;
	if (frame->type == APD_FRAME_FAILED)
		take_failure(job, payload);
	else if (frame->type == APD_FRAME_HELLO) {
		if (apd_fields_next(&fields, &json) < 0)
			return "its HELLO is malformed";
		apd_description_parse(json, &job->description, job->why, sizeof(job->why));
	}
	return NULL;
}

static void on_dead(struct apd_child *child, const char *reason)
{
	struct apd_describe *job = apd_container_of(child, struct apd_describe, child);

	apd_deadline_clear(child->deadlines, &job->timeout);
	if (!job->description && job->why[0] == '\0')
		snprintf(job->why, sizeof(job->why), "it could not be described: %s", reason);
}

static void on_closed(struct apd_child *child)
{
	struct apd_describe *job = apd_container_of(child, struct apd_describe, child);

	job->done(job->data, job->description, job->why, job->unconfined);
	free(job);
}

static void on_timeout(struct apd_deadline *deadline)
{
	struct apd_describe *job = apd_container_of(deadline, struct apd_describe, timeout);

	apd_child_kill(&job->child, "it took longer than 5 s");
}

static const struct apd_child_ops ops = {
	.frame = on_frame,
	.dead = on_dead,
	.closed = on_closed,
};

void apd_describe_cancel(struct apd_describe *job)
{
	apd_child_kill(&job->child, "apd is stopping");
}

int apd_describe_start(const struct apd_host_config *config, struct apd_strays *strays,
	const struct apd_confinement *confinement, uv_loop_t *loop, struct apd_deadlines *deadlines,
	int memfd, const char *name, apd_described_cb *done, void *data,
	struct apd_describe **ret_describe)
{
	const struct apd_child_spec spec = {
		.program = config->worker_path,
		.name = name,
		.env = (const char *const *)confinement->env,
		.plugin_fd = memfd,
		.message_max = config->message_max,
		.in_process = config->in_process,
		.strays = strays,
	};
	struct apd_describe *job = apd_calloc(1, sizeof(*job));
	int r = apd_child_start(&job->child, loop, deadlines, &spec, &ops);

	if (r < 0) {
		free(job);
		return r;
	}
	job->timeout.expired = on_timeout;
	job->done = done;
	job->data = data;
	apd_deadline_set_in(deadlines, &job->timeout, APD_DESCRIBE_NS);
	apd_setup_add(&job->child.out, config, confinement, name, true);
	apd_child_flush(&job->child);
	*ret_describe = job;
	return 0;
}
