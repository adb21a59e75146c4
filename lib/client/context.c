/* SPDX-License-Identifier: Apache-2.0 */
/* context.c: the public face of telemetry/context.c: it adds the clock. */
#include <memo/context.h>
#include <memo/inbound.h>
#include "base/host.h"
#include "telemetry/context.h"

void memo_context_init(memo_context *x)
{
    (void)memo__context_init(x);
}

memo_status memo_context_extract(memo_context *x, const memo_header *h, uint32_t count)
{
    return memo__context_extract(x, h, count, memo__now(memo__host_default));
}

memo_status memo_context_inject(const memo_context *x, char *buf, size_t n, memo_header *out, uint32_t max, uint32_t *count)
{
    return memo__context_inject(x, memo__now(memo__host_default), buf, n, out, max, count);
}

memo_status memo_context_inject_carried(const memo_context *x, char *buf, size_t n, memo_header *out, uint32_t max, uint32_t *count)
{
    return memo__context_inject_carried(x, buf, n, out, max, count);
}

memo_status memo_context_get_baggage(const memo_context *x, const char *key, char *value, size_t n, size_t *need)
{
    return memo__context_get_baggage(x, key, value, n, need);
}

memo_status memo_context_set_baggage(memo_context *x, const char *key, const char *value)
{
    return memo__context_set_baggage(x, key, value);
}

int64_t memo_context_get_left_ms(const memo_context *x)
{
    return memo__context_left_ms(x, memo__now(memo__host_default));
}

memo_status memo_context_set_deadline(memo_context *x, int64_t left_ms)
{
    return memo__context_set_deadline(x, left_ms, memo__now(memo__host_default));
}

memo_status memo_context_get_trace(const memo_context *x, char id[33])
{
    return memo__context_get_trace(x, id);
}
