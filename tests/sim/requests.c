/* What clients ask of a run: the request's text, and the ranges of it that the runtime gets. */
#include "sim.h"

#include <stdio.h>

void request_webhook(const struct srun *run, char *out, size_t size)
{
	snprintf(out, size, "http://hook/%lu", run->serial);
}

/* Where a part of the text begins and ends. */
struct part {
	size_t at, len;
};

static struct part begin(const struct apd_buf *out)
{
	return (struct part){.at = out->len};
}

static void end(const struct apd_buf *out, struct part *part)
{
	part->len = out->len - part->at;
}

static struct apd_str range(const struct apd_text *text, struct part part)
{
	return part.len ? (struct apd_str){text->data + part.at, part.len} : APD_STR_ABSENT;
}

static const char *const strategies[] = {"reject", "enqueue", "interrupt", "rollback"};

/* Adds what only runs of kept threads have; the parts of the command are told. */
static void add_thread_members(struct apd_buf *out, const struct srun *run, struct part *resume,
	struct part *update, struct part *jump)
{
	bool updates = false;

	for (int k = 0; k < N_KEYS; k++)
		updates |= run->input->values[k] != 0;
	if (run->delete_thread)
		apd_buf_lit(out, ",\"on_completion\":\"delete\"");
	if (run->create_thread)
		apd_buf_lit(out, ",\"if_not_exists\":\"create\"");
	apd_buf_addf(out, ",\"multitask_strategy\":\"%s\"", strategies[run->multitask]);
	if (!run->answers.kind && !updates && !run->jumps)
		return;
	apd_buf_lit(out, ",\"command\":{\"some\":1");
	if (run->answers.kind) {
		apd_buf_lit(out, ",\"resume\":");
		*resume = begin(out);
		answers_add(out, &run->answers);
		end(out, resume);
	}
	if (updates) {
		apd_buf_lit(out, ",\"update\":");
		*update = begin(out);
		apd_buf_lit(out, "{");
		patch_add_values(out, run->input);
		apd_buf_lit(out, "}");
		end(out, update);
	}
	if (run->jumps) {
		apd_buf_lit(out, ",\"goto\":");
		*jump = begin(out);
		apd_buf_lit(out, "\"there\"");
		end(out, jump);
	}
	apd_buf_lit(out, "}");
}

void request_make(struct world *w, struct srun *run, struct apd_run_spec *spec)
{
	const char *agent = sim_chance(w, 1) ? "none" : w->agents[run->agent].id;
	struct part input, messages = {0}, metadata, hook = {0}, resume = {0}, update = {0},
			   jump = {0};
	struct apd_buf *out = &w->buf;
	char url[40];

	apd_buf_clear(out);
	apd_buf_addf(out, "{\"agent_id\":\"%s\",\"input\":", agent);
	input = begin(out);
	apd_buf_add_u64(out, run->serial);
	end(out, &input);
	apd_buf_lit(out, ",\"metadata\":");
	metadata = begin(out);
	apd_buf_lit(out, "{}");
	end(out, &metadata);
	if (run->input->says) {
		apd_buf_lit(out, ",\"messages\":");
		messages = begin(out);
		patch_add_messages(out, run->input);
		end(out, &messages);
	}
	if (run->webhook) {
		request_webhook(run, url, sizeof(url));
		apd_buf_lit(out, ",\"webhook\":\"");
		hook = begin(out);
		apd_buf_add_cstr(out, url);
		end(out, &hook);
		apd_buf_lit(out, "\"");
	}
	if (run->thr)
		add_thread_members(out, run, &resume, &update, &jump);
	apd_buf_lit(out, "}");
	run->request = apd_text_of(out);
	spec->request = run->request;
	spec->agent_id = (struct apd_str){run->request->data + 13, strlen(agent)};
	spec->input = range(run->request, input);
	spec->metadata = range(run->request, metadata);
	spec->messages = range(run->request, messages);
	spec->webhook = range(run->request, hook);
	spec->resume = range(run->request, resume);
	spec->update = range(run->request, update);
	spec->jump = range(run->request, jump);
}
