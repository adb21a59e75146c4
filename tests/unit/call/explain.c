/* SPDX-License-Identifier: Apache-2.0 */
/* explain.c: golden forms, as text and as JSON. Whoever changes one of them changes what people and programs read. */
#include "call/explain.h"
#include <locale.h>
#include <memo/service.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/json.h"
#include "call/call.h"
#include "stage.h"

static struct stage s;
static char text[16384];

#define RULES(service) "{\"memo\":1,\"services\":{\"todo\":{" service "}}}"
#define TWO "v1a=10.0.0.1:80;version=v1 v2=10.0.0.2:80;version=v2"

/* Text without what a draw decides: the call's own number. */
static const char *told(memo_call *k)
{
    memo__record_of(k)->id = 0x1234567890ab4f1c;
    ck_assert_int_eq(memo_call_explain(k, "text", text, sizeof text, NULL), MEMO_OK);
    return text;
}

/* The record as JSON, and places in it: "attempts", then a number, then a key. */
static struct memo__json *parsed;
typedef const struct memo__json_node *node;

static node json(memo_call *k)
{
    static const struct memo__json_options strict = { 0 };
    memo_error e = MEMO_INIT(memo_error);
    ck_assert_int_eq(memo_call_explain(k, "json", text, sizeof text, NULL), MEMO_OK);
    memo__json_free(parsed);
    parsed = NULL;
    ck_assert_msg(memo__json_parse(&memo__alloc_libc, memo__text_of(text), &strict, &parsed, &e) == MEMO_OK, "not JSON: %s: %s", e.message, text);
    return memo__json_root(parsed);
}

static void json_done(void)
{
    memo__json_free(parsed);
    parsed = NULL;
}

static node member(node object, const char *key)
{
    node n = memo__json_find(parsed, object, key);
    ck_assert_msg(n != NULL, "%s is missing", key);
    return n;
}

static node item(node array, int i)
{
    node n = memo__json_first(parsed, array);
    while (n && i--)
        n = memo__json_next(parsed, n);
    ck_assert_ptr_nonnull(n);
    return n;
}

static bool is(node object, const char *key, const char *want)
{
    return memo__text_is(memo__json_text(parsed, member(object, key)), want);
}

static double number(node object, const char *key)
{
    double value;
    ck_assert_msg(memo__json_double(parsed, member(object, key), &value), "%s is no number", key);
    return value;
}

static bool truth(node object, const char *key)
{
    node n = member(object, key);
    ck_assert_int_eq(n->type, MEMO__JSON_BOOL);
    return n->truth;
}

static const char rules[] = RULES(
    "\"timeout\":\"800ms\",\"breaker\":{\"minCalls\":20,\"openWhen\":{\"failed\":\"50%\"}},\"limits\":[{\"name\":\"all\",\"rate\":\"1/h\",\"burst\":50}],"
    "\"retry\":{\"attempts\":3,\"backoff\":{\"initial\":\"17ms\",\"max\":\"17ms\",\"jitter\":\"none\"}},\"balance\":{\"policy\":\"round-robin\"},"
    "\"routes\":[{\"name\":\"canary\",\"when\":{\"header\":{\"x-canary\":\"1\"}},\"to\":[{\"subset\":{\"version\":\"v2\"}}]}]");

/* A reset, a retry elsewhere, a good answer. */
static void retried(memo_call *k)
{
    memo_attempt a;
    stage_begin(&s, rules);
    ck_assert_int_eq(stage_view(&s, TWO), MEMO_OK);
    stage_pass(&s, 350 * MS);
    ck_assert_int_eq(stage_open(&s, k, &a, "GET"), MEMO_OK);
    s.now += 4310 * MEMO__US;
    ck_assert_int_eq(stage_report(k, &a, MEMO_OUTCOME_RESET, 0), 1);
    ck_assert_int_eq(memo_call_next(k, &a), MEMO_OK);
    s.now += 17 * MS + 4920 * MEMO__US;
    ck_assert_int_eq(stage_report(k, &a, MEMO_OUTCOME_REPLIED, 200), 0);
}

START_TEST(a_retry_as_text)
{
    memo_call k;
    retried(&k);
    const char *first = s.g->plan->view->entries[memo__record_of(&k)->tries[0].slot].slot == 0 ? "v1a" : "v2 ", *second = first[1] == '1' ? "v2 " : "v1a";
    char want[2048];
    (void)snprintf(want, sizeof want,
                   "call 4f1c  todo GET /todos/7   200 in 26.2 ms, 2 attempts    rules r1   view r1 live, age <= 0.4 s\n"
                   "  0.00 route   default     canary not taken: header x-canary absent\n"
                   "  0.00 admit   yes         breaker closed 0/0 failed (opens 50%%), limit all 49/50, budget 10.0\n"
                   "  0.00 pick    %s         \n"
                   "  4.31 reset -> retry      GET, 795 ms left, budget 10.0, wait 17 ms   [services.todo.retry]\n"
                   " 21.31 pick    %s         %.3s just tried\n",
                   first, second, first);
    ck_assert_str_eq(told(&k), want);
    memo_call_end(&k);
    stage_end(&s);
}
END_TEST

START_TEST(a_retry_as_json)
{
    memo_call k;
    retried(&k);
    node j = json(&k);
    ck_assert_uint_eq(memo__json_text(parsed, member(j, "call")).n, 16);
    ck_assert(is(j, "service", "todo"));
    ck_assert(is(j, "method", "GET"));
    ck_assert(is(j, "path", "/todos/7"));
    ck_assert(is(j, "status", "MEMO_OK"));
    ck_assert(is(j, "view_state", "live"));
    ck_assert(is(j, "route", "default"));
    ck_assert(is(j, "breaker", "closed"));
    ck_assert(is(j, "limit", "all"));
    ck_assert_double_eq(number(j, "rules_revision"), 1);
    ck_assert_double_eq(number(j, "view_revision"), 1);
    ck_assert_double_eq_tol(number(j, "took_ms"), 26.23, 0.001);
    ck_assert_double_eq(number(j, "limit_burst"), 50);
    ck_assert(truth(j, "admitted"));
    ck_assert(!truth(j, "observed"));
    node attempts = member(j, "attempts"), first = item(attempts, 0), second = item(attempts, 1);
    ck_assert_ptr_null(memo__json_next(parsed, second));
    ck_assert(is(first, "outcome", "reset"));
    ck_assert(is(first, "retry_reason", "retry"));
    ck_assert(truth(first, "failed"));
    ck_assert_double_eq(number(first, "wait_ms"), 17);
    ck_assert_double_eq_tol(number(second, "start_ms"), 21.31, 0.001);
    ck_assert_double_eq(number(second, "http_status"), 200);
    ck_assert(!memo__text_same(memo__json_text(parsed, member(first, "endpoint")), memo__json_text(parsed, member(second, "endpoint"))));
    json_done();
    memo_call_end(&k);
    stage_end(&s);
}
END_TEST

/* A locale whose numbers have commas, made for this test; false: this machine cannot make one. */
static bool commas(const char *dir)
{
    char path[64], command[256];
    (void)snprintf(path, sizeof path, "%s/source", dir);
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    (void)fputs("LC_CTYPE\ncopy \"POSIX\"\nEND LC_CTYPE\nLC_NUMERIC\ndecimal_point \",\"\nthousands_sep \".\"\ngrouping 3;3\nEND LC_NUMERIC\n", f);
    ck_assert_int_eq(fclose(f), 0);
    (void)snprintf(command, sizeof command, "localedef -c -i %s -f ANSI_X3.4-1968 %s/comma >/dev/null 2>&1", path, dir);
    (void)!system(command); /* warns, and makes it all the same */
    (void)setenv("LOCPATH", dir, 1);
    return setlocale(LC_NUMERIC, "comma") != NULL;
}

/* Under a locale whose numbers have commas, JSON stays JSON and text says the same. */
START_TEST(the_hosts_locale)
{
    char plain[4096], other[16], dir[] = "/tmp/memo-locale-XXXXXX", command[64];
    memo_call k;
    retried(&k);
    (void)snprintf(plain, sizeof plain, "%s", told(&k));
    ck_assert_ptr_nonnull(mkdtemp(dir));
    if (commas(dir)) {
        (void)snprintf(other, sizeof other, "%.1f", 0.5);
        ck_assert_str_eq(other, "0,5");
    }
    ck_assert_str_eq(told(&k), plain);
    ck_assert_double_eq_tol(number(json(&k), "took_ms"), 26.23, 0.001);
    ck_assert_ptr_nonnull(strstr(text, "\"took_ms\":26.23"));
    json_done();
    (void)setlocale(LC_NUMERIC, "C");
    (void)snprintf(command, sizeof command, "rm -rf %s", dir);
    ck_assert_int_eq(system(command), 0);
    memo_call_end(&k);
    stage_end(&s);
}
END_TEST

START_TEST(a_failure_as_text)
{
    memo_call k;
    memo_attempt a;
    stage_begin(&s, NULL);
    ck_assert_int_eq(stage_view(&s, "v1a=10.0.0.1:80"), MEMO_OK);
    ck_assert_int_eq(stage_open(&s, &k, &a, "POST"), MEMO_OK);
    ck_assert_ptr_nonnull(strstr(told(&k), "under way in 0.0 ms, 1 attempt "));
    s.now += 3 * MS;
    ck_assert_int_eq(stage_report(&k, &a, MEMO_OUTCOME_TIMED_OUT, 0), 0);
    ck_assert_str_eq(told(&k),
                     "call 4f1c  todo POST /todos/7   timed out in 3.0 ms, 1 attempt    rules r1   view r1 live, age <= 0.0 s\n"
                     "  0.00 route   default     \n"
                     "  0.00 admit   yes         budget 10.0\n"
                     "  0.00 pick    v1a         score 0.0\n"
                     "  3.00 timed out -> end    no retry: method, 4997 ms left   [defaults.retry]\n");
    memo_call_end(&k);
    stage_end(&s);
}
END_TEST

START_TEST(refusals_as_text)
{
    memo_call k, held;
    memo_attempt a;
    stage_begin(&s, RULES("\"limits\":[{\"name\":\"all\",\"rate\":\"1/h\",\"burst\":1}]"));
    ck_assert_int_eq(stage_open(&s, &k, &a, "GET"), MEMO_REFUSED_NOT_READY);
    ck_assert_str_eq(told(&k), "call 4f1c  todo GET /todos/7   MEMO_REFUSED_NOT_READY in 0.0 ms, 0 attempts    rules r1   view r0 empty, age <= 5000.0 s\n"
                               "  0.00 admit   no          MEMO_REFUSED_NOT_READY: limit all 1/1, budget 10.0\n");
    memo_call_end(&k);
    ck_assert_int_eq(stage_view(&s, "v1a=10.0.0.1:80"), MEMO_OK);
    ck_assert_int_eq(stage_call(&s, 0, 200), MEMO_OK);
    ck_assert_int_eq(stage_open(&s, &k, &a, "GET"), MEMO_REFUSED_LIMITED);
    ck_assert_str_eq(told(&k), "call 4f1c  todo GET /todos/7   MEMO_REFUSED_LIMITED in 0.0 ms, 0 attempts    rules r1   view r1 live, age <= 0.0 s\n"
                               "  0.00 route   default     \n"
                               "  0.00 admit   no          MEMO_REFUSED_LIMITED: limit all 0/1, budget 10.0\n");
    node j = json(&k);
    ck_assert(!truth(j, "admitted"));
    ck_assert(is(j, "status", "MEMO_REFUSED_LIMITED"));
    json_done();
    memo_call_end(&k);
    ck_assert_int_eq(stage_rules(&s, RULES("\"concurrency\":{\"max\":1},\"breaker\":{\"minCalls\":2,\"openWhen\":{\"failed\":\"50%\"}},\"retry\":{\"attempts\":1}")), MEMO_OK);
    ck_assert_int_eq(stage_open(&s, &held, &a, "GET"), MEMO_OK);
    ck_assert_int_eq(stage_open(&s, &k, &a, "GET"), MEMO_REFUSED_OVERLOADED);
    ck_assert_ptr_nonnull(strstr(told(&k), "admit   no          MEMO_REFUSED_OVERLOADED: breaker closed 0/0 failed (opens 50%), concurrency 1 reached, budget 10.0\n"));
    memo_call_end(&k);
    memo_call_end(&held);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(stage_call(&s, MEMO_OUTCOME_RESET, 0), MEMO_OK);
    ck_assert_int_eq(stage_open(&s, &k, &a, "GET"), MEMO_REFUSED_OPEN);
    ck_assert_ptr_nonnull(strstr(told(&k), "admit   no          MEMO_REFUSED_OPEN: breaker open 2/2 failed (opens 50%), budget 10.0\n")); /* what opened it */
    memo_call_end(&k);
    stage_pass(&s, 5 * S);
    ck_assert_int_eq(stage_open(&s, &k, &a, "GET"), MEMO_OK);
    ck_assert_ptr_nonnull(strstr(told(&k), ", as a probe"));
    memo_call_end(&k);
    stage_end(&s);
}
END_TEST

/* Admitted, and then nothing to send to. */
START_TEST(stopped_as_text)
{
    memo_call k;
    memo_attempt a;
    stage_begin(&s, RULES("\"routes\":[{\"name\":\"canary\",\"when\":{\"path\":\"/todos/*\"},\"to\":[{\"subset\":{\"version\":\"v9\"}}]}]"));
    ck_assert_int_eq(stage_view(&s, TWO), MEMO_OK);
    ck_assert_int_eq(stage_open(&s, &k, &a, "GET"), MEMO_REFUSED_NO_ENDPOINT);
    ck_assert_str_eq(told(&k), "call 4f1c  todo GET /todos/7   MEMO_REFUSED_NO_ENDPOINT in 0.0 ms, 0 attempts    rules r1   view r1 live, age <= 0.0 s\n"
                               "  0.00 route   canary      \n"
                               "  0.00 admit   yes         budget 10.0\n"
                               "  0.00 stop    MEMO_REFUSED_NO_ENDPOINT \n");
    ck_assert(truth(json(&k), "admitted"));
    memo_call_end(&k);
    const char *before = strdup(text), *after; /* kept for somebody who asks later: the same story */
    ck_assert_int_eq(memo__explain(memo__record_read(&k), "json", text, sizeof text, NULL), MEMO_OK);
    after = text;
    ck_assert_str_eq(after, before);
    free((void *)(uintptr_t)before);
    ck_assert_int_eq(stage_rules(&s, RULES("\"retry\":{\"attempts\":2}")), MEMO_OK);
    ck_assert_int_eq(stage_open(&s, &k, &a, "GET"), MEMO_OK);
    s.now += 2 * MS;
    ck_assert_int_eq(stage_report(&k, &a, MEMO_OUTCOME_RESET, 0), 1);
    ck_assert_int_eq(stage_view(&s, ""), MEMO_OK);
    ck_assert_int_eq(memo_call_next(&k, &a), MEMO_REFUSED_NO_ENDPOINT);
    ck_assert_ptr_nonnull(strstr(told(&k), "\n  2.00 stop    MEMO_REFUSED_NO_ENDPOINT"));
    (void)json(&k);
        json_done();
    memo_call_end(&k);
    stage_end(&s);
}
END_TEST

START_TEST(why_not_that_route)
{
    static const struct { const char *when, *method, *path, *why; } t[] = {
        { "\"method\":\"PUT\"", "GET", "/", "first not taken: method GET" },
        { "\"method\":\"PUT\"", NULL, "/", "first not taken: method unknown" },
        { "\"path\":\"/reports/*\"", "GET", "/todos", "first not taken: path is not /reports/*" },
        { "\"path\":\"/exact\"", "GET", "/todos", "first not taken: path is not /exact" },
        { "\"header\":{\"x-a\":\"1\"}", "GET", "/", "first not taken: header x-a differs" },
        { "\"header\":{\"x-b\":\"1\"}", "GET", "/", "first not taken: header x-b absent" } };
    const memo_header h[] = { { "x-a", "2", 0, 0 } };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        char doc[512];
        memo_call k = MEMO_INIT(memo_call);
        memo_call_facts f = MEMO_INIT(memo_call_facts);
        (void)snprintf(doc, sizeof doc, RULES("\"routes\":[{\"name\":\"first\",\"when\":{%s}}]"), t[i].when);
        stage_begin(&s, doc);
        ck_assert_int_eq(stage_view(&s, TWO), MEMO_OK);
        f.method = t[i].method;
        f.path = t[i].path;
        f.headers = h;
        f.headers_count = 1;
        ck_assert_int_eq(memo_call_begin(&k, s.service, &f), MEMO_OK);
        ck_assert_msg(strstr(told(&k), t[i].why) != NULL, "not told: %s, but: %s", t[i].why, text);
        ck_assert_ptr_nonnull(strstr(text, "not sent yet"));
        ck_assert_int_eq(stage_rules(&s, NULL), MEMO_OK);
        ck_assert_ptr_nonnull(strstr(told(&k), "(rules changed)"));
        (void)json(&k);
        json_done();
        memo_call_end(&k);
        stage_end(&s);
    }
}
END_TEST

START_TEST(picks)
{
    memo_call k;
    memo_attempt a;
    stage_begin(&s, RULES("\"outlier\":{\"consecutiveFailures\":2,\"ejectFor\":\"30s\",\"maxEjected\":\"100%\"},\"retry\":{\"attempts\":2}"));
    ck_assert_int_eq(stage_view(&s, "v1a=10.0.0.1:80 v1b=10.0.0.2:80 v2=10.0.0.3:80 v3=10.0.0.4:80"), MEMO_OK);
    for (int i = 0; !stage_turned(&s, MEMO_EVENT_EJECTION); i++) {
        ck_assert_int_lt(i, 1000);
        ck_assert_int_eq(stage_open(&s, &k, &a, "GET"), MEMO_OK);
        s.now += 2 * MS;
        (void)stage_report(&k, &a, strcmp(a.id, "v1a") == 0 ? MEMO_OUTCOME_RESET : MEMO_OUTCOME_REPLIED, 200);
        memo_call_end(&k);
        stage_pass(&s, S); /* so that what failed is picked again */
    }
    s.now += 12 * S - S;
    ck_assert_int_eq(stage_open(&s, &k, &a, "GET"), MEMO_OK);
    ck_assert_ptr_nonnull(strstr(told(&k), "; v1a ejected 12 s ago: 2 failures"));
    ck_assert_ptr_nonnull(strstr(text, "score "));
    node j = json(&k);
    node first = item(member(j, "attempts"), 0);
    ck_assert_double_gt(number(first, "score"), 0);
    json_done();
    memo_call_end(&k);
    /* the second one is tried again, alone */
    ck_assert_int_eq(stage_view(&s, "v9=10.0.0.9:80"), MEMO_OK);
    ck_assert_int_eq(stage_open(&s, &k, &a, "GET"), MEMO_OK);
    ck_assert_int_eq(stage_report(&k, &a, MEMO_OUTCOME_CONNECT_FAILED, 0), 1);
    ck_assert_int_eq(memo_call_next(&k, &a), MEMO_OK);
    ck_assert_ptr_nonnull(strstr(told(&k), "v9 just tried; tried again: nothing else is left"));
    /* it leaves, and is still named; then so long ago that nobody knows it */
    ck_assert_int_eq(stage_view(&s, "v8=10.0.0.8:80"), MEMO_OK);
    ck_assert_ptr_nonnull(strstr(told(&k), "pick    v9 "));
    stage_pass(&s, MEMO__LINGER);
    ck_assert_int_eq(stage_view(&s, "v8=10.0.0.8:80"), MEMO_OK);
    ck_assert_ptr_nonnull(strstr(told(&k), "pick    (gone) "));
    memo_call_end(&k);
    stage_end(&s);
}
END_TEST

START_TEST(panic_and_observe)
{
    memo_call k;
    memo_attempt a;
    bool panicked = false;
    stage_begin(&s, RULES("\"outlier\":{\"consecutiveFailures\":1,\"maxEjected\":\"100%\"},\"balance\":{\"panicBelow\":\"60%\"},\"retry\":{\"attempts\":1}"));
    ck_assert_int_eq(stage_view(&s, TWO), MEMO_OK);
    for (int i = 0; i < 4 && !panicked; i++) {
        ck_assert_int_eq(stage_open(&s, &k, &a, "GET"), MEMO_OK);
        panicked = strstr(told(&k), "; panic: too few are pickable, ejection is ignored") != NULL;
        node j = json(&k);
        ck_assert_int_eq(truth(item(member(j, "attempts"), 0), "panic"), panicked);
        json_done();
        (void)stage_report(&k, &a, MEMO_OUTCOME_RESET, 0);
        memo_call_end(&k);
    }
    ck_assert(panicked);
    ck_assert_int_eq(stage_rules(&s, RULES("\"limits\":[{\"name\":\"all\",\"mode\":\"observe\",\"rate\":\"1/h\",\"burst\":1}]")), MEMO_OK);
    ck_assert_int_eq(stage_call(&s, 0, 200), MEMO_OK);
    ck_assert_int_eq(stage_open(&s, &k, &a, "GET"), MEMO_OK);
    ck_assert_ptr_nonnull(strstr(told(&k), "admit   observed    limit all 0/1, budget 10.0; would have been refused, but it is only observed"));
    node j = json(&k);
    ck_assert(truth(j, "observed"));
    json_done();
    memo_call_end(&k);
    stage_end(&s);
}
END_TEST

START_TEST(grpc_and_unproven)
{
    memo_call k;
    memo_attempt a;
    memo_outcome o = MEMO_INIT(memo_outcome);
    int32_t again;
    stage_begin(&s, RULES("\"retry\":{\"attempts\":1}"));
    ck_assert_int_eq(stage_view(&s, TWO), MEMO_OK);
    memo__governor_age(s.g, s.boot, true, MEMO_VIEW_CACHED);
    ck_assert_int_eq(stage_open(&s, &k, &a, "GET"), MEMO_OK);
    o.http_status = 200;
    o.grpc_status = 14;
    ck_assert_int_eq(memo_call_report(&k, &a, &o, &again), MEMO_OK);
    ck_assert_ptr_nonnull(strstr(told(&k), "view r1 cached, age unproven\n"));
    ck_assert_ptr_nonnull(strstr(text, "grpc 14 -> end "));
    memo_call_end(&k);
    stage_end(&s);
}
END_TEST

/* Whatever a caller names its paths and a registry its instances: JSON stays JSON. */
START_TEST(strange_names)
{
    memo_call k = MEMO_INIT(memo_call);
    memo_call_facts f = MEMO_INIT(memo_call_facts);
    memo_attempt a = MEMO_INIT(memo_attempt);
    stage_begin(&s, NULL);
    ck_assert_int_eq(stage_view(&s, "x\"y\\z\xc3\xa4=10.0.0.1:80"), MEMO_OK);
    f.method = "GET\"\n\x01LONGER";
    f.path = "/\"\\\n\xff\xc3\x28/a-path-that-is-longer-than-what-is-kept-of-it";
    ck_assert_int_eq(memo_call_begin(&k, s.service, &f), MEMO_OK);
    ck_assert_int_eq(memo_call_next(&k, &a), MEMO_OK);
    node j = json(&k);
    ck_assert(is(item(member(j, "attempts"), 0), "endpoint", "x\"y\\z\xc3\xa4"));
    json_done();
    memo_call_end(&k);
    stage_end(&s);
}
END_TEST

START_TEST(arguments)
{
    memo_call k = MEMO_INIT(memo_call);
    memo_attempt a;
    char small[24];
    size_t need = 0, bytes;
    ck_assert_int_eq(memo_call_explain(&k, "text", text, sizeof text, &need), MEMO_E_STATE);
    ck_assert_int_eq(memo_call_explain(NULL, "text", text, sizeof text, &need), MEMO_E_ARGUMENT);
    stage_begin(&s, NULL);
    ck_assert_int_eq(stage_view(&s, TWO), MEMO_OK);
    ck_assert_int_eq(stage_open(&s, &k, &a, "GET"), MEMO_OK);
    ck_assert_int_eq(memo_call_explain(&k, "yaml", text, sizeof text, &need), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_call_explain(&k, NULL, text, sizeof text, &need), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_call_explain(&k, "text", NULL, 10, &need), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo_call_explain(&k, "text", NULL, 0, &need), MEMO_E_TRUNCATED);
    ck_assert_int_eq(memo_call_explain(&k, "text", text, sizeof text, &bytes), MEMO_OK);
    ck_assert_uint_eq(bytes, strlen(text) + 1);
    ck_assert_uint_eq(need, bytes);
    ck_assert_int_eq(memo_call_explain(&k, "text", text, need, NULL), MEMO_OK);
    memset(small, 'x', sizeof small);
    ck_assert_int_eq(memo_call_explain(&k, "text", small, sizeof small, &need), MEMO_E_TRUNCATED);
    ck_assert_uint_eq(strlen(small), sizeof small - 1);
    ck_assert_mem_eq(small, text, sizeof small - 1);
    ck_assert_uint_eq(need, bytes);
    memo_call_end(&k);
    ck_assert_int_eq(memo_call_explain(&k, "text", text, sizeof text, &need), MEMO_E_STATE);
    ck_assert_int_eq(memo__explain(NULL, "text", text, sizeof text, &need), MEMO_E_STATE);
    stage_end(&s);
}
END_TEST

Suite *suite_call_explain(void);
Suite *suite_call_explain(void)
{
    Suite *suite = suite_create("call/explain");
    TCase *t = tcase_create("golden");
    tcase_add_test(t, a_retry_as_text);
    tcase_add_test(t, a_retry_as_json);
    tcase_add_test(t, the_hosts_locale);
    tcase_add_test(t, a_failure_as_text);
    tcase_add_test(t, refusals_as_text);
    tcase_add_test(t, stopped_as_text);
    tcase_add_test(t, why_not_that_route);
    tcase_add_test(t, picks);
    tcase_add_test(t, panic_and_observe);
    tcase_add_test(t, grpc_and_unproven);
    tcase_add_test(t, strange_names);
    tcase_add_test(t, arguments);
    suite_add_tcase(suite, t);
    return suite;
}
