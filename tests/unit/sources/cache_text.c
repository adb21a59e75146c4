/* SPDX-License-Identifier: Apache-2.0 */
/* cache_text.c: the last good text survives what happens to files. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "../failing.h"
#include "sources/cache_text.h"
#include "stage.h"

static struct stage s;
static struct memo__text_place place;
static memo_error e;

static void setup(void)
{
    stage_begin(&s);
    e = (memo_error)MEMO_INIT(memo_error);
    place = (struct memo__text_place){ &memo__alloc_libc, &s.host, stage_path(&s, "cache"), "rules", 7 };
}

static void teardown(void)
{
    stage_end(&s);
}

static void keep(const char *text)
{
    memo_status st = memo__cache_text_store(&place, memo__text_of(text), &e);
    ck_assert_msg(st == MEMO_OK, "%s", e.message);
}

static void expect(const char *text)
{
    char *got = NULL;
    size_t bytes = 0;
    memo_status st = memo__cache_text_load(&place, INT64_MAX, &got, &bytes, &e);
    ck_assert_msg(st == MEMO_OK, "%s", e.message);
    ck_assert_str_eq(got, text);
    ck_assert_uint_eq(bytes, strlen(text));
    free(got);
}

static memo_status load_status(int64_t max_age)
{
    char *got = NULL;
    size_t bytes;
    memo_status st = memo__cache_text_load(&place, max_age, &got, &bytes, &e);
    free(got);
    return st;
}

/* One of the two copies, to be damaged. */
static int copy(char which)
{
    char path[256];
    snprintf(path, sizeof path, "%s/0000000000000007-rules.%c", place.directory, which);
    return open(path, O_RDWR);
}

START_TEST(what_was_kept_last_is_what_comes_back)
{
    ck_assert_int_eq(load_status(INT64_MAX), MEMO_E_UNREACHABLE);
    keep("one");
    expect("one");
    keep("two, longer");
    expect("two, longer");
    keep("3");
    expect("3");
}
END_TEST

START_TEST(a_torn_copy_leaves_the_one_before)
{
    keep("one");
    keep("two");
    int fd = copy('b');
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, MEMO__TEXT_HEAD + 1), 0);
    close(fd);
    expect("one");
    keep("three");
    expect("three");
}
END_TEST

START_TEST(two_damaged_copies_are_said_to_be)
{
    keep("one");
    keep("two");
    for (char which = 'a'; which <= 'b'; which++) {
        int fd = copy(which);
        ck_assert_int_eq(pwrite(fd, "x", 1, 3), 1);
        close(fd);
    }
    ck_assert_int_eq(load_status(INT64_MAX), MEMO_E_PROTOCOL);
}
END_TEST

START_TEST(what_is_too_old_is_not_given)
{
    keep("one");
    ck_assert_int_eq(load_status(-1), MEMO_E_UNREACHABLE);
    ck_assert_int_eq(load_status(INT64_MAX), MEMO_OK);
}
END_TEST

START_TEST(files_are_ours_alone)
{
    struct stat st;
    keep("one");
    int fd = copy('a');
    ck_assert_int_eq(fstat(fd, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0600);
    close(fd);
}
END_TEST

START_TEST(every_flip_of_a_byte_is_seen)
{
    static const char text[] = "{\"memo\":1}";
    char image[MEMO__TEXT_HEAD + sizeof text];
    struct memo__text_head h = { 12, 34 }, back;
    struct memo__text found, whole = { text, sizeof text - 1 };
    memo__cache_text_encode(&h, whole, image);
    memcpy(image + MEMO__TEXT_HEAD, text, sizeof text - 1);
    size_t bytes = MEMO__TEXT_HEAD + sizeof text - 1;
    ck_assert(memo__cache_text_decode(image, bytes, &back, &found));
    ck_assert_uint_eq(back.generation, 12);
    ck_assert_int_eq(back.wall, 34);
    for (size_t i = 0; i < bytes; i++) {
        for (int flip = 1; flip < 256; flip++) {
            image[i] = (char)(image[i] ^ flip);
            ck_assert_msg(!memo__cache_text_decode(image, bytes, &back, &found), "byte %zu ^ %d", i, flip);
            image[i] = (char)(image[i] ^ flip);
        }
    }
    for (size_t n = 0; n < bytes; n++)
        ck_assert(!memo__cache_text_decode(image, n, &back, &found));
}
END_TEST

START_TEST(without_memory_nothing_is_lost)
{
    keep("one");
    for (int forever = 0; forever < 2; forever++) {
        struct failing f;
        long n = 0;
        do {
            failing_init(&f, ++n, forever);
            place.alloc = &f.alloc;
            (void)memo__cache_text_store(&place, MEMO__TEXT("one"), &e);
            char *got = NULL;
            size_t bytes;
            memo_status st = memo__cache_text_load(&place, INT64_MAX, &got, &bytes, &e);
            ck_assert(st == MEMO_OK || (st == MEMO_E_NO_MEMORY && f.failed));
            memo__drop(&f.alloc, got);
            failing_done(&f);
        } while (f.failed);
        place.alloc = &memo__alloc_libc;
        expect("one");
    }
}
END_TEST

Suite *suite_sources_cache_text(void);

Suite *suite_sources_cache_text(void)
{
    Suite *suite = suite_create("sources/cache_text");
    TCase *t = tcase_create("cache_text");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, what_was_kept_last_is_what_comes_back);
    tcase_add_test(t, a_torn_copy_leaves_the_one_before);
    tcase_add_test(t, two_damaged_copies_are_said_to_be);
    tcase_add_test(t, what_is_too_old_is_not_given);
    tcase_add_test(t, files_are_ours_alone);
    tcase_add_test(t, every_flip_of_a_byte_is_seen);
    tcase_add_test(t, without_memory_nothing_is_lost);
    suite_add_tcase(suite, t);
    return suite;
}
