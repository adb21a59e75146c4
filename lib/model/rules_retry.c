/* SPDX-License-Identifier: Apache-2.0 */
/* rules_retry.c: the block "retry": how often, on what, after how long, and how much of it in all. */
#include <string.h>
#include "model/rules_read.h"

#define AT(field) offsetof(struct memo__retry_rule, field)

/* gRPC's status codes by number; 0, OK, is nothing to retry on. */
static const char *const grpc_words[] = {
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED", NULL
};
static const char *const event_words[] = { "connect-failure", "reset", "timeout", NULL };

/* 400 to 599: an answer that says that it is well is not repeated. */
static bool read_http(struct memo__text t, struct memo__retry_rule *rule)
{
    uint64_t status;
    if (t.n != 3 || !memo__parse_u64(t, 599, &status) || status < 400)
        return false;
    rule->on_http[(status - 100) / 64] |= UINT64_C(1) << (status - 100) % 64;
    return true;
}

static bool read_word(struct memo__text t, struct memo__retry_rule *rule)
{
    for (uint32_t i = 0; event_words[i]; i++)
        if (memo__text_is(t, event_words[i])) {
            rule->on |= UINT32_C(1) << i;
            return true;
        }
    for (uint32_t i = 1; grpc_words[i]; i++)
        if (memo__text_is(t, grpc_words[i])) {
            rule->on_grpc |= UINT32_C(1) << i;
            return true;
        }
    return read_http(t, rule);
}

static void not_a_cause(struct memo__rules_reader *r, const struct memo__json_node *n)
{
    struct memo__text t = memo__json_text(r->json, n);
    const char *near = n->type == MEMO__JSON_TEXT ? memo__rules_near(t, event_words) : NULL;
    char buf[64];
    if (!near && n->type == MEMO__JSON_TEXT)
        near = memo__rules_near(t, grpc_words + 1);
    if (near)
        memo__rules_error(r, n->at, "%s is nothing to retry on; did you mean \"%s\"?", memo__rules_shown(r, n, buf), near);
    else
        memo__rules_error(r, n->at, "%s is nothing to retry on: \"connect-failure\", \"reset\", \"timeout\", an HTTP status \"400\" to \"599\", or a gRPC status such as \"UNAVAILABLE\"",
                          memo__rules_shown(r, n, buf));
}

/* The target is the whole rule: one list fills three fields. */
static void read_on(struct memo__rules_reader *r, const struct memo__json_node *n, const struct memo__rules_key *key, void *target)
{
    struct memo__retry_rule read = { 0 }, *rule = target;
    uint32_t index = 0, errors = r->errors;
    (void)key;
    if (!memo__rules_array(r, n, 256, "causes"))
        return;
    for (const struct memo__json_node *m = memo__json_first(r->json, n); m; m = memo__json_next(r->json, m)) {
        uint32_t mark = memo__rules_push_index(r, index++);
        if (m->type != MEMO__JSON_TEXT || !read_word(memo__json_text(r->json, m), &read))
            not_a_cause(r, m);
        memo__rules_pop(r, mark);
    }
    if (errors != r->errors)
        return;
    rule->on = read.on;
    rule->on_grpc = read.on_grpc;
    memcpy(rule->on_http, read.on_http, sizeof rule->on_http);
}

static void off(void *target)
{
    struct memo__retry_rule *rule = target;
    rule->attempts = 1;
}

static const char *const jitter_words[] = { "none", "full", NULL };

static const struct memo__rules_key backoff_keys[] = {
    { "initial", memo__read_duration, AT(backoff_initial), MEMO__MS, 3600 * MEMO__S, NULL, NULL },
    { "max", memo__read_duration, AT(backoff_max), MEMO__MS, 3600 * MEMO__S, NULL, NULL },
    { "multiplier", memo__read_thousandths, AT(backoff_multiplier), 1000, 10000, NULL, NULL },
    { "jitter", memo__read_choice, AT(jitter), 0, 0, NULL, jitter_words },
};

static void check_backoff(struct memo__rules_reader *r, const struct memo__json_node *n, void *target, uint32_t given)
{
    const struct memo__retry_rule *rule = target;
    struct memo__writer w;
    char text[96];
    if (rule->backoff_max >= rule->backoff_initial || !(given & 3))
        return;
    memo__writer_init(&w, text, sizeof text);
    memo__put_duration(&w, rule->backoff_max);
    memo__put_text(&w, " is less than initial ");
    memo__put_duration(&w, rule->backoff_initial);
    memo__writer_end(&w);
    memo__rules_error(r, n->at, "max %s", text);
}

static const struct memo__rules_block backoff_block = { MEMO__KEYS(backoff_keys), NULL, NULL, check_backoff };

static const struct memo__rules_key keys[] = {
    { "attempts", memo__read_count, AT(attempts), 1, MEMO__ATTEMPTS_MAX, NULL, NULL },
    { "attemptTimeout", memo__read_duration, AT(attempt_timeout), MEMO__MS, MEMO__DAY, NULL, NULL },
    { "on", read_on, 0, 0, 0, NULL, NULL },
    { "methods", memo__read_methods, AT(methods), 0, 0, NULL, NULL },
    { "backoff", memo__read_block, 0, 0, 0, &backoff_block, NULL },
    { "budget", memo__read_share, AT(budget), 0, 1000000, NULL, NULL },
};

const struct memo__rules_block memo__retry_block = { MEMO__KEYS(keys), NULL, off, NULL };
