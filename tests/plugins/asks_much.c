/*
 * Asks as many questions as the input says, "N PAYLOAD CONTINUATION": each with a
 * namespace and a payload of so many bytes, and leaves so many bytes of every
 * value. Where interrupt() refuses it commits the status; resumed, it commits
 * what it got.
 */
#include "plugin.h"

#include <stdlib.h>

/* Bytes that a continuation may have, told by their place. */
static char byte_at(size_t i)
{
	return (char)(i * 31 + (i >> 8));
}

static ap_status told(ap_run *run)
{
	char patch[256];
	size_t same = 0;

	while (same < run->continuation.len && run->continuation.ptr[same] == byte_at(same))
		same++;
	snprintf(patch, sizeof(patch),
		"{\"continuation\":%zu,\"same\":%zu,\"resume\":%zu,\"transcript\":%zu,"
		"\"jump\":%.*s}",
		run->continuation.len, same, run->resume.len, run->transcript.len,
		run->jump.ptr ? (int)run->jump.len : 4, run->jump.ptr ? run->jump.ptr : "null");
	return commit(run, patch);
}

/* A JSON string of so many bytes. */
static char *payload_of(size_t bytes)
{
	char *payload = malloc(bytes + 1);

	memset(payload, 'p', bytes);
	payload[0] = payload[bytes - 1] = '"';
	payload[bytes] = '\0';
	return payload;
}

static ap_status ask(ap_run *run, size_t n, size_t payload_bytes, size_t continuation_bytes)
{
	ap_question *questions = calloc(n, sizeof(*questions));
	const ap_question **each = calloc(n, sizeof(*each));
	char(*ids)[24] = calloc(n, sizeof(*ids));
	char *payload = payload_of(payload_bytes), *continuation = malloc(continuation_bytes + 1);
	ap_status s;

	for (size_t i = 0; i < continuation_bytes; i++)
		continuation[i] = byte_at(i);
	for (size_t i = 0; i < n; i++) {
		snprintf(ids[i], sizeof(ids[i]), "q%zu", i);
		questions[i] = (ap_question){.size = sizeof(*questions),
			.id = text(ids[i]),
			.ns = LIT("[\"outer\",\"inner\"]"),
			.payload = {payload, payload_bytes}};
		each[i] = &questions[i];
	}
	s = run->ops->interrupt(run, each, n, (ap_str){continuation, continuation_bytes});
	free(questions);
	free((void *)each);
	free(ids);
	free(payload);
	free(continuation);
	return s;
}

static ap_status invoke(void *self, ap_run *run)
{
	char numbers[64] = "";
	size_t n, payload_bytes, continuation_bytes;
	ap_status s;
	char *at;

	(void)self;
	if (run->resume.ptr)
		return told(run);
	snprintf(numbers, sizeof(numbers), "%.*s", (int)run->input.len, run->input.ptr);
	n = strtoul(numbers[0] == '"' ? numbers + 1 : "1 4 1", &at, 10);
	payload_bytes = strtoul(at, &at, 10);
	continuation_bytes = strtoul(at, &at, 10);
	s = ask(run, n, payload_bytes < 2 ? 2 : payload_bytes, continuation_bytes);
	return s == AP_OK ? AP_INTERRUPTED : tell(run, &s, 1);
}

static const ap_agent_info info = {.size = sizeof(info),
	.id = "asks_much",
	.flags = AP_AGENT_WANTS_TRANSCRIPT,
	.capabilities = (const char *const[]){"ap.io.messages", "ap.flow.goto", NULL},
	.max_concurrency = AP_UNLIMITED};
static const ap_agent agent = {.size = sizeof(agent), .info = &info, .invoke = invoke};
static const ap_agent *const agents[] = {&agent, NULL};
AP_PLUGIN(.name = "asks_much", .version = "1.0.0", .license = "MIT", .agents = agents);
