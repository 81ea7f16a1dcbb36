/*
 * Frames as fuzz targets write them, so that a changed byte is not a broken
 * length: type, run and arg take a byte each, then come the fields with 0xfe
 * between them, and 0xff ends the message. A field of one 0xfd is absent; one
 * that begins with 0xfc is as many zeros as its next byte says, with the bytes
 * behind that over the first of them. None of these bytes is ever in UTF-8.
 */
#ifndef APD_FUZZ_WIRE_H
#define APD_FUZZ_WIRE_H

#include <stdbool.h>

#include "host/frame.h"

#define WIRE_FIELDS 24

/* What is left of the input. */
struct wire {
	const uint8_t *at;
	const uint8_t *end;
};

/* A message; its fields lie in the input or in `room`. */
struct wire_message {
	uint8_t type, run, arg;
	struct apd_str fields[WIRE_FIELDS];
	size_t n_fields;
	char room[WIRE_FIELDS][256];
};

static inline uint8_t wire_byte(struct wire *wire)
{
	return wire->at < wire->end ? *wire->at++ : 0;
}

/* Takes the next field; false if it was the message's last. */
static inline bool wire_field(struct wire *wire, struct wire_message *message)
{
	struct apd_str *field = &message->fields[message->n_fields];
	char *room = message->room[message->n_fields++];
	const uint8_t *start = wire->at;
	bool more;

	while (wire->at < wire->end && *wire->at < 0xfe)
		wire->at++;
	*field = (struct apd_str){(const char *)start, (size_t)(wire->at - start)};
	if (field->len == 1 && *start == 0xfd)
		*field = APD_STR_ABSENT;
	if (field->len >= 2 && *start == 0xfc) {
		size_t n = field->len - 2 < start[1] ? field->len - 2 : start[1];

		memset(room, 0, 256);
		memcpy(room, start + 2, n);
		*field = (struct apd_str){room, start[1]};
	}
	more = wire->at < wire->end && *wire->at == 0xfe;
	if (wire->at < wire->end)
		wire->at++;
	return more;
}

/* Takes the next message; false if there is none. */
static inline bool wire_next(struct wire *wire, struct wire_message *ret_message)
{
	if (wire->at == wire->end)
		return false;
	ret_message->type = wire_byte(wire);
	ret_message->run = wire_byte(wire);
	ret_message->arg = wire_byte(wire);
	ret_message->n_fields = 0;
	while (wire_field(wire, ret_message) && ret_message->n_fields < WIRE_FIELDS)
		;
	return true;
}

#endif
