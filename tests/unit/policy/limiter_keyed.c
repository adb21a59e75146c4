/* SPDX-License-Identifier: Apache-2.0 */
/* limiter_keyed.c: a bucket a key, what happens when there are more keys than room, and times that wrap. */
#include "policy/limiter_keyed.h"
#include "base/hash.h"
#include "story.h"

static struct memo__keyed *k;
static struct memo__limit_rule rule;

static void begin_with(uint32_t keys, uint64_t count, int64_t period, uint64_t burst)
{
    rule = (struct memo__limit_rule){ .name = "per-user", .count = count, .period = period, .burst = burst, .by_header = 0 };
    free(k);
    k = aligned_alloc(64, memo__keyed_size(keys));
    ck_assert_ptr_nonnull(k);
    memset(k, 0xff, memo__keyed_size(keys));
    memo__keyed_init(k, keys, &rule);
}

static void begin(void) { begin_with(2048, 5, S, 3); }
static void end(void)
{
    free(k);
    k = NULL;
}

static uint64_t hash_of(uint32_t user) { return memo__hash(42, &user, sizeof user); }

static bool take(uint64_t hash, memo__instant now)
{
    bool would = memo__keyed_check(k, hash, now);
    bool did = memo__keyed_take(k, hash, now);
    MUST(would == did);
    return did;
}

static uint32_t take_all(uint64_t hash, memo__instant now)
{
    uint32_t n = 0;
    while (take(hash, now))
        n++;
    return n;
}

START_TEST(each_its_own)
{
    uint64_t tokens;
    int64_t after;
    ck_assert_uint_eq(memo__keyed_size(2048), 64 + 2048 * 8);
    memo__keyed_read(k, hash_of(1), 0, &tokens, &after);
    ck_assert(tokens == 3 && after == 0);
    ck_assert_uint_eq(take_all(hash_of(1), 100 * S), 3);
    memo__keyed_read(k, hash_of(1), 100 * S, &tokens, &after);
    ck_assert(tokens == 0 && after > 199 * MS && after < 201 * MS);
    ck_assert_uint_eq(take_all(hash_of(2), 100 * S), 3);
    ck_assert(!take(hash_of(1), 100 * S + 199 * MS));
    ck_assert(take(hash_of(1), 100 * S + 201 * MS));
    ck_assert_uint_eq(take_all(hash_of(1), 200 * S), 3);
    ck_assert_uint_eq(k->evictions, 0);
}
END_TEST

START_TEST(given_back)
{
    take_all(hash_of(1), 0);
    memo__keyed_give(k, hash_of(1));
    memo__keyed_give(k, hash_of(2));               /* nobody: nothing */
    ck_assert_uint_eq(take_all(hash_of(1), 0), 1);
}
END_TEST

/* One set of 8 ways: the ninth key takes the fullest bucket; whose was not full is forgotten, and that is counted. */
START_TEST(more_keys_than_room)
{
    begin_with(8, 5, S, 3);
    for (uint32_t i = 0; i < 8; i++)
        take(hash_of(i), 10 * S + (i == 5 ? 0 : 100 * MS));
    ck_assert(take(hash_of(8), 10 * S + 100 * MS)); /* takes the way of 5, the fullest */
    ck_assert_uint_eq(k->evictions, 1);
    ck_assert_uint_eq(take_all(hash_of(0), 10 * S + 100 * MS), 2); /* the others are kept */
    ck_assert(take(hash_of(9), 100 * S));           /* all are full again: nothing is lost */
    ck_assert_uint_eq(k->evictions, 1);
}
END_TEST

START_TEST(tag_of_nothing)
{
    ck_assert_uint_eq(take_all(0, S), 3);           /* a hash of zeros is a key as well */
    ck_assert_uint_eq(take_all(UINT64_C(1) << 40, S), 0); /* the one that shares its tag */
}
END_TEST

/* A thread whose reading of the clock is a bit older finds a bucket from the future: empty, not full. */
START_TEST(a_now_in_the_past)
{
    take_all(hash_of(1), 100 * S);
    ck_assert(!take(hash_of(1), 99 * S));
    ck_assert(!take(hash_of(1), 100 * S));
}
END_TEST

START_TEST(times_wrap)
{
    begin_with(8, 1000000, S, 10);
    int64_t round = (int64_t)(UINT64_C(1) << 40) / 16 << k->shift; /* ns */
    for (int i = 0; i < 5; i++)
        ck_assert_uint_eq(take_all(hash_of(1), round / 2 * i + 12345678), 10);
    ck_assert(!take(hash_of(1), round * 2 + 12345678));
}
END_TEST

START_TEST(shapes)
{
    struct memo__limit_rule other = rule;
    ck_assert(memo__keyed_same(k, &rule));
    other.count = 6;
    ck_assert(!memo__keyed_same(k, &other));
    other = rule;
    other.burst = 4;
    ck_assert(!memo__keyed_same(k, &other));
    other = rule;
    other.count = 10;                               /* half the interval: the same number of larger units */
    ck_assert(!memo__keyed_same(k, &other));
    begin_with(1, 1, S, UINT64_C(0xffffffff));
    ck_assert_uint_eq(k->burst, UINT64_C(1) << 28);
    ck_assert_uint_eq(k->sets, 1);
    ck_assert_uint_eq(memo__keyed_size(UINT32_MAX), 64 + (UINT64_C(1) << 20) * 64);
}
END_TEST

/* Random keys and times: each key against a bucket of its own. */
START_TEST(never_above_in_any_window)
{
    uint64_t state = (uint64_t)_i;
    int64_t empty[50];
    memo__instant now = 1000 * S;
    uint64_t count = 1 + memo__draw_below(memo__draw_next(&state), 100), burst = 1 + memo__draw_below(memo__draw_next(&state), 20);
    begin_with(512, count, S, burst);
    for (int i = 0; i < 50; i++)
        empty[i] = 0;
    for (int i = 0; i < 20000; i++) {
        uint32_t user = memo__draw_below(memo__draw_next(&state), 50);
        now += memo__draw_below(memo__draw_next(&state), 2000000);
        if (!take(hash_of(user), now))
            continue;
        int64_t interval = S / (int64_t)count, oldest = now - (int64_t)burst * interval;
        empty[user] = (empty[user] > oldest ? empty[user] : oldest) + interval;
        MUST(empty[user] <= now + interval / 500); /* a unit is a 512th of an interval, or less */
    }
    ck_assert_uint_eq(k->evictions, 0);
}
END_TEST

Suite *suite_policy_limiter_keyed(void)
{
    Suite *s = suite_create("policy/limiter_keyed");
    TCase *t = tcase_create("limiter_keyed");
    tcase_add_checked_fixture(t, begin, end);
    tcase_add_test(t, each_its_own);
    tcase_add_test(t, given_back);
    tcase_add_test(t, more_keys_than_room);
    tcase_add_test(t, tag_of_nothing);
    tcase_add_test(t, a_now_in_the_past);
    tcase_add_test(t, times_wrap);
    tcase_add_test(t, shapes);
    tcase_add_loop_test(t, never_above_in_any_window, 0, 20);
    suite_add_tcase(s, t);
    return s;
}
