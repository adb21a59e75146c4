/* SPDX-License-Identifier: Apache-2.0 */
/* inbound.c: requests of a whole client: settings, rules that change, and a drain in its order. What is decided is tests/unit/call's. */
#define _GNU_SOURCE
#include "stage.h"
#include "exposition.h"
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "client/client.h"
#include "client/engine.h"
#include "tests/unit/sanitizers.h"

static const char rules[] = "{\"memo\":1,\"inbound\":{\"limits\":[{\"name\":\"users\",\"rate\":\"1/m\",\"by\":\"header:X-User\"}],"
                            "\"concurrency\":{\"max\":2}}}";

static memo_status enter(memo_client *c, memo_inbound *i, const memo_header *h, uint32_t count)
{
    *i = (memo_inbound)MEMO_INIT(memo_inbound);
    memo_inbound_facts f = MEMO_INIT(memo_inbound_facts);
    f.method = "GET";
    f.path = "/";
    f.headers = h;
    f.headers_count = count;
    return memo_inbound_enter(i, c, &f);
}

static void leave(memo_inbound *i)
{
    memo_outcome o = MEMO_INIT(memo_outcome);
    o.http_status = 200;
    memo_inbound_leave(i, &o);
}

static void add(const char *bytes, size_t n, void *user)
{
    char *text = user;
    size_t used = strlen(text);
    if (used + n < 32768) {
        memcpy(text + used, bytes, n);
        text[used + n] = '\0';
    }
}

START_TEST(a_life)
{
    memo_inbound i, j, k;
    memo_inbound_facts f = MEMO_INIT(memo_inbound_facts);
    static char text[32768];
    memo_client *c = stage_client("baggage_keys", "tenant");
    ck_assert_int_eq(enter(c, &i, NULL, 0), MEMO_REFUSED_NOT_READY); /* not started */
    ck_assert_int_eq(memo_inbound_enter(NULL, c, &f), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_inbound_enter(&i, NULL, &f), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_client_start(c, NULL), MEMO_OK);
    text[0] = '\0';
    ck_assert_int_eq(memo_metrics_write(c, add, text), MEMO_OK);
    ck_assert_ptr_null(strstr(text, "memo_server_")); /* a process that only calls has none */
    ck_assert_int_eq(enter(c, &i, NULL, 0), MEMO_OK);
    ck_assert_int_eq(enter(c, &j, NULL, 0), MEMO_OK);
    ck_assert_int_eq(memo_rules_apply(c, rules, sizeof rules - 1, NULL, 0, NULL, NULL), MEMO_OK);
    leave(&i);
    leave(&j);
    const memo_header ann[] = { { "x-user", "ann", 0, 0 }, { "baggage", "tenant=blue,x=1", 0, 0 } };
    char value[16];
    ck_assert_int_eq(enter(c, &i, ann, 2), MEMO_OK);
    ck_assert_int_eq(memo_context_get_baggage(&i.context, "tenant", value, sizeof value, NULL), MEMO_OK);
    ck_assert_str_eq(value, "blue");
    ck_assert_int_eq(memo_context_get_baggage(&i.context, "x", value, sizeof value, NULL), MEMO_E_STATE);
    ck_assert_int_eq(enter(c, &j, ann, 2), MEMO_REFUSED_LIMITED);
    ck_assert_int_eq(enter(c, &j, NULL, 0), MEMO_OK);
    ck_assert_int_eq(enter(c, &k, NULL, 0), MEMO_REFUSED_OVERLOADED);
    text[0] = '\0';
    ck_assert_int_eq(memo_metrics_write(c, add, text), MEMO_OK);
    ck_assert_ptr_nonnull(strstr(text, "\nmemo_server_requests_total{result=\"ok\"} 2\n"));
    ck_assert_ptr_nonnull(strstr(text, "\nmemo_server_requests_total{result=\"refused_limited\"} 1\n"));
    ck_assert_ptr_nonnull(strstr(text, "\nmemo_server_active_requests 2\n"));
    ck_assert_ptr_nonnull(strstr(text, "\nmemo_server_request_duration_seconds_count 2\n"));
    exposition_check(text);
    leave(&i);
    leave(&j);
    memo_client_free(c);
    leave(&i); /* nobody is there */
}
END_TEST

START_TEST(wanted_headers)
{
    char names[256];
    size_t need = 0;
    memo_client *c = stage_started("rules", rules);
    ck_assert_int_eq(memo_inbound_wants(NULL, names, sizeof names, &need), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_inbound_wants(c, NULL, 5, &need), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_inbound_wants(c, NULL, 0, &need), MEMO_E_TRUNCATED);
    ck_assert_int_eq(memo_inbound_wants(c, names, sizeof names, &need), MEMO_OK);
    static const char all[] = "traceparent\0tracestate\0x-envoy-expected-rq-timeout-ms\0x-user";
    ck_assert_uint_eq(need, sizeof all);
    ck_assert_int_eq(memcmp(names, all, sizeof all), 0);
    memo_client_free(c);
    c = stage_started("trust_inbound", "false");
    ck_assert_int_eq(memo_inbound_wants(c, names, sizeof names, &need), MEMO_OK);
    ck_assert_uint_eq(need, 0);
    memo_client_free(c);
    c = stage_client("baggage_keys", "*");
    ck_assert_int_eq(memo_inbound_wants(c, names, sizeof names, NULL), MEMO_OK);
    memo_client_free(c);
}
END_TEST

/* One exposition for all clients of a process: each receives for itself. */
START_TEST(two_clients)
{
    static char text[32768];
    memo_inbound i;
    memo_client *c = stage_started(NULL, NULL), *second = stage_started(NULL, NULL);
    struct memo__engine *g;
    ck_assert_int_eq(enter(second, &i, NULL, 0), MEMO_OK);
    leave(&i);
    text[0] = '\0';
    g = memo__turn_take();
    ck_assert_int_eq(memo__metrics_write_all(g, add, text), MEMO_OK);
    memo__turn_drop();
    exposition_check(text);
    ck_assert_ptr_null(strstr(text, "memo_server_requests_total{result=\"ok\"}")); /* the first one received nothing */
    ck_assert_ptr_nonnull(strstr(text, "\nmemo_server_requests_total{client=\"2\",result=\"ok\"} 1\n"));
    ck_assert_ptr_nonnull(strstr(text, "\nmemo_server_request_duration_seconds_count{client=\"2\"} 1\n"));
    ck_assert_ptr_nonnull(strstr(text, "\nmemo_server_active_requests{client=\"2\"} 0\n"));
    memo_client_free(second);
    memo_client_free(c);
}
END_TEST

static memo_client *draining;
static int64_t drained_ms;

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void *drains(void *status)
{
    *(memo_status *)status = memo_client_drain(draining, 20000);
    drained_ms = now_ms();
    return NULL;
}

/* Withdrawn, and for a while everything goes on; then nobody new; who is in finishes, and may call others until then. */
START_TEST(a_drain_in_its_order)
{
    pthread_t t;
    memo_status status = -1;
    memo_inbound i, j;
    memo_call k = MEMO_INIT(memo_call);
    memo_call_facts f = MEMO_INIT(memo_call_facts);
    memo_client *watcher = stage_started("registry", stage_registry());
    memo_client *c = draining = stage_client("registry", stage_registry());
    ck_assert_int_eq(memo_client_set(c, "drain_delay", "300ms", NULL), MEMO_OK);
    ck_assert_int_eq(memo_client_start(c, NULL), MEMO_OK);
    memo_registration *r = stage_register(c, "todo", "a", 8080);
    memo_service *seen = stage_service(watcher, "todo"), *s = stage_service(c, "todo");
    memo_view_release(stage_view(watcher, seen, 1));
    memo_view_release(stage_view(c, s, 1));
    ck_assert_int_eq(enter(c, &i, NULL, 0), MEMO_OK);
    int64_t from = now_ms();
    ck_assert_int_eq(pthread_create(&t, NULL, drains, &status), 0);
    memo_view_release(stage_view(watcher, seen, 0)); /* withdrawn first */
    if (now_ms() - from < 200) {
        ck_assert_int_eq(enter(c, &j, NULL, 0), MEMO_OK); /* from somebody who has not noticed yet */
        leave(&j);
    }
    while (enter(c, &j, NULL, 0) == MEMO_OK) { /* then refused */
        leave(&j);
        ck_assert_int_lt(now_ms() - from, 10000);
        (void)sched_yield();
    }
    ck_assert_int_ge(now_ms() - from, 290);
    f.parent = &i.context;
    ck_assert_int_ne(memo_call_begin(&k, s, &f), MEMO_REFUSED_NOT_READY); /* for the one that is in */
    memo_service *other = NULL;
    ck_assert_int_eq(memo_service_acquire(c, "other", &other, NULL), MEMO_OK); /* also where nobody has called yet */
    memo_service_release(other);
    memo_call_end(&k);
    ck_assert_int_eq(status, -1);
    int64_t left = now_ms();
    leave(&i);
    ck_assert_int_eq(pthread_join(t, NULL), 0);
    ck_assert_int_eq(status, MEMO_OK);
    ck_assert_int_ge(drained_ms, left);
    ck_assert_int_eq(memo_call_begin(&k, s, &f), MEMO_REFUSED_NOT_READY);
    memo_call_end(&k);
    ck_assert_int_eq(memo_service_acquire(c, "other", &other, NULL), MEMO_E_STATE);
    memo_registration_free(r);
    memo_service_release(s);
    memo_client_free(c);
    memo_service_release(seen);
    memo_client_free(watcher);
}
END_TEST

/* Without a thread the drain itself drives: the registration is withdrawn, and seen to be. */
START_TEST(a_drain_that_drives)
{
    memo_inbound i;
    memo_client *c = stage_client("registry", stage_registry());
    ck_assert_int_eq(memo_client_set(c, "engine_thread", "false", NULL), MEMO_OK);
    ck_assert_int_eq(memo_client_set(c, "drain_delay", "50ms", NULL), MEMO_OK);
    ck_assert_int_eq(memo_client_start(c, NULL), MEMO_OK);
    memo_registration *r = stage_register(c, "todo", "a", 8080);
    memo_service *s = stage_service(c, "todo");
    memo_view_release(stage_view(c, s, 1));
    int64_t from = now_ms();
    ck_assert_int_eq(memo_client_drain(c, 5000), MEMO_OK);
    ck_assert_int_ge(now_ms() - from, 49);
    memo_view_release(stage_view(c, s, 0));
    ck_assert_int_eq(enter(c, &i, NULL, 0), MEMO_REFUSED_NOT_READY);
    memo_registration_free(r);
    memo_service_release(s);
    memo_client_free(c);
}
END_TEST

START_TEST(a_drain_gives_up_in_time)
{
    memo_inbound i;
    memo_client *c = stage_started(NULL, NULL);
    ck_assert_int_eq(enter(c, &i, NULL, 0), MEMO_OK);
    int64_t from = now_ms();
    ck_assert_int_eq(memo_client_drain(c, 50), MEMO_E_TIMEOUT);
    ck_assert_int_ge(now_ms() - from, 50);
    leave(&i);
    ck_assert_int_eq(memo_client_drain(c, 0), MEMO_OK);
    memo_client_free(c);
}
END_TEST

START_TEST(a_forked_child_receives)
{
    int status = -1;
    memo_inbound i, j;
    memo_client *c = stage_started("rules", rules);
    ck_assert_int_eq(enter(c, &i, NULL, 0), MEMO_OK);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        alarm(10);
        leave(&i); /* the parent's */
        bool good = enter(c, &i, NULL, 0) == MEMO_OK && enter(c, &j, NULL, 0) == MEMO_OK;
        leave(&i);
        leave(&j);
        memo_client_free(c);
        _exit(good ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    leave(&i);
    memo_client_free(c);
}
END_TEST

/* Four threads at a door that lets two in, while its limit moves: never more than two, every permit comes back, everything is counted once. */
#define THREADS 4
#define EACH 20000
static uint32_t inside, most;
static uint64_t let_in;

static void *comes(void *c)
{
    for (int n = 0; n < EACH; n++) {
        memo_inbound i;
        if (enter(c, &i, NULL, 0) != MEMO_OK)
            continue;
        uint32_t now = __atomic_add_fetch(&inside, 1, __ATOMIC_SEQ_CST), was = __atomic_load_n(&most, __ATOMIC_SEQ_CST);
        while (now > was && !__atomic_compare_exchange_n(&most, &was, now, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
            ;
        __atomic_add_fetch(&let_in, 1, __ATOMIC_SEQ_CST);
        if (n % 64 == 0)
            (void)sched_yield();
        __atomic_sub_fetch(&inside, 1, __ATOMIC_SEQ_CST);
        leave(&i);
    }
    return NULL;
}

START_TEST(many_at_once)
{
    static char text[32768];
    char wanted[128];
    pthread_t t[THREADS];
    memo_client *c = stage_started("rules",
                                   "{\"memo\":1,\"inbound\":{\"limits\":[{\"name\":\"all\",\"rate\":\"1000000/s\",\"burst\":1000000}],"
                                   "\"concurrency\":{\"max\":2},"
                                   "\"shed\":{\"min\":1,\"max\":3,\"window\":\"10ms\",\"slowdown\":1.1,\"probeEvery\":\"1s\"}}}");
    inside = most = 0;
    let_in = 0;
    for (int n = 0; n < THREADS; n++)
        ck_assert_int_eq(pthread_create(&t[n], NULL, comes, c), 0);
    for (int n = 0; n < THREADS; n++)
        ck_assert_int_eq(pthread_join(t[n], NULL), 0);
    ck_assert_uint_le(most, 2);
    text[0] = '\0';
    ck_assert_int_eq(memo_metrics_write(c, add, text), MEMO_OK);
    (void)snprintf(wanted, sizeof wanted, "\nmemo_server_requests_total{result=\"ok\"} %llu\n", (unsigned long long)let_in);
    ck_assert_ptr_nonnull(strstr(text, wanted));
    ck_assert_ptr_nonnull(strstr(text, "\nmemo_server_active_requests 0\n"));
    ck_assert_ptr_nonnull(strstr(text, "\nmemo_server_concurrency_limit "));
    memo_inbound i;
    ck_assert_int_eq(enter(c, &i, NULL, 0), MEMO_OK); /* a permit is there: none was lost */
    leave(&i);
    ck_assert_int_eq(memo_client_drain(c, 0), MEMO_OK);
    memo_client_free(c);
}
END_TEST

Suite *suite_client_inbound(void);
Suite *suite_client_inbound(void)
{
    Suite *s = suite_create("client/inbound");
    TCase *t = tcase_create("inbound");
    tcase_add_checked_fixture(t, NULL, stage_dir_remove);
    tcase_add_test(t, a_life);
    tcase_add_test(t, wanted_headers);
    tcase_add_test(t, two_clients);
    tcase_add_test(t, a_drain_in_its_order);
    tcase_add_test(t, a_drain_that_drives);
    tcase_add_test(t, a_drain_gives_up_in_time);
    if (THREADS_IN_CHILDREN)
        tcase_add_test(t, a_forked_child_receives);
    tcase_add_test(t, many_at_once);
    suite_add_tcase(s, t);
    return s;
}
