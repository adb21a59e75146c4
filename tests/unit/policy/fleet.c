/* SPDX-License-Identifier: Apache-2.0 */
/* fleet.c: slots and chunks, fresh endpoints; and the decay table, which only it and balance use. */
#include "policy/fleet.h"
#include <math.h>
#include "policy/decay.h"
#include "story.h"

static void *zeroed(size_t bytes)
{
    void *p = aligned_alloc(64, (bytes + 63) & ~(size_t)63);
    ck_assert_ptr_nonnull(p);
    memset(p, 0, (bytes + 63) & ~(size_t)63);
    return p;
}

START_TEST(sizes)
{
    ck_assert_uint_eq(sizeof(struct memo__endpoint_state), 64);
    ck_assert_uint_eq(sizeof(struct memo__endpoint_part), 16);
    ck_assert_uint_eq(sizeof(struct memo__breaker) % 64, 0);
    ck_assert_uint_eq(sizeof(struct memo__breaker_part), 192);
    ck_assert_uint_eq(sizeof(struct memo__permit), 8);
    ck_assert_uint_eq(memo__fleet_chunk_size(0, 2), 64 * 64 + 2 * (64 * 16 + 64));
    ck_assert_uint_eq(MEMO__FLEET_SLOTS, 131008);
}
END_TEST

/* Every slot has a place of its own: chunk after chunk, each twice as large. */
START_TEST(slots)
{
    uint32_t slot = 0;
    for (uint32_t k = 0; k < MEMO__FLEET_CHUNKS; k++)
        for (uint32_t i = 0; i < 64u << k; i++, slot++) {
            MUST(memo__fleet_chunk_of(slot) == k && memo__fleet_offset_of(slot, k) == i);
        }
    ck_assert_uint_eq(slot, MEMO__FLEET_SLOTS);
}
END_TEST

START_TEST(places)
{
    struct memo__fleet f;
    memo__fleet_init(&f, 3);
    unsigned char *c0 = zeroed(memo__fleet_chunk_size(0, 3)), *c1 = zeroed(memo__fleet_chunk_size(1, 3)), *b1 = zeroed(memo__fleet_breakers_size(1, 3));
    memo__fleet_chunk_attach(&f, 0, c0);
    memo__fleet_chunk_attach(&f, 1, c1);
    memo__fleet_breakers_attach(&f, 1, b1);
    ck_assert_ptr_null(memo__fleet_breaker(&f, 63));
    ck_assert_ptr_eq(memo__fleet_breaker(&f, 64), (void *)b1);
    for (uint32_t slot = 0; slot < 192; slot++) {
        memo__fleet_state(&f, slot)->failures = slot;
        for (uint32_t i = 0; i < 3; i++)
            memo__fleet_part(&f, i, slot)->inflight = (int32_t)(slot * 3 + i);
    }
    for (uint32_t slot = 0; slot < 192; slot++) {
        ck_assert_uint_eq(memo__fleet_state(&f, slot)->failures, slot);
        for (uint32_t i = 0; i < 3; i++)
            MUST(memo__fleet_part(&f, i, slot)->inflight == (int32_t)(slot * 3 + i));
    }
    struct memo__striped parts = memo__fleet_breaker_parts(&f, 191);
    ck_assert_uint_eq(parts.count, 3);
    ck_assert_ptr_eq(parts.base + 2 * (size_t)parts.stride + sizeof(struct memo__breaker_part), b1 + memo__fleet_breakers_size(1, 3) - 64); /* the last of the last stripe */
    free(c0);
    free(c1);
    free(b1);
}
END_TEST

START_TEST(renewed)
{
    struct memo__fleet f;
    memo__fleet_init(&f, 2);
    void *c0 = zeroed(memo__fleet_chunk_size(0, 2)), *b0 = zeroed(memo__fleet_breakers_size(0, 2));
    memo__fleet_chunk_attach(&f, 0, c0);
    struct memo__endpoint_state *s = memo__fleet_state(&f, 7);
    *s = (struct memo__endpoint_state){ .generation = 4, .failures = 3, .ejected_until = 9, .ejected_at = 8, .ejected_failures = 5, .ejections = 2 };
    *memo__fleet_part(&f, 1, 7) = (struct memo__endpoint_part){ 1, 2, 3 };
    ck_assert_uint_eq(memo__fleet_renew(&f, 7), 5);
    ck_assert(s->generation == 5 && s->failures == 0 && s->ejected_until == 0 && s->ejected_at == 0 && s->ejected_failures == 0 && s->ejections == 0);
    ck_assert(memo__fleet_part(&f, 1, 7)->cost == 0 && memo__fleet_part(&f, 1, 7)->inflight == 0 && memo__fleet_part(&f, 1, 7)->stamp == 0);
    memo__fleet_breakers_attach(&f, 0, b0);
    memo__fleet_breaker(&f, 7)->word = 1;
    ck_assert_uint_eq(memo__fleet_renew(&f, 7), 6);
    ck_assert_uint_eq(memo__fleet_breaker(&f, 7)->word, 0);
    free(c0);
    free(b0);
}
END_TEST

START_TEST(decay)
{
    float scale = memo__decay_scale(10 * S);
    for (int64_t dt = 0; dt < 80 * S; dt += 7 * MS)
        MUST(fabs((double)memo__decay(dt, scale) - exp(-(double)dt / (10.0 * S))) < 0.004);
    ck_assert(memo__decay(81 * S, scale) == 0.0f);
    ck_assert(memo__decay(INT64_MAX, scale) == 0.0f);
    ck_assert(memo__decay_scale(0) == 128.0f); /* no division by nothing */
}
END_TEST

Suite *suite_policy_fleet(void)
{
    Suite *s = suite_create("policy/fleet");
    TCase *t = tcase_create("fleet");
    tcase_add_test(t, sizes);
    tcase_add_test(t, slots);
    tcase_add_test(t, places);
    tcase_add_test(t, renewed);
    tcase_add_test(t, decay);
    suite_add_tcase(s, t);
    return s;
}
