/* SPDX-License-Identifier: Apache-2.0 */
/* The watch against a source that does what the story says: a timeline, no files but the cache's. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "../failing.h"
#include "sources/watch.h"
#include "stage.h"

static struct stage s;
static struct memo__watch *w;

/* ---- the source ---- */

static struct memo__source puppet;
static struct memo__source_sink sink;          /* where the puppet tells */
static uint32_t retries, closed;

static memo_status puppet_open(const struct memo__ground *g, struct memo__text url, const struct memo__source_sink *k, struct memo__source **out, memo_error *e)
{
    (void)g, (void)url, (void)e;
    sink = *k;
    *out = &puppet;
    return MEMO_OK;
}

static memo_status puppet_watch(struct memo__source *x, const char *service) { (void)x; return strcmp(service, "refused") == 0 ? MEMO_E_ARGUMENT : MEMO_OK; }
static void puppet_unwatch(struct memo__source *x, const char *service) { (void)x; (void)service; }
static void puppet_retry(struct memo__source *x, const char *service) { (void)x; (void)service; retries++; }
static void puppet_close(struct memo__source *x) { (void)x; closed++; }

static const struct memo__source_ops puppet_ops = {
    .scheme = "puppet", .summary = "for this test", .retry_initial = 100 * MEMO__MS, .retry_max = 10 * MEMO__S,
    .open = puppet_open, .watch = puppet_watch, .unwatch = puppet_unwatch, .retry = puppet_retry, .close = puppet_close,
};

/* ---- the receiver ---- */

static struct memo__view *view;
static uint32_t views, ages, troubles, lines;
static int32_t state;
static memo__instant confirmed;
static bool unproven, refuse;
static memo_status trouble, whole;

static memo_status got_view(void *user, const char *service, struct memo__view *v)
{
    (void)user, (void)service;
    if (refuse)
        return MEMO_E_NO_MEMORY;
    memo__view_free(view);
    view = v;
    state = v->state;
    confirmed = v->confirmed;
    unproven = v->unproven;
    views++;
    return MEMO_OK;
}

static const struct memo__view *borrow(void *user, const char *service)
{
    (void)user, (void)service;
    return view;
}

static void got_age(void *user, const char *service, memo__instant c, bool u, int32_t st)
{
    (void)user, (void)service;
    ages++;
    confirmed = c;
    unproven = u;
    state = st;
}

static void got_trouble(void *user, const char *service, memo_status st, const char *text)
{
    (void)user, (void)text;
    troubles++;
    *(service ? &trouble : &whole) = st;
}

static void got_line(void *user, int32_t level, const char *line)
{
    (void)user, (void)level, (void)line;
    lines++;
}

static void open_watch(bool cache)
{
    const struct memo__watch_options o = { .cache_dir = stage_path(&s, "cache"), .cache_on = cache, .cache_max_age = 24 * 3600 * MEMO__S, .protect_share = 500000, .log = got_line };
    const struct memo__watch_sink k = { got_view, borrow, got_age, got_trouble, NULL };
    memo_error e = MEMO_INIT(memo_error);
    memo_status st = memo__watch_open_with(&s.ground, &puppet_ops, "puppet:1", &o, &k, &w, &e);
    ck_assert_msg(st == MEMO_OK, "%s", e.message);
    ck_assert_int_eq(memo__watch_service(w, "todo"), MEMO_OK);
}

static void forget_view(void)
{
    memo__view_free(view);
    view = NULL;
    views = ages = troubles = 0;
    state = MEMO_VIEW_EMPTY;
}

static void setup(void)
{
    stage_begin(&s);
    retries = closed = lines = 0;
    trouble = whole = MEMO_OK;
    open_watch(false);
}

static void teardown(void)
{
    memo__watch_close(w);
    forget_view();
    refuse = false;
    stage_end(&s);
}

/* The puppet says: so many endpoints, at this revision of this epoch. */
static void says(uint32_t count, uint64_t revision, uint64_t epoch, bool authoritative)
{
    struct memo__view_builder *b = memo__view_builder_new(&memo__alloc_libc);
    struct memo__view *v = NULL;
    const struct memo__proof p = { .sent = memo__boot(&s.host), .within = MEMO__S, .authoritative = authoritative };
    for (uint32_t i = 0; i < count; i++) {
        char id[16];
        snprintf(id, sizeof id, "i%u", i);
        const struct memo__found f = { .id = memo__text_of(id), .address = MEMO__TEXT("127.0.0.1"), .port = 80, .weight = 1, .healthy = true };
        memo__view_add(b, &f);
    }
    ck_assert_int_eq(memo__view_end(b, &v), MEMO_OK);
    v->revision = revision;
    v->epoch = epoch;
    sink.view(sink.user, "todo", v, &p);
}

static void confirms(bool authoritative)
{
    const struct memo__proof p = { .sent = memo__boot(&s.host), .within = MEMO__S, .authoritative = authoritative };
    sink.confirmed(sink.user, "todo", &p);
}

START_TEST(test_live_stale_live)
{
    says(3, 1, 9, true);
    ck_assert_uint_eq(views, 1);
    ck_assert_int_eq(state, MEMO_VIEW_LIVE);
    stage_push(&s, 1900 * MEMO__MS);
    ck_assert_int_eq(state, MEMO_VIEW_LIVE);
    confirms(true);
    stage_push(&s, 1900 * MEMO__MS);
    ck_assert_int_eq(state, MEMO_VIEW_LIVE); /* two intervals from the confirmation */
    memo__instant was = confirmed;
    stage_push(&s, 200 * MEMO__MS);
    ck_assert_int_eq(state, MEMO_VIEW_STALE);
    ck_assert_int_eq(confirmed, was);
    confirms(true);
    ck_assert_int_eq(state, MEMO_VIEW_LIVE);
    ck_assert_int_gt(confirmed, was);
    ck_assert_uint_eq(views, 1); /* the view itself was never given again */
}
END_TEST

START_TEST(test_trouble_is_stale_at_once_and_retried_with_jitter)
{
    says(3, 1, 9, true);
    sink.trouble(sink.user, NULL, MEMO_E_UNREACHABLE, "gone");
    ck_assert_int_eq(state, MEMO_VIEW_STALE);
    ck_assert_int_eq(whole, MEMO_E_UNREACHABLE);
    sink.trouble(sink.user, NULL, MEMO_E_UNREACHABLE, "gone");
    ck_assert_uint_eq(troubles, 1); /* told at changes only */
    for (int i = 0; i < 600; i++)
        stage_push(&s, 100 * MEMO__MS);
    ck_assert_uint_ge(retries, 8);  /* 100, 200, 400 ... ms and then 10 s at most, half of it on average */
    ck_assert_uint_le(retries, 40);
    uint32_t so_far = retries;
    sink.trouble(sink.user, NULL, MEMO_OK, NULL);
    for (int i = 0; i < 100; i++)
        stage_push(&s, 100 * MEMO__MS);
    ck_assert_uint_eq(retries, so_far);
    ck_assert_int_eq(whole, MEMO_OK);
    ck_assert_int_eq(state, MEMO_VIEW_STALE); /* only a confirmation makes it live */
    confirms(true);
    ck_assert_int_eq(state, MEMO_VIEW_LIVE);
}
END_TEST

START_TEST(test_a_herd_does_not_come_at_once)
{
    /* 300 clients lose their registry together: when do they try again for the sixth time? In no tenth of the spread more than a quarter. */
    uint32_t bins[10] = { 0 };
    for (int i = 0; i < 300; i++) {
        memo__watch_close(w);
        forget_view();
        open_watch(false);
        sink.trouble(sink.user, NULL, MEMO_E_UNREACHABLE, "gone");
        retries = 0;
        memo__instant from = memo__now(&s.host);
        for (int k = 0; k < 2000 && retries < 6; k++)
            stage_push(&s, 10 * MEMO__MS);
        int64_t bin = (memo__now(&s.host) - from) / (630 * MEMO__MS); /* six waits: 0 to 6.3 s */
        bins[bin > 9 ? 9 : bin]++;
    }
    for (int i = 0; i < 10; i++)
        ck_assert_msg(bins[i] < 100, "bin %d has %u", i, bins[i]);
}
END_TEST

START_TEST(test_revisions_never_go_back)
{
    says(3, 10, 9, true);
    says(5, 9, 9, true);
    ck_assert_uint_eq(view->count, 3);
    ck_assert_uint_eq(memo__watch_counts(w).ignored_older, 1);
    memo__instant was = confirmed;
    stage_push(&s, MEMO__S);
    confirms(true); /* of what it told last, which is not what we have */
    ck_assert_int_eq(confirmed, was);
    stage_push(&s, 2 * MEMO__S);
    ck_assert_int_eq(state, MEMO_VIEW_STALE);
    says(4, 10, 9, true); /* the same revision: health has changed on top of it */
    ck_assert_uint_eq(view->count, 4);
    says(5, 11, 9, true);
    ck_assert_uint_eq(view->count, 5);
    says(5, 2, 10, true); /* another history */
    ck_assert_uint_eq(view->epoch, 10);
    ck_assert_uint_eq(memo__watch_counts(w).epochs, 1);
}
END_TEST

START_TEST(test_authoritative_deletes_are_believed)
{
    says(4, 1, 9, true);
    says(0, 2, 9, true);
    ck_assert_uint_eq(view->count, 0);
    ck_assert_int_eq(state, MEMO_VIEW_LIVE);
}
END_TEST

START_TEST(test_unproven_emptiness_is_protected_against)
{
    says(4, 0, 9, false);
    says(2, 0, 9, false); /* half may go */
    ck_assert_uint_eq(view->count, 2);
    says(0, 0, 9, false);
    ck_assert_uint_eq(view->count, 2);
    ck_assert_int_eq(state, MEMO_VIEW_PROTECTED);
    memo__instant was = confirmed;
    for (int i = 0; i < 3600; i++) { /* an hour of insisting: emptiness is never believed without proof */
        stage_push(&s, MEMO__S);
        confirms(false);
    }
    ck_assert_uint_eq(view->count, 2);
    ck_assert_int_eq(state, MEMO_VIEW_PROTECTED);
    ck_assert_int_eq(confirmed, was); /* and its age grows */
    says(2, 0, 9, false);
    ck_assert_int_eq(state, MEMO_VIEW_LIVE);
    ck_assert_uint_eq(memo__watch_counts(w).protections, 1);
}
END_TEST

START_TEST(test_a_mass_drop_is_believed_when_insisted_on)
{
    says(10, 0, 9, false);
    says(4, 0, 9, false);
    ck_assert_uint_eq(view->count, 10);
    ck_assert_int_eq(state, MEMO_VIEW_PROTECTED);
    for (int i = 0; i < 290; i++) {
        stage_push(&s, MEMO__S);
        confirms(false);
    }
    ck_assert_uint_eq(view->count, 10);
    for (int i = 0; i < 15; i++) {
        stage_push(&s, MEMO__S);
        confirms(false);
    }
    ck_assert_uint_eq(view->count, 4);
    ck_assert_int_eq(state, MEMO_VIEW_LIVE);
}
END_TEST

START_TEST(test_another_epoch_proves_nothing_about_the_old_one)
{
    says(4, 10, 9, true);
    says(0, 2, 10, true); /* the registry was made anew, and nobody is registered yet */
    ck_assert_uint_eq(view->count, 4);
    ck_assert_int_eq(state, MEMO_VIEW_PROTECTED);
    says(1, 4, 10, true);
    ck_assert_uint_eq(view->count, 4);
    says(3, 8, 10, true);
    ck_assert_uint_eq(view->count, 3);
    ck_assert_uint_eq(view->epoch, 10);
    ck_assert_int_eq(state, MEMO_VIEW_LIVE);
    says(0, 10, 10, true); /* within its own history it is believed again */
    ck_assert_uint_eq(view->count, 0);
    says(4, 12, 10, true);
    says(0, 2, 11, true);
    for (int i = 0; i < 305; i++) {
        stage_push(&s, MEMO__S);
        confirms(true);
    }
    ck_assert_uint_eq(view->count, 0); /* empty for five minutes, and it can prove it */
    ck_assert_uint_eq(view->epoch, 11);
}
END_TEST

START_TEST(test_a_replacement_is_not_a_drop)
{
    struct memo__view *v = NULL;
    const struct memo__proof p = { .sent = memo__boot(&s.host), .within = MEMO__S };
    says(2, 0, 9, false);
    struct memo__view_builder *b = memo__view_builder_new(&memo__alloc_libc);
    for (int i = 0; i < 2; i++) {
        const struct memo__found f = { .id = MEMO__TEXT("new"), .address = MEMO__TEXT("127.0.0.2"), .port = (uint16_t)(80 + i), .weight = 1 };
        memo__view_add(b, &f);
    }
    ck_assert_int_eq(memo__view_end(b, &v), MEMO_OK);
    v->epoch = 9;
    sink.view(sink.user, "todo", v, &p);
    ck_assert_uint_eq(views, 2);
    ck_assert_uint_eq(view->revision, 2); /* numbered here */
}
END_TEST

START_TEST(test_a_receiver_without_memory_is_offered_the_view_again)
{
    says(1, 1, 9, true);
    refuse = true;
    says(2, 2, 9, true);
    ck_assert_uint_eq(view->count, 1);
    ck_assert_uint_eq(sink.held(sink.user, "todo")->count, 2);
    memo__instant was = confirmed;
    stage_push(&s, MEMO__S);
    confirms(true); /* of the view that it does not have: its age must not become young */
    ck_assert_int_eq(confirmed, was);
    refuse = false;
    stage_push(&s, MEMO__S);
    ck_assert_uint_eq(view->count, 2);
    ck_assert_int_eq(state, MEMO_VIEW_LIVE);
}
END_TEST

START_TEST(test_what_is_true_for_ever_never_gets_old)
{
    struct memo__view_builder *b = memo__view_builder_new(&memo__alloc_libc);
    struct memo__view *v = NULL;
    const struct memo__proof p = { .sent = MEMO__NEVER, .within = 0, .authoritative = true };
    ck_assert_int_eq(memo__view_end(b, &v), MEMO_OK);
    sink.view(sink.user, "todo", v, &p);
    stage_push(&s, 1000000 * MEMO__S);
    ck_assert_int_eq(state, MEMO_VIEW_LIVE);
    ck_assert_int_eq(memo__since(memo__boot(&s.host), confirmed), 0);
    sink.trouble(sink.user, NULL, MEMO_E_UNREACHABLE, "");
    ck_assert_int_eq(state, MEMO_VIEW_LIVE);
}
END_TEST

START_TEST(test_the_end_publishes_nothing)
{
    says(3, 1, 9, true);
    uint32_t v = views, a = ages, t = troubles;
    memo__unwatch_service(w, "todo");
    says(0, 2, 9, true); /* nobody watches any more: dropped */
    confirms(true);
    memo__watch_close(w);
    ck_assert_uint_eq(views, v);
    ck_assert_uint_eq(ages, a);
    ck_assert_uint_eq(troubles, t);
    ck_assert_uint_ge(closed, 1);
    open_watch(false);
}
END_TEST

START_TEST(test_cold_start_from_the_cache)
{
    memo__watch_close(w);
    open_watch(true);
    ck_assert_uint_eq(views, 0);
    says(3, 10, 9, true);
    stage_push(&s, 2 * MEMO__S);
    ck_assert_uint_eq(memo__watch_counts(w).cache_writes, 1);
    says(4, 11, 9, true);
    memo__watch_close(w); /* its news are written down */
    forget_view();
    open_watch(true);
    ck_assert_uint_eq(views, 1); /* at once */
    ck_assert_int_eq(state, MEMO_VIEW_CACHED);
    ck_assert_uint_eq(view->count, 4);
    ck_assert(!unproven);
    says(9, 3, 9, true); /* a member that is behind: also a restart does not go back */
    ck_assert_uint_eq(view->count, 4);
    ck_assert_int_eq(state, MEMO_VIEW_CACHED);
    says(0, 0, 9, false);
    ck_assert_uint_eq(view->count, 4);
    ck_assert_int_eq(state, MEMO_VIEW_PROTECTED);
    says(4, 11, 9, true);
    ck_assert_int_eq(state, MEMO_VIEW_LIVE);
}
END_TEST

START_TEST(test_the_cache_keeps_up_with_age)
{
    memo__watch_close(w);
    open_watch(true);
    says(3, 10, 9, true);
    for (int i = 0; i < 3600; i++) {
        stage_push(&s, MEMO__S);
        confirms(true);
    }
    ck_assert_uint_ge(memo__watch_counts(w).cache_writes, 9);
    ck_assert_uint_le(memo__watch_counts(w).cache_writes, 14);
    memo__watch_close(w);
    forget_view();
    open_watch(true);
    ck_assert_int_eq(state, MEMO_VIEW_CACHED);
    ck_assert_int_le(memo__boot(&s.host) - confirmed, 400 * MEMO__S);
}
END_TEST

START_TEST(test_a_busy_service_does_not_wear_the_disk)
{
    memo__watch_close(w);
    open_watch(true);
    for (uint64_t i = 1; i <= 600; i++) { /* a minute of ten changes a second */
        says(3 + i % 2, i, 9, true);
        stage_push(&s, 100 * MEMO__MS);
    }
    ck_assert_uint_le(memo__watch_counts(w).cache_writes, 15);
    ck_assert_uint_ge(memo__watch_counts(w).cache_writes, 8);
}
END_TEST

START_TEST(test_a_cache_that_cannot_be_kept_is_said_once)
{
    memo__watch_close(w);
    stage_write(stage_path(&s, "cache"), "a file in its place", 0600);
    lines = 0;
    open_watch(true);
    for (uint64_t i = 1; i < 100; i++) {
        says(3, i, 9, true);
        stage_push(&s, MEMO__S);
    }
    ck_assert_uint_eq(lines, 1);
    ck_assert_int_eq(state, MEMO_VIEW_LIVE);
    ck_assert_uint_gt(memo__watch_counts(w).cache_failures, 5);
}
END_TEST

START_TEST(test_arguments)
{
    struct memo__watch *none = w;
    memo_error e = MEMO_INIT(memo_error);
    const struct memo__watch_options o = { .cache_on = true, .cache_dir = "relative" };
    const struct memo__watch_sink k = { got_view, borrow, got_age, got_trouble, NULL };
    ck_assert_int_eq(memo__watch_service(w, ""), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo__watch_service(w, NULL), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo__watch_service(w, "refused"), MEMO_E_ARGUMENT);
    ck_assert_int_eq(memo__watch_service(w, "todo"), MEMO_OK); /* again */
    memo__unwatch_service(w, "unheard-of");
    ck_assert_int_eq(memo__watch_open(&s.ground, "smoke:signals", &o, &k, &none, &e), MEMO_E_UNSUPPORTED);
    ck_assert_ptr_null(none);
    ck_assert_int_eq(memo__watch_open(&s.ground, "static:a=127.0.0.1:1", &o, &k, &none, &e), MEMO_E_SETTING);
    ck_assert_int_eq(memo__watch_open(&s.ground, "static:a=", &(struct memo__watch_options){ 0 }, &k, &none, &e), MEMO_E_SETTING);
    memo__watch_close(NULL);
}
END_TEST

START_TEST(test_every_allocation_fails)
{
    struct failing f;
    long n = 0;
    memo__watch_close(w);
    w = NULL;
    do {
        n++;
        failing_init(&f, n, n % 2);
        struct memo__watch *x = NULL;
        struct memo__ground g = s.ground;
        g.alloc = &f.alloc;
        const struct memo__watch_options o = { .cache_dir = stage_path(&s, "cache"), .cache_on = true, .cache_max_age = MEMO__NEVER, .protect_share = 500000 };
        const struct memo__watch_sink k = { got_view, borrow, got_age, got_trouble, NULL };
        memo_status st = memo__watch_open(&g, "static:todo=127.0.0.1:80|127.0.0.1:81;v=1,other=127.0.0.1:1", &o, &k, &x, NULL);
        if (st == MEMO_OK)
            st = memo__watch_service(x, "todo");
        ck_assert(st == MEMO_OK || (f.failed && st == MEMO_E_NO_MEMORY));
        for (int i = 0; i < 6; i++)
            stage_push(&s, MEMO__S);
        memo__watch_close(x);
        forget_view();
        failing_done(&f);
    } while (f.failed);
    ck_assert_int_gt(n, 8);
}
END_TEST

Suite *suite_sources_watch(void);
Suite *suite_sources_watch(void)
{
    Suite *suite = suite_create("sources/watch");
    TCase *t = tcase_create("timeline");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_live_stale_live);
    tcase_add_test(t, test_trouble_is_stale_at_once_and_retried_with_jitter);
    tcase_add_test(t, test_a_herd_does_not_come_at_once);
    tcase_add_test(t, test_revisions_never_go_back);
    tcase_add_test(t, test_authoritative_deletes_are_believed);
    tcase_add_test(t, test_unproven_emptiness_is_protected_against);
    tcase_add_test(t, test_a_mass_drop_is_believed_when_insisted_on);
    tcase_add_test(t, test_another_epoch_proves_nothing_about_the_old_one);
    tcase_add_test(t, test_a_replacement_is_not_a_drop);
    tcase_add_test(t, test_a_receiver_without_memory_is_offered_the_view_again);
    tcase_add_test(t, test_what_is_true_for_ever_never_gets_old);
    tcase_add_test(t, test_the_end_publishes_nothing);
    tcase_add_test(t, test_cold_start_from_the_cache);
    tcase_add_test(t, test_the_cache_keeps_up_with_age);
    tcase_add_test(t, test_a_busy_service_does_not_wear_the_disk);
    tcase_add_test(t, test_a_cache_that_cannot_be_kept_is_said_once);
    tcase_add_test(t, test_arguments);
    tcase_add_test(t, test_every_allocation_fails);
    suite_add_tcase(suite, t);
    return suite;
}
