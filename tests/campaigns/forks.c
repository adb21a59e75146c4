/* SPDX-License-Identifier: Apache-2.0 */
/* forks.c: a process that is busy with us forks, again and again, at random moments.
 *
 *   parent: two threads call with a transport of their own, two over HTTP, a registration is alive, views change
 *   child:  uses every handle at once, then ends: by _exit, or after having given everything back
 *
 * No child hangs, no call fails on either side, the parent's registration stays its own, and nothing is left open. Then an owner is killed and its child lives on: the lease ends
 * all the same, for a child never renews it.
 *
 * forks [children] [seed]; prints figures. */
#define _GNU_SOURCE
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/atomic.h"
#include "campaign.h"
#include "tests/unit/process.h"

#define AT_ONCE 4
#define HANGS_AFTER 60 /* s: a child that takes longer is counted as hanging */

static memo_client *client;
static memo_service *service;
static memo_registration *registration;
static uint64_t token, calls, seed = 1;
static uint32_t stop;
static long children, hanging, failing;

static void *calls_decided(void *user)
{
    (void)user;
    while (!memo__load(&stop)) {
        MUST(campaign_call(service, 200, NULL) == MEMO_OK);
        (void)memo__fetch_add(&calls, 1);
    }
    return NULL;
}

static void *calls_carried(void *user)
{
    (void)user;
    while (!memo__load(&stop)) {
        memo_status s = campaign_get(service);
        if (s != MEMO_OK)
            campaign_fail("HTTP in the parent: %s", memo_status_name(s));
        (void)memo__fetch_add(&calls, 1);
    }
    return NULL;
}

static void *views_change(void *user)
{
    memo_registration *r = campaign_register(client, "todo", "comes-and-goes");
    for (uint32_t i = 0; !memo__load(&stop); i++) {
        MUST(memo_registration_set(r, "weight", i % 2 ? "50" : "60") == MEMO_OK);
        MUST(memo_rules_apply(client, NULL, 0, NULL, 0, NULL, NULL) == MEMO_OK);
        campaign_pause(0.01);
    }
    memo_registration_free(r);
    return user;
}

/* ---- in a child ---- */

static void discard(const char *bytes, size_t n, void *user)
{
    (void)bytes;
    *(size_t *)user += n;
}

#define STEP(what) do { if (!(what)) return __LINE__ % 200 + 1; } while (0)

static int explained(void)
{
    memo_call k = MEMO_INIT(memo_call);
    memo_call_facts f = MEMO_INIT(memo_call_facts);
    memo_attempt a = MEMO_INIT(memo_attempt);
    char text[4096];
    STEP(memo_call_begin(&k, service, &f) == MEMO_OK);
    STEP(memo_call_next(&k, &a) == MEMO_OK);
    STEP(memo_call_explain(&k, "json", text, sizeof text, NULL) == MEMO_OK);
    memo_call_end(&k);
    return 0;
}

/* The exit status: 0, or where it went wrong. */
static int child(uint64_t draw)
{
    memo_view *v = NULL;
    memo_event events[4] = { MEMO_INIT(memo_event) };
    struct pollfd ready = { .fd = memo_event_fd(client), .events = POLLIN };
    uint32_t n;
    size_t bytes = 0;
    if (draw & 1) /* any of them may be the first */
        STEP(campaign_call(service, 200, NULL) == MEMO_OK);
    if (draw & 2)
        STEP(campaign_get(service) == MEMO_OK);
    STEP(memo_view_acquire(service, &v) == MEMO_OK);
    memo_view_release(v);
    STEP(explained() == 0);
    STEP(memo_registration_get_token(registration) == 0 && !memo_registration_holds(registration, token));
    STEP(memo_event_take(client, events, 4, &n) == MEMO_OK);
    STEP(memo_rules_apply(client, NULL, 0, NULL, 0, NULL, NULL) == MEMO_OK);
    STEP(poll(&ready, 1, 20000) == 1);
    STEP(memo_event_take(client, events, 4, &n) == MEMO_OK && n > 0);
    if (draw & 4)
        STEP(memo_metrics_write(client, discard, &bytes) == MEMO_OK && bytes > 0);
    STEP(campaign_call(service, 200, NULL) == MEMO_OK);
    STEP(campaign_get(service) == MEMO_OK);
    if (draw & 8) {
        v = NULL;
        STEP(memo_service_read(service, 20000, &v, NULL) == MEMO_OK); /* asks the engine of its own */
        memo_view_release(v);
    }
    if (draw & 16) {
        memo_registration_free(registration);
        memo_service_release(service);
        memo_client_free(client);
    }
    return 0;
}

static void ended(int status)
{
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
        hanging++;
    else if (status != 0) {
        failing++;
        campaign_fail("a child ended with %s %d", WIFSIGNALED(status) ? "signal" : "status", WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status) - 1);
    }
}

static void fork_them(long count)
{
    long running = 0;
    int status;
    for (children = 0; children < count; children++) {
        campaign_pause((double)(campaign_random(&seed) % 2000) / 1e6);
        uint64_t draw = campaign_random(&seed);
        pid_t pid = fork();
        if (pid == 0) {
            (void)alarm(HANGS_AFTER);
            _exit(child(draw));
        }
        MUST(pid > 0);
        if (++running == AT_ONCE && waitpid(-1, &status, 0) > 0) {
            ended(status);
            running--;
        }
    }
    while (running-- && waitpid(-1, &status, 0) > 0)
        ended(status);
}

/* What was told of the parent's registration, if it was not only acknowledged. */
static void tell_registrations(void)
{
    memo_event e = MEMO_INIT(memo_event);
    uint32_t n = 1;
    while (memo_event_take(client, &e, 1, &n) == MEMO_OK && n)
        if (e.kind == MEMO_EVENT_REGISTRATION && e.status != MEMO_OK)
            campaign_fail("%s: %s: %s", e.subject, memo_status_name(e.status), e.text);
}

static void busy(long count)
{
    void *(*const work[])(void *) = { calls_decided, calls_decided, calls_carried, calls_carried, views_change };
    pthread_t threads[5];
    int before = process_descriptors();
    client = campaign_client(NULL);
    registration = campaign_register(client, "todo", "the-parents");
    service = campaign_service(client, "todo", 1);
    token = memo_registration_get_token(registration);
    for (int i = 0; i < 5; i++)
        MUST(pthread_create(&threads[i], NULL, work[i], NULL) == 0);
    fork_them(count);
    memo__store(&stop, 1u);
    for (int i = 0; i < 5; i++)
        (void)pthread_join(threads[i], NULL);
    tell_registrations();
    MUST(memo_registration_holds(registration, token)); /* all the time, and still */
    memo_registration_free(registration);
    memo_service_release(service);
    MUST(memo_client_drain(client, 5000) == MEMO_OK);
    memo_client_free(client);
    int leaked = campaign_leaked(before);
    MUST(hanging == 0 && leaked == 0);
    (void)printf("figure fork_children %ld children\nfigure fork_calls_beside %llu calls\nfigure fork_deadlocks %ld children\nfigure fork_failed %ld children\n"
                 "figure fork_leaked_descriptors %d descriptors\n", children, (unsigned long long)calls, hanging, failing, leaked);
}

/* ---- the lease of a killed owner ---- */

static void owner_with_child(int tell)
{
    memo_client *c = campaign_client(NULL);
    memo_registration *r = campaign_register(c, "orphan", "o1");
    pid_t pid = fork();
    if (pid == 0) {
        (void)alarm(HANGS_AFTER);
        memo_service *s = campaign_service(c, "orphan", 1); /* its engine runs */
        (void)!write(tell, &(pid_t){ getpid() }, sizeof(pid_t));
        for (;;) {
            (void)campaign_call(s, 200, NULL);
            (void)memo_registration_get_token(r);
            campaign_pause(0.01);
        }
    }
    for (;;)
        campaign_pause(1);
}

static uint32_t endpoints(memo_service *s)
{
    memo_view *v = NULL;
    memo_view_facts f = MEMO_INIT(memo_view_facts);
    MUST(memo_view_acquire(s, &v) == MEMO_OK && memo_view_get_facts(v, &f) == MEMO_OK);
    memo_view_release(v);
    return f.count;
}

static void killed(void)
{
    int tell[2];
    pid_t orphan = 0;
    MUST(pipe(tell) == 0);
    pid_t owner = fork();
    if (owner == 0)
        owner_with_child(tell[1]);
    MUST(read(tell[0], &orphan, sizeof orphan) == sizeof orphan);
    memo_client *c = campaign_client(NULL);
    memo_service *s = campaign_service(c, "orphan", 1);
    MUST(kill(owner, SIGKILL) == 0 && waitpid(owner, NULL, 0) == owner);
    double since = campaign_now();
    while (endpoints(s) && campaign_now() - since < 20)
        campaign_pause(0.005);
    double took = campaign_now() - since;
    MUST(endpoints(s) == 0);
    campaign_pause(1.5); /* longer than a lease: nobody brings it back */
    MUST(endpoints(s) == 0 && kill(orphan, 0) == 0);
    (void)kill(orphan, SIGKILL);
    memo_service_release(s);
    memo_client_free(c);
    (void)close(tell[0]);
    (void)close(tell[1]);
    (void)printf("figure fork_lease_of_killed_owner_ended_after %.0f ms\n", took * 1000);
}

int main(int argc, char **argv)
{
    long count = argc > 1 ? atol(argv[1]) : 40;
    if (argc > 2)
        seed = strtoull(argv[2], NULL, 10);
    (void)setvbuf(stdout, NULL, _IOLBF, 0); /* nothing waits in a child's copy of the buffer */
    (void)campaign_dir();
    killed();
    (void)campaign_server();
    campaign_ttl = "10s"; /* so that it is not the machine that is too busy to renew it */
    busy(count);
    return campaign_end();
}
