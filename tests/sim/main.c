/* apd-sim: runs worlds, one a seed, each to its rest. */
#include "sim.h"

#include <signal.h>
#include <stdio.h>

#include <stdlib.h>

/* So many steps lie between two rests. */
#define REST_EVERY 5000

struct options {
	uint64_t seed, steps, seeds;
	bool story, quiet;
};

static int usage(void)
{
	fprintf(stderr, "usage: apd-sim [--seed N] [--steps N] [--seeds N] [--story] [--quiet]\n");
	return 2;
}

static int parse(int argc, char **argv, struct options *options)
{
	for (int i = 1; i < argc; i++) {
		struct apd_str arg = apd_str(argv[i]);
		uint64_t *number = apd_str_is(arg, "--seed") ? &options->seed
			: apd_str_is(arg, "--steps")         ? &options->steps
			: apd_str_is(arg, "--seeds")         ? &options->seeds
							     : NULL;

		if (apd_str_is(arg, "--story"))
			options->story = true;
		else if (apd_str_is(arg, "--quiet"))
			options->quiet = true;
		else if (number && i + 1 < argc)
			*number = strtoull(argv[++i], NULL, 10);
		else
			return -1;
	}
	return 0;
}

static struct world world;

/* A crash is a failure of the seed as any other. */
static void on_crash(int signal_number)
{
	dprintf(2, "seed %lu, step %lu: signal %d\n", world.seed, world.step, signal_number);
	signal(signal_number, SIG_DFL);
	raise(signal_number);
}

/* Where a sanitizer ends the program it does so by itself. */
static void on_death(void)
{
	dprintf(2, "seed %lu, step %lu: a sanitizer's finding\n", world.seed, world.step);
}

void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static void watch_crashes(void)
{
	if (__sanitizer_set_death_callback) {
		__sanitizer_set_death_callback(on_death);
		return;
	}
	signal(SIGSEGV, on_crash);
	signal(SIGBUS, on_crash);
	signal(SIGFPE, on_crash);
}

int main(int argc, char **argv)
{
	struct options options = {.seed = 1, .steps = 100000, .seeds = 1};
	uint64_t steps = 0, created = 0, ended = 0, events = 0, restarts = 0, missed = 0;
	uint64_t points = 0, wholes = 0, resumes = 0, undone = 0, calls = 0, sweeps = 0, hooked = 0;
	int64_t begin = apd_clock_mono_ns();
	double seconds;

	if (parse(argc, argv, &options) < 0)
		return usage();
	watch_crashes();
	if (options.story)
		setvbuf(stdout, NULL, _IOLBF, 0);

	for (uint64_t i = 0; i < options.seeds; i++) {
		world_init(&world, options.seed + i, options.story);
		while (world.step < options.steps) {
			world_step(&world);
			if (world.step % REST_EVERY == 0)
				world_drain(&world);
		}
		steps += world.step;
		created += world.created;
		ended += world.ended;
		events += world.events;
		restarts += world.restarts;
		missed += world.missed;
		points += world.points;
		wholes += world.wholes;
		resumes += world.resumes;
		undone += world.rollbacks;
		calls += world.calls;
		sweeps += world.sweeps;
		hooked += world.hooked;
		world_finish(&world);
	}
	seconds = (double)(apd_clock_mono_ns() - begin) / 1e9;
	if (!options.quiet)
		printf("%lu seeds, %lu steps in %.1f s (%.0f a second): %lu runs, %lu ends told, "
		       "%lu events read, %lu restarts, %lu gaps told; threads: %lu calls, "
		       "%lu checkpoints (%lu whole, %lu undone), %lu resumes, %lu sweeps, %lu "
		       "webhooks\n",
			options.seeds, steps, seconds, (double)steps / seconds, created, ended,
			events, restarts, missed, calls, points, wholes, undone, resumes, sweeps,
			hooked);
	return 0;
}
