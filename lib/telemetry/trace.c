/* SPDX-License-Identifier: Apache-2.0 */
/* trace.c: traceparent, read strictly. It happens once a request; writing happens for every attempt and is in line. */
#include "telemetry/trace.h"
#include <string.h>

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* n bytes of 2n lower-case digits; false if one of them is not. */
static bool unhex(const char *from, uint8_t *to, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int high = digit(from[2 * i]), low = digit(from[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        to[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static bool all_zero(const uint8_t *bytes, size_t n)
{
    uint8_t any = 0;
    for (size_t i = 0; i < n; i++)
        any |= bytes[i];
    return any == 0;
}

static bool parse(struct memo__text t, struct memo__trace *out)
{
    uint8_t version;
    if (t.n < MEMO__TRACEPARENT_BYTES || t.at[2] != '-' || t.at[35] != '-' || t.at[52] != '-')
        return false;
    if (!unhex(t.at, &version, 1) || version == 0xff)
        return false;
    if (t.n > MEMO__TRACEPARENT_BYTES && (version == 0 || t.at[MEMO__TRACEPARENT_BYTES] != '-'))
        return false;
    if (!unhex(t.at + 3, out->id, 16) || !unhex(t.at + 36, out->span, 8) || !unhex(t.at + 53, &out->flags, 1))
        return false;
    out->flags &= MEMO__TRACE_SAMPLED | MEMO__TRACE_RANDOM;
    return !all_zero(out->id, 16) && !all_zero(out->span, 8);
}

bool memo__trace_parse(struct memo__text traceparent, struct memo__trace *out)
{
    memset(out, 0, sizeof *out);
    out->present = parse(traceparent, out);
    if (!out->present)
        memset(out, 0, sizeof *out);
    return out->present;
}

void memo__trace_new(struct memo__trace *t, uint64_t draw1, uint64_t draw2)
{
    draw2 += (draw1 | draw2) == 0;
    memcpy(t->id, &draw1, 8);
    memcpy(t->id + 8, &draw2, 8);
    memset(t->span, 0, sizeof t->span);
    t->flags = MEMO__TRACE_SAMPLED | MEMO__TRACE_RANDOM;
    t->present = true;
}

void memo__trace_hex(const uint8_t id[16], char out[32])
{
    memo__hex16(id, out);
}
