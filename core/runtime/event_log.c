/*
 * The event log. A segment is one block of memory that never moves: records
 * stand in it one behind the other, each an event followed by its texts. The
 * writer fills a record in and then publishes it by moving the segment's tail
 * (release), then the log's last number; a reader looks at the tail (acquire)
 * and never at what lies behind it. Only the list of segments has a lock.
 */
#include "runtime/event_log.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/alloc.h"

#define SEGMENT_FIRST 1024u
#define SEGMENT_MAX   65536u
#define ALIGN         8u

struct record {
	size_t size; /* with its texts, a multiple of ALIGN */
	struct apd_event event;
};

struct apd_event_segment {
	_Atomic unsigned refs; /* the list's, and one for each reader that stands on it */
	struct apd_list link; /* under the log's lock */
	uint64_t first_seq;
	uint64_t last_seq; /* the writer's, and under the lock once another segment follows */
	size_t cap;
	_Atomic size_t tail;
	_Alignas(ALIGN) char data[];
};

struct apd_event_log {
	_Atomic unsigned refs;
	_Atomic uint64_t last_seq;
	_Atomic bool closed;
	pthread_mutex_t lock; /* guards the list */
	struct apd_list segments; /* the oldest first */
	size_t ring_bytes;
	size_t bytes;
	size_t next_cap;
	void *owner;
};

struct apd_event_log *apd_event_log_create(uint64_t first_seq, size_t ring_bytes)
{
	struct apd_event_log *log = apd_calloc(1, sizeof(*log));

	atomic_init(&log->refs, 1);
	atomic_init(&log->last_seq, first_seq - 1);
	atomic_init(&log->closed, false);
	pthread_mutex_init(&log->lock, NULL);
	apd_list_init(&log->segments);
	log->ring_bytes = ring_bytes;
	log->next_cap = SEGMENT_FIRST;
	return log;
}

struct apd_event_log *apd_event_log_ref(struct apd_event_log *log)
{
	atomic_fetch_add_explicit(&log->refs, 1, memory_order_relaxed);
	return log;
}

static void segment_unref(struct apd_event_segment *segment)
{
	size_t tail;

	if (atomic_fetch_sub_explicit(&segment->refs, 1, memory_order_acq_rel) != 1)
		return;
	tail = atomic_load_explicit(&segment->tail, memory_order_relaxed);
	for (size_t at = 0; at < tail;) {
		struct record *record = (struct record *)(void *)(segment->data + at);

		apd_state_unref(record->event.state);
		at += record->size;
	}
	free(segment);
}

void apd_event_log_unref(struct apd_event_log *log)
{
	struct apd_event_segment *segment, *tmp;

	if (!log || atomic_fetch_sub_explicit(&log->refs, 1, memory_order_acq_rel) != 1)
		return;
	apd_list_each_safe (segment, tmp, &log->segments, link)
		segment_unref(segment);
	pthread_mutex_destroy(&log->lock);
	free(log);
}

void apd_event_log_set_owner(struct apd_event_log *log, void *owner)
{
	log->owner = owner;
}

void *apd_event_log_owner(const struct apd_event_log *log)
{
	return log->owner;
}

size_t apd_event_log_bytes(const struct apd_event_log *log)
{
	return log->bytes;
}

uint64_t apd_event_log_last(const struct apd_event_log *log)
{
	return atomic_load_explicit(&log->last_seq, memory_order_acquire);
}

/* The newest segment, or NULL. [runtime] */
static struct apd_event_segment *newest(const struct apd_event_log *log)
{
	if (apd_list_empty(&log->segments))
		return NULL;
	return apd_container_of(log->segments.prev, struct apd_event_segment, link);
}

/* Takes the oldest segment out of the list. */
static void drop_oldest(struct apd_event_log *log)
{
	struct apd_event_segment *segment =
		apd_list_first(&log->segments, struct apd_event_segment, link);

	pthread_mutex_lock(&log->lock);
	apd_list_remove(&segment->link);
	pthread_mutex_unlock(&log->lock);
	log->bytes -= sizeof(*segment) + segment->cap;
	segment_unref(segment);
}

/* A new segment at the end of the list, with room for one record at least. */
static struct apd_event_segment *add_segment(
	struct apd_event_log *log, size_t room, uint64_t first_seq)
{
	size_t cap = room > log->next_cap ? room : log->next_cap;
	struct apd_event_segment *segment = apd_malloc(sizeof(*segment) + cap);

	atomic_init(&segment->refs, 1);
	atomic_init(&segment->tail, 0);
	segment->cap = cap;
	segment->first_seq = first_seq;
	segment->last_seq = first_seq - 1;
	/* A ring of a few segments keeps its bound. */
	if (log->next_cap < SEGMENT_MAX && log->next_cap < log->ring_bytes / 8)
		log->next_cap *= 2;
	log->bytes += sizeof(*segment) + cap;
	pthread_mutex_lock(&log->lock);
	apd_list_append(&log->segments, &segment->link);
	pthread_mutex_unlock(&log->lock);
	return segment;
}

/* Copies a text into the record; moves *at behind it and its NUL. */
static struct apd_str copy_text(char **at, struct apd_str s)
{
	struct apd_str copy = {*at, s.len};

	if (!s.ptr)
		return APD_STR_ABSENT;
	if (s.len)
		memcpy(*at, s.ptr, s.len);
	(*at)[s.len] = '\0';
	*at += s.len + 1;
	return copy;
}

uint64_t apd_event_log_append(struct apd_event_log *log, const struct apd_event *event)
{
	uint64_t seq = atomic_load_explicit(&log->last_seq, memory_order_relaxed) + 1;
	struct apd_event_segment *segment = newest(log);
	size_t size = sizeof(struct record) + event->ns.len + event->node.len + event->data.len + 3;
	size_t tail = segment ? atomic_load_explicit(&segment->tail, memory_order_relaxed) : 0;
	struct record *record;
	char *at;

	size = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
	if (!segment || segment->cap - tail < size) {
		segment = add_segment(log, size, seq);
		tail = 0;
	}
	record = (struct record *)(void *)(segment->data + tail);
	record->size = size;
	record->event = *event;
	record->event.seq = seq;
	at = (char *)(record + 1);
	record->event.ns = copy_text(&at, event->ns);
	record->event.node = copy_text(&at, event->node);
	record->event.data = copy_text(&at, event->data);
	if (event->state)
		apd_state_ref(event->state);
	segment->last_seq = seq;
	atomic_store_explicit(&segment->tail, tail + size, memory_order_release);
	atomic_store_explicit(&log->last_seq, seq, memory_order_release);
	while (log->bytes > log->ring_bytes && log->segments.next != log->segments.prev)
		drop_oldest(log);
	return seq;
}

void apd_event_log_evict(struct apd_event_log *log, uint64_t through_seq)
{
	while (!apd_list_empty(&log->segments) &&
		apd_list_first(&log->segments, struct apd_event_segment, link)->last_seq <=
			through_seq)
		drop_oldest(log);
}

void apd_event_log_close(struct apd_event_log *log)
{
	atomic_store_explicit(&log->closed, true, memory_order_release);
}

void apd_event_reader_init(
	struct apd_event_reader *reader, struct apd_event_log *log, uint64_t after_seq)
{
	uint64_t last = apd_event_log_last(log);

	*reader = (struct apd_event_reader){.log = apd_event_log_ref(log)};
	reader->next_seq = (after_seq > last ? last : after_seq) + 1;
}

void apd_event_reader_finish(struct apd_event_reader *reader)
{
	if (reader->segment)
		segment_unref(reader->segment);
	apd_event_log_unref(reader->log);
	*reader = (struct apd_event_reader){0};
}

/*
 * The segment that holds an event, with a reference, or NULL with the oldest number in
 * *ret_oldest.
 */
static struct apd_event_segment *find_segment(
	struct apd_event_log *log, uint64_t seq, uint64_t *ret_oldest)
{
	struct apd_event_segment *found = NULL;
	struct apd_list *at;

	pthread_mutex_lock(&log->lock);
	for (at = log->segments.prev; at != &log->segments; at = at->prev) {
		struct apd_event_segment *segment =
			apd_container_of(at, struct apd_event_segment, link);

		*ret_oldest = segment->first_seq;
		if (segment->first_seq <= seq) {
			found = segment;
			atomic_fetch_add_explicit(&found->refs, 1, memory_order_relaxed);
			break;
		}
	}
	pthread_mutex_unlock(&log->lock);
	return found;
}

/* Moves the cursor to the segment that holds its next event; false if that was evicted. */
static bool cross(struct apd_event_reader *reader, uint64_t last)
{
	uint64_t oldest = last + 1;
	struct apd_event_segment *segment = find_segment(reader->log, reader->next_seq, &oldest);

	if (segment && segment == reader->segment) {
		segment_unref(segment);
		return true;
	}
	if (reader->segment)
		segment_unref(reader->segment);
	reader->segment = segment;
	reader->offset = 0;
	if (!segment) {
		reader->next_seq = oldest;
		return false;
	}
	for (uint64_t seq = segment->first_seq; seq < reader->next_seq; seq++)
		reader->offset += ((struct record *)(void *)(segment->data + reader->offset))->size;
	return true;
}

enum apd_read apd_event_reader_next(
	struct apd_event_reader *reader, const struct apd_event **ret_event)
{
	/* In this order: what was appended before the closing is seen. */
	bool closed = atomic_load_explicit(&reader->log->closed, memory_order_acquire);
	uint64_t last = apd_event_log_last(reader->log);
	const struct record *record;

	if (reader->next_seq > last)
		return closed ? APD_READ_END : APD_READ_NONE;
	if (!reader->segment ||
		atomic_load_explicit(&reader->segment->tail, memory_order_acquire) <=
			reader->offset) {
		if (!cross(reader, last))
			return APD_READ_MISSED;
	}
	record = (const struct record *)(const void *)(reader->segment->data + reader->offset);
	reader->offset += record->size;
	reader->next_seq++;
	*ret_event = &record->event;
	return APD_READ_EVENT;
}
