/* Listening, running and calling for help. */
#include "worker/crew.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* Threads at the start: one to take a run, one to stay behind. */
#define FIRST_THREADS 2
/* A scanner that grew over this many values is given back after a job. */
#define KEEP_TOKENS 16384

static void *thread_main(void *arg);

/* Lets listeners wake up for a descriptor: 0 or a negative errno. */
static int watch(struct apd_crew *crew, int fd)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.fd = fd};

	return epoll_ctl(crew->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

int apd_crew_init(
	struct apd_crew *crew, int (*read)(void *data), void (*flush)(void *data), void *data)
{
	int r;

	*crew = (struct apd_crew){.read = read, .flush = flush, .data = data};
	apd_list_init(&crew->jobs);
	apd_list_init(&crew->threads);
	crew->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (crew->epoll_fd < 0)
		return -errno;
	crew->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (crew->wake_fd < 0) {
		r = -errno;
		goto close_epoll;
	}
	crew->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (crew->timer_fd < 0) {
		r = -errno;
		goto close_wake;
	}
	r = watch(crew, crew->wake_fd);
	if (r == 0)
		r = watch(crew, crew->timer_fd);
	if (r < 0)
		goto close_timer;
	pthread_mutex_init(&crew->lock, NULL);
	return 0;

close_timer:
	close(crew->timer_fd);
close_wake:
	close(crew->wake_fd);
close_epoll:
	close(crew->epoll_fd);
	return r;
}

void apd_crew_finish(struct apd_crew *crew)
{
	close(crew->timer_fd);
	close(crew->wake_fd);
	close(crew->epoll_fd);
	pthread_mutex_destroy(&crew->lock);
}

/* Starts a thread: 0 or a negative errno. The lock is held. */
static int add_thread(struct apd_crew *crew)
{
	struct apd_crew_thread *thread = apd_calloc(1, sizeof(*thread));
	int r;

	thread->crew = crew;
	thread->stop_fd = -1;
	r = pthread_create(&thread->thread, NULL, thread_main, thread);
	if (r) {
		free(thread);
		return -r;
	}
	apd_list_append(&crew->threads, &thread->link);
	crew->starting++;
	return 0;
}

/* Tells one listener that there are jobs. Locked. */
static void call_helper(struct apd_crew *crew)
{
	if (crew->waking)
		return;
	crew->waking = true;
	eventfd_write(crew->wake_fd, 1);
}

/*
 * Sees to it that this thread can turn to a job: somebody else listens, or soon
 * will. False if no thread can be made for that. Locked.
 */
static bool leave_to_others(struct apd_crew *crew)
{
	return crew->listening || crew->starting || add_thread(crew) == 0;
}

int apd_crew_start(struct apd_crew *crew, int socket)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.fd = socket};
	int r = 0;

	if (epoll_ctl(crew->epoll_fd, EPOLL_CTL_ADD, socket, &event) < 0)
		return -errno;
	pthread_mutex_lock(&crew->lock);
	for (int i = 0; i < FIRST_THREADS && r == 0; i++)
		r = add_thread(crew);
	pthread_mutex_unlock(&crew->lock);
	return r;
}

/*
 * Listens once: sleeps until the daemon or another thread wants something and
 * does it. The lock is held, and given up meanwhile.
 */
static void listen_once(struct apd_crew *crew)
{
	struct epoll_event events[3];
	bool called = false;
	int n;

	crew->listening++;
	pthread_mutex_unlock(&crew->lock);
	n = epoll_wait(crew->epoll_fd, events, 3, -1);
	for (int i = 0; i < n; i++) {
		if (events[i].data.fd == crew->wake_fd) {
			called = true;
			crew->flush(crew->data);
		} else if (events[i].data.fd == crew->timer_fd) {
			crew->flush(crew->data);
		} else {
			crew->read(crew->data);
		}
	}
	pthread_mutex_lock(&crew->lock);
	crew->listening--;
	if (called)
		crew->waking = false;
}

static void trim(struct apd_json *json)
{
	if (json->cap > KEEP_TOKENS)
		apd_json_finish(json);
}

/* Does the first job, if somebody listens meanwhile. Locked, but not during the job. */
static bool do_job(struct apd_crew_thread *thread)
{
	struct apd_crew *crew = thread->crew;
	struct apd_job *job;

	if (apd_list_empty(&crew->jobs) || !leave_to_others(crew))
		return false;
	job = apd_list_first(&crew->jobs, struct apd_job, link);
	apd_list_remove(&job->link);
	if (!apd_list_empty(&crew->jobs))
		call_helper(crew);
	pthread_mutex_unlock(&crew->lock);
	job->execute(job, thread);
	trim(&thread->json);
	trim(&thread->ns_json);
	pthread_mutex_lock(&crew->lock);
	return true;
}

static void *thread_main(void *arg)
{
	struct apd_crew_thread *thread = arg;
	struct apd_crew *crew = thread->crew;

	pthread_mutex_lock(&crew->lock);
	crew->starting--;
	/* It was made for lack of a listener, so that comes first; jobs get another thread. */
	if (!crew->closing && crew->listening == 0) {
		if (!apd_list_empty(&crew->jobs) && crew->starting == 0)
			add_thread(crew);
		listen_once(crew);
	}
	while (!crew->closing) {
		if (!do_job(thread))
			listen_once(crew);
	}
	pthread_mutex_unlock(&crew->lock);
	/* The next listener wakes up from this, and wakes the next. */
	eventfd_write(crew->wake_fd, 1);
	return NULL;
}

void apd_crew_close(struct apd_crew *crew)
{
	struct apd_crew_thread *thread, *tmp;

	pthread_mutex_lock(&crew->lock);
	crew->closing = true;
	pthread_mutex_unlock(&crew->lock);
	eventfd_write(crew->wake_fd, 1);
	/* Threads make threads, but not any more. */
	apd_list_each_safe (thread, tmp, &crew->threads, link) {
		pthread_join(thread->thread, NULL);
		apd_list_remove(&thread->link);
		apd_json_finish(&thread->json);
		apd_json_finish(&thread->ns_json);
		if (thread->stop_fd >= 0)
			close(thread->stop_fd);
		free(thread);
	}
}

void apd_crew_add(struct apd_crew *crew, struct apd_job *job, bool urgent, bool call_help)
{
	pthread_mutex_lock(&crew->lock);
	if (urgent)
		apd_list_prepend(&crew->jobs, &job->link);
	else
		apd_list_append(&crew->jobs, &job->link);
	if (call_help)
		call_helper(crew);
	pthread_mutex_unlock(&crew->lock);
}

void apd_crew_add_all(struct apd_crew *crew, struct apd_list *jobs)
{
	pthread_mutex_lock(&crew->lock);
	apd_list_splice(&crew->jobs, jobs);
	pthread_mutex_unlock(&crew->lock);
}

bool apd_crew_take_back(struct apd_crew *crew, struct apd_job *job)
{
	bool waits;

	pthread_mutex_lock(&crew->lock);
	waits = apd_list_linked(&job->link);
	if (waits)
		apd_list_remove(&job->link);
	pthread_mutex_unlock(&crew->lock);
	return waits;
}

bool apd_crew_idle(struct apd_crew *crew)
{
	bool idle;

	pthread_mutex_lock(&crew->lock);
	idle = apd_list_empty(&crew->jobs);
	pthread_mutex_unlock(&crew->lock);
	return idle;
}
