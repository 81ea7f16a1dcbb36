/*
 * How fast a worker is: INVOKE to DONE one at a time and 64 at once, commits one
 * at a time, and events of one run. Prints figures; not a test.
 */
#include "driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

static void add_invoke(struct apd_buf *out, uint32_t run, const char *input)
{
	const struct apd_invoke what = {.attempt = 1, .credit = UINT32_MAX};
	const struct apd_str fields[] = {{(const char *)&what, sizeof(what)},
		APD_STR("0193a7b2-0000-7000-8000-000000000000"),
		APD_STR("0193a7b2-0000-7000-8000-000000000001"), APD_STR("me"), apd_str(input),
		APD_STR_ABSENT, APD_STR_ABSENT, APD_STR("{}"), APD_STR("{}"), APD_STR("{}"),
		APD_STR_ABSENT, APD_STR_ABSENT, APD_STR_ABSENT};

	apd_frame_add(out, APD_FRAME_INVOKE, run, 0, fields, APD_COUNT(fields));
}

static void flush(struct driver *d, struct apd_buf *out)
{
	size_t at = 0;

	while (at < out->len) {
		ssize_t n = send(d->fd, out->data + at, out->len - at, MSG_NOSIGNAL);

		if (n <= 0)
			abort();
		at += (size_t)n;
	}
	apd_buf_clear(out);
}

/* Reads once and counts the messages of each kind; answers commits. */
static unsigned take(struct driver *d, struct apd_buf *out, unsigned *reads, unsigned *ret_emits)
{
	static const ap_status ok = AP_OK;
	const struct apd_str field = {(const char *)&ok, sizeof(ok)};
	unsigned done = 0;
	size_t room;
	char *to = apd_frame_reader_room(&d->reader, &room);
	ssize_t n = recv(d->fd, to, room, 0);

	if (n <= 0)
		abort();
	++*reads;
	apd_frame_reader_got(&d->reader, (size_t)n);
	while (apd_frame_reader_next(&d->reader, &d->frame, &d->payload) > 0) {
		if (d->frame.type == APD_FRAME_COMMIT)
			apd_frame_add(
				out, APD_FRAME_COMMITTED, d->frame.run, d->frame.arg, &field, 1);
		done += d->frame.type == APD_FRAME_DONE;
		*ret_emits += d->frame.type == APD_FRAME_EMIT;
	}
	flush(d, out);
	return done;
}

/* Runs so many, so many at a time. */
static void measure(
	const char *what, const char *plugin, const char *input, unsigned runs, unsigned window)
{
	unsigned sent = 0, done = 0, reads = 0, emits = 0;
	struct rusage before, after;
	struct apd_buf out = {0};
	struct driver d;
	int64_t begin, took, cpu;

	driver_serve(&d, plugin, plugin, false);
	getrusage(RUSAGE_CHILDREN, &before);
	begin = apd_clock_mono_ns();
	while (done < runs) {
		while (sent < runs && sent - done < window)
			add_invoke(&out, ++sent, input);
		flush(&d, &out);
		done += take(&d, &out, &reads, &emits);
	}
	took = apd_clock_mono_ns() - begin;
	driver_quit(&d);
	getrusage(RUSAGE_CHILDREN, &after);
	cpu = (after.ru_utime.tv_sec - before.ru_utime.tv_sec + after.ru_stime.tv_sec -
		      before.ru_stime.tv_sec) *
			1000000 +
		after.ru_utime.tv_usec - before.ru_utime.tv_usec + after.ru_stime.tv_usec -
		before.ru_stime.tv_usec;
	if (emits)
		printf("%-28s %9.0f events/s, %.2f us CPU each, %.1f events a read\n", what,
			(double)emits * 1e9 / (double)took, (double)cpu / emits,
			(double)emits / reads);
	else
		printf("%-28s %9.0f runs/s, %.2f us each, %.2f us CPU each, %.1f ends a read\n",
			what, (double)runs * 1e9 / (double)took, (double)took / 1e3 / runs,
			(double)cpu / runs, (double)runs / reads);
	apd_buf_finish(&out);
}

int main(void)
{
	measure("invoke, 1 at a time", "bare", "null", 50000, 1);
	measure("invoke, 8 at a time", "bare", "null", 200000, 8);
	measure("invoke, 64 at a time", "bare", "null", 400000, 64);
	measure("invoke + commit, 1", "good", "null", 30000, 1);
	measure("invoke + commit, 64", "good", "null", 100000, 64);
	measure("emit, 1 run", "flood", "1000000", 1, 1);
	measure("emit, 4 runs", "flood", "250000", 4, 4);
	return 0;
}
