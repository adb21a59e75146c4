/* SPDX-License-Identifier: Apache-2.0 */
/* traceparent.c: any bytes as inbound headers. What is accepted must be canonical: written again and read again it is the same, and nothing else was let through. */
#include <stdlib.h>
#include <string.h>
#include "telemetry/context.h"
#include "telemetry/headers.h"
#include "target.h"

static void one_value(struct memo__text value)
{
    struct memo__trace t, again;
    char out[MEMO__TRACEPARENT_BYTES];
    if (!memo__trace_parse(value, &t)) {
        require(!t.present && t.flags == 0);
        return;
    }
    memo__trace_format(t.id, t.span, t.flags, out);
    require(memo__trace_parse((struct memo__text){ out, sizeof out }, &again) && memcmp(&t, &again, sizeof t) == 0);
    require(memcmp(out + 3, value.at + 3, 50) == 0 && (value.n == sizeof out || value.at[sizeof out] == '-'));
}

static void time_left(const memo_context *x)
{
    int64_t left = memo__context_left_ms(x, 5);
    require(left == INT64_MAX || (left >= 0 && left <= MEMO__TIMEOUT_MOST / MEMO__MS));
}

/* Lines of the input alternate between the two headers that are read. */
static void whole_context(const char *text, size_t n)
{
    memo_context x = { .size = sizeof x };
    memo_header h[16], out[2];
    char buf[128];
    uint32_t count = 0;
    while (n && count < 16) {
        const char *end = memchr(text, '\n', n);
        size_t bytes = end ? (size_t)(end - text) : n;
        h[count] = (memo_header){ count % 2 ? MEMO__HEADER_TIMEOUT : MEMO__HEADER_TRACEPARENT, bytes ? text : "", 0, bytes };
        count++;
        text += bytes + (end != NULL);
        n -= bytes + (end != NULL);
    }
    require(memo__context_extract(&x, h, count, 5) == MEMO_OK);
    time_left(&x);
    require(memo__context_inject(&x, 5, buf, sizeof buf, out, 2, &count) == MEMO_OK && count <= 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char *exact = malloc(n ? n : 1); /* so that a sanitizer sees one byte too far */
    if (!exact)
        return 0;
    if (n)
        memcpy(exact, data, n);
    one_value((struct memo__text){ exact, n });
    whole_context(exact, n);
    free(exact);
    return 0;
}
