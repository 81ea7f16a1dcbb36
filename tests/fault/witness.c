/*
 * The agents "witness" (which must never be invoked twice) and "witness-safe": both write a line
 * into a file as the first thing they do, so that the kill harness sees every invocation there
 * was, also those of which no record tells. Then they count, and tell and commit every number. An
 * assassin kills the daemon before it counts: its start had better be on disk.
 */
#include <ap/sugar.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <time.h>
#include <unistd.h>

/* What create() makes. */
struct witness {
	int fd; /* of the file */
};

static ap_status witness_create(const ap_agent *agent, const ap_host *host, ap_str agent_id,
	ap_str settings, void **self, ap_error *err)
{
	char space[1024], path[1024];
	struct witness *witness;
	ap_buf b;
	ap_str file;
	int fd;

	(void)agent;
	(void)host;
	(void)agent_id;
	ap_buf_init(&b, space, sizeof(space), sizeof(space));
	file = ap_json_text(ap_json_get(settings, "file"), &b);
	if (file.len == 0 || file.len >= sizeof(path))
		return ap_error_set(err, AP_E_INVALID, "invalid_settings", "file: is no path");
	memcpy(path, file.ptr, file.len);
	path[file.len] = '\0';
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0)
		return ap_error_set(err, AP_E_INVALID, "invalid_settings",
			"file: cannot be opened (%d)", errno);
	witness = malloc(sizeof(*witness));
	if (!witness) {
		close(fd);
		return ap_error_set(err, AP_E_NOMEM, "no_memory", "There is no memory left.");
	}
	witness->fd = fd;
	*self = witness;
	return AP_OK;
}

static void witness_destroy(void *self)
{
	struct witness *witness = self;

	close(witness->fd);
	free(witness);
}

/* Writes the line, in one piece: what others write meanwhile stands before or behind it. */
static bool testify(const struct witness *witness, const ap_run *run)
{
	char text[192];
	ap_buf b;

	ap_buf_init(&b, text, sizeof(text), sizeof(text));
	ap_buf_addf(&b, "%.*s %.*s %u\n", (int)run->run_id.len, run->run_id.ptr,
		(int)run->agent_id.len, run->agent_id.ptr, run->attempt);
	return b.status == AP_OK && write(witness->fd, b.ptr, b.len) == (ssize_t)b.len;
}

/* Sleeps on, whatever the host wants. */
static void sleep_deaf(int64_t ms)
{
	struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		;
}

/* Tells and commits a number. */
static ap_status tell(ap_run *run, int64_t n)
{
	char text[64];
	ap_buf b;
	ap_status status;

	ap_buf_init(&b, text, sizeof(text), sizeof(text));
	ap_buf_addf(&b, "{\"n\":%lld}", (long long)n);
	status = ap_emit_custom(run, "number", ap_buf_str(&b));
	return status != AP_OK ? status : ap_commit(run, "number", ap_buf_str(&b));
}

static ap_status witness_invoke(void *self, ap_run *run)
{
	int64_t steps = 0, step_ms = 0;
	bool deaf = ap_json_is(ap_json_get(run->input, "how"), "deaf");
	ap_status status = AP_OK;

	ap_json_int(ap_json_get(run->input, "steps"), &steps);
	ap_json_int(ap_json_get(run->input, "step_ms"), &step_ms);
	if (!testify(self, run))
		return ap_fail(run, AP_E_FAILED, "no_testimony", "The file cannot be written.");
	if (ap_json_is(ap_json_get(run->input, "how"), "assassin"))
		kill(getppid(), SIGKILL);
	for (int64_t n = 0; n <= steps && status == AP_OK; n++) {
		status = tell(run, n);
		if (deaf)
			sleep_deaf(step_ms);
		else if (status == AP_OK)
			status = ap_sleep_ms(run, step_ms);
		if (deaf)
			status = AP_OK;
	}
	return status;
}

#define WITNESS_SCHEMA                                                        \
	"{\"type\":\"object\",\"required\":[\"steps\"],\"properties\":{"      \
	"\"steps\":{\"type\":\"integer\",\"minimum\":0},"                     \
	"\"step_ms\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":60000}," \
	"\"how\":{\"enum\":[\"polite\",\"deaf\",\"assassin\"]}}}"

static const ap_agent_info once_info = {
	.size = sizeof(ap_agent_info),
	.id = "witness",
	.name = "Witness",
	.version = "1.0.0",
	.input_schema = WITNESS_SCHEMA,
	.max_concurrency = AP_UNLIMITED,
};

static const ap_agent_info safe_info = {
	.size = sizeof(ap_agent_info),
	.flags = AP_AGENT_RETRY_SAFE,
	.id = "witness-safe",
	.name = "Witness that may be asked again",
	.version = "1.0.0",
	.input_schema = WITNESS_SCHEMA,
	.max_concurrency = AP_UNLIMITED,
};

static const ap_agent once = {
	.size = sizeof(ap_agent),
	.info = &once_info,
	.create = witness_create,
	.destroy = witness_destroy,
	.invoke = witness_invoke,
};

static const ap_agent safe = {
	.size = sizeof(ap_agent),
	.info = &safe_info,
	.create = witness_create,
	.destroy = witness_destroy,
	.invoke = witness_invoke,
};

AP_PLUGIN(.name = "witness", .version = "1.0.0", .license = "MIT",
	.agents = (const ap_agent *const[]){&once, &safe, NULL});
