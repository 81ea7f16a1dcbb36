/*
 * The agents "keeper" and "keeper-safe" (which may be asked again): they count in the state of
 * their thread. A run has a tag of its own; step i is one commit of {TAG: i, "n": one more than
 * before} and of a message whose id is the tag and whose text is i. So in every state that ever was,
 * n is the number of all steps of all runs that left something there, and each commit's n is its
 * parent's plus one: a lost, doubled or half commit shows. A second attempt goes on behind what is
 * committed. Answered, it commits the answer and what it left for itself with its first step.
 */
#include <ap/sugar.h>

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <time.h>

/* Sleeps on, whatever the host wants. */
static void sleep_deaf(int64_t ms)
{
	struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		;
}

/* Adds what the run was resumed with. */
static void add_answer(ap_buf *b, const ap_run *run)
{
	size_t at = 0;
	ap_str first;

	if (!ap_json_next(run->resume, &at, NULL, &first))
		return;
	ap_json_member_raw(b, "answer", ap_json_get(first, "response"));
	ap_json_member_str(b, "asked", run->continuation);
}

/* Commits step i of the run. */
static ap_status keep(ap_run *run, const char *tag, int64_t i, int64_t n)
{
	char space[1024], number[24];
	ap_status status;
	ap_buf b;

	snprintf(number, sizeof(number), "%lld", (long long)i);
	ap_buf_init(&b, space, sizeof(space), 0);
	ap_buf_add_char(&b, '{');
	ap_json_member_int(&b, tag, i);
	ap_json_member_int(&b, "n", n);
	if (i == 0)
		add_answer(&b, run);
	ap_buf_add_cstr(&b, ",\"messages\":[{\"role\":\"assistant\"");
	ap_json_member_str(&b, "id", ap_cstr(tag));
	ap_json_member_str(&b, "content", ap_cstr(number));
	ap_buf_add_cstr(&b, "}]}");
	status = b.status == AP_OK ? ap_commit(run, "keep", ap_buf_str(&b)) : b.status;
	ap_buf_free(&b);
	return status;
}

/* Asks what is answered in a later run. */
static ap_status ask(ap_run *run, const char *tag)
{
	char payload[96];

	snprintf(payload, sizeof(payload), "{\"of\":\"%s\"}", tag);
	return ap_interrupt(run, tag, ap_cstr(payload), ap_cstr(tag));
}

static ap_status keeper_invoke(void *self, ap_run *run)
{
	ap_str how = ap_json_get(run->input, "how");
	int64_t steps = 0, step_ms = 0, i = -1, n = 0;
	bool deaf = ap_json_is(how, "deaf");
	ap_status status = AP_OK;
	char tag[64];
	ap_buf b;

	(void)self;
	ap_buf_init(&b, tag, sizeof(tag) - 1, sizeof(tag) - 1);
	ap_json_add_text(&b, ap_json_get(run->input, "tag"));
	tag[b.len] = '\0';
	ap_json_int(ap_json_get(run->input, "steps"), &steps);
	ap_json_int(ap_json_get(run->input, "step_ms"), &step_ms);
	ap_json_int(ap_json_get(run->values, "n"), &n);
	ap_json_int(ap_json_get(run->values, tag), &i);
	while (++i < steps && status == AP_OK) {
		status = keep(run, tag, i, ++n);
		if (status == AP_OK && deaf)
			sleep_deaf(step_ms);
		else if (status == AP_OK)
			status = ap_sleep_ms(run, step_ms);
	}
	if (status != AP_OK)
		return status;
	if (ap_json_is(how, "segv"))
		raise(SIGSEGV);
	if (ap_json_is(how, "fail"))
		return ap_fail(run, AP_E_FAILED, "as_asked", "It was to fail.");
	return ap_json_is(how, "ask") ? ask(run, tag) : AP_OK;
}

static const ap_agent_info once_info = {
	.size = sizeof(ap_agent_info),
	.id = "keeper",
	.name = "Keeper",
	.version = "1.0.0",
	.capabilities = (const char *const[]){"ap.io.messages", NULL},
	.max_concurrency = AP_UNLIMITED,
};

static const ap_agent_info safe_info = {
	.size = sizeof(ap_agent_info),
	.flags = AP_AGENT_RETRY_SAFE,
	.id = "keeper-safe",
	.name = "Keeper that may be asked again",
	.version = "1.0.0",
	.capabilities = (const char *const[]){"ap.io.messages", NULL},
	.max_concurrency = AP_UNLIMITED,
};

static const ap_agent once = {
	.size = sizeof(ap_agent), .info = &once_info, .invoke = keeper_invoke};
static const ap_agent safe = {
	.size = sizeof(ap_agent), .info = &safe_info, .invoke = keeper_invoke};

AP_PLUGIN(.name = "keeper", .version = "1.0.0", .license = "MIT",
	.agents = (const ap_agent *const[]){&once, &safe, NULL});
