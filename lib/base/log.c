/* SPDX-License-Identifier: Apache-2.0 */
/* log.c: format, clean, call the sink outside the lock.
 *
 * Changing the sink waits until nobody runs the old one. A sink that changes the sink would wait for itself (or two of them for each other): every thread keeps a list, on its stack,
 * of the calls that it is in, and from inside a sink nobody waits. */
#include "base/log.h"
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>
#include "base/atomic.h"
#include "base/pipe_guard.h"
#include "base/text.h"

struct inside {
    const struct memo__log *log;
    const struct inside *outer;
};

static __thread const struct inside *here __attribute__((tls_model("initial-exec")));

void memo__log_init(struct memo__log *l, int32_t level)
{
    *l = (struct memo__log){ .level = level };
    memo__lock_init(&l->lock);
}

void memo__log_fini(struct memo__log *l)
{
    memo__lock_fini(&l->lock);
}

void memo__log_set_level(struct memo__log *l, int32_t level)
{
    memo__store(&l->level, level);
}

static bool inside_a_sink_of(const struct memo__log *l)
{
    for (const struct inside *i = here; i; i = i->outer)
        if (i->log == l)
            return true;
    return false;
}

void memo__log_set_sink(struct memo__log *l, memo__log_fn *fn, void *user)
{
    bool wait = !inside_a_sink_of(l);
    memo__lock_take(&l->lock);
    l->fn = fn;
    l->user = user;
    while (wait && l->running)
        (void)memo__wait(&l->lock, MEMO__NEVER);
    memo__lock_drop(&l->lock);
}

void memo__log_after_fork(struct memo__log *l)
{
    memo__lock_init(&l->lock);
    l->running = 0;
    for (const struct inside *i = here; i; i = i->outer)
        l->running += i->log == l; /* the child was forked by a sink: that call will end here too */
}

const char *memo__log_level_name(int32_t level)
{
    return level >= MEMO__LOG_ERROR ? "error" : level >= MEMO__LOG_WARN ? "warn" : level >= MEMO__LOG_INFO ? "info" : "debug";
}

/* Never waits: a pipe that nobody reads must not hold up whoever speaks, who may hold the turn. A pipe with room for PIPE_BUF bytes takes a line at once. */
static bool stderr_takes(void)
{
    struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };
    return poll(&p, 1, 0) == 1 && (p.revents & (POLLOUT | POLLERR | POLLHUP | POLLNVAL)) == POLLOUT;
}

static void to_stderr(int32_t level, const char *line)
{
    static uint64_t dropped; /* of this process; told with the next line that is taken */
    char text[MEMO__LOG_LINE_MAX + 64], before[32] = "";
    struct memo__pipe_guard g;
    if (!stderr_takes()) {
        (void)memo__fetch_add(&dropped, 1);
        return;
    }
    uint64_t n = memo__load(&dropped) ? memo__exchange(&dropped, 0) : 0;
    if (n)
        (void)snprintf(before, sizeof before, "(%llu dropped) ", (unsigned long long)n);
    int bytes = snprintf(text, sizeof text, "libmemo %s: %s%s\n", memo__log_level_name(level), before, line);
    memo__pipe_guard_enter(&g, true); /* its reader may go at any moment */
    ssize_t ignored = bytes > 0 ? write(STDERR_FILENO, text, (size_t)bytes < sizeof text ? (size_t)bytes : sizeof text - 1) : 0;
    memo__pipe_guard_leave(&g);
    (void)ignored; /* nobody to tell */
}

/* One line stays one line, whatever text came from outside. */
static void clean(char *line)
{
    for (char *p = line; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = ' ';
    memo__utf8_mend(line);
}

static void deliver(struct memo__log *l, int32_t level, const char *line)
{
    struct inside me = { l, here };
    memo__log_fn *fn;
    void *user;

    memo__lock_take(&l->lock);
    fn = l->fn;
    user = l->user;
    l->running++;
    memo__lock_drop(&l->lock);

    here = &me;
    if (fn)
        fn(level, line, user);
    else
        to_stderr(level, line);
    here = me.outer;

    memo__lock_take(&l->lock);
    l->running--;
    memo__wake(&l->lock);
    memo__lock_drop(&l->lock);
}

void memo__log(struct memo__log *l, int32_t level, const char *format, ...)
{
    char line[MEMO__LOG_LINE_MAX + 1];
    va_list args;
    if (!l || level < memo__load(&l->level))
        return;
    va_start(args, format);
    if (vsnprintf(line, sizeof line, format, args) < 0)
        line[0] = '\0';
    va_end(args);
    clean(line);
    deliver(l, level, line);
}
