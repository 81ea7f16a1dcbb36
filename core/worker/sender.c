/* The shared output buffer and the one who empties it. */
#include "worker/sender.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"

/* So much of what is not urgent waits for a listener; more is written at once. */
#define PATIENT_BYTES  (16u << 10)
#define PATIENT_FRAMES 16
/* A frame after such a silence leaves at once: it may be alone, and waking a thread costs more. */
#define SILENCE_NS (50 * APD_NS_PER_US)
/* What may leave later leaves after this at the latest. */
#define LATER_NS (1 * APD_NS_PER_MS)
/* A buffer that grew over this is given back. */
#define KEEP (1u << 20)

void apd_sender_init(struct apd_sender *sender, int socket, bool die)
{
	*sender = (struct apd_sender){.socket = socket, .wake_fd = -1, .timer_fd = -1, .die = die};
	pthread_mutex_init(&sender->lock, NULL);
}

void apd_sender_finish(struct apd_sender *sender)
{
	apd_buf_finish(&sender->pending);
	apd_buf_finish(&sender->writing);
	pthread_mutex_destroy(&sender->lock);
}

void apd_sender_watch(struct apd_sender *sender, int wake_fd, int timer_fd)
{
	pthread_mutex_lock(&sender->lock);
	sender->wake_fd = wake_fd;
	sender->timer_fd = timer_fd;
	pthread_mutex_unlock(&sender->lock);
}

void apd_sender_spare(struct apd_sender *sender)
{
	pthread_mutex_lock(&sender->lock);
	sender->die = false;
	pthread_mutex_unlock(&sender->lock);
}

/* Writes all of it: 0, or -errno when the other end is gone. */
static int send_all(int socket, const char *data, size_t len)
{
	while (len) {
		ssize_t n = send(socket, data, len, MSG_NOSIGNAL);

		if (n >= 0) {
			data += n;
			len -= (size_t)n;
		} else if (errno == EAGAIN) {
			struct pollfd writable = {.fd = socket, .events = POLLOUT};

			poll(&writable, 1, -1);
		} else if (errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}

static void reset(struct apd_buf *buf)
{
	if (buf->cap > KEEP)
		apd_buf_finish(buf);
	else
		apd_buf_clear(buf);
}

/* Writes until nothing waits. The lock is held, and given up while writing. */
static void flush_locked(struct apd_sender *sender)
{
	sender->flushing = true;
	while (sender->pending.len) {
		struct apd_buf swap = sender->pending;
		int r = 0;

		sender->pending = sender->writing;
		sender->writing = swap;
		sender->frames = 0;
		if (!sender->broken) {
			pthread_mutex_unlock(&sender->lock);
			r = send_all(sender->socket, swap.data, swap.len);
			pthread_mutex_lock(&sender->lock);
		}
		reset(&sender->writing);
		if (r < 0) {
			/* Nobody is left who could be told anything. */
			if (sender->die)
				_exit(1);
			sender->broken = true;
		}
	}
	sender->flushing = false;
	sender->flushed_ns = apd_clock_mono_ns();
}

/* True if what waits should be written by who appended it. */
static bool is_due(const struct apd_sender *sender, enum apd_urgency urgency)
{
	return urgency == APD_SEND_NOW || sender->wake_fd < 0 ||
		sender->pending.len >= PATIENT_BYTES || sender->frames >= PATIENT_FRAMES ||
		(urgency == APD_SEND_SOON && apd_clock_mono_ns() - sender->flushed_ns > SILENCE_NS);
}

/* Sees to it that what may leave later does, whatever its run is busy with. Locked. */
static void set_timer(struct apd_sender *sender)
{
	const struct itimerspec at = {.it_value.tv_nsec = LATER_NS};

	if (sender->timed)
		return;
	sender->timed = true;
	timerfd_settime(sender->timer_fd, 0, &at, NULL);
}

void apd_sender_add(struct apd_sender *sender, enum apd_urgency urgency, uint16_t type,
	uint32_t run, uint32_t arg, const struct apd_str *fields, size_t n_fields)
{
	int kick = -1;

	pthread_mutex_lock(&sender->lock);
	apd_frame_add(&sender->pending, type, run, arg, fields, n_fields);
	sender->frames++;
	if (!sender->flushing) {
		if (is_due(sender, urgency)) {
			flush_locked(sender);
		} else if (urgency == APD_SEND_LATER) {
			set_timer(sender);
		} else if (!sender->kicked) {
			sender->kicked = true;
			kick = sender->wake_fd;
		}
	}
	pthread_mutex_unlock(&sender->lock);
	if (kick >= 0)
		eventfd_write(kick, 1);
}

void apd_sender_flush(struct apd_sender *sender)
{
	pthread_mutex_lock(&sender->lock);
	sender->kicked = sender->timed = false;
	if (!sender->flushing && sender->pending.len)
		flush_locked(sender);
	pthread_mutex_unlock(&sender->lock);
}
