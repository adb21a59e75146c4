/* SPDX-License-Identifier: Apache-2.0 */
/* view.c: a view is sorted, without doubles, compact, and the same for the same endpoints. */
#include "model/view.h"
#include <check.h>
#include <memo/status.h>
#include <stdio.h>
#include <string.h>
#include "base/rng.h"
#include "tests/unit/failing.h"

#define T(literal) MEMO__TEXT(literal)

static struct memo__found found(const char *id, const char *address, uint16_t port)
{
    return (struct memo__found){ .id = memo__text_of(id), .address = memo__text_of(address), .port = port, .healthy = true, .weight = 100 };
}

static struct memo__view *build(const struct memo__found *f, uint32_t n)
{
    struct memo__view_builder *b = memo__view_builder_new(&memo__alloc_libc);
    struct memo__view *v;
    for (uint32_t i = 0; i < n; i++)
        memo__view_add(b, &f[i]);
    ck_assert_int_eq(memo__view_end(b, &v), MEMO_OK);
    return v;
}

START_TEST(empty)
{
    struct memo__view *v = build(NULL, 0);
    ck_assert_uint_eq(v->count, 0);
    memo__view_free(v);
    memo__view_free(NULL);
    memo__view_builder_free(NULL);
    memo__view_builder_free(memo__view_builder_new(&memo__alloc_libc));
}
END_TEST

START_TEST(sorted_without_doubles)
{
    struct memo__found f[] = { found("b", "10.0.0.2", 80), found("a", "10.0.0.9", 80), found("a", "10.0.0.9", 8), found("b", "10.0.0.2", 80), found("a", "10.0.0.10", 80), found("", "10.0.0.1", 1) };
    f[0].weight = 1; /* the first of two doubles stays */
    struct memo__view *v = build(f, 6);
    static const struct { const char *id, *address; uint16_t port; } want[] = { { "", "10.0.0.1", 1 }, { "a", "10.0.0.10", 80 }, { "a", "10.0.0.9", 8 }, { "a", "10.0.0.9", 80 }, { "b", "10.0.0.2", 80 } };
    ck_assert_uint_eq(v->count, 5);
    for (uint32_t i = 0; i < 5; i++) {
        ck_assert_str_eq(memo__view_text(v, v->entries[i].id), want[i].id);
        ck_assert_str_eq(memo__view_text(v, v->entries[i].address), want[i].address);
        ck_assert_uint_eq(v->entries[i].port, want[i].port);
    }
    ck_assert_uint_eq(v->entries[4].weight, 1);
    memo__view_free(v);
}
END_TEST

START_TEST(labels)
{
    static const struct memo__text some[][2] = { { { "zone", 4 }, { "z1", 2 } }, { { "version", 7 }, { "v2", 2 } }, { { "ver", 3 }, { "", 0 } } };
    static const struct memo__text same[][2] = { { { "ver", 3 }, { "", 0 } }, { { "zone", 4 }, { "z1", 2 } }, { { "version", 7 }, { "v2", 2 } } };
    struct memo__found f[] = { found("a", "1.1.1.1", 1), found("b", "1.1.1.1", 1) };
    f[0].labels = some;
    f[0].labels_count = 3;
    f[1].labels = same;
    f[1].labels_count = 3;
    f[1].host = f[0].host = T("todo.example");
    struct memo__view *v = build(f, 2);
    ck_assert_str_eq(memo__view_label(v, &v->entries[0], "version"), "v2");
    ck_assert_str_eq(memo__view_label(v, &v->entries[0], "ver"), "");
    ck_assert_str_eq(memo__view_label(v, &v->entries[1], "zone"), "z1");
    ck_assert_ptr_null(memo__view_label(v, &v->entries[0], "v2"));
    ck_assert_uint_eq(v->entries[0].labels, v->entries[1].labels);     /* the same labels in another order are one block */
    ck_assert_uint_eq(v->entries[0].host, v->entries[1].host);
    memo__view_free(v);
}
END_TEST

START_TEST(sameness)
{
    static const struct memo__text v1[][2] = { { { "version", 7 }, { "v1", 2 } } }, v2[][2] = { { { "version", 7 }, { "v2", 2 } } };
    struct memo__found f[] = { found("a", "1.1.1.1", 1), found("b", "1.1.1.2", 2) }, backwards[] = { f[1], f[0] };
    f[0].labels = backwards[1].labels = v1;
    f[0].labels_count = backwards[1].labels_count = 1;
    struct memo__view *one = build(f, 2), *two = build(backwards, 2);
    ck_assert(memo__view_same(one, two));
    memo__view_free(two);
    for (int change = 0; change < 10; change++) { /* each field counts */
        struct memo__found g[] = { f[0], f[1] };
        switch (change) {
        case 0: g[0].id = T("c"); break;
        case 1: g[0].address = T("1.1.1.3"); break;
        case 2: g[0].port = 3; break;
        case 3: g[0].healthy = false; break;
        case 4: g[0].secure = true; break;
        case 5: g[0].weight = 0; break;
        case 6: g[0].registered = 9; break;
        case 7: g[0].labels = v2; break;
        case 8: g[0].labels_count = 0; break;
        default: g[0].zone = T("z"); break;
        }
        two = build(g, 2);
        ck_assert_msg(!memo__view_same(one, two), "change %d", change);
        memo__view_free(two);
    }
    f[0].host = T("h");
    two = build(f, 2);
    ck_assert(!memo__view_same(one, two));
    memo__view_free(two);
    two = build(f, 1);
    ck_assert(!memo__view_same(one, two));
    memo__view_free(two);
    memo__view_free(one);
}
END_TEST

START_TEST(what_does_not_fit_fails_the_whole)
{
    static char many[400];
    static struct memo__text none[MEMO__LABELS_MAX + 1][2];
    memset(many, 'x', sizeof many);
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        none[i][0] = T("x");
    for (int wrong = 0; wrong < 11; wrong++) {
        struct memo__view_builder *b = memo__view_builder_new(&memo__alloc_libc);
        struct memo__found f = found("a", "1.1.1.1", 1), good = f;
        struct memo__text bad[1][2] = { { T("x"), T("y") } };
        struct memo__view *v = (void *)1;
        f.labels = bad;
        f.labels_count = 1;
        switch (wrong) {
        case 0: f.id = (struct memo__text){ many, 64 }; break;
        case 1: f.address = (struct memo__text){ many, 46 }; break;
        case 2: f.host = (struct memo__text){ many, 256 }; break;
        case 3: f.zone = (struct memo__text){ many, 64 }; break;
        case 4: f.id = (struct memo__text){ "a\0b", 3 }; break;
        case 5: f.weight = 65536; break;
        case 6: bad[0][0] = T(""); break;
        case 7: bad[0][0] = (struct memo__text){ many, 256 }; break;
        case 8: bad[0][1] = (struct memo__text){ many, 256 }; break;
        case 9: bad[0][1] = (struct memo__text){ "\0", 1 }; break;
        default: f.labels = (void *)none; f.labels_count = MEMO__LABELS_MAX + 1; break;
        }
        memo__view_add(b, &good);
        memo__view_add(b, &f);
        memo__view_add(b, &good);
        ck_assert_msg(memo__view_end(b, &v) == MEMO_E_PROTOCOL, "wrong %d", wrong);
        ck_assert_ptr_null(v);
    }
}
END_TEST

static void add_many(struct memo__view_builder *b, uint32_t n)
{
    static const struct memo__text two[][2] = { { { "version", 7 }, { "v2", 2 } }, { { "scheme", 6 }, { "http", 4 } } };
    for (uint32_t i = 0; i < n; i++) {
        char id[64], address[46];
        uint32_t mixed = (uint32_t)memo__mix64(i);
        snprintf(id, sizeof id, "instance-%08x-%05u", mixed, i);
        snprintf(address, sizeof address, "10.%u.%u.%u", mixed >> 16 & 255, mixed >> 8 & 255, mixed & 255);
        struct memo__found f = found(id, address, 8080);
        f.labels = two;
        f.labels_count = 2;
        f.zone = T("zone-a");
        memo__view_add(b, &f);
    }
}

struct counting { size_t now, most; };

static void *count_get(void *user, size_t bytes)
{
    struct counting *c = user;
    size_t *p = calloc(1, bytes + 16);
    *p = bytes;
    c->now += bytes;
    c->most = c->now > c->most ? c->now : c->most;
    return p + 2;
}

static void count_drop(void *user, void *p)
{
    size_t *block = (size_t *)p - 2;
    ((struct counting *)user)->now -= *block;
    free(block);
}

static void *count_resize(void *user, void *p, size_t bytes)
{
    void *fresh = count_get(user, bytes);
    size_t old = ((size_t *)p)[-2];
    memcpy(fresh, p, old < bytes ? old : bytes);
    count_drop(user, p);
    return fresh;
}

START_TEST(ten_thousand_are_compact_and_sorted)
{
    struct counting counted = { 0, 0 };
    const struct memo__alloc a = { count_get, count_resize, count_drop, &counted };
    struct memo__view_builder *b = memo__view_builder_new(&a);
    struct memo__view *v;
    add_many(b, 10000);
    ck_assert_int_eq(memo__view_end(b, &v), MEMO_OK);
    ck_assert_uint_eq(v->count, 10000);
    for (uint32_t i = 1; i < v->count; i++)
        ck_assert_int_lt(strcmp(memo__view_text(v, v->entries[i - 1].id), memo__view_text(v, v->entries[i].id)), 0);
    ck_assert_uint_le(counted.now, 1300000);
    printf("figure view_10000_bytes %zu bytes\n", counted.now);
    memo__view_free(v);
    ck_assert_uint_eq(counted.now, 0);
}
END_TEST

START_TEST(as_many_as_there_may_be)
{
    struct memo__view_builder *b = memo__view_builder_new(&memo__alloc_libc);
    struct memo__view *v;
    add_many(b, MEMO__VIEW_ENDPOINTS_MAX);
    ck_assert_int_eq(memo__view_end(b, &v), MEMO_OK);
    ck_assert_uint_eq(v->count, MEMO__VIEW_ENDPOINTS_MAX);
    memo__view_free(v);
    b = memo__view_builder_new(&memo__alloc_libc);
    add_many(b, MEMO__VIEW_ENDPOINTS_MAX + 1);
    ck_assert_int_eq(memo__view_end(b, &v), MEMO_E_PROTOCOL);
}
END_TEST

START_TEST(no_memory)
{
    struct failing f;
    for (int forever = 0; forever < 2; forever++) {
        long n = 0;
        do {
            struct memo__view *v = NULL;
            failing_init(&f, ++n, forever);
            struct memo__view_builder *b = memo__view_builder_new(&f.alloc);
            if (b) {
                add_many(b, 100);
                memo_status s = memo__view_end(b, &v);
                if (!f.failed)
                    ck_assert_int_eq(s, MEMO_OK);
                ck_assert(s == MEMO_E_NO_MEMORY ? !v : s == MEMO_OK && v->count == 100); /* refusing to shrink is no failure */
            }
            memo__view_free(v);
            failing_done(&f);
        } while (f.failed);
        ck_assert_int_ge(n, 8);
    }
}
END_TEST

Suite *suite_model_view(void);
Suite *suite_model_view(void)
{
    Suite *s = suite_create("model/view");
    TCase *c = tcase_create("view");
    tcase_add_test(c, empty);
    tcase_add_test(c, sorted_without_doubles);
    tcase_add_test(c, labels);
    tcase_add_test(c, sameness);
    tcase_add_test(c, what_does_not_fit_fails_the_whole);
    tcase_add_test(c, ten_thousand_are_compact_and_sorted);
    tcase_add_test(c, as_many_as_there_may_be);
    tcase_add_test(c, no_memory);
    suite_add_tcase(s, c);
    return s;
}
