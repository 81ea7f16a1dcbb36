/*
 * Does what its input says, {"steps":[...]}, one step after the other. What a step may have, in the
 * order in which it is done:
 *   "wait": milliseconds, or "until_stopped" (the steps behind it are done all the same)
 *   "patch", "removed", "name": a commit
 *   "add": {KEY: N}: commits KEY as N more than it was when the run began
 *   "see": commits {"seen": all that the run was given}
 *   "version": commits {"version": VERSION}
 *   "ask": {ID: PAYLOAD, ...}: asks, and goes on with "then" when it is answered
 *   "fail": CODE, "crash": true
 * Several agents, which differ in what they declare.
 */
#include <ap/sugar.h>

#include <poll.h>
#include <stdbool.h>

#ifndef VERSION
#define VERSION 1
#endif
#define TEXT_(n) #n
#define TEXT(n)  TEXT_(n)

#define MAX_QUESTIONS 8

/* Sleeps, or waits for the stop; a status if the run shall not go on. */
static ap_status do_wait(ap_run *run, ap_str wait)
{
	struct pollfd stop = {.fd = run->stop_fd, .events = POLLIN};
	int64_t ms = 0;

	if (!ap_json_is(wait, "until_stopped"))
		return ap_json_int(wait, &ms) == AP_OK ? ap_sleep_ms(run, ms) : AP_E_INVALID;
	poll(&stop, 1, -1);
	return AP_OK;
}

/* Commits what the step says, as it says it. */
static ap_status do_patch(ap_run *run, ap_str step)
{
	ap_str patch = ap_json_get(step, "patch");
	ap_step s = {.size = sizeof(s), .name = AP_STR("step")};
	ap_buf name;
	ap_status status;

	ap_buf_init(&name, NULL, 0, 0);
	if (ap_json_get(step, "name").ptr)
		s.name = ap_json_text(ap_json_get(step, "name"), &name);
	s.patch = patch.ptr ? patch : AP_STR("{}");
	s.removed = ap_json_get(step, "removed");
	status = run->ops->commit(run, &s);
	ap_buf_free(&name);
	return status;
}

/* Commits each key as more than it was when the run began. */
static ap_status do_add(ap_run *run, ap_str add)
{
	ap_buf patch, key;
	ap_str name, value;
	ap_status status;
	size_t at = 0;

	ap_buf_init(&patch, NULL, 0, 0);
	ap_buf_init(&key, NULL, 0, 0);
	ap_buf_add_char(&patch, '{');
	while (ap_json_next(add, &at, &name, &value)) {
		int64_t n = 0, before = 0;

		ap_buf_clear(&key);
		ap_json_add_text(&key, name);
		ap_buf_add_char(&key, '\0');
		ap_json_int(value, &n);
		ap_json_int(ap_json_get(run->values, key.ptr), &before);
		ap_json_member_int(&patch, key.ptr, before + n);
	}
	ap_buf_add_char(&patch, '}');
	status = patch.status == AP_OK ? ap_commit(run, "add", ap_buf_str(&patch)) : patch.status;
	ap_buf_free(&patch);
	ap_buf_free(&key);
	return status;
}

/* Commits what the run was given. */
static ap_status do_see(ap_run *run)
{
	ap_status status;
	ap_buf b;

	ap_buf_init(&b, NULL, 0, 0);
	ap_buf_add_cstr(&b, "{\"seen\":{");
	ap_json_member_int(&b, "attempt", run->attempt);
	ap_json_member_bool(&b, "ephemeral", run->flags & AP_RUN_EPHEMERAL);
	ap_json_member_str(&b, "run_id", run->run_id);
	ap_json_member_str(&b, "thread_id", run->thread_id);
	ap_json_member_str(&b, "agent_id", run->agent_id);
	ap_json_member_raw(&b, "values", run->values);
	ap_json_member_raw(&b, "messages", run->messages);
	ap_json_member_raw(&b, "transcript", run->transcript);
	ap_json_member_raw(&b, "config", run->config);
	ap_json_member_raw(&b, "metadata", run->metadata);
	ap_json_member_raw(&b, "resume", run->resume);
	ap_json_member_raw(&b, "jump", run->jump);
	ap_buf_add_cstr(&b, "}}");
	status = b.status == AP_OK ? ap_commit(run, "see", ap_buf_str(&b)) : b.status;
	ap_buf_free(&b);
	return status;
}

/* Asks all questions at once; the steps behind them are what it goes on with. */
static ap_status do_ask(ap_run *run, ap_str step)
{
	ap_question questions[MAX_QUESTIONS];
	const ap_question *asked[MAX_QUESTIONS];
	ap_buf ids[MAX_QUESTIONS];
	ap_str key, payload, then = ap_json_get(step, "then");
	size_t at = 0, n = 0;
	ap_status status;

	while (n < MAX_QUESTIONS && ap_json_next(ap_json_get(step, "ask"), &at, &key, &payload)) {
		ap_buf_init(&ids[n], NULL, 0, 0);
		questions[n] = (ap_question){.size = sizeof(questions[n]),
			.id = ap_json_text(key, &ids[n]),
			.payload = payload};
		asked[n] = &questions[n];
		n++;
	}
	status = run->ops->interrupt(run, asked, n, then.ptr ? then : AP_STR("[]"));
	for (size_t i = 0; i < n; i++)
		ap_buf_free(&ids[i]);
	return status < 0 ? status : AP_INTERRUPTED;
}

/* Fails with the code that the step names. */
static ap_status do_fail(ap_run *run, ap_str code)
{
	ap_buf space;
	ap_status status;

	ap_buf_init(&space, NULL, 0, 0);
	status = run->ops->fail(run, AP_E_FAILED, ap_json_text(code, &space), AP_STR("As asked."));
	ap_buf_free(&space);
	return status < 0 ? status : AP_E_FAILED;
}

static bool has(ap_str step, const char *key)
{
	return ap_json_get(step, key).ptr != NULL;
}

/* Does one step; a status that is not AP_OK ends the run. */
static ap_status do_step(ap_run *run, ap_str step)
{
	ap_status status = AP_OK;

	if (has(step, "wait"))
		status = do_wait(run, ap_json_get(step, "wait"));
	if (status == AP_OK && (has(step, "patch") || has(step, "removed")))
		status = do_patch(run, step);
	if (status == AP_OK && has(step, "add"))
		status = do_add(run, ap_json_get(step, "add"));
	if (status == AP_OK && has(step, "see"))
		status = do_see(run);
	if (status == AP_OK && has(step, "version"))
		status = ap_commit(run, "version", AP_STR("{\"version\":" TEXT(VERSION) "}"));
	if (status == AP_OK && has(step, "ask"))
		status = do_ask(run, step);
	if (status == AP_OK && has(step, "fail"))
		status = do_fail(run, ap_json_get(step, "fail"));
	if (status == AP_OK && has(step, "crash"))
		abort();
	return status;
}

static ap_status stateful_invoke(void *self, ap_run *run)
{
	ap_str steps = ap_json_get(run->input, "steps"), step;
	ap_status status = AP_OK;
	size_t at = 0;

	(void)self;
	if (run->resume.ptr && run->continuation.ptr)
		steps = run->continuation;
	while (status == AP_OK && ap_json_next(steps, &at, NULL, &step))
		status = do_step(run, step);
	return status == AP_OK ? ap_check(run) : status;
}

static const char *const capabilities[] = {"ap.io.messages", "ap.flow.goto", NULL};

/* Defines NAME_agent with this id; further fields of its info may follow. */
#define STATEFUL(name, the_id, ...)                                            \
	static const ap_agent_info name##_info = {.size = sizeof(name##_info), \
		.id = the_id,                                                  \
		.capabilities = capabilities,                                  \
		.max_concurrency = AP_UNLIMITED,                               \
		__VA_ARGS__};                                                  \
	static const ap_agent name##_agent = {                                 \
		.size = sizeof(name##_agent), .info = &name##_info, .invoke = stateful_invoke}

STATEFUL(plain, "stateful", .flags = 0);
STATEFUL(safe, "safe", .flags = AP_AGENT_RETRY_SAFE);
STATEFUL(transcript, "transcript", .flags = AP_AGENT_WANTS_TRANSCRIPT);
STATEFUL(bound, "bound", .flags = AP_AGENT_NEEDS_THREAD);
STATEFUL(output, "output",
	.output_schema = "{\"type\":\"object\",\"properties\":{\"count\":{\"type\":\"integer\"}}}");

AP_PLUGIN(.name = "stateful", .version = TEXT(VERSION), .license = "MIT",
	.agents = (const ap_agent *const[]){
		&plain_agent, &safe_agent, &transcript_agent, &bound_agent, &output_agent, NULL});
