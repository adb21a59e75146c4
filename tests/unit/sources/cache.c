/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include "../failing.h"
#include "sources/cache.h"
#include "stage.h"

static struct stage s;
static struct memo__cache cache;
static memo_error e;

static void setup(void)
{
    stage_begin(&s);
    e = (memo_error)MEMO_INIT(memo_error);
    ck_assert_int_eq(memo__cache_init(&cache, &memo__alloc_libc, &s.host, stage_path(&s, "cache"), "file:///x", &e), MEMO_OK);
}

static void teardown(void)
{
    memo__cache_fini(&cache);
    stage_end(&s);
}

static struct memo__view *make(uint64_t revision, int count)
{
    struct memo__view_builder *b = memo__view_builder_new(&memo__alloc_libc);
    struct memo__view *v = NULL;
    const struct memo__text labels[2][2] = { { MEMO__TEXT("version"), MEMO__TEXT("v2") }, { MEMO__TEXT("scheme"), MEMO__TEXT("https") } };
    for (int i = 0; i < count; i++) {
        char id[32];
        snprintf(id, sizeof id, "i%d", i);
        const struct memo__found f = { .id = memo__text_of(id), .address = MEMO__TEXT("::1"), .host = MEMO__TEXT("host.example"), .zone = MEMO__TEXT("z"), .port = 443,
                                       .weight = (uint32_t)i, .healthy = i % 2 == 0, .secure = true, .registered = UINT64_C(1) << 60, .labels_count = 2, .labels = labels };
        memo__view_add(b, &f);
    }
    ck_assert_int_eq(memo__view_end(b, &v), MEMO_OK);
    v->revision = revision;
    v->epoch = 77;
    return v;
}

static void store(uint64_t revision, int count)
{
    struct memo__view *v = make(revision, count);
    memo_status st = memo__cache_store(&cache, "todo", v, memo__boot(&s.host), &e);
    ck_assert_msg(st == MEMO_OK, "%s", e.message);
    memo__view_free(v);
}

static struct memo__view *load(memo_status expected)
{
    struct memo__view *v = NULL;
    memo_status st = memo__cache_load(&cache, "todo", 24 * 3600 * MEMO__S, &v, &e);
    ck_assert_msg(st == expected, "%d: %s", st, e.message);
    ck_assert_int_eq(v != NULL, st == MEMO_OK);
    return v;
}

START_TEST(test_there_and_back)
{
    load(MEMO_E_UNREACHABLE);
    memo__instant before = memo__boot(&s.host);
    store(5, 3);
    struct memo__view *v = load(MEMO_OK), *same = make(5, 3);
    ck_assert(memo__view_same(v, same));
    ck_assert_uint_eq(v->revision, 5);
    ck_assert_uint_eq(v->epoch, 77);
    ck_assert_int_eq(v->state, MEMO_VIEW_CACHED);
    ck_assert(!v->unproven);
    ck_assert_int_ge(v->confirmed, before);
    ck_assert_int_le(v->confirmed, memo__boot(&s.host));
    memo__view_free(v);
    memo__view_free(same);
    struct stat st;
    char name[64];
    snprintf(name, sizeof name, "cache/%016llx-todo.a", (unsigned long long)cache.url_hash);
    ck_assert_int_eq(stat(stage_path(&s, name), &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0600);
}
END_TEST

START_TEST(test_age)
{
    store(5, 1);
    s.ahead += 23 * 3600 * MEMO__S;
    struct memo__view *v = load(MEMO_OK);
    ck_assert_int_ge(memo__boot(&s.host) - v->confirmed, 23 * 3600 * MEMO__S);
    memo__view_free(v);
    s.ahead += 2 * 3600 * MEMO__S;
    load(MEMO_E_UNREACHABLE);
    ck_assert_ptr_nonnull(strstr(e.message, "too old"));
}
END_TEST

START_TEST(test_another_boot_proves_no_age)
{
    store(5, 1);
    cache.me.boot[0] = cache.me.boot[0] == 'a' ? 'b' : 'a';
    s.ahead += 3600 * MEMO__S;
    struct memo__view *v = load(MEMO_OK);
    ck_assert(v->unproven);
    ck_assert_int_ge(memo__boot(&s.host) - v->confirmed, 3600 * MEMO__S); /* the wall clock's word */
    memo__view_free(v);
    s.ahead += 24 * 3600 * MEMO__S;
    load(MEMO_E_UNREACHABLE); /* but it bounds a start */
}
END_TEST

START_TEST(test_another_registry_is_another_cache)
{
    struct memo__cache other;
    struct memo__view *v;
    store(5, 1);
    ck_assert_int_eq(memo__cache_init(&other, &memo__alloc_libc, &s.host, stage_path(&s, "cache"), "file:///y", &e), MEMO_OK);
    ck_assert_int_eq(memo__cache_load(&other, "todo", MEMO__NEVER, &v, &e), MEMO_E_UNREACHABLE);
    ck_assert_int_eq(memo__cache_load(&cache, "todo2", MEMO__NEVER, &v, &e), MEMO_E_UNREACHABLE);
    memo__cache_fini(&other);
}
END_TEST

START_TEST(test_never_older)
{
    store(5, 2);
    store(4, 9); /* another process was slower */
    struct memo__view *v = load(MEMO_OK);
    ck_assert_uint_eq(v->revision, 5);
    memo__view_free(v);
    store(6, 0); /* an empty view is a view */
    v = load(MEMO_OK);
    ck_assert_uint_eq(v->revision, 6);
    ck_assert_uint_eq(v->count, 0);
    memo__view_free(v);
}
END_TEST

static size_t slurp(int copy, unsigned char *to, size_t size, char *path)
{
    char name[64];
    snprintf(name, sizeof name, "cache/%016llx-todo.%c", (unsigned long long)cache.url_hash, copy ? 'b' : 'a');
    strcpy(path, stage_path(&s, name));
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = read(fd, to, size);
    ck_assert_int_gt(n, 0);
    close(fd);
    return (size_t)n;
}

static void overwrite(const char *path, const unsigned char *bytes, size_t n)
{
    int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    ck_assert_int_eq(write(fd, bytes, n), (ssize_t)n);
    close(fd);
}

START_TEST(test_every_flipped_byte_falls_back_to_the_other_copy)
{
    static unsigned char image[4096];
    char path[256];
    store(5, 3);
    store(6, 3);
    size_t n = slurp(1, image, sizeof image, path); /* the newer one */
    for (size_t i = 0; i < n; i++) {
        image[i] ^= (unsigned char)(1 + i % 255);
        overwrite(path, image, n);
        struct memo__view *v = load(MEMO_OK);
        ck_assert_msg(v->revision == 5, "byte %zu was believed", i);
        memo__view_free(v);
        image[i] ^= (unsigned char)(1 + i % 255);
    }
    for (size_t i = 0; i < n; i += 7) {
        overwrite(path, image, i);
        struct memo__view *v = load(MEMO_OK);
        ck_assert_uint_eq(v->revision, 5);
        memo__view_free(v);
    }
    overwrite(path, image, n);
    struct memo__view *v = load(MEMO_OK);
    ck_assert_uint_eq(v->revision, 6);
    memo__view_free(v);
}
END_TEST

START_TEST(test_both_copies_damaged)
{
    char a[256], b[256];
    unsigned char image[4096];
    store(5, 1);
    store(6, 1);
    (void)slurp(0, image, sizeof image, a);
    (void)slurp(1, image, sizeof image, b);
    overwrite(a, (const unsigned char *)"x", 1);
    overwrite(b, (const unsigned char *)"", 0);
    load(MEMO_E_PROTOCOL);
    store(7, 1); /* and it heals */
    struct memo__view *v = load(MEMO_OK);
    ck_assert_uint_eq(v->revision, 7);
    memo__view_free(v);
}
END_TEST

START_TEST(test_unsafe_files_are_not_read)
{
    char a[256];
    unsigned char image[4096];
    store(5, 1);
    (void)slurp(0, image, sizeof image, a);
    ck_assert_int_eq(chmod(a, 0666), 0);
    struct memo__view *v = NULL;
    ck_assert_int_eq(memo__cache_load(&cache, "todo", MEMO__NEVER, &v, &e), MEMO_E_IO);
    ck_assert_int_eq(unlink(a), 0);
    ck_assert_int_eq(symlink("/etc/passwd", a), 0);
    ck_assert_int_eq(memo__cache_load(&cache, "todo", MEMO__NEVER, &v, &e), MEMO_E_IO);
}
END_TEST

START_TEST(test_a_full_disk_keeps_the_last_good_copy)
{
    store(5, 3);
    s.no_space = ENOSPC;
    struct memo__view *v = make(6, 3);
    ck_assert_int_eq(memo__cache_store(&cache, "todo", v, memo__boot(&s.host), &e), MEMO_E_IO);
    memo__view_free(v);
    s.no_space = 0;
    v = load(MEMO_OK);
    ck_assert_uint_eq(v->revision, 5);
    memo__view_free(v);
}
END_TEST

START_TEST(test_a_really_full_disk)
{
    struct memo__cache full;
    char path[256];
    mkdir(stage_path(&s, "small"), 0700);
    strcpy(path, stage_path(&s, "small"));
    ck_assert_int_eq(mount("none", path, "tmpfs", 0, "size=64k,mode=0700"), 0);
    ck_assert_int_eq(memo__cache_init(&full, &memo__alloc_libc, &s.host, path, "file:///x", &e), MEMO_OK);
    struct memo__view *small = make(1, 100), *large = make(2, 2000), *back = NULL;
    memo_status first = memo__cache_store(&full, "todo", small, memo__boot(&s.host), &e);
    memo_status second = memo__cache_store(&full, "todo", large, memo__boot(&s.host), &e);
    memo_status third = memo__cache_load(&full, "todo", MEMO__NEVER, &back, &e);
    uint64_t revision = back ? back->revision : 0;
    memo__view_free(small);
    memo__view_free(large);
    memo__view_free(back);
    memo__cache_fini(&full);
    umount2(path, MNT_DETACH);
    ck_assert_int_eq(first, MEMO_OK);
    ck_assert_int_eq(second, MEMO_E_IO);
    ck_assert_int_eq(third, MEMO_OK);
    ck_assert_uint_eq(revision, 1);
}
END_TEST

START_TEST(test_another_process_is_writing)
{
    store(5, 1);
    int fd = open(stage_path(&s, "cache/lock"), O_RDONLY | O_CLOEXEC);
    ck_assert_int_eq(memo__host_linux.lock(NULL, fd, 2 /* LOCK_EX */), 0);
    struct memo__view *v = make(6, 1);
    ck_assert_int_eq(memo__cache_store(&cache, "todo", v, memo__boot(&s.host), &e), MEMO_E_TIMEOUT);
    close(fd);
    ck_assert_int_eq(memo__cache_store(&cache, "todo", v, memo__boot(&s.host), &e), MEMO_OK);
    memo__view_free(v);
}
END_TEST

START_TEST(test_every_allocation_fails)
{
    struct failing f;
    long n = 0;
    store(5, 3);
    do {
        struct memo__cache c;
        struct memo__view *v = NULL;
        failing_init(&f, ++n, true);
        ck_assert_int_eq(memo__cache_init(&c, &f.alloc, &s.host, stage_path(&s, "cache"), "file:///x", &e), MEMO_OK);
        memo_status st = memo__cache_load(&c, "todo", MEMO__NEVER, &v, &e);
        ck_assert_int_eq(v != NULL, st == MEMO_OK); /* a block that could not be made smaller is no failure */
        ck_assert(st == MEMO_OK || (f.failed && st == MEMO_E_NO_MEMORY));
        memo__view_free(v);
        struct memo__view *next = make(6 + (uint64_t)n, 3);
        st = memo__cache_store(&c, "todo", next, memo__boot(&s.host), &e);
        ck_assert(st == MEMO_OK || (f.failed && st == MEMO_E_NO_MEMORY));
        memo__view_free(next);
        memo__cache_fini(&c);
        failing_done(&f);
    } while (f.failed);
    ck_assert_int_gt(n, 5);
}
END_TEST

START_TEST(test_settings)
{
    struct memo__cache c;
    char longer[2000];
    memset(longer, '/', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    ck_assert_int_eq(memo__cache_init(&c, &memo__alloc_libc, &s.host, "relative", "file:", &e), MEMO_E_SETTING);
    ck_assert_int_eq(memo__cache_init(&c, &memo__alloc_libc, &s.host, longer, "file:", &e), MEMO_E_SETTING);
    ck_assert_int_eq(memo__cache_init(&c, &memo__alloc_libc, &s.host, NULL, "file:", &e), MEMO_OK);
    ck_assert_ptr_nonnull(strstr(c.path, "/memo/cache"));
}
END_TEST

/* Only root may, and not in every container. Where not, the test is skipped, and says so; the one before it stands for it. */
static bool may_mount(void)
{
    char path[] = "/tmp/memo-mount-XXXXXX";
    if (!mkdtemp(path))
        return false;
    bool may = mount("none", path, "tmpfs", 0, "size=64k,mode=0700") == 0;
    if (may)
        (void)umount2(path, MNT_DETACH);
    (void)rmdir(path);
    if (!may)
        (void)printf("ok 1 - sources/cache: test_a_really_full_disk # SKIP a tmpfs cannot be mounted here\n");
    (void)fflush(stdout); /* before check forks */
    return may;
}

Suite *suite_sources_cache(void);
Suite *suite_sources_cache(void)
{
    Suite *suite = suite_create("sources/cache");
    TCase *t = tcase_create("cache");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_there_and_back);
    tcase_add_test(t, test_age);
    tcase_add_test(t, test_another_boot_proves_no_age);
    tcase_add_test(t, test_another_registry_is_another_cache);
    tcase_add_test(t, test_never_older);
    tcase_add_test(t, test_every_flipped_byte_falls_back_to_the_other_copy);
    tcase_add_test(t, test_both_copies_damaged);
    tcase_add_test(t, test_unsafe_files_are_not_read);
    tcase_add_test(t, test_a_full_disk_keeps_the_last_good_copy);
    if (may_mount())
        tcase_add_test(t, test_a_really_full_disk);
    tcase_add_test(t, test_another_process_is_writing);
    tcase_add_test(t, test_every_allocation_fails);
    tcase_add_test(t, test_settings);
    suite_add_tcase(suite, t);
    return suite;
}
