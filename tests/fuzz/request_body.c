/*
 * Requests of any content to any operation: the API and the runtime are the real
 * ones; the server, the plugins and the database are made of paper. Every
 * request is answered once and with JSON, and what reaches an agent is what
 * host.h promises. The input is requests with 0xff between them: a byte that
 * chooses the operation; lines with the path's parameters (a tab between two),
 * the query and Last-Event-ID; the body.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/internal.h"
#include "base/alloc.h"
#include "fuzz/paper_http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct lab {
	struct apd_api *api;
	struct apd_agent agents[3];
	struct apd_agent *list[3];
	struct apd_agent_set set;
	struct apd_mailbox runtime_box;
	struct apd_runtime *runtime;
	struct apd_storage storage;
	struct apd_host host;
	struct apd_slot slot;
	bool taken, invoked; /* the slot */
	struct apd_list batches, loads;
	struct apd_run_search *search;
	struct apd_thread_search *thread_search;
	struct apd_history_read *history;
	struct apd_run_row *stored; /* the last one */
};

static struct lab lab;

/* ---- the plugins ---- */

struct apd_agent_set *apd_pool_agents(struct apd_pool *pool)
{
	(void)pool;
	return apd_agent_set_ref(&lab.set);
}

void apd_pool_stats(struct apd_pool *pool, struct apd_pool_stats *ret_stats)
{
	(void)pool;
	*ret_stats = (struct apd_pool_stats){0};
}

static struct apd_agent *host_find(struct apd_host *host, struct apd_str agent_id)
{
	(void)host;
	return apd_agent_set_find(&lab.set, agent_id);
}

static struct apd_slot *host_acquire(struct apd_host *host, struct apd_str agent_id, bool alone)
{
	(void)host;
	(void)alone;
	must(apd_agent_set_find(&lab.set, agent_id) != NULL);
	if (lab.taken)
		return NULL;
	lab.taken = true;
	lab.invoked = false;
	return &lab.slot;
}

/* A message that an agent gets has an id. */
static void must_be_messages(struct apd_str text)
{
	const struct apd_json *json = paper_scan(text);

	must(apd_json_type(json, 0) == APD_JSON_ARRAY);
	apd_json_each_item (json, 0, m) {
		uint32_t id;

		must(apd_json_type(json, m) == APD_JSON_OBJECT);
		id = apd_json_member(json, m, APD_STR("id"));
		must(id && apd_json_type(json, id) == APD_JSON_STRING);
	}
}

static void must_be_object(struct apd_str text)
{
	must(apd_json_type(paper_scan(text), 0) == APD_JSON_OBJECT);
}

static void host_invoke(
	struct apd_host *host, struct apd_slot *slot, const struct apd_invocation *what)
{
	(void)host;
	must(slot == &lab.slot && lab.taken && !lab.invoked);
	paper_scan(what->input);
	if (what->messages.ptr)
		must_be_messages(what->messages);
	if (what->config.ptr)
		must_be_object(what->config);
	must_be_object(what->metadata);
	if (what->values.ptr)
		must_be_object(what->values);
	lab.invoked = true;
}

static void host_stop(struct apd_host *host, struct apd_slot *slot, enum apd_stop_reason reason)
{
	(void)host;
	must(slot == &lab.slot && lab.taken && reason >= APD_STOP_CANCEL);
}

static void host_number(struct apd_host *host, struct apd_slot *slot, uint32_t number)
{
	(void)host;
	(void)number;
	must(slot == &lab.slot && lab.taken);
}

static void host_committed(
	struct apd_host *host, struct apd_slot *slot, uint32_t number, ap_status status)
{
	(void)status;
	host_number(host, slot, number);
}

static void host_release(struct apd_host *host, struct apd_slot *slot)
{
	host_number(host, slot, 0);
	lab.taken = false;
}

static const struct apd_host_ops host_ops = {
	.find = host_find,
	.acquire = host_acquire,
	.invoke = host_invoke,
	.stop = host_stop,
	.committed = host_committed,
	.credit = host_number,
	.listening = host_number,
	.release = host_release,
	.abandon = host_release,
};

/* ---- the database ---- */

static void storage_commit(struct apd_storage *storage, struct apd_batch *batch)
{
	(void)storage;
	apd_list_append(&lab.batches, &batch->link);
}

static void storage_load(struct apd_storage *storage, struct apd_load *load)
{
	(void)storage;
	apd_list_append(&lab.loads, &load->link);
}

static int storage_get_run(struct apd_storage *storage, const struct apd_id *run_id,
	bool with_output, struct apd_run_row **ret_row)
{
	(void)with_output;
	(void)storage;
	(void)run_id;
	if (!lab.stored)
		return -ENOENT;
	*ret_row = apd_run_row_ref(lab.stored);
	return 0;
}

static void storage_search(struct apd_storage *storage, struct apd_run_search *search)
{
	(void)storage;
	must(search->query.limit >= 1 && search->query.limit <= 1000);
	if (search->query.metadata.ptr)
		must_be_object(search->query.metadata);
	lab.search = search;
}

/* A thread with something in all its parts. */
static struct apd_thread_view make_view(const struct apd_id *thread_id)
{
	struct apd_thread_row row = {.thread_id = *thread_id,
		.metadata = APD_STR("{\"k\":[1]}"),
		.interrupts = APD_STR("[{\"id\":\"q\",\"value\":1}]"),
		.rest = APD_THREAD_INTERRUPTED};
	struct apd_thread_view view = {
		.thread = apd_thread_row_create(&row), .state = apd_state_empty()};

	view.head = apd_checkpoint_row_create(NULL, NULL);
	view.head->thread_id = *thread_id;
	memset(&view.head->checkpoint_id, 1, sizeof(view.head->checkpoint_id));
	view.head->whole = true;
	view.head->patch = APD_STR("{}");
	return view;
}

static int storage_get_thread(struct apd_storage *storage, const struct apd_id *thread_id,
	struct apd_thread_view *ret_view)
{
	(void)storage;
	if (thread_id->bytes[0] & 1)
		return -ENOENT;
	*ret_view = make_view(thread_id);
	return 0;
}

static void storage_search_threads(struct apd_storage *storage, struct apd_thread_search *search)
{
	(void)storage;
	must(search->query.limit >= 1 && search->query.limit <= 1000);
	if (search->query.metadata.ptr)
		must_be_object(search->query.metadata);
	if (search->query.values.ptr)
		must_be_object(search->query.values);
	lab.thread_search = search;
}

static void storage_read_history(struct apd_storage *storage, struct apd_history_read *read)
{
	(void)storage;
	must(read->limit >= 1 && read->limit <= 1000);
	lab.history = read;
}

/* Gives the searches and reads what they look for; false if nobody does. */
static bool find(void)
{
	struct apd_thread_search *search = lab.thread_search;
	struct apd_history_read *history = lab.history;
	struct apd_thread_view view;

	lab.thread_search = NULL;
	lab.history = NULL;
	if (search) {
		search->n_views = 1;
		search->views = apd_calloc(1, sizeof(*search->views));
		search->views[0] = make_view(&(struct apd_id){{2}});
		search->done(search, 0);
	}
	if (history && history->has_before) {
		history->done(history, history->before.bytes[0] & 1 ? -ESRCH : -ENOENT);
	} else if (history) {
		view = make_view(&history->thread_id);
		history->n_items = 1;
		history->items = apd_calloc(1, sizeof(*history->items));
		history->items[0] = (struct apd_history_item){
			apd_checkpoint_row_ref(view.head), apd_state_ref(view.state)};
		apd_thread_view_finish(&view);
		history->done(history, 0);
	}
	return search || history;
}

static void storage_stats(struct apd_storage *storage, struct apd_storage_stats *ret_stats)
{
	(void)storage;
	*ret_stats = (struct apd_storage_stats){0};
}

static const struct apd_storage_ops storage_ops = {
	.commit = storage_commit,
	.load = storage_load,
	.get_run = storage_get_run,
	.get_thread = storage_get_thread,
	.search_runs = storage_search,
	.search_threads = storage_search_threads,
	.read_history = storage_read_history,
	.stats = storage_stats,
};

/* Does what the runtime wants of the database; false if there was nothing. */
static bool store(void)
{
	struct apd_batch *batch;
	struct apd_load *load;

	if (!apd_list_empty(&lab.loads)) {
		load = apd_list_first(&lab.loads, struct apd_load, link);
		apd_list_remove(&load->link);
		if (load->type != APD_LOAD_ACTIVE_RUNS && !(load->id.bytes[0] & 1)) {
			load->found = true;
			load->view = make_view(&load->id);
			load->found_at = load->type == APD_LOAD_CHECKPOINT;
			load->newest = load->view.head->checkpoint_id;
		}
		load->done(load, 0);
		return true;
	}
	if (apd_list_empty(&lab.batches))
		return false;
	batch = apd_list_first(&lab.batches, struct apd_batch, link);
	apd_list_remove(&batch->link);
	for (uint32_t i = 0; i < batch->n_ops; i++) {
		if (batch->ops[i].type == APD_OP_THREAD_PUT ||
			batch->ops[i].type == APD_OP_THREAD_COPY)
			must_be_object(batch->ops[i].thread->metadata);
		if (batch->ops[i].type == APD_OP_CHECKPOINT_PUT)
			must_be_object(batch->ops[i].checkpoint->patch);
		if (batch->ops[i].type != APD_OP_RUN_PUT)
			continue;
		must_be_object(batch->ops[i].run->request);
		apd_run_row_unref(lab.stored);
		lab.stored = apd_run_row_ref(batch->ops[i].run);
	}
	batch->done(batch, 0);
	return true;
}

/* ---- the lab ---- */

static void add_agent(struct apd_agent *agent, const char *id, enum apd_agent_state state)
{
	*agent = (struct apd_agent){.refs = 1,
		.agent_id = apd_str(id),
		.name = apd_str(id),
		.version = APD_STR("1"),
		.capabilities = APD_STR("{}"),
		.metadata = APD_STR("{\"plugin\":\"p\",\"n\":{\"a\":[1,2]}}"),
		.messages = true,
		.max_concurrency = 4,
		.max_queue = 4,
		.timeout_ns = 1000000000,
		.grace_ns = 1000000000,
		.max_attempts = 2,
		.state = state};
	lab.list[lab.set.count++] = agent;
}

static struct apd_schema *compile(const char *text)
{
	struct apd_schema *schema = NULL;

	must(apd_schema_compile(apd_str(text), &schema, NULL) == 0);
	return schema;
}

/* Nobody sleeps here: whoever has mail is looked after by settle(). */
static void wake(void *data)
{
	(void)data;
}

static void open_lab(void)
{
	const struct apd_api_deps deps = {
		.runtime_mailbox = &lab.runtime_box, .storage = &lab.storage, .version = "1"};
	struct apd_buf error = {0};

	apd_mailbox_init(&lab.runtime_box, wake, NULL);
	apd_mailbox_init(&paper_home, wake, NULL);
	apd_list_init(&lab.batches);
	apd_list_init(&lab.loads);
	lab.host.ops = &host_ops;
	lab.storage.ops = &storage_ops;
	lab.set = (struct apd_agent_set){.refs = 1, .agents = lab.list};
	add_agent(&lab.agents[0], "any", APD_AGENT_READY);
	add_agent(&lab.agents[1], "broken", APD_AGENT_BROKEN);
	add_agent(&lab.agents[2], "picky", APD_AGENT_READY);
	lab.set.fallback = &lab.agents[0];
	lab.agents[1].reason = APD_STR("\"it\" is");
	lab.agents[2].messages = false;
	lab.agents[2].input = compile("{\"type\":\"object\",\"required\":[\"a\"]}");
	lab.agents[2].config = compile("{\"properties\":{\"a\":{\"type\":\"integer\"}}}");
	must(apd_api_create(&deps, &lab.api, &error) == 0);
	apd_api_attach(lab.api, NULL);
}

static void recovered(void *data, int result)
{
	(void)data;
	must(result == 0);
}

/* Lets everybody do what there is to do until nobody has anything. */
static void settle(void)
{
	bool busy = true;

	for (unsigned n = 0; busy; n++) {
		must(n < 1000);
		busy = apd_mailbox_drain(&lab.runtime_box) > 0;
		apd_runtime_flush(lab.runtime);
		busy |= store();
		busy |= apd_mailbox_drain(&paper_home) > 0;
		if (lab.search) {
			struct apd_run_search *search = lab.search;

			lab.search = NULL;
			search->done(search, 0);
			busy = true;
		}
		busy |= find();
	}
}

/* Ends the run that the agent is in. */
static void finish_run(void)
{
	if (!lab.taken || !lab.invoked)
		return;
	lab.invoked = false;
	apd_runtime_sink.done(
		lab.runtime, &lab.slot, AP_E_FAILED, APD_STR("my \"code\""), APD_STR("why\x80"));
	settle();
}

/* Reads the stream that was begun, if any, and leaves it. */
static void read_stream(void)
{
	struct apd_http_stream stream = paper_stream;
	struct apd_buf out = {0};
	int r;

	if (!stream.source)
		return;
	do {
		r = stream.source->pull(stream.data, &out, 4096);
		settle();
	} while (r > 0);
	must(out.len == 0 || (out.len > 2 && memcmp(out.data + out.len - 2, "\n\n", 2) == 0));
	apd_buf_finish(&out);
	paper_stream.source = NULL;
	stream.source->closed(stream.data, r >= 0);
	settle();
}

/* The text up to a line's end, which is skipped; a lone "-" is absent. */
static struct apd_str cut(struct apd_str *left)
{
	const char *end = left->len ? memchr(left->ptr, '\n', left->len) : NULL;
	size_t len = end ? (size_t)(end - left->ptr) : left->len;
	struct apd_str line = {left->ptr, len};

	left->ptr += end ? len + 1 : len;
	left->len -= end ? len + 1 : len;
	return apd_str_is(line, "-") ? APD_STR_ABSENT : line;
}

/* Serves one request. */
static void serve(struct apd_str text)
{
	static apd_http_handler *const handlers[] = {
#define X(name, id, method, path, handler) handler,
		API_OPERATIONS(X)
#undef X
	};
	struct apd_http_request request = {.answers = 0};
	const char *tab;
	unsigned op;

	if (text.len == 0)
		return;
	op = (unsigned char)text.ptr[0] % API_OP_COUNT;
	text.ptr++;
	text.len--;
	request.params[0] = cut(&text);
	request.query = cut(&text);
	request.last_event_id = cut(&text);
	if (!request.params[0].ptr)
		request.params[0] = APD_STR("any");
	request.params[1] = request.params[0];
	tab = memchr(request.params[0].ptr, '\t', request.params[0].len);
	if (tab) {
		request.params[0].len = (size_t)(tab - request.params[0].ptr);
		request.params[1].ptr = tab + 1;
		request.params[1].len -= request.params[0].len + 1;
	}
	request.body = apd_text_create(text);
	handlers[op](&request, lab.api);
	settle();
	finish_run();
	/* Who waits for a run that another holds up leaves. */
	if (!request.answers && request.gone)
		request.gone(request.gone_data);
	settle();
	read_stream();
	finish_run();
	must(request.answers == 1);
	apd_text_unref(request.body);
	for (size_t i = 0; i < APD_COUNT(request.scratch); i++)
		apd_buf_finish(&request.scratch[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct apd_runtime_config config = {.max_queue = 8,
		.credit_bytes = 65536,
		.ring_bytes = 1 << 20,
		.events_max_bytes = 1 << 22,
		.linger_ns = 1000000000,
		.stall_ns = 1000000000,
		.shutdown_grace_ns = 1000000,
		.retry_delay_ns = 1000000,
		.seed = 1};
	const struct apd_runtime_deps deps = {
		.clock = &apd_clock_system, .storage = &lab.storage, .host = &lab.host};
	const char *at = (const char *)data, *end = at + size;

	if (!lab.api)
		open_lab();
	lab.runtime = apd_runtime_create(&config, &deps);
	lab.api->deps.runtime = lab.runtime;
	apd_runtime_recover(lab.runtime, recovered, NULL);
	settle();
	while (at < end) {
		const char *stop = memchr(at, 0xff, (size_t)(end - at));

		serve((struct apd_str){at, (size_t)((stop ? stop : end) - at)});
		at = stop ? stop + 1 : end;
	}
	settle();
	apd_runtime_destroy(lab.runtime);
	lab.taken = false;
	apd_run_row_unref(lab.stored);
	lab.stored = NULL;
	paper_finish();
	return 0;
}
