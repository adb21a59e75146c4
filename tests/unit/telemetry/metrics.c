/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.c: what counts where, and the text: exact lines, its grammar as Prometheus reads it, the cap. */
#include "telemetry/metrics.h"
#include <check.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/instant.h"

struct text { char *at; size_t n; size_t largest; };

static void collect(const char *bytes, size_t n, void *user)
{
    struct text *t = user;
    t->at = realloc(t->at, t->n + n + 1);
    ck_assert_ptr_nonnull(t->at);
    memcpy(t->at + t->n, bytes, n);
    t->n += n;
    t->at[t->n] = 0;
    if (n > t->largest)
        t->largest = n;
}

static struct text written(const struct memo__metrics_row *rows, uint32_t n, const struct memo__gauge *gauges, uint32_t m)
{
    struct text t = { 0 };
    collect("", 0, &t);
    memo__metrics_write(rows, n, gauges, m, collect, &t);
    return t;
}

static bool has_line(const struct text *t, const char *line)
{
    size_t n = strlen(line);
    for (const char *p = t->at; (p = strstr(p, line)); p++)
        if ((p == t->at || p[-1] == '\n') && p[n] == '\n')
            return true;
    return false;
}

static uint32_t count_of(const struct text *t, const char *part)
{
    uint32_t n = 0;
    for (const char *p = t->at; (p = strstr(p, part)); p++)
        n++;
    return n;
}

static const struct memo__stripe alone = { .index = 0, .exclusive = true };

START_TEST(every_outcome_has_its_class)
{
    static const struct { memo_outcome o; enum memo__class class; } facts[] = {
        { { .kind = MEMO_OUTCOME_REPLIED, .http_status = 200 }, MEMO__CLASS_2XX },
        { { .kind = MEMO_OUTCOME_REPLIED, .http_status = 101 }, MEMO__CLASS_2XX },
        { { .kind = MEMO_OUTCOME_REPLIED, .http_status = -1 }, MEMO__CLASS_2XX },
        { { .kind = MEMO_OUTCOME_REPLIED, .http_status = 304 }, MEMO__CLASS_3XX },
        { { .kind = MEMO_OUTCOME_REPLIED, .http_status = 499 }, MEMO__CLASS_4XX },
        { { .kind = MEMO_OUTCOME_REPLIED, .http_status = 599 }, MEMO__CLASS_5XX },
        { { .kind = MEMO_OUTCOME_REPLIED, .http_status = 200, .grpc_status = 14 }, MEMO__CLASS_GRPC },
        { { .kind = MEMO_OUTCOME_REPLIED, .http_status = 200, .grpc_status = -1 }, MEMO__CLASS_2XX },
        { { .kind = MEMO_OUTCOME_CONNECT_FAILED }, MEMO__CLASS_CONNECT },
        { { .kind = MEMO_OUTCOME_RESET, .http_status = 200 }, MEMO__CLASS_RESET },
        { { .kind = MEMO_OUTCOME_TIMED_OUT }, MEMO__CLASS_TIMEOUT },
        { { .kind = MEMO_OUTCOME_PROTOCOL }, MEMO__CLASS_PROTOCOL },
        { { .kind = MEMO_OUTCOME_CANCELLED }, MEMO__CLASS_CANCELLED },
        { { .kind = 6 }, MEMO__CLASS_PROTOCOL },
        { { .kind = -1 }, MEMO__CLASS_PROTOCOL },
    };
    for (size_t i = 0; i < sizeof facts / sizeof facts[0]; i++)
        ck_assert_int_eq(memo__class_of(&facts[i].o), facts[i].class);
}
END_TEST

static void a_little_life(struct memo__service_counters *c)
{
    memo_outcome bad = { .kind = MEMO_OUTCOME_RESET }, good = { .kind = MEMO_OUTCOME_REPLIED, .http_status = 200 };
    memo__count_attempt(alone, c, false, &bad);
    memo__count_attempt(alone, c, true, &good);
    memo__count_call(alone, c, MEMO__CALL_OK);
    memo__count_refusal(alone, c, MEMO_REFUSED_LIMITED);
    memo__count_refusal(alone, c, MEMO_REFUSED_NOT_READY);
    memo__count_would_refuse(alone, c, MEMO_REFUSED_OPEN);
    memo__stripe_add64(alone, &c->retries_denied, 3);
    memo__histogram_add(alone, &c->duration, 26200 * MEMO__US);
}

START_TEST(a_service_as_text)
{
    struct memo__service_counters stripe = { 0 };
    struct memo__metrics_row row = { .service = "todo" };
    a_little_life(&stripe);
    memo__counters_merge(&row.sum, &stripe);
    memo__counters_merge(&row.sum, &stripe);
    struct text t = written(&row, 1, NULL, 0);
    static const char *const lines[] = {
        "# HELP memo_client_calls_total Logical calls, by how they ended.",
        "# TYPE memo_client_calls_total counter",
        "memo_client_calls_total{service=\"todo\",result=\"ok\"} 2",
        "memo_client_calls_total{service=\"todo\",result=\"failed\"} 0",
        "memo_client_calls_total{service=\"todo\",result=\"refused_limited\"} 2",
        "memo_client_calls_total{service=\"todo\",result=\"refused_not_ready\"} 2",
        "memo_client_attempts_total{service=\"todo\",kind=\"first\",outcome=\"reset\"} 2",
        "memo_client_attempts_total{service=\"todo\",kind=\"retry\",outcome=\"2xx\"} 2",
        "memo_client_would_refuse_total{service=\"todo\",reason=\"open\"} 2",
        "memo_client_retries_denied_total{service=\"todo\",reason=\"budget\"} 6",
        "# TYPE memo_client_call_duration_seconds histogram",
        "memo_client_call_duration_seconds_bucket{service=\"todo\",le=\"0.000003814\"} 0",
        "memo_client_call_duration_seconds_bucket{service=\"todo\",le=\"0.022097086\"} 0",
        "memo_client_call_duration_seconds_bucket{service=\"todo\",le=\"0.03125\"} 2",
        "memo_client_call_duration_seconds_bucket{service=\"todo\",le=\"1\"} 2",
        "memo_client_call_duration_seconds_bucket{service=\"todo\",le=\"+Inf\"} 2",
        "memo_client_call_duration_seconds_sum{service=\"todo\"} 0.0524",
        "memo_client_call_duration_seconds_count{service=\"todo\"} 2",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        ck_assert_msg(has_line(&t, lines[i]), "%s\n%s", lines[i], t.at);
    ck_assert_uint_eq(count_of(&t, "memo_client_would_refuse_total{"), 1);   /* a series appears with its first event */
    ck_assert_uint_eq(count_of(&t, "_bucket{"), MEMO__BUCKETS);
    free(t.at);
}
END_TEST

START_TEST(gauges_as_text)
{
    static const struct memo__gauge gauges[] = {
        { MEMO__GAUGE_VIEW_AGE, "a", NULL, 0.4, 0 },
        { MEMO__GAUGE_ENDPOINTS, "a", "pickable", 3, 0 },
        { MEMO__GAUGE_VIEW_AGE, "b\"\\\n", NULL, NAN, 0 },
        { MEMO__GAUGE_RETRY_BUDGET, "a", NULL, -1.2500004, 0 },
        { MEMO__GAUGE_RULES_REVISION, NULL, NULL, 42, 0 },
        { MEMO__GAUGE_REGISTRY_UP, NULL, "file", 1, 0 },
        { MEMO__GAUGE_IN_FLIGHT, "a", "ignored", 0.9999999, 0 },
        { MEMO__GAUGE_BREAKER, "a", "todo/report", 2, 0 },
        { MEMO__GAUGE_EJECTED, "a", NULL, INFINITY, 0 },
        { MEMO__GAUGE_EJECTED, "b", NULL, -INFINITY, 0 },
        { MEMO__GAUGE_EJECTED, "b", NULL, 0, 2 },
        { MEMO__GAUGE_RULES_REVISION, NULL, NULL, 7, 1 },
        { MEMO__GAUGE_RULES_REVISION, NULL, NULL, 8, 3 },
        { MEMO__GAUGE_TARGET, NULL, "shop", 1, 12 },
    };
    struct text t = written(NULL, 0, gauges, sizeof gauges / sizeof gauges[0]);
    ck_assert_str_eq(t.at,
        "# HELP memo_client_view_age_seconds The endpoints known may be older than the truth by at most so much; NaN: unproven.\n"
        "# TYPE memo_client_view_age_seconds gauge\n"
        "memo_client_view_age_seconds{service=\"a\"} 0.4\n"
        "memo_client_view_age_seconds{service=\"b\\\"\\\\\\n\"} NaN\n"
        "# HELP memo_client_endpoints Endpoints known, by state.\n"
        "# TYPE memo_client_endpoints gauge\n"
        "memo_client_endpoints{service=\"a\",state=\"pickable\"} 3\n"
        "# HELP memo_client_ejected_endpoints Endpoints ejected as outliers.\n"
        "# TYPE memo_client_ejected_endpoints gauge\n"
        "memo_client_ejected_endpoints{service=\"a\"} +Inf\n"
        "memo_client_ejected_endpoints{service=\"b\"} -Inf\n"
        "memo_client_ejected_endpoints{client=\"2\",service=\"b\"} 0\n"
        "# HELP memo_client_breaker_state 0 closed, 1 half-open, 2 open.\n"
        "# TYPE memo_client_breaker_state gauge\n"
        "memo_client_breaker_state{service=\"a\",breaker=\"todo/report\"} 2\n"
        "# HELP memo_client_calls_in_flight Calls begun and not ended.\n"
        "# TYPE memo_client_calls_in_flight gauge\n"
        "memo_client_calls_in_flight{service=\"a\"} 1\n"
        "# HELP memo_client_retry_budget_tokens Retries that the budget would allow now.\n"
        "# TYPE memo_client_retry_budget_tokens gauge\n"
        "memo_client_retry_budget_tokens{service=\"a\"} -1.25\n"
        "# HELP memo_registry_up 1 if the registry answers, 0 if it is away.\n"
        "# TYPE memo_registry_up gauge\n"
        "memo_registry_up{scheme=\"file\"} 1\n"
        "# HELP memo_rules_revision Revision of the rules in force.\n"
        "# TYPE memo_rules_revision gauge\n"
        "memo_rules_revision 42\n"
        "memo_rules_revision 7\n"
        "memo_rules_revision{client=\"3\"} 8\n"
        "# HELP target_info Who this process is, as OpenTelemetry tells it.\n"
        "# TYPE target_info gauge\n"
        "target_info{client=\"12\",service_name=\"shop\"} 1\n");
    free(t.at);
}
END_TEST

START_TEST(nothing_is_nothing)
{
    struct text t = written(NULL, 0, NULL, 0);
    ck_assert_str_eq(t.at, "");
    free(t.at);
}
END_TEST

/* 1,003 services: 1,000 series each, three added up; pieces stay small; each family is told once, its series together. */
START_TEST(the_cap)
{
    static struct memo__metrics_row rows[MEMO__SERIES_MAX + 3];
    static char names[MEMO__SERIES_MAX + 3][8];
    for (uint32_t i = 0; i < MEMO__SERIES_MAX + 3; i++) {
        snprintf(names[i], sizeof names[i], "s%u", i);
        rows[i].service = names[i];
        rows[i].sum.calls[MEMO__CALL_OK] = i;
    }
    struct text t = written(rows, MEMO__SERIES_MAX + 3, NULL, 0);
    ck_assert(has_line(&t, "memo_client_calls_total{service=\"s999\",result=\"ok\"} 999"));
    ck_assert(has_line(&t, "memo_client_calls_total{otel_metric_overflow=\"true\",result=\"ok\"} 3003"));
    ck_assert(has_line(&t, "memo_client_call_duration_seconds_count{otel_metric_overflow=\"true\"} 0"));
    ck_assert_uint_eq(count_of(&t, "s1000"), 0);
    ck_assert_uint_eq(count_of(&t, "# TYPE memo_client_calls_total "), 1);
    ck_assert_uint_eq(count_of(&t, "# TYPE "), 5);
    ck_assert_uint_le(t.largest, 4096);
    free(t.at);
}
END_TEST

/* A host that writes commas into numbers does not reach us. */
START_TEST(another_locale)
{
    static const char *const commas[] = { "de_DE.UTF-8", "fr_FR.UTF-8", "de_DE", "nl_NL.UTF-8" };
    struct memo__gauge g = { MEMO__GAUGE_VIEW_AGE, "a", NULL, 2.5, 0 };
    for (size_t i = 0; i < sizeof commas / sizeof commas[0]; i++)
        if (setlocale(LC_ALL, commas[i]))
            break;
    struct text t = written(NULL, 0, &g, 1);
    ck_assert(has_line(&t, "memo_client_view_age_seconds{service=\"a\"} 2.5"));
    setlocale(LC_ALL, "C");
    free(t.at);
}
END_TEST

Suite *suite_telemetry_metrics(void);
Suite *suite_telemetry_metrics(void)
{
    Suite *s = suite_create("telemetry/metrics");
    TCase *c = tcase_create("metrics");
    tcase_add_test(c, every_outcome_has_its_class);
    tcase_add_test(c, a_service_as_text);
    tcase_add_test(c, gauges_as_text);
    tcase_add_test(c, nothing_is_nothing);
    tcase_add_test(c, the_cap);
    tcase_add_test(c, another_locale);
    suite_add_tcase(s, c);
    return s;
}
