/* SPDX-License-Identifier: Apache-2.0 */
/* demo_show.c: a line a second: the same columns for people, the same figures as JSON for tests. */
#include <stdarg.h>
#include <string.h>
#include "demo.h"
#include "print.h"

void demo_head(struct demo *d)
{
    if (!d->args->json)
        printf("%s t scene       | bare ok fail  p99 | memo ok fail p99 retried limited open ejected | v1a v1b  v2%s\n",
               print_color(d->args, PRINT_BOLD), print_color(d->args, PRINT_PLAIN));
    fflush(stdout);
    d->lines = 0;
}

/* "6ms"; less than one is "1ms": a table is not a benchmark. "-": no call ended. */
static const char *ms_text(struct sums *s, char *buf, size_t n)
{
    uint32_t us = sums_percentile(s, 99);
    if (s->times_count == 0)
        snprintf(buf, n, "-");
    else
        snprintf(buf, n, "%ums", us < 1000 ? 1 : us / 1000);
    return buf;
}

static void ejected_text(const struct demo *d, char *buf, size_t n)
{
    size_t at = 0;
    snprintf(buf, n, "-");
    for (int i = 0; i < INSTANCES; i++)
        if (d->told.ejected[i] && at < n)
            at += (size_t)snprintf(buf + at, n - at, "%s%s", at ? "," : "", book_instance(i));
}

/* A p99 that is wider than its column takes its place from what is behind it: the blank before the bar, the column of retries. */
static void line_text(const struct demo *d, struct sums *b, struct sums *m)
{
    char bare_ms[16], memo_ms[16], ejected[32];
    ejected_text(d, ejected, sizeof(ejected));
    ms_text(m, memo_ms, sizeof(memo_ms));
    int used = (int)strlen(memo_ms);
    used = used < 3 ? 3 : used;
    ms_text(b, bare_ms, sizeof(bare_ms));
    printf("%2u %-11s |%8u%5u %4s%s|", d->second, d->label, b->end[CALL_OK], b->end[CALL_FAILED], bare_ms, strlen(bare_ms) > 4 ? "" : " ");
    printf("%8u%5u %3s%*u%8u%5u%8s |", m->end[CALL_OK], m->end[CALL_FAILED], memo_ms, 11 - used, m->retried, m->end[CALL_LIMITED],
           m->end[CALL_OPEN] + m->end[CALL_REFUSED], ejected);
    printf("%4u%4u%4u\n", m->attempts[INSTANCE_V1A], m->attempts[INSTANCE_V1B], m->attempts[INSTANCE_V2]);
}

static void line_json(const struct demo *d, struct sums *b, struct sums *m)
{
    struct print_json j;
    json_begin(&j, stdout);
    json_open(&j, NULL, '{');
    json_uint(&j, "t", d->second);
    json_text(&j, "scene", d->label);
    json_open(&j, "bare", '{');
    json_uint(&j, "ok", b->end[CALL_OK]);
    json_uint(&j, "fail", b->end[CALL_FAILED]);
    json_number(&j, "p99_ms", sums_percentile(b, 99) / 1000.0);
    json_close(&j, '}');
    json_open(&j, "memo", '{');
    json_uint(&j, "ok", m->end[CALL_OK]);
    json_uint(&j, "fail", m->end[CALL_FAILED]);
    json_number(&j, "p99_ms", sums_percentile(m, 99) / 1000.0);
    json_uint(&j, "retried", m->retried);
    json_uint(&j, "limited", m->end[CALL_LIMITED]);
    json_uint(&j, "open", m->end[CALL_OPEN]);
    json_uint(&j, "refused_otherwise", m->end[CALL_REFUSED]);
    json_open(&j, "ejected", '[');
    for (int i = 0; i < INSTANCES; i++)
        if (d->told.ejected[i])
            json_text(&j, NULL, book_instance(i));
    json_close(&j, ']');
    json_close(&j, '}');
    json_open(&j, "instances", '{');
    for (int i = 0; i < INSTANCES; i++)
        json_uint(&j, book_instance(i), m->attempts[i]);
    json_close(&j, '}');
    json_close(&j, '}');
    json_end(&j);
}

void demo_line(struct demo *d, struct sums *bare, struct sums *memo)
{
    if (d->args->json) {
        line_json(d, bare, memo);
    } else {
        line_text(d, bare, memo);
        fflush(stdout);
    }
    d->lines++;
}

void demo_note(struct demo *d, const char *format, ...)
{
    va_list v;
    if (d->args->json || d->args->quiet)
        return;
    va_start(v, format);
    vprintf(format, v);
    va_end(v);
    putchar('\n');
    fflush(stdout);
}
