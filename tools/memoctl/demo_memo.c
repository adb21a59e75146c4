/* SPDX-License-Identifier: Apache-2.0 */
/* demo_memo.c: memo_http_perform, and then the record, read as any program could read it: who was asked, what came of it. */
#include "demo_memo.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/atomic.h"
#include "base/instant.h"
#include "base/json.h"

#define CANARY_EVERY 4

void memo_side_init(struct memo_side *m)
{
    pthread_mutex_init(&m->shown.lock, NULL);
    m->canary_from = INT64_MAX;
}

void memo_side_fini(struct memo_side *m)
{
    pthread_mutex_destroy(&m->shown.lock);
}

void memo_side_want(struct memo_side *m, enum want w)
{
    pthread_mutex_lock(&m->shown.lock);
    m->shown.want = w;
    memo__store(&m->shown.score, 0);
    m->shown.text[0] = m->shown.json[0] = 0;
    pthread_mutex_unlock(&m->shown.lock);
}

void memo_side_shown(struct memo_side *m, char *text, size_t text_n, char *json, size_t json_n)
{
    pthread_mutex_lock(&m->shown.lock);
    snprintf(text, text_n, "%s", m->shown.text);
    snprintf(json, json_n, "%s", m->shown.json);
    pthread_mutex_unlock(&m->shown.lock);
}

static bool is_wanted(enum want w, memo_status s, const struct call_result *r)
{
    switch (w) {
    case WANT_RETRIED:
        return r->attempts_all > 1 && r->end == CALL_OK;
    case WANT_OPEN:
        return s == MEMO_REFUSED_OPEN;
    case WANT_LIMITED:
        return s == MEMO_REFUSED_LIMITED;
    case WANT_CANARY:
        return r->canary;
    case WANT_FAILED:
        return r->end == CALL_FAILED;
    default:
        return true;
    }
}

/* The first wanted call is kept; until it comes, the first of any kind. */
static void show(struct memo_side *m, memo_status s, const struct call_result *r, const memo_http_reply *reply)
{
    if (memo__load(&m->shown.score) == 2)
        return;
    pthread_mutex_lock(&m->shown.lock);
    int score = is_wanted(m->shown.want, s, r) ? 2 : 1;
    if (score > m->shown.score && memo_http_reply_explain(reply, "text", m->shown.text, sizeof(m->shown.text), NULL) == MEMO_OK &&
        memo_http_reply_explain(reply, "json", m->shown.json, sizeof(m->shown.json), NULL) == MEMO_OK)
        memo__store(&m->shown.score, score);
    pthread_mutex_unlock(&m->shown.lock);
}

static bool is_text(const struct memo__json *j, const struct memo__json_node *object, const char *key, const char *value)
{
    const struct memo__json_node *n = memo__json_find(j, object, key);
    return n && n->type == MEMO__JSON_TEXT && memo__text_is(memo__json_text(j, n), value);
}

struct account { uint32_t sent, maybe; }; /* for the books */

/* One attempt of a record: to whom, and was it sent? A refused connection carried nothing; one that broke may not have been read. */
static void read_attempt(const struct memo__json *j, const struct memo__json_node *n, struct call_result *r, struct account *sum)
{
    const struct memo__json_node *id = memo__json_find(j, n, "endpoint");
    int instance = id && id->type == MEMO__JSON_TEXT ? book_instance_find(memo__json_text(j, id)) : -1;
    r->attempts_all++;
    if (instance >= 0)
        r->attempts[instance]++;
    if (is_text(j, n, "outcome", "connect failed"))
        return;
    sum->sent++;
    sum->maybe += is_text(j, n, "outcome", "reset");
}

static bool read_record(const memo_http_reply *reply, struct call_result *r, struct account *sum)
{
    char text[8192];
    size_t need = 0;
    struct memo__json_options o = { .comments = false };
    struct memo__json *j;
    if (memo_http_reply_explain(reply, "json", text, sizeof(text), &need) != MEMO_OK)
        return false;
    if (memo__json_parse(&memo__alloc_libc, (struct memo__text){ text, need - 1 }, &o, &j, NULL) != MEMO_OK)
        return false;
    const struct memo__json_node *attempts = memo__json_find(j, memo__json_root(j), "attempts");
    bool good = attempts && attempts->type == MEMO__JSON_ARRAY;
    for (const struct memo__json_node *n = good ? memo__json_first(j, attempts) : NULL; n; n = memo__json_next(j, n))
        read_attempt(j, n, r, sum);
    memo__json_free(j);
    return good;
}

static enum call_end end_of(memo_status s, int32_t http)
{
    if (s == MEMO_REFUSED_LIMITED)
        return CALL_LIMITED;
    if (s == MEMO_REFUSED_OPEN)
        return CALL_OPEN;
    if (memo_status_refused(s))
        return CALL_REFUSED;
    return s == MEMO_OK && http < 500 ? CALL_OK : CALL_FAILED;
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * MEMO__S + t.tv_nsec;
}

/* A reply is kept for each worker: its memory is used again, as a careful program would. */
static memo_http_reply *reply_of(struct pool_worker *w)
{
    if (!w->own) {
        memo_http_reply *r = calloc(1, sizeof(*r));
        if (r)
            r->size = sizeof(*r);
        w->own = r;
    }
    return w->own;
}

void memo_side_leave(struct pool_worker *w)
{
    memo_http_reply_fini(w->own);
    free(w->own);
    w->own = NULL;
}

void memo_side_call(struct pool_worker *w, uint64_t call, void *user)
{
    struct memo_side *m = user;
    struct call_result r = { .end = CALL_FAILED };
    struct account sum = { 0, 0 };
    char path[32], id[32];
    memo_header headers[2] = { { .name = BOOK_HEADER, .value = id }, { .name = "x-canary", .value = "1" } };
    memo_http_reply *reply = reply_of(w);
    bool canary = memo__load(&m->canary) && call % CANARY_EVERY == 0;
    memo_http_request q = { .size = sizeof(q), .path = path, .headers = headers, .headers_count = canary ? 2 : 1 };
    if (!reply)
        return;
    snprintf(path, sizeof(path), "/todos/%llu", (unsigned long long)call % 1000);
    snprintf(id, sizeof(id), "memo-%llu", (unsigned long long)call);
    int64_t begun = now_ns();
    memo_status s = memo_http_perform(m->service, &q, reply, NULL);
    r.us = (uint32_t)((now_ns() - begun) / MEMO__US);
    r.end = end_of(s, reply->status);
    r.canary = canary && begun >= memo__load(&m->canary_from);
    if (!read_record(reply, &r, &sum))
        memo__fetch_add(&m->unread, 1);
    book_send(m->book, SIDE_MEMO, call, sum.sent, sum.maybe);
    show(m, s, &r, reply);
    tally_add(m->tally, &r);
}
