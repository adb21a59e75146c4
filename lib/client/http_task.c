/* SPDX-License-Identifier: Apache-2.0 */
/* http_task.c: a governed call that nobody waits for. The decisions are those of http.c; what that one waits for, this one is called back for.
 *
 *   submit (any thread): begin --post--> driver: next --> [timer: backoff] --> exchange --> report --again--> next ...
 *                                                                                      \--done--> end --> called back, outside of the turn, or taken
 *
 * All but submit, cancel, take and release is the driver's, with the turn. A task has two owners, the driver and the caller's handle; the last one frees it. In a forked child
 * the parent's tasks are nobody's: their handles may be released there, and answer nothing. */
#include <string.h>
#include "base/status.h"
#include "call/call.h"
#include "client/engine.h"
#include "client/http.h"

enum state { QUEUED, PAUSED, FLYING, ENDED, TAKEN };

struct memo_http_task {
    struct memo__post start, cancel;  /* start: first, so that a post finds its task */
    memo_client *client;
    memo_service *service;            /* held */
    struct memo__kept *keep;
    memo_http_request q;              /* its texts are behind the task */
    memo_context parent;
    struct memo__timer pause;
    struct memo__http_run run;
    memo_attempt attempt;
    memo_http_task *previous, *next;  /* under way: with the turn; ended, finished: the client's lock */
    memo_http_done_fn *done;
    void *user;
    memo_status status;
    uint32_t process;                 /* that submitted it */
    uint32_t refs, state, cancelled;  /* atomic */
    bool tried;
    bool finished, unwanted;          /* the client's lock: its event waits; nobody wants it */
};

static void drop(memo_http_task *t)
{
    if (__atomic_sub_fetch(&t->refs, 1, __ATOMIC_ACQ_REL))
        return;
    memo_client *c = t->client;
    if (t->keep) {
        memo__http_answer_fini(c->http, &t->keep->answer);
        memo__drop(&c->alloc, t->keep);
    }
    memo__drop(&c->alloc, t);
}

/* ---- under way ---- */

static void link_task(memo_client *c, memo_http_task *t)
{
    t->previous = NULL;
    t->next = c->owner.tasks;
    if (t->next)
        t->next->previous = t;
    c->owner.tasks = t;
}

static void unlink_task(memo_client *c, memo_http_task *t)
{
    *(t->previous ? &t->previous->next : &c->owner.tasks) = t->next;
    if (t->next)
        t->next->previous = t->previous;
    t->previous = t->next = NULL;
}

/* It is over: whoever drives calls it back when the turn is dropped, or its event waits to be taken. */
static void finish(memo_http_task *t, memo_status status)
{
    memo_client *c = t->client;
    memo_call_end(&t->keep->call);
    unlink_task(c, t);
    t->status = status;
    memo__store_release(&t->state, (uint32_t)ENDED);
    memo__lock_take(&c->shared.lock);
    *c->shared.ended_end = t;
    c->shared.ended_end = &t->next;
    memo__store(&c->shared.ended_count, c->shared.ended_count + 1);
    memo__lock_drop(&c->shared.lock);
}

static void next_attempt(memo_http_task *t);

static void on_exchanged(struct memo__http_run *x, memo_status s, void *user)
{
    memo_http_task *t = user;
    struct memo__http_answer *answer = &t->keep->answer;
    int32_t again = 0;
    (void)x;
    memo_outcome o = memo__http_outcome(answer);
    memo_status told = memo_call_report(&t->keep->call, &t->attempt, &o, &again);
    t->tried = true;
    if (s != MEMO_OK || told != MEMO_OK)
        finish(t, s != MEMO_OK ? s : told);
    else if (again)
        next_attempt(t);
    else
        finish(t, memo__http_status(answer));
}

/* Nothing was begun: what was picked is given back. */
static void not_sent(memo_http_task *t, memo_status s)
{
    memo_outcome o = { .size = sizeof o, .kind = MEMO_OUTCOME_CANCELLED, .grpc_status = -1 };
    int32_t again;
    (void)!memo_call_report(&t->keep->call, &t->attempt, &o, &again);
    memo__http_answer_clear(&t->keep->answer); /* an earlier attempt may have been answered */
    finish(t, s);
}

static memo_status async_of(memo_client *c)
{
    return c->owner.async ? MEMO_OK : c->transport->begin(c->http, c->loop, &c->owner.async);
}

static void fly(memo_http_task *t)
{
    memo_client *c = t->client;
    struct memo__http_sending sending;
    memo__store(&t->state, (uint32_t)FLYING);
    memo_status s = async_of(c);
    if (s == MEMO_OK)
        s = memo__http_sending(c, &t->keep->call, &t->q, &t->attempt, &sending);
    if (s == MEMO_OK)
        s = c->transport->start(c->owner.async, &t->run, &sending.to, &sending.send, &t->keep->answer, on_exchanged, t);
    if (s != MEMO_OK)
        not_sent(t, s);
}

static void on_pause_over(struct memo__timer *timer, void *user)
{
    (void)timer;
    fly(user);
}

static void next_attempt(memo_http_task *t)
{
    memo_client *c = t->client;
    t->attempt.size = sizeof t->attempt;
    memo_status s = memo_call_next(&t->keep->call, &t->attempt);
    if (s != MEMO_OK) {
        finish(t, t->tried ? memo__http_status(&t->keep->answer) : s);
        return;
    }
    if (t->attempt.wait_ms <= 0) {
        fly(t);
        return;
    }
    memo__store(&t->state, (uint32_t)PAUSED);
    s = memo__timer_start(c->loop, &t->pause, memo__after_ms(memo__loop_now(c->loop), t->attempt.wait_ms), on_pause_over, t);
    if (s != MEMO_OK)
        not_sent(t, s);
}

static void stop(memo_http_task *t)
{
    uint32_t state = memo__load(&t->state);
    if (state != PAUSED && state != FLYING)
        return;
    memo__timer_stop(t->client->loop, &t->pause);
    if (t->run.wire)
        t->client->transport->abort(&t->run);
    not_sent(t, MEMO_E_CANCELLED);
}

static void on_start(struct memo__post *p)
{
    memo_http_task *t = (memo_http_task *)(void *)p;
    link_task(t->client, t);
    if (memo__load_acquire(&t->cancelled) || memo__load(&t->client->closing))
        finish(t, MEMO_E_CANCELLED);
    else
        next_attempt(t);
}

static void on_cancel(struct memo__post *p)
{
    memo_http_task *t = (memo_http_task *)(void *)((char *)p - offsetof(memo_http_task, cancel));
    stop(t);
    drop(t);
}

/* ---- back to the caller ---- */

static memo_http_task *ended_one(memo_client *c)
{
    memo__lock_take(&c->shared.lock);
    memo_http_task *t = c->shared.ended;
    if (t) {
        c->shared.ended = t->next;
        if (!t->next)
            c->shared.ended_end = &c->shared.ended;
        memo__store(&c->shared.ended_count, c->shared.ended_count - 1);
        t->next = NULL;
    }
    memo__lock_drop(&c->shared.lock);
    return t;
}

/* The driver's part of it. */
static void let_go(memo_http_task *t)
{
    memo_service_release(t->service);
    drop(t);
}

static void push_finished(memo_client *c, memo_http_task *t)
{
    t->next = NULL;
    t->previous = c->shared.finished_last;
    *(t->previous ? &t->previous->next : &c->shared.finished) = t;
    c->shared.finished_last = t;
    memo__store(&c->shared.finished_count, c->shared.finished_count + 1);
}

static void unlink_finished(memo_client *c, memo_http_task *t)
{
    *(t->previous ? &t->previous->next : &c->shared.finished) = t->next;
    *(t->next ? &t->next->previous : &c->shared.finished_last) = t->previous;
    t->previous = t->next = NULL;
    t->finished = false;
    memo__store(&c->shared.finished_count, c->shared.finished_count - 1);
}

bool memo__task_deliver(memo_client *c)
{
    memo_http_task *t = memo__load(&c->shared.ended_count) ? ended_one(c) : NULL;
    if (!t)
        return false;
    if (t->done) {
        memo_http_reply reply = { .size = sizeof reply, .keep = t->keep, .body = "" };
        memo__http_reply_fill(&reply, t->keep);
        t->keep = NULL;
        memo__store(&t->state, (uint32_t)TAKEN);
        memo__inside++;
        t->done(t->status, &reply, t->user);
        memo__inside--;
        memo__process_check(); /* it may have forked */
        memo_http_reply_fini(&reply);
        let_go(t);
        return true;
    }
    memo__lock_take(&c->shared.lock);
    bool wanted = t->finished = !t->unwanted;
    if (wanted)
        push_finished(c, t);
    memo__lock_drop(&c->shared.lock);
    if (wanted)
        memo__events_tell(&c->events);
    else
        let_go(t);
    return true;
}

/* Not of the queue of events, which drops what nobody takes in time: an end must not be lost. */
bool memo__task_event(memo_client *c, memo_event *out)
{
    if (!memo__load(&c->shared.finished_count))
        return false;
    memo__lock_take(&c->shared.lock);
    memo_http_task *t = c->shared.finished;
    if (t)
        unlink_finished(c, t);
    memo__lock_drop(&c->shared.lock);
    if (!t)
        return false;
    *out = (memo_event){ .size = sizeof *out, .kind = MEMO_EVENT_DONE, .status = t->status, .ref = { (uint64_t)(uintptr_t)t->user, 0 } };
    (void)memo__text_copy(out->service, sizeof out->service, memo__text_of(t->service->governor.name));
    (void)memo__text_copy(out->text, sizeof out->text, memo__text_of(memo_status_name(t->status)));
    let_go(t);
    return true;
}

void memo__tasks_cancel(memo_client *c)
{
    while (c->owner.tasks)
        stop(c->owner.tasks);
}

/* Nobody asked for their events, and nobody will. */
void memo__tasks_drop(memo_client *c)
{
    memo_event e;
    while (memo__task_event(c, &e))
        ;
}

void memo__tasks_after_fork(memo_client *c)
{
    for (memo_http_task *t = c->owner.tasks; t; t = t->next)
        memo__timer_stop(c->loop, &t->pause);
    c->owner.tasks = NULL;
    c->shared.ended = NULL;
    c->shared.ended_end = &c->shared.ended;
    c->shared.ended_count = 0;
    c->shared.finished = NULL;
    c->shared.finished_last = NULL;
    c->shared.finished_count = 0;
    if (c->owner.async && c->transport->after_fork(c->owner.async) != MEMO_OK) {
        c->transport->end(c->owner.async);
        c->owner.async = NULL; /* the next one that is submitted tries again */
    }
}

/* ---- what the caller calls ---- */

struct packed { char *at; };

static const char *pack(struct packed *p, const char *text, size_t n)
{
    if (!text)
        return NULL;
    char *copy = p->at;
    memcpy(copy, text, n);
    copy[n] = '\0';
    p->at += n + 1;
    return copy;
}

/* All of a request but its body, behind the task. */
static size_t request_bytes(const memo_http_request *q)
{
    size_t n = q->headers_count * sizeof(memo_header) + memo__text_sized(q->method, 0).n + memo__text_sized(q->path, 0).n + memo__text_sized(q->key, 0).n + 3;
    for (uint32_t i = 0; i < q->headers_count; i++)
        n += memo__text_sized(q->headers[i].name, q->headers[i].name_bytes).n + memo__text_sized(q->headers[i].value, q->headers[i].value_bytes).n + 2;
    return n;
}

static void request_copy(memo_http_task *t, const memo_http_request *q)
{
    memo_header *headers = (memo_header *)(void *)(t + 1);
    struct packed p = { (char *)(headers + q->headers_count) };
    t->q = *q;
    t->q.method = pack(&p, q->method, memo__text_sized(q->method, 0).n);
    t->q.path = pack(&p, q->path, memo__text_sized(q->path, 0).n);
    t->q.key = pack(&p, q->key, memo__text_sized(q->key, 0).n);
    t->q.headers = headers;
    for (uint32_t i = 0; i < q->headers_count; i++) {
        const memo_header *h = &q->headers[i];
        size_t name = memo__text_sized(h->name, h->name_bytes).n, value = memo__text_sized(h->value, h->value_bytes).n;
        headers[i].name = pack(&p, h->name, name);
        headers[i].name_bytes = name;
        headers[i].value = pack(&p, h->value, value);
        headers[i].value_bytes = value;
    }
    if (q->parent) {
        t->parent = *q->parent;
        t->q.parent = &t->parent;
    }
}

static memo_http_task *task_new(memo_service *s, const memo_http_request *q, memo_http_done_fn *done, void *user)
{
    memo_client *c = s->client;
    memo_http_task *t = memo__get(&c->alloc, sizeof *t + request_bytes(q));
    struct memo__kept *keep = t ? memo__get(&c->alloc, sizeof *keep) : NULL;
    if (!keep) {
        memo__drop(&c->alloc, t);
        return NULL;
    }
    keep->client = c;
    keep->call.size = sizeof keep->call;
    keep->answer.body = "";
    keep->answer.kind = MEMO_OUTCOME_CANCELLED;
    t->client = c;
    t->service = s;
    t->keep = keep;
    t->done = done;
    t->user = user;
    t->process = memo__load(&memo__process_number);
    t->refs = 1;
    request_copy(t, q);
    return t;
}

memo_status memo_http_submit(memo_service *s, const memo_http_request *q, memo_http_done_fn *done, void *user, memo_http_task **out, memo_error *e)
{
    if (out)
        *out = NULL;
    memo_status status = memo__http_check(s, q, e);
    if (status != MEMO_OK)
        return status;
    if (!done && !out)
        return memo__fail(e, MEMO_E_ARGUMENT, "without a function to call back the task has to be taken: out is needed");
    memo__process_check();
    memo_client *c = s->client;
    memo_http_task *t = task_new(s, q, done, user);
    if (!t)
        return memo__fail(e, MEMO_E_NO_MEMORY, "no memory for a task");
    memo_call_facts f = memo__http_facts(&t->q);
    status = memo_call_begin(&t->keep->call, s, &f);
    if (status != MEMO_OK) {
        memo_call_end(&t->keep->call);
        drop(t);
        return memo__fail(e, status, "%s", memo_status_name(status));
    }
    memo__lock_take(&c->shared.lock);
    s->refs++;
    memo__lock_drop(&c->shared.lock);
    if (out) {
        t->refs++;
        *out = t;
    }
    memo__loop_post(c->loop, &t->start, on_start);
    return MEMO_OK;
}

static bool ours(const memo_http_task *t)
{
    return t && t->process == memo__load(&memo__process_number);
}

void memo_http_cancel(memo_http_task *t)
{
    memo__process_check();
    if (!ours(t) || memo__exchange(&t->cancelled, 1u))
        return;
    (void)memo__fetch_add(&t->refs, 1u);
    memo__loop_post(t->client->loop, &t->cancel, on_cancel);
}

memo_status memo_http_task_take(memo_http_task *t, memo_http_reply *out)
{
    if (!t || !out || out->size < sizeof *out)
        return MEMO_E_ARGUMENT;
    memo__process_check();
    uint32_t ended = ENDED;
    if (!ours(t) || t->done || !memo__cas(&t->state, &ended, (uint32_t)TAKEN))
        return MEMO_E_STATE;
    memo_http_reply_fini(out);
    out->keep = t->keep;
    memo__http_reply_fill(out, t->keep);
    t->keep = NULL;
    return t->status;
}

/* One that was taken: its end is known, so its event, which holds the task and its service, need not wait for anybody. */
static void forget_event(memo_http_task *t)
{
    memo_client *c = t->client;
    memo__lock_take(&c->shared.lock);
    bool waits = t->finished;
    t->unwanted = true; /* also where it is not delivered yet */
    if (waits)
        unlink_finished(c, t);
    memo__lock_drop(&c->shared.lock);
    if (waits)
        let_go(t);
}

void memo_http_task_release(memo_http_task *t)
{
    memo__process_check();
    if (!ours(t))
        return;
    if (!t->done && memo__load_acquire(&t->state) == TAKEN)
        forget_event(t);
    drop(t);
}
