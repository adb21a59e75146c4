/* SPDX-License-Identifier: Apache-2.0 */
/* context.c: from inbound headers to a value, and back to outbound ones. */
#include "telemetry/context.h"
#include <string.h>
#include "telemetry/baggage.h"
#include "telemetry/headers.h"
#include "telemetry/tracestate.h"

static struct memo__context *empty(memo_context *x)
{
    struct memo__context *c = (struct memo__context *)(void *)x;
    memset(c, 0, sizeof *c);
    c->size = sizeof *c;
    c->magic = MEMO__CONTEXT_MAGIC;
    c->deadline = MEMO__NEVER;
    return c;
}

struct memo__context *memo__context_init(memo_context *x)
{
    return x ? empty(x) : NULL;
}

/* A second traceparent makes both worthless: which of them is the caller's cannot be known. */
static void read_trace(struct memo__extraction *e, struct memo__text value)
{
    struct memo__trace *t = &e->into->trace;
    if (++e->traces > 1 || !memo__trace_parse(value, t))
        memset(t, 0, sizeof *t);
}

static void read_timeout(struct memo__extraction *e, struct memo__text value)
{
    int64_t ns;
    if (memo__timeout_parse(value, &ns))
        e->into->deadline = memo__earlier(e->into->deadline, memo__after(e->now, ns));
}

static void keep(struct memo__text values[MEMO__VALUES_MAX], uint32_t *count, struct memo__text value)
{
    if (*count < MEMO__VALUES_MAX)
        values[*count] = value;
    ++*count;
}

/* Most write it in lower case. */
static inline bool is(struct memo__text name, const char *wanted)
{
    return memcmp(name.at, wanted, name.n) == 0 || memo__text_same_nocase(name, (struct memo__text){ wanted, name.n });
}

void memo__extraction_take(struct memo__extraction *e, struct memo__text name, struct memo__text value)
{
    value = memo__text_trim(value);
    switch (name.n) {
    case sizeof MEMO__HEADER_TRACEPARENT - 1:
        if (is(name, MEMO__HEADER_TRACEPARENT))
            read_trace(e, value);
        break;
    case sizeof MEMO__HEADER_TIMEOUT - 1:
        if (is(name, MEMO__HEADER_TIMEOUT))
            read_timeout(e, value);
        break;
    case sizeof MEMO__HEADER_TRACESTATE - 1:
        if (is(name, MEMO__HEADER_TRACESTATE))
            keep(e->state, &e->states, value);
        break;
    case sizeof MEMO__HEADER_BAGGAGE - 1:
        if (e->keys.n && is(name, MEMO__HEADER_BAGGAGE))
            keep(e->baggage, &e->baggages, value);
        break;
    }
}

/* Both as far as they fit: each has half of the room for itself, and more if the other needs less. */
void memo__extraction_end(struct memo__extraction *e)
{
    struct memo__context *c = e->into;
    uint32_t states = c->trace.present && e->states <= MEMO__VALUES_MAX ? e->states : 0, baggages = e->baggages <= MEMO__VALUES_MAX ? e->baggages : 0;
    char baggage[MEMO__CARRIED_MAX];
    if (!states && !baggages)
        return;
    size_t state_bytes = memo__tracestate_fit(e->state, states, c->carried, sizeof c->carried);
    size_t bytes = memo__baggage_fit(e->keys, e->baggage, baggages, baggage, sizeof baggage);
    if (state_bytes + bytes > sizeof c->carried) {
        size_t half = sizeof c->carried / 2, room = sizeof c->carried - state_bytes;
        if (bytes > (room > half ? room : half))
            bytes = memo__baggage_fit(e->keys, e->baggage, baggages, baggage, room > half ? room : half);
        state_bytes = memo__tracestate_fit(e->state, states, c->carried, sizeof c->carried - bytes);
    }
    memcpy(c->carried + state_bytes, baggage, bytes);
    c->state_bytes = (uint8_t)state_bytes;
    c->baggage_bytes = (uint8_t)bytes;
}

memo_status memo__context_extract(memo_context *x, const memo_header *h, uint32_t count, memo__instant now)
{
    if (!x || x->size != sizeof *x || (count && !h))
        return MEMO_E_ARGUMENT;
    struct memo__extraction e = { .into = empty(x), .now = now };
    for (uint32_t i = 0; i < count; i++)
        memo__extraction_take(&e, memo__text_sized(h[i].name, h[i].name_bytes), memo__text_sized(h[i].value, h[i].value_bytes));
    memo__extraction_end(&e);
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

/* One text as a header behind what is written already. */
static bool put_carried(const char *name, struct memo__text value, char **buf, size_t *n, memo_header *out, uint32_t max, uint32_t *count)
{
    if (!value.n)
        return true;
    if (*count >= max || *n < value.n + 1)
        return false;
    memcpy(*buf, value.at, value.n);
    (*buf)[value.n] = '\0';
    out[(*count)++] = (memo_header){ name, *buf, strlen(name), value.n };
    *buf += value.n + 1;
    *n -= value.n + 1;
    return true;
}

static memo_status inject_carried(const struct memo__context *c, char *buf, size_t n, memo_header *out, uint32_t max, uint32_t *count)
{
    if (put_carried(MEMO__HEADER_TRACESTATE, memo__context_state(c), &buf, &n, out, max, count) &&
        put_carried(MEMO__HEADER_BAGGAGE, memo__context_baggage(c), &buf, &n, out, max, count))
        return MEMO_OK;
    *count = 0;
    return MEMO_E_TRUNCATED;
}

memo_status memo__context_inject_carried(const memo_context *x, char *buf, size_t n, memo_header *out, uint32_t max, uint32_t *count)
{
    if (!x || x->size != sizeof *x || !buf || !out || !count)
        return MEMO_E_ARGUMENT;
    *count = 0;
    const struct memo__context *c = memo__context_of(x);
    return c ? inject_carried(c, buf, n, out, max, count) : MEMO_OK;
}

memo_status memo__context_inject(const memo_context *x, memo__instant now, char *buf, size_t n, memo_header *out, uint32_t max, uint32_t *count)
{
    if (!x || x->size != sizeof *x || !buf || !out || !count)
        return MEMO_E_ARGUMENT;
    *count = 0;
    const struct memo__context *c = memo__context_of(x);
    if (!c)
        return MEMO_OK;
    memo_status s = MEMO_OK;
    int64_t left = memo__context_left_ms(x, now);
    if (left != INT64_MAX && left > MEMO__TIMEOUT_MOST / MEMO__MS)
        left = MEMO__TIMEOUT_MOST / MEMO__MS;
    if (c->trace.present)
        s = memo__headers_write(&c->trace, c->trace.span, left == INT64_MAX ? -1 : left, 0, buf, n, out, max, count);
    else if (left != INT64_MAX)
        s = inject_timeout(left, buf, n, out, max, count);
    if (s != MEMO_OK)
        return s;
    const memo_header *last = *count ? &out[*count - 1] : NULL;
    char *end = last ? buf + (last->value - buf) + last->value_bytes + 1 : buf;
    return inject_carried(c, end, n - (size_t)(end - buf), out, max, count);
}

memo_status memo__context_get_baggage(const memo_context *x, const char *key, char *value, size_t n, size_t *need)
{
    const struct memo__context *c = memo__context_of(x);
    struct memo__text found;
    struct memo__writer w;
    if (!x || !key || (n && !value))
        return MEMO_E_ARGUMENT;
    memo__writer_init(&w, value, n);
    bool there = c && memo__baggage_find(memo__context_baggage(c), memo__text_of(key), &found);
    if (there)
        memo__baggage_decode(&w, found);
    bool whole = memo__writer_end(&w);
    if (need)
        *need = w.need + 1;
    return !there ? MEMO_E_STATE : whole ? MEMO_OK : MEMO_E_TRUNCATED;
}

memo_status memo__context_set_baggage(memo_context *x, const char *key, const char *value)
{
    if (!x || x->size != sizeof *x || !key)
        return MEMO_E_ARGUMENT;
    struct memo__context *c = memo__context_of(x) ? (struct memo__context *)(void *)x : empty(x);
    size_t n = c->baggage_bytes, room = sizeof c->carried - c->state_bytes;
    struct memo__text wanted = { value, value ? strlen(value) : 0 };
    if (!memo__is_token(memo__text_of(key)))
        return MEMO_E_ARGUMENT;
    if (!memo__baggage_put(c->carried + c->state_bytes, &n, room, memo__text_of(key), wanted))
        return MEMO_E_TRUNCATED;
    c->baggage_bytes = (uint8_t)n;
    return MEMO_OK;
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
