/* SPDX-License-Identifier: Apache-2.0 */
/* log.c: one line, clean, to the sink of now, and never to one that was replaced. */
#define _GNU_SOURCE
#include "base/log.h"
#include <check.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct heard { int lines; int32_t level; char line[MEMO__LOG_LINE_MAX + 1]; };

static void hear(int32_t level, const char *line, void *user)
{
    struct heard *h = user;
    h->lines++;
    h->level = level;
    ck_assert_uint_le(strlen(line), MEMO__LOG_LINE_MAX);
    strcpy(h->line, line);
}

START_TEST(levels)
{
    struct memo__log log;
    struct heard h = { 0, 0, "" };
    memo__log_init(&log, MEMO__LOG_WARN);
    memo__log_set_sink(&log, hear, &h);
    memo__log(&log, MEMO__LOG_INFO, "not heard");
    ck_assert_int_eq(h.lines, 0);
    memo__log(&log, MEMO__LOG_WARN, "number %d", 7);
    ck_assert_str_eq(h.line, "number 7");
    ck_assert_int_eq(h.level, MEMO__LOG_WARN);
    memo__log_set_level(&log, MEMO__LOG_OFF);
    memo__log(&log, MEMO__LOG_ERROR, "not heard");
    ck_assert_int_eq(h.lines, 1);
    memo__log(NULL, MEMO__LOG_ERROR, "nobody");
    memo__log_fini(&log);
    ck_assert_str_eq(memo__log_level_name(MEMO__LOG_DEBUG), "debug");
    ck_assert_str_eq(memo__log_level_name(MEMO__LOG_INFO), "info");
    ck_assert_str_eq(memo__log_level_name(MEMO__LOG_WARN), "warn");
    ck_assert_str_eq(memo__log_level_name(MEMO__LOG_ERROR), "error");
}
END_TEST

START_TEST(lines_are_clean)
{
    struct memo__log log;
    struct heard h = { 0, 0, "" };
    char many[1000];
    memo__log_init(&log, MEMO__LOG_DEBUG);
    memo__log_set_sink(&log, hear, &h);
    memo__log(&log, MEMO__LOG_INFO, "a\nb\tc\x1b[31md\x7f");
    ck_assert_str_eq(h.line, "a b c [31md ");
    memo__log(&log, MEMO__LOG_INFO, "x\xff\xfe");
    ck_assert_str_eq(h.line, "x??");
    memset(many, 'a', sizeof many);
    memcpy(many + MEMO__LOG_LINE_MAX - 1, "\xc3\xa9", 3);
    memo__log(&log, MEMO__LOG_INFO, "%s", many);
    ck_assert_uint_eq(strlen(h.line), MEMO__LOG_LINE_MAX - 1);        /* the character that was cut is gone as a whole */
    memo__log_fini(&log);
}
END_TEST

struct swap { struct memo__log log; struct heard other; int calls; };

static void replaces_itself(int32_t level, const char *line, void *user)
{
    struct swap *x = user;
    x->calls++;
    (void)level;
    (void)line;
    memo__log_set_sink(&x->log, hear, &x->other);
    memo__log(&x->log, MEMO__LOG_INFO, "from inside");
}

START_TEST(a_sink_may_log_and_replace_itself)
{
    struct swap x = { .calls = 0 };
    memo__log_init(&x.log, MEMO__LOG_DEBUG);
    memo__log_set_sink(&x.log, replaces_itself, &x);
    memo__log(&x.log, MEMO__LOG_INFO, "first");
    ck_assert_int_eq(x.calls, 1);
    ck_assert_str_eq(x.other.line, "from inside");
    memo__log(&x.log, MEMO__LOG_INFO, "second");
    ck_assert_int_eq(x.calls, 1);
    ck_assert_str_eq(x.other.line, "second");
    memo__log_fini(&x.log);
}
END_TEST

struct slow { struct memo__log log; struct memo__lock lock; bool entered, leave, left, replaced; };

static void slow_sink(int32_t level, const char *line, void *user)
{
    struct slow *x = user;
    (void)level;
    (void)line;
    memo__lock_take(&x->lock);
    x->entered = true;
    memo__wake(&x->lock);
    while (!x->leave)
        (void)memo__wait(&x->lock, MEMO__NEVER);
    x->left = true;
    memo__lock_drop(&x->lock);
}

static void *logs(void *user)
{
    memo__log(&((struct slow *)user)->log, MEMO__LOG_INFO, "x");
    return NULL;
}

static void *replaces(void *user)
{
    struct slow *x = user;
    memo__log_set_sink(&x->log, NULL, NULL);
    memo__lock_take(&x->lock);
    ck_assert(x->left);                        /* the old sink is really no longer in use */
    x->replaced = true;
    memo__lock_drop(&x->lock);
    return NULL;
}

START_TEST(replacing_waits_for_the_old_sink)
{
    struct slow x = { .entered = false };
    pthread_t a, b;
    memo__lock_init(&x.lock);
    memo__log_init(&x.log, MEMO__LOG_DEBUG);
    memo__log_set_sink(&x.log, slow_sink, &x);
    ck_assert_int_eq(pthread_create(&a, NULL, logs, &x), 0);
    memo__lock_take(&x.lock);
    while (!x.entered)
        (void)memo__wait(&x.lock, MEMO__NEVER);
    memo__lock_drop(&x.lock);
    ck_assert_int_eq(pthread_create(&b, NULL, replaces, &x), 0);
    memo__lock_take(&x.lock);
    x.leave = true;
    memo__wake(&x.lock);
    memo__lock_drop(&x.lock);
    pthread_join(a, NULL);
    pthread_join(b, NULL);
    ck_assert(x.replaced);
    memo__log_fini(&x.log);
    memo__lock_fini(&x.lock);
}
END_TEST

START_TEST(stderr_by_default)
{
    int ends[2];
    char text[700];
    struct memo__log log;
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    int kept = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    memo__log_init(&log, MEMO__LOG_WARN);
    memo__log(&log, MEMO__LOG_ERROR, "gone: %s", "x");
    dup2(kept, STDERR_FILENO);
    ssize_t n = read(ends[0], text, sizeof text - 1);
    ck_assert_int_gt(n, 0);
    text[n] = '\0';
    ck_assert_str_eq(text, "libmemo error: gone: x\n");
    close(kept);
    close(ends[0]);
    close(ends[1]);
    memo__log_fini(&log);
}
END_TEST

/* stderr is a pipe that is full, and later one whose reader has gone: nobody waits, nobody dies, and what was lost is told. */
START_TEST(a_pipe_that_nobody_reads)
{
    int ends[2];
    char text[65536];
    struct memo__log log;
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    int kept = dup(STDERR_FILENO);
    memset(text, 'x', sizeof text);
    while (write(ends[1], text, sizeof text) > 0)
        ;
    ck_assert_int_eq(fcntl(ends[1], F_SETFL, 0), 0); /* from here on a write would wait */
    dup2(ends[1], STDERR_FILENO);
    memo__log_init(&log, MEMO__LOG_WARN);
    memo__log(&log, MEMO__LOG_ERROR, "lost");
    memo__log(&log, MEMO__LOG_ERROR, "lost");
    while (read(ends[0], text, sizeof text) > 0)
        ;
    memo__log(&log, MEMO__LOG_ERROR, "heard");
    ssize_t n = read(ends[0], text, sizeof text - 1);
    close(ends[0]);
    ck_assert(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
    memo__log(&log, MEMO__LOG_ERROR, "nobody is there");
    dup2(kept, STDERR_FILENO);
    ck_assert_int_gt(n, 0);
    text[n] = '\0';
    ck_assert_str_eq(text, "libmemo error: (2 dropped) heard\n");
    close(kept);
    close(ends[1]);
    memo__log_fini(&log);
}
END_TEST

START_TEST(a_child_logs_though_its_parent_held_the_lock)
{
    struct memo__log log;
    struct heard h = { 0, 0, "" };
    int status;
    memo__log_init(&log, MEMO__LOG_DEBUG);
    memo__log_set_sink(&log, hear, &h);
    memo__lock_take(&log.lock);
    log.running = 3;
    pid_t child = fork();
    if (child == 0) {
        memo__log_after_fork(&log);
        memo__log(&log, MEMO__LOG_INFO, "child");
        memo__log_set_sink(&log, NULL, NULL);
        _exit(strcmp(h.line, "child") == 0 ? 0 : 1);
    }
    memo__lock_drop(&log.lock);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    memo__log_fini(&log);
}
END_TEST

Suite *suite_base_log(void);
Suite *suite_base_log(void)
{
    Suite *s = suite_create("base/log");
    TCase *c = tcase_create("log");
    tcase_add_test(c, levels);
    tcase_add_test(c, lines_are_clean);
    tcase_add_test(c, a_sink_may_log_and_replace_itself);
    tcase_add_test(c, replacing_waits_for_the_old_sink);
    tcase_add_test(c, stderr_by_default);
    tcase_add_test(c, a_pipe_that_nobody_reads);
    tcase_add_test(c, a_child_logs_though_its_parent_held_the_lock);
    suite_add_tcase(s, c);
    return s;
}
