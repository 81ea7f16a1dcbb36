/* Changes what signals do, as its input says, which it must not; and gets some. */
#include "plugin.h"

#include <setjmp.h>
#include <signal.h>
#include <unistd.h>

static sigjmp_buf back;
static int *volatile nowhere = (int *)64;

static void jump(int number)
{
	siglongjmp(back, number);
}

static void nothing(int number)
{
	(void)number;
}

static void write_to_nowhere(void)
{
	*nowhere = 1;
}

static int is(const ap_run *run, const char *word)
{
	return strncmp(run->input.ptr + 1, word, strlen(word)) == 0;
}

static ap_status invoke(void *self, ap_run *run)
{
	struct sigaction action = {.sa_handler = SIG_IGN};

	(void)self;
	if (is(run, "jump")) {
		action.sa_handler = jump;
		sigaction(SIGSEGV, &action, NULL);
		if (sigsetjmp(back, 1) == 0)
			write_to_nowhere();
	} else if (is(run, "return")) {
		action.sa_handler = nothing;
		sigaction(SIGSEGV, &action, NULL);
		write_to_nowhere();
	} else if (is(run, "ignore segv")) {
		sigaction(SIGSEGV, &action, NULL);
		write_to_nowhere();
	} else if (is(run, "ignore term")) {
		sigaction(SIGTERM, &action, NULL);
		sigaction(SIGINT, &action, NULL);
		sigaction(SIGHUP, &action, NULL);
	} else if (is(run, "term")) {
		kill(getpid(), SIGTERM);
		pause();
	} else if (is(run, "stop")) {
		kill(getpid(), SIGSTOP);
		/* Another thread may have taken it, and this one be faster than the stop. */
		for (;;)
			pause();
	} else if (is(run, "pipe")) {
		raise(SIGPIPE);
	}
	return commit(run, "{\"done\":true}");
}

ONE_AGENT("signals", invoke);
