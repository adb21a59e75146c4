/* SPDX-License-Identifier: Apache-2.0 */
/* admin.c: see admin.h. */
#define _GNU_SOURCE
#include "client/admin.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/status.h"
#include "base/text.h"
#include "call/explain.h"
#include "client/client.h"
#include "client/engine.h"
#include "net/httpd.h"

#define LAST_MOST 1024
#define RECORD_BYTES 16384 /* one rendered record */

struct memo__admin {
    struct memo__engine *engine;
    memo_client *client;         /* whose name and settings made the socket; NULL once it is gone */
    struct memo__httpd *httpd;
    char path[108], setting[108], name[MEMO__NAME_MAX];
    bool too_long;               /* the setting is more than fits */
};

struct text { struct memo__alloc alloc; char *at; size_t n, room; bool failed; };

static void add(struct text *t, const char *bytes, size_t n)
{
    if (t->failed || !n)
        return;
    if (t->n + n + 1 > t->room) {
        size_t room = (t->n + n + 1) * 2;
        char *at = memo__resize(&t->alloc, t->at, room);
        if (!at) {
            t->failed = true;
            return;
        }
        t->at = at;
        t->room = room;
    }
    memcpy(t->at + t->n, bytes, n);
    t->n += n;
    t->at[t->n] = '\0';
}

static void add_visitor(const char *bytes, size_t n, void *user)
{
    add(user, bytes, n);
}

/* The value of a key in "a=1&b=2", or the empty text. */
static struct memo__text query(struct memo__text q, const char *key)
{
    size_t n = strlen(key);
    for (const char *at = q.at, *end = q.at + q.n; at && at < end;) {
        const char *amp = memchr(at, '&', (size_t)(end - at));
        size_t length = amp ? (size_t)(amp - at) : (size_t)(end - at);
        if (length > n && memcmp(at, key, n) == 0 && at[n] == '=')
            return (struct memo__text){ at + n + 1, length - n - 1 };
        at += length + 1;
    }
    return (struct memo__text){ "", 0 };
}

/* Newest first, over all clients: each ring has its own order, which is what a reader wants to see of each. */
static void explain(struct memo__admin *a, struct memo__text q, struct text *out, bool json)
{
    uint64_t last = 1;
    char one[RECORD_BYTES];
    struct memo__record record;
    struct memo__text wanted = query(q, "last");
    if (wanted.n && !memo__parse_u64(wanted, LAST_MOST, &last))
        last = LAST_MOST;
    add(out, json ? "[" : "", json ? 1 : 0);
    for (memo_client *c = a->engine->clients; c; c = c->next) {
        for (uint32_t i = 0; i < last && i < c->world.ring.count; i++) {
            if (!memo__ring_get(&c->world.ring, i, &record) || memo__explain(&record, json ? "json" : "text", one, sizeof one, NULL) != MEMO_OK)
                continue;
            if (json && out->n > 1)
                add(out, ",", 1);
            add(out, one, strlen(one));
            add(out, "\n", 1);
        }
    }
    add(out, json ? "]\n" : "", json ? 2 : 0);
}

static void on_request(struct memo__httpd_request *r, void *user)
{
    struct memo__admin *a = user;
    struct text out = { .alloc = a->engine->alloc };
    struct memo__text path = memo__httpd_path(r), q = memo__httpd_query(r);
    bool json = memo__text_is(query(q, "format"), "json"), known = true;
    if (!memo__text_is(memo__httpd_method(r), "GET")) {
        memo__httpd_reply_text(r, 405, "text/plain", "only GET: nothing can be changed here\n");
        return;
    }
    if (memo__text_is(path, "/explain"))
        explain(a, q, &out, json);
    else if (memo__text_is(path, "/metrics"))
        out.failed = memo__metrics_write_all(a->engine, add_visitor, &out) != MEMO_OK || out.failed;
    else
        known = false;
    if (!known)
        memo__httpd_reply_text(r, 404, "text/plain", "there are /explain?last=N&format=text|json and /metrics\n");
    else
        memo__httpd_reply_text(r, out.failed ? 503 : 200, json ? "application/json" : "text/plain; charset=utf-8", out.at && !out.failed ? out.at : "");
    memo__drop(&out.alloc, out.at);
}

/* $XDG_RUNTIME_DIR/memo, else /run/memo; made if it is not there. */
static bool directory(char *buf, size_t n)
{
    const char *runtime = secure_getenv("XDG_RUNTIME_DIR");
    int used = snprintf(buf, n, "%s/memo", runtime && runtime[0] == '/' ? runtime : "/run");
    return used > 0 && (size_t)used < n && (mkdir(buf, 0700) == 0 || errno == EEXIST);
}

static bool path_of(struct memo__admin *a)
{
    char where[80];
    if (a->setting[0])
        return memo__text_copy(a->path, sizeof a->path, memo__text_of(a->setting)) && !a->too_long;
    if (!directory(where, sizeof where))
        return false;
    int used = snprintf(a->path, sizeof a->path, "%s/%.40s-%d.sock", where, a->name, (int)getpid());
    return used > 0 && (size_t)used < sizeof a->path;
}

static memo_status listen_here(struct memo__admin *a)
{
    memo_error wrong = MEMO_INIT(memo_error);
    struct memo__httpd_options o = { .connections = 8, .body_bytes = 1 };
    memo_status s = memo__httpd_new(&a->engine->alloc, a->engine->loop, &o, on_request, a, &a->httpd);
    if (s != MEMO_OK)
        return s;
    if (!path_of(a))
        (void)memo__fail(&wrong, s = MEMO_E_SETTING, "there is no directory for it, or its path is longer than %zu bytes", sizeof a->path - 1);
    else
        s = memo__httpd_listen_unix(a->httpd, a->path, 0600, &wrong);
    if (s != MEMO_OK) {
        memo__client_log(a->client, MEMO_LOG_INFO, "admin socket %s: %s; memoctl explain --last cannot ask this process", a->path, wrong.message);
        memo__httpd_free(a->httpd);
        a->httpd = NULL;
    }
    return MEMO_OK;
}

memo_status memo__admin_open(struct memo__engine *g, memo_client *c, struct memo__admin **out, memo_error *e)
{
    const char *where = memo__setting_text(&c->settings, MEMO__SETTING_ADMIN_SOCKET), *name = memo__setting_text(&c->settings, MEMO__SETTING_SERVICE_NAME);
    (void)e;
    if (strcmp(where, "none") == 0)
        return MEMO_OK;
    struct memo__admin *a = memo__get(&g->alloc, sizeof *a);
    if (!a)
        return MEMO_E_NO_MEMORY;
    a->engine = g;
    a->client = c;
    a->too_long = !memo__text_copy(a->setting, sizeof a->setting, memo__text_of(where));
    (void)memo__text_copy(a->name, sizeof a->name, memo__text_of(name[0] ? name : program_invocation_short_name));
    for (char *at = a->name; *at; at++)
        if (*at == '/')
            *at = '_';
    memo_status s = listen_here(a);
    if (s != MEMO_OK) {
        memo__drop(&g->alloc, a);
        return s;
    }
    *out = a;
    return MEMO_OK;
}

void memo__admin_client_gone(struct memo__admin *a, memo_client *c)
{
    if (a && a->client == c)
        a->client = NULL;
}

void memo__admin_free(struct memo__admin *a)
{
    if (!a)
        return;
    struct memo__alloc alloc = a->engine->alloc;
    memo__httpd_free(a->httpd);
    memo__drop(&alloc, a);
}

void memo__admin_after_fork(struct memo__admin *a)
{
    if (!a || !a->httpd)
        return;
    memo__httpd_after_fork(a->httpd);
    memo__httpd_free(a->httpd);
    a->httpd = NULL;
    if (!a->setting[0] && a->client)
        (void)listen_here(a);
}
