/* A check in a process of its own: its outcome, its output, its time and its death. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "apd/check/check.h"
#include "base/clock.h"
#include "host/spawn.h"

/* A check of runs gets so long, and some times the grace of a stopped run. */
#define RUNS_NS (60 * APD_NS_PER_S)
#define GRACES  4

/* What the process tells: fits into a pipe at once. */
struct outcome {
	enum apd_check_result result;
	bool hopeless;
	char reason[APD_CHECK_REASON];
};

/* A check's process as the command sees it. */
struct child {
	pid_t pid;
	int pidfd, result_fd, output_fd;
	struct apd_check_report *report;
	size_t output_len;
};

static void note(struct apd_check *check, enum apd_check_result result, const char *fmt, va_list ap)
{
	if (check->result == APD_CHECK_FAIL)
		return;
	check->result = result;
	vsnprintf(check->reason, sizeof(check->reason), fmt, ap);
}

void apd_check_fail(struct apd_check *check, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	note(check, APD_CHECK_FAIL, fmt, ap);
	va_end(ap);
}

void apd_check_skip(struct apd_check *check, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	note(check, APD_CHECK_SKIP, fmt, ap);
	va_end(ap);
}

const void *apd_check_bytes(struct apd_check *check, size_t *ret_size)
{
	struct stat st;
	void *data = MAP_FAILED;

	if (fstat(check->target->memfd, &st) == 0 && st.st_size > 0)
		data = mmap(
			NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, check->target->memfd, 0);
	if (data == MAP_FAILED) {
		apd_check_fail(check, "the file is empty");
		return NULL;
	}
	*ret_size = (size_t)st.st_size;
	return data;
}

void apd_check_here(const struct apd_check_target *target, const struct apd_check_test *test,
	struct apd_check_report *ret_report)
{
	struct apd_check check = {.target = target};

	test->run(&check);
	if (check.result == APD_CHECK_SKIP && check.tried) {
		check.result = APD_CHECK_OK;
		check.reason[0] = '\0';
	}
	ret_report->result = check.result;
	memcpy(ret_report->reason, check.reason, sizeof(check.reason));
	ret_report->output[0] = '\0';
	ret_report->hopeless = check.hopeless;
}

/* The process: runs the check, tells its outcome and ends without any ceremony. */
static void be_child(const struct apd_check_target *target, const struct apd_check_test *test,
	int result_fd, int output_fd) __attribute__((noreturn));

static void be_child(const struct apd_check_target *target, const struct apd_check_test *test,
	int result_fd, int output_fd)
{
	int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct apd_check_report report;
	struct outcome outcome = {0};

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_DFL);
	if (nothing >= 0)
		dup2(nothing, STDIN_FILENO);
	dup2(output_fd, STDOUT_FILENO);
	dup2(output_fd, STDERR_FILENO);
	close(nothing);
	close(output_fd);
	apd_check_here(target, test, &report);
	outcome.result = report.result;
	outcome.hopeless = report.hopeless;
	memcpy(outcome.reason, report.reason, sizeof(outcome.reason));
	if (write(result_fd, &outcome, sizeof(outcome)) != sizeof(outcome))
		_exit(1);
	_exit(0);
}

/* Keeps the end of what the plugin prints: true if there may be more. */
static bool read_output(struct child *child)
{
	struct apd_check_report *report = child->report;
	size_t half = sizeof(report->output) / 2;
	ssize_t n;

	if (child->output_len > half) {
		memmove(report->output, report->output + child->output_len - half, half);
		child->output_len = half;
	}
	n = read(child->output_fd, report->output + child->output_len, half - 1);
	if (n > 0)
		child->output_len += (size_t)n;
	report->output[child->output_len] = '\0';
	return n > 0;
}

/* Waits for its end while it prints: false if it took too long. */
static bool wait_for(struct child *child, int64_t until)
{
	struct pollfd fds[2] = {
		{.fd = child->pidfd, .events = POLLIN}, {.fd = child->output_fd, .events = POLLIN}};

	for (;;) {
		int64_t left = until - apd_clock_mono_ns();

		if (left <= 0)
			return false;
		if (poll(fds, 2, (int)(left / APD_NS_PER_MS) + 1) < 0 && errno != EINTR)
			return false;
		if (fds[0].revents)
			return true;
		if (fds[1].revents && !read_output(child))
			fds[1].fd = -1;
	}
}

/* Takes the outcome, or says of what the process died. */
static void take_outcome(struct child *child, bool in_time, int64_t time_ns)
{
	struct apd_check_report *report = child->report;
	struct outcome outcome;
	siginfo_t info = {0};

	kill(-child->pid, SIGKILL);
	kill(child->pid, SIGKILL);
	waitid(P_PID, (id_t)child->pid, &info, WEXITED);
	while (read_output(child) && child->output_len)
		;
	if (read(child->result_fd, &outcome, sizeof(outcome)) == sizeof(outcome) &&
		outcome.result >= APD_CHECK_OK && outcome.result <= APD_CHECK_SKIP) {
		outcome.reason[sizeof(outcome.reason) - 1] = '\0';
		report->result = outcome.result;
		report->hopeless = outcome.hopeless;
		memcpy(report->reason, outcome.reason, sizeof(report->reason));
		return;
	}
	report->result = APD_CHECK_FAIL;
	report->hopeless = true;
	if (!in_time)
		snprintf(report->reason, sizeof(report->reason), "took longer than %d s",
			(int)(time_ns / APD_NS_PER_S));
	else if (info.si_code == CLD_EXITED)
		snprintf(report->reason, sizeof(report->reason),
			"the process ended with exit status %d", info.si_status);
	else
		snprintf(report->reason, sizeof(report->reason), "the process died of SIG%s",
			sigabbrev_np(info.si_status) ? sigabbrev_np(info.si_status) : "?");
}

/* Makes two pipes, with descriptors out of the plugin's way; false with a reason. */
static bool make_pipes(int result[2], int output[2])
{
	if (pipe2(result, O_CLOEXEC | O_NONBLOCK) < 0)
		return false;
	if (pipe2(output, O_CLOEXEC) < 0) {
		close(result[0]);
		close(result[1]);
		return false;
	}
	result[1] = apd_fd_raise(result[1]);
	fcntl(output[0], F_SETFL, O_NONBLOCK);
	return true;
}

static void attempt(const struct apd_check_target *target, const struct apd_check_test *test,
	struct apd_check_report *ret_report)
{
	struct child child = {.report = ret_report};
	int64_t time_ns =
		test->seconds ? test->seconds * APD_NS_PER_S : RUNS_NS + GRACES * target->grace_ns;
	int result[2], output[2];
	bool in_time;

	*ret_report = (struct apd_check_report){.result = APD_CHECK_FAIL};
	if (!make_pipes(result, output)) {
		snprintf(ret_report->reason, sizeof(ret_report->reason), "no pipe: %s",
			strerror(errno));
		return;
	}
	child.pid = fork();
	if (child.pid == 0)
		be_child(target, test, result[1], output[1]);
	close(result[1]);
	close(output[1]);
	child.result_fd = result[0];
	child.output_fd = output[0];
	child.pidfd = child.pid < 0 ? -1 : (int)syscall(SYS_pidfd_open, child.pid, 0);
	if (child.pid < 0) {
		snprintf(ret_report->reason, sizeof(ret_report->reason), "no process: %s",
			strerror(errno));
	} else {
		in_time = wait_for(&child, apd_clock_mono_ns() + time_ns);
		take_outcome(&child, in_time, time_ns);
	}
	if (child.pidfd >= 0)
		close(child.pidfd);
	close(child.result_fd);
	close(child.output_fd);
}

void apd_check_apart(const struct apd_check_target *target, const struct apd_check_test *test,
	struct apd_check_report *ret_report)
{
	unsigned left = test->attempts ? test->attempts : 1;

	do
		attempt(target, test, ret_report);
	while (ret_report->result == APD_CHECK_FAIL && --left);
}
