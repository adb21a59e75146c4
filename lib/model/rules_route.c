/* SPDX-License-Identifier: Apache-2.0 */
/* rules_route.c: the list "routes": which calls are treated differently, and to which subsets of the endpoints they go.
 *
 * The first route that matches a call holds. "default", which matches what is left, is added behind them and carries the service's own policy. */
#include <string.h>
#include "base/hash.h"
#include "model/rules_read.h"

#define AT(field) offsetof(struct memo__route_layer, field)

/* "/reports/(star)" is a prefix with its slash; without the star it is that path and no other. */
static void read_path(struct memo__rules_reader *r, const struct memo__json_node *n, const struct memo__rules_key *key, void *field)
{
    struct memo__when *when = field;
    struct memo__text t = memo__json_text(r->json, n);
    bool prefix = n->type == MEMO__JSON_TEXT && t.n >= 2 && t.at[t.n - 2] == '/' && t.at[t.n - 1] == '*';
    char buf[64];
    (void)key;
    if (prefix)
        t.n--;
    if (n->type != MEMO__JSON_TEXT || t.n == 0 || t.at[0] != '/')
        memo__rules_error(r, n->at, "%s where a path that begins with '/' is expected", memo__rules_shown(r, n, buf));
    else if (memchr(t.at, '*', t.n))
        memo__rules_error(r, n->at, "%s: a '*' may only stand at the end, behind a '/'", memo__rules_shown(r, n, buf));
    else if (memchr(t.at, '?', t.n) || memchr(t.at, '#', t.n))
        memo__rules_error(r, n->at, "%s: the query is not part of the path", memo__rules_shown(r, n, buf));
    else if (!memo__text_copy(when->path, sizeof when->path, t))
        memo__rules_error(r, n->at, "a path of %zu bytes, at most %zu are possible", t.n, sizeof when->path - 1);
    else {
        when->path_match = prefix ? MEMO__PATH_PREFIX : MEMO__PATH_EXACT;
        when->path_bytes = (uint32_t)t.n;
    }
}

static void read_header(struct memo__rules_reader *r, const struct memo__json_node *m, struct memo__when *when)
{
    struct memo__when_header *h = &when->headers[when->headers_count];
    char name[MEMO__NAME_MAX], buf[64];
    struct memo__text value = memo__json_text(r->json, m);
    if (m->again) {
        memo__rules_error(r, m->key_at, "this key is given twice");
        return;
    }
    if (!memo__rules_header_name(r, m->key_at, memo__json_key(r->json, m), name))
        return;
    if (m->type != MEMO__JSON_TEXT || !memo__text_copy(h->value, sizeof h->value, value)) {
        memo__rules_error(r, m->at, "%s where a text of at most %zu bytes is expected", memo__rules_shown(r, m, buf), sizeof h->value - 1);
        return;
    }
    h->value_bytes = (uint8_t)value.n;
    h->want = memo__rules_want(r, r->service, m->key_at, name);
    for (uint32_t i = 0; i < when->headers_count; i++)
        if (when->headers[i].want == h->want && h->want != MEMO__NO_INDEX)
            memo__rules_error(r, m->key_at, "this header is given twice: case does not count");
    when->headers_count++;
}

static void read_headers(struct memo__rules_reader *r, const struct memo__json_node *n, const struct memo__rules_key *key, void *field)
{
    char buf[64];
    (void)key;
    if (n->type != MEMO__JSON_OBJECT) {
        memo__rules_error(r, n->at, "%s where an object of headers and values is expected", memo__rules_shown(r, n, buf));
        return;
    }
    if (n->count > MEMO__WHEN_HEADERS_MAX) {
        memo__rules_error(r, n->at, "%u headers, at most %d are possible for one route", n->count, MEMO__WHEN_HEADERS_MAX);
        return;
    }
    for (const struct memo__json_node *m = memo__json_first(r->json, n); m; m = memo__json_next(r->json, m)) {
        uint32_t mark = memo__rules_push(r, memo__json_key(r->json, m));
        read_header(r, m, field);
        memo__rules_pop(r, mark);
    }
}

static const struct memo__rules_key when_keys[] = {
    { "method", memo__read_methods, offsetof(struct memo__when, methods), 0, 0, NULL, NULL },
    { "path", read_path, 0, 0, 0, NULL, NULL },
    { "header", read_headers, 0, 0, 0, NULL, NULL },
};

static const struct memo__rules_block when_block = { MEMO__KEYS(when_keys), NULL, NULL, NULL };

struct to { struct memo__split split; struct memo__subset subset; };

/* Half of a hash: what a call that spans two documents recognises its route and its subset by. */
static uint16_t tag_of(const void *bytes, size_t n)
{
    uint16_t tag = (uint16_t)memo__hash(0, bytes, n);
    return tag ? tag : 1;
}

static uint32_t route_tag(const struct memo__route_rule *route)
{
    return (uint32_t)tag_of(route->name, strlen(route->name)) << 16;
}

/* Labels in the order of their names: {"a","b"} and {"b","a"} are the same subset. */
static void read_subset(struct memo__rules_reader *r, const struct memo__json_node *n, const struct memo__rules_key *key, void *field)
{
    struct memo__subset *s = field;
    char buf[64];
    (void)key;
    if (n->type != MEMO__JSON_OBJECT || n->count > MEMO__SUBSET_LABELS_MAX) {
        memo__rules_error(r, n->at, "%s where an object of at most %d labels is expected", memo__rules_shown(r, n, buf), MEMO__SUBSET_LABELS_MAX);
        return;
    }
    for (const struct memo__json_node *m = memo__json_first(r->json, n); m; m = memo__json_next(r->json, m)) {
        uint32_t mark = memo__rules_push(r, memo__json_key(r->json, m)), place = s->labels_count;
        struct memo__label label = { { 0 }, { 0 } };
        if (m->again)
            memo__rules_error(r, m->key_at, "this key is given twice");
        else if (!memo__text_copy(label.name, sizeof label.name, memo__json_key(r->json, m)) || label.name[0] == '\0')
            memo__rules_error(r, m->key_at, "the name of a label has 1 to %d bytes", MEMO__NAME_MAX - 1);
        else if (m->type != MEMO__JSON_TEXT || !memo__text_copy(label.value, sizeof label.value, memo__json_text(r->json, m)))
            memo__rules_error(r, m->at, "%s where a text of at most %d bytes is expected", memo__rules_shown(r, m, buf), MEMO__NAME_MAX - 1);
        else {
            for (; place && strcmp(s->labels[place - 1].name, label.name) > 0; place--)
                s->labels[place] = s->labels[place - 1];
            s->labels[place] = label;
            s->labels_count++;
        }
        memo__rules_pop(r, mark);
    }
    s->tag = tag_of(s->labels, s->labels_count * sizeof *s->labels);
}

static const struct memo__rules_key to_keys[] = {
    { "subset", read_subset, offsetof(struct to, subset), 0, 0, NULL, NULL },
    { "weight", memo__read_count, offsetof(struct to, split.weight), 0, 1000000, NULL, NULL },
};

static const struct memo__rules_block to_block = { MEMO__KEYS(to_keys), NULL, NULL, NULL };

/* The place of a subset in the service, MEMO__NO_INDEX for "all endpoints" and when there is none. */
static uint8_t subset_place(struct memo__rules_reader *r, struct memo__service_rules *s, const struct memo__subset *subset, uint32_t at)
{
    struct memo__subset *all;
    if (subset->labels_count == 0)
        return MEMO__NO_INDEX;
    for (uint32_t i = 0; i < s->subsets_count; i++)
        if (memcmp(&s->subsets[i], subset, sizeof *subset) == 0) /* both were zeroed before they were filled */
            return (uint8_t)i;
    if (s->subsets_count == MEMO__SUBSETS_MAX) {
        memo__rules_error(r, at, "the routes of one service name at most %d different subsets", MEMO__SUBSETS_MAX);
        return MEMO__NO_INDEX;
    }
    all = memo__resize(&r->alloc, s->subsets, (s->subsets_count + 1) * sizeof *all);
    if (!all) {
        r->no_memory = true;
        return MEMO__NO_INDEX;
    }
    s->subsets = all;
    memcpy(&all[s->subsets_count], subset, sizeof *subset);
    return (uint8_t)s->subsets_count++;
}

static void read_to(struct memo__rules_reader *r, const struct memo__json_node *n, const struct memo__rules_key *key, void *field)
{
    struct memo__route_rule *rule = field;
    uint32_t errors = r->errors;
    (void)key;
    if (!memo__rules_array(r, n, MEMO__SPLIT_MAX, "targets"))
        return;
    for (const struct memo__json_node *m = memo__json_first(r->json, n); m; m = memo__json_next(r->json, m)) {
        uint32_t mark = memo__rules_push_index(r, rule->split_count);
        struct to to;
        memset(&to, 0, sizeof to);
        to.split.weight = 1;
        memo__rules_object(r, m, &to_block, &to);
        to.split.subset = subset_place(r, r->service, &to.subset, m->at);
        rule->split[rule->split_count++] = to.split;
        rule->split_weight += to.split.weight;
        memo__rules_pop(r, mark);
    }
    if (rule->split_weight == 0 && errors == r->errors)
        memo__rules_error(r, n->at, "%s", rule->split_count ? "all weights are 0: calls would go nowhere" : "an empty list: calls would go nowhere");
}

/* A route's breaker is its own: its scope is the route, whatever the service's is. */
static void read_breaker(struct memo__rules_reader *r, const struct memo__json_node *n, const struct memo__rules_key *key, void *field)
{
    struct memo__breaker_rule *rule = field;
    rule->scope = MEMO__SCOPE_ROUTE;
    memo__read_block(r, n, key, field);
    if (rule->scope == MEMO__SCOPE_ROUTE)
        return;
    memo__rules_error(r, n->at, "the breaker of a route has the scope \"route\"; \"service\" and \"instance\" are for the service's");
    rule->scope = MEMO__SCOPE_ROUTE;
}

static const struct memo__rules_key keys[] = {
    { "name", memo__read_name, AT(rule.name), 0, 0, NULL, NULL },
    { "when", memo__read_block, AT(rule.when), 0, 0, &when_block, NULL },
    { "to", read_to, AT(rule), 0, 0, &to_block, NULL },
    { "timeout", memo__read_duration, AT(rule.timeout), MEMO__MS, MEMO__DAY, NULL, NULL },
    { "retry", memo__read_block, AT(rule.retry), 0, 0, &memo__retry_block, NULL },
    { "breaker", read_breaker, AT(rule.breaker), 0, 0, &memo__breaker_block, NULL },
    { "limits", memo__read_limits, AT(limits), 0, 0, &memo__limit_block, NULL },
};

static void check(struct memo__rules_reader *r, const struct memo__json_node *n, void *target, uint32_t given)
{
    static const uint8_t blocks[] = { [3] = MEMO__BLOCK_TIMEOUT, MEMO__BLOCK_RETRY, MEMO__BLOCK_BREAKER }; /* of keys; limits know themselves */
    struct memo__route_layer *route = target;
    for (uint32_t i = 3; i < sizeof blocks; i++)
        if (given >> i & 1)
            route->rule.from[blocks[i]] = MEMO__FROM_ROUTE;
    if (!(given & 1))
        memo__rules_error(r, n->at, "\"name\" is missing: records and metrics call a route by it");
    if (strcmp(route->rule.name, "default") == 0)
        memo__rules_error(r, n->at, "\"default\" is the name of the route that every service has");
}

const struct memo__rules_block memo__route_block = { MEMO__KEYS(keys), NULL, NULL, check };

/* The service's policy, matching everything. */
static struct memo__route_layer plain(const struct memo__layer *layer, const struct memo__service_rules *s)
{
    struct memo__route_layer route = { .rule = { .when = { .methods = MEMO__ANY_METHOD }, .timeout = layer->timeout, .retry = layer->retry, .breaker = layer->breaker } };
    if (route.rule.breaker.mode == MEMO__MODE_UNSAID)
        route.rule.breaker.mode = s->mode;
    memcpy(route.rule.from, layer->from, sizeof route.rule.from);
    return route;
}

static bool matches_all(const struct memo__when *when)
{
    return when->methods == MEMO__ANY_METHOD && when->headers_count == 0 &&
           (when->path_match == MEMO__PATH_ANY || (when->path_match == MEMO__PATH_PREFIX && strcmp(when->path, "/") == 0));
}

static bool read_route(struct memo__rules_reader *r, const struct memo__json_node *n, const struct memo__layer *layer, struct memo__service_rules *out,
                       const uint8_t *places, uint32_t count)
{
    struct memo__route_layer route = plain(layer, out);
    struct memo__route_rule *into = &out->routes[out->routes_count];
    memo__rules_object(r, n, &memo__route_block, &route);
    *into = route.rule;
    into->tag = route_tag(into);
    memcpy(into->limits, places, sizeof into->limits);
    into->limits_count = count;
    for (uint32_t i = 0; i < out->routes_count && into->name[0]; i++)
        if (strcmp(out->routes[i].name, into->name) == 0)
            memo__rules_error(r, n->at, "two routes of this service are called \"%s\"", into->name);
    if (out->routes_count && matches_all(&out->routes[out->routes_count - 1].when))
        memo__rules_warning(r, n->at, "never reached: the route \"%s\" before it matches every call", out->routes[out->routes_count - 1].name);
    out->routes_count++;
    struct memo__limits_place mine = { MEMO__FROM_ROUTE, (uint8_t)(out->routes_count - 1) };
    return memo__rules_take_limits(r, out, &route.limits, mine, into->limits, &into->limits_count);
}

bool memo__rules_routes(struct memo__rules_reader *r, const struct memo__layer *layer, struct memo__service_rules *out)
{
    uint8_t places[MEMO__LIMITS_MAX] = { 0 };
    uint32_t count = 0, index = 0, mark = r->path_bytes;
    const struct memo__json_node *list = layer->routes;

    if (!memo__rules_take_limits(r, out, &layer->limits, (struct memo__limits_place){ layer->from[MEMO__BLOCK_LIMITS], 0 }, places, &count))
        return false;
    if (list) {
        mark = memo__rules_push(r, MEMO__TEXT("routes"));
        if (!memo__rules_array(r, list, MEMO__ROUTES_MAX - 1, "routes"))
            list = NULL;
    }
    out->routes = memo__get_array(&r->alloc, (list ? list->count : 0) + 1, sizeof *out->routes);
    if (!out->routes)
        return false;
    r->service = out;
    for (const struct memo__json_node *n = list ? memo__json_first(r->json, list) : NULL; n; n = memo__json_next(r->json, n)) {
        uint32_t mine = memo__rules_push_index(r, index++);
        if (!read_route(r, n, layer, out, places, count))
            return false;
        memo__rules_pop(r, mine);
    }
    memo__rules_pop(r, mark);
    struct memo__route_rule *last = &out->routes[out->routes_count++];
    *last = plain(layer, out).rule;
    memo__text_copy(last->name, MEMO__NAME_MAX, MEMO__TEXT("default"));
    last->tag = route_tag(last);
    last->limits_count = count;
    memcpy(last->limits, places, sizeof places);
    return !r->no_memory;
}
