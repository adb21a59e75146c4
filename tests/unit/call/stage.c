/* SPDX-License-Identifier: Apache-2.0 */
/* stage.c: see stage.h. */
#include "stage.h"
#include <stdio.h>
#include <stdlib.h>
#include "base/process.h"

static memo__instant on_now(void *user)
{
    return ((struct stage *)user)->now;
}

static memo__instant on_boot(void *user)
{
    return ((struct stage *)user)->boot;
}

static int on_random(void *user, void *bytes, size_t n)
{
    (void)user;
    memset(bytes, 7, n);
    return 0;
}

static void on_turned(struct memo__world *w, const struct memo__turn *t)
{
    struct stage *s = w->user;
    struct stage_turn *n = &s->turns[s->turns_count++ % TURNS];
    *n = (struct stage_turn){ .kind = t->kind, .status = t->status };
    (void)snprintf(n->service, sizeof n->service, "%s", t->service);
    (void)snprintf(n->subject, sizeof n->subject, "%s", t->subject);
    (void)snprintf(n->text, sizeof n->text, "%s", t->text);
}

static struct stage *stage_of_world(struct memo__world *w)
{
    return w->user;
}

static struct stage *here; /* retire has no user: one stage at a time */

static void on_retire(struct memo__retired *r, void (*release)(struct memo__retired *r))
{
    struct memo__retired **at = &here->retired;
    while (*at)
        at = &(*at)->next;
    r->release = release;
    r->next = NULL;
    *at = r;
    if (!here->hold)
        stage_release(here);
}

void stage_release(struct stage *s)
{
    bool hold = s->hold;
    s->hold = true; /* what comes of it waits for its own turn below */
    while (s->retired) {
        struct memo__retired *r = s->retired;
        s->retired = r->next;
        r->release(r);
    }
    s->hold = hold;
}

static void on_finding(void *user, const struct memo__finding *f)
{
    (void)user;
    (void)fprintf(stderr, "%d:%d %s: %s\n", (int)f->line, (int)f->column, f->path, f->message);
}

struct memo__rules *stage_compile(struct stage *s, const char *text)
{
    struct memo__rules *r = NULL;
    memo_status status = memo__rules_compile(&s->memory.alloc, text, text ? strlen(text) : 0, on_finding, NULL, &r);
    ck_assert_msg(status == MEMO_OK, "the rules of a test are not valid: %s", text);
    r->refs = 1;
    r->revision = ++s->rules_revision;
    return r;
}

void stage_begin(struct stage *s, const char *rules)
{
    memset(s, 0, sizeof *s);
    here = s;
    failing_init(&s->memory, 0, false);
    s->now = 1000 * S;
    s->boot = 5000 * S;
    s->host = memo__host_linux;
    s->host.now = on_now;
    s->host.boot = on_boot;
    s->host.random = on_random;
    s->host.user = s;
    s->world = (struct memo__world){ .alloc = &s->memory.alloc, .host = &s->host, .admits = 1, .process = memo__process_number, .turned = on_turned, .retire = on_retire, .user = s };
    ck_assert_ptr_eq(stage_of_world(&s->world), s);
    ck_assert_int_eq(memo__ring_init(&s->memory.alloc, &s->world.ring, 16), MEMO_OK);
    s->rules = stage_compile(s, rules);
    s->service = memo__get_lines(&s->memory.alloc, sizeof *s->service);
    s->g = &s->service->governor;
    ck_assert_int_eq(memo__governor_init(s->g, &s->world, "todo", s->rules), MEMO_OK);
}

void stage_end(struct stage *s)
{
    s->hold = false;
    memo__governor_leave(s->g);
    stage_release(s);
    memo__governor_fini(s->g);
    memo__drop_lines(&s->memory.alloc, s->service);
    memo__rules_drop(s->rules);
    memo__ring_fini(&s->memory.alloc, &s->world.ring);
    failing_done(&s->memory);
}

memo_status stage_rules(struct stage *s, const char *text)
{
    struct memo__rules *next = stage_compile(s, text);
    memo_status status = memo__governor_prepare(s->g, next);
    if (status == MEMO_OK)
        memo__governor_commit(s->g);
    else {
        memo__rules_drop(next);
        return status;
    }
    memo__rules_drop(s->rules);
    s->rules = next;
    return status;
}

/* ---- views ---- */

static void option(struct memo__found *f, struct memo__text (*labels)[2], char *text)
{
    char *value = strchr(text, '=');
    *value++ = '\0';
    if (strcmp(text, "weight") == 0)
        f->weight = (uint32_t)atoi(value);
    else if (strcmp(text, "healthy") == 0)
        f->healthy = value[0] == '1';
    else if (strcmp(text, "secure") == 0)
        f->secure = value[0] == '1';
    else if (strcmp(text, "registered") == 0)
        f->registered = (uint64_t)atoll(value);
    else if (strcmp(text, "host") == 0)
        f->host = memo__text_of(value);
    else {
        labels[f->labels_count][0] = memo__text_of(text);
        labels[f->labels_count++][1] = memo__text_of(value);
    }
}

static void add(struct memo__view_builder *b, char *text)
{
    struct memo__text labels[4][2];
    struct memo__found f = { .healthy = true, .weight = 100, .labels = (const struct memo__text (*)[2])labels };
    char *rest = NULL, *head = strtok_r(text, ";", &rest), *address = strchr(head, '='), *port = strrchr(head, ':');
    *address++ = *port++ = '\0';
    f.id = memo__text_of(head);
    f.address = memo__text_of(address);
    f.port = (uint16_t)atoi(port);
    for (char *o; (o = strtok_r(NULL, ";", &rest));)
        option(&f, labels, o);
    memo__view_add(b, &f);
}

struct memo__view *stage_build(struct stage *s, const char *text)
{
    char copy[4096], *rest = NULL;
    struct memo__view *v = NULL;
    struct memo__view_builder *b = memo__view_builder_new(&s->memory.alloc);
    (void)snprintf(copy, sizeof copy, "%s", text);
    for (char *at = strtok_r(copy, " ", &rest); at; at = strtok_r(NULL, " ", &rest))
        add(b, at);
    ck_assert_int_eq(memo__view_end(b, &v), MEMO_OK);
    v->revision = ++s->view_revision;
    v->epoch = 1;
    v->state = MEMO_VIEW_LIVE;
    v->confirmed = s->boot;
    return v;
}

memo_status stage_view(struct stage *s, const char *text)
{
    struct memo__view *v = stage_build(s, text);
    memo_status status = memo__governor_take_view(s->g, v, s->rules);
    if (status != MEMO_OK)
        memo__view_free(v);
    return status;
}

void stage_pass(struct stage *s, int64_t ns)
{
    s->now += ns;
    s->boot += ns;
}

const struct stage_turn *stage_turned(const struct stage *s, int32_t kind)
{
    for (uint32_t i = s->turns_count; i-- > 0;)
        if (s->turns[i % TURNS].kind == kind)
            return &s->turns[i % TURNS];
    return NULL;
}

/* ---- calls ---- */

memo_status stage_begin_with(struct stage *s, memo_call *k, const char *method, const char *path, const memo_header *headers, uint32_t n)
{
    memo_call_facts f = MEMO_INIT(memo_call_facts);
    *k = (memo_call)MEMO_INIT(memo_call);
    f.method = method;
    f.path = path;
    f.headers = headers;
    f.headers_count = n;
    return memo_call_begin(k, s->service, &f);
}

memo_status stage_open(struct stage *s, memo_call *k, memo_attempt *a, const char *method)
{
    memo_call_facts f = MEMO_INIT(memo_call_facts);
    *k = (memo_call)MEMO_INIT(memo_call);
    *a = (memo_attempt)MEMO_INIT(memo_attempt);
    f.method = method;
    f.path = "/todos/7";
    memo_status status = memo_call_begin(k, s->service, &f);
    return status == MEMO_OK ? memo_call_next(k, a) : status;
}

int32_t stage_report(memo_call *k, const memo_attempt *a, int32_t kind, int32_t http)
{
    memo_outcome o = MEMO_INIT(memo_outcome);
    int32_t again = -1;
    o.kind = kind;
    o.http_status = http;
    ck_assert_int_eq(memo_call_report(k, a, &o, &again), MEMO_OK);
    return again;
}

memo_status stage_call(struct stage *s, int32_t kind, int32_t http)
{
    memo_call k;
    memo_attempt a;
    memo_status status = stage_open(s, &k, &a, "POST"); /* not retried */
    if (status == MEMO_OK)
        (void)stage_report(&k, &a, kind, http);
    memo_call_end(&k);
    return status;
}
