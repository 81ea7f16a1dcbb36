/* The checks of agents that ask people. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "apd/check/session.h"
#include "base/clock.h"

/* Inputs that are tried until an agent asks something, and how long each. */
#define INPUTS   8
#define INPUT_NS (250 * APD_NS_PER_MS)
/* What is longer than any question. */
#define TEXT_MAX   (64u << 20)
#define AGENTS_MAX 64

/* Runs an agent until it asks: true, with what a resumed run gets in input. */
static bool run_to_question(
	struct apd_check_session *session, uint32_t agent, struct apd_check_input *input)
{
	for (int i = 0; i < INPUTS; i++) {
		struct apd_check_run run = {.agent = agent,
			.input = input,
			.durable = true,
			.patience_ns = INPUT_NS,
			.answers = input};

		if (!apd_check_input_make(session, agent, i == 0, input))
			return false;
		if (apd_check_session_run(session, &run, 1) == 0 && run.asked &&
			run.status == AP_INTERRUPTED)
			return true;
		apd_check_input_finish(input);
		if (session->check->result == APD_CHECK_FAIL)
			return false;
	}
	session->check->tried = 0;
	apd_check_skip(session->check, "agent %s: it asks nothing",
		session->description->agents[agent].id.ptr);
	return false;
}

/*
 * Goes on behind the questions, each of which is answered with true. What the
 * first run was given is not given again: only what it left.
 */
static void resume(
	struct apd_check_session *session, uint32_t agent, const struct apd_check_input *input)
{
	struct apd_check_input left = *input;
	struct apd_check_run run = {.agent = agent, .input = &left, .durable = true};

	left.input = left.messages = (struct apd_buf){0};
	apd_check_session_run(session, &run, 1);
}

static void ask_and_resume(struct apd_check_session *session, uint32_t agent)
{
	struct apd_check_input input = {0};

	if (!run_to_question(session, agent, &input))
		return;
	resume(session, agent, &input);
	apd_check_input_finish(&input);
}

void apd_check_interrupt_then_resume(struct apd_check *check)
{
	apd_check_each_agent(check, ask_and_resume);
}

/* What goes from the process that asked to the one that goes on. */
static FILE *pipe_file;

/* The agents that asked something, for the process that goes on. */
static struct {
	struct apd_check_input input;
	uint32_t agent;
} told[AGENTS_MAX];
static uint32_t n_told;

static void put(const struct apd_buf *text)
{
	fwrite(&text->len, sizeof(text->len), 1, pipe_file);
	if (text->len)
		fwrite(text->data, text->len, 1, pipe_file);
}

static bool take(struct apd_buf *text)
{
	size_t len;

	if (fread(&len, sizeof(len), 1, pipe_file) != 1 || len > TEXT_MAX)
		return false;
	apd_buf_clear(text);
	if (len && fread(apd_buf_reserve(text, len), len, 1, pipe_file) != 1)
		return false;
	text->len = len;
	return true;
}

/* In the first process: tells what the agent asked. */
static void ask_and_tell(struct apd_check_session *session, uint32_t agent)
{
	struct apd_check_input input = {0};

	if (!run_to_question(session, agent, &input))
		return;
	fwrite(&agent, sizeof(agent), 1, pipe_file);
	put(&input.config);
	put(&input.resume);
	put(&input.continuation);
	put(&input.values);
	put(&input.transcript);
	apd_check_input_finish(&input);
}

/* In the second process: goes on, if this agent asked. */
static void resume_told(struct apd_check_session *session, uint32_t agent)
{
	for (uint32_t i = 0; i < n_told; i++)
		if (told[i].agent == agent)
			resume(session, agent, &told[i].input);
}

/* Reads all that the first process tells. */
static void take_told(void)
{
	while (n_told < AGENTS_MAX) {
		struct apd_check_input *input = &told[n_told].input;

		if (fread(&told[n_told].agent, sizeof(told[n_told].agent), 1, pipe_file) != 1 ||
			!take(&input->config) || !take(&input->resume) ||
			!take(&input->continuation) || !take(&input->values) ||
			!take(&input->transcript))
			return;
		n_told++;
	}
}

/* The first process: runs the agents until they ask, and is gone. */
static void be_first(struct apd_check *check, int fd) __attribute__((noreturn));

static void be_first(struct apd_check *check, int fd)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	pipe_file = fdopen(fd, "w");
	if (pipe_file)
		apd_check_each_agent(check, ask_and_tell);
	if (pipe_file)
		fflush(pipe_file);
	_exit(check->result == APD_CHECK_FAIL ? 1 : 0);
}

void apd_check_resume_in_new_process(struct apd_check *check)
{
	int fds[2], status = -1;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0) {
		apd_check_fail(check, "no pipe");
		return;
	}
	pid = fork();
	if (pid == 0)
		be_first(check, fds[1]);
	close(fds[1]);
	pipe_file = fdopen(fds[0], "r");
	if (pipe_file)
		take_told();
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || status != 0)
		apd_check_fail(check, "the first process failed: see interrupt-then-resume");
	else if (n_told)
		apd_check_each_agent(check, resume_told);
	else
		apd_check_skip(check, "no agent asks anything");
	for (uint32_t i = 0; i < n_told; i++)
		apd_check_input_finish(&told[i].input);
	if (pipe_file)
		fclose(pipe_file);
}
