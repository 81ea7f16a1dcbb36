/* A server in the test's own process, with routes that do what the tests need. */
#ifndef TESTS_HTTP_LAB_H
#define TESTS_HTTP_LAB_H

#include <pthread.h>

#include "base/list.h"
#include "client.h"
#include "http/server.h"

/*
 *   GET  /hello                  {"hello":"world"}
 *   POST /echo                   the body
 *   GET  /big                    `big` bytes
 *   GET  /pair/{a}/and/{b}       "a|b"
 *   GET  /pair/fixed/and/{b}     "fixed|b"
 *   GET  /query                  the values of "q", each followed by ";", then that of "one word"
 *   GET  /forgets                never answers
 *   GET  /headers                two added headers, one of them forged
 *   GET, POST /wait              waits for lab_answer()
 *   GET  /stream                 a stream, fed by lab_feed()
 *   GET  /late-stream            the same, begun by lab_answer()
 *   GET  /torrent                a stream of `big` bytes, then its end
 */
struct lab {
	struct apd_http_config config;
	struct apd_http_server *server;
	uint16_t port;
	size_t big;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct apd_list waiting; /* struct lab_wait */
	struct apd_list streams; /* struct lab_stream */
	unsigned n_handled;
	unsigned n_waiting;
	unsigned n_gone;
	unsigned n_streams;
	unsigned n_left; /* streams closed because their client left */
	unsigned n_ended; /* streams closed otherwise */
};

/* Prepares a lab with a usual configuration, to be changed before lab_start(). */
void lab_init(struct lab *lab);
void lab_start(struct lab *lab);
/* Stops the server if it runs and frees all. */
void lab_finish(struct lab *lab);

/* What one of the lab's counters is now. */
unsigned lab_count(struct lab *lab, const unsigned *counter);

/* Waits until one of the lab's counters is n at least. */
void lab_wait_for(struct lab *lab, const unsigned *counter, unsigned n);

/* Answers the oldest waiting request with the text, from the thread it lives on. */
void lab_answer(struct lab *lab, const char *text);

/* Takes it without answering it: lab_answer_taken() does that. */
struct lab_wait *lab_take(struct lab *lab);
void lab_answer_taken(struct lab_wait *wait, const char *text);

/* Gives all open streams a text, and their end. */
void lab_feed(struct lab *lab, const char *text, bool end);

#endif
