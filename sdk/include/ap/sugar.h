/*
 * ap/sugar.h - conveniences for agent authors
 *
 * Everything here is `static inline`, is compiled into the plugin, and is no
 * part of the ABI: it may change from one SDK to the next without touching a
 * plugin that was built.  It needs libc and poll(2) only, and is valid C11 and
 * C++17.  Names that end in an underscore are its own business.
 *
 *   sugar/str.h      AP_STR, AP_FMT, ap_cstr, comparing
 *   sugar/buf.h      ap_buf: text that grows, or that is bounded
 *   sugar/json.h     writing JSON strings, members, numbers
 *   sugar/read.h     reading JSON without building a tree
 *   sugar/run.h      check, fail, commit, emit, interrupt, log, sleep
 *   sugar/message.h  streaming a text message in four calls
 *   sugar/tool.h     telling about tool calls
 */
#ifndef AP_SUGAR_H
#define AP_SUGAR_H

#include <ap/agent.h>

#include <ap/sugar/str.h>

#include <ap/sugar/buf.h>

#include <ap/sugar/json.h>

#include <ap/sugar/read.h>

#include <ap/sugar/run.h>

#include <ap/sugar/message.h>

#include <ap/sugar/tool.h>

#endif /* AP_SUGAR_H */
