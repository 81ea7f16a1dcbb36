/*
 * An HTTP thread: one epoll loop that drives libmicrohttpd, watches suspended
 * connections, feeds streams, keeps deadlines and runs what other threads post.
 *
 * libmicrohttpd runs last in a turn, since all the rest may have resumed
 * connections: it wakes itself only by its sockets, so `resumed` is our way to
 * say that it has to run although they are quiet.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "http/internal.h"

#define EVENTS 256

/* libmicrohttpd needs this much of a connection's memory beside the request's head. */
#define CONNECTION_MEMORY 2048

/* Wakes the loop. [any] */
void apd_http_thread_wake(struct apd_http_thread *thread)
{
	uint64_t one = 1;

	while (write(thread->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

static void wake_mailbox(void *data)
{
	apd_http_thread_wake(data);
}

/* Prepares a thread that listens nowhere yet. */
int apd_http_thread_init(
	struct apd_http_thread *thread, struct apd_http_server *server, unsigned index)
{
	int pair[2];

	thread->server = server;
	thread->index = index;
	thread->listen_fd = thread->epoll_fd = thread->wake_fd = thread->dead_fd = -1;
	thread->daemon_watch.type = APD_HTTP_WATCH_DAEMON;
	thread->listen_watch.type = APD_HTTP_WATCH_LISTEN;
	thread->wake_watch.type = APD_HTTP_WATCH_WAKE;
	apd_list_init(&thread->requests);
	apd_list_init(&thread->gone);
	apd_list_init(&thread->orphans);
	apd_list_init(&thread->streams);
	apd_list_init(&thread->ready);
	apd_list_init(&thread->lingers);
	apd_list_init(&thread->spare);
	apd_mailbox_init(&thread->mailbox, wake_mailbox, thread);
	thread->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	thread->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (thread->epoll_fd < 0 || thread->wake_fd < 0 ||
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return -errno;
	close(pair[1]);
	thread->dead_fd = pair[0];
	return 0;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Frees what a thread that does not run has. */
void apd_http_thread_finish(struct apd_http_thread *thread)
{
	apd_mailbox_drain(&thread->mailbox);
	apd_http_streams_end(thread);
	while (!apd_list_empty(&thread->orphans))
		apd_http_request_destroy(
			apd_list_first(&thread->orphans, struct apd_http_request, link));
	while (!apd_list_empty(&thread->spare)) {
		struct apd_http_request *request =
			apd_list_first(&thread->spare, struct apd_http_request, link);

		apd_list_remove(&request->link);
		free(request);
	}
	apd_heap_finish(&thread->timers);
	apd_buf_finish(&thread->scratch);
	close_fd(&thread->listen_fd);
	close_fd(&thread->epoll_fd);
	close_fd(&thread->wake_fd);
	close_fd(&thread->dead_fd);
}

/* Starts libmicrohttpd, without a thread or a listening socket of its own. */
static int start_daemon(struct apd_http_thread *thread)
{
	const struct apd_http_config *config = &thread->server->config;
	size_t memory = (config->max_header + CONNECTION_MEMORY + 1023) / 1024 * 1024;

	thread->daemon = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_TURBO,
		0, NULL, NULL, apd_http_receive, NULL, MHD_OPTION_CONNECTION_LIMIT,
		config->max_connections + APD_HTTP_EXCESS, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		memory, MHD_OPTION_CONNECTION_TIMEOUT, 0u, MHD_OPTION_NOTIFY_CONNECTION,
		apd_http_connection_notify, thread, MHD_OPTION_URI_LOG_CALLBACK,
		apd_http_receive_target, NULL, MHD_OPTION_NOTIFY_COMPLETED,
		apd_http_receive_completed, NULL, MHD_OPTION_END);
	return thread->daemon ? 0 : -EIO;
}

/* Puts a descriptor into the thread's epoll set. */
static int watch(struct apd_http_thread *thread, int fd, struct apd_http_watch *about)
{
	struct epoll_event event = {.events = EPOLLIN};

	event.data.ptr = about;
	return epoll_ctl(thread->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

/* Looks at what epoll found; returns true if libmicrohttpd has to run. */
static bool take_events(struct apd_http_thread *thread, struct epoll_event *events, int n)
{
	bool daemon = false;

	for (int i = 0; i < n; i++) {
		struct apd_http_watch *about = events[i].data.ptr;
		uint64_t count;

		switch (about->type) {
		case APD_HTTP_WATCH_DAEMON:
			daemon = true;
			break;
		case APD_HTTP_WATCH_LISTEN:
			apd_http_accept_event(thread);
			break;
		case APD_HTTP_WATCH_WAKE:
			if (read(thread->wake_fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
				apd_log(APD_LOG_WARN, APD_HTTP_ROOM, "eventfd: %s",
					strerror(errno));
			break;
		case APD_HTTP_WATCH_CONNECTION:
			apd_http_connection_event(
				apd_container_of(about, struct apd_http_connection, watch));
			break;
		case APD_HTTP_WATCH_STREAM:
			/* The watch is a stream's first member. */
			apd_http_stream_event(
				(struct apd_http_stream *)(void *)about, events[i].events);
			break;
		case APD_HTTP_WATCH_LINGER:
			/* As is a linger's. */
			apd_http_linger_event((struct apd_http_linger *)(void *)about);
			break;
		}
	}
	return daemon;
}

/* Fires the timers that are due. */
static void run_timers(struct apd_http_thread *thread)
{
	struct apd_timer *timer;

	while ((timer = apd_heap_top(&thread->timers)) && timer->at_ns <= thread->now_ns) {
		struct apd_http_watch *about =
			apd_container_of(timer, struct apd_http_watch, timer);

		apd_heap_clear(&thread->timers, timer);
		if (about->type == APD_HTTP_WATCH_CONNECTION)
			apd_http_connection_timer(
				apd_container_of(about, struct apd_http_connection, watch));
		else if (about->type == APD_HTTP_WATCH_LISTEN)
			apd_http_accept_timer(thread);
		else if (about->type == APD_HTTP_WATCH_LINGER)
			apd_http_linger_timer((struct apd_http_linger *)(void *)about);
		else
			apd_http_stream_timer((struct apd_http_stream *)(void *)about);
	}
}

/* Tells those whose clients had left before they were suspended. */
static void tell_gone(struct apd_http_thread *thread)
{
	while (!apd_list_empty(&thread->gone))
		apd_http_request_tell_gone(
			apd_list_first(&thread->gone, struct apd_http_request, gone_link));
}

/* Takes nothing new, and ends the streams. */
static void begin_drain(struct apd_http_thread *thread)
{
	thread->draining = true;
	apd_http_accept_end(thread);
	apd_http_streams_end(thread);
}

/* Tells stop(), once, that a draining thread has nothing in flight. */
static void report_quiet(struct apd_http_thread *thread)
{
	struct apd_http_server *server = thread->server;

	if (!thread->draining || thread->reported || thread->in_flight)
		return;
	thread->reported = true;
	pthread_mutex_lock(&server->lock);
	server->n_quiet++;
	pthread_cond_signal(&server->quiet);
	pthread_mutex_unlock(&server->lock);
}

/* How long the loop may sleep, in milliseconds; -1: until something happens. */
static int sleep_ms(struct apd_http_thread *thread)
{
	const struct apd_timer *timer = apd_heap_top(&thread->timers);
	MHD_UNSIGNED_LONG_LONG daemon_ms;
	int64_t ns;

	if (thread->resumed || !apd_list_empty(&thread->ready) || !apd_list_empty(&thread->gone) ||
		!apd_mailbox_rest(&thread->mailbox))
		return 0;
	if (MHD_get_timeout(thread->daemon, &daemon_ms) == MHD_YES && daemon_ms == 0)
		return 0;
	if (!timer)
		return -1;
	ns = timer->at_ns - thread->now_ns;
	if (ns <= 0)
		return 0;
	/* Rounded up: a loop that wakes too early only spins. */
	return ns > 3600 * APD_NS_PER_S ? 3600000 : (int)((ns + APD_NS_PER_MS - 1) / APD_NS_PER_MS);
}

/* One turn of the loop. */
static void turn(struct apd_http_thread *thread)
{
	MHD_UNSIGNED_LONG_LONG daemon_ms;
	struct epoll_event events[EVENTS];
	int n = epoll_wait(thread->epoll_fd, events, EVENTS, sleep_ms(thread));
	bool daemon;

	apd_mailbox_awake(&thread->mailbox);
	thread->now_ns = apd_clock_mono_ns();
	daemon = take_events(thread, events, n);
	apd_mailbox_drain(&thread->mailbox);
	tell_gone(thread);
	if (!thread->draining &&
		atomic_load_explicit(&thread->server->draining, memory_order_acquire))
		begin_drain(thread);
	run_timers(thread);
	apd_http_streams_run(thread);
	if (daemon || thread->resumed ||
		(MHD_get_timeout(thread->daemon, &daemon_ms) == MHD_YES && daemon_ms == 0)) {
		thread->resumed = false;
		MHD_run(thread->daemon);
	}
	report_quiet(thread);
}

/* Tells the owners of all requests that still wait. */
static void tell_all_gone(struct apd_http_thread *thread)
{
	struct apd_http_request *request;

	apd_list_each (request, &thread->requests, link)
		if (request->state == APD_HTTP_SUSPENDED)
			apd_http_request_tell_gone(request);
}

/* Parts with what is left, so that libmicrohttpd finds nothing suspended: it would abort. */
static void end_loop(struct apd_http_thread *thread)
{
	struct apd_http_request *request, *next;

	tell_all_gone(thread);
	apd_mailbox_drain(&thread->mailbox);
	apd_http_streams_run(thread);
	apd_http_streams_end(thread);
	apd_http_lingers_end(thread);
	apd_list_each_safe (request, next, &thread->requests, link)
		if (request->state == APD_HTTP_SUSPENDED)
			apd_http_request_orphan(request);
	/* Answers that were given just now still go out. */
	MHD_run(thread->daemon);
	MHD_stop_daemon(thread->daemon);
	thread->daemon = NULL;
}

static void *loop(void *data)
{
	struct apd_http_thread *thread = data;

	while (!atomic_load_explicit(&thread->server->stopping, memory_order_acquire))
		turn(thread);
	if (!thread->draining)
		begin_drain(thread);
	end_loop(thread);
	return NULL;
}

/* Makes the thread; signals are for others. */
static int create_thread(struct apd_http_thread *thread)
{
	sigset_t all, old;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&thread->id, NULL, loop, thread);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -r;
}

/* Starts to listen and serve; returns 0 or a negative errno. */
int apd_http_thread_start(struct apd_http_thread *thread)
{
	char name[16];
	int r;

	thread->now_ns = apd_clock_mono_ns();
	if (listen(thread->listen_fd, SOMAXCONN) < 0)
		return -errno;
	r = start_daemon(thread);
	if (r < 0)
		return r;
	r = watch(thread, MHD_get_daemon_info(thread->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd,
		&thread->daemon_watch);
	if (r == 0)
		r = watch(thread, thread->listen_fd, &thread->listen_watch);
	if (r == 0)
		r = watch(thread, thread->wake_fd, &thread->wake_watch);
	if (r == 0)
		r = create_thread(thread);
	if (r < 0) {
		MHD_stop_daemon(thread->daemon);
		thread->daemon = NULL;
		return r;
	}
	thread->running = true;
	snprintf(name, sizeof(name), "http-%u", thread->index);
	pthread_setname_np(thread->id, name);
	return 0;
}
