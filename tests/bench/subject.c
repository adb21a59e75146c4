/* SPDX-License-Identifier: Apache-2.0 */
/* subject.c: the client under test: everything that rules can ask for at once, with bounds so high that nothing is ever refused. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bench.h"

#define FULL                                                                                                                                   \
    "\"timeout\":\"800ms\","                                                                                                                   \
    "\"retry\":{\"attempts\":3,\"attemptTimeout\":\"250ms\",\"on\":[\"connect-failure\",\"reset\",\"502\",\"503\",\"UNAVAILABLE\"],"           \
    "\"methods\":[\"GET\",\"HEAD\",\"PUT\",\"DELETE\"],"                                                                                       \
    "\"backoff\":{\"initial\":\"25ms\",\"max\":\"250ms\",\"multiplier\":2,\"jitter\":\"full\"},\"budget\":\"10%\"},"                           \
    "\"breaker\":{\"scope\":\"service\",\"window\":\"10s\",\"minCalls\":20,"                                                                   \
    "\"openWhen\":{\"failed\":\"50%\",\"slow\":\"80%\",\"slowerThan\":\"400ms\"},\"openFor\":\"5s\",\"probes\":3},"                            \
    "\"outlier\":{\"consecutiveFailures\":5,\"ejectFor\":\"30s\",\"maxEjected\":\"34%\"},"                                                     \
    "\"limits\":[{\"name\":\"all\",\"rate\":\"1000000000/s\",\"burst\":1000000000}],"                                                          \
    "\"concurrency\":{\"max\":100000},"                                                                                                        \
    "\"balance\":{\"policy\":\"peak-ewma\",\"panicBelow\":\"50%\"},"                                                                           \
    "\"routes\":[{\"name\":\"canary\",\"when\":{\"header\":{\"x-canary\":\"1\"}},\"to\":[{\"subset\":{\"version\":\"v2\"},\"weight\":100}]},"  \
    "{\"name\":\"report\",\"when\":{\"method\":\"GET\",\"path\":\"/reports/*\"},\"timeout\":\"3s\",\"retry\":{\"attempts\":1}}]"

#define BOTH(service) "{\"memo\":1,\"services\":{\"a\":{" service "},\"b\":{" service "}}}"

static const char *const documents[] = {
    [RULES_FULL] = BOTH(FULL),
    [RULES_HTTP] = BOTH(FULL),
    [RULES_P2C] = BOTH("\"balance\":{\"policy\":\"peak-ewma\"}"),
    [RULES_INBOUND] = "{\"memo\":1,\"inbound\":{\"limits\":[{\"name\":\"all\",\"rate\":\"1000000000/s\",\"burst\":1000000000}],"
                      "\"concurrency\":{\"max\":100000},\"shed\":{\"min\":1000,\"max\":100000}}}",
    [RULES_ROUND_ROBIN] = BOTH("\"balance\":{\"policy\":\"round-robin\"}"),
    [RULES_WEIGHTED] = BOTH("\"balance\":{\"policy\":\"weighted-round-robin\"}"),
    [RULES_LEAST] = BOTH("\"balance\":{\"policy\":\"least-request\"}"),
    [RULES_RING] = BOTH("\"balance\":{\"policy\":\"ring-hash\",\"hashOn\":\"key\",\"minRing\":65536}"),
    [RULES_RANDOM] = BOTH("\"balance\":{\"policy\":\"random\"}"),
};

static void need(memo_status s, const char *what, const memo_error *e)
{
    if (s == MEMO_OK)
        return;
    fprintf(stderr, "bench: %s: %s: %s\n", what, memo_status_name(s), e->message);
    exit(1);
}

/* "static:a=1.1.0.1:9|1.1.0.2:9|...,b=...": nobody calls them. A setting holds 128 KiB: short addresses, and of very many b gets but one. */
static char *registry_url(uint32_t endpoints, uint16_t port)
{
    size_t size = 64 + 2 * (size_t)endpoints * 16, at = 0;
    char *url = malloc(size);
    if (!url)
        exit(1);
    for (int service = 0; service < 2; service++) {
        uint32_t many = port || (service && endpoints > 1000) ? 1 : endpoints;
        at += (size_t)snprintf(url + at, size - at, "%s%c=", service ? "," : "static:", 'a' + service);
        for (uint32_t i = 1; i <= many; i++) {
            if (port)
                at += (size_t)snprintf(url + at, size - at, "127.0.0.1:%u", port);
            else
                at += (size_t)snprintf(url + at, size - at, "%s1.1.%u.%u:9", i > 1 ? "|" : "", i >> 8, i & 255);
        }
    }
    return url;
}

bool subject_hosted;

struct subject subject_open(enum rules rules, uint32_t endpoints, uint16_t port)
{
    struct subject s = { 0 };
    memo_error e = MEMO_INIT(memo_error);
    char *url = registry_url(endpoints, port);
    need(memo_client_new(&s.client, &e), "new", &e);
    need(memo_client_set(s.client, "registry", url, &e), "registry", &e);
    need(memo_client_set(s.client, "rules", documents[rules], &e), "rules", &e);
    need(memo_client_set(s.client, "baggage_keys", "tenant", &e), "baggage_keys", &e);
    need(memo_client_set(s.client, "cache", "false", &e), "cache", &e);
    free(url);
    need(memo_client_set(s.client, "engine_thread", subject_hosted ? "false" : "true", &e), "engine_thread", &e);
    need(memo_client_start(s.client, &e), "start", &e);
    need(memo_service_acquire(s.client, "a", &s.service[0], &e), "acquire", &e);
    need(memo_service_acquire(s.client, "b", &s.service[1], &e), "acquire", &e);
    need(memo_client_wait(s.client, 30000, &e), "wait", &e);
    return s;
}

void subject_close(struct subject *s)
{
    memo_service_release(s->service[0]);
    memo_service_release(s->service[1]);
    memo_client_free(s->client);
}

struct caller caller_of(memo_service *s)
{
    static const memo_header inbound[] = {
        { "traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", 0, 0 }, { "x-envoy-expected-rq-timeout-ms", "3600000", 0, 0 },
    };
    struct caller c = { .service = s };
    c.parent.size = sizeof c.parent;
    if (memo_context_extract(&c.parent, inbound, 2) != MEMO_OK)
        c.failures++;
    return c;
}

#define HEADER(name, value) { name, value, sizeof(name) - 1, sizeof(value) - 1 }

static memo_call_facts facts_of(const struct caller *c)
{
    static const memo_header headers[] = {
        HEADER("accept", "*/*"), HEADER("user-agent", "bench"), HEADER("accept-encoding", "identity"), HEADER("x-user", "u-123456"),
        HEADER("x-canary", "0"), HEADER("authorization", "none"), HEADER("x-request-id", "5b1d2c3e"), HEADER("content-type", "text/plain"),
    };
    memo_call_facts f = MEMO_INIT(memo_call_facts);
    f.method = "GET";
    f.path = "/todos/7";
    f.headers = headers;
    f.headers_count = 8;
    f.parent = &c->parent;
    return f;
}

static bool decide(const struct caller *c, memo_call *k, memo_attempt *a, const memo_call_facts *f)
{
    static const memo_outcome good = { .size = sizeof good, .kind = MEMO_OUTCOME_REPLIED, .http_status = 200 };
    memo_header out[8];
    char buf[256];
    uint32_t count = 0;
    int32_t again = 0;
    bool well = memo_call_begin(k, c->service, f) == MEMO_OK && memo_call_next(k, a) == MEMO_OK &&
        memo_call_inject(k, a, buf, sizeof buf, out, 8, &count) == MEMO_OK && memo_call_report(k, a, &good, &again) == MEMO_OK;
    memo_call_end(k);
    return well && count == 3 && again == 0;
}

void decisions(void *caller, uint64_t n)
{
    struct caller *c = caller;
    memo_call_facts f = facts_of(c);
    memo_call k = MEMO_INIT(memo_call);
    memo_attempt a = MEMO_INIT(memo_attempt);
    uint64_t failures = 0;
    while (n--)
        failures += !decide(c, &k, &a, &f);
    c->failures += failures;
}

void decisions_fresh(void *caller, uint64_t n)
{
    struct caller *c = caller;
    uint64_t failures = 0;
    while (n--) {
        memo_call_facts f = facts_of(c);
        memo_call k = MEMO_INIT(memo_call);
        memo_attempt a = MEMO_INIT(memo_attempt);
        failures += !decide(c, &k, &a, &f);
    }
    c->failures += failures;
}

/* Keys of many users, so that hashing them and missing the caches count; read by ring hash alone. */
static const char *key_of(uint64_t n)
{
    static char keys[4096][8];
    if (!keys[0][0])
        for (uint32_t i = 0; i < 4096; i++)
            snprintf(keys[i], sizeof keys[i], "u-%u", i);
    return keys[n & 4095];
}

void picks(void *caller, uint64_t n)
{
    static const memo_outcome good = { .size = sizeof good, .kind = MEMO_OUTCOME_REPLIED, .http_status = 200 };
    struct caller *c = caller;
    memo_call_facts f = MEMO_INIT(memo_call_facts);
    memo_call k = MEMO_INIT(memo_call);
    memo_attempt a = MEMO_INIT(memo_attempt);
    int32_t again;
    while (n--) {
        f.key = key_of(n);
        bool well = memo_call_begin(&k, c->service, &f) == MEMO_OK && memo_call_next(&k, &a) == MEMO_OK && memo_call_report(&k, &a, &good, &again) == MEMO_OK;
        memo_call_end(&k);
        c->failures += !well;
    }
}

void no_picks(void *caller, uint64_t n)
{
    struct caller *c = caller;
    memo_call_facts f = MEMO_INIT(memo_call_facts);
    memo_call k = MEMO_INIT(memo_call);
    while (n--) {
        c->failures += memo_call_begin(&k, c->service, &f) != MEMO_OK;
        memo_call_end(&k);
    }
}
