/* SPDX-License-Identifier: Apache-2.0 */
/* governor.c: what stays and what goes when views and rules change, who waits for readers, and that what fails changes nothing. */
#include "call/governor.h"
#include <memo/service.h>
#include <stdio.h>
#include <stdlib.h>
#include "policy/bulkhead.h"
#include "stage.h"

static struct stage s;

#define RULES(service) "{\"memo\":1,\"services\":{\"todo\":{" service "}}}"
#define NO_RETRY "\"retry\":{\"attempts\":1}"

static const struct memo__view_entry *entry(const char *id)
{
    const struct memo__view *v = memo__governor_view(s.g);
    for (uint32_t i = 0; v && i < v->count; i++)
        if (strcmp(memo__view_text(v, v->entries[i].id), id) == 0)
            return &v->entries[i];
    ck_abort_msg("no endpoint %s", id);
    return NULL;
}

static float cost(uint32_t slot)
{
    float most = 0;
    for (uint32_t i = 0; i < s.g->fleet.stripes; i++) {
        float c = memo__cost_load(memo__fleet_part(&s.g->fleet, i, slot));
        most = c > most ? c : most;
    }
    return most;
}

START_TEST(empty_at_first)
{
    stage_begin(&s, NULL);
    ck_assert_ptr_null(memo__governor_view(s.g));
    ck_assert_int_eq(s.g->state, MEMO_VIEW_EMPTY);
    ck_assert_uint_eq(memo__governor_open_calls(s.g), 0);
    ck_assert_int_eq(stage_call(&s, 0, 200), MEMO_REFUSED_NOT_READY);
    ck_assert_int_eq(stage_view(&s, ""), MEMO_OK); /* "there are none" is an answer */
    ck_assert_int_eq(stage_call(&s, 0, 200), MEMO_REFUSED_NO_ENDPOINT);
    stage_end(&s);
}
END_TEST

START_TEST(names_and_ages)
{
    static const char *const names[] = { "empty", "live", "stale", "protected", "cached" };
    for (int i = 0; i < 5; i++)
        ck_assert_str_eq(memo__view_state_name(i), names[i]);
    ck_assert_str_eq(memo__view_state_name(-1), "?");
    ck_assert_str_eq(memo__view_state_name(5), "?");
    ck_assert_int_eq(memo__age_ms(10, true, 10), -1);
    ck_assert_int_eq(memo__age_ms(10, false, 10), 0);
    ck_assert_int_eq(memo__age_ms(10, false, 11), 1); /* an upper bound */
    ck_assert_int_eq(memo__age_ms(0, false, 5 * MS), 5);
    ck_assert_int_eq(memo__age_ms(MEMO__NEVER, false, 5 * MS), 0);
    ck_assert_int_eq(memo__age_ms(9 * S, false, 5 * S), 0); /* never negative */
}
END_TEST

START_TEST(slots_stay)
{
    stage_begin(&s, NULL);
    ck_assert_int_eq(stage_view(&s, "a=10.0.0.1:80 c=10.0.0.3:80"), MEMO_OK);
    struct memo__view_entry a = *entry("a"), c = *entry("c");
    ck_assert_uint_ne(a.slot, c.slot);
    ck_assert_int_eq(stage_view(&s, "a=10.0.0.1:80;weight=7;version=v2 b=10.0.0.2:80 c=10.0.0.3:80;healthy=0"), MEMO_OK);
    ck_assert_uint_eq(entry("a")->slot, a.slot);
    ck_assert_uint_eq(entry("a")->generation, a.generation);
    ck_assert_uint_eq(entry("c")->slot, c.slot);
    ck_assert_uint_eq(entry("c")->generation, c.generation);
    ck_assert_uint_ne(entry("b")->slot, a.slot);
    ck_assert_uint_ne(entry("b")->slot, c.slot);
    /* another port, address or registration is another endpoint */
    ck_assert_int_eq(stage_view(&s, "a=10.0.0.1:81 b=10.0.0.9:80 c=10.0.0.3:80;registered=5"), MEMO_OK);
    ck_assert_uint_ne(entry("a")->slot, a.slot);
    ck_assert_uint_ne(entry("c")->slot, c.slot);
    ck_assert_uint_eq(s.g->slots_used, 6);
    stage_end(&s);
}
END_TEST

static uint32_t calls_to(const char *id, uint32_t many)
{
    memo_call k;
    memo_attempt a;
    uint32_t got = 0;
    for (uint32_t i = 0; i < many; i++) {
        ck_assert_int_eq(stage_open(&s, &k, &a, "GET"), MEMO_OK);
        (void)stage_report(&k, &a, MEMO_OUTCOME_REPLIED, 200);
        memo_call_end(&k);
        got += strcmp(a.id, id) == 0;
    }
    return got;
}

static memo__instant joined(const char *id) { return memo__fleet_state(&s.g->fleet, entry(id)->slot)->joined; }

/* Slow start spares those that join others: not the first ones, and not those that were only away. */
START_TEST(who_joins)
{
    stage_begin(&s, RULES("\"balance\":{\"slowStart\":{\"window\":\"30s\"}}"));
    ck_assert_int_eq(stage_view(&s, "a=10.0.0.1:80 b=10.0.0.2:80"), MEMO_OK);
    ck_assert(joined("a") == 0 && joined("b") == 0);
    ck_assert_int_eq(s.g->plan->all.from.warm_at, 0);
    stage_pass(&s, 10 * S);
    memo__instant since = s.now;
    ck_assert_int_eq(stage_view(&s, "a=10.0.0.1:80 b=10.0.0.2:80 c=10.0.0.3:80"), MEMO_OK);
    ck_assert(joined("a") == 0 && joined("c") == since);
    ck_assert_int_eq(s.g->plan->all.from.warm_at, since + 30 * S);
    ck_assert_int_eq(s.g->plan->all.from.oldest, 0);
    ck_assert_uint_lt(calls_to("c", 300), 60);        /* not the short way, which knows nothing of youth */
    stage_pass(&s, 30 * S);
    ck_assert_uint_gt(calls_to("c", 300), 70);        /* without another plan */
    ck_assert_int_eq(stage_view(&s, "a=10.0.0.1:80 b=10.0.0.2:80"), MEMO_OK);
    ck_assert_int_eq(stage_view(&s, "a=10.0.0.1:80 b=10.0.0.2:80 c=10.0.0.3:80"), MEMO_OK);
    ck_assert_int_eq(joined("c"), since);             /* it was only away */
    ck_assert_int_eq(stage_view(&s, "a=10.0.0.1:80 b=10.0.0.2:80 c=10.0.0.3:80;registered=7"), MEMO_OK);
    ck_assert_int_eq(joined("c"), s.now);             /* started anew */
    ck_assert_int_eq(stage_view(&s, "c=10.0.0.3:80;registered=7"), MEMO_OK);
    ck_assert_int_eq(s.g->plan->all.from.oldest, s.now);
    stage_end(&s);
}
END_TEST

#define RING(more) \
    RULES("\"balance\":{\"policy\":\"ring-hash\"" more "}," \
          "\"routes\":[{\"name\":\"v2\",\"when\":{\"path\":\"/v2\"},\"to\":[{\"subset\":{\"version\":\"v2\"}}]}]")

/* A ring, a schedule or an alias table is built anew only where the candidates are others. */
START_TEST(tables_are_kept)
{
    stage_begin(&s, RING(""));
    ck_assert_int_eq(stage_view(&s, "a=10.0.0.1:80 b=10.0.0.2:80;version=v2 c=::1:80;version=v2"), MEMO_OK);
    struct memo__table *all = s.g->plan->all.table, *v2 = s.g->plan->subsets[0].table;
    ck_assert(all && v2 && all != v2 && all->refs == 1);
    ck_assert_int_eq(stage_rules(&s, RING(",\"hashOn\":\"path\"")), MEMO_OK);
    ck_assert(s.g->plan->all.table == all && s.g->plan->subsets[0].table == v2 && all->refs == 1);
    ck_assert_int_eq(stage_view(&s, "a=10.0.0.1:80;weight=5 b=10.0.0.2:80;version=v2 c=::1:80;version=v2"), MEMO_OK);
    ck_assert(s.g->plan->all.table != all && s.g->plan->subsets[0].table == v2);
    ck_assert_int_eq(stage_view(&s, "a=10.0.0.1:80;weight=5 b=10.0.0.2:80;version=v2 c=::1:80;version=v2;registered=3"), MEMO_OK);
    ck_assert_ptr_ne(s.g->plan->subsets[0].table, v2); /* the same name in another slot */
    all = s.g->plan->all.table;
    ck_assert_int_eq(stage_rules(&s, RING(",\"minRing\":10")), MEMO_OK);
    ck_assert_ptr_ne(s.g->plan->all.table, all);
    ck_assert_int_eq(stage_view(&s, "a=10.0.0.1:80"), MEMO_OK);
    ck_assert(s.g->plan->all.table && !s.g->plan->subsets[0].table);
    ck_assert_int_eq(stage_rules(&s, RULES("\"timeout\":\"1s\"")), MEMO_OK);
    ck_assert_ptr_null(s.g->plan->all.table);
    stage_end(&s);
}
END_TEST

/* What an endpoint has learned outlives it for five minutes. */
START_TEST(linger)
{
    stage_begin(&s, NULL);
    ck_assert_int_eq(stage_view(&s, "a=10.0.0.1:80"), MEMO_OK);
    struct memo__view_entry a = *entry("a");
    ck_assert_int_eq(stage_call(&s, MEMO_OUTCOME_REPLIED, 200), MEMO_OK);
    ck_assert_float_gt(cost(a.slot), 0);
    ck_assert_int_eq(stage_view(&s, "b=10.0.0.2:80"), MEMO_OK);
    stage_pass(&s, MEMO__LINGER - 1);
    ck_assert_int_eq(stage_view(&s, "a=10.0.0.1:80 b=10.0.0.2:80"), MEMO_OK);
    ck_assert_uint_eq(entry("a")->slot, a.slot);
    ck_assert_uint_eq(entry("a")->generation, a.generation);
    ck_assert_float_gt(cost(a.slot), 0);
    ck_assert_uint_eq(s.g->departed_count, 0);
    ck_assert_int_eq(stage_view(&s, "b=10.0.0.2:80"), MEMO_OK);
    stage_pass(&s, MEMO__LINGER);
    ck_assert_int_eq(stage_view(&s, "b=10.0.0.2:80 c=10.0.0.3:80"), MEMO_OK);
    ck_assert_uint_eq(entry("c")->slot, a.slot); /* its slot is used again, by a stranger */
    ck_assert_uint_gt(entry("c")->generation, a.generation);
    ck_assert_float_eq(cost(a.slot), 0);
    ck_assert_uint_eq(s.g->slots_used, 2);
    stage_end(&s);
}
END_TEST

/* A thousand instances that come and go, one at a time, need two slots and a bit, not a thousand. */
START_TEST(churn_is_bounded)
{
    char text[64];
    stage_begin(&s, NULL);
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(text, sizeof text, "i%d=10.0.%d.%d:80", i, i / 250, i % 250);
        ck_assert_int_eq(stage_view(&s, text), MEMO_OK);
        stage_pass(&s, MEMO__LINGER / 4);
    }
    ck_assert_uint_le(s.g->slots_used, 6);
    ck_assert_uint_le(s.g->departed_count, 4);
    stage_end(&s);
}
END_TEST

START_TEST(late_reports_are_dropped)
{
    memo_call k;
    memo_attempt a;
    stage_begin(&s, RULES("\"outlier\":{\"consecutiveFailures\":1}"));
    ck_assert_int_eq(stage_view(&s, "a=10.0.0.1:80 b=10.0.0.2:80"), MEMO_OK);
    ck_assert_int_eq(stage_open(&s, &k, &a, "POST"), MEMO_OK);
    ck_assert_int_eq(stage_view(&s, ""), MEMO_OK);
    stage_pass(&s, MEMO__LINGER);
    ck_assert_int_eq(stage_view(&s, "x=10.0.0.8:80 y=10.0.0.9:80"), MEMO_OK);
    ck_assert_int_eq(stage_report(&k, &a, MEMO_OUTCOME_RESET, 0), 0);
    memo_call_end(&k);
    ck_assert_ptr_null(stage_turned(&s, MEMO_EVENT_EJECTION)); /* neither x nor y is to blame */
    ck_assert_uint_eq(s.g->outlier.ejected, 0);
    for (uint32_t slot = 0; slot < s.g->slots_used; slot++) {
        int32_t inflight = 0;
        for (uint32_t i = 0; i < s.g->fleet.stripes; i++)
            inflight += memo__fleet_part(&s.g->fleet, i, slot)->inflight;
        ck_assert_int_eq(inflight, 0);
        ck_assert_float_eq(cost(slot), 0);
    }
    stage_end(&s);
}
END_TEST

START_TEST(the_departed_are_named)
{
    char text[4096] = "";
    stage_begin(&s, NULL);
    for (int i = 0; i < 70; i++)
        (void)snprintf(text + strlen(text), sizeof text - strlen(text), "i%02d=10.0.0.%d:80 ", i, i + 1);
    ck_assert_int_eq(stage_view(&s, text), MEMO_OK);
    ck_assert_int_eq(stage_view(&s, "x=10.0.0.99:80"), MEMO_OK);
    ck_assert_uint_eq(s.g->plan->gone_count, MEMO__GONE_MAX);
    ck_assert_str_eq(s.g->plan->gone[0].id, "i69");
    ck_assert_int_eq(stage_view(&s, "i69=10.0.0.70:80 x=10.0.0.99:80"), MEMO_OK);
    ck_assert_uint_eq(s.g->plan->gone_count, MEMO__GONE_MAX);
    ck_assert_str_eq(s.g->plan->gone[0].id, "i68"); /* that one is back */
    stage_end(&s);
}
END_TEST

/* While somebody reads, at most four plans wait to be freed; of what comes beyond, the newest waits. */
START_TEST(retired_plans_are_few)
{
    stage_begin(&s, NULL);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(stage_view(&s, "a=10.0.0.1:80"), MEMO_OK);
    long quiet = s.memory.live;
    s.hold = true;
    for (int i = 0; i < 20; i++) {
        char text[64];
        (void)snprintf(text, sizeof text, "a=10.0.0.1:80;weight=%d", i + 1);
        ck_assert_int_eq(stage_view(&s, text), MEMO_OK);
        ck_assert_uint_le(s.g->retired_plans, MEMO__RETIRED_PLANS_MAX);
        ck_assert_uint_eq(entry("a")->weight, (uint32_t)i + 1); /* the newest, published or not */
    }
    ck_assert_uint_eq(s.g->retired_plans, MEMO__RETIRED_PLANS_MAX);
    ck_assert_uint_eq(s.g->plan->view->entries[0].weight, 4);
    ck_assert_ptr_nonnull(s.g->pending);
    ck_assert_int_eq(stage_call(&s, 0, 200), MEMO_OK);
    stage_release(&s);
    ck_assert_ptr_null(s.g->pending);
    ck_assert_uint_eq(s.g->plan->view->entries[0].weight, 20);
    ck_assert_uint_eq(s.g->retired_plans, 0);
    ck_assert_int_eq(s.memory.live, quiet);
    stage_end(&s);
}
END_TEST

/* A call that decides from a view which has just been replaced is told that view's age, not the newer one's. */
START_TEST(an_age_is_of_its_view)
{
    memo_call k;
    memo_attempt a;
    stage_begin(&s, NULL);
    ck_assert_int_eq(stage_view(&s, "a=10.0.0.1:80"), MEMO_OK);
    s.hold = true;
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(stage_rules(&s, NULL), MEMO_OK);
    stage_pass(&s, 7 * S);
    ck_assert_int_eq(stage_view(&s, "a=10.0.0.1:80 b=10.0.0.2:80"), MEMO_OK);
    ck_assert_uint_eq(s.g->plan->view->count, 1); /* still waiting */
    ck_assert_int_eq(stage_open(&s, &k, &a, "GET"), MEMO_OK);
    ck_assert_int_eq(a.age_max_ms, 7000);
    memo_call_end(&k);
    memo__governor_age(s.g, s.boot, false, MEMO_VIEW_LIVE); /* the newest one is confirmed */
    ck_assert_int_eq(stage_open(&s, &k, &a, "GET"), MEMO_OK);
    ck_assert_int_eq(a.age_max_ms, 7000);
    memo_call_end(&k);
    stage_release(&s);
    ck_assert_int_eq(stage_open(&s, &k, &a, "GET"), MEMO_OK);
    ck_assert_int_eq(a.age_max_ms, 0);
    memo_call_end(&k);
    stage_end(&s);
}
END_TEST

START_TEST(nothing_is_published_after_leaving)
{
    stage_begin(&s, NULL);
    s.hold = true;
    for (int i = 0; i < 6; i++)
        ck_assert_int_eq(stage_view(&s, "a=10.0.0.1:80"), MEMO_OK);
    ck_assert_ptr_nonnull(s.g->pending);
    stage_end(&s); /* leaves, releases, frees: the one that waited too */
}
END_TEST

/* ---- rules ---- */

static struct memo__breaker_facts breaker(const struct memo__organ *o)
{
    struct memo__breaker_facts f;
    const struct memo__service_rules *r = s.g->plan->service;
    memo__breaker_read(o->shared, &o->parts, &r->routes[r->routes_count - 1].breaker, s.now, &f);
    return f;
}

#define BREAKER(window, more) "\"breaker\":{\"window\":\"" window "\",\"minCalls\":4,\"openWhen\":{\"failed\":\"50%\"},\"openFor\":\"5s\"" more "}," NO_RETRY

START_TEST(a_reload_keeps_windows_and_states)
{
    stage_begin(&s, RULES(BREAKER("10s", "")));
    ck_assert_int_eq(stage_view(&s, "a=10.0.0.1:80"), MEMO_OK);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(stage_call(&s, MEMO_OUTCOME_REPLIED, 500), MEMO_OK);
    struct memo__organ *before = s.g->plan->breaker;
    ck_assert_uint_eq(breaker(before).calls, 3);
    ck_assert_int_eq(stage_rules(&s, RULES(BREAKER("10s", ",\"probes\":1"))), MEMO_OK);
    ck_assert_ptr_eq(s.g->plan->breaker, before);
    ck_assert_uint_eq(breaker(before).calls, 3);
    ck_assert_ptr_null(stage_turned(&s, MEMO_EVENT_RULES));
    ck_assert_int_eq(stage_call(&s, MEMO_OUTCOME_REPLIED, 500), MEMO_OK);
    ck_assert_int_eq(breaker(before).phase, MEMO__BREAKER_OPEN);
    ck_assert_int_eq(stage_rules(&s, RULES(BREAKER("10s", ""))), MEMO_OK);
    ck_assert_int_eq(stage_call(&s, 0, 200), MEMO_REFUSED_OPEN);
    ck_assert_ptr_null(stage_turned(&s, MEMO_EVENT_RULES));
    /* another window is another shape: it starts afresh, and that is told */
    ck_assert_int_eq(stage_rules(&s, RULES(BREAKER("20s", ""))), MEMO_OK);
    ck_assert_ptr_ne(s.g->plan->breaker, before);
    ck_assert_int_eq(stage_call(&s, 0, 200), MEMO_OK);
    const struct stage_turn *t = stage_turned(&s, MEMO_EVENT_RULES);
    ck_assert_ptr_nonnull(t);
    ck_assert_str_eq(t->subject, "service");
    ck_assert_str_eq(t->service, "todo");
    ck_assert_str_eq(t->text, "breaker service was reset: its shape has changed");
    stage_end(&s);
}
END_TEST

START_TEST(a_route_may_be_named_service)
{
    static const char rules[] = RULES("\"breaker\":{\"minCalls\":2,\"openWhen\":{\"failed\":\"50%\"}}," NO_RETRY
                                      ",\"routes\":[{\"name\":\"service\",\"when\":{\"path\":\"/reports/*\"},\"breaker\":{\"scope\":\"route\"}}]");
    stage_begin(&s, rules);
    const struct memo__organ *whole = s.g->plan->breaker, *route = s.g->plan->route_breakers[0];
    ck_assert_ptr_ne(whole, route);
    ck_assert_int_eq(stage_rules(&s, rules), MEMO_OK);
    ck_assert_ptr_eq(s.g->plan->breaker, whole);
    ck_assert_ptr_eq(s.g->plan->route_breakers[0], route);
    ck_assert_ptr_null(stage_turned(&s, MEMO_EVENT_RULES));
    stage_end(&s);
}
END_TEST

START_TEST(limits_are_kept_by_name_and_shape)
{
    static const char two[] = RULES("\"limits\":[{\"name\":\"all\",\"rate\":\"1/h\",\"burst\":2},{\"name\":\"user\",\"rate\":\"1/h\",\"burst\":1,\"by\":\"header:x-user\"}]");
    static const char wider[] = RULES("\"limits\":[{\"name\":\"all\",\"rate\":\"1/h\",\"burst\":3},{\"name\":\"user\",\"rate\":\"1/h\",\"burst\":1,\"by\":\"header:x-user\"}]");
    static const char keyed[] = RULES("\"limits\":[{\"name\":\"all\",\"rate\":\"1/h\",\"burst\":3,\"by\":\"header:x-all\"}]");
    stage_begin(&s, two);
    ck_assert_int_eq(stage_view(&s, "a=10.0.0.1:80"), MEMO_OK);
    ck_assert_int_eq(stage_call(&s, 0, 200), MEMO_OK);
    ck_assert_int_eq(stage_rules(&s, two), MEMO_OK);
    ck_assert_int_eq(stage_call(&s, 0, 200), MEMO_OK);
    ck_assert_int_eq(stage_call(&s, 0, 200), MEMO_REFUSED_LIMITED); /* the reload filled no bucket */
    struct memo__organ *user = s.g->plan->limits[1];
    ck_assert_int_eq(stage_rules(&s, wider), MEMO_OK);
    ck_assert_ptr_eq(s.g->plan->limits[1], user);
    ck_assert_uint_eq(s.turns_count, 1);
    ck_assert_str_eq(stage_turned(&s, MEMO_EVENT_RULES)->text, "limit all was reset: its shape has changed");
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(stage_call(&s, 0, 200), MEMO_OK);
    ck_assert_int_eq(stage_rules(&s, keyed), MEMO_OK); /* the same name, another kind: a new limit */
    ck_assert_int_eq(s.g->plan->limits[0]->kind, MEMO__ORGAN_KEYED_LIMIT);
    stage_end(&s);
}
END_TEST

START_TEST(breakers_of_routes)
{
    static const char routes[] = RULES("\"breaker\":{\"scope\":\"route\",\"minCalls\":2,\"openWhen\":{\"failed\":\"50%\"}}," NO_RETRY
                                       ",\"routes\":[{\"name\":\"report\",\"when\":{\"path\":\"/reports/*\"}},{\"name\":\"todos\",\"when\":{\"path\":\"/todos/*\"}}]");
    stage_begin(&s, routes);
    ck_assert_int_eq(stage_view(&s, "a=10.0.0.1:80"), MEMO_OK);
    ck_assert_ptr_null(s.g->plan->breaker);
    for (uint32_t i = 0; i < 3; i++)
        ck_assert_ptr_nonnull(s.g->plan->route_breakers[i]);
    struct memo__organ *todos = s.g->plan->route_breakers[1];
    ck_assert_str_eq(todos->name, "todos");
    ck_assert_ptr_eq(memo__plan_organ(s.g->plan, todos->id), todos);
    ck_assert_ptr_null(memo__plan_organ(s.g->plan, 999));
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(stage_call(&s, MEMO_OUTCOME_RESET, 0), MEMO_OK);
    ck_assert_int_eq(stage_call(&s, 0, 200), MEMO_REFUSED_OPEN); /* /todos/7 */
    ck_assert_str_eq(stage_turned(&s, MEMO_EVENT_BREAKER)->subject, "todos");
    ck_assert_int_eq(stage_rules(&s, routes), MEMO_OK);
    ck_assert_ptr_eq(s.g->plan->route_breakers[1], todos);
    stage_end(&s);
}
END_TEST

static uint64_t busy(void)
{
    const struct memo__organ *o = s.g->plan->bulkhead;
    return memo__bulkhead_read(o->shared, &o->parts);
}

#define MAX(n, exact) RULES("\"concurrency\":{\"max\":" n exact "}," NO_RETRY)

/* Permits that are out when max changes come back to where they belong. */
START_TEST(concurrency_changes_under_way)
{
    static const char *const exactness[] = { MAX("1", ""), MAX("1", ",\"exact\":true") };
    for (int e = 0; e < 2; e++) {
        memo_call k[4];
        memo_attempt a[4];
        stage_begin(&s, MAX("3", ""));
        ck_assert_int_eq(stage_view(&s, "a=10.0.0.1:80"), MEMO_OK);
        for (int i = 0; i < 3; i++)
            ck_assert_int_eq(stage_open(&s, &k[i], &a[i], "GET"), MEMO_OK);
        ck_assert_int_eq(stage_call(&s, 0, 200), MEMO_REFUSED_OVERLOADED);
        ck_assert_int_eq(stage_rules(&s, exactness[e]), MEMO_OK);
        ck_assert_uint_eq(busy(), 3);
        ck_assert_ptr_null(stage_turned(&s, MEMO_EVENT_RULES));
        memo_call_end(&k[0]);
        memo_call_end(&k[1]);
        ck_assert_int_eq(stage_call(&s, 0, 200), MEMO_REFUSED_OVERLOADED); /* one is still under way */
        memo_call_end(&k[2]);
        ck_assert_uint_eq(busy(), 0);
        ck_assert_int_eq(stage_open(&s, &k[0], &a[0], "GET"), MEMO_OK);
        ck_assert_int_eq(stage_call(&s, 0, 200), MEMO_REFUSED_OVERLOADED);
        ck_assert_int_eq(stage_rules(&s, MAX("2", "")), MEMO_OK);
        ck_assert_int_eq(stage_open(&s, &k[1], &a[1], "GET"), MEMO_OK);
        ck_assert_int_eq(stage_call(&s, 0, 200), MEMO_REFUSED_OVERLOADED);
        memo_call_end(&k[0]);
        memo_call_end(&k[1]);
        ck_assert_uint_eq(busy(), 0);
        stage_end(&s);
    }
}
END_TEST

START_TEST(instance_breakers_come_later)
{
    memo_call k;
    memo_attempt a;
    stage_begin(&s, NULL);
    ck_assert_int_eq(stage_view(&s, "a=10.0.0.1:80"), MEMO_OK);
    ck_assert(!s.g->plan->instance_breakers);
    ck_assert_ptr_null(memo__fleet_breaker(&s.g->fleet, 0));
    ck_assert_int_eq(stage_open(&s, &k, &a, "POST"), MEMO_OK); /* began without: its report teaches no breaker */
    ck_assert_int_eq(stage_rules(&s, RULES("\"breaker\":{\"scope\":\"instance\",\"minCalls\":1,\"openWhen\":{\"failed\":\"50%\"}}," NO_RETRY)), MEMO_OK);
    ck_assert(s.g->plan->instance_breakers);
    ck_assert_ptr_nonnull(memo__fleet_breaker(&s.g->fleet, 0));
    ck_assert_int_eq(stage_report(&k, &a, MEMO_OUTCOME_RESET, 0), 0);
    memo_call_end(&k);
    ck_assert_int_eq(stage_call(&s, MEMO_OUTCOME_RESET, 0), MEMO_OK);
    ck_assert_int_eq(stage_call(&s, 0, 200), MEMO_REFUSED_OPEN);
    ck_assert_str_eq(stage_turned(&s, MEMO_EVENT_BREAKER)->subject, "a");
    stage_end(&s);
}
END_TEST

/* ---- what fails changes nothing ---- */

static const char full[] = RULES("\"breaker\":{\"window\":\"20s\"},\"limits\":[{\"name\":\"all\",\"rate\":\"50/s\"},{\"name\":\"user\",\"rate\":\"5/s\",\"by\":\"header:x-user\"}],"
                                 "\"concurrency\":{\"max\":7},\"routes\":[{\"name\":\"r\",\"when\":{\"path\":\"/r\"},\"breaker\":{\"scope\":\"route\"},"
                                 "\"to\":[{\"subset\":{\"version\":\"v2\"}}]}]");
static const char other[] = RULES("\"breaker\":{\"window\":\"30s\"},\"limits\":[{\"name\":\"all\",\"rate\":\"60/s\"}],\"concurrency\":{\"max\":1},"
                                  "\"balance\":{\"policy\":\"ring-hash\"}");
static const char own[] = RULES("\"breaker\":{\"scope\":\"instance\"},\"limits\":[{\"name\":\"all\",\"rate\":\"50/s\"}],\"concurrency\":{\"max\":9}");

START_TEST(init_without_memory)
{
    bool failed = true;
    for (long at = 1; failed; at++) {
        struct memo__governor *g;
        stage_begin(&s, full);
        g = calloc(1, sizeof *g);
        s.memory.requests = 0;
        s.memory.fail_at = at;
        memo_status status = memo__governor_init(g, &s.world, "other", s.rules);
        s.memory.fail_at = 0;
        failed = s.memory.failed;
        ck_assert(status == MEMO_OK || (failed && status == MEMO_E_NO_MEMORY)); /* a block that cannot be made smaller is no failure */
        if (status == MEMO_OK) {
            memo__governor_leave(g);
            memo__governor_fini(g);
        }
        free(g);
        stage_end(&s);
    }
}
END_TEST

START_TEST(rules_without_memory)
{
    const char *text = _i ? own : other;
    bool failed = true;
    for (long at = 1; failed; at++) {
        stage_begin(&s, full);
        ck_assert_int_eq(stage_view(&s, "a=10.0.0.1:80;version=v2"), MEMO_OK);
        struct memo__rules *next = stage_compile(&s, text);
        const struct memo__plan *before = s.g->plan;
        struct memo__plan copy = *before;
        s.memory.requests = 0;
        s.memory.fail_at = at;
        memo_status status = memo__governor_prepare(s.g, next);
        s.memory.fail_at = 0;
        failed = s.memory.failed;
        ck_assert_int_eq(status, failed ? MEMO_E_NO_MEMORY : MEMO_OK);
        /* also after a good one nothing has changed yet: another service may have failed */
        memo__governor_abandon(s.g);
        memo__governor_abandon(s.g);
        ck_assert_ptr_eq(s.g->plan, before);
        ck_assert_mem_eq(s.g->plan, &copy, sizeof copy);
        ck_assert_uint_eq(s.turns_count, 0);
        ck_assert_uint_eq(((struct memo__bulkhead *)before->bulkhead->shared)->max, 7);
        ck_assert_uint_eq(before->breaker->refs, 1);
        memo__rules_drop(next);
        stage_end(&s);
    }
}
END_TEST

static uint32_t slots_known(void)
{
    return memo__governor_view(s.g)->count + s.g->departed_count + s.g->free_count;
}

static void distinct_slots(void)
{
    const struct memo__view *v = memo__governor_view(s.g);
    bool used[64] = { false };
    for (uint32_t i = 0; i < v->count; i++) {
        ck_assert_msg(!used[v->entries[i].slot], "two endpoints share slot %u", v->entries[i].slot);
        used[v->entries[i].slot] = true;
    }
}

START_TEST(a_view_without_memory)
{
    bool failed = true;
    for (long at = 1; failed; at++) {
        stage_begin(&s, _i ? own : full);
        ck_assert_int_eq(stage_view(&s, "a=10.0.0.1:80 b=10.0.0.2:80 c=10.0.0.3:80"), MEMO_OK);
        ck_assert_int_eq(stage_view(&s, "a=10.0.0.1:80 b=10.0.0.2:80"), MEMO_OK); /* c has left */
        struct memo__view_entry a = *entry("a"), b = *entry("b");
        uint32_t c = s.g->departed[0].slot;
        struct memo__view *next = stage_build(&s, "a=10.0.0.1:80 c=10.0.0.3:80 d=10.0.0.4:80"), *before = s.g->plan->view;
        struct memo__view copy = *before;
        s.memory.requests = 0;
        s.memory.fail_at = at;
        memo_status status = memo__governor_take_view(s.g, next, s.rules);
        s.memory.fail_at = 0;
        failed = s.memory.failed;
        ck_assert_int_eq(status, failed ? MEMO_E_NO_MEMORY : MEMO_OK);
        if (failed) {
            ck_assert_ptr_eq(s.g->plan->view, before);
            ck_assert_mem_eq(before, &copy, sizeof copy);
            ck_assert_mem_eq(entry("b"), &b, sizeof b);
            memo__view_free(next);
            /* a newer one, in which b never left */
            ck_assert_int_eq(stage_view(&s, "a=10.0.0.1:80 b=10.0.0.2:80 d=10.0.0.4:80"), MEMO_OK);
            ck_assert_uint_eq(entry("b")->slot, b.slot);
            ck_assert_uint_eq(slots_known(), s.g->slots_used); /* none is lost */
            stage_pass(&s, MEMO__LINGER);
            ck_assert_int_eq(stage_view(&s, "a=10.0.0.1:80 b=10.0.0.2:80 d=10.0.0.4:80 e=10.0.0.5:80 f=10.0.0.6:80"), MEMO_OK);
        } else {
            ck_assert_uint_eq(entry("c")->slot, c);
            ck_assert_uint_eq(s.g->departed_count, 1);
        }
        ck_assert_uint_eq(entry("a")->slot, a.slot);
        ck_assert_uint_eq(slots_known(), s.g->slots_used);
        distinct_slots();
        stage_end(&s);
    }
}
END_TEST

static struct memo__view *crowd(uint32_t from, uint32_t count, uint64_t revision)
{
    struct memo__view_builder *b = memo__view_builder_new(&s.memory.alloc);
    struct memo__view *v = NULL;
    char id[16];
    for (uint32_t i = from; i < from + count; i++) {
        (void)snprintf(id, sizeof id, "i%06u", i);
        struct memo__found f = { .id = memo__text_of(id), .address = MEMO__TEXT("10.0.0.1"), .port = 80, .healthy = true, .weight = 1 };
        memo__view_add(b, &f);
    }
    ck_assert_int_eq(memo__view_end(b, &v), MEMO_OK);
    v->revision = revision;
    v->state = MEMO_VIEW_LIVE;
    v->confirmed = s.boot;
    return v;
}

/* The greatest view may come again and again, and a hundred of it may be replaced; what does not fit any more is refused, and the view before goes on. */
START_TEST(as_many_as_there_can_be)
{
    stage_begin(&s, NULL);
    ck_assert_int_eq(memo__governor_take_view(s.g, crowd(0, MEMO__VIEW_ENDPOINTS_MAX, 1), s.rules), MEMO_OK);
    ck_assert_int_eq(memo__governor_take_view(s.g, crowd(0, MEMO__VIEW_ENDPOINTS_MAX, 2), s.rules), MEMO_OK);
    ck_assert_int_eq(memo__governor_take_view(s.g, crowd(100, MEMO__VIEW_ENDPOINTS_MAX, 3), s.rules), MEMO_OK);
    ck_assert_uint_eq(s.g->slots_used, MEMO__VIEW_ENDPOINTS_MAX + 100);
    struct memo__view *stranger = crowd(500000, 60000, 4);
    ck_assert_int_eq(memo__governor_take_view(s.g, stranger, s.rules), MEMO_E_NO_MEMORY);
    ck_assert_uint_eq(memo__governor_view(s.g)->count, MEMO__VIEW_ENDPOINTS_MAX);
    ck_assert_uint_eq(s.g->slots_used, MEMO__VIEW_ENDPOINTS_MAX + 100);
    ck_assert_uint_eq(s.g->departed_count, 100);
    stage_pass(&s, MEMO__LINGER);
    memo__view_free(stranger);
    stage_end(&s);
}
END_TEST

/* ---- fork ---- */

/* Begun on one thread and ended on another while somebody counts: seen with its end only. */
START_TEST(never_less_than_no_calls)
{
    stage_begin(&s, NULL);
    memo__governor_part(s.g, 0)->begun = 5;
    memo__governor_part(s.g, 1)->ended = 3;
    ck_assert_uint_eq(memo__governor_open_calls(s.g), 2);
    memo__governor_part(s.g, 1)->ended = 6;
    ck_assert_uint_eq(memo__governor_open_calls(s.g), 0);
    stage_end(&s);
}
END_TEST

START_TEST(a_child_owes_nothing)
{
    memo_call k[2];
    memo_attempt a;
    stage_begin(&s, RULES("\"concurrency\":{\"max\":2},\"limits\":[{\"name\":\"all\",\"rate\":\"1/h\",\"burst\":6400}]," NO_RETRY));
    ck_assert_int_eq(stage_view(&s, "a=10.0.0.1:80"), MEMO_OK);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(stage_open(&s, &k[i], &a, "GET"), MEMO_OK);
    memo__lease_at(&s.g->plan->limits[0]->parts, 1)->coming = 200; /* a thread was between centre and part */
    ck_assert_uint_eq(memo__governor_open_calls(s.g), 2);
    s.world.process++;
    memo__governor_after_fork(s.g);
    ck_assert_uint_eq(memo__governor_open_calls(s.g), 0);
    ck_assert_uint_eq(memo__lease_at(&s.g->plan->limits[0]->parts, 1)->coming, 0);
    memo_call_end(&k[0]); /* the parent's: gives nothing back here */
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(stage_open(&s, &k[i], &a, "GET"), MEMO_OK);
    ck_assert_int_eq(stage_call(&s, 0, 200), MEMO_REFUSED_OVERLOADED);
    for (int i = 0; i < 2; i++)
        memo_call_end(&k[i]);
    ck_assert_uint_eq(memo__governor_open_calls(s.g), 0);
    int32_t inflight = 0;
    for (uint32_t i = 0; i < s.g->fleet.stripes; i++)
        inflight += memo__fleet_part(&s.g->fleet, i, 0)->inflight;
    ck_assert_int_eq(inflight, 0);
    stage_end(&s);
}
END_TEST

Suite *suite_call_governor(void);
Suite *suite_call_governor(void)
{
    Suite *suite = suite_create("call/governor");
    TCase *t = tcase_create("views");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, empty_at_first);
    tcase_add_test(t, names_and_ages);
    tcase_add_test(t, slots_stay);
    tcase_add_test(t, linger);
    tcase_add_test(t, who_joins);
    tcase_add_test(t, tables_are_kept);
    tcase_add_test(t, churn_is_bounded);
    tcase_add_test(t, late_reports_are_dropped);
    tcase_add_test(t, the_departed_are_named);
    tcase_add_test(t, retired_plans_are_few);
    tcase_add_test(t, an_age_is_of_its_view);
    tcase_add_test(t, nothing_is_published_after_leaving);
    tcase_add_test(t, as_many_as_there_can_be);
    suite_add_tcase(suite, t);
    t = tcase_create("rules");
    tcase_add_test(t, a_reload_keeps_windows_and_states);
    tcase_add_test(t, a_route_may_be_named_service);
    tcase_add_test(t, limits_are_kept_by_name_and_shape);
    tcase_add_test(t, breakers_of_routes);
    tcase_add_test(t, concurrency_changes_under_way);
    tcase_add_test(t, instance_breakers_come_later);
    suite_add_tcase(suite, t);
    t = tcase_create("failures");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, init_without_memory);
    tcase_add_loop_test(t, rules_without_memory, 0, 2);
    tcase_add_loop_test(t, a_view_without_memory, 0, 2);
    tcase_add_test(t, never_less_than_no_calls);
    tcase_add_test(t, a_child_owes_nothing);
    suite_add_tcase(suite, t);
    return suite;
}
