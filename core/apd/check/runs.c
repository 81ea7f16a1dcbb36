/* The checks that let agents run and end by themselves, and look at what is left then. */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apd/check/session.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "worker/mapped.h"

#define RANDOM_INPUTS 64
#define AT_ONCE       8
#define ROUNDS        4
/* The random inputs are tried for so long at most, each for so long. */
#define RANDOM_NS       (2 * APD_NS_PER_S)
#define RANDOM_INPUT_NS (100 * APD_NS_PER_MS)
/* How long threads that ended may still show in /proc. */
#define SETTLE_NS (2 * APD_NS_PER_S)

static void run_empty(struct apd_check_session *session, uint32_t agent)
{
	struct apd_check_input input;
	struct apd_check_run run = {.agent = agent, .input = &input};

	if (!apd_check_input_make(session, agent, true, &input))
		return;
	apd_check_session_run(session, &run, 1);
	apd_check_input_finish(&input);
}

void apd_check_run_empty_input(struct apd_check *check)
{
	apd_check_each_agent(check, run_empty);
}

static void run_random(struct apd_check_session *session, uint32_t agent)
{
	int64_t until = apd_clock_mono_ns() + RANDOM_NS;
	int r = 0;

	for (int i = 0; i < RANDOM_INPUTS && r == 0 && apd_clock_mono_ns() < until; i++) {
		struct apd_check_input input;
		struct apd_check_run run = {
			.agent = agent, .input = &input, .patience_ns = RANDOM_INPUT_NS};

		if (!apd_check_input_make(session, agent, false, &input))
			return;
		r = apd_check_session_run(session, &run, 1);
		if (r < 0)
			fprintf(stderr, "the input was %s, the messages %s\n", input.input.data,
				input.messages.len ? input.messages.data : "none");
		apd_check_input_finish(&input);
	}
}

void apd_check_run_random_input(struct apd_check *check)
{
	apd_check_each_agent(check, run_random);
}

static void run_together(struct apd_check_session *session, uint32_t agent)
{
	uint32_t n = session->description->agents[agent].max_concurrency;
	int r = 0;

	n = n < AT_ONCE ? n : AT_ONCE;
	if (n < 2) {
		apd_check_skip(session->check, "agent %s: its max_concurrency is 1",
			session->description->agents[agent].id.ptr);
		return;
	}
	for (int round = 0; round < ROUNDS && r == 0; round++) {
		struct apd_check_input inputs[AT_ONCE] = {0};
		struct apd_check_run runs[AT_ONCE] = {0};
		uint32_t made = 0;

		while (made < n &&
			apd_check_input_make(session, agent, round == 0, &inputs[made])) {
			runs[made].agent = agent;
			runs[made].input = &inputs[made];
			runs[made].patience_ns = RANDOM_INPUT_NS;
			made++;
		}
		r = made < n ? -1 : apd_check_session_run(session, runs, n);
		for (uint32_t i = 0; i < made; i++)
			apd_check_input_finish(&inputs[i]);
	}
}

void apd_check_concurrent_runs(struct apd_check *check)
{
	apd_check_each_agent(check, run_together);
}

/* The numbers that are the names in a directory of /proc/self, in no order; ends with -1. */
static int *list_numbers(const char *path)
{
	int *numbers = apd_malloc(sizeof(*numbers)), n = 0;
	DIR *dir = opendir(path);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		char *end;
		long number = strtol(entry->d_name, &end, 10);

		if (*end || end == entry->d_name || number == dirfd(dir))
			continue;
		numbers = apd_realloc(numbers, ((size_t)n + 2) * sizeof(*numbers));
		numbers[n++] = (int)number;
	}
	if (dir)
		closedir(dir);
	numbers[n] = -1;
	return numbers;
}

/* One of the numbers in a directory that is not among those before, or -1. */
static int find_new(const char *path, const int *before)
{
	int *now = list_numbers(path), found = -1;

	for (int i = 0; now[i] >= 0 && found < 0; i++) {
		int j = 0;

		while (before[j] >= 0 && before[j] != now[i])
			j++;
		if (before[j] < 0)
			found = now[i];
	}
	free(now);
	return found;
}

/* Maps the plugin before anything is counted: what its constructors do is not a run's. */
static void map_first(struct apd_check *check)
{
	struct apd_buf error = {0};
	struct apd_mapped mapped;
	const char *step;

	/* What is wrong with it the session tells. */
	apd_mapped_open(&mapped, check->target->memfd, &step, &error);
	apd_mapped_finish(&mapped);
	apd_buf_finish(&error);
}

static void *nothing(void *data)
{
	return data;
}

void apd_check_no_threads_left(struct apd_check *check)
{
	static const char path[] = "/proc/self/task";
	int64_t until;
	int *before, left;
	pthread_t first;

	map_first(check);
	/* Sanitizers start a thread of their own with the first one. */
	if (pthread_create(&first, NULL, nothing, NULL) == 0)
		pthread_join(first, NULL);
	before = list_numbers(path);
	apd_check_each_agent(check, run_random);
	until = apd_clock_mono_ns() + SETTLE_NS;
	do
		left = find_new(path, before);
	while (left >= 0 && check->result != APD_CHECK_FAIL && apd_clock_mono_ns() < until &&
		usleep(1000) == 0);
	if (left >= 0)
		apd_check_fail(check, "after destroy() and deinit() thread %d still runs", left);
	free(before);
}

void apd_check_no_fds_left(struct apd_check *check)
{
	static const char path[] = "/proc/self/fd";
	int *before, left;
	char link[64], target[PATH_MAX];
	ssize_t n;

	map_first(check);
	before = list_numbers(path);
	apd_check_each_agent(check, run_random);
	left = check->result == APD_CHECK_FAIL ? -1 : find_new(path, before);
	if (left >= 0) {
		snprintf(link, sizeof(link), "%s/%d", path, left);
		n = readlink(link, target, sizeof(target) - 1);
		target[n > 0 ? n : 0] = '\0';
		apd_check_fail(check,
			"after destroy() and deinit() descriptor %d is still open: %.200s", left,
			target);
	}
	free(before);
}
