/* SPDX-License-Identifier: Apache-2.0 */
/* engine.c: see engine.h for the picture. */
#define _GNU_SOURCE
#include "client/engine.h"
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/lock.h"
#include "base/status.h"
#include "client/admin.h"
#include "client/client.h"
#include "net/dns.h"
#include "sources/dirwatch.h"

#define RECLAIM_EVERY (1 * MEMO__MS) /* while readers hold something up */
#define LOOK_EVERY_MS 20             /* whoever drives while it waits looks so often for what another driver has done */

static struct {
    struct memo__lock lock;          /* joining and leaving */
    struct memo__lock turn;
    const void *driver;              /* who has the turn: the address of a thread's own word */
    uint32_t depth;
    struct memo__engine *engine;
    pthread_t thread;
    uint32_t threaded;               /* a thread drives the engine; else its host does. Read without a lock */
    bool stopping;
} process = { .lock = MEMO__LOCK_STATIC, .turn = MEMO__LOCK_STATIC };

static __thread char me __attribute__((tls_model("initial-exec")));

bool memo__turn_is_mine(void)
{
    return memo__load(&process.driver) == &me;
}

static void turn_lock(void)
{
    if (memo__turn_is_mine()) {
        process.depth++;
        return;
    }
    memo__lock_take(&process.turn);
    memo__store(&process.driver, (const void *)&me);
    process.depth = 1;
}

static void turn_unlock(void)
{
    if (--process.depth)
        return;
    memo__store(&process.driver, (const void *)NULL);
    memo__lock_drop(&process.turn);
}

struct memo__engine *memo__turn_take(void)
{
    turn_lock();
    return process.engine;
}

void memo__turn_drop(void)
{
    turn_unlock();
}

static void on_reclaim(struct memo__timer *t, void *user)
{
    struct memo__engine *g = user;
    if (memo__reclaim(&g->reclaimer))
        (void)memo__timer_start(g->loop, t, memo__after(memo__loop_now(g->loop), RECLAIM_EVERY), on_reclaim, g);
}

static void on_clock(struct memo__timer *t, void *user)
{
    struct memo__engine *g = user;
    int64_t again = memo__clock_calibrate();
    if (again)
        (void)memo__timer_start(g->loop, t, memo__after(memo__loop_now(g->loop), again), on_clock, g);
}

void memo__engine_retire(struct memo__retired *r, void (*release)(struct memo__retired *r))
{
    struct memo__engine *g = process.engine;
    memo__retire(&g->reclaimer, r, release);
    if (!g->reclaim_timer.place)
        (void)memo__timer_start(g->loop, &g->reclaim_timer, memo__loop_now(g->loop), on_reclaim, g);
}

void memo__engine_settle(void)
{
    for (;;) {
        struct memo__engine *g = memo__turn_take();
        bool more = g && memo__reclaim(&g->reclaimer);
        memo__turn_drop();
        if (!more)
            return;
        (void)sched_yield();
    }
}

/* A turn within a turn (a callback of the loop), or within a callback, would be one too many: it does nothing. */
void memo__engine_step(void)
{
    if (memo__inside)
        return;
    turn_lock();
    bool outermost = process.depth == 1;
    if (process.engine && outermost)
        (void)memo__loop_step(process.engine->loop, 0);
    turn_unlock();
    if (outermost) {
        memo__clients_deliver();
        memo__configs_check();
    }
}

int memo__engine_fd(void)
{
    struct memo__engine *g = memo__turn_take();
    int fd = g ? memo__loop_fd(g->loop) : -1;
    memo__turn_drop();
    return fd;
}

bool memo__engine_wait(struct memo__lock *l, memo__instant until)
{
    if (memo__load(&process.threaded) || memo__inside) /* within a callback a step does nothing: another driver may, else the time runs out, asleep */
        return memo__wait(l, until);
    memo__lock_drop(l);
    int64_t left = memo__since(until, memo__clock_now()) / MEMO__MS;
    struct pollfd ready = { .fd = memo__engine_fd(), .events = POLLIN };
    if (left > 0)
        (void)poll(&ready, 1, left < LOOK_EVERY_MS ? (int)left : LOOK_EVERY_MS);
    memo__engine_step();
    memo__lock_take(l);
    return !memo__reached(memo__clock_now(), until);
}

/* The engine's thread: never in the turn while it waits. */
static void *engine_main(void *user)
{
    struct memo__engine *g = user;
    struct pollfd ready = { .fd = memo__loop_fd(g->loop), .events = POLLIN };
    (void)pthread_setname_np(pthread_self(), "memo");
    for (;;) {
        (void)poll(&ready, 1, -1);
        turn_lock();
        bool stop = process.stopping;
        if (!stop)
            (void)memo__loop_step(g->loop, 0);
        turn_unlock();
        memo__clients_deliver(); /* log lines: outside of the turn, because sinks may call anything and files may be slow */
        memo__configs_check();   /* likewise the checks of programs */
        if (stop)
            return NULL;
    }
}

/* All signals blocked: a host's handlers run on the host's threads. */
static memo_status thread_start(struct memo__engine *g, memo_error *e)
{
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    process.stopping = false;
    int wrong = pthread_create(&process.thread, NULL, engine_main, g);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    memo__store(&process.threaded, (uint32_t)(wrong == 0));
    return wrong ? memo__fail(e, MEMO_E_NO_MEMORY, "cannot start the engine thread (error %d)", wrong) : MEMO_OK;
}

static void before_fork(void)
{
    if (memo__process_hold())
        return; /* a child that forks again before it has used anything: our locks are as its parent's fork left them */
    memo__lock_take(&process.lock);
    turn_lock();
}

static void after_fork_here(void)
{
    if (memo__load_acquire(memo__process_page) == 0) {
        memo__process_drop();
        return;
    }
    turn_unlock();
    memo__lock_drop(&process.lock);
}

/* In the child, once: nobody else has a turn here, for nobody else exists. */
static void rebuild(void)
{
    memo__readers_after_fork();
    memo__lock_init(&process.lock);
    memo__lock_init(&process.turn);
    process.driver = NULL;
    process.depth = 0;
    bool threaded = process.threaded;
    process.threaded = 0;
    struct memo__engine *g = process.engine;
    if (!g)
        return;
    turn_lock();
    (void)memo__loop_after_fork(g->loop);
    memo__dirwatch_forked(g->dirs);
    (void)memo__dns_after_fork(g->dns);
    for (memo_client *c = g->clients; c; c = c->next)
        memo__client_after_fork(c);
    memo__admin_after_fork(g->admin); /* after them: what it has to say needs a client's lock */
    turn_unlock();
    if (threaded)
        (void)thread_start(g, NULL);
}

static void prepare_for_forks(void)
{
    memo__process_rebuild = rebuild;
    memo__process_page_make();
    (void)pthread_atfork(before_fork, after_fork_here, memo__process_wipe);
}

static void engine_free(struct memo__engine *g)
{
    if (!g)
        return;
    memo__admin_free(g->admin);
    memo__dns_free(g->dns);
    memo__dirwatch_free(g->dirs);
    while (memo__reclaim(&g->reclaimer))
        (void)sched_yield();
    memo__loop_free(g->loop);
    struct memo__alloc a = g->alloc;
    memo__drop(&a, g);
}

static memo_status engine_new(struct memo__engine **out)
{
    struct memo__alloc a = memo__alloc_default; /* not a client's: it outlives the one that comes first */
    struct memo__engine *g = memo__get(&a, sizeof *g);
    memo_status s = MEMO_E_NO_MEMORY;
    if (!g)
        return s;
    g->alloc = a;
    g->host = memo__host_default;
    if ((s = memo__loop_new(&g->alloc, g->host, &g->loop)) != MEMO_OK ||
        (s = memo__dirwatch_new(&g->alloc, g->host, g->loop, &g->dirs)) != MEMO_OK ||
        (s = memo__dns_new(&g->alloc, g->host, g->loop, NULL, &g->dns)) != MEMO_OK) {
        engine_free(g);
        return s;
    }
    on_clock(&g->clock_timer, g); /* without it the kernel is asked: no failure */
    *out = g;
    return MEMO_OK;
}

/* With the turn. The least, so that clients which come and go do not make ever new series. */
static uint32_t free_number(const struct memo__engine *g)
{
    uint32_t number = 1;
    for (const memo_client *c = g->clients; c;) {
        bool taken = c->number == number;
        number += taken;
        c = taken ? g->clients : c->next;
    }
    return number;
}

memo_status memo__engine_join(memo_client *c, memo_error *e)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    memo_status s = MEMO_OK;
    (void)pthread_once(&once, prepare_for_forks);
    memo__lock_take(&process.lock);
    bool first = !process.engine;
    if (first) {
        struct memo__engine *g = NULL;
        s = engine_new(&g);
        turn_lock();
        process.engine = g;
        turn_unlock();
        if (s != MEMO_OK)
            (void)memo__fail(e, s, "cannot make the engine: %s", memo_status_name(s));
    }
    if (s == MEMO_OK && !process.threaded && memo__setting_bool(&c->settings, MEMO__SETTING_ENGINE_THREAD))
        s = thread_start(process.engine, e);
    if (s == MEMO_OK) {
        turn_lock();
        c->number = free_number(process.engine);
        c->next = process.engine->clients;
        process.engine->clients = c;
        turn_unlock();
    } else if (first && process.engine) {
        struct memo__engine *g = process.engine;
        turn_lock();
        process.engine = NULL;
        turn_unlock();
        engine_free(g);
    }
    memo__lock_drop(&process.lock);
    return s;
}

static void thread_stop(struct memo__engine *g)
{
    if (!process.threaded)
        return;
    turn_lock();
    process.stopping = true;
    turn_unlock();
    memo__loop_wake(g->loop);
    (void)pthread_join(process.thread, NULL);
    memo__store(&process.threaded, 0u);
}

void memo__engine_leave(memo_client *c)
{
    memo__lock_take(&process.lock);
    struct memo__engine *g = process.engine;
    turn_lock();
    for (memo_client **at = &g->clients; *at; at = &(*at)->next) {
        if (*at == c) {
            *at = c->next;
            break;
        }
    }
    bool last = !g->clients;
    turn_unlock();
    if (last) {
        thread_stop(g);
        turn_lock();
        process.engine = NULL; /* whoever has the turn may hold it; from now on nobody does */
        turn_unlock();
        engine_free(g);
    }
    memo__lock_drop(&process.lock);
}
