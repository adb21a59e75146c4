/* SPDX-License-Identifier: Apache-2.0 */
/* voice.c: what a client says: log lines and events.
 *
 * A line for stderr is written at once, or dropped: it never waits (base/log.h). A line for a caller's sink may be said while the turn is held, so it is queued and delivered by the engine's thread outside of it: sinks may call anything. */
#define _GNU_SOURCE
#include <memo/event.h>
#include <memo/log.h>
#include <stdio.h>
#include <string.h>
#include "client/client.h"
#include "client/engine.h"
#include "client/http.h"

static __thread uint32_t inside_sinks __attribute__((tls_model("initial-exec"))); /* of this thread: there nobody waits for a sink */

#define LINES_MOST 256 /* waiting; more are dropped: a sink that is slower than we talk */

static void queue_line(memo_client *c, int32_t level, const char *text)
{
    size_t n = strlen(text) + 1;
    struct memo__line *l = memo__get(&c->alloc, sizeof *l + n);
    if (!l)
        return;
    l->level = level;
    memcpy(l->text, text, n);
    memo__lock_take(&c->shared.lock);
    bool room = c->shared.lines_count < LINES_MOST && !c->shared.closed;
    if (room) {
        *c->shared.lines_end = l;
        c->shared.lines_end = &l->next;
        memo__store(&c->shared.lines_count, c->shared.lines_count + 1); /* looked at without the lock, too */
    }
    memo__lock_drop(&c->shared.lock);
    if (!room)
        memo__drop(&c->alloc, l);
}

void memo__client_log(memo_client *c, int32_t level, const char *format, ...)
{
    char text[MEMO__LOG_LINE_MAX];
    va_list args;
    if (level < memo__load(&c->log.level))
        return;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (!memo__load(&c->shared.sink)) {
        memo__log(&c->log, level, "%s", text);
        return;
    }
    queue_line(c, level, text);
    struct memo__engine *g = memo__turn_take();
    if (g)
        memo__loop_wake(g->loop);
    memo__turn_drop();
}

/* One line, out of the queue; the sink is busy until it has returned. */
static bool deliver_one(memo_client *c)
{
    memo__lock_take(&c->shared.lock);
    struct memo__line *l = c->shared.lines;
    memo_log_fn *sink = c->shared.sink;
    void *user = c->shared.sink_user;
    if (l) {
        c->shared.lines = l->next;
        memo__store(&c->shared.lines_count, c->shared.lines_count - 1);
        if (!l->next)
            c->shared.lines_end = &c->shared.lines;
        c->shared.sink_busy++;
    }
    memo__lock_drop(&c->shared.lock);
    if (!l)
        return false;
    inside_sinks++;
    if (sink)
        sink(l->level, l->text, user);
    inside_sinks--;
    memo__drop(&c->alloc, l);
    memo__lock_take(&c->shared.lock);
    c->shared.sink_busy--;
    memo__wake(&c->shared.lock);
    memo__lock_drop(&c->shared.lock);
    return true;
}

/* The driver: the engine's thread, or threads of the host. A client can only be freed by somebody else, who waits for the sink that is busy. */
void memo__clients_deliver(void)
{
    for (;;) {
        struct memo__engine *g = memo__turn_take();
        memo_client *c = g ? g->clients : NULL;
        while (c && !memo__load(&c->shared.lines_count) && !memo__load(&c->shared.ended_count))
            c = c->next;
        if (c) {
            memo__lock_take(&c->shared.lock);
            c->shared.delivering++;
            memo__lock_drop(&c->shared.lock);
        }
        memo__turn_drop();
        if (!c)
            return;
        while (deliver_one(c) || memo__task_deliver(c))
            ;
        memo__lock_take(&c->shared.lock);
        c->shared.delivering--;
        memo__wake(&c->shared.lock);
        memo__lock_drop(&c->shared.lock);
    }
}

void memo__lines_close(memo_client *c)
{
    memo__lock_take(&c->shared.lock);
    c->shared.closed = true;
    memo__lock_drop(&c->shared.lock);
    memo__lines_drop(c);
}

void memo__lines_drop(memo_client *c)
{
    memo__lock_take(&c->shared.lock);
    while (c->shared.delivering)
        (void)memo__wait(&c->shared.lock, MEMO__NEVER);
    struct memo__line *l = c->shared.lines;
    c->shared.lines = NULL;
    c->shared.lines_end = &c->shared.lines;
    memo__store(&c->shared.lines_count, 0);
    memo__lock_drop(&c->shared.lock);
    while (l) {
        struct memo__line *next = l->next;
        memo__drop(&c->alloc, l);
        l = next;
    }
}

void memo_log_set(memo_client *c, memo_log_fn *f, void *user)
{
    if (!c)
        return;
    memo__process_check();
    memo__lock_take(&c->shared.lock);
    memo__store(&c->shared.sink, f);
    c->shared.sink_user = user;
    while (c->shared.sink_busy && !inside_sinks)
        (void)memo__wait(&c->shared.lock, MEMO__NEVER);
    memo__lock_drop(&c->shared.lock);
}

void memo__client_event(memo_client *c, int32_t kind, const char *service, const char *subject, memo_status s, uint64_t revision, const char *format, ...)
{
    memo_event e = { .size = sizeof e, .revision = revision, .status = s, .kind = kind };
    va_list args;
    (void)memo__text_copy(e.service, sizeof e.service, memo__text_of(service));
    (void)memo__text_copy(e.subject, sizeof e.subject, memo__text_of(subject));
    va_start(args, format);
    (void)vsnprintf(e.text, sizeof e.text, format, args);
    va_end(args);
    memo__utf8_mend(e.text); /* it may have been cut within a character */
    memo__events_put(&c->events, &e);
}

int memo_event_fd(memo_client *c)
{
    if (!c)
        return -1;
    memo__process_check();
    return c->events.fd;
}

memo_status memo_event_take(memo_client *c, memo_event *out, uint32_t max, uint32_t *n)
{
    if (!c || !n || (max && (!out || out[0].size < sizeof *out)))
        return MEMO_E_ARGUMENT;
    *n = 0;
    memo__process_check();
    if (!c->events.places)
        return MEMO_E_STATE;
    while (*n < max && (memo__task_event(c, &out[*n]) || memo__events_take(&c->events, &out[*n])))
        ++*n;
    if (*n < max || !max)
        memo__events_quiet(&c->events);
    if (memo__load(&c->shared.finished_count))
        memo__events_tell(&c->events); /* it came while the descriptor fell silent */
    return MEMO_OK;
}
