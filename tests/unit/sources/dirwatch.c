/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "../net/child.h"
#include "stage.h"

static struct stage s;
static struct memo__dirwatch_item a, b;
static int told_a, told_b, all_a;
static char name[64];
static int dir;

static void setup(void)
{
    stage_begin(&s);
    told_a = told_b = all_a = 0;
    memset(&a, 0, sizeof a);
    memset(&b, 0, sizeof b);
    dir = open(s.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void teardown(void)
{
    close(dir);
    stage_end(&s);
}

static void on_a(struct memo__dirwatch_item *i, const char *n, void *user)
{
    (void)i, (void)user;
    told_a++;
    all_a += n == NULL;
    snprintf(name, sizeof name, "%s", n ? n : "(all)");
}

static void on_b(struct memo__dirwatch_item *i, const char *n, void *user)
{
    (void)n, (void)user;
    told_b++;
    memo__dirwatch_remove(s.dirs, i); /* once is enough */
}

START_TEST(test_two_askers_one_directory)
{
    ck_assert(memo__dirwatch_works(s.dirs));
    ck_assert(memo__dirwatch_add(s.dirs, &a, dir, IN_CLOSE_WRITE, on_a, NULL));
    ck_assert(memo__dirwatch_add(s.dirs, &b, dir, IN_CLOSE_WRITE, on_b, NULL));
    stage_write(stage_path(&s, "one"), "x", 0600);
    UNTIL(&s, told_a == 1 && told_b == 1);
    ck_assert_str_eq(name, "one");
    stage_write(stage_path(&s, "two"), "x", 0600);
    UNTIL(&s, told_a == 2);
    ck_assert_int_eq(told_b, 1);
    memo__dirwatch_remove(s.dirs, &a);
    memo__dirwatch_remove(s.dirs, &a);
    stage_write(stage_path(&s, "three"), "x", 0600);
    stage_turn(&s, 20 * MEMO__MS);
    ck_assert_int_eq(told_a, 2);
}
END_TEST

START_TEST(test_a_touch_is_no_event)
{
    stage_write(stage_path(&s, "one"), "x", 0600);
    ck_assert(memo__dirwatch_add(s.dirs, &a, dir, IN_CLOSE_WRITE | IN_MOVED_TO | IN_DELETE, on_a, NULL));
    int fd = open(stage_path(&s, "one"), O_RDONLY | O_CLOEXEC);
    ck_assert_int_eq(s.host.touch(&s, fd), 0);
    close(fd);
    stage_turn(&s, 20 * MEMO__MS);
    ck_assert_int_eq(told_a, 0);
}
END_TEST

START_TEST(test_the_directory_itself_goes)
{
    mkdir(stage_path(&s, "d"), 0700);
    int inner = open(stage_path(&s, "d"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert(memo__dirwatch_add(s.dirs, &a, inner, IN_CLOSE_WRITE | IN_DELETE_SELF | IN_MOVE_SELF, on_a, NULL));
    char to[128];
    snprintf(to, sizeof to, "%s/e", s.dir);
    ck_assert_int_eq(rename(stage_path(&s, "d"), to), 0);
    UNTIL(&s, all_a == 1);
    close(inner);
    ck_assert_int_eq(rmdir(to), 0);
    UNTIL(&s, all_a >= 2);
}
END_TEST

START_TEST(test_none_to_be_had)
{
    memo__dirwatch_free(s.dirs);
    s.deaf = EMFILE;
    ck_assert_int_eq(memo__dirwatch_new(&memo__alloc_libc, &s.host, s.loop, &s.dirs), MEMO_OK);
    ck_assert(!memo__dirwatch_works(s.dirs));
    ck_assert(!memo__dirwatch_add(s.dirs, &a, dir, IN_CLOSE_WRITE, on_a, NULL));
    memo__dirwatch_remove(s.dirs, &a);
    ck_assert(!memo__dirwatch_works(NULL));
    ck_assert(!memo__dirwatch_add(NULL, &a, dir, IN_CLOSE_WRITE, on_a, NULL));
    memo__dirwatch_remove(NULL, &a);
    memo__dirwatch_forked(NULL);
    memo__dirwatch_free(NULL);
}
END_TEST

static int pipe_ends[2];
static int fake_open(void *user) { (void)user; return pipe_ends[0]; }
static int fake_add(void *user, int fd, int d, uint32_t mask) { (void)user, (void)fd, (void)d, (void)mask; return 7; }
static int fake_remove(void *user, int fd, int wd) { (void)user, (void)fd, (void)wd; return 0; }

START_TEST(test_an_overflow_means_look_at_everything)
{
    struct inotify_event e = { .wd = -1, .mask = IN_Q_OVERFLOW };
    memo__dirwatch_free(s.dirs);
    ck_assert_int_eq(pipe(pipe_ends), 0);
    s.host.notify_open = fake_open;
    s.host.notify_add = fake_add;
    s.host.notify_remove = fake_remove;
    ck_assert_int_eq(memo__dirwatch_new(&memo__alloc_libc, &s.host, s.loop, &s.dirs), MEMO_OK);
    ck_assert(memo__dirwatch_add(s.dirs, &a, dir, IN_CLOSE_WRITE, on_a, NULL));
    ck_assert(memo__dirwatch_add(s.dirs, &b, dir, IN_CLOSE_WRITE, on_b, NULL));
    ck_assert_int_eq(write(pipe_ends[1], &e, sizeof e), sizeof e);
    UNTIL(&s, all_a == 1 && told_b == 1);
    e = (struct inotify_event){ .wd = 8, .mask = IN_CLOSE_WRITE }; /* not ours */
    ck_assert_int_eq(write(pipe_ends[1], &e, sizeof e), sizeof e);
    ck_assert_int_eq(write(pipe_ends[1], &e, sizeof e - 3), sizeof e - 3); /* and half a one */
    stage_turn(&s, 20 * MEMO__MS);
    ck_assert_int_eq(told_a, 1);
    close(pipe_ends[1]);
}
END_TEST

static void on_end(struct memo__dirwatch_item *i, const char *n, void *user)
{
    (void)i, (void)n, (void)user;
    told_a++;
    memo__dirwatch_free(s.dirs);
    s.dirs = NULL;
}

START_TEST(test_freed_from_a_callback)
{
    ck_assert(memo__dirwatch_add(s.dirs, &a, dir, IN_CLOSE_WRITE, on_end, NULL));
    ck_assert(memo__dirwatch_add(s.dirs, &b, dir, IN_CLOSE_WRITE, on_end, NULL));
    stage_write(stage_path(&s, "one"), "x", 0600);
    UNTIL(&s, told_a == 1);
    stage_turn(&s, 0);
    ck_assert_int_eq(told_a, 1);
}
END_TEST

START_TEST(test_a_child_has_its_own)
{
    ck_assert(memo__dirwatch_add(s.dirs, &a, dir, IN_CLOSE_WRITE, on_a, NULL));
    pid_t pid = fork();
    if (pid == 0) {
        if (memo__loop_after_fork(s.loop) != MEMO_OK)
            child_ends(false);
        memo__dirwatch_forked(s.dirs);
        stage_write(stage_path(&s, "one"), "x", 0600);
        for (int i = 0; i < 1000 && !told_a; i++)
            stage_turn(&s, 5 * MEMO__MS);
        child_ends(told_a > 0);
    }
    int status;
    waitpid(pid, &status, 0);
    ck_assert_int_eq(status, 0);
    UNTIL(&s, told_a == 1); /* the child did not eat it */
}
END_TEST

Suite *suite_sources_dirwatch(void);
Suite *suite_sources_dirwatch(void)
{
    Suite *suite = suite_create("sources/dirwatch");
    TCase *t = tcase_create("dirwatch");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_two_askers_one_directory);
    tcase_add_test(t, test_a_touch_is_no_event);
    tcase_add_test(t, test_the_directory_itself_goes);
    tcase_add_test(t, test_none_to_be_had);
    tcase_add_test(t, test_an_overflow_means_look_at_everything);
    tcase_add_test(t, test_freed_from_a_callback);
    tcase_add_test(t, test_a_child_has_its_own);
    suite_add_tcase(suite, t);
    return suite;
}
