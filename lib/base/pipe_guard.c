/* SPDX-License-Identifier: Apache-2.0 */
/* pipe_guard.c: see pipe_guard.h. */
#define _GNU_SOURCE
#include "base/pipe_guard.h"
#include <errno.h>
#include <pthread.h>
#include <time.h>

void memo__pipe_guard_enter(struct memo__pipe_guard *g, bool on)
{
    sigset_t pipes, pending;
    g->on = on;
    if (!on)
        return;
    sigemptyset(&pipes);
    sigaddset(&pipes, SIGPIPE);
    g->pending = sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1;
    if (pthread_sigmask(SIG_BLOCK, &pipes, &g->before) != 0)
        g->on = false;
}

void memo__pipe_guard_leave(struct memo__pipe_guard *g)
{
    sigset_t pipes;
    const struct timespec none = { 0, 0 };
    int keep = errno;
    if (!g->on)
        return;
    sigemptyset(&pipes);
    sigaddset(&pipes, SIGPIPE);
    while (!g->pending && sigtimedwait(&pipes, NULL, &none) == -1 && errno == EINTR) {
    }
    (void)pthread_sigmask(SIG_SETMASK, &g->before, NULL);
    errno = keep;
}
