/* SPDX-License-Identifier: Apache-2.0 */
/* host.c: the seam answers as the system does, with -errno. */
#define _GNU_SOURCE
#include "base/host.h"
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static const struct memo__host *const h = &memo__host_linux;

START_TEST(clocks_and_random)
{
    memo__instant a = memo__now(h), b = memo__now(h);
    unsigned char x[32] = { 0 }, y[32] = { 0 };
    ck_assert(a > 0 && b >= a && memo__boot(h) >= a);          /* boot time counts suspends: never behind */
    ck_assert_int_gt(memo__wall(h), 1500000000 * MEMO__S);
    ck_assert_int_eq(h->random(h->user, x, sizeof x), 0);
    ck_assert_int_eq(h->random(h->user, y, sizeof y), 0);
    ck_assert_int_ne(memcmp(x, y, sizeof x), 0);
}
END_TEST

static int count_names(void *visitor, const char *name)
{
    int *count = visitor;
    ck_assert_int_ne(name[0], '.');
    return ++*count == 2 ? 77 : 0;
}

START_TEST(files)
{
    char path[] = "/tmp/memo-host-XXXXXX", text[16] = "";
    struct stat st;
    int count = 0;
    ck_assert_ptr_nonnull(mkdtemp(path));
    int dir = h->open(h->user, AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
    ck_assert_int_ge(dir, 0);
    ck_assert_int_ne(fcntl(dir, F_GETFD) & FD_CLOEXEC, 0);     /* always, though nobody asked */
    int fd = h->open(h->user, dir, "a", O_RDWR | O_CREAT | O_EXCL, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(h->pwrite(h->user, fd, "hello", 5, 0), 5);
    ck_assert_int_eq(h->pread(h->user, fd, text, sizeof text, 1), 4);
    ck_assert_str_eq(text, "ello");
    ck_assert_int_eq(h->sync(h->user, fd), 0);
    ck_assert_int_eq(h->truncate(h->user, fd, 2), 0);
    ck_assert_int_eq(h->stat_fd(h->user, fd, &st), 0);
    ck_assert(st.st_size == 2 && (st.st_mode & 0777) == 0600);
    ck_assert_int_eq(h->touch(h->user, fd), 0);
    ck_assert_int_eq(h->lock(h->user, fd, LOCK_EX | LOCK_NB), 0);
    int other = h->open(h->user, dir, "a", O_RDWR, 0);
    ck_assert_int_eq(h->lock(h->user, other, LOCK_EX | LOCK_NB), -EWOULDBLOCK);
    ck_assert_int_eq(h->close(h->user, other), 0);
    ck_assert_int_eq(h->close(h->user, fd), 0);
    ck_assert_int_eq(h->link(h->user, dir, "a", "b"), 0);
    ck_assert_int_eq(h->link(h->user, dir, "a", "b"), -EEXIST);
    ck_assert_int_eq(h->rename(h->user, dir, "b", "c"), 0);
    ck_assert_int_eq(h->make_dir(h->user, dir, "d", 0700), 0);
    ck_assert_int_eq(h->list(h->user, dir, count_names, &count), 77);
    ck_assert_int_eq(count, 2);
    count = -100;
    ck_assert_int_eq(h->list(h->user, dir, count_names, &count), 0);
    ck_assert_int_eq(count, -97);                              /* a, c and d */
    ck_assert_int_eq(h->remove(h->user, dir, "a"), 0);
    ck_assert_int_eq(h->remove(h->user, dir, "c"), 0);
    ck_assert_int_eq(h->remove(h->user, dir, "a"), -ENOENT);
    ck_assert_int_eq(unlinkat(dir, "d", AT_REMOVEDIR), 0);
    ck_assert_int_eq(h->close(h->user, dir), 0);
    ck_assert_int_eq(rmdir(path), 0);
}
END_TEST

START_TEST(errors)
{
    char byte = 0;
    struct stat st;
    int visits = 0;
    ck_assert_int_eq(h->open(h->user, AT_FDCWD, "/nowhere/at/all", O_RDONLY, 0), -ENOENT);
    ck_assert_int_eq(h->pread(h->user, -1, &byte, 1, 0), -EBADF);
    ck_assert_int_eq(h->pwrite(h->user, -1, &byte, 1, 0), -EBADF);
    ck_assert_int_eq(h->sync(h->user, -1), -EBADF);
    ck_assert_int_eq(h->truncate(h->user, -1, 0), -EBADF);
    ck_assert_int_eq(h->stat_fd(h->user, -1, &st), -EBADF);
    ck_assert_int_eq(h->touch(h->user, -1), -EBADF);
    ck_assert_int_eq(h->close(h->user, -1), -EBADF);
    ck_assert_int_eq(h->list(h->user, -1, count_names, &visits), -EBADF);
}
END_TEST

Suite *suite_base_host(void);
Suite *suite_base_host(void)
{
    Suite *s = suite_create("base/host");
    TCase *c = tcase_create("host");
    tcase_add_test(c, clocks_and_random);
    tcase_add_test(c, files);
    tcase_add_test(c, errors);
    suite_add_tcase(s, c);
    return s;
}
