/*
 * Frames: what the daemon and apd-worker say to each other over a stream
 * socketpair. A message is a header and a payload; one over APD_FRAME_MAX is
 * split into frames of the same type, run and arg, all but the last with
 * APD_FRAME_MORE. Integers are in the machine's byte order. Uses libc only.
 */
#ifndef APD_HOST_FRAME_H
#define APD_HOST_FRAME_H

#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

#define APD_FRAME_MAGIC 0x5041u
#define APD_FRAME_MAX   (1u << 20) /* bytes of payload in one frame */
#define APD_FRAME_MORE  0x8000u /* in type: the message goes on in the next frame */

/* The largest message to a worker. An INVOKE of more is not sent: the run ends as too large. */
#define APD_TO_WORKER_MAX (256u << 20)

/* The descriptors a worker starts with. */
#define APD_WORKER_SOCKET_FD 3
#define APD_WORKER_PLUGIN_FD 4

struct apd_frame {
	uint32_t length; /* of the payload in this frame */
	uint16_t type; /* enum apd_frame_type, perhaps with APD_FRAME_MORE */
	uint16_t magic;
	uint32_t run; /* the run's number within the worker; 0: none */
	uint32_t arg;
};

/*
 * A payload is a sequence of fields: u32 length, the bytes, a NUL. An absent
 * field has the length APD_FIELD_ABSENT and no bytes and no NUL. What stands in
 * braces is the payload, arg and run are in the header.
 */
#define APD_FIELD_ABSENT UINT32_MAX

enum apd_frame_type {
	/* daemon to worker */
	APD_FRAME_SETUP = 1, /* first of all: {struct apd_setup, plugin's file name, groups as
				uint32_t, paths to read, paths to write, a NUL behind each path} */
	APD_FRAME_CREATE, /* makes an instance: arg its number {agent id in the plugin, agent_id, settings} */
	APD_FRAME_INVOKE, /* run, arg instance {struct apd_invoke, run_id, thread_id, agent_id, input,
				 messages, transcript, config, metadata, values, resume, jump, continuation} */
	APD_FRAME_STOP, /* run, arg enum apd_stop_reason */
	APD_FRAME_COMMITTED, /* run, arg the commit's number {int32_t status as a field of 4 bytes} */
	APD_FRAME_CREDIT, /* run, arg bytes; run 0: credit for log lines */
	APD_FRAME_LISTENING, /* run, arg channel bits */
	APD_FRAME_PING, /* arg comes back in the PONG */
	APD_FRAME_QUIT, /* destroy the instances, deinit, exit 0 */

	/* worker to daemon */
	APD_FRAME_HELLO = 32, /* the plugin is mapped and valid {description as JSON} */
	APD_FRAME_FAILED, /* it is not, or the setup failed {step, message}; the worker exits */
	APD_FRAME_CREATED, /* arg instance {int32_t status as a field, code, message} */
	APD_FRAME_EMIT, /* run, arg channel {ns, node, data} */
	APD_FRAME_COMMIT, /* run, arg the commit's number, from 1; 0: of a relaxed run, wants no
				 COMMITTED {name, ns, patch, removed} */
	APD_FRAME_ASK, /* run, arg n {continuation, n times: id, ns, payload} */
	APD_FRAME_DONE, /* run, arg (uint32_t)ap_status {code, message} */
	APD_FRAME_LOG, /* run or 0, arg ap_level {message} */
	APD_FRAME_PONG, /* arg of the PING */
	APD_FRAME_MISUSE, /* run or 0 {what the plugin did, for the log} */
};

/* The first field of SETUP. */
struct apd_setup {
	uint32_t describe; /* 1: exit after HELLO */
	uint32_t emit_max; /* bytes */
	uint32_t commit_max;
	uint32_t log_max;
	int32_t parent; /* the daemon's pid, to notice that it died before PDEATHSIG was set */
	uint32_t debug; /* 1: look for misuse that costs time to find */
	uint64_t memory_max; /* RLIMIT_AS in bytes, 0: none */
	uint32_t files_max; /* RLIMIT_NOFILE, 0: files_soft */
	uint32_t processes_max; /* RLIMIT_NPROC, 0: leave */
	uint32_t files_soft; /* the soft RLIMIT_NOFILE that the daemon started with, 0: leave */
	uint32_t as_user; /* 1: become uid and gid, with the groups of the third field */
	uint32_t uid;
	uint32_t gid;
	uint32_t landlock; /* 1: no paths but those of the fourth and fifth field */
};

/* The first field of INVOKE. */
struct apd_invoke {
	int64_t deadline_ns; /* CLOCK_MONOTONIC, the same for all processes of a machine */
	uint32_t attempt;
	uint32_t flags;
	uint32_t listening;
	uint32_t credit;
	uint32_t relaxed; /* 1: commits that nobody waits for have the number 0 and no COMMITTED */
	uint32_t reserved;
};

/*
 * Of a relaxed run's commits only these wait for COMMITTED, so that an agent
 * cannot run ahead of the daemon for ever: every 16th, and large ones.
 */
static inline int apd_commit_waits(uint32_t relaxed, uint32_t nth, size_t bytes)
{
	return !relaxed || nth % 16 == 0 || bytes > (64u << 10);
}

/* Adds a whole message made of fields; split where needed. Absent fields stay absent. */
void apd_frame_add(struct apd_buf *out, uint16_t type, uint32_t run, uint32_t arg,
	const struct apd_str *fields, size_t n_fields);

/* Reads fields off a payload. */
struct apd_fields {
	const char *at;
	const char *end;
};

/* Takes the next field: 0, or -EBADMSG if it is not whole. */
int apd_fields_next(struct apd_fields *fields, struct apd_str *ret_field);

/* Takes the next field, which must be a struct of exactly this size: 0 or -EBADMSG. */
int apd_fields_struct(struct apd_fields *fields, void *ret_struct, size_t size);

/* Puts messages together from what comes off a socket. All zero but max is an empty one. */
struct apd_frame_reader {
	size_t max; /* bytes of a whole message */
	struct apd_buf in; /* what was read and not yet taken */
	size_t taken; /* how much of it was */
	struct apd_buf whole; /* a message that is being put together */
};

void apd_frame_reader_finish(struct apd_frame_reader *reader);

/* Room for a read() of up to *ret_room bytes; then call _got with how many came. */
char *apd_frame_reader_room(struct apd_frame_reader *reader, size_t *ret_room);
void apd_frame_reader_got(struct apd_frame_reader *reader, size_t n);

/*
 * The next whole message: 1 with its header (without MORE) and its payload,
 * which stays until the next call; 0 if more must be read; -EBADMSG for a bad
 * header, -EMSGSIZE for a message over max.
 */
int apd_frame_reader_next(
	struct apd_frame_reader *reader, struct apd_frame *ret_frame, struct apd_str *ret_payload);

#endif
