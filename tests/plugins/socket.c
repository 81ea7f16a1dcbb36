/*
 * Speaks to the daemon in the worker's place, over descriptor 3. Its input says
 * what: a frame that is wrong in one way, or none. Then it waits.
 */
#include "plugin.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

struct frame {
	uint32_t length;
	uint16_t type, magic;
	uint32_t run, arg;
};

enum { HELLO = 32, CREATED = 34, EMIT = 35, COMMIT = 36, DONE = 38, MAGIC = 0x5041 };

/* Writes all of it, or ends the process. */
static void put(const void *data, size_t n)
{
	for (const char *at = data; n;) {
		ssize_t done = write(3, at, n);

		if (done < 0)
			_exit(1);
		at += done;
		n -= (size_t)done;
	}
}

static void put_frame(uint16_t type, uint32_t run, uint32_t arg, const void *data, uint32_t n)
{
	const struct frame frame = {n, type, MAGIC, run, arg};

	put(&frame, sizeof(frame));
	put(data, n);
}

/* An EMIT or a COMMIT with this data or patch, all else absent. */
static void put_json(uint16_t type, uint32_t run, uint32_t arg, const char *json)
{
	char payload[256];
	const uint32_t absent = UINT32_MAX, len = (uint32_t)strlen(json);

	memcpy(payload, &absent, 4);
	memcpy(payload + 4, &absent, 4);
	memcpy(payload + 8, &len, 4);
	memcpy(payload + 12, json, len + 1);
	memcpy(payload + 12 + len + 1, &absent, 4);
	put_frame(type, run, arg, payload, 12 + len + 1 + (type == COMMIT ? 4 : 0));
}

static int is(const ap_run *run, const char *word)
{
	return strncmp(run->input.ptr + 1, word, strlen(word)) == 0;
}

/* Messages whose frames all promise another one. */
static void never_end(void)
{
	static char megabyte[1 << 20];

	for (;;)
		put_frame(EMIT | 0x8000, 1, AP_CHANNEL_CUSTOM, megabyte, sizeof(megabyte));
}

static ap_status invoke(void *self, ap_run *run)
{
	static const char garbage[] = "This is no frame, but it is longer than a header.";

	(void)self;
	if (is(run, "nothing"))
		return commit(run, "{\"done\":true}");
	if (is(run, "close"))
		close(3);
	else if (is(run, "replace"))
		dup2(open("/dev/null", O_RDWR), 3);
	else if (is(run, "all"))
		closefrom(3);
	else if (is(run, "garbage"))
		put(garbage, sizeof(garbage));
	else if (is(run, "half"))
		put(garbage, 7);
	else if (is(run, "type"))
		put_frame(99, 1, 0, "", 0);
	else if (is(run, "hello"))
		put_frame(HELLO, 0, 0, "\2\0\0\0{}", 7);
	else if (is(run, "created"))
		put_frame(CREATED, 0, 0, "", 0);
	else if (is(run, "event"))
		put_json(EMIT, 1, AP_CHANNEL_CUSTOM, "{\"name\":");
	else if (is(run, "other"))
		put_json(EMIT, 4711, AP_CHANNEL_CUSTOM, "{}");
	else if (is(run, "commit"))
		put_frame(COMMIT, 1, 1, "\1\0\0\0", 4);
	else if (is(run, "patch"))
		put_json(COMMIT, 1, 1, "[]");
	else if (is(run, "message"))
		put_json(COMMIT, 1, 1, "{\"messages\":[{\"role\":\"ai\"}]}");
	else if (is(run, "endless"))
		never_end();
	if (is(run, "half") || is(run, "other"))
		return commit(run, "{\"done\":true}");
	for (;;)
		pause();
}

ONE_AGENT("socket", invoke);
