/* SPDX-License-Identifier: Apache-2.0 */
/* values.c: the small value types: instant, rng, hash, stripe, and the allocator's front. */
#include <check.h>
#include <stdint.h>
#include <string.h>
#include "base/alloc.h"
#include "base/hash.h"
#include "base/instant.h"
#include "base/rng.h"
#include "base/stripe.h"
#include "tests/unit/failing.h"

START_TEST(instants)
{
    ck_assert_int_eq(memo__after(5, 7), 12);
    ck_assert_int_eq(memo__after(MEMO__NEVER - 1, 2), MEMO__NEVER);
    ck_assert_int_eq(memo__after(MEMO__NEVER, 0), MEMO__NEVER);
    ck_assert_int_eq(memo__after_ms(1, 2), 1 + 2 * MEMO__MS);
    ck_assert_int_eq(memo__after_ms(1, INT64_MAX), MEMO__NEVER);
    ck_assert(memo__reached(5, 5) && !memo__reached(4, 5));
    ck_assert_int_eq(memo__since(5, 3), 2);
    ck_assert_int_eq(memo__since(3, 5), 0);
    ck_assert(memo__earlier(3, 5) == 3 && memo__earlier(5, 3) == 3);
}
END_TEST

START_TEST(draws)
{
    uint64_t state = 0;
    uint32_t counts[10] = { 0 };
    ck_assert_uint_eq(memo__draw_next(&state), UINT64_C(0xe220a8397b1dcdaf)); /* the first of splitmix64 seeded with 0, as its authors print it */
    ck_assert_uint_eq(memo__draw_next(&state), UINT64_C(0x6e789e6aa1b965f4));
    for (int i = 0; i < 100000; i++)
        counts[memo__draw_below(memo__draw_next(&state), 10)]++;
    for (int i = 0; i < 10; i++)
        ck_assert(counts[i] > 9500 && counts[i] < 10500);                     /* five deviations of 95 */
    ck_assert_uint_eq(memo__draw_below(UINT64_MAX, 1), 0);
    ck_assert_uint_eq(memo__draw_below(UINT64_MAX, UINT32_MAX), UINT32_MAX - 1);
}
END_TEST

START_TEST(hashes)
{
    unsigned char zeros[32] = { 0 }, ones[32], up[32];
    memset(ones, 0xff, sizeof ones);
    for (unsigned i = 0; i < 32; i++)
        up[i] = (unsigned char)i;
    ck_assert_uint_eq(memo__crc32c(0, zeros, 32), 0x8a9136aa);                /* RFC 3720 B.4 */
    ck_assert_uint_eq(memo__crc32c(0, ones, 32), 0x62a8ab43);
    ck_assert_uint_eq(memo__crc32c(0, up, 32), 0x46dd794e);
    ck_assert_uint_eq(memo__crc32c(memo__crc32c(0, up, 11), up + 11, 21), 0x46dd794e);
    ck_assert_uint_eq(memo__crc32c(0, "123456789", 9), 0xe3069283);
    ck_assert(memo__hash(0, "a", 1) != memo__hash(0, "b", 1) && memo__hash(0, "a", 1) != memo__hash(1, "a", 1));
    ck_assert_uint_eq(memo__hash(7, "abc", 3), memo__hash(7, "abc", 3));
}
END_TEST

/* The first rows of xxHash's own table (cli/xsum_sanity_check.c), over its buffer, and texts whose sums are published everywhere. */
START_TEST(xxh64)
{
    static const struct { size_t n; uint64_t plain, seeded; } sums[] = {
        { 0, UINT64_C(0xef46db3751d8e999), UINT64_C(0xac75fda2929b17ef) }, { 1, UINT64_C(0xe934a84adb052768), UINT64_C(0x5014607643a9b4c3) },
        { 4, UINT64_C(0x9136a0dca57457ee), UINT64_C(0xcaab286bd8e9fdb5) }, { 14, UINT64_C(0x8282dcc4994e35c8), UINT64_C(0xc3bd6bf63deb6df0) },
        { 222, UINT64_C(0xb641ae8cb691c174), UINT64_C(0x20cb8ab7ae10c14a) },
    };
    unsigned char buffer[222];
    uint64_t state = 2654435761u;
    for (size_t i = 0; i < sizeof buffer; i++, state *= UINT64_C(11400714785074694797))
        buffer[i] = (unsigned char)(state >> 56);
    for (size_t i = 0; i < sizeof sums / sizeof sums[0]; i++) {
        ck_assert_uint_eq(memo__xxh64(0, buffer, sums[i].n), sums[i].plain);
        ck_assert_uint_eq(memo__xxh64(2654435761u, buffer, sums[i].n), sums[i].seeded);
    }
    ck_assert_uint_eq(memo__xxh64(0, "a", 1), UINT64_C(0xd24ec4f1a98c6e5b));
    ck_assert_uint_eq(memo__xxh64(0, "abc", 3), UINT64_C(0x44bc2cf5ad770999));
    ck_assert_uint_eq(memo__xxh64(0, "Nobody inspects the spammish repetition", 39), UINT64_C(0xfbcea83c8a378bf1));
}
END_TEST

START_TEST(stripes)
{
    unsigned char memory[4 * MEMO__LINE] = { 0 };
    struct memo__striped striped = { memory, MEMO__LINE, 4 };
    for (uint32_t i = 0; i < 4; i++) {
        struct memo__stripe mine = { i, i < 2 };
        memo__stripe_add32(mine, MEMO__PART(uint32_t, &striped, i), i + 1);
        memo__stripe_add64(mine, MEMO__PART(uint64_t, &striped, i) + 1, UINT64_C(1) << 40);
        memo__stripe_add64(mine, MEMO__PART(uint64_t, &striped, i) + 1, 1);
        ck_assert_uint_eq(*MEMO__PART(uint32_t, &striped, i), i + 1);
        ck_assert_uint_eq(MEMO__PART(uint64_t, &striped, i)[1], (UINT64_C(1) << 40) + 1);
    }
}
END_TEST

START_TEST(memory)
{
    struct failing f;
    failing_init(&f, 0, false);
    unsigned char *p = memo__get_array(&f.alloc, 3, 5);
    for (int i = 0; i < 15; i++)
        ck_assert_uint_eq(p[i], 0);
    p = memo__resize(&f.alloc, p, 100);
    memo__drop(&f.alloc, p);
    memo__drop(&f.alloc, NULL);
    ck_assert_ptr_null(memo__get_array(&f.alloc, SIZE_MAX / 2, 3)); /* the product does not fit */
    p = memo__resize(&f.alloc, NULL, 10);                           /* as get, zeroed */
    ck_assert(p && p[9] == 0);
    memo__drop(&f.alloc, p);
    char *z = memo__copy_text(&f.alloc, "abcdef", 3);
    ck_assert_str_eq(z, "abc");
    memo__drop(&f.alloc, z);
    z = memo__copy_text(&f.alloc, NULL, 0);
    ck_assert_str_eq(z, "");
    memo__drop(&f.alloc, z);
    for (size_t n = 1; n < 300; n += 37) {
        unsigned char *lines = memo__get_lines(&f.alloc, n);
        ck_assert_uint_eq((uintptr_t)lines % MEMO__LINE, 0);
        memset(lines, 1, n);
        memo__drop_lines(&f.alloc, lines);
    }
    memo__drop_lines(&f.alloc, NULL);
    failing_done(&f);
    failing_init(&f, 1, true);
    ck_assert(!memo__get_lines(&f.alloc, 8) && !memo__copy_text(&f.alloc, "a", 1) && !memo__get(&f.alloc, 1));
    p = memo__get(&memo__alloc_libc, 0);
    p = memo__resize(&memo__alloc_libc, p, 0);
    ck_assert_ptr_nonnull(p);
    memo__drop(&memo__alloc_libc, p);
}
END_TEST

Suite *suite_base_values(void);
Suite *suite_base_values(void)
{
    Suite *s = suite_create("base/values");
    TCase *c = tcase_create("values");
    tcase_add_test(c, instants);
    tcase_add_test(c, draws);
    tcase_add_test(c, hashes);
    tcase_add_test(c, xxh64);
    tcase_add_test(c, stripes);
    tcase_add_test(c, memory);
    suite_add_tcase(s, c);
    return s;
}
