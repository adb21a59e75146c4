/* SPDX-License-Identifier: Apache-2.0 */
/* run.c: reads the cases of tests/vectors (README.md says what they mean), tells each of them to the engine, and compares what it decided with what
 * is expected.
 *
 * Every step makes an object of what happened; `expect` is the part of it that matters. Prints TAP, so that a failing case says its step and both
 * values. */
#include <cjson/cJSON.h>
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/hash.h"
#include "door.h"
#include "engine.h"
#include "known.h"
#include "policy/shed.h"
#include "telemetry/context.h"

#define ORIGIN (INT64_C(3600000) * MEMO__S) /* time 0 of every case: 1,000 hours, a multiple of all bucket lengths */
#define CALLS_MAX 256

struct named_call { char name[32]; struct call call; };

struct story {
    struct engine engine;
    struct door door;              /* opened by the first step that needs it */
    const char *baggage_keys;
    bool trusts;
    struct named_call calls[CALLS_MAX];
    uint32_t calls_count;
    uint64_t draws;                /* the stream that steps without a draw of their own take from */
    memo__instant now;
    char wrong[512];               /* the first thing that was */
};

static bool wrong(struct story *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool wrong(struct story *s, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    if (!s->wrong[0])
        (void)vsnprintf(s->wrong, sizeof s->wrong, format, list);
    va_end(list);
    return false;
}

/* Reading */

static const char *text(const cJSON *at, const char *key, const char *otherwise)
{
    const cJSON *n = cJSON_GetObjectItemCaseSensitive(at, key);
    return cJSON_IsString(n) ? n->valuestring : otherwise;
}

static double number(const cJSON *at, const char *key, double otherwise)
{
    const cJSON *n = cJSON_GetObjectItemCaseSensitive(at, key);
    return cJSON_IsNumber(n) ? n->valuedouble : otherwise;
}

/* A number of milliseconds, or "5s". */
static bool duration_of(const cJSON *n, int64_t *ns)
{
    if (cJSON_IsString(n))
        return memo__parse_duration((struct memo__text){ n->valuestring, strlen(n->valuestring) }, ns);
    *ns = cJSON_IsNumber(n) ? (int64_t)llround(n->valuedouble * (double)MEMO__MS) : 0;
    return cJSON_IsNumber(n);
}

static int64_t duration(struct story *s, const cJSON *at, const char *key, int64_t otherwise)
{
    const cJSON *n = cJSON_GetObjectItemCaseSensitive(at, key);
    int64_t ns = otherwise;
    if (n && !duration_of(n, &ns))
        (void)wrong(s, "%s is no duration", key);
    return ns;
}

static const char *const kinds[] = { "replied", "connect-failed", "reset", "timed-out", "protocol", "cancelled", NULL };
static const char *const words[] = { "by-rules", "succeeded", "failed", "ignore", NULL };

static int32_t word(struct story *s, const cJSON *at, const char *key, const char *const *list)
{
    const char *said = text(at, key, list[0]);
    for (int32_t i = 0; list[i]; i++)
        if (strcmp(list[i], said) == 0)
            return i;
    (void)wrong(s, "%s: unknown %s", said, key);
    return 0;
}

static struct outcome read_outcome(struct story *s, const cJSON *n)
{
    return (struct outcome){ word(s, n, "kind", kinds), (int32_t)number(n, "http", 0), (int32_t)number(n, "grpc", 0), word(s, n, "verdict", words),
                             duration(s, n, "retryAfter", 0) };
}

/* Facts; "{n}" in a header's value is the number of the call. Values live in `room`. */
static void read_asked(struct story *s, const cJSON *n, uint32_t index, struct asked *out, char room[MEMO__WANTS_MAX + 1][128])
{
    const char *path = text(n, "path", "/"), *method = text(n, "method", "GET");
    int64_t inherited = duration(s, n, "inherited", -1);
    *out = (struct asked){ .method = memo__method_bit((struct memo__text){ method, strlen(method) }), .path = { path, strlen(path) }, .timeout = duration(s, n, "timeout", 0),
                           .inherited = inherited < 0 ? MEMO__NEVER : s->now + inherited };
    const char *key = text(n, "key", NULL);
    if (key) {
        const char *hole = strstr(key, "{n}");
        size_t before = hole ? (size_t)(hole - key) : strlen(key);
        (void)snprintf(room[MEMO__WANTS_MAX], 128, hole ? "%.*s%u%s" : "%.*s", (int)before, key, index, hole ? hole + 3 : "");
        out->key = (struct memo__text){ room[MEMO__WANTS_MAX], strlen(room[MEMO__WANTS_MAX]) };
    }
    const cJSON *headers = cJSON_GetObjectItemCaseSensitive(n, "headers"), *h;
    cJSON_ArrayForEach(h, headers) {
        uint32_t want = memo__wants_index(&s->engine.wants, s->engine.service, (struct memo__text){ h->string, strlen(h->string) });
        const char *value = cJSON_IsString(h) ? h->valuestring : "", *hole = strstr(value, "{n}");
        if (want >= MEMO__WANTS_MAX)
            continue;
        if (hole)
            (void)snprintf(room[want], 128, "%.*s%u%s", (int)(hole - value), value, index, hole + 3);
        else
            (void)snprintf(room[want], 128, "%s", value);
        out->values[want] = (struct memo__text){ room[want], strlen(room[want]) };
    }
}

static uint32_t endpoint_of(const struct story *s, const char *id)
{
    for (uint32_t i = 0; i < s->engine.endpoints_count; i++)
        if (strcmp(s->engine.endpoints[i].id, id) == 0)
            return i;
    return UINT32_MAX;
}

static uint32_t candidate_of(struct story *s, const struct call *c, const cJSON *id)
{
    const struct pool *p = call_pool(&s->engine, c);
    uint32_t slot = cJSON_IsString(id) ? endpoint_of(s, id->valuestring) : UINT32_MAX;
    for (uint32_t i = 0; i < p->from.count; i++)
        if (p->slots[i] == slot)
            return i;
    return UINT32_MAX;
}

/* The bits with which a choice of two among the candidates looks at these two first. */
static uint64_t draw_of_two(struct story *s, const cJSON *ids, const struct call *c)
{
    uint64_t count = call_pool(&s->engine, c)->from.count;
    uint64_t i = candidate_of(s, c, cJSON_GetArrayItem(ids, 0)), j = candidate_of(s, c, cJSON_GetArrayItem(ids, 1));
    if (cJSON_GetArraySize(ids) != 2 || i >= count || j >= count || i == j) {
        (void)wrong(s, "draw: not two different ones of the %u endpoints that can be picked", (unsigned)count);
        return 0;
    }
    uint64_t second = j > i ? j - 1 : j;
    return ((i << 32) / count + 1) << 32 | ((second << 32) / (count - 1) + 1);
}

/* "0x..": the 64 bits. A number: that share of 2^64. [a, b]: what makes a choice of two look at a and b first. Nothing: the next of the case's
 * stream. */
static uint64_t draw(struct story *s, const cJSON *step, const struct call *c)
{
    const cJSON *n = cJSON_GetObjectItemCaseSensitive(step, "draw");
    if (!n)
        return memo__draw_next(&s->draws);
    if (cJSON_IsArray(n))
        return draw_of_two(s, n, c);
    if (cJSON_IsNumber(n) && n->valuedouble >= 0 && n->valuedouble <= 1)
        return n->valuedouble >= 1 ? UINT64_MAX : (uint64_t)ldexp(n->valuedouble, 64);
    char *end = NULL;
    uint64_t bits = cJSON_IsString(n) ? strtoull(n->valuestring, &end, 16) : 0;
    if (!end || end == n->valuestring || *end)
        (void)wrong(s, "draw: neither hexadecimal nor a share from 0 to 1");
    return bits;
}

/* Comparing: is what is expected part of what was? */

static bool same_number(const cJSON *expected, double actual)
{
    int64_t ns;
    if (cJSON_IsString(expected))
        return duration_of(expected, &ns) && fabs((double)ns / (double)MEMO__MS - actual) < 1e-6;
    if (cJSON_IsArray(expected)) {
        int64_t least, most;
        return cJSON_GetArraySize(expected) == 2 && duration_of(cJSON_GetArrayItem(expected, 0), &least) && duration_of(cJSON_GetArrayItem(expected, 1), &most) &&
               actual >= (double)least / (double)MEMO__MS && actual <= (double)most / (double)MEMO__MS;
    }
    return cJSON_IsNumber(expected) && fabs(expected->valuedouble - actual) < 1e-6;
}

static bool compare(struct story *s, const char *path, const cJSON *expected, const cJSON *actual)
{
    char deeper[128];
    const cJSON *n;
    if (cJSON_IsObject(expected) && cJSON_IsObject(actual) && (expected->child || !actual->child)) { /* {} expects that there is nothing */
        cJSON_ArrayForEach(n, expected) {
            (void)snprintf(deeper, sizeof deeper, "%s%s%s", path, *path ? "." : "", n->string);
            const cJSON *there = cJSON_GetObjectItemCaseSensitive(actual, n->string);
            if (there ? !compare(s, deeper, n, there) : !wrong(s, "%s: there is no such thing", deeper))
                return false;
        }
        return true;
    }
    if (cJSON_IsNumber(actual) ? same_number(expected, actual->valuedouble) : cJSON_Compare(expected, actual, true))
        return true;
    char *wanted = cJSON_PrintUnformatted(expected), *was = cJSON_PrintUnformatted(actual);
    (void)wrong(s, "%s: expected %.200s, was %.200s", path, wanted, was);
    cJSON_free(wanted);
    cJSON_free(was);
    return false;
}

static double ms(int64_t ns) { return (double)ns / (double)MEMO__MS; }

/* Steps: each fills `was`. */

static struct call *call_named(struct story *s, const char *name)
{
    for (uint32_t i = 0; i < s->calls_count; i++)
        if (strcmp(s->calls[i].name, name) == 0)
            return &s->calls[i].call;
    if (s->calls_count == CALLS_MAX)
        return NULL;
    (void)snprintf(s->calls[s->calls_count].name, sizeof s->calls[0].name, "%s", name);
    return &s->calls[s->calls_count++].call;
}

static const char *gate_name(const struct story *s, const struct call *c, uint32_t kind, uint32_t index)
{
    static char name[MEMO__NAME_MAX + 8];
    if (kind == MEMO__GATE_LIMIT)
        (void)snprintf(name, sizeof name, "limit %s", s->engine.service->limits[c->limit_of[index]].name);
    return kind == MEMO__GATE_LIMIT ? name : kind == MEMO__GATE_BREAKER ? "breaker" : kind == MEMO__GATE_BULKHEAD ? "concurrency" : "";
}

static void told_would(const struct story *s, const struct call *c, cJSON *was)
{
    cJSON *list = cJSON_AddArrayToObject(was, "wouldRefuse");
    if (c->result.would & MEMO__GATE_BREAKER_BIT(0))
        cJSON_AddItemToArray(list, cJSON_CreateString("breaker"));
    for (uint32_t i = 0; i < MEMO__LIMITS_MAX; i++)
        if (c->result.would & MEMO__GATE_LIMIT_BIT(i))
            cJSON_AddItemToArray(list, cJSON_CreateString(gate_name(s, c, MEMO__GATE_LIMIT, i)));
    if (c->result.would & MEMO__GATE_BULKHEAD_BIT)
        cJSON_AddItemToArray(list, cJSON_CreateString("concurrency"));
}

static void step_begin(struct story *s, const cJSON *step, cJSON *was)
{
    static const char *const why[] = { "", "method", "path", "header-absent", "header-differs" };
    char room[MEMO__WANTS_MAX + 1][128];
    struct asked asked;
    struct call *c = call_named(s, text(step, "begin", ""));
    if (!c || c->open) {
        (void)wrong(s, "this call is open already, or there are too many");
        return;
    }
    read_asked(s, cJSON_GetObjectItemCaseSensitive(step, "call"), 0, &asked, room);
    int32_t status = call_begin(&s->engine, c, &asked, s->now, draw(s, step, NULL));
    const struct memo__service_rules *rules = s->engine.service;
    cJSON_AddStringToObject(was, "status", memo_status_name(status));
    cJSON_AddStringToObject(was, "route", rules->routes[c->route].name);
    cJSON_AddStringToObject(was, "refusedBy", gate_name(s, c, c->result.kind, c->result.index));
    cJSON_AddNumberToObject(was, "timeLeft", ms(c->deadline - s->now));
    cJSON *reason = cJSON_AddObjectToObject(was, "notTaken");
    if (c->why.no != MEMO__ROUTE_NONE) {
        cJSON_AddStringToObject(reason, "route", rules->routes[c->why.route].name);
        cJSON_AddStringToObject(reason, "why", why[c->why.no]);
        cJSON_AddStringToObject(reason, "header", c->why.want < rules->wants_count ? rules->wants[c->why.want] : "");
    }
    told_would(s, c, was);
}

static void step_next(struct story *s, const cJSON *step, cJSON *was)
{
    struct call *c = call_named(s, text(step, "next", ""));
    struct memo__pick p = { .other_slot = MEMO__NO_SLOT };
    int64_t timeout;
    if (!c || !c->open || c->flying || c->status != MEMO_OK || c->attempts == MEMO__ATTEMPTS_MAX) {
        (void)wrong(s, "this call is not waiting for an attempt");
        return;
    }
    uint64_t bits = draw(s, step, c);
    if (s->wrong[0])
        return;
    int32_t status = call_next(&s->engine, c, s->now, bits, &p, &timeout);
    cJSON_AddStringToObject(was, "status", memo_status_name(status));
    cJSON_AddStringToObject(was, "endpoint", status == MEMO_OK ? s->engine.endpoints[p.slot].id : "");
    cJSON_AddStringToObject(was, "other", status == MEMO_OK && p.other_slot != MEMO__NO_SLOT ? s->engine.endpoints[p.other_slot].id : "");
    cJSON_AddNumberToObject(was, "timeout", ms(timeout));
    cJSON_AddNumberToObject(was, "attempt", c->attempts);
    cJSON_AddBoolToObject(was, "panic", p.flags & MEMO__PICK_PANIC);
    cJSON_AddBoolToObject(was, "triedAgain", p.flags & MEMO__PICK_TRIED_AGAIN);
}

static const char *const verdicts[] = { "succeeded", "failed", "ignored" };
static const char *const turns[] = { "none", "opened", "closed", "reopened" };
static const char *const ejections[] = { "none", "ejected", "would-eject" };

static void step_report(struct story *s, const cJSON *step, cJSON *was)
{
    struct call *c = call_named(s, text(step, "report", ""));
    struct outcome o = read_outcome(s, cJSON_GetObjectItemCaseSensitive(step, "outcome"));
    struct told told;
    if (!c || !c->open || !c->flying) {
        (void)wrong(s, "this call has no attempt under way");
        return;
    }
    call_report(&s->engine, c, &o, s->now, draw(s, step, NULL), &told);
    cJSON_AddStringToObject(was, "verdict", verdicts[told.verdict]);
    cJSON_AddBoolToObject(was, "again", told.plan.again);
    cJSON_AddStringToObject(was, "reason", memo__retry_reason_text(told.plan.reason));
    cJSON_AddNumberToObject(was, "wait", ms(told.plan.wait));
    cJSON_AddStringToObject(was, "breaker", turns[told.turn]);
    cJSON_AddStringToObject(was, "outlier", ejections[told.ejection]);
}

static void step_end(struct story *s, const cJSON *step, cJSON *was)
{
    (void)was;
    call_end(&s->engine, call_named(s, text(step, "end", "")));
}

/* Many whole calls, one after the other. */

struct tally { uint32_t ok, failed, refused, limited, open, overloaded, no_endpoint, deadline, attempts, would_refuse, turns[4], ejected; uint32_t *picked; };

/* How an endpoint answers: `outcomes` by id, "*" for the others; a list is drawn from by share. */
static const cJSON *answer_of(struct story *s, const cJSON *step, const char *id)
{
    const cJSON *by_id = cJSON_GetObjectItemCaseSensitive(step, "outcomes"), *n = cJSON_GetObjectItemCaseSensitive(by_id, id), *one;
    if (!n)
        n = cJSON_GetObjectItemCaseSensitive(by_id, "*");
    if (!cJSON_IsArray(n))
        return n;
    double at = (double)(memo__draw_next(&s->draws) >> 11) / 9007199254740992.0;
    cJSON_ArrayForEach(one, n) {
        if (at < number(one, "share", 1) || !one->next)
            return one;
        at -= number(one, "share", 1);
    }
    return NULL;
}

/* Every endpoint has an answer, and every answer an endpoint. */
static bool answered(struct story *s, const cJSON *step)
{
    const cJSON *by_id = cJSON_GetObjectItemCaseSensitive(step, "outcomes"), *n;
    cJSON_ArrayForEach(n, by_id)
        if (strcmp(n->string, "*") != 0 && endpoint_of(s, n->string) == UINT32_MAX)
            return wrong(s, "outcomes: there is no endpoint \"%s\"", n->string);
    for (uint32_t i = 0; i < s->engine.endpoints_count && !cJSON_HasObjectItem(by_id, "*"); i++)
        if (!cJSON_GetObjectItemCaseSensitive(by_id, s->engine.endpoints[i].id))
            return wrong(s, "outcomes: none for endpoint \"%s\"", s->engine.endpoints[i].id);
    return true;
}

/* One attempt; does another follow? One that takes longer than it may is cut off then. */
static bool attempt(struct story *s, const cJSON *step, struct call *c, struct tally *t, enum memo__verdict *verdict)
{
    struct memo__pick p;
    struct told told;
    int64_t timeout;
    int32_t status = call_next(&s->engine, c, s->now, memo__draw_next(&s->draws), &p, &timeout);
    *verdict = MEMO__FAILED;
    if (status != MEMO_OK) {
        t->no_endpoint += status == MEMO_REFUSED_NO_ENDPOINT;
        t->open += status == MEMO_REFUSED_OPEN;
        t->deadline += status == MEMO_REFUSED_DEADLINE;
        return false;
    }
    t->attempts++;
    t->picked[p.slot]++;
    const cJSON *answer = answer_of(s, step, s->engine.endpoints[p.slot].id);
    struct outcome o = read_outcome(s, answer);
    int64_t latency = duration(s, answer, "latency", MEMO__MS);
    if (latency >= timeout) {
        latency = timeout;
        o = (struct outcome){ .kind = MEMO_OUTCOME_TIMED_OUT };
    }
    s->now += latency;
    call_report(&s->engine, c, &o, s->now, memo__draw_next(&s->draws), &told);
    t->turns[told.turn]++;
    t->ejected += told.ejection == MEMO__OUTLIER_EJECTED;
    *verdict = told.verdict;
    s->now += told.plan.again ? told.plan.wait : 0;
    return told.plan.again;
}

static void whole_call(struct story *s, const cJSON *step, uint32_t index, struct tally *t)
{
    char room[MEMO__WANTS_MAX + 1][128];
    struct asked asked;
    struct call c;
    enum memo__verdict verdict = MEMO__FAILED;
    read_asked(s, cJSON_GetObjectItemCaseSensitive(step, "call"), index, &asked, room);
    int32_t status = call_begin(&s->engine, &c, &asked, s->now, memo__draw_next(&s->draws));
    t->limited += status == MEMO_REFUSED_LIMITED;
    t->open += status == MEMO_REFUSED_OPEN;
    t->overloaded += status == MEMO_REFUSED_OVERLOADED;
    t->deadline += status == MEMO_REFUSED_DEADLINE;
    t->refused += status != MEMO_OK;
    t->would_refuse += c.result.would != 0;
    while (status == MEMO_OK && attempt(s, step, &c, t, &verdict))
        ;
    t->ok += status == MEMO_OK && verdict == MEMO__SUCCEEDED;
    t->failed += status == MEMO_OK && verdict == MEMO__FAILED;
    call_end(&s->engine, &c);
}

static void step_calls(struct story *s, const cJSON *step, cJSON *was)
{
    struct tally t = { .picked = calloc(s->engine.endpoints_count, sizeof(uint32_t)) };
    memo__instant from = s->now;
    int64_t every = duration(s, step, "every", 0);
    uint32_t count = answered(s, step) ? (uint32_t)number(step, "calls", 0) : 0;
    for (uint32_t i = 0; i < count && t.picked; i++) {
        if (from + i * every > s->now)
            s->now = from + i * every;
        whole_call(s, step, i, &t);
    }
    const struct { const char *name; uint32_t n; } counts[] = {
        { "ok", t.ok }, { "failed", t.failed }, { "refused", t.refused }, { "limited", t.limited }, { "open", t.open }, { "overloaded", t.overloaded },
        { "noEndpoint", t.no_endpoint }, { "deadline", t.deadline }, { "attempts", t.attempts }, { "wouldRefuse", t.would_refuse }, { "opened", t.turns[1] },
        { "closed", t.turns[2] }, { "reopened", t.turns[3] }, { "ejected", t.ejected },
    };
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        cJSON_AddNumberToObject(was, counts[i].name, counts[i].n);
    cJSON *picked = cJSON_AddObjectToObject(was, "picked");
    for (uint32_t i = 0; i < s->engine.endpoints_count && t.picked; i++)
        cJSON_AddNumberToObject(picked, s->engine.endpoints[i].id, t.picked[i]);
    free(t.picked);
}

/* What can be seen of the state, without changing it. */

static void see_breaker(struct story *s, const cJSON *step, cJSON *was)
{
    static const char *const phases[] = { "closed", "open", "half-open" };
    const char *route = text(step, "route", "default"), *id = text(step, "endpoint", NULL);
    uint32_t r = 0, slot = id ? endpoint_of(s, id) : UINT32_MAX;
    while (r < s->engine.service->routes_count - 1 && strcmp(s->engine.service->routes[r].name, route) != 0)
        r++;
    if (strcmp(s->engine.service->routes[r].name, route) != 0 || (id && slot == UINT32_MAX)) {
        (void)wrong(s, "see: there is no such route or endpoint");
        return;
    }
    struct organ_breaker *b = engine_breaker(&s->engine, r);
    struct memo__breaker *shared = b ? &b->shared : slot != UINT32_MAX ? memo__fleet_breaker(&s->engine.fleet, slot) : NULL;
    if (!shared)
        return;
    struct memo__striped parts = b ? (struct memo__striped){ (unsigned char *)&b->part, sizeof b->part, 1 } : memo__fleet_breaker_parts(&s->engine.fleet, slot);
    struct memo__breaker_facts f;
    memo__breaker_read(shared, &parts, &s->engine.service->routes[r].breaker, s->now, &f);
    cJSON *n = cJSON_AddObjectToObject(was, "breaker");
    cJSON_AddStringToObject(n, "phase", phases[f.phase]);
    cJSON_AddNumberToObject(n, "calls", f.calls);
    cJSON_AddNumberToObject(n, "failed", f.failed);
    cJSON_AddNumberToObject(n, "slow", f.slow);
}

static void see_limits(struct story *s, const cJSON *step, cJSON *was)
{
    cJSON *n = cJSON_AddObjectToObject(was, "tokens");
    const char *value = text(step, "value", "");
    for (uint32_t i = 0; i < s->engine.service->limits_count; i++) {
        struct organ_limit *l = &s->engine.limits[i];
        struct memo__striped parts = { (unsigned char *)&l->part, sizeof l->part, 1 };
        struct memo__limiter_facts f = { 0 };
        if (l->keyed)
            memo__keyed_read(l->keyed, memo__hash(0, value, strlen(value)), s->now, &f.tokens, &f.retry_after);
        else
            memo__limiter_read(&l->shared, &parts, s->now, &f);
        cJSON_AddNumberToObject(n, s->engine.service->limits[i].name, (double)f.tokens);
    }
}

static void see_door(const struct story *s, cJSON *was);

static void step_see(struct story *s, const cJSON *step, cJSON *was)
{
    struct engine *e = &s->engine;
    struct memo__striped permits = { (unsigned char *)&e->bulkhead_part, sizeof e->bulkhead_part, 1 }, deposits = { (unsigned char *)&e->budget_part, sizeof e->budget_part, 1 };
    const cJSON *about = cJSON_GetObjectItemCaseSensitive(step, "see");
    see_breaker(s, about, was);
    see_limits(s, about, was);
    see_door(s, was);
    cJSON_AddNumberToObject(was, "inFlight", (double)(e->service->concurrency.on ? memo__bulkhead_read(&e->bulkhead, &permits) : 0));
    cJSON_AddNumberToObject(was, "budget", (double)memo__budget_read(&e->budget, &deposits) / (double)MEMO__TOKEN);
    cJSON *ejected = cJSON_AddArrayToObject(was, "ejected"), *average = cJSON_AddObjectToObject(was, "average");
    for (uint32_t i = 0; i < e->endpoints_count; i++) {
        if (memo__outlier_ejected(memo__fleet_state(&e->fleet, i), s->now))
            cJSON_AddItemToArray(ejected, cJSON_CreateString(e->endpoints[i].id));
        cJSON_AddNumberToObject(average, e->endpoints[i].id, rint((double)memo__cost_load(memo__fleet_part(&e->fleet, 0, i))) / 1000);
    }
}

/* Requests that are received */

static bool opened(struct story *s)
{
    return door_open(&s->door, s->engine.rules, &s->now, s->baggage_keys, s->trusts) || wrong(s, "no memory");
}

/* What is known of a request; headers as they are given, and the time that the caller gives. */
static memo_status enter(struct story *s, memo_inbound *i, const cJSON *n, uint32_t index)
{
    memo_header headers[16];
    char room[16][256];
    memo_inbound_facts f = { .size = sizeof f, .method = text(n, "method", "GET"), .path = text(n, "path", "/"), .caller = text(n, "caller", NULL),
                             .headers = headers };
    const cJSON *h;
    f.timeout_ms = duration(s, n, "timeout", 0) / MEMO__MS;
    cJSON_ArrayForEach(h, cJSON_GetObjectItemCaseSensitive(n, "headers")) {
        const char *value = cJSON_IsString(h) ? h->valuestring : "", *hole = strstr(value, "{n}");
        if (f.headers_count == 16)
            break;
        if (hole)
            (void)snprintf(room[f.headers_count], sizeof room[0], "%.*s%u%s", (int)(hole - value), value, index, hole + 3);
        else
            (void)snprintf(room[f.headers_count], sizeof room[0], "%s", value);
        headers[f.headers_count] = (memo_header){ h->string, room[f.headers_count], 0, 0 };
        f.headers_count++;
    }
    return memo__inbound_enter(i, &s->door.governor, &s->door.world, &f);
}

/* The context, as it would go out. */
static void told_context(struct story *s, const memo_inbound *i, cJSON *was)
{
    memo_header out[4];
    char buf[512];
    uint32_t count = 0;
    (void)memo__context_inject(&i->context, s->now, buf, sizeof buf, out, 4, &count);
    cJSON *context = cJSON_AddObjectToObject(was, "context");
    for (uint32_t k = 0; k < count; k++)
        cJSON_AddStringToObject(context, out[k].name, out[k].value);
    cJSON_AddNumberToObject(context, "headers", count);
}

static uint64_t would_refuse(const struct story *s)
{
    struct memo__service_counters sum = { 0 };
    uint64_t all = 0;
    for (uint32_t k = 0; k < s->door.governor.parts.count; k++)
        memo__counters_merge(&sum, &memo__governor_part(&s->door.governor, k)->counters);
    for (size_t k = 0; k < sizeof sum.would_refuse / sizeof sum.would_refuse[0]; k++)
        all += sum.would_refuse[k];
    return all;
}

static void step_enter(struct story *s, const cJSON *step, cJSON *was)
{
    memo_inbound *i = opened(s) ? door_named(&s->door, text(step, "enter", "")) : NULL;
    memo_inbound_reply reply = { .size = sizeof reply };
    if (!i) {
        (void)wrong(s, "there are too many");
        return;
    }
    uint64_t before = would_refuse(s);
    memo_status status = enter(s, i, cJSON_GetObjectItemCaseSensitive(step, "request"), 0);
    cJSON_AddStringToObject(was, "status", memo_status_name(status));
    cJSON_AddStringToObject(was, "refusedBy", door_refused_by(&s->door, status));
    cJSON_AddNumberToObject(was, "wouldRefuse", (double)(would_refuse(s) - before));
    if (memo_inbound_get_reply(i, &reply) != MEMO_OK)
        reply.http_status = 0;
    cJSON_AddNumberToObject(was, "http", reply.http_status);
    cJSON_AddNumberToObject(was, "grpc", reply.grpc_status);
    cJSON_AddNumberToObject(was, "retryAfter", reply.retry_after_s);
    told_context(s, i, was);
}

static void left(struct story *s, memo_inbound *i, const cJSON *outcome)
{
    struct outcome o = read_outcome(s, outcome);
    memo_outcome as = { .size = sizeof as, .kind = o.kind, .http_status = o.http, .grpc_status = o.grpc, .verdict = o.word };
    memo_inbound_leave(i, &as);
}

static void step_leave(struct story *s, const cJSON *step, cJSON *was)
{
    memo_inbound *i = opened(s) ? door_named(&s->door, text(step, "leave", "")) : NULL;
    (void)was;
    if (i)
        left(s, i, cJSON_GetObjectItemCaseSensitive(step, "outcome"));
}

/* Rounds of so many at once, all of which take so long. */
static void step_requests(struct story *s, const cJSON *step, cJSON *was)
{
    uint32_t most = (uint32_t)number(step, "requests", 0), rounds = (uint32_t)number(step, "rounds", 1), ok = 0, limited = 0, overloaded = 0;
    if (!opened(s) || most > REQUESTS_MAX) {
        (void)wrong(s, "there are too many");
        return;
    }
    for (uint32_t round = 0; round < rounds; round++) {
        uint32_t in = 0;
        for (uint32_t k = 0; k < most; k++) {
            s->door.many[in].size = sizeof s->door.many[0];
            memo_status status = enter(s, &s->door.many[in], cJSON_GetObjectItemCaseSensitive(step, "request"), k);
            in += status == MEMO_OK;
            limited += status == MEMO_REFUSED_LIMITED;
            overloaded += status == MEMO_REFUSED_OVERLOADED;
        }
        ok += in;
        s->now += duration(s, step, "latency", MEMO__MS);
        while (in)
            left(s, &s->door.many[--in], cJSON_GetObjectItemCaseSensitive(step, "outcome"));
    }
    cJSON_AddNumberToObject(was, "ok", ok);
    cJSON_AddNumberToObject(was, "limited", limited);
    cJSON_AddNumberToObject(was, "overloaded", overloaded);
}

static void step_drain(struct story *s, const cJSON *step, cJSON *was)
{
    (void)step;
    (void)was;
    if (opened(s))
        s->door.world.receives = 0;
}

static void see_door(const struct story *s, cJSON *was)
{
    const struct memo__governor *g = &s->door.governor;
    struct memo__shed_facts f;
    if (!s->door.open)
        return;
    cJSON_AddNumberToObject(was, "underWay", (double)memo__governor_open_calls(g));
    if (!g->plan->shed)
        return;
    memo__shed_read(g->plan->shed->shared, &g->plan->shed->parts, &f);
    cJSON *shed = cJSON_AddObjectToObject(was, "shed");
    cJSON_AddNumberToObject(shed, "limit", (double)f.limit);
    cJSON_AddNumberToObject(shed, "underWay", (double)f.under_way);
    cJSON_AddNumberToObject(shed, "best", ms(f.best));
    cJSON_AddBoolToObject(shed, "probing", f.probing);
}

/* A case */

static const struct { const char *verb; void (*tell)(struct story *s, const cJSON *step, cJSON *was); } verbs[] = {
    { "begin", step_begin }, { "next", step_next }, { "report", step_report }, { "end", step_end }, { "calls", step_calls }, { "see", step_see },
    { "enter", step_enter }, { "leave", step_leave }, { "requests", step_requests }, { "drain", step_drain },
};

static bool tell_step(struct story *s, const cJSON *step)
{
    if (!known_step(step, s->wrong, sizeof s->wrong))
        return false;
    memo__instant at = ORIGIN + duration(s, step, "at", s->now - ORIGIN);
    cJSON *was = cJSON_CreateObject();
    const cJSON *expected = cJSON_GetObjectItemCaseSensitive(step, "expect");
    size_t i = 0;
    while (i < sizeof verbs / sizeof verbs[0] - 1 && !cJSON_GetObjectItemCaseSensitive(step, verbs[i].verb))
        i++;
    if (at < s->now)
        (void)wrong(s, "time goes back: the step before ended at %g ms", ms(s->now - ORIGIN));
    else {
        s->now = at;
        verbs[i].tell(s, step, was);
        if (!s->wrong[0] && expected)
            (void)compare(s, "", expected, was);
    }
    cJSON_Delete(was);
    return !s->wrong[0];
}

/* "endpoints": [{"id": ..., "weight": ..., "labels": {...}}], or a number of equal ones, "e0", "e1", ... */
static bool read_endpoints(struct story *s, const cJSON *list)
{
    static char ids[ENDPOINTS_MAX][16], addresses[ENDPOINTS_MAX][24];
    uint32_t count = cJSON_IsArray(list) ? (uint32_t)cJSON_GetArraySize(list) : cJSON_IsNumber(list) ? (uint32_t)list->valueint : 1;
    const cJSON *n, *l;
    if (count > ENDPOINTS_MAX || !(s->engine.endpoints = calloc(count + 1, sizeof *s->engine.endpoints)))
        return wrong(s, "too many endpoints");
    s->engine.endpoints_count = count;
    for (uint32_t i = 0; i < count; i++) {
        (void)snprintf(ids[i], sizeof ids[i], "e%u", i);
        (void)snprintf(addresses[i], sizeof addresses[i], "10.0.%u.%u:80", (i + 1) >> 8 & 255, (i + 1) & 255);
        s->engine.endpoints[i] = (struct endpoint){ .id = ids[i], .address = addresses[i], .weight = 100 };
    }
    struct endpoint *e = s->engine.endpoints;
    if (cJSON_IsArray(list))
        cJSON_ArrayForEach(n, list) {
            e->id = text(n, "id", e->id);
            e->address = text(n, "address", e->address);
            e->weight = (uint32_t)number(n, "weight", 100);
            e->joined = cJSON_HasObjectItem(n, "joined") ? ORIGIN + duration(s, n, "joined", 0) : 0;
            cJSON_ArrayForEach(l, cJSON_GetObjectItemCaseSensitive(n, "labels"))
                if (e->labels_count < sizeof e->labels / sizeof *e->labels)
                    e->labels[e->labels_count++] = (struct label){ l->string, l->valuestring };
                else
                    return wrong(s, "too many labels");
            e++;
        }
    return true;
}

static bool tell_case(struct story *s, const cJSON *c, int *step_number)
{
    const cJSON *step;
    if (!known_case(c, s->wrong, sizeof s->wrong))
        return false;
    char *rules = cJSON_Print(cJSON_GetObjectItemCaseSensitive(c, "rules"));
    s->now = ORIGIN;
    s->draws = (uint64_t)number(c, "seed", 1);
    s->baggage_keys = text(c, "baggageKeys", "");
    s->trusts = !cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(c, "trustInbound"));
    if (!text(c, "source", NULL) || !*text(c, "source", ""))
        return wrong(s, "a case names its source");
    if (!rules || !read_endpoints(s, cJSON_GetObjectItemCaseSensitive(c, "endpoints"))) {
        cJSON_free(rules);
        return wrong(s, "no rules");
    }
    const char *problem = engine_begin(&s->engine, rules, strlen(rules), text(c, "service", "todo"));
    cJSON_free(rules);
    if (problem)
        return wrong(s, "rules: %s", problem);
    cJSON_ArrayForEach(step, cJSON_GetObjectItemCaseSensitive(c, "steps")) {
        ++*step_number;
        if (!tell_step(s, step))
            return false;
    }
    return *step_number > 0 || wrong(s, "no steps");
}

static int total, failed;

static void run_case(const char *file, const cJSON *c)
{
    struct story *s = aligned_alloc(64, (sizeof *s + 63) & ~(size_t)63);
    int step = 0;
    if (!s)
        exit(EXIT_FAILURE);
    memset(s, 0, sizeof *s);
    bool good = tell_case(s, c, &step);
    printf("%sok %d - %s: %s\n", good ? "" : "not ", ++total, file, text(c, "name", "?"));
    if (!good)
        printf("    step %d: %s\n", step, s->wrong);
    failed += !good;
    door_close(&s->door);
    engine_end(&s->engine);
    free(s->engine.endpoints);
    free(s);
}

static cJSON *read_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    cJSON *json = NULL;
    long size;
    if (f && fseek(f, 0, SEEK_END) == 0 && (size = ftell(f)) >= 0 && size < 16 << 20 && fseek(f, 0, SEEK_SET) == 0) {
        char *bytes = malloc((size_t)size + 1);
        if (bytes && fread(bytes, 1, (size_t)size, f) == (size_t)size)
            json = cJSON_ParseWithLength(bytes, (size_t)size);
        free(bytes);
    }
    if (f)
        (void)fclose(f);
    return json;
}

static void run_file(const char *path)
{
    const char *file = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    cJSON *json = read_file(path), *cases = cJSON_GetObjectItemCaseSensitive(json, "cases"), *c;
    char why[512] = "no file of vectors, or one without cases";
    if (number(json, "memo-vectors", 0) != 1 || !known_file(json, why, sizeof why) || cJSON_GetArraySize(cases) == 0) {
        printf("not ok %d - %s: %s\n", ++total, file, why);
        failed++;
    }
    cJSON_ArrayForEach(c, cases)
        run_case(file, c);
    cJSON_Delete(json);
}

static int is_json(const struct dirent *d)
{
    const char *end = strrchr(d->d_name, '.');
    return end && strcmp(end, ".json") == 0;
}

/* Files to run, or all of tests/vectors. */
int main(int argc, char **argv)
{
    char path[4096];
    struct dirent **names;
    const char *top = getenv("top_srcdir");
    for (int i = 1; i < argc; i++)
        run_file(argv[i]);
    if (argc == 1) {
        (void)snprintf(path, sizeof path, "%s/tests/vectors", top ? top : ".");
        int n = scandir(path, &names, is_json, alphasort);
        for (int i = 0; i < n; i++) {
            (void)snprintf(path, sizeof path, "%s/tests/vectors/%s", top ? top : ".", names[i]->d_name);
            run_file(path);
            free(names[i]);
        }
        if (n >= 0)
            free(names);
    }
    printf("1..%d\nfigure vector_cases %d cases\n", total, total - failed);
    return failed || total == 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
