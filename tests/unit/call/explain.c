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
    memo__record_of(k)->id = 0x4f1c567890ab1234;
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
                   "  0.00 pick    %s\n"
                   "  4.31 reset -> retry      GET, 795 ms left, budget 9.0, wait 17 ms   [services.todo.retry]\n"
                   " 21.31 pick    %s         %s just tried\n",
                   first[1] == '1' ? "v1a" : "v2", second, first[1] == '1' ? "v1a" : "v2");
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
                     "  0.00 route   default\n"
                     "  0.00 admit   yes         budget 10.0\n"
                     "  0.00 pick    v1a         score 0.0\n"
                     "  3.00 timed out -> end    no retry: method, 4997 ms left   [built-in retry]\n");
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
                               "  0.00 route   default\n"
                               "  0.00 admit   no          MEMO_REFUSED_LIMITED: limit all 0/1, budget 10.0   [services.todo.limits[0]]\n");
    node j = json(&k);
    ck_assert(!truth(j, "admitted"));
    ck_assert(is(j, "status", "MEMO_REFUSED_LIMITED"));
    json_done();
    memo_call_end(&k);
    ck_assert_int_eq(stage_rules(&s, RULES("\"concurrency\":{\"max\":1},\"breaker\":{\"minCalls\":2,\"openWhen\":{\"failed\":\"50%\"}},\"retry\":{\"attempts\":1}")), MEMO_OK);
    ck_assert_int_eq(stage_open(&s, &held, &a, "GET"), MEMO_OK);
    ck_assert_int_eq(stage_open(&s, &k, &a, "GET"), MEMO_REFUSED_OVERLOADED);
    ck_assert_ptr_nonnull(strstr(told(&k), "admit   no          MEMO_REFUSED_OVERLOADED: breaker closed 0/0 failed (opens 50%), concurrency "
                                           "1 reached, budget 10.0   [services.todo.concurrency]\n"));
    memo_call_end(&k);
    memo_call_end(&held);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(stage_call(&s, MEMO_OUTCOME_RESET, 0), MEMO_OK);
    ck_assert_int_eq(stage_open(&s, &k, &a, "GET"), MEMO_REFUSED_OPEN);
    ck_assert_ptr_nonnull(strstr(told(&k), "admit   no          MEMO_REFUSED_OPEN: breaker open 2/2 failed (opens 50%), budget 10.0   "
                                           "[services.todo.breaker]\n")); /* what opened it */
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
                               "  0.00 route   canary\n"
                               "  0.00 admit   yes         budget 10.0\n"
                               "  0.00 stop    MEMO_REFUSED_NO_ENDPOINT   [services.todo.routes[0].to]\n");
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
    ck_assert_ptr_nonnull(strstr(told(&k), "admit   observed    limit all 0/1, budget 10.0; would have been refused, but it is only "
                                           "observed   [services.todo.limits[0]]\n"));
    node j = json(&k);
    ck_assert(truth(j, "observed"));
    json_done();
    memo_call_end(&k);
    stage_end(&s);
}
END_TEST

/* What was considered is told in the policy's own words. */
START_TEST(each_policy_in_its_words)
{
    static const struct { const char *rules, *view, *says, *policy; } told_by[] = {
        { "\"policy\":\"random\"", "v2=10.0.0.2:80;weight=70", "pick    v2          weight 70.0\n", "random" },
        { "\"policy\":\"weighted-round-robin\"", "v2=10.0.0.2:80;weight=70", "pick    v2          weight 70.0\n", "weighted-round-robin" },
        { "\"policy\":\"least-request\"", "v2=10.0.0.2:80", "pick    v2          calls under way 0.0\n", "least-request" },
        { "\"policy\":\"round-robin\"", "v2=10.0.0.2:80", "pick    v2\n", "round-robin" },
        { "\"policy\":\"peak-ewma\"", "v2=10.0.0.2:80", "pick    v2          score 0.0\n", "peak-ewma" },
        { "\"policy\":\"ring-hash\",\"hashOn\":\"path\"", "v2=10.0.0.2:80", "pick    v2          hash bf225c65e7b7fcd6 of path\n", "ring-hash" },
        { "\"policy\":\"ring-hash\"", "v2=10.0.0.2:80", " drawn: no key\n", "ring-hash" },
        { "\"policy\":\"ring-hash\",\"hashOn\":\"header:x-user\"", "v2=10.0.0.2:80", " drawn: no header x-user\n", "ring-hash" },
    };
    char document[300];
    memo_call k;
    memo_attempt a;
    (void)snprintf(document, sizeof document, RULES("\"balance\":{%s}"), told_by[_i].rules);
    stage_begin(&s, document);
    ck_assert_int_eq(stage_view(&s, told_by[_i].view), MEMO_OK);
    ck_assert_int_eq(stage_open(&s, &k, &a, "GET"), MEMO_OK);
    ck_assert_msg(strstr(told(&k), told_by[_i].says) != NULL, "%s", text);
    ck_assert(is(json(&k), "balance", told_by[_i].policy));
    json_done();
    memo_call_end(&k);
    stage_end(&s);
}
END_TEST

/* Its own was left out, and which that is; also when the rules are not those any more. */
START_TEST(ring_hash_explained)
{
    memo_call k;
    memo_attempt a;
    memo_call_facts f = MEMO_INIT(memo_call_facts);
    memo_header h = { "X-User", "alice", 0, 5 };
    stage_begin(&s, RULES("\"retry\":{\"attempts\":3,\"backoff\":{\"initial\":\"1ms\",\"max\":\"1ms\"}},"
                          "\"balance\":{\"policy\":\"ring-hash\",\"hashOn\":\"header:x-user\"}"));
    ck_assert_int_eq(stage_view(&s, "a=10.0.0.1:80 b=10.0.0.2:80 c=10.0.0.3:80"), MEMO_OK);
    f.method = "GET";
    f.headers = &h;
    f.headers_count = 1;
    k = (memo_call)MEMO_INIT(memo_call);
    a = (memo_attempt)MEMO_INIT(memo_attempt);
    ck_assert_int_eq(memo_call_begin(&k, s.service, &f), MEMO_OK);
    ck_assert_int_eq(memo_call_next(&k, &a), MEMO_OK);
    ck_assert_str_eq(a.id, "b");                      /* as the vectors say: XXH64 of alice is 73a3ea485f2e6049 */
    ck_assert_int_eq(stage_report(&k, &a, MEMO_OUTCOME_RESET, 0), 1);
    ck_assert_int_eq(memo_call_next(&k, &a), MEMO_OK);
    ck_assert_str_eq(a.id, "c");
    ck_assert_ptr_nonnull(strstr(told(&k), "pick    b           hash 73a3ea485f2e6049 of header x-user\n"));
    ck_assert_ptr_nonnull(strstr(told(&k), "pick    c           hash 73a3ea485f2e6049 of header x-user; b, its own, left out; b just tried\n"));
    node j = json(&k);
    ck_assert(is(j, "hash", "73a3ea485f2e6049") && !truth(j, "hash_drawn"));
    ck_assert(is(item(member(j, "attempts"), 1), "other", "b"));
    ck_assert_ptr_null(memo__json_find(parsed, item(member(j, "attempts"), 1), "other_score"));
    json_done();
    ck_assert_int_eq(stage_rules(&s, RULES("\"timeout\":\"1s\"")), MEMO_OK);
    ck_assert_ptr_nonnull(strstr(told(&k), " hash 73a3ea485f2e6049; b, its own, left out; b just tried\n"));
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

/* One call by a user. */
static memo_status by_user(memo_call *k, const char *user, const char *path)
{
    const memo_header h[] = { { "x-user", user, 0, 0 } };
    return stage_begin_with(&s, k, "GET", path, h, user ? 1 : 0);
}

/* A refusal tells the tokens of the limit that refused: never those of another one. */
START_TEST(whose_tokens)
{
    memo_call k, before;
    stage_begin(&s, RULES("\"limits\":[{\"name\":\"all\",\"rate\":\"1/h\",\"burst\":60},"
                          "{\"name\":\"per-user\",\"rate\":\"1/h\",\"burst\":2,\"by\":\"header:x-user\"}]"));
    ck_assert_int_eq(stage_view(&s, TWO), MEMO_OK);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(by_user(&before, "ann", "/"), MEMO_OK);
    ck_assert_int_eq(by_user(&k, "ann", "/"), MEMO_REFUSED_LIMITED);
    ck_assert_ptr_nonnull(strstr(told(&k), "MEMO_REFUSED_LIMITED: limit per-user 0/2, budget 10.0   [services.todo.limits[1]]\n"));
    node j = json(&k);
    ck_assert(is(j, "limit", "per-user") && is(j, "rule", "services.todo.limits[1]") && is(j, "result", "refused"));
    ck_assert_double_eq(number(j, "limit_tokens"), 0);
    ck_assert_double_eq(number(j, "limit_burst"), 2);
    json_done();
    memo_call_end(&k);
    ck_assert_int_eq(stage_rules(&s, "{\"memo\":1,\"services\":{\"todo\":{\"routes\":["
                                     "{\"name\":\"ra\",\"when\":{\"path\":\"/a\"},\"limits\":[{\"name\":\"la\",\"rate\":\"1/h\",\"burst\":60}]},"
                                     "{\"name\":\"rb\",\"when\":{\"path\":\"/b\"},\"limits\":[{\"name\":\"lb\",\"rate\":\"1/h\",\"burst\":1}]}]}}}"),
                     MEMO_OK);
    ck_assert_int_eq(by_user(&before, NULL, "/b"), MEMO_OK);
    ck_assert_int_eq(by_user(&k, NULL, "/b"), MEMO_REFUSED_LIMITED);
    ck_assert_ptr_nonnull(strstr(told(&k), "MEMO_REFUSED_LIMITED: limit lb 0/1, budget 10.0   [services.todo.routes[1].limits[0]]\n"));
    memo_call_end(&k);
    stage_end(&s);
}
END_TEST

/* A limit by header that is only observed, behind one whose header is absent: its own tokens, and its own place. */
START_TEST(whose_tokens_observed)
{
    memo_call k, before;
    stage_begin(&s, RULES("\"limits\":[{\"name\":\"per-team\",\"rate\":\"1/h\",\"by\":\"header:x-team\"},"
                          "{\"name\":\"per-user\",\"mode\":\"observe\",\"rate\":\"1/h\",\"burst\":2,\"by\":\"header:x-user\"}]"));
    ck_assert_int_eq(stage_view(&s, TWO), MEMO_OK);
    ck_assert_int_eq(by_user(&before, "ann", "/"), MEMO_OK);
    ck_assert_ptr_nonnull(strstr(told(&before), "admit   yes         limit per-user 1/2, budget 10.0\n"));
    ck_assert_int_eq(by_user(&before, "ann", "/"), MEMO_OK);
    ck_assert_int_eq(by_user(&k, "ann", "/"), MEMO_OK);
    stage_pass(&s, 7200 * S); /* what stood there when it was decided, whenever it is asked */
    ck_assert_ptr_nonnull(strstr(told(&k), "admit   observed    limit per-user 0/2, budget 10.0; would have been refused, but it is only "
                                           "observed   [services.todo.limits[1]]\n"));
    memo_call_end(&k);
    stage_end(&s);
}
END_TEST

static void slowly(int64_t took, int32_t kind)
{
    memo_call k;
    memo_attempt a;
    ck_assert_int_eq(stage_open(&s, &k, &a, "POST"), MEMO_OK);
    stage_pass(&s, took);
    (void)stage_report(&k, &a, kind, 200);
    memo_call_end(&k);
}

/* A slow answer is no failure: what opened the breaker is called by its name, and both are counted. */
START_TEST(slow_is_not_failed)
{
    memo_call k;
    memo_attempt a;
    stage_begin(&s, RULES("\"timeout\":\"9s\",\"breaker\":{\"minCalls\":5,\"openWhen\":{\"failed\":\"50%\",\"slow\":\"80%\",\"slowerThan\":\"600ms\"}}"));
    ck_assert_int_eq(stage_view(&s, TWO), MEMO_OK);
    slowly(601 * MS, 0);
    slowly(601 * MS, 0);
    slowly(MS, MEMO_OUTCOME_RESET);
    ck_assert_int_eq(stage_open(&s, &k, &a, "GET"), MEMO_OK);
    ck_assert_ptr_nonnull(strstr(told(&k), "yes         breaker closed 1/3 failed (opens 50%), 2/3 slow (opens 80%, slower than 600 ms), budget"));
    memo_call_end(&k);
    slowly(601 * MS, 0);
    slowly(601 * MS, 0);
    ck_assert_str_eq(stage_turned(&s, MEMO_EVENT_BREAKER)->text, "closed -> open, 4 of 5 slow, 1 failed");
    ck_assert_int_eq(stage_open(&s, &k, &a, "GET"), MEMO_REFUSED_OPEN);
    ck_assert_ptr_nonnull(strstr(told(&k), "MEMO_REFUSED_OPEN: breaker open 4/5 slow (opens 80%, slower than 600 ms), budget 10.0   "
                                           "[services.todo.breaker]\n"));
    node j = json(&k);
    ck_assert_double_eq(number(j, "breaker_calls"), 5);
    ck_assert_double_eq(number(j, "breaker_failed"), 1);
    ck_assert_double_eq(number(j, "breaker_slow"), 4);
    json_done();
    memo_call_end(&k);
    stage_end(&s);
    stage_begin(&s, RULES("\"timeout\":\"9s\",\"breaker\":{\"openWhen\":{\"failed\":\"off\",\"slow\":\"12.5%\",\"slowerThan\":\"1500us\"}}"));
    ck_assert_int_eq(stage_view(&s, TWO), MEMO_OK);
    ck_assert_int_eq(stage_open(&s, &k, &a, "GET"), MEMO_OK);
    ck_assert_ptr_nonnull(strstr(told(&k), "breaker closed 0/0 slow (opens 12.5%, slower than 1.500 ms), budget"));
    memo_call_end(&k);
    stage_end(&s);
}
END_TEST

/* The rule on a line is where the document says it, and no guess by the service's name. */
START_TEST(where_the_rule_stands)
{
    static const struct { const char *rules, *path; } t[] = {
        { "{\"memo\":1,\"services\":{\"todo\":{\"routes\":[{\"name\":\"r\",\"when\":{\"path\":\"/todos/*\"},\"retry\":{\"attempts\":2}}]}}}",
          "[services.todo.routes[0].retry]" },
        { "{\"memo\":1,\"services\":{\"todo\":{\"retry\":{\"attempts\":2}}}}", "[services.todo.retry]" },
        { "{\"memo\":1,\"defaults\":{\"retry\":{\"attempts\":2}},\"services\":{\"todo\":{\"timeout\":\"1s\"}}}", "[defaults.retry]" },
        { "{\"memo\":1,\"services\":{\"todo\":{\"timeout\":\"1s\"}}}", "[built-in retry]" },
        { NULL, "[built-in retry]" } };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        memo_call k;
        memo_attempt a;
        stage_begin(&s, t[i].rules);
        ck_assert_int_eq(stage_view(&s, TWO), MEMO_OK);
        ck_assert_int_eq(stage_open(&s, &k, &a, "GET"), MEMO_OK);
        ck_assert_int_eq(stage_report(&k, &a, MEMO_OUTCOME_RESET, 0), 1);
        ck_assert_msg(strstr(told(&k), t[i].path) != NULL, "not told: %s, but: %s", t[i].path, text);
        memo_call_end(&k);
        stage_end(&s);
    }
}
END_TEST

/* Nobody's rule: the caller's own deadline; and the rules' timeout, where it is theirs. */
START_TEST(whose_deadline)
{
    memo_call k = MEMO_INIT(memo_call);
    memo_call_facts f = MEMO_INIT(memo_call_facts);
    memo_attempt a = MEMO_INIT(memo_attempt);
    stage_begin(&s, RULES("\"timeout\":\"800ms\",\"maxStale\":\"1s\""));
    ck_assert_int_eq(stage_view(&s, TWO), MEMO_OK);
    for (int own = 0; own < 2; own++) {
        f.method = "GET";
        f.timeout_ms = own ? 500 : 0;
        ck_assert_int_eq(memo_call_begin(&k, s.service, &f), MEMO_OK);
        ck_assert_int_eq(memo_call_next(&k, &a), MEMO_OK);
        s.now += 900 * MS;
        ck_assert_int_eq(stage_report(&k, &a, MEMO_OUTCOME_TIMED_OUT, 0), 0);
        ck_assert_ptr_nonnull(strstr(told(&k), own ? "no retry: no time left, 0 ms left   [deadline of the caller]\n"
                                                   : "no retry: no time left, 0 ms left   [services.todo.timeout]\n"));
        memo_call_end(&k);
    }
    stage_pass(&s, 2 * S);
    ck_assert_int_eq(memo_call_begin(&k, s.service, &f), MEMO_REFUSED_STALE);
    ck_assert_ptr_nonnull(strstr(told(&k), "MEMO_REFUSED_STALE: budget 10.0   [services.todo.maxStale]\n"));
    memo_call_end(&k);
    stage_end(&s);
}
END_TEST

/* Every retry spends, and its line says what is left; who has all attempts used was not cancelled. */
START_TEST(the_budget_moves)
{
    memo_call k;
    memo_attempt a;
    stage_begin(&s, RULES("\"retry\":{\"attempts\":5,\"budget\":\"0%\"}"));
    ck_assert_int_eq(stage_rules(&s, RULES("\"retry\":{\"attempts\":5,\"budget\":\"0.1%\",\"backoff\":{\"initial\":\"1ms\",\"max\":\"1ms\"}}")), MEMO_OK);
    ck_assert_int_eq(stage_view(&s, TWO), MEMO_OK);
    for (int call = 0; call < 3; call++) {
        ck_assert_int_eq(stage_open(&s, &k, &a, "GET"), MEMO_OK);
        while (stage_report(&k, &a, MEMO_OUTCOME_RESET, 0))
            ck_assert_int_eq(memo_call_next(&k, &a), MEMO_OK);
        (void)told(&k);
        if (call == 0) {
            ck_assert_ptr_nonnull(strstr(text, "budget 10.0\n"));
            ck_assert_ptr_nonnull(strstr(text, "left, budget 9.0, wait"));
            ck_assert_ptr_nonnull(strstr(text, "left, budget 6.0, wait"));
            ck_assert_ptr_nonnull(strstr(text, "no retry: attempts used, "));
            node attempts = member(json(&k), "attempts");
            for (int i = 0; i < 5; i++) {
                ck_assert_double_eq_tol(number(item(attempts, i), "budget"), i < 4 ? 9 - i : 6, 0.001);
                ck_assert_double_gt(number(item(attempts, i), "left_ms"), 0);
                ck_assert(is(item(attempts, i), "rule", "services.todo.retry"));
            }
            json_done();
        } else if (call == 2)
            ck_assert_ptr_nonnull(strstr(text, "no retry: budget, "));
        memo_call_end(&k);
    }
    ck_assert_ptr_nonnull(strstr(text, "ms left, budget 0.0   [services.todo.retry]\n"));
    stage_end(&s);
}
END_TEST

#define OWN(more) RULES("\"breaker\":{\"scope\":\"instance\"," more "\"minCalls\":2,\"openWhen\":{\"failed\":\"50%\"}}," \
                        "\"outlier\":\"off\",\"retry\":{\"attempts\":1},\"balance\":{\"policy\":\"round-robin\"}")

/* Refused by the breakers of the endpoints: which, and why each. */
START_TEST(instances_that_refuse)
{
    memo_call k;
    memo_attempt a;
    stage_begin(&s, OWN(""));
    ck_assert_int_eq(stage_view(&s, "v1a=10.0.0.1:80 v1b=10.0.0.2:80 v1c=10.0.0.3:80 v1d=10.0.0.4:80 v1e=10.0.0.5:80"), MEMO_OK);
    for (int i = 0; i < 10; i++)
        ck_assert_int_eq(stage_call(&s, MEMO_OUTCOME_RESET, 0), MEMO_OK);
    ck_assert_int_eq(stage_open(&s, &k, &a, "GET"), MEMO_REFUSED_OPEN);
    ck_assert_ptr_nonnull(strstr(told(&k), "  0.00 admit   yes         budget 10.0\n"
                                           "  0.00 stop    MEMO_REFUSED_OPEN: v1a open 2/2 failed (opens 50%); v1b open 2/2 failed (opens 50%); "
                                           "v1c open 2/2 failed (opens 50%); v1d open 2/2 failed (opens 50%); and 1 more   [services.todo.breaker]\n"));
    node j = json(&k);
    ck_assert(is(j, "result", "stopped") && is(j, "rule", "services.todo.breaker"));
    node first = item(member(j, "refusing"), 0);
    ck_assert(is(first, "endpoint", "v1a") && is(first, "breaker", "open"));
    ck_assert_double_eq(number(first, "calls"), 2);
    ck_assert_double_eq(number(first, "failed"), 2);
    ck_assert_double_eq(number(first, "slow"), 0);
    json_done();
    memo_call_end(&k);
    stage_end(&s);
}
END_TEST

/* Four attempts leave room for two that refuse, and disturb none of what was tried. */
START_TEST(instances_that_refuse_after_attempts)
{
    memo_call k;
    memo_attempt a;
    stage_begin(&s, RULES("\"breaker\":{\"scope\":\"instance\",\"minCalls\":1,\"openWhen\":{\"failed\":\"50%\"}},"
                          "\"outlier\":\"off\",\"retry\":{\"attempts\":5},\"balance\":{\"policy\":\"round-robin\"}"));
    ck_assert_int_eq(stage_view(&s, "v1a=10.0.0.1:80 v1b=10.0.0.2:80 v1c=10.0.0.3:80 v1d=10.0.0.4:80"), MEMO_OK);
    ck_assert_int_eq(stage_open(&s, &k, &a, "GET"), MEMO_OK);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(stage_report(&k, &a, MEMO_OUTCOME_RESET, 0), 1);
        ck_assert_int_eq(memo_call_next(&k, &a), MEMO_OK);
    }
    ck_assert_int_eq(stage_report(&k, &a, MEMO_OUTCOME_RESET, 0), 1);
    ck_assert_int_eq(memo_call_next(&k, &a), MEMO_REFUSED_OPEN);
    ck_assert_ptr_nonnull(strstr(told(&k), "stop    MEMO_REFUSED_OPEN: v1a open 1/1 failed (opens 50%); v1b open 1/1 failed (opens 50%); "
                                           "and 2 more   [services.todo.breaker]\n"));
    ck_assert_ptr_null(strstr(text, "(gone)"));
    (void)json(&k);
    json_done();
    memo_call_end(&k);
    stage_end(&s);
}
END_TEST

/* Only observed: who would have refused shows what opened it, as the service's breaker and as an endpoint's. */
START_TEST(observed_breakers_have_counts)
{
    memo_call k;
    memo_attempt a;
    stage_begin(&s, RULES("\"breaker\":{\"mode\":\"observe\",\"minCalls\":2,\"openWhen\":{\"failed\":\"50%\"}},\"retry\":{\"attempts\":1}"));
    ck_assert_int_eq(stage_view(&s, "v1a=10.0.0.1:80"), MEMO_OK);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(stage_call(&s, MEMO_OUTCOME_RESET, 0), MEMO_OK);
    ck_assert_int_eq(stage_open(&s, &k, &a, "GET"), MEMO_OK);
    ck_assert_ptr_nonnull(strstr(told(&k), "admit   observed    breaker open 2/2 failed (opens 50%), budget 10.0; would have been refused, "
                                           "but it is only observed   [services.todo.breaker]\n"));
    ck_assert(is(json(&k), "rule", "services.todo.breaker"));
    json_done();
    memo_call_end(&k);
    ck_assert_int_eq(stage_rules(&s, OWN("\"mode\":\"observe\",")), MEMO_OK);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(stage_call(&s, MEMO_OUTCOME_RESET, 0), MEMO_OK);
    ck_assert_int_eq(stage_open(&s, &k, &a, "GET"), MEMO_OK);
    ck_assert_ptr_nonnull(strstr(told(&k), "pick    v1a         its breaker open 2/2 failed (opens 50%): would have refused, but it is only "
                                           "observed   [services.todo.breaker]\n"));
    node first = item(member(json(&k), "attempts"), 0);
    ck_assert(truth(first, "observed") && is(first, "breaker", "open"));
    ck_assert_double_eq(number(first, "breaker_failed"), 2);
    json_done();
    memo_call_end(&k);
    stage_end(&s);
}
END_TEST

static bool result_is(memo_call *k, const char *want)
{
    bool same = is(json(k), "result", want);
    json_done();
    return same;
}

/* A status is MEMO_OK for all that was neither refused nor stopped: the result tells them apart, also of a record that is kept. */
START_TEST(results)
{
    static const struct { int32_t kind, http; const char *result; } t[] = {
        { MEMO_OUTCOME_REPLIED, 200, "ok" }, { MEMO_OUTCOME_REPLIED, 500, "failed" }, { MEMO_OUTCOME_RESET, 0, "failed" },
        { MEMO_OUTCOME_CANCELLED, 0, "cancelled" } };
    memo_call k;
    memo_attempt a;
    struct memo__record kept;
    stage_begin(&s, RULES("\"retry\":{\"attempts\":2}"));
    ck_assert_int_eq(stage_view(&s, "v1a=10.0.0.1:80"), MEMO_OK);
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        ck_assert_int_eq(stage_open(&s, &k, &a, "POST"), MEMO_OK);
        ck_assert(result_is(&k, "open"));
        ck_assert_int_eq(stage_report(&k, &a, t[i].kind, t[i].http), 0);
        ck_assert_msg(result_is(&k, t[i].result), "%s: %s", t[i].result, text);
        ck_assert(is(json(&k), "status", "MEMO_OK"));
        json_done();
        memo_call_end(&k);
    }
    ck_assert_int_eq(stage_open(&s, &k, &a, "GET"), MEMO_OK);
    ck_assert_int_eq(stage_report(&k, &a, MEMO_OUTCOME_RESET, 0), 1);
    ck_assert(result_is(&k, "open"));
    memo_call_end(&k); /* given up before its second attempt */
    ck_assert(memo__ring_get(&s.world.ring, 0, &kept));
    ck_assert_int_eq(memo__explain(&kept, "json", text, sizeof text, NULL), MEMO_OK);
    ck_assert_ptr_nonnull(strstr(text, "\"result\":\"failed\""));
    s.world.slow_call = 1;
    ck_assert_int_eq(stage_open(&s, &k, &a, "GET"), MEMO_OK);
    memo_call_end(&k); /* given up under way */
    ck_assert_ptr_nonnull(strstr((memo__explain(memo__record_read(&k), "text", text, sizeof text, NULL), text), " cancelled in "));
    stage_end(&s);
}
END_TEST

/* A record that is kept tells what stood there at its end, not what stands there when somebody asks. */
START_TEST(kept_as_it_was)
{
    struct memo__record kept;
    stage_begin(&s, RULES("\"breaker\":{},\"limits\":[{\"name\":\"all\",\"rate\":\"1/h\",\"burst\":9}]"));
    s.world.slow_call = MS;
    ck_assert_int_eq(stage_view(&s, "v1a=10.0.0.1:80"), MEMO_OK);
    slowly(2 * MS, 0);
    for (int i = 0; i < 5; i++)
        slowly(0, 0);
    ck_assert(memo__ring_get(&s.world.ring, 0, &kept));
    ck_assert_int_eq(memo__explain(&kept, "text", text, sizeof text, NULL), MEMO_OK);
    ck_assert_ptr_nonnull(strstr(text, "breaker closed 0/1 failed (opens 50%), limit all 8/9, "));
    stage_end(&s);
}
END_TEST

/* JSON has all that the text has. */
START_TEST(json_has_all)
{
    memo_call k;
    memo_attempt a;
    stage_begin(&s, RULES("\"outlier\":{\"consecutiveFailures\":1,\"ejectFor\":\"30s\",\"maxEjected\":\"100%\"},\"retry\":{\"attempts\":1},"
                          "\"routes\":[{\"name\":\"canary\",\"when\":{\"header\":{\"x-canary\":\"1\"}}}]"));
    ck_assert_int_eq(stage_view(&s, "v1a=10.0.0.1:80 v1b=10.0.0.2:80 v2=10.0.0.3:80"), MEMO_OK);
    ck_assert_int_eq(stage_call(&s, MEMO_OUTCOME_RESET, 0), MEMO_OK);
    stage_pass(&s, 12 * S);
    ck_assert_int_eq(stage_open(&s, &k, &a, "GET"), MEMO_OK);
    ck_assert_ptr_nonnull(strstr(told(&k), " ejected 12 s ago: 1 failures   [services.todo.outlier]\n"));
    node j = json(&k), no = member(j, "route_not_taken");
    ck_assert(is(no, "name", "canary") && is(no, "reason", "header absent") && is(no, "header", "x-canary"));
    ck_assert_double_eq(number(j, "age_max_ms"), 12000);
    ck_assert_int_eq(member(j, "rule")->type, MEMO__JSON_NULL);
    node out = item(member(j, "ejected"), 0);
    ck_assert_double_eq(number(out, "failures"), 1);
    ck_assert_double_eq_tol(number(out, "ago_ms"), 12000, 0.001);
    ck_assert_uint_ge(memo__json_text(parsed, member(out, "endpoint")).n, 2);
    ck_assert_ptr_null(memo__json_next(parsed, out));
    ck_assert_int_eq(memcmp(memo__json_text(parsed, member(j, "call")).at, "4f1c", 4), 0); /* as the text calls it */
    json_done();
    memo_call_end(&k);
    memo__governor_age(s.g, s.boot, true, MEMO_VIEW_CACHED);
    ck_assert_int_eq(stage_open(&s, &k, &a, "GET"), MEMO_OK);
    ck_assert_int_eq(member(json(&k), "age_max_ms")->type, MEMO__JSON_NULL);
    json_done();
    memo_call_end(&k);
    stage_end(&s);
}
END_TEST

/* Long names, long outcomes, long calls: the columns hold, and no line ends in blanks. */
START_TEST(columns)
{
    memo_call k;
    memo_attempt a;
    stage_begin(&s, RULES("\"timeout\":\"30s\",\"retry\":{\"attempts\":2,\"backoff\":{\"initial\":\"1ms\",\"max\":\"1ms\",\"jitter\":\"none\"}},"
                          "\"outlier\":\"off\",\"balance\":{\"policy\":\"round-robin\"}"));
    ck_assert_int_eq(stage_view(&s, "todo-server-7f\xc3\xa4=10.0.0.1:80"), MEMO_OK);
    ck_assert_int_eq(stage_open(&s, &k, &a, "GET"), MEMO_OK);
    s.now += 1500 * MS;
    ck_assert_int_eq(stage_report(&k, &a, MEMO_OUTCOME_CONNECT_FAILED, 0), 1);
    ck_assert_int_eq(memo_call_next(&k, &a), MEMO_OK);
    ck_assert_str_eq(strchr(told(&k), '\n') + 1,
                     "   0.00 route   default\n"
                     "   0.00 admit   yes             budget 10.0\n"
                     "   0.00 pick    todo-server-7f\xc3\xa4\n"
                     "1500.00 connect failed -> retry GET, 28500 ms left, budget 9.0, wait 1 ms   [services.todo.retry]\n"
                     "1501.00 pick    todo-server-7f\xc3\xa4 todo-server-7f\xc3\xa4 just tried; tried again: nothing else is left\n");
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
    tcase_add_loop_test(t, each_policy_in_its_words, 0, 8);
    tcase_add_test(t, ring_hash_explained);
    tcase_add_test(t, grpc_and_unproven);
    tcase_add_test(t, strange_names);
    tcase_add_test(t, whose_tokens);
    tcase_add_test(t, whose_tokens_observed);
    tcase_add_test(t, slow_is_not_failed);
    tcase_add_test(t, where_the_rule_stands);
    tcase_add_test(t, whose_deadline);
    tcase_add_test(t, the_budget_moves);
    tcase_add_test(t, instances_that_refuse);
    tcase_add_test(t, instances_that_refuse_after_attempts);
    tcase_add_test(t, observed_breakers_have_counts);
    tcase_add_test(t, results);
    tcase_add_test(t, kept_as_it_was);
    tcase_add_test(t, json_has_all);
    tcase_add_test(t, columns);
    tcase_add_test(t, arguments);
    suite_add_tcase(suite, t);
    return suite;
}
