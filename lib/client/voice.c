/* SPDX-License-Identifier: Apache-2.0 */
/* voice.c: what a client says: log lines and events.
 *
 *   said, whatever is held --> the client's queue --> sink or stderr, when nothing is held: by the driver, between two turns;
 *                                                     to stderr, of a client that is not started, by whoever says it
 *
 * A sink may call anything. stderr may be a pipe that nobody reads: a line for which it has no room stays where it was and is tried again after
 * every turn of the engine, which has one every few seconds (the sweep in client.c). What finds no room in the queue is counted, and told in its
 * place. */
#define _GNU_SOURCE
#include <memo/event.h>
#include <memo/log.h>
#include <stdio.h>
#include <string.h>
#include "base/log.h"
#include "base/process.h"
#include "client/client.h"
#include "client/engine.h"
#include "client/http.h"

__thread uint32_t memo__inside __attribute__((tls_model("initial-exec")));

#define LINES_MOST 256 /* waiting; more are dropped: a sink that is slower than we talk */

static void line_push(memo_client *c, struct memo__line *l)
{
    l->next = NULL;
    *c->shared.lines_end = l;
    c->shared.lines_end = &l->next;
    memo__store(&c->shared.lines_count, c->shared.lines_count + 1); /* looked at without the lock, too */
}

static void line_pop(memo_client *c)
{
    struct memo__line *l = c->shared.lines;
    c->shared.lines = l->next;
    if (!l->next)
        c->shared.lines_end = &c->shared.lines;
    memo__store(&c->shared.lines_count, c->shared.lines_count - 1);
}

static void line_back(memo_client *c, struct memo__line *l)
{
    l->next = c->shared.lines;
    c->shared.lines = l;
    if (!l->next)
        c->shared.lines_end = &l->next;
    memo__store(&c->shared.lines_count, c->shared.lines_count + 1);
}

static void queue_line(memo_client *c, int32_t level, const char *text)
{
    size_t n = strlen(text) + 1;
    struct memo__line *l = memo__get(&c->alloc, sizeof *l + n);
    if (l) {
        l->level = level;
        memcpy(l->text, text, n);
    }
    memo__lock_take(&c->shared.lock);
    bool room = l && c->shared.lines_count < LINES_MOST && !c->shared.closed;
    if (room) {
        l->missing = c->shared.lines_missing;
        c->shared.lines_missing = 0;
        line_push(c, l);
    } else if (!c->shared.closed)
        c->shared.lines_missing++;
    memo__lock_drop(&c->shared.lock);
    if (!room)
        memo__drop(&c->alloc, l);
}

void memo__client_log(memo_client *c, int32_t level, const char *format, ...)
{
    char text[MEMO__LOG_LINE_MAX + 1];
    va_list args;
    if (level < memo__load(&c->log_level))
        return;
    va_start(args, format);
    memo__log_line(text, format, args);
    va_end(args);
    queue_line(c, level, text);
    if (memo__load(&c->phase) == MEMO__BUILT && !memo__turn_is_mine())
        memo__lines_flush(c);
    struct memo__engine *g = memo__turn_take();
    if (g)
        memo__loop_wake(g->loop);
    memo__turn_drop();
}

/* What is to be said next, and to whom. */
struct saying { struct memo__line *line; uint32_t missing, process; memo_log_fn *sink; void *user; };

/* Out of the queue; whoever it goes to is busy until `said`. False: there is nothing. */
static bool next(memo_client *c, struct saying *s)
{
    memo__lock_take(&c->shared.lock);
    *s = (struct saying){ c->shared.lines, c->shared.lines_missing, memo__load(&memo__process_number), c->shared.sink, c->shared.sink_user };
    if (s->line) {
        s->missing = s->line->missing;
        line_pop(c);
    } else
        c->shared.lines_missing = 0;
    bool any = s->line || s->missing;
    c->shared.sink_busy += any;
    memo__lock_drop(&c->shared.lock);
    return any;
}

static bool say(const struct saying *s, int32_t level, const char *text)
{
    if (!s->sink)
        return memo__log_stderr(level, text);
    memo__inside++;
    s->sink(level, text, s->user);
    memo__inside--;
    return true;
}

static bool say_all(struct saying *s)
{
    char text[96];
    (void)snprintf(text, sizeof text, "%u lines of log are missing here: they came faster than they were taken", s->missing);
    if (s->missing && !say(s, MEMO_LOG_WARN, text))
        return false;
    s->missing = 0;
    return !s->line || say(s, s->line->level, s->line->text);
}

static bool deliver_one(memo_client *c)
{
    struct saying s;
    if (!next(c, &s))
        return false;
    bool all = say_all(&s);
    memo__process_check(); /* a sink may have forked */
    memo__lock_take(&c->shared.lock);
    memo__store(&c->shared.stuck, (uint32_t)!all);
    if (!all && s.line) {
        s.line->missing = s.missing;
        line_back(c, s.line);
    } else if (!all)
        c->shared.lines_missing += s.missing;
    c->shared.sink_busy -= s.process == memo__load(&memo__process_number); /* in a child nobody is busy any more: memo__client_after_fork */
    memo__wake(&c->shared.lock);
    memo__lock_drop(&c->shared.lock);
    if (all)
        memo__drop(&c->alloc, s.line);
    return all;
}

/* One that has something to deliver. Not what stderr had no room for, but for the first look of a round: it must not make the round endless. */
static memo_client *next_client(bool first, uint32_t *process)
{
    struct memo__engine *g = memo__turn_take();
    memo_client *c = g ? g->clients : NULL;
    for (memo_client *each = first ? c : NULL; each; each = each->next)
        memo__store(&each->shared.stuck, 0u);
    while (c && (!memo__load(&c->shared.lines_count) || memo__load(&c->shared.stuck)) && !memo__load(&c->shared.ended_count))
        c = c->next;
    if (c) {
        memo__lock_take(&c->shared.lock);
        c->shared.delivering++;
        *process = memo__load(&memo__process_number);
        memo__lock_drop(&c->shared.lock);
    }
    memo__turn_drop();
    return c;
}

/* The driver: the engine's thread, or threads of the host. A client can only be freed by somebody else, who waits for the sink that is busy. */
void memo__clients_deliver(void)
{
    uint32_t process = 0;
    for (memo_client *c = next_client(true, &process); c; c = next_client(false, &process)) {
        while (deliver_one(c) || memo__task_deliver(c))
            ;
        memo__lock_take(&c->shared.lock);
        c->shared.delivering -= process == memo__load(&memo__process_number); /* a callback may have forked: as with sink_busy */
        memo__wake(&c->shared.lock);
        memo__lock_drop(&c->shared.lock);
    }
}

void memo__lines_flush(memo_client *c)
{
    while (!memo__load(&c->shared.sink) && deliver_one(c))
        ;
}

void memo__lines_close(memo_client *c)
{
    memo__lock_take(&c->shared.lock);
    bool closed = c->shared.closed = c->shared.sink != NULL;
    memo__lock_drop(&c->shared.lock);
    if (closed)
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
    while (c->shared.sink_busy && !memo__inside)
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
