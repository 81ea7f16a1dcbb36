/* People in the loop: what agents ask, what a thread remembers of it, and what answers them. */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>

void questions_ask(struct world *w, struct slot *slot)
{
	struct srun *run = slot->run;
	struct apd_ask asks[3];
	char ids[3][24], payload[48], continuation[24];
	struct questions q = {.n = 1 + sim_below(w, 3) % 3, .continued = sim_chance(w, 60)};

	if (!run->thr || run->questions.n)
		return;
	q.serial = ++w->numbers;
	snprintf(payload, sizeof(payload), "{\"q\":%u}", q.serial);
	snprintf(continuation, sizeof(continuation), "C%u", q.serial);
	for (unsigned i = 0; i < q.n; i++) {
		snprintf(ids[i], sizeof(ids[i]), "q%u-%u", q.serial, i);
		asks[i] = (struct apd_ask){apd_str(ids[i]),
			i ? APD_STR("[\"sub\"]") : APD_STR_ABSENT, apd_str(payload)};
	}
	run->asked = true;
	run->questions = q;
	sim_story(w, "host: run %lu asks q%u, %u of them", run->serial, q.serial, q.n);
	apd_runtime_sink.asked(w->rt, &slot->base, asks, q.n,
		q.continued ? apd_str(continuation) : APD_STR_ABSENT);
}

/* How often one text stands in another. */
static unsigned count_of(struct apd_str text, const char *what)
{
	size_t len = strlen(what);
	const char *at = text.ptr, *end = text.ptr + text.len;
	unsigned n = 0;

	while (at && (at = memmem(at, (size_t)(end - at), what, len))) {
		at += len;
		n++;
	}
	return n;
}

struct questions questions_of(struct world *w, const struct apd_thread_row *row)
{
	struct questions q = {0};
	const char *at;
	char id[32];

	if (!row->interrupts.ptr)
		return q;
	at = memmem(row->interrupts.ptr, row->interrupts.len, "\"id\":\"q", 7);
	SIM_CHECK(w, at, "interrupts without questions: %.*s", APD_STR_FMT(row->interrupts));
	q.serial = (uint32_t)strtoul(at + 7, NULL, 10);
	q.n = count_of(row->interrupts, "\"id\":");
	for (unsigned i = 0; i < q.n; i++) {
		snprintf(id, sizeof(id), "\"id\":\"q%u-%u\"", q.serial, i);
		SIM_CHECK(w, count_of(row->interrupts, id) == 1, "question %s is not in %.*s", id,
			APD_STR_FMT(row->interrupts));
	}
	snprintf(id, sizeof(id), "\"value\":{\"q\":%u}", q.serial);
	SIM_CHECK(w, count_of(row->interrupts, id) == q.n, "questions without what they ask: %.*s",
		APD_STR_FMT(row->interrupts));
	SIM_CHECK(w, count_of(row->interrupts, "\"namespace\":[\"sub\"]") == q.n - 1,
		"namespaces are lost: %.*s", APD_STR_FMT(row->interrupts));
	q.continued = row->continuation.ptr != NULL;
	snprintf(id, sizeof(id), "C%u", q.serial);
	SIM_CHECK(w, !q.continued || apd_str_is(row->continuation, id),
		"the continuation of q%u is %.*s", q.serial, APD_STR_FMT(row->continuation));
	return q;
}

void questions_check(struct world *w, const struct thr *thr)
{
	struct questions q = questions_of(w, thr->row), due = thr->questions;

	SIM_CHECK(w, q.serial == due.serial && q.n == due.n && q.continued == due.continued,
		"thread %u holds the %u questions of q%u and should hold %u of q%u", thr->number,
		q.n, q.serial, due.n, due.serial);
	SIM_CHECK(w, q.n || !thr->row->continuation.ptr,
		"thread %u has a continuation without questions", thr->number);
}

void answers_choose(struct world *w, struct srun *run)
{
	const struct questions *q = &run->thr->questions;
	struct answers *a = &run->answers;
	unsigned dice = sim_below(w, 100);

	if (dice >= (q->n ? 70 : 6))
		return;
	a->number = ++w->numbers;
	a->kind = ANSWER_ONE;
	if (q->n == 0 || (q->n == 1 && dice < 40) || dice < 4)
		return;
	a->kind = ANSWER_MAP;
	a->serial = q->serial;
	while (a->mask == 0)
		a->mask = sim_below(w, 1u << q->n);
	w->resumes++;
}

void answers_add(struct apd_buf *out, const struct answers *a)
{
	if (a->kind == ANSWER_ONE) {
		apd_buf_addf(out, a->number % 2 ? "\"R%u\"" : "{\"said\":\"R%u\"}", a->number);
		return;
	}
	apd_buf_lit(out, "{");
	for (unsigned i = 0; a->mask >> i; i++)
		if (a->mask >> i & 1)
			apd_buf_addf(out, "%s\"q%u-%u\":\"R%u-%u\"",
				out->data[out->len - 1] == '{' ? "" : ",", a->serial, i, a->number,
				i);
	apd_buf_lit(out, "}");
}

static bool is_map(const struct answers *a, const struct questions *q)
{
	return a->kind == ANSWER_MAP && q->n && a->serial == q->serial && a->mask < 1u << q->n;
}

bool answers_fit(const struct answers *a, const struct questions *q)
{
	/* A map that names other questions is one answer as any other. */
	return q->n == 1 || is_map(a, q);
}

/* One answer as the agent is to get it. */
static void answer_text(
	struct world *w, const struct answers *a, const struct questions *q, unsigned i)
{
	struct apd_buf *out = &w->buf2;

	apd_buf_clear(out);
	apd_buf_addf(out, "\"id\":\"q%u-%u\",\"response\":", q->serial, i);
	if (is_map(a, q))
		apd_buf_addf(out, "\"R%u-%u\"", a->number, i);
	else
		answers_add(out, a);
	apd_buf_lit(out, "}");
}

void answers_check(struct world *w, const struct srun *run, const struct apd_invocation *what)
{
	const struct answers *a = &run->answers;
	const struct questions *q = &run->thr->questions;
	unsigned mask = is_map(a, q) ? a->mask : 1;
	unsigned n = 0;
	char text[24];

	SIM_CHECK(w, run->jumps == apd_str_is(what->jump, "\"there\""), "run %lu jumps wrongly",
		run->serial);
	if (a->kind == ANSWER_NONE) {
		SIM_CHECK(w, !what->resume.ptr && !what->continuation.ptr,
			"run %lu answers nothing and gets %.*s", run->serial,
			APD_STR_FMT(what->resume));
		return;
	}
	SIM_CHECK(w, answers_fit(a, q), "run %lu was invoked with answers to no question",
		run->serial);
	SIM_CHECK(w, what->resume.ptr, "run %lu does not get its answers", run->serial);
	for (unsigned i = 0; mask >> i; i++) {
		if (!(mask >> i & 1))
			continue;
		n++;
		answer_text(w, a, q, i);
		SIM_CHECK(w, count_of(what->resume, w->buf2.data) == 1, "run %lu: no %s in %.*s",
			run->serial, w->buf2.data, APD_STR_FMT(what->resume));
	}
	SIM_CHECK(w, count_of(what->resume, "\"response\":") == n, "run %lu gets too much: %.*s",
		run->serial, APD_STR_FMT(what->resume));
	snprintf(text, sizeof(text), "C%u", q->serial);
	SIM_CHECK(w, q->continued ? apd_str_is(what->continuation, text) : !what->continuation.ptr,
		"run %lu goes on from %.*s", run->serial, APD_STR_FMT(what->continuation));
}
