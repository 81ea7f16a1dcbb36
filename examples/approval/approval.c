/*
 * Asks before it acts. Every order becomes a question; the answer decides
 * whether it is carried out, carried out in other words, or left alone.
 */
#include <ap/sugar.h>

/*
 * What a continuation begins with. Questions may wait for months, and whoever
 * reads the bytes then may be a later build: it must know what lies before it.
 * The first version of this agent took one order at a time.
 */
#define FORMAT "approval/2 " /* then [{"id":...,"action":...}, ...] */
#define FORMAT_ONE \
	"approval/1 " /* then the action, a JSON string; the question's id is "approve" */

#define MAX_ORDERS 16

/* Something that is not decided yet. */
struct order {
	char id[16]; /* of its question */
	ap_str action; /* JSON string */
	const char *problem; /* with the last answer, or NULL */
};

struct desk {
	ap_run *run;
	struct order orders[MAX_ORDERS];
	size_t n;
	ap_buf text, action; /* of an order that came as a message */
	ap_buf outcomes; /* what was decided: the items of values.outcomes */
};

static void desk_init(struct desk *desk, ap_run *run)
{
	memset(desk, 0, sizeof(*desk));
	desk->run = run;
	ap_buf_init(&desk->text, NULL, 0, 0);
	ap_buf_init(&desk->action, NULL, 0, 0);
	ap_buf_init(&desk->outcomes, NULL, 0, 0);
}

static void desk_finish(struct desk *desk)
{
	ap_buf_free(&desk->text);
	ap_buf_free(&desk->action);
	ap_buf_free(&desk->outcomes);
}

/* Puts an order on the desk. */
static void add_order(struct desk *desk, ap_str id, ap_str action)
{
	struct order *order = &desk->orders[desk->n];

	if (desk->n == MAX_ORDERS || ap_json_kind(action) != AP_JSON_STRING)
		return;
	snprintf(order->id, sizeof(order->id), "%.*s", AP_FMT(id));
	order->action = action;
	desk->n++;
}

/* Puts an order on the desk that has no id yet. */
static void add_new_order(struct desk *desk, ap_str action)
{
	char id[16];

	snprintf(id, sizeof(id), "order-%u", (unsigned)desk->n + 1);
	add_order(desk, ap_cstr(id), action);
}

/* Takes the orders of a new request: the input's, or else the last message is one. */
static void take_request(struct desk *desk)
{
	ap_str actions = ap_json_get(desk->run->input, "actions"), action, text;
	size_t at = 0;

	while (ap_json_next(actions, &at, NULL, &action))
		add_new_order(desk, action);
	if (actions.ptr)
		return;
	text = ap_message_read(ap_json_last(desk->run->messages), &desk->text);
	if (text.len && ap_json_add_string(&desk->action, text) == AP_OK)
		add_new_order(desk, ap_buf_str(&desk->action));
}

/*
 * Says what it is about to ask, for those who look at the thread instead of
 * waiting for the question, and begins a new list of outcomes.
 */
static ap_status propose(struct desk *desk)
{
	ap_status status;
	ap_buf b;

	ap_buf_init(&b, NULL, 0, 0);
	ap_buf_add_cstr(&b, "{\"outcomes\":[],\"proposed\":[");
	for (size_t i = 0; i < desk->n; i++) {
		ap_json_add_comma(&b);
		ap_buf_add(&b, desk->orders[i].action);
	}
	ap_buf_add_cstr(&b, "]}");
	status = b.status ? b.status : ap_commit(desk->run, "propose", ap_buf_str(&b));
	ap_buf_free(&b);
	return status;
}

/* Takes up what an earlier invoke() left, however old it is; false if that cannot be read. */
static int take_continuation(struct desk *desk)
{
	ap_str left = desk->run->continuation;
	ap_str list = ap_str_after(left, FORMAT), one = ap_str_after(left, FORMAT_ONE);
	ap_str item, outcomes;
	char space[16];
	size_t at = 0;
	ap_buf id;

	ap_buf_init(&id, space, sizeof(space), sizeof(space));
	while (ap_json_next(list, &at, NULL, &item))
		add_order(desk, ap_json_text(ap_json_get(item, "id"), &id),
			ap_json_get(item, "action"));
	if (one.ptr)
		add_order(desk, AP_STR("approve"), one);

	/* What was decided before is in the thread's values, since it was committed. */
	outcomes = ap_json_trim(ap_json_get(desk->run->values, "outcomes"));
	if (outcomes.len > 2)
		ap_buf_add(&desk->outcomes, ap_mem(outcomes.ptr + 1, outcomes.len - 2));
	return list.ptr || one.ptr;
}

/* Commits a message of the agent's: words, and the action that they are about. */
static ap_status report(struct desk *desk, const char *step, const char *words, ap_str action)
{
	ap_status status;
	ap_buf text, patch;

	ap_buf_init(&text, NULL, 0, 0);
	ap_buf_init(&patch, NULL, 0, 0);
	ap_buf_add_cstr(&text, words);
	ap_json_add_text(&text, action);
	ap_buf_add_cstr(&patch, "{\"messages\":[{\"role\":\"assistant\",\"content\":");
	ap_json_add_string(&patch, ap_buf_str(&text));
	ap_buf_add_cstr(&patch, "}]}");
	status = text.status ? text.status : patch.status;
	if (status == AP_OK)
		status = ap_commit(desk->run, step, ap_buf_str(&patch));
	ap_buf_free(&text);
	ap_buf_free(&patch);
	return status;
}

/* Commits what was decided about an order: one more item of values.outcomes. */
static ap_status commit_decision(struct desk *desk, const struct order *order, const char *decision,
	ap_str action, ap_str reason)
{
	ap_status status;
	ap_buf patch;

	ap_json_add_comma(&desk->outcomes);
	ap_buf_add_char(&desk->outcomes, '{');
	ap_json_member_raw(&desk->outcomes, "proposed", order->action);
	ap_json_member_str(&desk->outcomes, "decision", ap_cstr(decision));
	if (action.ptr)
		ap_json_member_raw(&desk->outcomes, "action", action);
	if (reason.ptr)
		ap_json_member_raw(&desk->outcomes, "reason", reason);
	ap_buf_add_char(&desk->outcomes, '}');

	ap_buf_init(&patch, NULL, 0, 0);
	ap_buf_add_cstr(&patch, "{\"outcomes\":[");
	ap_buf_add(&patch, ap_buf_str(&desk->outcomes));
	ap_buf_add_cstr(&patch, "]}");
	status = desk->outcomes.status ? desk->outcomes.status : patch.status;
	if (status == AP_OK)
		status = ap_commit(desk->run, "decide", ap_buf_str(&patch));
	ap_buf_free(&patch);
	return status;
}

/* Does it: here only the readers of the stream hear of it. */
static ap_status act(struct desk *desk, const struct order *order, ap_str action)
{
	ap_status status = ap_tool_started(desk->run, order->id, "act", action);

	return status ? status : ap_tool_finished(desk->run, order->id, AP_STR("true"));
}

/*
 * Carries an order out. That it was allowed is committed before it is done, and
 * that it was done afterwards: if this process dies in between, the thread shows
 * a decision without a report, and nobody believes that nothing has happened.
 */
static ap_status carry_out(
	struct desk *desk, const struct order *order, const char *decision, ap_str action)
{
	ap_status status = commit_decision(desk, order, decision, action, ap_cstr(NULL));

	if (status == AP_OK)
		status = act(desk, order, action);
	return status == AP_OK ? report(desk, "act", "Done: ", action) : status;
}

static ap_status reject(struct desk *desk, const struct order *order, ap_str reason)
{
	ap_status status = commit_decision(desk, order, "reject", ap_cstr(NULL), reason);

	return status == AP_OK ? report(desk, "reject", "Not done: ", order->action) : status;
}

/*
 * Does what an answer says: true, false, or {"decision":...}. An answer comes
 * from outside and has been checked by nobody: one that says nothing useful
 * leaves the order on the desk, with the problem.
 */
static ap_status take_answer(struct desk *desk, struct order *order, ap_str answer)
{
	ap_str decision = ap_json_get(answer, "decision");
	ap_str action = ap_json_get(answer, "action");

	if (ap_str_is(answer, "true") || ap_json_is(decision, "approve"))
		return carry_out(desk, order, "approve", order->action);
	if (ap_str_is(answer, "false") || ap_json_is(decision, "reject"))
		return reject(desk, order, ap_json_get(answer, "reason"));
	if (!ap_json_is(decision, "edit"))
		order->problem = "decision: expected approve, edit or reject";
	else if (ap_json_kind(action) != AP_JSON_STRING)
		order->problem = "action: expected a string, since the decision is to edit";
	else
		return carry_out(desk, order, "edit", action);
	return AP_OK;
}

/* Takes the answers; what was not answered, or badly, stays on the desk. */
static ap_status take_answers(struct desk *desk)
{
	size_t kept = 0;

	for (size_t i = 0; i < desk->n; i++) {
		struct order *order = &desk->orders[i];
		ap_str answer = ap_answer(desk->run, order->id);
		ap_status status = ap_check(desk->run);

		if (status == AP_OK && answer.ptr)
			status = take_answer(desk, order, answer);
		if (status != AP_OK)
			return status;
		if (!answer.ptr || order->problem)
			desk->orders[kept++] = *order;
	}
	desk->n = kept;
	return AP_OK;
}

/* The question about an order, in b. */
static ap_question question_of(const struct order *order, ap_buf *b)
{
	ap_buf_add_char(b, '{');
	ap_json_member_str(b, "question", AP_STR("May I do this?"));
	ap_json_member_raw(b, "action", order->action);
	ap_json_member_raw(b, "answers",
		AP_STR("[{\"decision\":\"approve\"},{\"decision\":\"edit\",\"action\":\"...\"},"
		       "{\"decision\":\"reject\",\"reason\":\"...\"}]"));
	if (order->problem)
		ap_json_member_str(b, "problem", ap_cstr(order->problem));
	ap_buf_add_char(b, '}');
	return ap_question_of(ap_cstr(order->id), ap_buf_str(b));
}

/* What the next invoke() needs to go on, in b: all of it, since it may be in another process. */
static void add_continuation(const struct desk *desk, ap_buf *b)
{
	ap_buf_add_cstr(b, FORMAT "[");
	for (size_t i = 0; i < desk->n; i++) {
		ap_json_add_comma(b);
		ap_buf_add_char(b, '{');
		ap_json_member_str(b, "id", ap_cstr(desk->orders[i].id));
		ap_json_member_raw(b, "action", desk->orders[i].action);
		ap_buf_add_char(b, '}');
	}
	ap_buf_add_char(b, ']');
}

/* Asks about everything on the desk. */
static ap_status ask(struct desk *desk)
{
	ap_question questions[MAX_ORDERS];
	ap_buf payloads[MAX_ORDERS], continuation;
	ap_status status = AP_OK;

	ap_buf_init(&continuation, NULL, 0, 0);
	add_continuation(desk, &continuation);
	for (size_t i = 0; i < desk->n; i++) {
		ap_buf_init(&payloads[i], NULL, 0, 0);
		questions[i] = question_of(&desk->orders[i], &payloads[i]);
		status = status ? status : payloads[i].status;
	}
	status = status ? status : continuation.status;
	if (status == AP_OK)
		status = ap_interrupt_all(desk->run, questions, desk->n, ap_buf_str(&continuation));
	for (size_t i = 0; i < desk->n; i++)
		ap_buf_free(&payloads[i]);
	ap_buf_free(&continuation);
	if (status == AP_E_UNSUPPORTED)
		return ap_fail(desk->run, status, "nobody_to_ask",
			"This agent asks before it acts, and nobody can answer on a thread that "
			"ends with its run: give the run a thread_id.");
	return status;
}

/* Begins with new orders, or goes on with those that wait for an answer. */
static ap_status work(struct desk *desk)
{
	ap_run *run = desk->run;
	ap_status status;

	if (!run->continuation.ptr) {
		take_request(desk);
		if (desk->n == 0)
			return ap_fail(run, AP_E_INVALID, "nothing_to_do",
				"Say what to do: in a message, or as the input "
				"{\"actions\":[...]}.");
		status = propose(desk);
	} else if (take_continuation(desk)) {
		status = take_answers(desk);
	} else {
		return ap_fail(run, AP_E_INVALID, "unknown_continuation",
			"The questions were asked by a version of this agent that this one does "
			"not know.");
	}
	return status == AP_OK && desk->n ? ask(desk) : status;
}

static ap_status approval_invoke(void *self, ap_run *run)
{
	ap_status status = ap_check(run);
	struct desk desk;

	(void)self;
	if (status != AP_OK)
		return status;
	desk_init(&desk, run);
	status = work(&desk);
	desk_finish(&desk);
	return status;
}

/* Not AP_AGENT_RETRY_SAFE: to act twice is not what was allowed. */
static const ap_agent_info approval_info = {
	.size = sizeof(ap_agent_info),
	.id = "approval",
	.name = "Approval",
	.description = "Asks before it does what it is told.",
	.version = "2.0.0",
	.capabilities = (const char *const[]){"ap.io.messages", "ap.io.streaming", NULL},
	.input_schema = "{\"type\":[\"object\",\"null\"],\"properties\":{\"actions\":{"
			"\"type\":\"array\",\"minItems\":1,\"maxItems\":16,"
			"\"items\":{\"type\":\"string\",\"minLength\":1}}}}",
	.state_schema = "{\"type\":\"object\",\"properties\":{"
			"\"proposed\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}},"
			"\"outcomes\":{\"type\":\"array\",\"items\":{\"type\":\"object\","
			"\"required\":[\"proposed\",\"decision\"],\"properties\":{"
			"\"proposed\":{\"type\":\"string\"},\"action\":{\"type\":\"string\"},"
			"\"decision\":{\"enum\":[\"approve\",\"edit\",\"reject\"]}}}}}}",
	.max_concurrency = AP_UNLIMITED,
};

static const ap_agent approval = {
	.size = sizeof(ap_agent),
	.info = &approval_info,
	.invoke = approval_invoke,
};

AP_PLUGIN(.name = "approval", .version = "2.0.0", .license = "MIT",
	.agents = (const ap_agent *const[]){&approval, NULL});
