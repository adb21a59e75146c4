/* SPDX-License-Identifier: Apache-2.0 */
/* context.c: from inbound headers to a value, and back to outbound ones. */
#include "telemetry/context.h"
#include <string.h>
#include "telemetry/headers.h"

static struct memo__context *empty(memo_context *x)
{
    struct memo__context *c = (struct memo__context *)(void *)x;
    memset(c, 0, sizeof *c);
    c->size = sizeof *c;
    c->magic = MEMO__CONTEXT_MAGIC;
    c->deadline = MEMO__NEVER;
    return c;
}

void memo__context_init(memo_context *x)
{
    if (x)
        empty(x);
}

static struct memo__text text_of(const char *at, size_t n)
{
    return n && at ? (struct memo__text){ at, n } : memo__text_of(at);
}

/* A second traceparent makes both worthless: which of them is the caller's cannot be known. */
static void read_trace(struct memo__context *c, struct memo__text value, uint32_t *seen)
{
    if (++*seen > 1 || !memo__trace_parse(value, &c->trace))
        memset(&c->trace, 0, sizeof c->trace);
}

static void read_timeout(struct memo__context *c, struct memo__text value, memo__instant now)
{
    int64_t ns;
    if (memo__timeout_parse(value, &ns))
        c->deadline = memo__earlier(c->deadline, memo__after(now, ns));
}

memo_status memo__context_extract(memo_context *x, const memo_header *h, uint32_t count, memo__instant now)
{
    uint32_t traces = 0;
    if (!x || x->size != sizeof *x || (count && !h))
        return MEMO_E_ARGUMENT;
    struct memo__context *c = empty(x);
    for (uint32_t i = 0; i < count; i++) {
        struct memo__text name = text_of(h[i].name, h[i].name_bytes), value = memo__text_trim(text_of(h[i].value, h[i].value_bytes));
        if (memo__text_same_nocase(name, MEMO__TEXT(MEMO__HEADER_TRACEPARENT)))
            read_trace(c, value, &traces);
        else if (memo__text_same_nocase(name, MEMO__TEXT(MEMO__HEADER_TIMEOUT)))
            read_timeout(c, value, now);
    }
    return MEMO_OK;
}

/* Without a trace only the time is told. */
static memo_status inject_timeout(int64_t left_ms, char *buf, size_t n, memo_header *out, uint32_t max, uint32_t *count)
{
    char digits[MEMO__DECIMAL_MAX];
    size_t bytes = (size_t)(memo__put_decimal(digits, (uint64_t)left_ms) - digits);
    if (max < 1 || n < bytes + 1)
        return MEMO_E_TRUNCATED;
    memcpy(buf, digits, bytes);
    buf[bytes] = 0;
    out[0] = (memo_header){ MEMO__HEADER_TIMEOUT, buf, sizeof MEMO__HEADER_TIMEOUT - 1, bytes };
    *count = 1;
    return MEMO_OK;
}

memo_status memo__context_inject(const memo_context *x, memo__instant now, char *buf, size_t n, memo_header *out, uint32_t max, uint32_t *count)
{
    if (!x || x->size != sizeof *x || !buf || !out || !count)
        return MEMO_E_ARGUMENT;
    *count = 0;
    const struct memo__context *c = memo__context_of(x);
    int64_t left = c ? memo__context_left_ms(x, now) : INT64_MAX;
    if (left != INT64_MAX && left > MEMO__TIMEOUT_MOST / MEMO__MS)
        left = MEMO__TIMEOUT_MOST / MEMO__MS;
    if (c && c->trace.present)
        return memo__headers_write(&c->trace, c->trace.span, left == INT64_MAX ? -1 : left, 0, buf, n, out, max, count);
    return left == INT64_MAX ? MEMO_OK : inject_timeout(left, buf, n, out, max, count);
}

int64_t memo__context_left_ms(const memo_context *x, memo__instant now)
{
    const struct memo__context *c = memo__context_of(x);
    return !c || c->deadline == MEMO__NEVER ? INT64_MAX : memo__since(c->deadline, now) / MEMO__MS;
}

memo_status memo__context_set_deadline(memo_context *x, int64_t left_ms, memo__instant now)
{
    if (!x || x->size != sizeof *x || left_ms < 0)
        return MEMO_E_ARGUMENT;
    struct memo__context *c = memo__context_of(x) ? (struct memo__context *)(void *)x : empty(x);
    c->deadline = memo__earlier(c->deadline, memo__after_ms(now, left_ms));
    return MEMO_OK;
}

memo_status memo__context_get_trace(const memo_context *x, char id[33])
{
    const struct memo__context *c = memo__context_of(x);
    if (!id || !x)
        return MEMO_E_ARGUMENT;
    id[0] = 0;
    if (!c || !c->trace.present)
        return MEMO_E_STATE;
    memo__trace_hex(c->trace.id, id);
    id[32] = 0;
    return MEMO_OK;
}
