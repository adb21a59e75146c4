/* SPDX-License-Identifier: Apache-2.0 */
/* explain.c: a record as a table of moments, and as JSON.
 *
 *   call 4f1c  todo GET /todos/7   200 in 26.2 ms, 2 attempts    rules r42   view r1187 live, age <= 0.4 s
 *     0.00 route   default     canary not taken: header x-canary absent
 *     0.00 admit   yes         breaker closed 3/97 failed (opens 50%), limit all 212/500, budget 9.2
 *     0.00 pick    v1b         score 5.1; v2 9.8; v1a ejected 12 s ago: 5 failures
 *     4.31 reset -> retry      GET, budget 8.2, wait 17 ms   [services.todo.retry]
 *    21.40 pick    v2          v1b just tried
 */
#include "call/explain.h"
#include <stdio.h>
#include <string.h>
#include "base/status.h"
#include "base/text.h"
#include "call/call.h"
#include "call/directory.h"

#define EJECTED_TOLD 4 /* endpoints named as ejected in one line */

struct telling {
    struct memo__writer w;
    const struct memo__record *k;
    const struct memo__governor *g;   /* NULL: the service is gone */
    const struct memo__plan *p;
    const struct memo__route_rule *route; /* NULL: the rules have changed */
    memo__instant now;
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

/* What the facts were: noted at the first trouble, else what stands now. */
struct standing { uint32_t calls, bad, tokens, phase; double budget; uint64_t burst; const char *limit; bool breaker, limited; };

static void standing(const struct telling *t, struct standing *s)
{
    const struct memo__record *k = t->k;
    *s = (struct standing){ .calls = k->breaker_calls, .bad = k->breaker_bad, .tokens = k->limit_left, .phase = k->breaker_phase, .budget = k->budget / 10.0, .breaker = k->breaker != 0 };
    const struct memo__gate *gate = t->route ? &t->p->gates[t->route - t->p->service->routes] : NULL;
    for (uint32_t i = 0; gate && i < gate->limits_count && !s->limited; i++) {
        bool refusing = k->refused_kind == MEMO__GATE_LIMIT;
        if (refusing ? gate->limits[i].rule != &t->p->service->limits[k->refused_by] : !gate->limits[i].limiter)
            continue;
        s->limited = true;
        s->limit = gate->limits[i].rule->name;
        s->burst = gate->limits[i].rule->burst;
        if (!k->noted && gate->limits[i].limiter) {
            struct memo__limiter_facts f;
            memo__limiter_read(gate->limits[i].limiter, &gate->limits[i].parts, t->now, &f);
            s->tokens = (uint32_t)f.tokens;
        }
    }
    struct memo__organ *o = k->breaker && t->p && !k->noted ? memo__plan_organ(t->p, k->breaker) : NULL;
    if (o && t->route) {
        struct memo__breaker_facts f;
        memo__breaker_read(o->shared, &o->parts, &t->route->breaker, t->now, &f);
        s->calls = f.calls;
        s->bad = f.failed > f.slow ? f.failed : f.slow;
        s->phase = (uint32_t)f.phase;
    }
    if (!k->noted && t->g)
        s->budget = (double)memo__budget_read(&t->g->budget, &t->g->budget_parts) / (double)MEMO__TOKEN;
}

/* Text. */

static void line(struct telling *t, double ms, const char *what, const char *which)
{
    memo__put_text(&t->w, "\n");
    put_number(t, ms, 2, 6);
    memo__put_format(&t->w, " %-7s %-11s ", what, which);
}

static void text_head(struct telling *t)
{
    const struct memo__record *k = t->k;
    memo__put_format(&t->w, "call %04x  %s %s %s   ", (unsigned)(k->id & 0xffff), t->g ? t->g->name : "(service gone)", k->method_text[0] ? k->method_text : "-", k->path);
    const struct memo__try *last = k->attempts ? &k->tries[k->attempts - 1] : NULL;
    if (k->status)
        memo__put_format(&t->w, "%s", memo__status_name(k->status));
    else if (last && last->flags & MEMO__TRY_REPORTED && last->kind == MEMO_OUTCOME_REPLIED)
        memo__put_format(&t->w, "%d", last->http);
    else if (last)
        memo__put_text(&t->w, last->flags & MEMO__TRY_REPORTED ? outcomes[last->kind] : "under way");
    else
        memo__put_text(&t->w, "not sent yet");
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

static void text_route(struct telling *t)
{
    const struct memo__record *k = t->k;
    const struct memo__service_rules *s = t->route ? t->p->service : NULL;
    line(t, 0, "route", t->route ? t->route->name : "(rules changed)");
    if (!s || !k->why || k->why_route >= s->routes_count)
        return;
    const struct memo__route_rule *first = &s->routes[k->why_route];
    const char *header = k->why_want < s->wants_count ? s->wants[k->why_want] : "?";
    memo__put_format(&t->w, "%s not taken: ", first->name);
    if (k->why == MEMO__ROUTE_METHOD)
        memo__put_format(&t->w, "method %s", k->method_text[0] ? k->method_text : "unknown");
    else if (k->why == MEMO__ROUTE_PATH)
        memo__put_format(&t->w, "path is not %s%s", first->when.path, first->when.path_match == MEMO__PATH_PREFIX ? "*" : "");
    else
        memo__put_format(&t->w, "header %s %s", header, k->why == MEMO__ROUTE_HEADER_ABSENT ? "absent" : "differs");
}

static void text_admit(struct telling *t)
{
    const struct memo__record *k = t->k;
    struct standing s;
    standing(t, &s);
    bool refused = memo__refused(k->status) && !k->stopped;
    line(t, 0, "admit", refused ? "no" : k->would ? "observed" : "yes");
    if (refused)
        memo__put_format(&t->w, "%s: ", memo__status_name(k->status));
    const char *comma = "";
    if (s.breaker) {
        memo__put_format(&t->w, "breaker %s %u/%u failed", phases[s.phase % 3], s.bad, s.calls);
        if (t->route && t->route->breaker.failed)
            memo__put_format(&t->w, " (opens %u%%)", t->route->breaker.failed / 10000);
        if (k->probe)
            memo__put_text(&t->w, ", as a probe");
        comma = ", ";
    }
    if (s.limited) {
        memo__put_format(&t->w, "%slimit %s %u/%llu", comma, s.limit, s.tokens, (unsigned long long)s.burst);
        comma = ", ";
    }
    if (k->status == MEMO_REFUSED_OVERLOADED && t->p) {
        memo__put_format(&t->w, "%sconcurrency %u reached", comma, t->p->service->concurrency.max);
        comma = ", ";
    }
    memo__put_format(&t->w, "%sbudget ", comma);
    put_number(t, s.budget, 1, 0);
    if (k->would)
        memo__put_text(&t->w, "; would have been refused, but it is only observed");
}

/* Those that were ejected when this attempt was picked. */
static void text_ejected(struct telling *t, memo__instant at)
{
    uint32_t told = 0;
    for (uint32_t i = 0; t->p && t->g && i < t->p->view->count && told < EJECTED_TOLD; i++) {
        const struct memo__view_entry *e = &t->p->view->entries[i];
        const struct memo__endpoint_state *s = memo__fleet_state(&t->g->fleet, e->slot);
        memo__instant from = memo__load(&s->ejected_at), until = memo__load(&s->ejected_until);
        if (!until || at < from || at >= until)
            continue;
        told++;
        memo__put_format(&t->w, "; %s ejected %lld s ago: %u failures", memo__view_text(t->p->view, e->id), (long long)(memo__since(at, from) / MEMO__S),
                         memo__load(&s->ejected_failures));
    }
}

static void put_score(struct telling *t, const char *before, float score)
{
    memo__put_text(&t->w, before);
    put_number(t, (double)score, 1, 0);
}

static void text_try(struct telling *t, uint32_t i)
{
    const struct memo__try *y = &t->k->tries[i];
    char id[MEMO__NAME_MAX];
    id_of(t, y->slot, y->generation, id, sizeof id);
    line(t, ms_of(y->start), "pick", id);
    if (y->score > 0)
        put_score(t, "score ", y->score);
    if (y->flags & MEMO__TRY_OTHER) {
        memo__put_text(&t->w, "; ");
        put_id(t, y->other_slot, y->other_generation);
        put_score(t, " ", y->other_score);
    }
    for (uint32_t j = 0; j < i; j++) {
        memo__put_text(&t->w, y->score > 0 || j ? "; " : "");
        put_id(t, t->k->tries[j].slot, t->k->tries[j].generation);
        memo__put_text(&t->w, " just tried");
    }
    if (y->flags & MEMO__TRY_AGAIN)
        memo__put_text(&t->w, "; tried again: nothing else is left");
    if (y->flags & MEMO__TRY_PANIC)
        memo__put_text(&t->w, "; panic: too few are pickable, ejection is ignored");
    text_ejected(t, memo__after(t->k->begun, (int64_t)y->start * MEMO__TICK));
}

static void outcome_text(const struct memo__try *y, char *buf, size_t n)
{
    if (y->kind == MEMO_OUTCOME_REPLIED && y->grpc > 0)
        (void)snprintf(buf, n, "grpc %d", y->grpc);
    else if (y->kind == MEMO_OUTCOME_REPLIED)
        (void)snprintf(buf, n, "%d", y->http);
    else
        (void)snprintf(buf, n, "%s", outcomes[y->kind]);
}

static void text_outcome(struct telling *t, uint32_t i)
{
    const struct memo__record *k = t->k;
    const struct memo__try *y = &k->tries[i];
    char what[32], both[64];
    if (!(y->flags & MEMO__TRY_REPORTED))
        return;
    bool retried = y->again == MEMO__RETRY_YES;
    if (!retried && !(y->flags & MEMO__TRY_FAILED))
        return;
    outcome_text(y, what, sizeof what);
    (void)snprintf(both, sizeof both, "%s -> %s", what, retried ? "retry" : "end");
    memo__put_text(&t->w, "\n");
    put_number(t, ms_of(y->end), 2, 6);
    memo__put_format(&t->w, " %-19s ", both);
    double left = (double)memo__since(k->deadline, memo__after(k->begun, (int64_t)y->end * MEMO__TICK)) / 1e6;
    if (retried)
        memo__put_format(&t->w, "%s, %lld ms left, budget %u.%u, wait %u ms", k->method_text[0] ? k->method_text : "-", (long long)left, k->budget / 10, k->budget % 10, y->wait_ms);
    else
        memo__put_format(&t->w, "no retry: %s, %lld ms left", memo__retry_reason_text((enum memo__retry_reason)y->again), (long long)left);
    if (t->p)
        memo__put_format(&t->w, "   [%s%s.retry]", t->p->service->name[0] ? "services." : "defaults", t->p->service->name);
}

static void text(struct telling *t)
{
    text_head(t);
    if (t->k->status != MEMO_REFUSED_NOT_READY)
        text_route(t);
    text_admit(t);
    for (uint32_t i = 0; i < t->k->attempts; i++) {
        text_try(t, i);
        text_outcome(t, i);
    }
    if (t->k->stopped)
        line(t, took_ms(t->k), "stop", memo__status_name(t->k->status));
    memo__put_text(&t->w, "\n");
}

/* JSON: the same facts, with units in the names. */

static void json_text(struct telling *t, const char *key, const char *value)
{
    memo__put_format(&t->w, ",\"%s\":", key);
    memo__put_json(&t->w, memo__text_of(value));
}

static void json_number(struct telling *t, const char *key, double value)
{
    memo__put_format(&t->w, ",\"%s\":", key);
    put_number(t, value, 3, 0);
}

static void json_try(struct telling *t, uint32_t i)
{
    const struct memo__try *y = &t->k->tries[i];
    char id[MEMO__NAME_MAX];
    id_of(t, y->slot, y->generation, id, sizeof id);
    memo__put_format(&t->w, "%s{\"number\":%u", i ? "," : "", i + 1);
    json_number(t, "start_ms", ms_of(y->start));
    json_text(t, "endpoint", id);
    if (y->score > 0)
        json_number(t, "score", (double)y->score);
    if (y->flags & MEMO__TRY_OTHER) {
        id_of(t, y->other_slot, y->other_generation, id, sizeof id);
        json_text(t, "other", id);
        json_number(t, "other_score", (double)y->other_score);
    }
    memo__put_format(&t->w, ",\"panic\":%s,\"tried_again\":%s", y->flags & MEMO__TRY_PANIC ? "true" : "false", y->flags & MEMO__TRY_AGAIN ? "true" : "false");
    if (y->flags & MEMO__TRY_REPORTED) {
        json_text(t, "outcome", outcomes[y->kind]);
        json_number(t, "end_ms", ms_of(y->end));
        memo__put_format(&t->w, ",\"http_status\":%d,\"grpc_status\":%d,\"failed\":%s,\"retried\":%s,\"wait_ms\":%u", y->http, y->grpc,
                         y->flags & MEMO__TRY_FAILED ? "true" : "false", y->again == MEMO__RETRY_YES ? "true" : "false", y->wait_ms);
        json_text(t, "retry_reason", memo__retry_reason_text((enum memo__retry_reason)y->again));
    }
    memo__put_text(&t->w, "}");
}

static void json(struct telling *t)
{
    const struct memo__record *k = t->k;
    struct standing s;
    standing(t, &s);
    memo__put_format(&t->w, "{\"call\":\"%016llx\",\"rules_revision\":%llu,\"view_revision\":%llu", (unsigned long long)k->id, (unsigned long long)k->revision,
                     (unsigned long long)k->view_revision);
    json_text(t, "service", t->g ? t->g->name : "");
    json_text(t, "method", k->method_text);
    json_text(t, "path", k->path);
    json_text(t, "status", memo__status_name(k->status));
    json_text(t, "view_state", memo__view_state_name(k->view_state));
    json_text(t, "route", t->route ? t->route->name : "");
    json_number(t, "took_ms", took_ms(k));
    memo__put_format(&t->w, ",\"admitted\":%s,\"observed\":%s", k->stopped || !memo__refused(k->status) ? "true" : "false", k->would ? "true" : "false");
    if (s.breaker) {
        json_text(t, "breaker", phases[s.phase % 3]);
        memo__put_format(&t->w, ",\"breaker_calls\":%u,\"breaker_failed\":%u", s.calls, s.bad);
    }
    if (s.limited) {
        json_text(t, "limit", s.limit);
        memo__put_format(&t->w, ",\"limit_tokens\":%u,\"limit_burst\":%llu", s.tokens, (unsigned long long)s.burst);
    }
    json_number(t, "budget", s.budget);
    memo__put_text(&t->w, ",\"attempts\":[");
    for (uint32_t i = 0; i < k->attempts; i++)
        json_try(t, i);
    memo__put_text(&t->w, "]}");
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
