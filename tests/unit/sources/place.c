/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "sources/place.h"
#include "stage.h"

static struct stage s;
static struct memo__place_rule rule;
static memo_error e;
static int fd;

static void setup(void)
{
    stage_begin(&s);
    memo__place_rule_self(&rule);
    e = (memo_error)MEMO_INIT(memo_error);
}

static void teardown(void)
{
    stage_end(&s);
}

static memo_status open_place(const char *rest, bool create)
{
    struct stat found;
    memo_status st = memo__place_open(&s.host, stage_path(&s, rest), &rule, create, &fd, &found, &e);
    ck_assert_int_eq(st == MEMO_OK, fd >= 0);
    if (fd >= 0)
        close(fd);
    return st;
}

static void refused(const char *rest, const char *because)
{
    ck_assert_int_eq(open_place(rest, true), MEMO_E_IO);
    ck_assert_msg(strstr(e.message, because) != NULL, "%s", e.message);
}

START_TEST(test_made_when_asked)
{
    struct stat found;
    ck_assert_int_eq(open_place("a/b/c", false), MEMO_E_UNREACHABLE);
    ck_assert_int_eq(open_place("a/b/c//", true), MEMO_OK);
    ck_assert_int_eq(stat(stage_path(&s, "a/b/c"), &found), 0);
    ck_assert_uint_eq(found.st_mode & 07777, 0700);
    ck_assert_int_eq(open_place("a/b/c", false), MEMO_OK);
    ck_assert_int_eq(memo__place_open(&s.host, "relative", &rule, true, &fd, &found, &e), MEMO_E_SETTING);
}
END_TEST

START_TEST(test_refused_directories)
{
    mkdir(stage_path(&s, "open"), 0700);
    chmod(stage_path(&s, "open"), 0755);
    refused("open", "lets other users in");
    refused("open", stage_path(&s, "open")); /* the whole path, not the name alone */
    mkdir(stage_path(&s, "real"), 0700);
    ck_assert_int_eq(symlink("real", stage_path(&s, "link")), 0);
    refused("link", "symbolic link");
    refused("link", stage_path(&s, "link"));
    stage_write(stage_path(&s, "file"), "x", 0600);
    refused("file", "not a directory");
    ck_assert_int_eq(open_place("file/inside", true), MEMO_E_IO);
}
END_TEST

/* Of a long path the end is told: what is wrong with it must not be cut off. */
START_TEST(test_a_long_path_leaves_room_for_the_reason)
{
    char deep[400] = "";
    for (int i = 0; i < 40; i++)
        strcat(deep, i % 2 ? "/\xc3\xbc" "b" : "/long-er"); /* a character may lie across the cut */
    ck_assert_int_eq(open_place(deep + 1, true), MEMO_OK);
    ck_assert_int_eq(chmod(stage_path(&s, deep + 1), 0750), 0);
    refused(deep + 1, "lets other users in");
    ck_assert_ptr_nonnull(strstr(e.message, "directory ..."));
    ck_assert_ptr_nonnull(strstr(e.message, "/long-er/\xc3\xbc" "b is refused"));
    ck_assert(memo__utf8_valid(memo__text_of(e.message)));
}
END_TEST

START_TEST(test_other_owners)
{
    if (geteuid() != 0)
        return; /* only root can make a directory somebody else's */
    mkdir(stage_path(&s, "other"), 0700);
    ck_assert_int_eq(chown(stage_path(&s, "other"), 12345, 12345), 0);
    refused("other", "belongs to another user");
    rule.owners[rule.owners_count++] = 12345;
    ck_assert_int_eq(open_place("other", false), MEMO_OK);
    chmod(stage_path(&s, "other"), 0770);
    ck_assert_int_eq(open_place("other", false), MEMO_OK);
    chmod(stage_path(&s, "other"), 0775);
    refused("other", "lets others in");
    rule.owners_count = 0; /* a link on the way, not made by root */
    mkdir(stage_path(&s, "real"), 0700);
    ck_assert_int_eq(symlink("real", stage_path(&s, "way")), 0);
    ck_assert_int_eq(open_place("way/deep", true), MEMO_OK); /* root's */
    ck_assert_int_eq(lchown(stage_path(&s, "way"), 12345, 12345), 0);
    ck_assert_int_eq(open_place("way/deep", true), MEMO_E_IO);
}
END_TEST

static int64_t nfs(void *user, int dir) { (void)user; (void)dir; return 0x6969; }
static int64_t fuse(void *user, int dir) { (void)user; (void)dir; return 0x65735546; }

START_TEST(test_network_file_systems)
{
    s.host.fs_kind = nfs;
    refused("n", "network file system");
    s.host.fs_kind = fuse;
    refused("n", "network file system");
    s.host.fs_kind = NULL;
    ck_assert_int_eq(open_place("n", true), MEMO_OK);
}
END_TEST

static void file_refused(const char *name, const char *because)
{
    struct stat found;
    int dir = open(s.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_eq(memo__place_file(&s.host, dir, name, O_RDONLY, &rule, &fd, &found, &e), MEMO_E_IO);
    ck_assert_msg(strstr(e.message, because) != NULL, "%s", e.message);
    ck_assert_int_lt(fd, 0);
    close(dir);
}

START_TEST(test_files)
{
    char other[256];
    struct stat found;
    stage_write(stage_path(&s, "good"), "x", 0600);
    int dir = open(s.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_eq(memo__place_file(&s.host, dir, "good", O_RDONLY, &rule, &fd, &found, &e), MEMO_OK);
    close(fd);
    ck_assert_int_eq(memo__place_file(&s.host, dir, "none", O_RDONLY, &rule, &fd, &found, &e), MEMO_E_UNREACHABLE);
    ck_assert_int_eq(memo__place_file(&s.host, dir, "good", O_RDWR | O_CREAT | O_EXCL, &rule, &fd, &found, &e), MEMO_E_UNREACHABLE);
    ck_assert_int_eq(memo__place_file(&s.host, dir, "new", O_RDWR | O_CREAT | O_EXCL, &rule, &fd, &found, &e), MEMO_OK);
    ck_assert_uint_eq(found.st_mode & 07777, 0600);
    close(fd);
    close(dir);
    ck_assert_int_eq(symlink("good", stage_path(&s, "link")), 0);
    file_refused("link", "symbolic link");
    ck_assert_int_eq(mkfifo(stage_path(&s, "fifo"), 0600), 0);
    file_refused("fifo", "not a regular file");
    file_refused(".", "not a regular file");
    stage_write(stage_path(&s, "open"), "x", 0666);
    file_refused("open", "lets other users in");
    snprintf(other, sizeof other, "%s/hard", s.dir);
    ck_assert_int_eq(link(stage_path(&s, "good"), other), 0);
    file_refused("good", "hard link");
}
END_TEST

START_TEST(test_default_place)
{
    char path[MEMO__PLACE_PATH_MAX];
    ck_assert_int_eq(setenv("XDG_RUNTIME_DIR", "/run/user/7", 1), 0);
    ck_assert(memo__place_default("registry", path, sizeof path));
    ck_assert_str_eq(path, "/run/user/7/memo/registry");
    ck_assert_int_eq(setenv("XDG_RUNTIME_DIR", "relative", 1), 0);
    ck_assert(memo__place_default("cache", path, sizeof path));
    ck_assert_str_eq(path, "/run/memo/cache");
    ck_assert_int_eq(unsetenv("XDG_RUNTIME_DIR"), 0);
    ck_assert(memo__place_default("cache", path, sizeof path));
    ck_assert_str_eq(path, "/run/memo/cache");
    ck_assert(!memo__place_default("cache", path, 5));
}
END_TEST

START_TEST(test_words)
{
    ck_assert_int_eq(memo__place_status(0), MEMO_OK);
    ck_assert_int_eq(memo__place_status(-ENOMEM), MEMO_E_NO_MEMORY);
    ck_assert_int_eq(memo__place_status(-EWOULDBLOCK), MEMO_E_TIMEOUT);
    ck_assert_int_eq(memo__place_status(-EIO), MEMO_E_IO);
    ck_assert_str_eq(memo__place_why(-ENOSPC), "No space left on device");
    ck_assert_str_eq(memo__place_why(-99999), "Success");
}
END_TEST

Suite *suite_sources_place(void);
Suite *suite_sources_place(void)
{
    Suite *suite = suite_create("sources/place");
    TCase *t = tcase_create("place");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_made_when_asked);
    tcase_add_test(t, test_refused_directories);
    tcase_add_test(t, test_a_long_path_leaves_room_for_the_reason);
    tcase_add_test(t, test_other_owners);
    tcase_add_test(t, test_network_file_systems);
    tcase_add_test(t, test_files);
    tcase_add_test(t, test_default_place);
    tcase_add_test(t, test_words);
    suite_add_tcase(suite, t);
    return suite;
}
