/*
 * The shape of the messages in a commit: what readers of the thread may rely on.
 * Shared by the worker, which tells the agent, and the daemon, which believes no worker.
 */
#ifndef APD_HOST_MESSAGE_SHAPE_H
#define APD_HOST_MESSAGE_SHAPE_H

#include "base/json_scan.h"

/*
 * Checks the value of a commit's "messages": an array of messages, each with a
 * role and content, or {"type":"remove","id":...}. NULL, or a static sentence
 * that says what is wrong. [any]
 */
const char *apd_message_shape_check(const struct apd_json *json, uint32_t messages);

#endif
