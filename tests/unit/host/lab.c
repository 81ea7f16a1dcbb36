/* The laboratory. */
#include "lab.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void check_op(const struct lab *lab)
{
	if (lab->in_op)
		fail_msg("the sink was called from within an op");
}

static void on_emitted(void *data, struct apd_slot *slot, const struct apd_emission *emission)
{
	struct lab_run *run = slot->run;

	check_op(data);
	assert_non_null(run);
	run->emitted++;
	snprintf(run->data, sizeof(run->data), "%.*s", APD_STR_FMT(emission->data));
}

static void on_commit(void *data, struct apd_slot *slot, const struct apd_commit *commit)
{
	struct lab *lab = data;
	struct lab_run *run = slot->run;

	check_op(lab);
	run->commits++;
	assert_int_equal(commit->number, run->commits);
	snprintf(run->patch, sizeof(run->patch), "%.*s", APD_STR_FMT(commit->patch));
	if (!run->silent)
		lab->host->ops->committed(lab->host, slot, commit->number, AP_OK);
}

static void on_asked(void *data, struct apd_slot *slot, const struct apd_ask *asks, size_t n,
	struct apd_str continuation)
{
	struct lab_run *run = slot->run;

	check_op(data);
	assert_int_equal(n, 1);
	assert_true(apd_str_is(asks[0].id, "q1"));
	assert_true(apd_str_is(continuation, "continue"));
	run->asked++;
}

static void on_done(void *data, struct apd_slot *slot, ap_status status, struct apd_str code,
	struct apd_str message)
{
	struct lab_run *run = slot->run;

	(void)message;
	check_op(data);
	assert_false(run->done);
	run->done = true;
	run->status = status;
	snprintf(run->code, sizeof(run->code), "%.*s", APD_STR_FMT(code));
	if (!run->keep)
		lab_release(data, run);
}

static void on_lost(void *data, struct apd_slot *slot, const char *reason)
{
	struct lab *lab = data;
	struct lab_run *run = slot->run;

	check_op(lab);
	assert_false(run->lost);
	run->lost = true;
	run->slot = NULL;
	snprintf(run->reason, sizeof(run->reason), "%s", reason);
	if (lab->abandon_with && lab->abandon_with->slot)
		lab_abandon(lab, lab->abandon_with);
}

static void on_slots(void *data, struct apd_str agent_id)
{
	struct lab *lab = data;

	check_op(lab);
	assert_true(agent_id.len > 0);
	lab->slots_calls++;
}

static const struct apd_host_sink sink = {
	.emitted = on_emitted,
	.commit = on_commit,
	.asked = on_asked,
	.done = on_done,
	.lost = on_lost,
	.slots = on_slots,
};

static void on_tick(uv_timer_t *timer)
{
	(void)timer;
}

void lab_init(struct lab *lab)
{
	*lab = (struct lab){.dir = "/tmp/apd-host-XXXXXX"};
	assert_non_null(mkdtemp(lab->dir));
	lab->dirs[0] = lab->dir;
	assert_int_equal(uv_loop_init(&lab->loop), 0);
	uv_timer_init(&lab->loop, &lab->tick);
	uv_timer_start(&lab->tick, on_tick, 20, 20);
	lab->config = (struct apd_host_config){
		.plugin_dirs = lab->dirs,
		.worker_path = SCRIPTED_WORKER,
		.agents = lab->agents,
		.max_workers = 4,
		.max_queue = 1000,
		.max_attempts = 3,
		.emit_max = 1 << 20,
		.commit_max = 16 << 20,
		.log_max = 8192,
		.message_max = 64 << 20,
		.timeout_ns = 900 * APD_NS_PER_S,
		.grace_ns = 10 * APD_NS_PER_S,
		.drain_ns = 30 * APD_NS_PER_S,
		.hello_ns = 10 * APD_NS_PER_S,
		.create_ns = 60 * APD_NS_PER_S,
		.idle_ns = 60 * APD_NS_PER_S,
	};
	for (size_t i = 0; i < APD_COUNT(lab->agents); i++)
		lab->agents[i].isolation = -1;
}

static void remove_dir(const char *path)
{
	DIR *dir = opendir(path);
	const struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			unlinkat(dirfd(dir), entry->d_name, 0);
	}
	if (dir)
		closedir(dir);
	rmdir(path);
}

void lab_finish(struct lab *lab)
{
	if (lab->pool) {
		apd_pool_stop(lab->pool, 5000);
		apd_pool_destroy(lab->pool);
	}
	uv_close((uv_handle_t *)&lab->tick, NULL);
	uv_run(&lab->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&lab->loop), 0);
	apd_buf_finish(&lab->error);
	remove_dir(lab->dir);
}

const char *lab_path(struct lab *lab, const char *file)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", lab->dir, file);
	return path;
}

/* Adds a file's content to the buffer. */
static void read_file(const char *path, struct apd_buf *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	assert_true(fd >= 0);
	while ((n = read(fd, apd_buf_reserve(out, 65536), 65536)) > 0)
		out->len += (size_t)n;
	close(fd);
}

/* Puts a file into the directory at once, in place of an older one. */
static void put_file(struct lab *lab, const char *file, const struct apd_buf *content)
{
	char next[300];
	int fd;

	snprintf(next, sizeof(next), "%s/.next", lab->dir);
	fd = open(next, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, content->data, content->len), (ssize_t)content->len);
	close(fd);
	assert_int_equal(rename(next, lab_path(lab, file)), 0);
}

void lab_plugin(struct lab *lab, const char *file, const char *word, const char *description)
{
	struct apd_buf content = {0};

	read_file(STUB, &content);
	apd_buf_addf(&content, "\nAPD-SCRIPT %s\n%s", word, description);
	put_file(lab, file, &content);
	apd_buf_finish(&content);
}

void lab_copy(struct lab *lab, const char *file, const char *from)
{
	struct apd_buf content = {0};

	read_file(from, &content);
	put_file(lab, file, &content);
	apd_buf_finish(&content);
}

void lab_open(struct lab *lab)
{
	int r = apd_pool_create(&lab->config, &lab->loop, &sink, lab, &lab->pool, &lab->error);

	if (r < 0)
		fail_msg("%s", lab->error.data);
	lab->host = apd_pool_host(lab->pool);
}

void lab_turn(struct lab *lab, int64_t until_ns, const char *what)
{
	if (apd_clock_mono_ns() > until_ns)
		fail_msg("waited in vain for: %s", what);
	uv_run(&lab->loop, UV_RUN_ONCE);
}

struct apd_slot *lab_acquire(struct lab *lab, const char *agent_id, bool alone)
{
	struct apd_slot *slot;

	lab->in_op = true;
	slot = lab->host->ops->acquire(lab->host, apd_str(agent_id), alone);
	lab->in_op = false;
	return slot;
}

void lab_invoke(struct lab *lab, struct lab_run *run, const char *script)
{
	struct apd_buf input = {0};
	struct apd_invocation what = {
		.agent_id = APD_STR("any"),
		.config = APD_STR("{}"),
		.metadata = APD_STR("{}"),
		.values = APD_STR("{}"),
		.attempt = 1,
		.credit = 256 << 10,
	};

	apd_buf_addf(&input, script[0] == '{' ? "%s" : "\"%s\"", script);
	what.input = apd_buf_str(&input);
	run->slot->run = run;
	lab->in_op = true;
	lab->host->ops->invoke(lab->host, run->slot, &what);
	lab->in_op = false;
	apd_buf_finish(&input);
}

static void start(
	struct lab *lab, struct lab_run *run, const char *agent_id, const char *script, bool alone)
{
	lab_until(lab, (run->slot = lab_acquire(lab, agent_id, alone)));
	lab_invoke(lab, run, script);
}

void lab_start(struct lab *lab, struct lab_run *run, const char *agent_id, const char *script)
{
	start(lab, run, agent_id, script, false);
}

void lab_start_alone(struct lab *lab, struct lab_run *run, const char *agent_id, const char *script)
{
	start(lab, run, agent_id, script, true);
}

void lab_stop_run(struct lab *lab, struct lab_run *run)
{
	lab->in_op = true;
	lab->host->ops->stop(lab->host, run->slot, APD_STOP_CANCEL);
	lab->in_op = false;
}

void lab_release(struct lab *lab, struct lab_run *run)
{
	lab->in_op = true;
	lab->host->ops->release(lab->host, run->slot);
	lab->in_op = false;
	run->slot = NULL;
}

void lab_abandon(struct lab *lab, struct lab_run *run)
{
	lab->in_op = true;
	lab->host->ops->abandon(lab->host, run->slot);
	lab->in_op = false;
	run->slot = NULL;
}

struct apd_agent *lab_agent(struct lab *lab, const char *agent_id)
{
	struct apd_agent_set *set = apd_pool_agents(lab->pool);
	struct apd_agent *agent = apd_agent_set_find(set, apd_str(agent_id));

	/* The pool holds it, too. */
	apd_agent_set_unref(set);
	return agent;
}

int lab_pid(const struct lab_run *run)
{
	int pid = 0;

	sscanf(run->data, "{\"pid\":%d}", &pid);
	return pid;
}

struct apd_pool_stats lab_stats(struct lab *lab)
{
	struct apd_pool_stats stats;

	apd_pool_stats(lab->pool, &stats);
	return stats;
}
