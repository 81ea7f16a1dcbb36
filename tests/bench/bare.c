/*
 * The baseline of the benchmarks: libmicrohttpd and nothing else. A request is
 * parsed with jansson, suspended, handed to another thread that builds an answer
 * of the same bytes as apd's with jansson, resumed and answered. It is driven
 * the way that is fastest here: one external epoll loop a thread.
 *
 * usage: bare ANSWER.json    prints the port it listens on
 */
#include <arpa/inet.h>
#include <jansson.h>
#include <microhttpd.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/mailbox.h"

#define THREADS 2

/* One HTTP thread. */
struct loop {
	struct MHD_Daemon *daemon;
	int event_fd;
	struct apd_mailbox mailbox;
};

/* One request. */
struct request {
	struct loop *loop;
	struct MHD_Connection *connection;
	struct apd_buf body;
	struct apd_task task;
	char *answer;
};

static json_t *answer_template;
static struct apd_mailbox worker_mailbox;
static int worker_event_fd;

static void wake_fd(void *data)
{
	uint64_t one = 1;

	if (write(*(int *)data, &one, sizeof(one)) < 0)
		abort();
}

/* [http] The answer is there. */
static void answered(struct apd_task *task)
{
	struct request *request = apd_container_of(task, struct request, task);

	MHD_resume_connection(request->connection);
}

/* [worker] Builds the answer and sends it home. */
static void work(struct apd_task *task)
{
	struct request *request = apd_container_of(task, struct request, task);

	request->answer = json_dumps(answer_template, JSON_COMPACT);
	request->task.run = answered;
	apd_mailbox_post(&request->loop->mailbox, &request->task);
}

static void *worker_main(void *unused)
{
	uint64_t count;

	(void)unused;
	while (read(worker_event_fd, &count, sizeof(count)) > 0)
		apd_mailbox_drain(&worker_mailbox);
	return NULL;
}

/* Takes the body, parses it and suspends; answers when it is called again. */
static enum MHD_Result handle(void *data, struct MHD_Connection *connection, const char *url,
	const char *method, const char *version, const char *upload, size_t *upload_size,
	void **state)
{
	struct request *request = *state;
	struct MHD_Response *response;
	enum MHD_Result result;

	(void)url, (void)method, (void)version;
	if (!request) {
		request = apd_calloc(1, sizeof(*request));
		request->loop = data;
		request->connection = connection;
		*state = request;
		return MHD_YES;
	}
	if (*upload_size) {
		apd_buf_add(&request->body, upload, *upload_size);
		*upload_size = 0;
		return MHD_YES;
	}
	if (!request->answer) {
		json_decref(json_loadb(request->body.data ? request->body.data : "null",
			request->body.len ? request->body.len : 4, JSON_DECODE_ANY, NULL));
		request->task.run = work;
		MHD_suspend_connection(connection);
		apd_mailbox_post(&worker_mailbox, &request->task);
		return MHD_YES;
	}
	response = MHD_create_response_from_buffer(
		strlen(request->answer), request->answer, MHD_RESPMEM_MUST_FREE);
	MHD_add_response_header(response, "Content-Type", "application/json");
	result = MHD_queue_response(connection, 200, response);
	MHD_destroy_response(response);
	return result;
}

static void completed(void *data, struct MHD_Connection *connection, void **state,
	enum MHD_RequestTerminationCode code)
{
	struct request *request = *state;

	(void)data, (void)connection, (void)code;
	if (request) {
		apd_buf_finish(&request->body);
		free(request);
	}
}

static void *loop_main(void *data)
{
	struct loop *loop = data;
	int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = {.events = EPOLLIN, .data.fd = loop->event_fd}, ready[8];
	const union MHD_DaemonInfo *info =
		MHD_get_daemon_info(loop->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	MHD_UNSIGNED_LONG_LONG timeout;
	uint64_t count;

	epoll_ctl(epoll_fd, EPOLL_CTL_ADD, loop->event_fd, &event);
	event.data.fd = info->epoll_fd;
	epoll_ctl(epoll_fd, EPOLL_CTL_ADD, info->epoll_fd, &event);
	for (;;) {
		int wait = MHD_get_timeout(loop->daemon, &timeout) == MHD_YES ? (int)timeout : -1;
		int n = epoll_wait(epoll_fd, ready, 8, wait);

		for (int i = 0; i < n; i++)
			if (ready[i].data.fd == loop->event_fd &&
				read(loop->event_fd, &count, sizeof(count)) < 0)
				abort();
		apd_mailbox_drain(&loop->mailbox);
		MHD_run(loop->daemon);
	}
}

/* A listening socket that shares its port with the other threads'. */
static int listen_on(uint16_t *port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
		.sin_port = htons(*port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 1024) < 0)
		return -1;
	getsockname(fd, (struct sockaddr *)&address, &size);
	*port = ntohs(address.sin_port);
	return fd;
}

int main(int argc, char **argv)
{
	static struct loop loops[THREADS];
	pthread_t thread;
	uint16_t port = 0;

	signal(SIGPIPE, SIG_IGN);
	answer_template = argc == 2 ? json_load_file(argv[1], 0, NULL) : NULL;
	if (!answer_template) {
		fprintf(stderr, "usage: bare ANSWER.json\n");
		return 2;
	}
	worker_event_fd = eventfd(0, EFD_CLOEXEC);
	apd_mailbox_init(&worker_mailbox, wake_fd, &worker_event_fd);
	pthread_create(&thread, NULL, worker_main, NULL);
	for (int i = 0; i < THREADS; i++) {
		struct loop *loop = &loops[i];
		int fd = listen_on(&port);

		loop->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		apd_mailbox_init(&loop->mailbox, wake_fd, &loop->event_fd);
		loop->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL,
			NULL, handle, loop, MHD_OPTION_LISTEN_SOCKET, fd,
			MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)8192,
			MHD_OPTION_CONNECTION_LIMIT, 4096u, MHD_OPTION_NOTIFY_COMPLETED, completed,
			NULL, MHD_OPTION_END);
		if (fd < 0 || !loop->daemon) {
			fprintf(stderr, "bare: cannot listen\n");
			return 1;
		}
		pthread_create(&thread, NULL, loop_main, loop);
	}
	printf("%u\n", port);
	fflush(stdout);
	pause();
	return 0;
}
