/* SPDX-License-Identifier: Apache-2.0 */
/* stress.c: everything at once, for sanitizers to look at and for books to be kept.
 *
 *   8 threads call through both doors; others bring and take instances, change rules, acquire and release services, read metrics, events and explanations, ask the admin socket
 *
 * Every answer is one that is documented for it; when all is quiet nothing is under way, and every permit and descriptor is back.
 *
 * stress [seconds] [seed]; prints figures. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/atomic.h"
#include "campaign.h"
#include "tests/unit/process.h"
#include "call/governor.h"
#include "client/client.h"
#include "client/engine.h"
#include "policy/bulkhead.h"

#define CALLERS 8

static memo_client *client, *provider;
static memo_service *service;
static uint32_t stop;
static uint64_t seed = 1, calls, changes, reads;

static const char *const rules[] = { /* the parentheses: each is one document, in pieces */
    ("{\"memo\":1,\"services\":{\"todo\":{\"timeout\":\"2s\",\"breaker\":{\"minCalls\":50,\"openWhen\":{\"failed\":\"60%\"},\"openFor\":\"10ms\"},"
     "\"concurrency\":{\"max\":6},\"limits\":[{\"name\":\"all\",\"rate\":\"200000/s\"},{\"name\":\"user\",\"rate\":\"100000/s\",\"by\":\"header:x-user\"}],"
     "\"outlier\":{\"consecutiveFailures\":2,\"ejectFor\":\"100ms\"},\"routes\":[{\"name\":\"canary\",\"when\":{\"header\":{\"x-canary\":\"1\"}},"
     "\"to\":[{\"subset\":{\"version\":\"v2\"},\"weight\":1},{\"subset\":{\"version\":\"v1\"},\"weight\":1}]}]}}}"),
    ("{\"memo\":1,\"services\":{\"todo\":{\"timeout\":\"2s\",\"breaker\":{\"scope\":\"instance\",\"minCalls\":20,\"openWhen\":{\"failed\":\"50%\"},\"openFor\":\"10ms\"},"
     "\"concurrency\":{\"max\":9,\"exact\":true},\"limits\":[{\"name\":\"all\",\"rate\":\"100/s\",\"burst\":100}],\"balance\":{\"policy\":\"round-robin\"}}}}"),
    "{\"memo\":1,\"mode\":\"observe\",\"services\":{\"todo\":{\"concurrency\":{\"max\":2},\"retry\":{\"attempts\":5,\"backoff\":{\"initial\":\"1ms\",\"max\":\"1ms\"}}}}}",
    "{\"memo\":1}" };

static bool expected(memo_status s)
{
    return s == MEMO_OK || memo_status_refused(s);
}

static void one_call(uint64_t draw)
{
    memo_call k = MEMO_INIT(memo_call);
    memo_call_facts f = MEMO_INIT(memo_call_facts);
    memo_attempt a = MEMO_INIT(memo_attempt);
    memo_outcome o = MEMO_INIT(memo_outcome);
    const memo_header h[] = { { "x-canary", draw & 1 ? "1" : "0", 0, 0 }, { "x-user", draw & 2 ? "ann" : "bob", 0, 0 } };
    memo_header out[8];
    char buf[256], text[2048];
    int32_t again = 1;
    uint32_t n;
    f.method = draw & 4 ? "GET" : "POST";
    f.path = "/todos/7";
    f.headers = h;
    f.headers_count = 2;
    memo_status s = memo_call_begin(&k, service, &f);
    MUST(expected(s));
    for (int i = 0; s == MEMO_OK && again; i++) {
        if ((draw >> 8) % 50 == 0)
            break; /* given up */
        s = memo_call_next(&k, &a);
        MUST(expected(s));
        if (s != MEMO_OK)
            break;
        MUST(memo_call_inject(&k, &a, buf, sizeof buf, out, 8, &n) == MEMO_OK);
        if ((draw >> 16) % 50 == 0)
            break;
        o.kind = (draw >> (24 + i)) % 8 == 0 ? MEMO_OUTCOME_CONNECT_FAILED : MEMO_OUTCOME_REPLIED;
        o.http_status = (draw >> (32 + i)) % 8 == 0 ? 503 : 200;
        MUST(memo_call_report(&k, &a, &o, &again) == MEMO_OK);
    }
    if ((draw >> 40) % 16 == 0) {
        s = memo_call_explain(&k, draw & 8 ? "text" : "json", text, sizeof text, NULL);
        MUST(s == MEMO_OK || s == MEMO_E_TRUNCATED);
    }
    memo_call_end(&k);
}

static void *caller(void *user)
{
    uint64_t mine = (uint64_t)(uintptr_t)user * 7919 + seed;
    while (!memo__load(&stop)) {
        if ((uintptr_t)user % 4 == 0) {
            memo_status s = campaign_get(service);
            if (!expected(s) && s != MEMO_E_UNREACHABLE)
                campaign_fail("HTTP: %s", memo_status_name(s));
        } else
            one_call(campaign_random(&mine));
        (void)memo__fetch_add(&calls, 1);
    }
    return NULL;
}

static void *instances(void *user)
{
    uint64_t mine = seed + 1;
    char id[32];
    for (int i = 0; !memo__load(&stop); i++) {
        memo_registration *r = NULL;
        const memo_header version = { "version", i % 2 ? "v1" : "v2", 0, 0 };
        memo_instance me = MEMO_INIT(memo_instance);
        (void)snprintf(id, sizeof id, "i%d", i);
        me.id = id;
        me.address = "127.0.0.1";
        me.port = campaign_server();
        me.labels = &version;
        me.labels_count = 1;
        MUST(memo_registration_new(provider, "todo", &me, &r, NULL) == MEMO_OK);
        memo_status s = memo_registration_wait(r, 20000);
        MUST(s == MEMO_OK);
        MUST(memo_registration_holds(r, memo_registration_get_token(r)) || memo__load(&stop));
        if (campaign_random(&mine) % 2)
            MUST(memo_registration_set(r, "state", "draining") == MEMO_OK);
        if (campaign_random(&mine) % 2)
            MUST(memo_registration_withdraw(r, 20000, NULL) == MEMO_OK);
        memo_registration_free(r);
        (void)memo__fetch_add(&changes, 1);
    }
    return user;
}

static void *reloads(void *user)
{
    for (int i = 0; !memo__load(&stop); i++) {
        const char *text = rules[i % 4];
        MUST(memo_rules_apply(client, text, strlen(text), NULL, 0, NULL, NULL) == MEMO_OK);
        (void)memo__fetch_add(&changes, 1);
        if (i % 8 == 7)
            campaign_pause(0.01);
    }
    return user;
}

static void *services(void *user)
{
    char name[32], names[4096];
    size_t need;
    for (int i = 0; !memo__load(&stop); i++) {
        memo_service *s = NULL;
        memo_view *v = NULL;
        (void)snprintf(name, sizeof name, "s%d", i % 3);
        MUST(memo_service_acquire(client, i % 2 ? "todo" : name, &s, NULL) == MEMO_OK);
        MUST(memo_service_watch(s, i & 1) == MEMO_OK);
        MUST(memo_service_wants(s, names, sizeof names, &need) == MEMO_OK);
        MUST(memo_view_acquire(s, &v) == MEMO_OK);
        memo_view_facts f = MEMO_INIT(memo_view_facts);
        MUST(memo_view_get_facts(v, &f) == MEMO_OK);
        memo_endpoint e = MEMO_INIT(memo_endpoint);
        for (uint32_t n = 0; n < f.count; n++) {
            MUST(memo_view_get(v, n, &e) == MEMO_OK);
            (void)memo_view_get_label(v, n, "version");
        }
        memo_view_release(v);
        if (i % 16 == 0 && memo_service_read(s, 20000, &v, NULL) == MEMO_OK)
            memo_view_release(v);
        memo_service_release(s);
        (void)memo__fetch_add(&changes, 1);
    }
    return user;
}

static void discard(const char *bytes, size_t n, void *user)
{
    (void)bytes;
    *(size_t *)user += n;
}

static void ask_admin(void)
{
    static const char request[] = "GET /explain?last=50&format=json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    char buf[4096];
    (void)snprintf(a.sun_path, sizeof a.sun_path, "%.100s", campaign_path("admin"));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0 && send(fd, request, sizeof request - 1, MSG_NOSIGNAL) > 0)
        while (recv(fd, buf, sizeof buf, 0) > 0)
            ;
    (void)close(fd);
}

static void *reader(void *user)
{
    memo_event events[32] = { MEMO_INIT(memo_event) };
    uint32_t n;
    for (int i = 0; !memo__load(&stop); i++) {
        size_t bytes = 0;
        MUST(memo_metrics_write(client, discard, &bytes) == MEMO_OK && bytes > 0);
        MUST(memo_event_take(client, events, 32, &n) == MEMO_OK);
        MUST(memo_client_wait(client, 0, NULL) != MEMO_E_STATE);
        if (i % 4 == 0)
            ask_admin();
        (void)memo__fetch_add(&reads, 1);
    }
    return user;
}

/* When all is quiet: no call is under way, but the engine goes on, so what is its own is read with the turn. */
static void books(void)
{
    struct memo__governor *g = &service->governor;
    MUST(memo__governor_open_calls(g) == 0);
    MUST(memo_rules_apply(client, rules[0], strlen(rules[0]), NULL, 0, NULL, NULL) == MEMO_OK);
    memo__engine_settle(); /* behind four plans that nobody has released yet the newest waits */
    (void)memo__turn_take();
    const struct memo__plan *p = memo__load_acquire(&g->plan);
    MUST(p->bulkhead);
    MUST(!p->bulkhead || memo__bulkhead_read(p->bulkhead->shared, &p->bulkhead->parts) == 0);
    for (uint32_t slot = 0; slot < g->slots_used; slot++) {
        int32_t inflight = 0;
        for (uint32_t i = 0; i < g->fleet.stripes; i++)
            inflight += memo__load(&memo__fleet_part(&g->fleet, i, slot)->inflight);
        MUST(inflight == 0);
    }
    MUST(g->retired_plans <= MEMO__RETIRED_PLANS_MAX);
    memo__turn_drop();
}

static void quiet_sink(int32_t level, const char *line, void *user)
{
    (void)level;
    (void)line;
    (void)memo__fetch_add((uint64_t *)user, 1);
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? atof(argv[1]) : 1;
    void *(*const work[])(void *) = { instances, reloads, services, reader };
    pthread_t threads[CALLERS + 4];
    uint64_t lines = 0;
    if (argc > 2)
        seed = strtoull(argv[2], NULL, 10);
    (void)campaign_dir();
    (void)campaign_server();
    int before = process_descriptors();
    provider = campaign_client(NULL);
    memo_registration *stays = campaign_register(provider, "todo", "stays");
    char url[128];
    (void)snprintf(url, sizeof url, "file://%s/registry?sync=off&ttl=1s", campaign_dir());
    MUST(memo_client_new(&client, NULL) == MEMO_OK && memo_client_set(client, "registry", url, NULL) == MEMO_OK &&
         memo_client_set(client, "admin_socket", campaign_path("admin"), NULL) == MEMO_OK && memo_client_set(client, "log_level", "info", NULL) == MEMO_OK);
    memo_log_set(client, quiet_sink, &lines);
    MUST(memo_client_start(client, NULL) == MEMO_OK);
    service = campaign_service(client, "todo", 1);
    for (uintptr_t i = 0; i < CALLERS + 4; i++)
        MUST(pthread_create(&threads[i], NULL, i < CALLERS ? caller : work[i - CALLERS], (void *)i) == 0);
    campaign_pause(seconds);
    memo__store(&stop, 1u);
    for (int i = 0; i < CALLERS + 4; i++)
        (void)pthread_join(threads[i], NULL);
    books();
    memo_service_release(service);
    memo_registration_free(stays);
    MUST(memo_client_drain(client, 1000) == MEMO_OK);
    memo_client_free(client);
    memo_client_free(provider);
    MUST(campaign_leaked(before) == 0);
    (void)printf("figure stress_calls %llu calls\nfigure stress_changes %llu changes\nfigure stress_reads %llu reads\n", (unsigned long long)calls, (unsigned long long)changes,
                 (unsigned long long)reads);
    return campaign_end();
}
