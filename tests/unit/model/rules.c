/* SPDX-License-Identifier: Apache-2.0 */
/* rules.c: what a document compiles to, and what is told about one that does not. */
#include "model/rules.h"
#include <check.h>
#include <memo/status.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/instant.h"
#include "tests/unit/failing.h"

static char report[20000]; /* "error 3:17 services.todo.retry.attempts: ...\n" */
static int errors, warnings;

static void tell(void *user, const struct memo__finding *f)
{
    size_t n = strlen(report);
    ck_assert_ptr_eq(user, report);
    errors += f->error;
    warnings += !f->error;
    snprintf(report + n, sizeof report - n, "%s %d:%d %s: %s\n", f->error ? "error" : "warning", f->line, f->column, f->path, f->message);
}

static int32_t compile(const char *text, struct memo__rules **out)
{
    report[0] = '\0';
    errors = warnings = 0;
    return memo__rules_compile(&memo__alloc_libc, text, text ? strlen(text) : 0, tell, report, out);
}

static struct memo__rules *good(const char *text)
{
    struct memo__rules *r;
    ck_assert_msg(compile(text, &r) == MEMO_OK, "%s", report);
    ck_assert_msg(report[0] == '\0', "%s", report);
    return r;
}

static const struct memo__service_rules *service(const struct memo__rules *r, const char *name)
{
    return memo__rules_for(r, memo__text_of(name));
}

static const struct memo__route_rule *route(const struct memo__service_rules *s, const char *name)
{
    for (uint32_t i = 0; i < s->routes_count; i++)
        if (strcmp(s->routes[i].name, name) == 0)
            return &s->routes[i];
    ck_abort_msg("no route %s", name);
    return NULL;
}

static bool http_has(const struct memo__retry_rule *r, unsigned status)
{
    return r->on_http[(status - 100) / 64] >> (status - 100) % 64 & 1;
}

static void check_built_in(const struct memo__rules *r)
{
    const struct memo__service_rules *s = &r->defaults;
    const struct memo__route_rule *d = &s->routes[0];
    ck_assert(r->services_count == 0 && r->mode == MEMO__ENFORCE && s->mode == MEMO__ENFORCE && s->routes_count == 1);
    ck_assert_str_eq(s->name, "");
    ck_assert_str_eq(d->name, "default");
    ck_assert_int_eq(d->timeout, 5 * MEMO__S);
    ck_assert(d->when.methods == MEMO__ANY_METHOD && d->when.path_match == MEMO__PATH_ANY && d->when.headers_count == 0 && d->split_count == 0 && d->limits_count == 0);
    ck_assert(d->retry.attempts == 3 && d->retry.attempt_timeout == 0 && d->retry.budget == 100000);
    ck_assert_uint_eq(d->retry.on, MEMO__ON_CONNECT_FAILURE | MEMO__ON_RESET | MEMO__ON_TIMEOUT);
    for (unsigned status = 100; status < 600; status++)
        ck_assert(http_has(&d->retry, status) == (status == 502 || status == 503));
    ck_assert_uint_eq(d->retry.on_grpc, 1 << 14);
    ck_assert_uint_eq(d->retry.methods, MEMO__GET | MEMO__HEAD | MEMO__PUT | MEMO__DELETE | MEMO__OPTIONS);
    ck_assert(d->retry.backoff_initial == 25 * MEMO__MS && d->retry.backoff_max == 250 * MEMO__MS && d->retry.backoff_multiplier == 2000 && d->retry.jitter == MEMO__JITTER_FULL);
    ck_assert(!d->breaker.on && !s->concurrency.on && s->outlier.on);
    ck_assert(s->outlier.consecutive_failures == 5 && s->outlier.eject_for == 30 * MEMO__S && s->outlier.max_ejected == 340000 && s->outlier.mode == MEMO__ENFORCE);
    ck_assert(s->balance.policy == MEMO__BALANCE_PEAK_EWMA && s->balance.panic_below == 500000 && s->balance.decay == 10 * MEMO__S &&
              s->balance.choices == 2);
    ck_assert(s->max_stale == INT64_MAX && s->limits_count == 0 && s->wants_count == 0 && s->subsets_count == 0);
    ck_assert_ptr_eq(service(r, "anything"), s);
    ck_assert_ptr_eq(service(r, ""), s);
}

START_TEST(built_in)
{
    struct memo__rules *r;
    ck_assert_int_eq(memo__rules_compile(&memo__alloc_libc, NULL, 0, NULL, NULL, &r), MEMO_OK);
    check_built_in(r);
    ck_assert_uint_eq(r->hash, 0);
    memo__rules_free(r);
    r = good("{\"memo\":1}");
    check_built_in(r);
    ck_assert_uint_ne(r->hash, 0);
    memo__rules_free(r);
    memo__rules_free(NULL);
    static const struct memo__rules_options o = { .default_timeout = 7 * MEMO__S };
    ck_assert_int_eq(memo__rules_compile_with(&memo__alloc_libc, &o, NULL, 0, NULL, NULL, &r), MEMO_OK);
    ck_assert_int_eq(r->defaults.routes[0].timeout, 7 * MEMO__S);
    memo__rules_free(r);
}
END_TEST

static const char whole[] =
    "{ \"memo\": 1, // version\n"
    "  \"$schema\": \"x\", \"mode\": \"observe\", \"require\": [\"retry.attempts\", \"services.limits.by\", \"when.path\", \"breaker.openWhen.slow\"],\n"
    "  \"services\": {\n"
    "   \"todo\": { \"mode\": \"enforce\", \"timeout\": \"800ms\", \"maxStale\": \"10s\",\n"
    "     \"retry\": { \"attempts\": 4, \"attemptTimeout\": \"250ms\", \"on\": [\"connect-failure\", \"429\", \"599\", \"ABORTED\"], \"methods\": [\"GET\", \"POST\"],\n"
    "                \"backoff\": { \"initial\": \"5ms\", \"max\": \"5ms\", \"multiplier\": 1.5, \"jitter\": \"none\" }, \"budget\": \"20%\" },\n"
    "     \"breaker\": { \"mode\": \"observe\", \"scope\": \"instance\", \"window\": \"1s\", \"minCalls\": 1, \"openWhen\": { \"failed\": \"off\", \"slow\": \"80%\", \"slowerThan\": \"400ms\" },\n"
    "                  \"openFor\": \"10ms\", \"probes\": 16 },\n"
    "     \"outlier\": { \"consecutiveFailures\": 1000, \"ejectFor\": \"1m\", \"maxEjected\": \"1%\", \"mode\": \"observe\" },\n"
    "     \"limits\": [ { \"name\": \"all\", \"rate\": \"500/s\", \"burst\": 50 }, { \"name\": \"per-user\", \"rate\": \"30/m\", \"by\": \"header:X-User\", \"mode\": \"observe\" } ],\n"
    "     \"concurrency\": { \"max\": 64, \"exact\": true },\n"
    "     \"balance\": { \"policy\": \"round-robin\", \"panicBelow\": \"0%\", \"decay\": \"1s\" },\n"
    "     \"routes\": [\n"
    "       { \"name\": \"canary\", \"when\": { \"header\": { \"X-Canary\": \"1\", \"x-user\": \"me\" } }, \"to\": [ { \"subset\": { \"version\": \"v2\", \"a\": \"b\" }, \"weight\": 90 }, { \"subset\": {}, \"weight\": 10 }, {} ] },\n"
    "       { \"name\": \"report\", \"when\": { \"method\": \"GET\", \"path\": \"/reports/*\" }, \"to\": [ { \"subset\": { \"a\": \"b\", \"version\": \"v2\" } } ], \"timeout\": \"3s\", \"retry\": \"off\",\n"
    "         \"breaker\": { \"probes\": 1 }, \"limits\": [ { \"name\": \"r\", \"rate\": \"5/100ms\" } ] },\n"
    "       { \"name\": \"one\", \"when\": { \"method\": [\"PUT\", \"PATCH\"], \"path\": \"/one\" }, \"breaker\": \"off\" },\n"
    "       { \"name\": \"all\", \"when\": { \"path\": \"/*\" } } ] },\n"
    "   \"a\": { \"outlier\": \"off\" } },\n"
    "  \"defaults\": { \"timeout\": \"1s\", \"retry\": { \"attempts\": 2, \"budget\": \"5%\" }, \"limits\": [ { \"name\": \"d\", \"rate\": \"1/h\" } ] } }\n";

START_TEST(balancers)
{
    static const struct { const char *word; enum memo__balance_policy policy; } words[] = {
        { "peak-ewma", MEMO__BALANCE_PEAK_EWMA }, { "round-robin", MEMO__BALANCE_ROUND_ROBIN }, { "random", MEMO__BALANCE_RANDOM },
        { "weighted-round-robin", MEMO__BALANCE_WEIGHTED_ROUND_ROBIN }, { "least-request", MEMO__BALANCE_LEAST_REQUEST },
        { "ring-hash", MEMO__BALANCE_RING_HASH },
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        char text[200];
        snprintf(text, sizeof text, "{\"memo\":1,\"defaults\":{\"balance\":{\"policy\":\"%s\"}}}", words[i].word);
        struct memo__rules *r = good(text);
        ck_assert_int_eq(r->defaults.balance.policy, words[i].policy);
        memo__rules_free(r);
    }
}
END_TEST

START_TEST(ring_hash)
{
    struct memo__rules *r = good("{\"memo\":1,\"defaults\":{\"balance\":{\"policy\":\"ring-hash\",\"hashOn\":\"header:X-User\","
                                 "\"minRing\":5,\"maxRing\":1048576}},"
                                 "\"services\":{\"a\":{\"balance\":{\"hashOn\":\"path\"},"
                                 "\"limits\":[{\"name\":\"l\",\"rate\":\"1/s\",\"by\":\"header:x-user\"}]},"
                                 "\"b\":{\"balance\":{\"policy\":\"random\"}},\"c\":{\"balance\":{\"hashOn\":\"key\"}}}}");
    const struct memo__balance_rule *d = &r->defaults.balance, *a = &service(r, "a")->balance;
    const struct memo__balance_rule *b = &service(r, "b")->balance, *c = &service(r, "c")->balance;
    ck_assert(d->policy == MEMO__BALANCE_RING_HASH && d->min_ring == 5 && d->max_ring == 1048576 &&
              d->hash_on == MEMO__HASH_ON_HEADER && d->hash_header == 0);
    ck_assert_str_eq(r->defaults.wants[0], "x-user");
    ck_assert(a->policy == MEMO__BALANCE_RING_HASH && a->hash_on == MEMO__HASH_ON_PATH && a->hash_header == MEMO__NO_INDEX);
    ck_assert(b->hash_header == MEMO__NO_INDEX && service(r, "b")->wants_count == 0);    /* nobody reads it there */
    ck_assert(c->hash_on == MEMO__HASH_ON_KEY && c->min_ring == 5);
    memo__rules_free(r);
}
END_TEST

START_TEST(slow_start)
{
    struct memo__rules *r = good("{\"memo\":1,\"defaults\":{\"balance\":{\"slowStart\":{\"window\":\"30s\","
                                 "\"aggression\":1.5,\"minWeight\":\"5%\"}}},"
                                 "\"services\":{\"a\":{\"balance\":{\"slowStart\":\"off\",\"policy\":\"round-robin\"}},"
                                 "\"b\":{\"balance\":{\"slowStart\":{\"aggression\":1}}}}}");
    const struct memo__slow_start_rule *a = &service(r, "a")->balance.slow_start, *b = &service(r, "b")->balance.slow_start;
    ck_assert(r->defaults.balance.slow_start.window == 30 * MEMO__S && r->defaults.balance.slow_start.aggression == 1500);
    ck_assert_uint_eq(r->defaults.balance.slow_start.min_weight, 50000);
    ck_assert_int_eq(a->window, 0);
    ck_assert(b->window == 30 * MEMO__S && b->aggression == 1000 && b->min_weight == 50000);
    memo__rules_free(r);
}
END_TEST

START_TEST(a_whole_document)
{
    struct memo__rules *r = good(whole);
    const struct memo__service_rules *s = service(r, "todo");
    ck_assert_int_eq(r->mode, MEMO__OBSERVE);
    ck_assert_uint_eq(r->services_count, 2);
    ck_assert_str_eq(r->services[0].name, "a");
    ck_assert(s->mode == MEMO__ENFORCE && s->max_stale == 10 * MEMO__S);
    ck_assert(s->outlier.on && s->outlier.consecutive_failures == 1000 && s->outlier.eject_for == 60 * MEMO__S && s->outlier.max_ejected == 10000 && s->outlier.mode == MEMO__OBSERVE);
    ck_assert(s->concurrency.on && s->concurrency.max == 64 && s->concurrency.exact && s->concurrency.mode == MEMO__ENFORCE);
    ck_assert(s->balance.policy == MEMO__BALANCE_ROUND_ROBIN && s->balance.panic_below == 0 && s->balance.decay == MEMO__S);
    ck_assert_uint_eq(s->wants_count, 2);
    ck_assert_str_eq(s->wants[0], "x-user");
    ck_assert_str_eq(s->wants[1], "x-canary");
    ck_assert_uint_eq(s->subsets_count, 1);                                   /* the order of labels makes no other subset */
    ck_assert_str_eq(s->subsets[0].labels[0].name, "a");
    ck_assert_str_eq(s->subsets[0].labels[1].value, "v2");
    ck_assert_uint_eq(s->limits_count, 3);
    ck_assert(s->limits[0].count == 500 && s->limits[0].period == MEMO__S && s->limits[0].burst == 50 && s->limits[0].by_header == MEMO__NO_INDEX && s->limits[0].mode == MEMO__ENFORCE);
    ck_assert(s->limits[1].count == 30 && s->limits[1].period == 60 * MEMO__S && s->limits[1].burst == 1 && s->limits[1].by_header == 0 && s->limits[1].mode == MEMO__OBSERVE);
    ck_assert(s->limits[2].burst == 50 && s->limits[2].period == 100 * MEMO__MS);
    memo__rules_free(r);
}
END_TEST

START_TEST(its_routes)
{
    struct memo__rules *r = good(whole);
    const struct memo__service_rules *s = service(r, "todo");
    const struct memo__route_rule *canary = route(s, "canary"), *report_ = route(s, "report"), *one = route(s, "one"), *all = route(s, "all"), *rest = route(s, "default");
    ck_assert_uint_eq(s->routes_count, 5);
    ck_assert_ptr_eq(rest, &s->routes[4]);
    ck_assert(rest->timeout == 800 * MEMO__MS && rest->retry.attempts == 4 && rest->retry.attempt_timeout == 250 * MEMO__MS && rest->retry.budget == 200000);
    ck_assert(rest->retry.on == MEMO__ON_CONNECT_FAILURE && http_has(&rest->retry, 429) && http_has(&rest->retry, 599) && !http_has(&rest->retry, 503));
    ck_assert(rest->retry.on_grpc == 1 << 10 && rest->retry.methods == (MEMO__GET | MEMO__POST));
    ck_assert(rest->retry.backoff_initial == 5 * MEMO__MS && rest->retry.backoff_multiplier == 1500 && rest->retry.jitter == MEMO__JITTER_NONE);
    ck_assert(rest->breaker.on && rest->breaker.scope == MEMO__SCOPE_INSTANCE && rest->breaker.mode == MEMO__OBSERVE && rest->breaker.failed == 0 && rest->breaker.slow == 800000);
    ck_assert(rest->breaker.slower_than == 400 * MEMO__MS && rest->breaker.open_for == 10 * MEMO__MS && rest->breaker.probes == 16 && rest->breaker.window == MEMO__S);
    ck_assert(rest->limits_count == 2 && rest->limits[0] == 0 && rest->limits[1] == 1);
    ck_assert(canary->when.headers_count == 2 && canary->when.headers[0].want == 1 && canary->when.headers[1].want == 0);
    ck_assert_str_eq(canary->when.headers[0].value, "1");
    ck_assert(canary->split_count == 3 && canary->split_weight == 101 && canary->split[0].subset == 0 && canary->split[0].weight == 90);
    ck_assert(canary->split[1].subset == MEMO__NO_INDEX && canary->split[2].subset == MEMO__NO_INDEX && canary->split[2].weight == 1);
    ck_assert(canary->timeout == 800 * MEMO__MS && canary->breaker.scope == MEMO__SCOPE_INSTANCE);
    ck_assert(report_->when.methods == MEMO__GET && report_->when.path_match == MEMO__PATH_PREFIX && report_->timeout == 3 * MEMO__S && report_->retry.attempts == 1);
    ck_assert_str_eq(report_->when.path, "/reports/");
    ck_assert(report_->retry.budget == 200000);                               /* what a route does not say stays */
    ck_assert(report_->breaker.on && report_->breaker.scope == MEMO__SCOPE_ROUTE && report_->breaker.probes == 1 && report_->breaker.slow == 800000);
    ck_assert(report_->limits_count == 3 && report_->limits[2] == 2 && report_->split[0].subset == 0);
    ck_assert(one->when.methods == (MEMO__PUT | MEMO__PATCH) && one->when.path_match == MEMO__PATH_EXACT && !one->breaker.on && one->breaker.scope == MEMO__SCOPE_ROUTE);
    ck_assert(all->when.path_match == MEMO__PATH_PREFIX);
    ck_assert_str_eq(all->when.path, "/");
    memo__rules_free(r);
}
END_TEST

START_TEST(layers)
{
    struct memo__rules *r = good(whole);
    const struct memo__service_rules *a = service(r, "a"), *d = service(r, "b");
    ck_assert_ptr_eq(d, &r->defaults);
    ck_assert(a->mode == MEMO__OBSERVE && d->mode == MEMO__OBSERVE);          /* the document's */
    ck_assert(!a->outlier.on && d->outlier.on && d->outlier.mode == MEMO__OBSERVE);
    ck_assert(a->routes[0].timeout == MEMO__S && a->routes[0].retry.attempts == 2 && a->routes[0].retry.budget == 50000 && a->routes[0].retry.backoff_max == 250 * MEMO__MS);
    ck_assert(a->limits_count == 1 && strcmp(a->limits[0].name, "d") == 0 && d->limits_count == 1 && a->limits[0].mode == MEMO__OBSERVE);
    ck_assert_uint_eq(service(r, "todo")->routes[0].retry.attempts, 4);
    memo__rules_free(r);
    r = good("{\"memo\":1,\"defaults\":{\"breaker\":{\"openFor\":\"1s\"},\"concurrency\":{\"max\":5}},\"services\":{\"x\":{\"breaker\":{\"probes\":1},\"concurrency\":\"off\",\"limits\":[]},"
             "\"y\":{\"breaker\":\"off\",\"concurrency\":{\"exact\":true}}}}");
    ck_assert(service(r, "x")->routes[0].breaker.open_for == MEMO__S && service(r, "x")->routes[0].breaker.probes == 1 && service(r, "x")->routes[0].breaker.failed == 500000);
    ck_assert(!service(r, "y")->routes[0].breaker.on && !service(r, "x")->concurrency.on && service(r, "y")->concurrency.max == 5 && service(r, "y")->concurrency.exact);
    memo__rules_free(r);
}
END_TEST

static const char *path_of(const struct memo__service_rules *s, uint32_t route, enum memo__block block)
{
    static char path[128];
    struct memo__writer w;
    memo__writer_init(&w, path, sizeof path);
    if (block == MEMO__BLOCKS)
        memo__put_limit_path(&w, s, route);
    else
        memo__put_rule_path(&w, s, route, block);
    ck_assert(memo__writer_end(&w));
    return path;
}

/* Who is refused at three in the morning asks which line of the document did it: the innermost layer that says anything. */
START_TEST(where_a_rule_stands)
{
    struct memo__rules *r = good(whole);
    const struct memo__service_rules *todo = service(r, "todo"), *a = service(r, "a"), *b = service(r, "b");
    ck_assert_str_eq(path_of(todo, 0, MEMO__BLOCK_RETRY), "services.todo.retry");
    ck_assert_str_eq(path_of(todo, 1, MEMO__BLOCK_RETRY), "services.todo.routes[1].retry");
    ck_assert_str_eq(path_of(todo, 1, MEMO__BLOCK_TIMEOUT), "services.todo.routes[1].timeout");
    ck_assert_str_eq(path_of(todo, 2, MEMO__BLOCK_BREAKER), "services.todo.routes[2].breaker");
    ck_assert_str_eq(path_of(todo, 3, MEMO__BLOCK_BREAKER), "services.todo.breaker");
    ck_assert_str_eq(path_of(todo, 4, MEMO__BLOCK_OUTLIER), "services.todo.outlier");
    ck_assert_str_eq(path_of(todo, 4, MEMO__BLOCK_CONCURRENCY), "services.todo.concurrency");
    ck_assert_str_eq(path_of(todo, 4, MEMO__BLOCK_BALANCE), "services.todo.balance");
    ck_assert_str_eq(path_of(todo, 4, MEMO__BLOCK_MAX_STALE), "services.todo.maxStale");
    ck_assert_str_eq(path_of(todo, 1, MEMO__BLOCKS), "services.todo.limits[1]");
    ck_assert_str_eq(path_of(todo, 2, MEMO__BLOCKS), "services.todo.routes[1].limits[0]");
    ck_assert_str_eq(path_of(a, 0, MEMO__BLOCK_OUTLIER), "services.a.outlier");
    ck_assert_str_eq(path_of(a, 0, MEMO__BLOCK_RETRY), "defaults.retry");
    ck_assert_str_eq(path_of(a, 0, MEMO__BLOCKS), "defaults.limits[0]");
    ck_assert_str_eq(path_of(b, 0, MEMO__BLOCK_TIMEOUT), "defaults.timeout");
    ck_assert_str_eq(path_of(b, 0, MEMO__BLOCK_OUTLIER), "built-in outlier");
    memo__rules_free(r);
    struct memo__rules_options o = { .default_timeout = MEMO__S };
    ck_assert_int_eq(memo__rules_compile_with(&memo__alloc_libc, &o, NULL, 0, NULL, NULL, &r), MEMO_OK);
    ck_assert_str_eq(path_of(&r->defaults, 0, MEMO__BLOCK_TIMEOUT), "setting default_timeout");
    ck_assert_str_eq(path_of(&r->defaults, 0, MEMO__BLOCK_RETRY), "built-in retry");
    memo__rules_free(r);
}
END_TEST

START_TEST(finding_a_service)
{
    char text[3000] = "{\"memo\":1,\"services\":{";
    static const char *const names[] = { "m", "a", "zz", "todo", "to", "todos", "T", "a.b", "a-b", "0", "mm", "b" };
    for (size_t i = 0; i < 12; i++)
        sprintf(text + strlen(text), "%s\"%s\":{\"timeout\":\"%zums\"}", i ? "," : "", names[i], i + 1);
    strcat(text, "}}");
    struct memo__rules *r = good(text);
    for (size_t i = 0; i < 12; i++) {
        ck_assert_str_eq(service(r, names[i])->name, names[i]);
        ck_assert_int_eq(service(r, names[i])->routes[0].timeout, (int64_t)(i + 1) * MEMO__MS);
    }
    ck_assert_str_eq(service(r, "tod")->name, "");
    ck_assert_str_eq(service(r, "zzz")->name, "");
    ck_assert_str_eq(memo__rules_for(r, (struct memo__text){ "todo!", 4 })->name, "todo"); /* by length */
    memo__rules_free(r);
}
END_TEST

START_TEST(methods_have_bits)
{
    ck_assert_uint_eq(memo__method_bit(MEMO__TEXT("GET")), MEMO__GET);
    ck_assert_uint_eq(memo__method_bit(MEMO__TEXT("HEAD")), MEMO__HEAD);
    ck_assert_uint_eq(memo__method_bit(MEMO__TEXT("PUT")), MEMO__PUT);
    ck_assert_uint_eq(memo__method_bit(MEMO__TEXT("DELETE")), MEMO__DELETE);
    ck_assert_uint_eq(memo__method_bit(MEMO__TEXT("POST")), MEMO__POST);
    ck_assert_uint_eq(memo__method_bit(MEMO__TEXT("PATCH")), MEMO__PATCH);
    ck_assert_uint_eq(memo__method_bit(MEMO__TEXT("OPTIONS")), MEMO__OPTIONS);
    ck_assert_uint_eq(memo__method_bit(MEMO__TEXT("TRACE")), MEMO__TRACE);
    ck_assert_uint_eq(memo__method_bit(MEMO__TEXT("get")), 0);
    ck_assert_uint_eq(memo__method_bit(MEMO__TEXT("")), 0);
}
END_TEST

/* A route that reads four headers. */
#define FOUR(x) "{\"name\":\"" x "\",\"when\":{\"header\":{\"" x "1\":\"\",\"" x "2\":\"\",\"" x "3\":\"\",\"" x "4\":\"\"}}}"

/* A service's content, and what is told about it: path and words. "w ": a warning. */
static const struct { const char *service, *path, *words; } mistakes[] = {
    { "\"timeout\":\"800\"", "timeout", "\"800\" has no unit" }, { "\"timeout\":800", "timeout", "800 has no unit" }, { "\"timeout\":\"fast\"", "timeout", "\"fast\" is no duration" },
    { "\"timeout\":\"0s\"", "timeout", "\"0s\" is out of range: 1ms to 1d" }, { "\"timeout\":\"25h\"", "timeout", "1ms to 1d" }, { "\"timeout\":null", "timeout", "null is no duration" },
    { "\"timeout\":{}", "timeout", "an object is no duration" }, { "\"timeout\":[]", "timeout", "a list is no duration" }, { "\"timeout\":true", "timeout", "true is no duration" },
    { "\"maxStale\":\"never\"", "maxStale", "is no duration" }, { "\"mode\":\"watch\"", "mode", "one of \"enforce\", \"observe\"" }, { "\"mode\":\"observ\"", "mode", "did you mean \"observe\"?" },
    { "\"mode\":1", "mode", "1 is not known here" }, { "\"retry\":5", "retry", "5 where an object" }, { "\"retry\":\"on\"", "retry", "or \"off\", is expected" },
    { "\"retry\":{\"attempts\":0}", "retry.attempts", "0 is out of range: 1 to 5" }, { "\"retry\":{\"attempts\":6}", "retry.attempts", "1 to 5" },
    { "\"retry\":{\"attempts\":1.5}", "retry.attempts", "1.5 where a whole number from 1 to 5" }, { "\"retry\":{\"attempts\":\"3\"}", "retry.attempts", "\"3\" where a whole number" },
    { "\"retry\":{\"attempts\":99999999999999999999}", "retry.attempts", "whole number" }, { "\"retry\":{\"on\":\"reset\"}", "retry.on", "a list of causes" },
    { "\"retry\":{\"on\":[\"rset\"]}", "retry.on[0]", "did you mean \"reset\"?" }, { "\"retry\":{\"on\":[\"reset\",\"UNAVAILBLE\"]}", "retry.on[1]", "did you mean \"UNAVAILABLE\"?" },
    { "\"retry\":{\"on\":[\"200\"]}", "retry.on[0]", "\"200\" is nothing to retry on" }, { "\"retry\":{\"on\":[\"600\"]}", "retry.on[0]", "nothing to retry on" },
    { "\"retry\":{\"on\":[\"OK\"]}", "retry.on[0]", "nothing to retry on" }, { "\"retry\":{\"on\":[503]}", "retry.on[0]", "503 is nothing" }, { "\"retry\":{\"methods\":[\"get\"]}", "retry.methods[0]", "\"GET\"" },
    { "\"retry\":{\"methods\":\"FETCH\"}", "retry.methods", "one of \"GET\"" }, { "\"retry\":{\"methods\":7}", "retry.methods", "a list of methods" },
    { "\"retry\":{\"backoff\":{\"initial\":\"1s\"}}", "retry.backoff", "max 250ms is less than initial 1s" }, { "\"retry\":{\"backoff\":{\"multiplier\":0.5}}", "retry.backoff.multiplier", "from 1 to 10" },
    { "\"retry\":{\"backoff\":{\"multiplier\":\"2\"}}", "retry.backoff.multiplier", "from 1 to 10" }, { "\"retry\":{\"backoff\":{\"jitter\":\"equal\"}}", "retry.backoff.jitter", "\"none\", \"full\"" },
    { "\"retry\":{\"backoff\":\"off\"}", "retry.backoff", "an object in braces is expected" }, { "\"retry\":{\"budget\":\"101%\"}", "retry.budget", "is no share" }, { "\"retry\":{\"budget\":10}", "retry.budget", "10 has no unit" },
    { "\"breaker\":{\"window\":\"999ms\"}", "breaker.window", "1s to 10m" }, { "\"breaker\":{\"window\":\"601s\"}", "breaker.window", "1s to 10m" }, { "\"breaker\":{\"minCalls\":0}", "breaker.minCalls", "1 to 1000000" },
    { "\"breaker\":{\"openWhen\":{\"slow\":\"50%\"}}", "breaker.openWhen", "needs \"slowerThan\"" }, { "\"breaker\":{\"openWhen\":{\"slowerThan\":\"1s\"}}", "w breaker.openWhen", "does nothing without" },
    { "\"breaker\":{\"openWhen\":{\"failed\":\"off\"}}", "breaker.openWhen", "would never open" }, { "\"breaker\":{\"openWhen\":{\"failed\":\"0%\"}}", "breaker.openWhen.failed", "1% to 100%" },
    { "\"breaker\":{\"probes\":17}", "breaker.probes", "17 is out of range: 1 to 16" }, { "\"breaker\":{\"scope\":\"host\"}", "breaker.scope", "\"service\", \"route\", \"instance\"" },
    { "\"breaker\":{\"openFor\":\"9ms\"}", "breaker.openFor", "10ms to 1h" }, { "\"outlier\":{\"consecutiveFailures\":1001}", "outlier.consecutiveFailures", "1 to 1000" },
    { "\"outlier\":{\"failed\":\"30%\"}", "w outlier.failed", "reserved" }, { "\"outlier\":{\"maxEjected\":\"0%\"}", "outlier.maxEjected", "1% to 100%" },
    { "\"limits\":{}", "limits", "a list of limits" }, { "\"limits\":[5]", "limits[0]", "5 where an object" }, { "\"limits\":[{\"rate\":\"1/s\"}]", "limits[0]", "\"name\" is missing" },
    { "\"limits\":[{\"name\":\"a\"}]", "limits[0]", "\"rate\" is missing" }, { "\"limits\":[{\"name\":\"a b\",\"rate\":\"1/s\"}]", "limits[0].name", "\"a b\" is no name" },
    { "\"limits\":[{\"name\":\"a\",\"rate\":\"5\"}]", "limits[0].rate", "\"5\" is no rate" }, { "\"limits\":[{\"name\":\"a\",\"rate\":5}]", "limits[0].rate", "is no rate" },
    { "\"limits\":[{\"name\":\"a\",\"rate\":\"0/s\"}]", "limits[0].rate", "out of range" }, { "\"limits\":[{\"name\":\"a\",\"rate\":\"1/2d\"}]", "limits[0].rate", "1ms to 1d" },
    { "\"limits\":[{\"name\":\"a\",\"rate\":\"1/s\",\"burst\":0}]", "limits[0].burst", "1 to 4294967295" }, { "\"limits\":[{\"name\":\"a\",\"rate\":\"1/s\",\"by\":\"user\"}]", "limits[0].by", "header:NAME" },
    { "\"limits\":[{\"name\":\"a\",\"rate\":\"1/s\",\"by\":\"header:a b\"}]", "limits[0].by", "not the name of a header" }, { "\"limits\":[{\"name\":\"a\",\"rate\":\"1/s\",\"by\":\"caller\"}]", "w limits[0].by", "left out" },
    { "\"limits\":[{\"name\":\"a\",\"rate\":\"1/s\",\"maxWait\":\"1s\"}]", "w limits[0].maxWait", "reserved" },
    { "\"limits\":[{\"name\":\"a\",\"rate\":\"1/s\"},{\"name\":\"a\",\"rate\":\"2/s\"}]", "limits[1]", "two limits of this service are called \"a\"" },
    { "\"limits\":[1,2,3,4,5]", "limits", "5 limits, at most 4" }, { "\"concurrency\":{}", "concurrency", "\"max\" is missing" }, { "\"concurrency\":{\"max\":0}", "concurrency.max", "1 to 1000000" },
    { "\"concurrency\":{\"max\":1,\"exact\":1}", "concurrency.exact", "1 where true or false" }, { "\"concurrency\":{\"max\":1,\"queue\":5}", "w concurrency.queue", "reserved" },
    { "\"balance\":\"off\"", "balance", "an object in braces" }, { "\"balance\":{\"policy\":\"peak_ewma\"}", "balance.policy", "did you mean \"peak-ewma\"?" }, { "\"balance\":{\"decay\":\"1ms\"}", "balance.decay", "100ms to 10m" },
    { "\"balance\":{\"slowStart\":{}}", "balance.slowStart", "\"window\" is missing" },
    { "\"balance\":{\"slowStart\":\"on\"}", "balance.slowStart", "or \"off\", is expected" },
    { "\"balance\":{\"slowStart\":{\"window\":\"1ms\"}}", "balance.slowStart.window", "1s to 1h" },
    { "\"balance\":{\"slowStart\":{\"window\":\"30s\",\"aggression\":0}}", "balance.slowStart.aggression", "0.1 to 10" },
    { "\"balance\":{\"slowStart\":{\"window\":\"30s\",\"aggression\":\"1\"}}", "balance.slowStart.aggression", "\"1\" where a number" },
    { "\"balance\":{\"slowStart\":{\"window\":\"30s\",\"minWeight\":0.1}}", "balance.slowStart.minWeight", "has no unit" },
    { "\"balance\":{\"policy\":\"round-robin\",\"slowStart\":{\"window\":\"30s\"}}", "w balance", "round-robin has no slow start" },
    { "\"balance\":{\"policy\":\"random\",\"choices\":3}", "w balance", "random does not look at \"choices\"" },
    { "\"balance\":{\"hashOn\":\"cookie\"}", "balance.hashOn", "\"key\", \"path\" or \"header:NAME\"" },
    { "\"balance\":{\"hashOn\":5}", "balance.hashOn", "5 where" },
    { "\"balance\":{\"hashOn\":\"header:\"}", "balance.hashOn", "header:NAME" },
    { "\"balance\":{\"hashOn\":\"header:a b\"}", "balance.hashOn", "not the name of a header" },
    { "\"balance\":{\"minRing\":0}", "balance.minRing", "1 to 1048576" }, { "\"balance\":{\"maxRing\":1048577}", "balance.maxRing", "1 to 1048576" },
    { "\"balance\":{\"policy\":\"ring-hash\",\"maxRing\":1000}", "balance", "maxRing 1000 is less than minRing 1024" },
    { "\"balance\":{\"policy\":\"ring-hash\",\"slowStart\":{\"window\":\"30s\"}}", "w balance", "ring-hash has no slow start" },
    { "\"balance\":{\"policy\":\"random\",\"hashOn\":\"path\"}", "w balance", "random does not look at \"hashOn\"" },
    { "\"balance\":{\"policy\":\"ring-hash\",\"hashOn\":\"header:x-last\"},\"routes\":[" FOUR("a") "," FOUR("b") "," FOUR("c") "," FOUR("d") "]",
      "routes[3].when.header.d4", "at most 16 different headers" },
    { "\"balance\":{\"choices\":1}", "balance.choices", "1 is out of range: 2 to 10" },
    { "\"balance\":{\"choices\":\"2\"}", "balance.choices", "\"2\" where a whole number" },
    { "\"balance\":{\"policy\":\"least\"}", "balance.policy", "one of \"peak-ewma\", \"round-robin\"" },
    { "\"routes\":{}", "routes", "a list of routes" }, { "\"routes\":[{}]", "routes[0]", "\"name\" is missing" }, { "\"routes\":[{\"name\":\"default\"}]", "routes[0]", "every service has" },
    { "\"routes\":[{\"name\":\"a\",\"when\":{\"path\":\"/a\"}},{\"name\":\"a\"}]", "routes[1]", "two routes of this service are called \"a\"" },
    { "\"routes\":[{\"name\":\"a\"},{\"name\":\"b\"}]", "w routes[1]", "never reached: the route \"a\"" }, { "\"routes\":[{\"name\":\"a\",\"when\":{\"path\":\"x\"}}]", "routes[0].when.path", "begins with '/'" },
    { "\"routes\":[{\"name\":\"a\",\"when\":{\"path\":\"/a*\"}}]", "routes[0].when.path", "at the end, behind a '/'" }, { "\"routes\":[{\"name\":\"a\",\"when\":{\"path\":\"/a?b\"}}]", "routes[0].when.path", "query" },
    { "\"routes\":[{\"name\":\"a\",\"when\":{\"path\":7}}]", "routes[0].when.path", "7 where a path" }, { "\"routes\":[{\"name\":\"a\",\"when\":{\"header\":[]}}]", "routes[0].when.header", "an object of headers" },
    { "\"routes\":[{\"name\":\"a\",\"when\":{\"header\":{\"a:b\":\"1\"}}}]", "routes[0].when.header.a:b", "not the name" }, { "\"routes\":[{\"name\":\"a\",\"when\":{\"header\":{\"a\":1}}}]", "routes[0].when.header.a", "1 where a text" },
    { "\"routes\":[{\"name\":\"a\",\"when\":{\"header\":{\"a\":\"1\",\"A\":\"2\"}}}]", "routes[0].when.header.A", "case does not count" },
    { "\"routes\":[{\"name\":\"a\",\"when\":{\"header\":{\"a\":\"1\",\"a\":\"2\"}}}]", "routes[0].when.header.a", "given twice" },
    { "\"routes\":[{\"name\":\"a\",\"when\":{\"header\":{\"a\":\"1\",\"b\":\"\",\"c\":\"\",\"d\":\"\",\"e\":\"\"}}}]", "routes[0].when.header", "5 headers, at most 4" },
    { "\"routes\":[{\"name\":\"a\",\"to\":[]}]", "routes[0].to", "an empty list" }, { "\"routes\":[{\"name\":\"a\",\"to\":[{\"weight\":0},{\"weight\":0}]}]", "routes[0].to", "all weights are 0" },
    { "\"routes\":[{\"name\":\"a\",\"to\":[1,2,3,4,5,6,7,8,9]}]", "routes[0].to", "9 targets, at most 8" }, { "\"routes\":[{\"name\":\"a\",\"to\":[{\"weight\":-1}]}]", "routes[0].to[0].weight", "0 to 1000000" },
    { "\"routes\":[{\"name\":\"a\",\"to\":[{\"subset\":[]}]}]", "routes[0].to[0].subset", "at most 4 labels" }, { "\"routes\":[{\"name\":\"a\",\"to\":[{\"subset\":{\"a\":1}}]}]", "routes[0].to[0].subset.a", "1 where a text" },
    { "\"routes\":[{\"name\":\"a\",\"to\":[{\"subset\":{\"\":\"1\"}}]}]", "routes[0].to[0].subset.", "1 to 63 bytes" }, { "\"routes\":[{\"name\":\"a\",\"to\":[{\"subset\":{\"a\":\"1\",\"a\":\"1\"}}]}]", "routes[0].to[0].subset.a", "given twice" },
    { "\"routes\":[{\"name\":\"a\",\"breaker\":{\"scope\":\"instance\"}}]", "routes[0].breaker", "has the scope \"route\"" }, { "\"routes\":[{\"name\":\"a\",\"weight\":1}]", "w routes[0].weight", "unknown key" },
    { "\"limits\":[{\"name\":\"a\",\"rate\":\"1/s\"},{\"name\":\"b\",\"rate\":\"1/s\"},{\"name\":\"c\",\"rate\":\"1/s\"}],\"routes\":[{\"name\":\"x\",\"limits\":[{\"name\":\"d\",\"rate\":\"1/s\"},{\"name\":\"e\",\"rate\":\"1/s\"}]}]",
      "routes[0].limits[1]", "at most 4 hold for one call" },
    { "\"timeot\":\"1s\"", "w timeot", "did you mean \"timeout\"?" }, { "\"hedge\":{}", "w hedge", "unknown key, ignored" }, { "\"timeout\":\"1s\",\"timeout\":\"2s\"", "timeout", "given twice" },
};

START_TEST(mistake)
{
    char text[1000], want[200];
    bool warning = strncmp(mistakes[_i].path, "w ", 2) == 0;
    struct memo__rules *r;
    snprintf(text, sizeof text, "{\"memo\":1,\"services\":{\"todo\":{%s}}}", mistakes[_i].service);
    ck_assert_int_eq(compile(text, &r), warning ? MEMO_OK : MEMO_E_RULES);
    ck_assert((r != NULL) == warning);
    snprintf(want, sizeof want, " services.todo.%s: ", mistakes[_i].path + (warning ? 2 : 0));
    ck_assert_msg(strstr(report, want) && strstr(report, mistakes[_i].words), "%s\n%s", text, report);
    ck_assert_msg(errors == !warning && warnings == warning, "%s\n%s", text, report); /* one mistake is told once */
    memo__rules_free(r);
}
END_TEST

static const struct { const char *text, *want; } documents[] = {
    { "{}", "error 1:1 : \"memo\": 1 is missing" }, { "{\"memo\":2}", "error 1:9 memo: 2: this version reads" }, { "{\"memo\":\"1\"}", "error 1:9 memo: \"1\"" }, { "[]", "error 1:1 : a list where an object" },
    { "{\"memo\":1,}", "error 1:11 : a comma before" }, { "{\"memo\":1\n \"mode\":2}", "error 2:2 : ',' or '}'" }, { "{\"memo\":1,\"mode\":\"x\"}", "error 1:18 mode: " }, { "{\"memo\":1,\"services\":[]}", "error 1:22 services: a list where" },
    { "{\"memo\":1,\"defaults\":[]}", "error 1:22 defaults: a list where" }, { "{\"memo\":1,\"services\":{\"a b\":{}}}", "error 1:23 services.a b: \"a b\" is no name" }, { "{\"memo\":1,\"services\":{\"a\":{},\"a\":{}}}", "error 1:30 services.a: this service is given twice" },
    { "{\"memo\":1,\"require\":\"x\"}", "error 1:21 require: \"x\" where a list of keys" }, { "{\"memo\":1,\"require\":[\"retry.attempts\",\"limits.maxWait\"]}", "error 1:39 require[1]: \"limits.maxWait\" is required" },
    { "{\"memo\":1,\"require\":[5]}", "error 1:22 require[0]: 5 is required" }, { "{\"memo\":1,\"require\":[\"retry.hedge\"]}", "require[0]: \"retry.hedge\"" }, { "{\"memo\":1,\"require\":[\"\"]}", "require[0]: \"\"" },
    { "{\"memo\":1,\"inbound\":{\"timeout\":\"1s\"}}", "warning 1:22 inbound.timeout: unknown key" },
    { "{\"memo\":1,\"inbound\":{\"shed\":{\"min\":9,\"max\":8}}}", "error 1:29 inbound.shed: min 9 is more than max 8" }, { "{\"memo\":1,\"inbound\":{\"shed\":{\"slowdown\":1}}}", "inbound.shed.slowdown: 1 where a number from 1.1 to 10" },
    { "{\"memo\":1,\"inbound\":{\"shed\":{\"window\":\"1ms\"}}}", "inbound.shed.window: \"1ms\" is out of range" }, { "{\"memo\":1,\"inbound\":{\"limits\":[{\"name\":\"a\",\"rate\":\"1/s\",\"by\":\"me\"}]}}", "\"header:NAME\" or \"caller\" is expected" },
    { "{\"memo\":1,\"inbound\":5}", "inbound: 5 where an object" }, { "{\"memo\":1,\"require\":[\"inbound.shed.probeEvery\",\"inbound.retry\"]}", "require[1]: \"inbound.retry\" is required" }, { "{\"memo\":1,\"service\":{}}", "warning 1:11 service: unknown key, ignored; did you mean \"services\"?" }, { "{\"memo\":1,\"defaults\":{\"routes\":[]}}", "warning 1:23 defaults.routes: unknown key" },
    { "\"\xff\"", "error 1:2 : not UTF-8" }, { "{\"memo\":1,\"memo\":1}", "error 1:11 memo: this key is given twice" },
    { "{\"memo\":1,\"defaults\":{\"limits\":[{\"name\":\"a\",\"rate\":\"1/s\"},{\"name\":\"a\",\"rate\":\"1/s\"}]},\"services\":{\"x\":{},\"y\":{}}}", "error 1:59 defaults.limits[1]: two limits" },
};

START_TEST(document)
{
    struct memo__rules *r;
    bool error = compile(documents[_i].text, &r) != MEMO_OK;
    ck_assert_msg(strncmp(report, documents[_i].want, strlen(documents[_i].want)) == 0 || strstr(report, documents[_i].want), "%s", report);
    ck_assert_msg(errors + warnings == 1 && error == (errors == 1), "%s", report);
    memo__rules_free(r);
}
END_TEST

START_TEST(everything_is_told_in_order)
{
    struct memo__rules *r;
    ck_assert_int_eq(compile("{ \"services\": { \"b\": { \"timeout\": 5,\n \"retry\": { \"attempts\": 9, \"x\": 1 } } },\n \"mode\": \"no\", \"defaults\": { \"timeout\": \"1\" },\n \"memo\": 3 }", &r), MEMO_E_RULES);
    ck_assert_str_eq(report,
        "error 1:35 services.b.timeout: 5 has no unit: a duration reads \"250ms\", \"1.5s\", \"2m\"\n"
        "error 2:25 services.b.retry.attempts: 9 is out of range: 1 to 5\n"
        "warning 2:28 services.b.retry.x: unknown key, ignored\n"
        "error 3:10 mode: \"no\" is not known here: one of \"enforce\", \"observe\"\n"
        "error 3:41 defaults.timeout: \"1\" has no unit: a duration reads \"250ms\", \"1.5s\", \"2m\"\n"
        "error 4:10 memo: 3: this version reads documents of version 1\n");
    ck_assert_ptr_null(r);
    ck_assert_int_eq(memo__rules_compile(&memo__alloc_libc, "{\"memo\":3}", 10, NULL, NULL, &r), MEMO_E_RULES); /* nobody needs to listen */
    ck_assert_int_eq(memo__rules_compile(&memo__alloc_libc, "{", 1, NULL, NULL, &r), MEMO_E_RULES);
}
END_TEST

START_TEST(at_most_a_mebibyte)
{
    struct memo__rules *r;
    char *text = malloc(MEMO__RULES_BYTES_MAX + 2);
    memset(text, ' ', MEMO__RULES_BYTES_MAX + 1);
    memcpy(text, "{\"memo\":1}", 10);
    text[MEMO__RULES_BYTES_MAX] = '\0';
    memo__rules_free(good(text));
    text[MEMO__RULES_BYTES_MAX] = ' ';
    text[MEMO__RULES_BYTES_MAX + 1] = '\0';
    ck_assert_int_eq(compile(text, &r), MEMO_E_RULES);
    ck_assert_str_eq(report, "error 1:1 : longer than 1 MiB (1048576 bytes), the most that is read\n");
    ck_assert_ptr_null(r);
    free(text);
}
END_TEST

/* A list of n pieces, the number in each. */
static char *list(const char *before, const char *piece, int n, const char *behind)
{
    char *text = malloc(strlen(before) + strlen(behind) + (size_t)n * (strlen(piece) + 8) + 1);
    strcpy(text, before);
    for (int i = 0; i < n; i++) {
        char *at = text + strlen(text);
        if (i)
            *at++ = ',';
        sprintf(at, piece, i);
    }
    strcat(text, behind);
    return text;
}

static const struct { const char *before, *piece, *behind, *words; int most; } tables[] = {
    { "{\"memo\":1,\"services\":{\"s\":{\"routes\":[", "{\"name\":\"r%d\",\"when\":{\"path\":\"/a\"}}", "]}}}", "64 routes, at most 63", 63 },
    { "{\"memo\":1,\"services\":{\"s\":{\"routes\":[", "{\"name\":\"r%1$d\",\"when\":{\"header\":{\"h%1$d\":\"\"}}}", "]}}}", "at most 16 different headers", 16 },
    { "{\"memo\":1,\"services\":{\"s\":{\"routes\":[", "{\"name\":\"r%1$d\",\"when\":{\"path\":\"/a\"},\"to\":[{\"subset\":{\"v\":\"%1$d\"}}]}", "]}}}", "at most 31 different subsets", 31 },
    { "{\"memo\":1,\"services\":{", "\"s%d\":{}", "}}", "1025 services, at most 1024", 1024 },
    { "{\"memo\":1,\"services\":{\"s\":{\"retry\":{\"on\":[", "\"503\"", "]}}}}", "257 causes, at most 256", 256 },
};

START_TEST(tables_have_ends)
{
    struct memo__rules *r;
    char *text = list(tables[_i].before, tables[_i].piece, tables[_i].most, tables[_i].behind);
    ck_assert_msg(compile(text, &r) == MEMO_OK, "%s", report);
    memo__rules_free(r);
    free(text);
    text = list(tables[_i].before, tables[_i].piece, tables[_i].most + 1, tables[_i].behind);
    ck_assert_int_eq(compile(text, &r), MEMO_E_RULES);
    ck_assert_msg(strstr(report, tables[_i].words) != NULL, "%s", report);
    free(text);
}
END_TEST

START_TEST(long_texts_have_ends_too)
{
    struct memo__rules *r;
    char path[200], text[800];
    memset(path, 'p', sizeof path);
    path[0] = '/';
    path[127] = '\0';
    snprintf(text, sizeof text, "{\"memo\":1,\"services\":{\"s\":{\"routes\":[{\"name\":\"a\",\"when\":{\"path\":\"%s\",\"header\":{\"h\":\"%s\"}}}]}}}", path, path);
    memo__rules_free(good(text));
    path[127] = 'p';
    path[128] = '\0';
    snprintf(text, sizeof text, "{\"memo\":1,\"services\":{\"s\":{\"routes\":[{\"name\":\"a\",\"when\":{\"path\":\"%s\",\"header\":{\"h\":\"%s\"}}}]}}}", path, path);
    ck_assert_int_eq(compile(text, &r), MEMO_E_RULES);
    ck_assert_msg(errors == 2 && strstr(report, "128 bytes, at most 127") && strstr(report, "at most 127 bytes is"), "%s", report);
    path[64] = '\0';
    snprintf(text, sizeof text, "{\"memo\":1,\"services\":{\"%s\":{\"routes\":[{\"name\":\"a\",\"to\":[{\"subset\":{\"%s\":\"%s\"}}]}]}}}", path + 1, path + 1, path + 1);
    memo__rules_free(good(text));
    snprintf(text, sizeof text, "{\"memo\":1,\"services\":{\"s\":{\"routes\":[{\"name\":\"a\",\"to\":[{\"subset\":{\"%s\":\"\"}},{\"subset\":{\"a\":\"%s\"}}]}]}}}", path, path);
    ck_assert_int_eq(compile(text, &r), MEMO_E_RULES);
    ck_assert_int_eq(errors, 2);
}
END_TEST

START_TEST(a_flood_of_mistakes_is_cut)
{
    struct memo__rules *r;
    char *text = list("{\"memo\":1,\"services\":{", "\"s%d\":{\"timeout\":1}", 1000, "}}");
    report[0] = '\0';
    ck_assert_int_eq(compile(text, &r), MEMO_E_RULES);
    ck_assert_int_eq(errors, 201);
    ck_assert_ptr_nonnull(strstr(report, "and 800 more"));
    free(text);
    text = calloc(1, (1 << 20) + 2);
    memset(text, ' ', (1 << 20) + 1);
    memcpy(text, "{\"memo\":1}", 10);
    ck_assert_int_eq(compile(text, &r), MEMO_E_RULES);
    text[1 << 20] = '\0';
    ck_assert_int_eq(compile(text, &r), MEMO_OK);
    memo__rules_free(r);
    free(text);
}
END_TEST

static const char *const for_memory[] = { NULL, whole, "{\"memo\":1,\"defaults\":{\"timeout\":1},\"services\":{\"todo\":{\"x\":1,\"y\":1,\"z\":1,\"timeout\":1,\"retry\":{\"attempts\":9},\"mode\":1,\"outlier\":1,\"limits\":[1]}}}", "{" };

START_TEST(no_memory)
{
    const char *text = for_memory[_i / 2];
    bool forever = _i % 2, bad = _i / 2 >= 2;
    struct failing f;
    long n = 0;
    do {
        struct memo__rules *r;
        report[0] = '\0';
        failing_init(&f, ++n, forever);
        int32_t s = memo__rules_compile(&f.alloc, text, text ? strlen(text) : 0, tell, report, &r);
        ck_assert_int_eq(s, f.failed ? MEMO_E_NO_MEMORY : bad ? MEMO_E_RULES : MEMO_OK);
        ck_assert((r != NULL) == (s == MEMO_OK));
        ck_assert(s != MEMO_E_NO_MEMORY || report[0] == '\0'); /* half a report would be a wrong one */
        memo__rules_free(r);
        failing_done(&f);
    } while (f.failed);
    ck_assert_int_ge(n, _i / 2 == 1 ? 15 : 3);
}
END_TEST

Suite *suite_model_rules(void);
Suite *suite_model_rules(void)
{
    Suite *s = suite_create("model/rules");
    TCase *c = tcase_create("rules");
    tcase_add_test(c, built_in);
    tcase_add_test(c, balancers);
    tcase_add_test(c, slow_start);
    tcase_add_test(c, ring_hash);
    tcase_add_test(c, a_whole_document);
    tcase_add_test(c, its_routes);
    tcase_add_test(c, layers);
    tcase_add_test(c, where_a_rule_stands);
    tcase_add_test(c, finding_a_service);
    tcase_add_test(c, methods_have_bits);
    tcase_add_loop_test(c, mistake, 0, (int)(sizeof mistakes / sizeof *mistakes));
    tcase_add_loop_test(c, document, 0, (int)(sizeof documents / sizeof *documents));
    tcase_add_test(c, everything_is_told_in_order);
    tcase_add_test(c, at_most_a_mebibyte);
    tcase_add_loop_test(c, tables_have_ends, 0, (int)(sizeof tables / sizeof *tables));
    tcase_add_test(c, long_texts_have_ends_too);
    tcase_add_test(c, a_flood_of_mistakes_is_cut);
    tcase_add_loop_test(c, no_memory, 0, 8);
    suite_add_tcase(s, c);
    return s;
}
