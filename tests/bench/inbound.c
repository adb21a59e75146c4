/* SPDX-License-Identifier: Apache-2.0 */
/* inbound.c: one request, enter and leave, with everything that rules can ask for of what is received: a limit, concurrency, shedding; trace,
 * deadline, tracestate and baggage out of ten headers. */
#include <inttypes.h>
#include <stdio.h>
#include "bench.h"

#define HEADER(name, value) { name, value, sizeof(name) - 1, sizeof(value) - 1 }

static void requests_with(struct receiver *r, const memo_header *headers, uint32_t count, uint64_t n)
{
    static const memo_outcome good = { .size = sizeof good, .kind = MEMO_OUTCOME_REPLIED, .http_status = 200 };
    memo_inbound_facts f = MEMO_INIT(memo_inbound_facts);
    memo_inbound i = MEMO_INIT(memo_inbound);
    f.method = "GET";
    f.path = "/todos/7";
    f.caller = "account";
    f.headers = headers;
    f.headers_count = count;
    while (n--) {
        r->failures += memo_inbound_enter(&i, r->client, &f) != MEMO_OK;
        memo_inbound_leave(&i, &good);
    }
}

void requests(void *receiver, uint64_t n)
{
    static const memo_header headers[] = {
        HEADER("host", "todo"), HEADER("accept", "*/*"), HEADER("user-agent", "bench"), HEADER("accept-encoding", "identity"),
        HEADER("x-user", "u-123456"),
        HEADER("authorization", "none"), HEADER("x-request-id", "5b1d2c3e"), HEADER("content-type", "text/plain"),
        HEADER("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"), HEADER("x-envoy-expected-rq-timeout-ms", "3600000"),
    };
    requests_with(receiver, headers, 10, n);
}

void requests_carrying(void *receiver, uint64_t n)
{
    static const memo_header headers[] = {
        HEADER("host", "todo"), HEADER("accept", "*/*"), HEADER("user-agent", "bench"), HEADER("accept-encoding", "identity"),
        HEADER("x-user", "u-123456"),
        HEADER("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"), HEADER("x-envoy-expected-rq-timeout-ms", "3600000"),
        HEADER("tracestate", "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7"), HEADER("baggage", "tenant=blue,secret=1"),
        HEADER("content-type", "text/plain"),
    };
    requests_with(receiver, headers, 10, n);
}

void group_inbound(void)
{
    static const char *const again[] = { "requests", NULL };
    struct subject s = subject_open(RULES_INBOUND, 10, 0);
    struct receiver r[2] = { { .client = s.client }, { .client = s.client } };
    work_fn *work[] = { requests, requests_carrying };
    void *args[] = { &r[0], &r[0] }, *both[] = { &r[0], &r[1] };
    struct cost costs[2];
    requests(&r[0], 100000);
    measure(work, args, 2, 10000, 101, costs);
    figure("inbound_ns", costs[0].least, "ns");
    figure("inbound_ns_median", costs[0].median, "ns");
    figure("inbound_carrying_ns", costs[1].least, "ns");
    allocs_begin();
    requests_carrying(&r[0], 100000);
    figure("inbound_allocs", (double)allocs_end() / 100000, "allocations");
    double scales = scaling(requests, both, 2000);
    if (scales >= 0)
        figure("inbound_2t_scaling", scales, "x");
    if (r[0].failures + r[1].failures)
        fprintf(stderr, "bench: %" PRIu64 " requests were refused: the figures are worthless\n", r[0].failures + r[1].failures);
    subject_close(&s);
    double count = instructions(again, 1000, 21000);
    if (count >= 0)
        figure("inbound_instr", count, "instructions");
}
