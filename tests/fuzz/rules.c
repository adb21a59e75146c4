/* SPDX-License-Identifier: Apache-2.0 */
/* rules.c: any bytes as a rules document. What compiles keeps every promise that rules.h makes to decisions; what does not has told why. */
#include <memo/status.h>
#include <stdlib.h>
#include <string.h>
#include "base/instant.h"
#include "model/rules.h"
#include "target.h"

struct told { uint32_t errors; int32_t line, column; };

static void tell(void *user, const struct memo__finding *f)
{
    struct told *t = user;
    t->errors += f->error;
    require(f->message[0] && memo__utf8_valid(memo__text_of(f->message)) && memo__utf8_valid(memo__text_of(f->path)));
    require(f->line == 0 || f->line > t->line || (f->line == t->line && f->column >= t->column)); /* in document order; "and more" has no place */
    t->line = f->line;
    t->column = f->column;
}

static bool mode(enum memo__mode m) { return m == MEMO__ENFORCE || m == MEMO__OBSERVE; }

static void check_route(const struct memo__service_rules *s, const struct memo__route_rule *r)
{
    require(r->name[0] && r->timeout > 0 && r->when.methods <= MEMO__ANY_METHOD && r->when.headers_count <= MEMO__WHEN_HEADERS_MAX && r->when.path_match <= MEMO__PATH_PREFIX);
    for (uint32_t i = 0; i < r->when.headers_count; i++)
        require(r->when.headers[i].want < s->wants_count);
    uint32_t weight = 0;
    for (uint32_t i = 0; i < r->split_count; i++) {
        weight += r->split[i].weight;
        require(r->split[i].subset == MEMO__NO_INDEX || r->split[i].subset < s->subsets_count);
    }
    require(r->split_count <= MEMO__SPLIT_MAX && weight == r->split_weight && (r->split_count == 0 || weight > 0));
    require(r->retry.attempts >= 1 && r->retry.attempts <= MEMO__ATTEMPTS_MAX && r->retry.backoff_initial > 0 && r->retry.backoff_initial <= r->retry.backoff_max);
    require(r->retry.backoff_multiplier >= 1000 && r->retry.backoff_multiplier <= 10000 && r->retry.budget <= 1000000 && r->retry.jitter <= MEMO__JITTER_FULL);
    require(mode(r->breaker.mode) && r->breaker.scope <= MEMO__SCOPE_INSTANCE && r->breaker.probes >= 1 && r->breaker.probes <= 16 && r->breaker.window >= MEMO__S && r->breaker.min_calls >= 1);
    require(!r->breaker.on || r->breaker.failed || r->breaker.slow);
    require(!r->breaker.slow || r->breaker.slower_than > 0);
    require(r->limits_count <= MEMO__LIMITS_MAX);
    for (uint32_t i = 0; i < r->limits_count; i++)
        require(r->limits[i] < s->limits_count);
}

static void check_service(const struct memo__service_rules *s)
{
    const struct memo__balance_rule *b = &s->balance;
    require(mode(s->mode) && s->max_stale > 0 && mode(s->outlier.mode) && mode(s->concurrency.mode));
    require(b->policy <= MEMO__BALANCE_RING_HASH && b->choices >= 2 && b->choices <= MEMO__CHOICES_MAX && b->decay > 0);
    require(b->min_ring >= 1 && b->min_ring <= b->max_ring && b->slow_start.window >= 0);
    require(b->slow_start.aggression >= 100 && b->slow_start.aggression <= 10000);
    require(b->hash_header == MEMO__NO_INDEX || (b->hash_header < s->wants_count && b->hash_on == MEMO__HASH_ON_HEADER));
    require(!s->outlier.on || (s->outlier.consecutive_failures >= 1 && s->outlier.eject_for > 0 && s->outlier.max_ejected <= 1000000));
    require(!s->concurrency.on || (s->concurrency.max >= 1 && s->concurrency.max <= 1000000));
    require(s->wants_count <= MEMO__WANTS_MAX && s->subsets_count <= MEMO__SUBSETS_MAX && s->routes_count >= 1 && s->routes_count <= MEMO__ROUTES_MAX);
    require(strcmp(s->routes[s->routes_count - 1].name, "default") == 0);
    for (uint32_t i = 0; i < s->limits_count; i++)
        require(s->limits[i].name[0] && mode(s->limits[i].mode) && s->limits[i].count >= 1 && s->limits[i].period > 0 && s->limits[i].burst >= 1 && s->limits[i].burst <= UINT32_MAX &&
                (s->limits[i].by_header == MEMO__NO_INDEX || s->limits[i].by_header < s->wants_count));
    for (uint32_t i = 0; i < s->subsets_count; i++)
        require(s->subsets[i].labels_count >= 1 && s->subsets[i].labels_count <= MEMO__SUBSET_LABELS_MAX);
    for (uint32_t i = 0; i < s->routes_count; i++)
        check_route(s, &s->routes[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct told told = { 0, 0, 0 };
    struct memo__rules *r;
    char *exact = malloc(n ? n : 1); /* so that a sanitizer sees one byte too far */
    if (!exact)
        return 0;
    if (n)
        memcpy(exact, data, n);
    int32_t s = memo__rules_compile(&memo__alloc_libc, exact, n, tell, &told, &r);
    require(s == MEMO_OK ? r && told.errors == 0 : s == MEMO_E_RULES && !r && told.errors > 0);
    if (r) {
        check_service(&r->defaults);
        for (uint32_t i = 0; i < r->services_count; i++) {
            check_service(&r->services[i]);
            require(memo__rules_for(r, memo__text_of(r->services[i].name)) == &r->services[i]);
            require(i == 0 || strcmp(r->services[i - 1].name, r->services[i].name) < 0);
        }
        memo__rules_free(r);
    }
    free(exact);
    return 0;
}
