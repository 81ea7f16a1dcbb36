/* The scripted worker: one thread, a list of runs, a word at a time. */
#include "scripted.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ap/agent.h"
#include "base/alloc.h"
#include "base/list.h"
#include "host/frame.h"

#define MARK "\nAPD-SCRIPT "

struct script_run {
	struct apd_list link;
	uint32_t number;
	char *script;
	char *at;
	uint32_t commits;
	bool stopped;
};

struct script_worker {
	int socket;
	struct apd_frame_reader in;
	struct apd_buf out;
	struct apd_list runs;
	char word[32];
	struct apd_buf description;
	bool quit;
	int status;
};

static void send_out(struct script_worker *w)
{
	size_t at = 0;

	while (at < w->out.len) {
		ssize_t n = send(w->socket, w->out.data + at, w->out.len - at, MSG_NOSIGNAL);

		if (n <= 0)
			break;
		at += (size_t)n;
	}
	apd_buf_clear(&w->out);
}

static void add(struct script_worker *w, uint16_t type, uint32_t run, uint32_t arg, const char *a,
	const char *b, const char *c, const char *d, size_t n)
{
	const struct apd_str fields[] = {apd_str(a), apd_str(b), apd_str(c), apd_str(d)};

	apd_frame_add(&w->out, type, run, arg, fields, n);
}

static void emit(struct script_worker *w, const struct script_run *run, const char *data)
{
	add(w, APD_FRAME_EMIT, run->number, AP_CHANNEL_CUSTOM, NULL, "node", data, NULL, 3);
}

static void done(struct script_worker *w, struct script_run *run, ap_status status)
{
	add(w, APD_FRAME_DONE, run->number, (uint32_t)status, status < 0 ? "some_code" : NULL,
		status < 0 ? "It went wrong." : NULL, NULL, NULL, 2);
	apd_list_remove(&run->link);
	free(run->script);
	free(run);
}

static void flood(struct script_worker *w, const struct script_run *run)
{
	char *data = malloc(100002);

	memset(data, ' ', 100001);
	data[0] = '{';
	data[100000] = '}';
	data[100001] = '\0';
	for (int i = 0; i < 400; i++) {
		emit(w, run, data);
		send_out(w);
	}
	free(data);
}

static void bad_frame(struct script_worker *w)
{
	const struct apd_frame frame = {.magic = 0x1234, .type = APD_FRAME_EMIT};

	apd_buf_add(&w->out, &frame, sizeof(frame));
}

/* How many descriptors there are, but for the one that is needed to count them. */
static int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	const struct dirent *entry;
	int n = -1;

	while (dir && (entry = readdir(dir)))
		n += entry->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return n;
}

static void shout(void)
{
	for (int i = 0; i < 3000; i++)
		(void)!write(STDOUT_FILENO, "!\n", 2);
}

/* Leaves a process behind, in a session of its own and without its parent: its number. */
static pid_t leave_away(void)
{
	pid_t pid, found = -1;
	int ends[2];

	if (pipe(ends) < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		setsid();
		if (fork() > 0)
			_exit(0);
		found = getpid();
		(void)!write(ends[1], &found, sizeof(found));
		sleep(60);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	(void)!read(ends[0], &found, sizeof(found));
	close(ends[0]);
	close(ends[1]);
	return found;
}

static void ask(struct script_worker *w, const struct script_run *run)
{
	add(w, APD_FRAME_ASK, run->number, 1, "continue", "q1", NULL, "{\"ok\":true}", 4);
}

static void crash(int signal_number)
{
	signal(signal_number, SIG_DFL);
	raise(signal_number);
}

/* Words that send something; false if it is none of them. */
static bool say(struct script_worker *w, struct script_run *run, const char *word)
{
	char text[128];

	if (strcmp(word, "emit") == 0)
		emit(w, run, "{\"name\":\"x\",\"payload\":1}");
	else if (strcmp(word, "pid") == 0) {
		snprintf(text, sizeof(text), "{\"pid\":%d}", (int)getpid());
		emit(w, run, text);
	} else if (strcmp(word, "fds") == 0) {
		snprintf(text, sizeof(text), "{\"fds\":%d,\"leads\":%d}", count_fds(),
			getpgrp() == getpid());
		emit(w, run, text);
	} else if (strcmp(word, "env") == 0) {
		const char *value = getenv("HOST_TEST");

		snprintf(text, sizeof(text), "{\"env\":\"%s %d\"}", value ? value : "none",
			getenv("PATH") != NULL);
		emit(w, run, text);
	} else if (strcmp(word, "message") == 0)
		add(w, APD_FRAME_EMIT, run->number, AP_CHANNEL_MESSAGES, NULL, NULL,
			"{\"event\":\"message-start\",\"id\":\"m1\",\"role\":\"ai\"}", NULL, 3);
	else if (strcmp(word, "ask") == 0)
		ask(w, run);
	else if (strcmp(word, "log") == 0)
		add(w, APD_FRAME_LOG, run->number, AP_LOG_INFO, "a line from the script", NULL,
			NULL, NULL, 1);
	else if (strcmp(word, "misuse") == 0)
		add(w, APD_FRAME_MISUSE, run->number, 0, "it is only a test", NULL, NULL, NULL, 1);
	else if (strcmp(word, "say") == 0)
		(void)!write(STDOUT_FILENO, "said\x1b[31m\nhalf", 14);
	else if (strcmp(word, "shout") == 0)
		shout();
	else if (strcmp(word, "away") == 0) {
		snprintf(text, sizeof(text), "{\"pid\":%d}", (int)leave_away());
		emit(w, run, text);
	} else
		return false;
	return true;
}

/* Words that break the protocol; false if it is none of them. */
static bool misbehave(struct script_worker *w, struct script_run *run, const char *word)
{
	if (strcmp(word, "bad-json") == 0)
		emit(w, run, "{\"a\":}");
	else if (strcmp(word, "bad-frame") == 0)
		bad_frame(w);
	else if (strcmp(word, "bad-type") == 0)
		add(w, 77, run->number, 0, NULL, NULL, NULL, NULL, 0);
	else if (strcmp(word, "bad-channel") == 0)
		add(w, APD_FRAME_EMIT, run->number, 9, NULL, NULL, "{}", NULL, 3);
	else if (strcmp(word, "bad-commit") == 0)
		add(w, APD_FRAME_COMMIT, run->number, 1, "s", NULL, "[]", NULL, 4);
	else if (strcmp(word, "bad-number") == 0)
		add(w, APD_FRAME_COMMIT, run->number, 0, "s", NULL, "{}", NULL, 4);
	else if (strcmp(word, "ask-twice") == 0) {
		ask(w, run);
		ask(w, run);
	} else if (strcmp(word, "root-life") == 0)
		add(w, APD_FRAME_EMIT, run->number, AP_CHANNEL_LIFECYCLE, "[]", NULL, "{}", NULL,
			3);
	else if (strcmp(word, "flood") == 0)
		flood(w, run);
	else if (strcmp(word, "stray") == 0) {
		struct script_run stray = {.number = 4711};

		emit(w, &stray, "{\"a\":}");
	} else
		return false;
	return true;
}

/* Words that end the run or the worker, or wait; true if the run goes on. */
static bool end(struct script_worker *w, struct script_run *run, const char *word)
{
	if (strcmp(word, "done") == 0)
		done(w, run, AP_OK);
	else if (strcmp(word, "fail") == 0)
		done(w, run, AP_E_FAILED);
	else if (strcmp(word, "commit") == 0)
		add(w, APD_FRAME_COMMIT, run->number, ++run->commits, "step", NULL, "{\"k\":[1,2]}",
			NULL, 4);
	else if (strcmp(word, "wait") == 0 && run->stopped)
		done(w, run, AP_E_CANCELLED);
	else if (strcmp(word, "segv") == 0) {
		send_out(w);
		crash(SIGSEGV);
	} else if (strcmp(word, "exit3") == 0) {
		send_out(w);
		_exit(3);
	} else if (strcmp(word, "close") == 0)
		shutdown(w->socket, SHUT_RDWR);
	return false;
}

/* Does the words of the run until one waits. */
static void go_on(struct script_worker *w, struct script_run *run)
{
	bool more = true;

	while (more) {
		char word[32];
		size_t len = strcspn(run->at, " ");
		char *here = run->at;

		snprintf(word, sizeof(word), "%.*s", (int)len, here);
		run->at += len + (run->at[len] == ' ');
		if (strcmp(word, "wait") == 0 && !run->stopped)
			run->at = here;
		more = say(w, run, word) || misbehave(w, run, word) || end(w, run, word);
	}
}

static struct script_run *find(struct script_worker *w, uint32_t number)
{
	struct script_run *run;

	apd_list_each (run, &w->runs, link) {
		if (run->number == number)
			return run;
	}
	return NULL;
}

static void invoke(
	struct script_worker *w, const struct apd_frame *frame, struct apd_fields *fields)
{
	struct script_run *run = calloc(1, sizeof(*run));
	struct apd_str input = APD_STR_ABSENT;
	struct apd_invoke head;

	run->number = frame->run;
	if (apd_fields_struct(fields, &head, sizeof(head)) == 0) {
		for (int i = 0; i < 4; i++)
			apd_fields_next(fields, &input);
	}
	run->script = input.len >= 2 ? strndup(input.ptr + 1, input.len - 2) : strdup("done");
	run->at = run->script;
	apd_list_append(&w->runs, &run->link);
	go_on(w, run);
}

static void create(
	struct script_worker *w, const struct apd_frame *frame, struct apd_fields *fields)
{
	struct apd_str id = APD_STR_ABSENT;
	int32_t status = 0;
	struct apd_str answer[3] = {{(char *)&status, sizeof(status)}};

	apd_fields_next(fields, &id);
	if (strcmp(w->word, "hang-create") == 0)
		return;
	if (strcmp(w->word, "bad-create") == 0 && apd_str_is(id, "bad")) {
		status = AP_E_UNAVAILABLE;
		answer[1] = APD_STR("no_model");
		answer[2] = APD_STR("There is no model.");
	}
	apd_frame_add(&w->out, APD_FRAME_CREATED, 0, frame->arg, answer, 3);
}

/* Begins as the end of the plugin file says. */
static void set_up(struct script_worker *w, struct apd_fields *fields)
{
	struct apd_setup setup = {0};

	apd_fields_struct(fields, &setup, sizeof(setup));
	if (strcmp(w->word, "crash-describe") == 0)
		crash(SIGSEGV);
	if (strcmp(w->word, "mute") == 0 && !setup.describe)
		return;
	if (strcmp(w->word, "die") == 0 && !setup.describe)
		_exit(7);
	if (strcmp(w->word, "failed") == 0)
		add(w, APD_FRAME_FAILED, 0, 0, "dlopen", "a symbol is missing", NULL, NULL, 2);
	else if (strcmp(w->word, "garbage") == 0)
		add(w, APD_FRAME_HELLO, 0, 0, "{\"name\":3}", NULL, NULL, NULL, 1);
	else
		add(w, APD_FRAME_HELLO, 0, 0, w->description.data, NULL, NULL, NULL, 1);
	w->quit = setup.describe;
}

static void stop(struct script_worker *w, uint32_t number)
{
	struct script_run *run = find(w, number);

	if (!run)
		return;
	run->stopped = true;
	if (strncmp(run->at, "wait", 4) == 0)
		go_on(w, run);
}

static void take(struct script_worker *w, const struct apd_frame *frame, struct apd_str payload)
{
	struct apd_fields fields = {payload.ptr, payload.ptr + payload.len};
	struct script_run *run;

	switch (frame->type) {
	case APD_FRAME_SETUP:
		set_up(w, &fields);
		break;
	case APD_FRAME_CREATE:
		create(w, frame, &fields);
		break;
	case APD_FRAME_INVOKE:
		invoke(w, frame, &fields);
		break;
	case APD_FRAME_STOP:
		stop(w, frame->run);
		break;
	case APD_FRAME_COMMITTED:
		run = find(w, frame->run);
		if (run)
			go_on(w, run);
		break;
	case APD_FRAME_PING:
		if (!apd_list_empty(&w->runs))
			emit(w, apd_list_first(&w->runs, struct script_run, link),
				"{\"pinged\":true}");
		add(w, APD_FRAME_PONG, 0, frame->arg, NULL, NULL, NULL, NULL, 0);
		break;
	case APD_FRAME_QUIT:
		w->quit = true;
		break;
	default:
		break;
	}
}

/* Reads the script off the end of the plugin file. */
static void read_script(struct script_worker *w, int fd)
{
	struct stat st;
	char *data, *at = NULL;

	if (fstat(fd, &st) < 0)
		return;
	data = malloc((size_t)st.st_size + 1);
	if (pread(fd, data, (size_t)st.st_size, 0) == st.st_size)
		at = memmem(data, (size_t)st.st_size, MARK, strlen(MARK));
	data[st.st_size] = '\0';
	if (at) {
		at += strlen(MARK);
		snprintf(w->word, sizeof(w->word), "%.*s", (int)strcspn(at, "\n"), at);
		apd_buf_add_cstr(&w->description, at + strcspn(at, "\n") + 1);
	}
	free(data);
}

int scripted_serve(int socket_fd, int plugin_fd)
{
	struct script_worker w = {.socket = socket_fd, .in = {.max = 64 << 20}};
	struct script_run *run, *next;

	apd_list_init(&w.runs);
	read_script(&w, plugin_fd);
	while (!w.quit) {
		struct apd_frame frame;
		struct apd_str payload;
		size_t room;
		char *at = apd_frame_reader_room(&w.in, &room);
		ssize_t n = recv(w.socket, at, room, 0);

		if (n <= 0)
			break;
		apd_frame_reader_got(&w.in, (size_t)n);
		while (apd_frame_reader_next(&w.in, &frame, &payload) > 0)
			take(&w, &frame, payload);
		send_out(&w);
	}
	apd_list_each_safe (run, next, &w.runs, link) {
		free(run->script);
		free(run);
	}
	apd_frame_reader_finish(&w.in);
	apd_buf_finish(&w.out);
	apd_buf_finish(&w.description);
	close(socket_fd);
	close(plugin_fd);
	return w.status;
}
