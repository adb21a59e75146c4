/* SPDX-License-Identifier: Apache-2.0 */
/* pipe_guard.h: a write to a peer that has gone must not end the host: SIGPIPE is masked for this thread meanwhile, and taken off again if it came.
 *
 * For TLS libraries, which write with write(2) (libcurl 7.88 gives OpenSSL its own send with MSG_NOSIGNAL; older, newer and other builds may not), and for stderr. A host keeps its own
 * SIGPIPE: one that was pending before stays. */
#ifndef MEMO__BASE_PIPE_GUARD_H
#define MEMO__BASE_PIPE_GUARD_H
#include <signal.h>
#include <stdbool.h>

struct memo__pipe_guard { sigset_t before; bool on, pending; };
void memo__pipe_guard_enter(struct memo__pipe_guard *g, bool on); /* on: false does nothing */
void memo__pipe_guard_leave(struct memo__pipe_guard *g);           /* errno stays */
#endif
