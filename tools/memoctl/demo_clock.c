/* SPDX-License-Identifier: Apache-2.0 */
/* demo_clock.c: the director waits here, and nowhere else: for events of libmemo, for signals, for the next line. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>
#include "base/instant.h"
#include "demo.h"

int64_t demo_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * MEMO__S + t.tv_nsec;
}

void demo_label(struct demo *d, const char *format, ...)
{
    va_list v;
    va_start(v, format);
    vsnprintf(d->label, sizeof(d->label), format, v);
    va_end(v);
}

bool demo_facts(struct demo *d, memo_view_facts *f)
{
    memo_view *v;
    f->size = sizeof(*f);
    if (memo_view_acquire(d->service, &v) != MEMO_OK)
        return false;
    memo_status s = memo_view_get_facts(v, f);
    memo_view_release(v);
    return s == MEMO_OK;
}

/* Breaker events say "closed -> open, ..."; what matters is where it went. */
static void hear_breaker(struct told *t, const char *text)
{
    const char *to = strstr(text, "-> ");
    if (!to)
        return;
    bool closed = strncmp(to + 3, "closed", 6) == 0;
    t->opened += strncmp(to + 3, "open", 4) == 0;
    t->closed += closed;
    t->open = !closed;
}

static void hear(struct demo *d, const memo_event *e)
{
    struct told *t = &d->told;
    int instance;
    switch (e->kind) {
    case MEMO_EVENT_EJECTION:
        instance = book_instance_find(memo__text_of(e->subject));
        if (instance >= 0 && strncmp(e->text, "would", 5) != 0) /* it would, but too many are ejected already */
            t->ejected[instance] = strncmp(e->text, "ejected", 7) == 0;
        break;
    case MEMO_EVENT_BREAKER:
        hear_breaker(t, e->text);
        break;
    case MEMO_EVENT_RULES:
        t->rules_ok += e->status == MEMO_OK;
        t->rules_bad += e->status != MEMO_OK;
        snprintf(t->rules_text, sizeof(t->rules_text), "%s", e->text);
        break;
    default:
        break;
    }
}

static void take_events(struct demo *d)
{
    memo_event e[32] = { MEMO_INIT(memo_event) };
    uint32_t n = 0;
    while (memo_event_take(d->client, e, 32, &n) == MEMO_OK && n > 0)
        for (uint32_t i = 0; i < n; i++)
            hear(d, &e[i]);
}

static void take_signals(struct demo *d)
{
    struct signalfd_siginfo info;
    while (read(d->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
        if (info.ssi_signo == SIGCHLD)
            (void)children_reap(&d->children);
        else
            d->interrupted = true;
}

static void line(struct demo *d)
{
    memo_view_facts f;
    d->second++;
    d->next_line += MEMO__S;
    if (d->age_label && demo_facts(d, &f))
        demo_label(d, "age %lld.%lld s", (long long)(f.age_max_ms + 99) / 1000, (long long)(f.age_max_ms + 99) / 100 % 10);
    for (int i = 0; i < SIDES; i++)
        tally_take_second(&d->tally[i], &d->line[i]);
    demo_line(d, &d->line[SIDE_BARE], &d->line[SIDE_MEMO]);
}

/* One turn, at most until `until`. */
static void turn(struct demo *d, int64_t until)
{
    struct pollfd p[2] = { { .fd = memo_event_fd(d->client), .events = POLLIN }, { .fd = d->signals, .events = POLLIN } };
    int64_t wait = (memo__earlier(until, d->next_line) - demo_now() + MEMO__MS - 1) / MEMO__MS;
    (void)poll(p, 2, wait < 0 ? 0 : (int)(wait > 1000 ? 1000 : wait));
    take_events(d);
    take_signals(d);
    if (demo_now() >= d->next_line)
        line(d);
}

/* Spans of seconds end with the line of a second, the nearest one, so that a line is about one thing. */
bool demo_run(struct demo *d, int64_t ms)
{
    int64_t until = demo_now() + (int64_t)((double)ms * d->scale) * MEMO__MS;
    if (ms >= 1000 && d->scale >= 1)
        until = d->next_line + (until - d->next_line + MEMO__S / 2) / MEMO__S * MEMO__S + MEMO__MS;
    while (!d->interrupted && demo_now() < until)
        turn(d, until);
    return !d->interrupted;
}

bool demo_run_until(struct demo *d, const uint64_t *what, uint64_t value, int64_t timeout_ms)
{
    int64_t until = demo_now() + timeout_ms * MEMO__MS;
    while (!d->interrupted && *what < value && demo_now() < until)
        turn(d, until);
    return !d->interrupted && *what >= value;
}
