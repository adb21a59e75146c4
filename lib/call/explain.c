/* SPDX-License-Identifier: Apache-2.0 */
/* explain.c: a record as a table of moments, and as JSON.
 *
 *   call 4f1c  todo GET /todos/7   200 in 26.2 ms, 2 attempts    rules r42   view r1187 live, age <= 0.4 s
 *     0.00 route   default     canary not taken: header x-canary absent
 *     0.00 admit   yes         breaker closed 3/97 failed (opens 50%), limit all 212/500, budget 9.2
 *     0.00 pick    v1b         score 5.1; v2 9.8; v1a ejected 12 s ago: 5 failures   [services.todo.outlier]
 *     4.31 reset -> retry      GET, 795 ms left, budget 8.2, wait 17 ms   [services.todo.retry]
 *    21.40 pick    v2          v1b just tried
 *
 * A row is a moment, two columns and remarks; the columns are as wide as this record needs. */
#include "call/explain.h"
#include <stdio.h>
#include <string.h>
#include "base/status.h"
#include "base/text.h"
#include "call/call.h"
#include "call/directory.h"
#include "call/standing.h"
#include "policy/shed.h"

#define EJECTED_TOLD 4 /* endpoints named as ejected in one line */
#define COLUMN 11      /* the second column is at least so wide, */
#define MOMENT 6       /* and the moments before the first one so wide */
#define PATH_MAX_BYTES 192

struct telling {
    struct memo__writer w;
    const struct memo__record *k;
    const struct memo__governor *g;   /* NULL: the service is gone */
    const struct memo__plan *p;
    const struct memo__route_rule *route; /* NULL: the rules have changed */
    memo__instant now;
    struct memo__standing s;
    int moment, column;               /* widths */
    int blanks;                       /* that are due before the first remark of this row; -1: it has remarks */
};

static const char *const outcomes[] = { "reply", "connect failed", "reset", "timed out", "protocol error", "cancelled" };
static const char *const phases[] = { "closed", "open", "half-open" };

static void id_of(const struct telling *t, uint32_t slot, uint32_t generation, char *buf, size_t n)
{
    uint32_t e = t->p && slot < t->p->slots_count ? t->p->by_slot[slot] : UINT32_MAX;
    if (e != UINT32_MAX && t->p->view->entries[e].generation == generation) {
        (void)memo__text_copy(buf, n, memo__text_of(memo__view_text(t->p->view, t->p->view->entries[e].id)));
        return;
    }
    for (uint32_t i = 0; t->p && i < t->p->gone_count; i++) {
        if (t->p->gone[i].slot == slot && t->p->gone[i].generation == generation) {
            (void)memo__text_copy(buf, n, memo__text_of(t->p->gone[i].id));
            return;
        }
    }
    (void)memo__text_copy(buf, n, memo__text_of("(gone)"));
}

static double ms_of(uint32_t ticks)
{
    return ticks * (MEMO__TICK / 1e6);
}

static double took_ms(const struct memo__record *k)
{
    return (double)memo__since(k->last, k->begun) / 1e6;
}

static memo__instant instant_of(const struct memo__record *k, uint32_t ticks)
{
    return memo__after(k->begun, (int64_t)ticks * MEMO__TICK);
}

static int64_t left_ms(const struct memo__record *k, const struct memo__try *y)
{
    return memo__since(k->deadline, instant_of(k, y->end)) / MEMO__MS;
}

/* A number with a point, whatever the host's locale says; right-aligned in `width`. */
static void put_number(struct telling *t, double value, int decimals, int width)
{
    static const int64_t powers[] = { 1, 10, 100, 1000 };
    char text[32];
    int64_t whole = (int64_t)(value * (double)powers[decimals] + 0.5), power = powers[decimals];
    if (decimals)
        (void)snprintf(text, sizeof text, "%lld.%0*lld", (long long)(whole / power), decimals, (long long)(whole % power));
    else
        (void)snprintf(text, sizeof text, "%lld", (long long)whole);
    memo__put_format(&t->w, "%*s", width, text);
}

static void put_id(struct telling *t, uint32_t slot, uint32_t generation)
{
    char id[MEMO__NAME_MAX];
    id_of(t, slot, generation, id, sizeof id);
    memo__put_text(&t->w, id);
}

/* How did it end? A status alone does not say: a call that failed, or that was given up, has none. */
static const char *result_of(const struct memo__record *k)
{
    const struct memo__try *last = k->attempts ? &k->tries[k->attempts - 1] : NULL;
    if (k->stopped)
        return "stopped";
    if (memo__refused(k->status))
        return "refused";
    if (k->phase == MEMO__CALL_READY || k->phase == MEMO__CALL_FLYING)
        return "open";
    if (!last || !(last->flags & MEMO__TRY_REPORTED) || last->flags & MEMO__TRY_IGNORED)
        return "cancelled";
    return last->flags & MEMO__TRY_FAILED ? "failed" : "ok";
}

/* Rules by the place where they stand. */

static void put_block(const struct telling *t, struct memo__writer *w, enum memo__block block)
{
    memo__put_rule_path(w, t->p->service, t->k->route, block);
}

static void put_timeout(const struct telling *t, struct memo__writer *w)
{
    if (!t->k->inbound && t->k->deadline == memo__after(t->k->begun, t->route->timeout))
        put_block(t, w, MEMO__BLOCK_TIMEOUT);
    else
        memo__put_text(w, "deadline of the caller");
}

static void put_subset(const struct telling *t, struct memo__writer *w)
{
    if (t->k->subset == MEMO__NO_INDEX)
        return;
    memo__put_route_path(w, t->p->service, t->k->route);
    memo__put_text(w, ".to");
}

static void put_would(const struct telling *t, struct memo__writer *w)
{
    uint32_t would = t->k->would, breakers = MEMO__GATE_BREAKER_BIT(0) | MEMO__GATE_BREAKER_BIT(1);
    if (would & breakers)
        put_block(t, w, MEMO__BLOCK_BREAKER);
    else if (would & ~(breakers | MEMO__GATE_BULKHEAD_BIT))
        memo__put_limit_path(w, t->p->service, t->s.limit);
    else if (would)
        put_block(t, w, MEMO__BLOCK_CONCURRENCY);
}

static bool by_shed(const struct memo__record *k)
{
    return k->inbound && k->status == MEMO_REFUSED_OVERLOADED && k->refused_kind != MEMO__GATE_BULKHEAD;
}

static void put_overloaded(const struct telling *t, struct memo__writer *w)
{
    if (by_shed(t->k))
        memo__put_text(w, "inbound.shed");
    else
        put_block(t, w, MEMO__BLOCK_CONCURRENCY);
}

/* Which rule refused, stopped or would have? Empty: none did, or nobody can say any more. */
static const char *refusing_rule(const struct telling *t, char *buf, size_t n)
{
    struct memo__writer w;
    memo__writer_init(&w, buf, n);
    switch (t->route ? t->k->status : MEMO_REFUSED_NOT_READY) {
    case MEMO_OK: put_would(t, &w); break;
    case MEMO_REFUSED_LIMITED: memo__put_limit_path(&w, t->p->service, t->k->refused_by); break;
    case MEMO_REFUSED_OPEN: put_block(t, &w, MEMO__BLOCK_BREAKER); break;
    case MEMO_REFUSED_OVERLOADED: put_overloaded(t, &w); break;
    case MEMO_REFUSED_STALE: put_block(t, &w, MEMO__BLOCK_MAX_STALE); break;
    case MEMO_REFUSED_DEADLINE: put_timeout(t, &w); break;
    case MEMO_REFUSED_NO_ENDPOINT: put_subset(t, &w); break;
    default: break;
    }
    (void)memo__writer_end(&w);
    return buf;
}

/* Which rule decided on another attempt? */
static const char *retrying_rule(const struct telling *t, const struct memo__try *y, char *buf, size_t n)
{
    struct memo__writer w;
    memo__writer_init(&w, buf, n);
    if (t->route && y->again == MEMO__RETRY_DEADLINE)
        put_timeout(t, &w);
    else if (t->route && y->again != MEMO__RETRY_NOT_NEEDED && y->again != MEMO__RETRY_CANCELLED)
        put_block(t, &w, MEMO__BLOCK_RETRY);
    (void)memo__writer_end(&w);
    return buf;
}

/* Endpoints that were left out. */

/* The next one from *i on that was ejected at that moment. */
static const struct memo__view_entry *next_ejected(const struct telling *t, memo__instant at, uint32_t *i, int64_t *ago, uint32_t *failures)
{
    while (t->p && t->g && *i < t->p->view->count) {
        const struct memo__view_entry *e = &t->p->view->entries[(*i)++];
        const struct memo__endpoint_state *s = memo__fleet_state(&t->g->fleet, e->slot);
        memo__instant from = memo__load(&s->ejected_at), until = memo__load(&s->ejected_until);
        if (!until || at < from || at >= until)
            continue;
        *ago = memo__since(at, from);
        *failures = memo__load(&s->ejected_failures);
        return e;
    }
    return NULL;
}

/* How many of those whose breakers refused have their counts in the record. */
static uint32_t refusers_told(const struct memo__record *k)
{
    uint32_t most = k->stopped ? memo__record_refusers_most(k) : 0;
    return k->refusing < most ? k->refusing : most;
}

/* Text. */

static int width(const char *z)
{
    int n = 0;
    for (; *z; z++)
        n += ((unsigned char)*z & 0xc0) != 0x80; /* characters, not their further bytes */
    return n;
}

/* Before a remark: what stands between it and the column, or the remark before it. */
static void remark(struct telling *t, const char *separator)
{
    if (t->blanks >= 0)
        memo__put_format(&t->w, "%*s", t->blanks, "");
    else
        memo__put_text(&t->w, separator);
    t->blanks = -1;
}

static void row(struct telling *t, double ms, const char *what, const char *which)
{
    memo__put_text(&t->w, "\n");
    put_number(t, ms, 2, t->moment);
    memo__put_format(&t->w, " %-7s %s", what, which);
    t->blanks = t->column - width(which) + 1;
}

static void text_rule(struct telling *t, const char *path)
{
    if (!path[0])
        return;
    remark(t, "   ");
    memo__put_format(&t->w, "[%s]", path);
}

static const char *ending(const struct memo__try *y, char *buf, size_t n)
{
    const char *next = y->again == MEMO__RETRY_YES ? "retry" : "end";
    if (y->kind == MEMO_OUTCOME_REPLIED)
        (void)snprintf(buf, n, "%s%d -> %s", y->grpc > 0 ? "grpc " : "", y->grpc > 0 ? y->grpc : y->http, next);
    else
        (void)snprintf(buf, n, "%s -> %s", outcomes[y->kind], next);
    return buf;
}

/* What has a row of its own: a good answer has not. */
static bool ending_told(const struct memo__try *y)
{
    return y->flags & MEMO__TRY_REPORTED && (y->again == MEMO__RETRY_YES || y->flags & MEMO__TRY_FAILED);
}

static int wider(int a, int b)
{
    return a > b ? a : b;
}

static const char *route_name(const struct telling *t)
{
    return t->route ? t->route->name : "(rules changed)";
}

/* Names and moments may be long; then all rows make room for them. */
static void measure(struct telling *t)
{
    const struct memo__record *k = t->k;
    char buf[MEMO__NAME_MAX];
    double last = took_ms(k);
    t->column = wider(COLUMN, width(route_name(t)));
    for (uint32_t i = 0; i < k->attempts; i++) {
        const struct memo__try *y = &k->tries[i];
        id_of(t, y->slot, y->generation, buf, sizeof buf);
        t->column = wider(t->column, width(buf));
        if (ending_told(y))
            t->column = wider(t->column, width(ending(y, buf, sizeof buf)) - 8); /* it has the first column, too */
        last = ms_of(y->start) > last ? ms_of(y->start) : last;
    }
    (void)snprintf(buf, sizeof buf, "%lld.00", (long long)(last + 0.01));
    t->moment = wider(MOMENT, width(buf));
}

static void text_end(struct telling *t)
{
    const struct memo__record *k = t->k;
    const struct memo__try *last = k->attempts ? &k->tries[k->attempts - 1] : NULL;
    bool over = k->phase == MEMO__CALL_ENDED, reported = last && last->flags & MEMO__TRY_REPORTED;
    if (k->status)
        memo__put_text(&t->w, memo__status_name(k->status));
    else if (reported && last->kind == MEMO_OUTCOME_REPLIED)
        memo__put_format(&t->w, "%d", last->http);
    else if (reported)
        memo__put_text(&t->w, outcomes[last->kind]);
    else
        memo__put_text(&t->w, over ? "cancelled" : last ? "under way" : "not sent yet");
}

static void text_head(struct telling *t)
{
    const struct memo__record *k = t->k;
    memo__put_format(&t->w, "call %04x  %s %s %s   ", (unsigned)(k->id >> 48), t->g ? t->g->name : "(service gone)",
                     k->method_text[0] ? k->method_text : "-", k->path);
    text_end(t);
    memo__put_text(&t->w, " in ");
    put_number(t, took_ms(k), 1, 0);
    memo__put_format(&t->w, " ms, %u attempt%s    rules r%llu   view r%llu %s", k->attempts, k->attempts == 1 ? "" : "s", (unsigned long long)k->revision,
                     (unsigned long long)k->view_revision, memo__view_state_name(k->view_state));
    int64_t age = k->age_ms;
    if (age < 0)
        memo__put_text(&t->w, ", age unproven");
    else
        memo__put_format(&t->w, ", age <= %lld.%lld s", (long long)((age + 99) / 1000), (long long)((age + 99) % 1000 / 100));
}

/* The first route that was not taken; NULL: none, or nobody can say any more. */
static const struct memo__route_rule *not_taken(const struct telling *t, const char **header)
{
    const struct memo__record *k = t->k;
    const struct memo__service_rules *s = t->route ? t->p->service : NULL;
    if (!s || !k->why || k->why_route >= s->routes_count)
        return NULL;
    *header = k->why_want < s->wants_count ? s->wants[k->why_want] : "?";
    return &s->routes[k->why_route];
}

static void text_route(struct telling *t)
{
    const struct memo__record *k = t->k;
    const char *header;
    const struct memo__route_rule *first = not_taken(t, &header);
    row(t, 0, "route", route_name(t));
    if (!first)
        return;
    remark(t, "");
    memo__put_format(&t->w, "%s not taken: ", first->name);
    if (k->why == MEMO__ROUTE_METHOD)
        memo__put_format(&t->w, "method %s", k->method_text[0] ? k->method_text : "unknown");
    else if (k->why == MEMO__ROUTE_PATH)
        memo__put_format(&t->w, "path is not %s%s", first->when.path, first->when.path_match == MEMO__PATH_PREFIX ? "*" : "");
    else
        memo__put_format(&t->w, "header %s %s", header, k->why == MEMO__ROUTE_HEADER_ABSENT ? "absent" : "differs");
}

static void put_share(struct telling *t, uint32_t ppm)
{
    uint32_t part = ppm % 10000, digits = 4;
    memo__put_format(&t->w, "%u", ppm / 10000);
    for (; part && part % 10 == 0; part /= 10)
        digits--;
    if (part)
        memo__put_format(&t->w, ".%0*u", (int)digits, part);
    memo__put_text(&t->w, "%");
}

/* "448/501 slow (opens 80%, slower than 600 ms)". */
static void put_bad(struct telling *t, uint32_t bad, uint32_t calls, const char *how, uint32_t share, int64_t slower_than)
{
    memo__put_format(&t->w, "%u/%u %s", bad, calls, how);
    if (!share)
        return;
    memo__put_text(&t->w, " (opens ");
    put_share(t, share);
    if (slower_than) {
        memo__put_text(&t->w, ", slower than ");
        put_number(t, (double)slower_than / 1e6, slower_than % MEMO__MS ? 3 : 0, 0);
        memo__put_text(&t->w, " ms");
    }
    memo__put_text(&t->w, ")");
}

struct window { uint32_t phase, calls, failed, slow; };

/* What opened it; of a closed one, every share that its rule has. A slow answer is no failure. */
static void put_breaker(struct telling *t, const struct window *b)
{
    static const struct memo__breaker_rule nothing = { 0 };
    const struct memo__breaker_rule *rule = t->route ? &t->route->breaker : &nothing;
    bool closed = b->phase == MEMO__BREAKER_CLOSED;
    bool failed = !closed && memo__breaker_reached(b->failed, b->calls, rule->failed);
    bool slow = !closed && memo__breaker_reached(b->slow, b->calls, rule->slow);
    if (!failed && !slow) {
        failed = rule->failed || !rule->slow || b->failed;
        slow = b->slow || !failed;
    }
    memo__put_format(&t->w, "%s ", phases[b->phase % 3]);
    if (failed)
        put_bad(t, b->failed, b->calls, "failed", rule->failed, 0);
    if (slow) {
        memo__put_text(&t->w, failed ? ", " : "");
        put_bad(t, b->slow, b->calls, "slow", rule->slow, rule->slower_than);
    }
}

static void text_admit(struct telling *t)
{
    const struct memo__record *k = t->k;
    const struct memo__standing *s = &t->s;
    char path[PATH_MAX_BYTES];
    bool refused = memo__refused(k->status) && !k->stopped;
    row(t, 0, "admit", refused ? "no" : k->would ? "observed" : "yes");
    remark(t, "");
    if (refused)
        memo__put_format(&t->w, "%s: ", memo__status_name(k->status));
    if (s->breaker) {
        memo__put_text(&t->w, "breaker ");
        put_breaker(t, &(struct window){ (uint32_t)s->phase, s->calls, s->failed, s->slow });
        memo__put_text(&t->w, k->probe ? ", as a probe, " : ", ");
    }
    if (s->limited && t->route) {
        const struct memo__limit_rule *l = &t->p->service->limits[s->limit];
        memo__put_format(&t->w, "limit %s %u/%llu, ", l->name, s->tokens, (unsigned long long)l->burst);
    }
    if (k->status == MEMO_REFUSED_OVERLOADED && t->route)
        memo__put_format(&t->w, "concurrency %u reached, ", t->p->service->concurrency.max);
    memo__put_format(&t->w, "budget %u.%u", s->budget / 10, s->budget % 10);
    if (k->would && !refused)
        memo__put_text(&t->w, "; would have been refused, but it is only observed");
    if (refused || (k->would && !k->status))
        text_rule(t, refusing_rule(t, path, sizeof path));
}

/* Those that were ejected at that moment, and the rule that did it. */
static void text_ejected(struct telling *t, memo__instant at, const char *separator)
{
    char path[PATH_MAX_BYTES];
    struct memo__writer w;
    uint32_t i = 0, told = 0, failures;
    int64_t ago;
    const struct memo__view_entry *e;
    for (; told < EJECTED_TOLD && (e = next_ejected(t, at, &i, &ago, &failures)); told++) {
        remark(t, separator);
        memo__put_format(&t->w, "%s ejected %lld s ago: %u failures", memo__view_text(t->p->view, e->id), (long long)(ago / MEMO__S), failures);
        separator = "; ";
    }
    memo__writer_init(&w, path, sizeof path);
    if (told && t->route)
        put_block(t, &w, MEMO__BLOCK_OUTLIER);
    (void)memo__writer_end(&w);
    text_rule(t, path);
}

static void put_score(struct telling *t, const char *before, float score)
{
    memo__put_text(&t->w, before);
    put_number(t, (double)score, 1, 0);
}

/* What the scores of this call's attempts are, by the rules that it began with; costs, if nobody knows any more. */
static enum memo__score score_of(const struct telling *t)
{
    return t->route ? memo__balancer_of(t->p->service->balance.policy)->score : MEMO__SCORE_COST;
}

static void put_hash(struct telling *t)
{
    static const char *const of[] = { [MEMO__HASH_ON_KEY] = "key", [MEMO__HASH_ON_PATH] = "path", [MEMO__HASH_ON_HEADER] = "header " };
    memo__put_format(&t->w, "hash %016llx", (unsigned long long)t->k->hash);
    if (!t->route)
        return;
    const struct memo__balance_rule *b = &t->p->service->balance;
    memo__put_format(&t->w, "%s%s", t->k->hashed == MEMO__HASHED_DRAWN ? " drawn: no " : " of ", of[b->hash_on]);
    if (b->hash_header != MEMO__NO_INDEX)
        memo__put_text(&t->w, t->p->service->wants[b->hash_header]);
}

/* Why this one: what was considered. */
static void text_why(struct telling *t, const struct memo__try *y)
{
    static const char *const words[] = { [MEMO__SCORE_NONE] = "score ", [MEMO__SCORE_COST] = "score ", [MEMO__SCORE_WEIGHT] = "weight ",
                                         [MEMO__SCORE_CALLS] = "calls under way ", [MEMO__SCORE_HASH] = "score " };
    enum memo__score kind = score_of(t);
    bool hash = t->k->hashed && y->score <= 0, said = hash || kind == MEMO__SCORE_CALLS || y->score > 0;
    if (said)
        remark(t, "");
    if (hash)
        put_hash(t);
    else if (said)
        put_score(t, words[kind], y->score);
    if (y->flags & MEMO__TRY_OTHER) {
        remark(t, "; ");
        put_id(t, y->other_slot, y->other_generation);
        if (hash)
            memo__put_text(&t->w, ", its own, left out");
        else
            put_score(t, " ", y->other_score);
    }
}

static struct window would_window(const struct memo__record *k)
{
    return (struct window){ k->would_phase, k->would_calls, k->would_failed, k->would_slow };
}

/* The endpoint's own breaker would have refused this attempt; the first one of a call has its counts. */
static void text_would(struct telling *t, uint32_t i)
{
    const struct memo__record *k = t->k;
    char path[PATH_MAX_BYTES];
    struct memo__writer w;
    if (!(k->tries[i].flags & MEMO__TRY_WOULD))
        return;
    remark(t, "; ");
    memo__put_text(&t->w, "its breaker ");
    if (k->would_number == i + 1) {
        struct window b = would_window(k);
        put_breaker(t, &b);
        memo__put_text(&t->w, ": ");
    }
    memo__put_text(&t->w, "would have refused, but it is only observed");
    memo__writer_init(&w, path, sizeof path);
    if (t->route)
        put_block(t, &w, MEMO__BLOCK_BREAKER);
    (void)memo__writer_end(&w);
    text_rule(t, path);
}

static void text_try(struct telling *t, uint32_t i)
{
    const struct memo__try *y = &t->k->tries[i];
    char id[MEMO__NAME_MAX];
    id_of(t, y->slot, y->generation, id, sizeof id);
    row(t, ms_of(y->start), "pick", id);
    text_why(t, y);
    for (uint32_t j = 0; j < i; j++) {
        remark(t, "; ");
        put_id(t, t->k->tries[j].slot, t->k->tries[j].generation);
        memo__put_text(&t->w, " just tried");
    }
    if (y->flags & MEMO__TRY_AGAIN) {
        remark(t, "; ");
        memo__put_text(&t->w, "tried again: nothing else is left");
    }
    if (y->flags & MEMO__TRY_PANIC) {
        remark(t, "; ");
        memo__put_text(&t->w, "panic: too few are pickable, ejection is ignored");
    }
    text_would(t, i);
    text_ejected(t, instant_of(t->k, y->start), "; ");
}

static void text_outcome(struct telling *t, uint32_t i)
{
    const struct memo__record *k = t->k;
    const struct memo__try *y = &k->tries[i];
    char what[64], path[PATH_MAX_BYTES];
    if (!ending_told(y))
        return;
    memo__put_text(&t->w, "\n");
    put_number(t, ms_of(y->end), 2, t->moment);
    memo__put_format(&t->w, " %s", ending(y, what, sizeof what));
    t->blanks = t->column + 8 - width(what) + 1;
    remark(t, "");
    bool retried = y->again == MEMO__RETRY_YES, of_budget = retried || y->again == MEMO__RETRY_BUDGET;
    if (retried)
        memo__put_format(&t->w, "%s, ", k->method_text[0] ? k->method_text : "-");
    else
        memo__put_format(&t->w, "no retry: %s, ", memo__retry_reason_text((enum memo__retry_reason)y->again));
    memo__put_format(&t->w, "%lld ms left", (long long)left_ms(k, y));
    if (of_budget)
        memo__put_format(&t->w, ", budget %u.%u", k->budgets[i] / 10, k->budgets[i] % 10);
    if (retried)
        memo__put_format(&t->w, ", wait %u ms", y->wait_ms);
    text_rule(t, retrying_rule(t, y, path, sizeof path));
}

static void text_stop(struct telling *t)
{
    const struct memo__record *k = t->k;
    const char *separator = ": ";
    char path[PATH_MAX_BYTES];
    row(t, took_ms(k), "stop", memo__status_name(k->status));
    t->blanks = -1;
    for (uint32_t i = 0; i < refusers_told(k); i++) {
        const struct memo__refusing *r = &k->refusers[memo__record_refuser(i)];
        remark(t, separator);
        put_id(t, r->slot, r->generation);
        memo__put_text(&t->w, " ");
        put_breaker(t, &(struct window){ r->phase, r->calls, r->failed, r->slow });
        separator = "; ";
    }
    if (k->refusing > refusers_told(k))
        memo__put_format(&t->w, "; and %u more", k->refusing - refusers_told(k));
    text_rule(t, refusing_rule(t, path, sizeof path));
    text_ejected(t, k->last, separator);
}

/* A request that was received, and refused: two rows. */

static void inbound_head(struct telling *t)
{
    const struct memo__record *k = t->k;
    memo__put_format(&t->w, "inbound %04x  %s %s   %s    rules r%llu", (unsigned)(k->id >> 48), k->method_text[0] ? k->method_text : "-", k->path,
                     memo__status_name(k->status), (unsigned long long)k->revision);
}

/* The limit that latency has found: as it stands now. */
static void inbound_shed(struct telling *t)
{
    struct memo__shed_facts f;
    memo__shed_read(t->p->shed->shared, &t->p->shed->parts, &f);
    memo__put_format(&t->w, ": limit %llu reached%s, best latency ", (unsigned long long)f.limit, f.probing ? " (lowered to measure)" : "");
    put_number(t, (double)f.best / 1e6, 2, 0);
    memo__put_text(&t->w, " ms");
}

static void inbound_why(struct telling *t)
{
    const struct memo__record *k = t->k;
    if (k->status == MEMO_REFUSED_DEADLINE)
        memo__put_text(&t->w, ": the caller's time is over");
    else if (k->status == MEMO_REFUSED_NOT_READY)
        memo__put_text(&t->w, ": draining");
    else if (t->s.limited) {
        const struct memo__limit_rule *l = &t->p->service->limits[t->s.limit];
        memo__put_format(&t->w, ": limit %s %u/%llu", l->name, t->s.tokens, (unsigned long long)l->burst);
    } else if (t->route && by_shed(k) && t->p->shed) {
        memo__put_text(&t->w, ": shed");
        inbound_shed(t);
    } else if (t->route && k->status == MEMO_REFUSED_OVERLOADED)
        memo__put_format(&t->w, ": concurrency %u reached", t->p->service->concurrency.max);
}

static void inbound_text(struct telling *t)
{
    char path[PATH_MAX_BYTES];
    t->column = COLUMN;
    t->moment = MOMENT;
    inbound_head(t);
    row(t, 0, "admit", "no");
    remark(t, "");
    memo__put_text(&t->w, memo__status_name(t->k->status));
    inbound_why(t);
    if (t->k->would)
        memo__put_text(&t->w, "; others would have refused, but are only observed");
    text_rule(t, refusing_rule(t, path, sizeof path));
    memo__put_text(&t->w, "\n");
}

static void text(struct telling *t)
{
    if (t->k->inbound) {
        inbound_text(t);
        return;
    }
    measure(t);
    text_head(t);
    if (t->k->status != MEMO_REFUSED_NOT_READY)
        text_route(t);
    text_admit(t);
    for (uint32_t i = 0; i < t->k->attempts; i++) {
        text_try(t, i);
        text_outcome(t, i);
    }
    if (t->k->stopped)
        text_stop(t);
    memo__put_text(&t->w, "\n");
}

/* JSON: the same facts, with units in the names. */

static void json_text(struct telling *t, const char *key, const char *value)
{
    memo__put_format(&t->w, ",\"%s\":", key);
    memo__put_json(&t->w, memo__text_of(value));
}

/* What nobody can say is null. */
static void json_known(struct telling *t, const char *key, const char *value)
{
    if (value[0])
        json_text(t, key, value);
    else
        memo__put_format(&t->w, ",\"%s\":null", key);
}

static void json_number(struct telling *t, const char *key, double value)
{
    memo__put_format(&t->w, ",\"%s\":", key);
    put_number(t, value, 3, 0);
}

static const char *truth(bool b)
{
    return b ? "true" : "false";
}

static void json_outcome(struct telling *t, uint32_t i)
{
    const struct memo__try *y = &t->k->tries[i];
    char path[PATH_MAX_BYTES];
    json_text(t, "outcome", outcomes[y->kind]);
    json_number(t, "end_ms", ms_of(y->end));
    memo__put_format(&t->w, ",\"http_status\":%d,\"grpc_status\":%d,\"failed\":%s,\"retried\":%s,\"wait_ms\":%u", y->http, y->grpc,
                     truth(y->flags & MEMO__TRY_FAILED), truth(y->again == MEMO__RETRY_YES), y->wait_ms);
    json_text(t, "retry_reason", memo__retry_reason_text((enum memo__retry_reason)y->again));
    memo__put_format(&t->w, ",\"left_ms\":%lld", (long long)left_ms(t->k, y));
    if (y->again == MEMO__RETRY_NOT_NEEDED)
        memo__put_text(&t->w, ",\"budget\":null"); /* nobody asked it */
    else
        json_number(t, "budget", t->k->budgets[i] / 10.0);
    json_known(t, "rule", retrying_rule(t, y, path, sizeof path));
}

static void json_try(struct telling *t, uint32_t i)
{
    const struct memo__record *k = t->k;
    const struct memo__try *y = &k->tries[i];
    char id[MEMO__NAME_MAX];
    id_of(t, y->slot, y->generation, id, sizeof id);
    memo__put_format(&t->w, "%s{\"number\":%u", i ? "," : "", i + 1);
    json_number(t, "start_ms", ms_of(y->start));
    json_text(t, "endpoint", id);
    enum memo__score kind = score_of(t);
    if (y->score > 0 || kind == MEMO__SCORE_CALLS)
        json_number(t, "score", (double)y->score);
    if (y->flags & MEMO__TRY_OTHER) {
        id_of(t, y->other_slot, y->other_generation, id, sizeof id);
        json_text(t, "other", id);
        if (!k->hashed)
            json_number(t, "other_score", (double)y->other_score);
    }
    memo__put_format(&t->w, ",\"panic\":%s,\"tried_again\":%s,\"observed\":%s", truth(y->flags & MEMO__TRY_PANIC), truth(y->flags & MEMO__TRY_AGAIN),
                     truth(y->flags & MEMO__TRY_WOULD));
    if (y->flags & MEMO__TRY_WOULD && k->would_number == i + 1)
        memo__put_format(&t->w, ",\"breaker\":\"%s\",\"breaker_calls\":%u,\"breaker_failed\":%u,\"breaker_slow\":%u", phases[k->would_phase % 3],
                         k->would_calls, k->would_failed, k->would_slow);
    if (y->flags & MEMO__TRY_REPORTED)
        json_outcome(t, i);
    memo__put_text(&t->w, "}");
}

static void json_head(struct telling *t)
{
    const struct memo__record *k = t->k;
    memo__put_format(&t->w, "{\"call\":\"%016llx\",\"rules_revision\":%llu,\"view_revision\":%llu", (unsigned long long)k->id, (unsigned long long)k->revision,
                     (unsigned long long)k->view_revision);
    json_text(t, "service", t->g ? t->g->name : "");
    json_text(t, "method", k->method_text);
    json_text(t, "path", k->path);
    json_text(t, "status", memo__status_name(k->status));
    json_text(t, "result", result_of(k));
    json_text(t, "view_state", memo__view_state_name(k->view_state));
    if (k->age_ms < 0)
        memo__put_text(&t->w, ",\"age_max_ms\":null");
    else
        memo__put_format(&t->w, ",\"age_max_ms\":%lld", (long long)k->age_ms);
    json_number(t, "took_ms", took_ms(k));
}

static void json_route(struct telling *t)
{
    static const char *const reasons[] = { [MEMO__ROUTE_METHOD] = "method", [MEMO__ROUTE_PATH] = "path",
                                           [MEMO__ROUTE_HEADER_ABSENT] = "header absent", [MEMO__ROUTE_HEADER_DIFFERS] = "header differs" };
    const char *header;
    const struct memo__route_rule *first = not_taken(t, &header);
    json_text(t, "route", t->route ? t->route->name : "");
    if (!first || t->k->why >= sizeof reasons / sizeof *reasons) {
        memo__put_text(&t->w, ",\"route_not_taken\":null");
        return;
    }
    memo__put_text(&t->w, ",\"route_not_taken\":{\"name\":");
    memo__put_json(&t->w, memo__text_of(first->name));
    json_text(t, "reason", reasons[t->k->why]);
    json_known(t, "header", t->k->why == MEMO__ROUTE_METHOD || t->k->why == MEMO__ROUTE_PATH ? "" : header);
    memo__put_text(&t->w, "}");
}

static void json_limit(struct telling *t)
{
    if (!t->s.limited || !t->route)
        return;
    const struct memo__limit_rule *l = &t->p->service->limits[t->s.limit];
    json_text(t, "limit", l->name);
    memo__put_format(&t->w, ",\"limit_tokens\":%u,\"limit_burst\":%llu", t->s.tokens, (unsigned long long)l->burst);
}

static void json_admit(struct telling *t)
{
    const struct memo__record *k = t->k;
    const struct memo__standing *s = &t->s;
    char path[PATH_MAX_BYTES];
    memo__put_format(&t->w, ",\"admitted\":%s,\"observed\":%s", truth(k->stopped || !memo__refused(k->status)), truth(k->would));
    json_known(t, "rule", refusing_rule(t, path, sizeof path));
    if (s->breaker) {
        json_text(t, "breaker", phases[s->phase % 3]);
        memo__put_format(&t->w, ",\"breaker_calls\":%u,\"breaker_failed\":%u,\"breaker_slow\":%u", s->calls, s->failed, s->slow);
    }
    json_limit(t);
    json_number(t, "budget", s->budget / 10.0);
    if (t->route)
        json_text(t, "balance", memo__balancer_of(t->p->service->balance.policy)->name);
    if (k->hashed)
        memo__put_format(&t->w, ",\"hash\":\"%016llx\",\"hash_drawn\":%s", (unsigned long long)k->hash, truth(k->hashed == MEMO__HASHED_DRAWN));
}

/* Who was left out when the last attempt was picked, or the call was stopped. */
static void json_left_out(struct telling *t)
{
    const struct memo__record *k = t->k;
    memo__instant at = k->stopped || !k->attempts ? k->last : instant_of(k, k->tries[k->attempts - 1].start);
    const struct memo__view_entry *e;
    uint32_t i = 0, failures;
    int64_t ago;
    char id[MEMO__NAME_MAX];
    memo__put_text(&t->w, ",\"ejected\":[");
    for (uint32_t told = 0; told < EJECTED_TOLD && (e = next_ejected(t, at, &i, &ago, &failures)); told++) {
        memo__put_format(&t->w, "%s{\"failures\":%u", told ? "," : "", failures);
        json_text(t, "endpoint", memo__view_text(t->p->view, e->id));
        json_number(t, "ago_ms", (double)ago / 1e6);
        memo__put_text(&t->w, "}");
    }
    memo__put_text(&t->w, "],\"refusing\":[");
    for (i = 0; i < refusers_told(k); i++) {
        const struct memo__refusing *r = &k->refusers[memo__record_refuser(i)];
        memo__put_format(&t->w, "%s{\"calls\":%u,\"failed\":%u,\"slow\":%u", i ? "," : "", r->calls, r->failed, r->slow);
        id_of(t, r->slot, r->generation, id, sizeof id);
        json_text(t, "endpoint", id);
        json_text(t, "breaker", phases[r->phase % 3]);
        memo__put_text(&t->w, "}");
    }
    memo__put_text(&t->w, "]");
}

static void inbound_json(struct telling *t)
{
    const struct memo__record *k = t->k;
    char path[PATH_MAX_BYTES];
    memo__put_format(&t->w, "{\"call\":\"%016llx\",\"inbound\":true,\"rules_revision\":%llu", (unsigned long long)k->id,
                     (unsigned long long)k->revision);
    json_text(t, "method", k->method_text);
    json_text(t, "path", k->path);
    json_text(t, "status", memo__status_name(k->status));
    json_text(t, "result", result_of(k));
    memo__put_format(&t->w, ",\"admitted\":false,\"observed\":%s", truth(k->would));
    json_known(t, "rule", refusing_rule(t, path, sizeof path));
    json_limit(t);
    if (t->route && by_shed(k) && t->p->shed) {
        struct memo__shed_facts f;
        memo__shed_read(t->p->shed->shared, &t->p->shed->parts, &f);
        memo__put_format(&t->w, ",\"shed_limit\":%llu", (unsigned long long)f.limit);
        json_number(t, "shed_best_ms", (double)f.best / 1e6);
    } else if (t->route && k->status == MEMO_REFUSED_OVERLOADED)
        memo__put_format(&t->w, ",\"concurrency\":%u", t->p->service->concurrency.max);
    memo__put_text(&t->w, "}");
}

static void json(struct telling *t)
{
    if (t->k->inbound) {
        inbound_json(t);
        return;
    }
    json_head(t);
    json_route(t);
    json_admit(t);
    json_left_out(t);
    memo__put_text(&t->w, ",\"attempts\":[");
    for (uint32_t i = 0; i < t->k->attempts; i++)
        json_try(t, i);
    memo__put_text(&t->w, "]}");
}

/* Of a request: the limit that refused it, which had no token. */
static void inbound_standing(struct telling *t)
{
    t->s.limited = t->route && t->k->refused_kind == MEMO__GATE_LIMIT;
    t->s.limit = t->k->refused_by;
}

/* Noted at the first trouble, else what stands now. */
static void standing(struct telling *t)
{
    if (t->k->inbound)
        inbound_standing(t);
    else if (t->k->noted)
        memo__standing_kept(t->k, t->route ? t->p : NULL, &t->s);
    else if (t->g && t->route)
        memo__standing_read(t->g, t->p, t->k, t->route, t->now, &t->s);
    else if (t->g)
        t->s.budget = memo__standing_budget(t->g);
}

memo_status memo__explain(const struct memo__record *k, const char *format, char *buf, size_t n, size_t *need)
{
    bool as_json = format && strcmp(format, "json") == 0;
    if (!k)
        return MEMO_E_STATE;
    if (!format || (!as_json && strcmp(format, "text") != 0) || (n && !buf))
        return MEMO_E_ARGUMENT;
    struct memo__record waiting; /* for its first attempt: it has not seen a view yet */
    struct telling t = { .k = k };
    memo__writer_init(&t.w, buf, n);
    struct memo__reader *r = memo__reader_enter();
    t.g = memo__directory_find(k->service, k->ticket);
    if (t.g) {
        t.p = memo__load_acquire(&t.g->plan);
        t.now = memo__now(t.g->world->host);
        if (k->phase == MEMO__CALL_READY && !k->attempts) {
            waiting = *k;
            waiting.view_state = (uint8_t)memo__load(&t.g->state);
            waiting.view_revision = t.p->view->revision;
            waiting.age_ms = memo__view_age_ms(t.p->view, memo__boot(t.g->world->host));
            t.k = k = &waiting;
        }
        t.route = t.p->rules->revision == k->revision && k->route < t.p->service->routes_count ? &t.p->service->routes[k->route] : NULL;
    }
    standing(&t);
    if (as_json)
        json(&t);
    else
        text(&t);
    memo__reader_leave(r);
    bool whole = memo__writer_end(&t.w);
    if (need)
        *need = t.w.need + 1;
    return whole ? MEMO_OK : MEMO_E_TRUNCATED;
}

memo_status memo_call_explain(const memo_call *k, const char *format, char *buf, size_t n, size_t *need)
{
    if (!k || !format)
        return MEMO_E_ARGUMENT;
    const struct memo__record *record = memo__record_read(k);
    return !record || record->phase == MEMO__CALL_ENDED ? MEMO_E_STATE : memo__explain(record, format, buf, n, need);
}
