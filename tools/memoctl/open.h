/* SPDX-License-Identifier: Apache-2.0 */
/* open.h: a client as the command line asks for it, and a service of it with a view. */
#ifndef MEMOCTL_OPEN_H
#define MEMOCTL_OPEN_H
#include <memo/memo.h>
#include "args.h"

/* Built and set, not started: --registry and --rules go over the environment. Says what is wrong; answers an exit code; *out is due for
 * memo_client_free when it is LEAVE_OK. */
int open_client(const struct args *a, memo_client **out);
/* memo_client_start, with a thread of the library's own: no loop here would drive it, whatever MEMO_ENGINE_THREAD says. */
memo_status open_start(memo_client *c, memo_error *e);
int open_started(const struct args *a, memo_client **out);
/* The service, after having waited --timeout for a usable view. Both are due to be given back when it is LEAVE_OK. */
int open_service(const struct args *a, const char *name, memo_client **client, memo_service **service);
/* The same; a signal that `signals` tells meanwhile ends it with LEAVE_INTERRUPTED. */
int open_service_until(const struct args *a, const char *name, int signals, memo_client **client, memo_service **service);
/* Waits until the registry itself has spoken, where the view came from the cache; at most as long as --timeout, and 2 s. A view from the cache is
 * still a view. */
void open_fresh(const struct args *a, memo_client *client, memo_service *service);
/* No log lines of this client. */
void open_silently(memo_client *c);
/* A descriptor that is readable when SIGINT or SIGTERM came, which are blocked from then on: before any thread is started. -1: impossible. */
int open_signals(void);
/* Has one of them come? Takes what came; SIGCHLD does not count. Nothing ever came to -1. */
bool open_signalled(int signals);
#define OPEN_LOOK_MS 100 /* a wait of the library is cut into pieces of this length, to look for signals between them */
#endif
