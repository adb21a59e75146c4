/* SPDX-License-Identifier: Apache-2.0 */
/* outage.c: the registry's directory is renamed away for a whole run of calls.
 *
 *   there --renamed away--> calls go on from the last view, whose age grows, honestly --renamed back--> there again, with a new lease
 *                      \--> with maxStale: served up to that age, and exactly MEMO_REFUSED_STALE beyond it --renamed back--> served again
 *
 * outage [calls] [HTTP calls]; prints figures. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/atomic.h"
#include "campaign.h"

#define STALE_MS 2000
#define THREADS 2

static memo_service *todo, *strict;
static long each, http;
static uint64_t made, failed;

struct ages { int64_t last, greatest; bool back; };

static void see(struct ages *g, const memo_attempt *a)
{
    if (a->age_max_ms < g->last)
        g->back = true;
    g->last = a->age_max_ms;
    g->greatest = a->age_max_ms > g->greatest ? a->age_max_ms : g->greatest;
}

static void *decides(void *user)
{
    struct ages g = { 0 };
    memo_attempt a;
    for (long i = 0; i < each; i++) {
        memo_status s = campaign_call(todo, 200, &a);
        (void)memo__fetch_add(&made, 1);
        if (s != MEMO_OK) {
            (void)memo__fetch_add(&failed, 1);
            campaign_fail("a call in the outage: %s", memo_status_name(s));
        } else
            see(&g, &a);
    }
    MUST(!g.back); /* an age only grows while nobody confirms anything */
    *(int64_t *)user = g.greatest;
    return NULL;
}

static void *carries(void *user)
{
    for (long i = 0; i < http; i++) {
        memo_status s = campaign_get(todo);
        (void)memo__fetch_add(&made, 1);
        if (s != MEMO_OK) {
            (void)memo__fetch_add(&failed, 1);
            campaign_fail("HTTP in the outage: %s", memo_status_name(s));
        }
    }
    return user;
}

/* Served while it is young enough, refused as stale ever after; nothing else, and never the other way round. */
static void strictly(double away_since)
{
    long served = 0, refused = 0;
    int64_t oldest = 0;
    memo_attempt a;
    while (refused < 1000 && campaign_now() - away_since < 60) {
        memo_status s = campaign_call(strict, 200, &a);
        if (s == MEMO_OK) {
            MUST(refused == 0);
            served++;
            oldest = a.age_max_ms > oldest ? a.age_max_ms : oldest;
        } else {
            MUST(s == MEMO_REFUSED_STALE);
            refused++;
        }
        campaign_pause(0.0002);
    }
    MUST(refused == 1000 && oldest <= STALE_MS);
    (void)printf("figure outage_max_stale_served %ld calls\nfigure outage_max_stale_oldest %lld ms\nfigure outage_max_stale_refused %ld calls\n", served, (long long)oldest, refused);
}

static int32_t state(memo_service *s)
{
    memo_view *v = NULL;
    memo_view_facts f = MEMO_INIT(memo_view_facts);
    MUST(memo_view_acquire(s, &v) == MEMO_OK && memo_view_get_facts(v, &f) == MEMO_OK);
    memo_view_release(v);
    return f.state;
}

static void away(void)
{
    pthread_t threads[THREADS + 1];
    int64_t greatest[THREADS] = { 0 };
    MUST(rename(campaign_path("registry"), campaign_path("away")) == 0);
    double since = campaign_now();
    for (int i = 0; i <= THREADS; i++)
        MUST(pthread_create(&threads[i], NULL, i < THREADS ? decides : carries, i < THREADS ? &greatest[i] : NULL) == 0);
    for (int i = 0; i <= THREADS; i++)
        (void)pthread_join(threads[i], NULL);
    double took = campaign_now() - since;
    strictly(since);
    memo_attempt a;
    MUST(campaign_call(todo, 200, &a) == MEMO_OK);
    MUST(a.view_state == MEMO_VIEW_STALE);
    MUST((double)a.age_max_ms >= (campaign_now() - since) * 1000 - 50); /* an upper bound of what it has been away for */
    MUST(state(todo) == MEMO_VIEW_STALE);
    (void)printf("figure outage_calls %llu calls\nfigure outage_failed %llu calls\nfigure outage_for %.1f s\nfigure outage_age_at_end %lld ms\n", (unsigned long long)made,
                 (unsigned long long)failed, took, (long long)a.age_max_ms);
}

static void back(memo_registration *r, uint64_t token)
{
    double since = campaign_now(), served = -1; /* s; less than 0: not yet */
    MUST(!memo_registration_holds(r, token)); /* it may have expired meanwhile: not provably ours */
    MUST(rename(campaign_path("away"), campaign_path("registry")) == 0);
    while (campaign_now() - since < 30 && (served < 0 || memo_registration_wait(r, 0) != MEMO_OK || state(todo) != MEMO_VIEW_LIVE)) {
        if (served < 0 && campaign_call(strict, 200, NULL) == MEMO_OK)
            served = campaign_now() - since;
        campaign_pause(0.005);
    }
    MUST(served >= 0);
    MUST(memo_registration_wait(r, 0) == MEMO_OK);
    MUST(memo_registration_get_token(r) > token); /* a new lease */
    MUST(memo_registration_holds(r, memo_registration_get_token(r)));
    MUST(state(todo) == MEMO_VIEW_LIVE);
    memo_attempt a;
    MUST(campaign_call(todo, 200, &a) == MEMO_OK && a.age_max_ms < 5000);
    (void)printf("figure outage_served_again_after %.0f ms\n", served * 1000);
}

int main(int argc, char **argv)
{
    each = (argc > 1 ? atol(argv[1]) : 20000) / THREADS;
    http = argc > 2 ? atol(argv[2]) : 300;
    (void)campaign_dir();
    memo_client *provider = campaign_client(NULL);
    memo_client *c = campaign_client("{\"memo\":1,\"services\":{\"strict\":{\"maxStale\":\"2s\"}}}");
    memo_registration *r = campaign_register(provider, "todo", "a"), *also = campaign_register(provider, "strict", "b");
    todo = campaign_service(c, "todo", 1);
    strict = campaign_service(c, "strict", 1);
    uint64_t token = memo_registration_get_token(r);
    away();
    back(r, token);
    memo_service_release(todo);
    memo_service_release(strict);
    memo_registration_free(r);
    memo_registration_free(also);
    memo_client_free(c);
    memo_client_free(provider);
    return campaign_end();
}
