/* SPDX-License-Identifier: Apache-2.0 */
/* plan.c: a view joined to rules: who may be picked for which route, and by which gate. */
#include "call/plan.h"
#include "stage.h"

static struct stage s;

static const char rules[] =
    "{\"memo\":1,\"services\":{\"todo\":{\"breaker\":{\"scope\":\"service\"},\"limits\":[{\"name\":\"all\",\"rate\":\"5/s\"}],\"concurrency\":{\"max\":3},\"routes\":["
    "{\"name\":\"canary\",\"when\":{\"header\":{\"x-canary\":\"1\"}},\"to\":[{\"subset\":{\"version\":\"v2\"},\"weight\":9},{\"subset\":{\"version\":\"v1\",\"zone\":\"z\"},\"weight\":1}]},"
    "{\"name\":\"own\",\"when\":{\"path\":\"/own\"},\"breaker\":{\"scope\":\"route\"},\"limits\":[{\"name\":\"mine\",\"rate\":\"1/s\",\"by\":\"header:x-user\"}]}]}}}";

static const char view[] = "a=10.0.0.1:80;version=v1;zone=z b=10.0.0.2:80;version=v2;weight=3 c=10.0.0.3:80;version=v2;weight=0 "
                           "d=10.0.0.4:80;version=v2;healthy=0 e=10.0.0.5:80;version=v1;zone=y f=10.0.0.6:80";

static void members(const struct memo__pool *pool, const char *ids)
{
    const struct memo__view *v = s.g->plan->view;
    char have[64] = "";
    for (uint32_t i = 0; i < pool->from.count; i++) {
        uint32_t at = s.g->plan->by_slot[pool->from.slots[i]];
        const struct memo__view_entry *e = &v->entries[at];
        ck_assert_uint_eq(pool->from.slots[i], e->slot);
        ck_assert_uint_eq(pool->from.weights[i], e->weight);
        if (pool->lots) {
            ck_assert(pool->lots[i].slot == e->slot && pool->lots[i].entry == at && pool->lots[i].per_weight == 1.0f / (float)e->weight);
            ck_assert_ptr_eq(memo__lot_part(&pool->lots[i], 1), memo__fleet_part(&s.g->fleet, 1, e->slot));
        }
        strcat(have, memo__view_text(v, e->id));
    }
    ck_assert_str_eq(have, ids);
}

START_TEST(pools)
{
    stage_begin(&s, rules);
    ck_assert_int_eq(stage_view(&s, view), MEMO_OK);
    const struct memo__plan *p = s.g->plan;
    members(&p->all, "abef"); /* c drains, d is unhealthy */
    ck_assert_uint_eq(p->service->subsets_count, 2);
    const struct memo__split *to = p->service->routes[0].split;
    members(&p->subsets[to[0].subset], "b");
    members(&p->subsets[to[1].subset], "a");
    for (uint32_t i = 0; i < p->view->count; i++)
        ck_assert_uint_eq(p->by_slot[p->view->entries[i].slot], i); /* those that cannot be picked, too */
    stage_end(&s);
}
END_TEST

START_TEST(gates)
{
    stage_begin(&s, rules);
    const struct memo__plan *p = s.g->plan;
    const struct memo__gate *canary = &p->gates[0], *own = &p->gates[1], *plain = &p->gates[2];
    ck_assert_uint_eq(p->service->routes_count, 3);
    ck_assert_ptr_eq(canary->breakers[0].breaker, p->breaker->shared);
    ck_assert_ptr_eq(own->breakers[0].breaker, p->route_breakers[1]->shared);
    ck_assert_ptr_eq(plain->breakers[0].breaker, p->breaker->shared);
    ck_assert_uint_eq(canary->limits_count, 1);
    ck_assert_uint_eq(own->limits_count, 2);
    ck_assert_ptr_nonnull(own->limits[1].keyed);
    ck_assert_ptr_null(own->limits[1].limiter);
    ck_assert_ptr_eq(plain->bulkhead, p->bulkhead->shared);
    ck_assert_ptr_eq(memo__plan_organ(p, p->breaker->id), p->breaker);
    ck_assert_ptr_eq(memo__plan_organ(p, p->bulkhead->id), p->bulkhead);
    ck_assert_ptr_eq(memo__plan_organ(p, p->route_breakers[1]->id), p->route_breakers[1]);
    ck_assert_ptr_null(memo__plan_organ(p, 0));
    stage_end(&s);
}
END_TEST

START_TEST(counts)
{
    struct memo__plan *p = NULL;
    stage_begin(&s, rules);
    ck_assert_int_eq(stage_view(&s, view), MEMO_OK);
    struct memo__view *v = s.g->plan->view;
    uint32_t refs = v->refs, rules_refs = s.rules->refs, breaker_refs = s.g->plan->breaker->refs;
    ck_assert_int_eq(memo__plan_new(s.g, s.g->plan, v, s.rules, &p), MEMO_OK);
    ck_assert_uint_eq(v->refs, refs + 1);
    ck_assert_uint_eq(s.rules->refs, rules_refs + 1);
    ck_assert_uint_eq(s.g->plan->breaker->refs, breaker_refs + 1);
    ck_assert_ptr_eq(p->breaker, s.g->plan->breaker);
    memo__plan_free(p);
    ck_assert_uint_eq(v->refs, refs);
    ck_assert_uint_eq(s.rules->refs, rules_refs);
    ck_assert_uint_eq(s.g->plan->breaker->refs, breaker_refs);
    memo__view_drop(NULL);
    memo__rules_drop(NULL);
    stage_end(&s);
}
END_TEST

START_TEST(without_memory)
{
    bool failed = true;
    for (long at = 1; failed; at++) {
        struct memo__plan *p = NULL;
        stage_begin(&s, rules);
        ck_assert_int_eq(stage_view(&s, view), MEMO_OK);
        ck_assert_int_eq(stage_view(&s, "a=10.0.0.1:80"), MEMO_OK); /* so that some are gone */
        struct memo__rules *next = stage_compile(&s, rules);
        s.memory.requests = 0;
        s.memory.fail_at = at;
        memo_status status = memo__plan_new(s.g, NULL, s.g->plan->view, next, &p); /* no plan before: every organ is made */
        s.memory.fail_at = 0;
        failed = s.memory.failed;
        ck_assert_int_eq(status, failed ? MEMO_E_NO_MEMORY : MEMO_OK);
        if (p)
            memo__plan_free(p);
        ck_assert_uint_eq(next->refs, 1);
        memo__rules_drop(next);
        stage_end(&s);
    }
}
END_TEST

Suite *suite_call_plan(void);
Suite *suite_call_plan(void)
{
    Suite *suite = suite_create("call/plan");
    TCase *t = tcase_create("plan");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, pools);
    tcase_add_test(t, gates);
    tcase_add_test(t, counts);
    tcase_add_test(t, without_memory);
    suite_add_tcase(suite, t);
    return suite;
}
