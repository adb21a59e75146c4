/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.c: the text that Prometheus reads, and the two tables that name everything in it.
 *
 * Prometheus wants all series of a name together, so the outer loop goes over names, the inner over services. Numbers are written by hand: printf follows the host's locale, and a comma
 * in a number breaks a scrape. */
#include "telemetry/metrics.h"
#include <math.h>
#include <string.h>
#include "base/instant.h"
#include "telemetry/headers.h"

#define OUTCOMES(kind)                                                                                                        \
    "kind=\"" kind "\",outcome=\"2xx\"", "kind=\"" kind "\",outcome=\"3xx\"", "kind=\"" kind "\",outcome=\"4xx\"",            \
    "kind=\"" kind "\",outcome=\"5xx\"", "kind=\"" kind "\",outcome=\"grpc_error\"", "kind=\"" kind "\",outcome=\"connect_failed\"", \
    "kind=\"" kind "\",outcome=\"reset\"", "kind=\"" kind "\",outcome=\"timed_out\"", "kind=\"" kind "\",outcome=\"protocol\"", \
    "kind=\"" kind "\",outcome=\"cancelled\""

static const char *const results[] = { "result=\"ok\"", "result=\"failed\"", "result=\"cancelled\"", "result=\"refused_limited\"", "result=\"refused_open\"",
    "result=\"refused_overloaded\"", "result=\"refused_no_endpoint\"", "result=\"refused_stale\"", "result=\"refused_deadline\"", "result=\"refused_not_ready\"" };
static const char *const attempts[] = { OUTCOMES("first"), OUTCOMES("retry") };
static const char *const reasons[] = { "reason=\"limited\"", "reason=\"open\"", "reason=\"overloaded\"", "reason=\"no_endpoint\"", "reason=\"stale\"",
    "reason=\"deadline\"", "reason=\"not_ready\"" };
static const char *const budget[] = { "reason=\"budget\"" };

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
_Static_assert(COUNT(results) == MEMO__RESULTS && COUNT(attempts) == 2 * MEMO__CLASSES && COUNT(reasons) == MEMO__RESULTS - MEMO__REFUSED, "a label for each counter");

/* Counters: `count` words from `offset` on, each with its label. Sparse: a series appears with its first event. */
struct family { const char *name, *help; size_t offset, count; const char *const *labels; bool sparse; };
#define WORDS(field, labels, sparse) offsetof(struct memo__service_counters, field), COUNT(labels), labels, sparse

static const struct family client_families[] = {
    { "memo_client_calls_total", "Logical calls, by how they ended.", WORDS(calls, results, false) },
    { "memo_client_attempts_total", "Attempts, by kind and outcome.", WORDS(attempts, attempts, false) },
    { "memo_client_would_refuse_total", "Calls that rules in mode observe would have refused.", WORDS(would_refuse, reasons, true) },
    { "memo_client_retries_denied_total", "Retries that were due and not made.", WORDS(retries_denied, budget, false) },
};
/* Named after OpenTelemetry's http.server.request.duration and http.server.active_requests, under our own prefix: the server may have series of
 * those names itself, and serve something else than HTTP. */
static const struct family server_families[] = {
    { "memo_server_requests_total", "Requests received, by how they ended.", WORDS(calls, results, true) },
    { "memo_server_would_refuse_total", "Requests that rules in mode observe would have refused.", WORDS(would_refuse, reasons, true) },
};

/* What is told of a list of rows. */
static const struct table { const struct family *families; size_t count; const char *duration, *help; bool services; }
    client_table = { client_families, COUNT(client_families), "memo_client_call_duration_seconds",
                     "Duration of calls that were not refused, with all attempts and waits.", true },
    server_table = { server_families, COUNT(server_families), "memo_server_request_duration_seconds", "Duration of requests that were let in.",
                     false };

/* Gauges, in the order of enum memo__gauge_kind. detail: the name of the second label. */
static const struct { const char *name, *help, *detail; } gauge_names[MEMO__GAUGES] = {
    [MEMO__GAUGE_VIEW_AGE] = { "memo_client_view_age_seconds", "The endpoints known may be older than the truth by at most so much; NaN: unproven.", NULL },
    [MEMO__GAUGE_VIEW_STATE] = { "memo_client_view_state", "0 empty, 1 live, 2 stale, 3 protected, 4 cached.", NULL },
    [MEMO__GAUGE_ENDPOINTS] = { "memo_client_endpoints", "Endpoints known, by state.", "state" },
    [MEMO__GAUGE_EJECTED] = { "memo_client_ejected_endpoints", "Endpoints ejected as outliers.", NULL },
    [MEMO__GAUGE_BREAKER] = { "memo_client_breaker_state", "0 closed, 1 half-open, 2 open.", "breaker" },
    [MEMO__GAUGE_IN_FLIGHT] = { "memo_client_calls_in_flight", "Calls begun and not ended.", NULL },
    [MEMO__GAUGE_RETRY_BUDGET] = { "memo_client_retry_budget_tokens", "Retries that the budget would allow now.", NULL },
    [MEMO__GAUGE_REGISTRY_UP] = { "memo_registry_up", "1 if the registry answers, 0 if it is away.", "scheme" },
    [MEMO__GAUGE_RULES_REVISION] = { "memo_rules_revision", "Revision of the rules in force.", NULL },
    [MEMO__GAUGE_CONFIG_REVISION] = { "memo_config_revision", "Revision of the configuration values.", NULL },
    [MEMO__GAUGE_CONFIG_STATE] = { "memo_config_state", "Of the configuration values: 0 empty, 1 live, 2 stale, 4 cached.", NULL },
    [MEMO__GAUGE_CONFIG_REFUSED] = { "memo_config_refused", "Configuration documents and states refused since the start.", NULL },
    [MEMO__GAUGE_TARGET] = { "target_info", "Who this process is, as OpenTelemetry tells it.", "service_name" },
    [MEMO__GAUGE_SERVER_ACTIVE] = { "memo_server_active_requests", "Requests that were let in and are not answered yet.", NULL },
    [MEMO__GAUGE_SERVER_LIMIT] = { "memo_server_concurrency_limit", "How many requests may be under way, as shedding has found by their latency.",
                                   NULL },
};

struct out { memo_write_fn *write; void *user; size_t n; char buf[4096]; };

static void flush(struct out *o)
{
    if (o->n)
        o->write(o->buf, o->n, o->user);
    o->n = 0;
}

static void put(struct out *o, const char *bytes, size_t n)
{
    while (n) {
        size_t part = n < sizeof o->buf - o->n ? n : sizeof o->buf - o->n;
        memcpy(o->buf + o->n, bytes, part);
        o->n += part;
        bytes += part;
        n -= part;
        if (o->n == sizeof o->buf)
            flush(o);
    }
}

static void put_text(struct out *o, const char *z) { put(o, z, strlen(z)); }

static void put_number(struct out *o, uint64_t n)
{
    char digits[MEMO__DECIMAL_MAX];
    put(o, digits, (size_t)(memo__put_decimal(digits, n) - digits));
}

/* whole.fraction, where fraction counts 10^-width; zeros at its end are left out. */
static void put_fixed(struct out *o, uint64_t whole, uint64_t fraction, uint32_t width)
{
    char digits[MEMO__DECIMAL_MAX];
    put_number(o, whole);
    if (!fraction)
        return;
    for (uint32_t i = width; i--; fraction /= 10)
        digits[i] = (char)('0' + fraction % 10);
    while (digits[width - 1] == '0')
        width--;
    put(o, ".", 1);
    put(o, digits, width);
}

static void put_seconds(struct out *o, uint64_t ns) { put_fixed(o, ns / (uint64_t)MEMO__S, ns % (uint64_t)MEMO__S, 9); }

/* Six places after the point; what is greater than 2^63 is told as infinite. */
static void put_double(struct out *o, double v)
{
    double size = fabs(v);
    if (isnan(v)) {
        put_text(o, "NaN");
        return;
    }
    if (v < 0)
        put(o, "-", 1);
    if (size >= 9.2e18) {
        put_text(o, v < 0 ? "Inf" : "+Inf");
        return;
    }
    uint64_t whole = (uint64_t)size, millionths = (uint64_t)((size - (double)whole) * 1e6 + 0.5);
    put_fixed(o, whole + millionths / 1000000, millionths % 1000000, 6);
}

/* name="value", escaped as the format asks. */
static void put_label(struct out *o, const char *name, const char *value)
{
    put_text(o, name);
    put_text(o, "=\"");
    for (; *value; value++) {
        if (*value == '\\' || *value == '"')
            put(o, "\\", 1);
        put(o, *value == '\n' ? "\\n" : value, *value == '\n' ? 2 : 1);
    }
    put(o, "\"", 1);
}

static void put_head(struct out *o, const char *name, const char *help, const char *type)
{
    put_text(o, "# HELP ");
    put_text(o, name);
    put(o, " ", 1);
    put_text(o, help);
    put_text(o, "\n# TYPE ");
    put_text(o, name);
    put(o, " ", 1);
    put_text(o, type);
    put(o, "\n", 1);
}

/* client="2". The first one has none: a process that never has a second one is not troubled with numbers, and its series stay what they are when a second one comes. */
static void put_client(struct out *o, uint32_t number)
{
    put_text(o, "client=\"");
    put_number(o, number);
    put(o, "\"", 1);
}

/* name{service="todo" and the brace stays open; returns what stands before the next label. service NULL: the series of all that found no place. */
static const char *put_series(struct out *o, const struct table *t, const char *name, const char *suffix, const struct memo__metrics_row *r)
{
    const char *before = "{";
    put_text(o, name);
    put_text(o, suffix);
    if (r->client > 1) {
        put_text(o, before);
        put_client(o, r->client);
        before = ",";
    }
    if (t->services) {
        put_text(o, before);
        put_label(o, r->service ? "service" : "otel_metric_overflow", r->service ? r->service : "true");
        before = ",";
    }
    return before;
}

static void put_counters(struct out *o, const struct table *t, const struct family *f, const struct memo__metrics_row *r)
{
    const uint64_t *word = (const uint64_t *)(const void *)((const char *)&r->sum + f->offset);
    for (size_t i = 0; i < f->count; i++) {
        if (f->sparse && !word[i])
            continue;
        put_text(o, put_series(o, t, f->name, "", r));
        put_text(o, f->labels[i]);
        put(o, "} ", 2);
        put_number(o, word[i]);
        put(o, "\n", 1);
    }
}

/* "_sum" and "_count" */
static void put_total(struct out *o, const struct table *t, const char *suffix, const struct memo__metrics_row *r)
{
    put_text(o, *put_series(o, t, t->duration, suffix, r) == ',' ? "} " : " ");
}

static void put_duration(struct out *o, const struct table *t, const struct memo__metrics_row *r)
{
    const struct memo__histogram *h = &r->sum.duration;
    uint64_t so_far = 0;
    for (uint32_t i = 0; i < MEMO__BUCKETS; i++) {
        so_far += h->bucket[i];
        put_text(o, put_series(o, t, t->duration, "_bucket", r));
        put_text(o, "le=\"");
        if (i < MEMO__BUCKETS - 1)
            put_seconds(o, (uint64_t)memo__bucket_bound(i));
        else
            put_text(o, "+Inf");
        put_text(o, "\"} ");
        put_number(o, so_far);
        put(o, "\n", 1);
    }
    put_total(o, t, "_sum", r);
    put_seconds(o, h->sum_ns);
    put(o, "\n", 1);
    put_total(o, t, "_count", r);
    put_number(o, so_far);
    put(o, "\n", 1);
}

static void put_gauge(struct out *o, const struct memo__gauge *g)
{
    const char *detail = gauge_names[g->kind].detail, *before = "{";
    put_text(o, gauge_names[g->kind].name);
    if (g->client > 1) {
        put_text(o, before);
        put_client(o, g->client);
        before = ",";
    }
    if (g->service) {
        put_text(o, before);
        put_label(o, "service", g->service);
        before = ",";
    }
    if (detail && g->detail) {
        put_text(o, before);
        put_label(o, detail, g->detail);
        before = ",";
    }
    put_text(o, *before == ',' ? "} " : " ");
    put_double(o, g->value);
    put(o, "\n", 1);
}

/* At most 4 details a service on average, so that gauges are bounded as counters are; gauges cannot be added up. */
static void put_gauges(struct out *o, enum memo__gauge_kind kind, const struct memo__gauge *gauges, uint32_t count)
{
    uint32_t written = 0;
    for (uint32_t i = 0; i < count && written < 4 * MEMO__SERIES_MAX; i++) {
        if (gauges[i].kind != kind)
            continue;
        if (!written++)
            put_head(o, gauge_names[kind].name, gauge_names[kind].help, "gauge");
        put_gauge(o, &gauges[i]);
    }
}

void memo__counters_merge(struct memo__service_counters *to, const struct memo__service_counters *from)
{
    uint64_t *into = (uint64_t *)(void *)to;
    const uint64_t *word = (const uint64_t *)(const void *)from;
    _Static_assert(sizeof *to % sizeof *into == 0, "words alone");
    for (size_t i = 0; i < sizeof *to / sizeof *into; i++)
        into[i] += memo__load(&word[i]);
}

static void put_rows(struct out *o, const struct table *t, const struct memo__metrics_row *rows, uint32_t rows_count)
{
    struct memo__metrics_row rest = { 0 };
    uint32_t own = rows_count < MEMO__SERIES_MAX ? rows_count : MEMO__SERIES_MAX;
    if (!rows_count)
        return;
    for (uint32_t i = own; i < rows_count; i++)
        memo__counters_merge(&rest.sum, &rows[i].sum);
    for (const struct family *f = t->families; f < t->families + t->count; f++) {
        put_head(o, f->name, f->help, "counter");
        for (uint32_t i = 0; i < own; i++)
            put_counters(o, t, f, &rows[i]);
        if (own < rows_count)
            put_counters(o, t, f, &rest);
    }
    put_head(o, t->duration, t->help, "histogram");
    for (uint32_t i = 0; i < own; i++)
        put_duration(o, t, &rows[i]);
    if (own < rows_count)
        put_duration(o, t, &rest);
}

void memo__metrics_write(const struct memo__metrics_row *rows, uint32_t rows_count, const struct memo__gauge *gauges, uint32_t gauges_count,
                         memo_write_fn *write, void *user)
{
    struct out o = { .write = write, .user = user };
    put_rows(&o, &client_table, rows, rows_count);
    for (int kind = 0; kind < MEMO__GAUGES; kind++)
        put_gauges(&o, (enum memo__gauge_kind)kind, gauges, gauges_count);
    flush(&o);
}

void memo__metrics_write_server(const struct memo__metrics_row *rows, uint32_t rows_count, memo_write_fn *write, void *user)
{
    struct out o = { .write = write, .user = user };
    put_rows(&o, &server_table, rows, rows_count);
    flush(&o);
}
