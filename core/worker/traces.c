/* Looking at the process before the plugin came and after it left. */
#include "worker/traces.h"

#include <dirent.h>
#include <locale.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "worker/state.h"

/* A thread that was joined may be seen for a moment longer. */
#define LOOKS   20
#define LOOK_NS 1000000

/* The handler of a signal; those of sigaction() with three arguments count as well. */
static void (*handler_of(int number))(int number)
{
	struct sigaction action;

	if (sigaction(number, NULL, &action) < 0)
		return SIG_DFL;
	return action.sa_handler;
}

static mode_t umask_now(void)
{
	mode_t mask = umask(077);

	umask(mask);
	return mask;
}

static uint64_t environment_now(void)
{
	uint64_t hash = 14695981039346656037u;

	for (char **pair = environ; pair && *pair; pair++) {
		for (const char *at = *pair;; at++) {
			hash = (hash ^ (unsigned char)*at) * 1099511628211u;
			if (*at == '\0')
				break;
		}
	}
	return hash;
}

/* Threads of the process, or 0 when they cannot be counted. */
static unsigned count_threads(void)
{
#if defined(__SANITIZE_THREAD__)
	return 0; /* it starts one of its own when it likes */
#else
	DIR *dir = opendir("/proc/self/task");
	const struct dirent *entry;
	unsigned n = 0;

	if (!dir)
		return 0;
	while ((entry = readdir(dir)))
		n += entry->d_name[0] != '.';
	closedir(dir);
	return n;
#endif
}

void apd_traces_note(struct apd_traces *traces)
{
	*traces = (struct apd_traces){
		.umask = umask_now(), .environment = environment_now(), .threads = count_threads()};
	for (int i = 1; i < APD_TRACES_SIGNALS; i++)
		traces->handlers[i] = handler_of(i);
	if (stat(".", &traces->directory) < 0)
		memset(&traces->directory, 0, sizeof(traces->directory));
}

/* How many threads there are more than before. */
static unsigned left_threads(const struct apd_traces *traces)
{
	const struct timespec moment = {.tv_nsec = LOOK_NS};
	unsigned n = 0;

	for (int i = 0; i < LOOKS && traces->threads; i++) {
		n = count_threads();
		if (n <= traces->threads)
			return 0;
		nanosleep(&moment, NULL);
	}
	return n ? n - traces->threads : 0;
}

static void report_left(const struct apd_traces *traces, struct apd_worker *worker)
{
	unsigned threads = left_threads(traces);
	siginfo_t info;

	if (threads)
		apd_misuse(worker, 0, "threads left behind: %u", threads);
	if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0)
		apd_misuse(worker, 0, "processes left behind");
}

void apd_traces_report(const struct apd_traces *traces, struct apd_worker *worker)
{
	const char *locale = setlocale(LC_ALL, NULL);
	struct stat directory;

	for (int i = 1; i < APD_TRACES_SIGNALS; i++) {
		if (handler_of(i) != traces->handlers[i])
			apd_misuse(worker, 0, "the handler of SIG%s was changed", sigabbrev_np(i));
	}
	if (umask_now() != traces->umask)
		apd_misuse(worker, 0, "the umask was changed");
	if (stat(".", &directory) == 0 &&
		(directory.st_ino != traces->directory.st_ino ||
			directory.st_dev != traces->directory.st_dev))
		apd_misuse(worker, 0, "the working directory was changed");
	if (locale && strcmp(locale, "C") != 0)
		apd_misuse(worker, 0, "the locale was changed");
	if (environment_now() != traces->environment)
		apd_misuse(worker, 0, "the environment was changed");
	report_left(traces, worker);
}
