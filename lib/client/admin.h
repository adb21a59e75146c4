/* SPDX-License-Identifier: Apache-2.0 */
/* admin.h: a Unix socket of mode 0600 on which a process explains itself to its own user.
 *
 *   GET /explain?last=N&format=text|json   the last N records of calls that were refused, failed or slow, newest first
 *   GET /metrics                           Prometheus text
 *
 * Nothing that can be asked changes anything. One socket for a process: that of the first client that starts. */
#ifndef MEMO__CLIENT_ADMIN_H
#define MEMO__CLIENT_ADMIN_H
#include <memo/client.h>

struct memo__admin;
struct memo__engine;

/* With the turn. MEMO_OK with *out NULL when it is off; a socket that cannot be had is told in the log and is no failure. */
memo_status memo__admin_open(struct memo__engine *g, memo_client *c, struct memo__admin **out, memo_error *e);
void memo__admin_client_gone(struct memo__admin *a, memo_client *c);
void memo__admin_free(struct memo__admin *a);
/* In a child: a socket of its own, under its own process number. */
void memo__admin_after_fork(struct memo__admin *a);
#endif
