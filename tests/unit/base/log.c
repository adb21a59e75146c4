/* SPDX-License-Identifier: Apache-2.0 */
/* log.c: one line, clean, and stderr, which nobody waits for. */
#define _GNU_SOURCE
#include "base/log.h"
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static char line[MEMO__LOG_LINE_MAX + 1];

__attribute__((format(printf, 1, 2))) static const char *made(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    memo__log_line(line, format, args);
    va_end(args);
    return line;
}

START_TEST(levels)
{
    ck_assert_str_eq(memo__log_level_name(MEMO__LOG_DEBUG), "debug");
    ck_assert_str_eq(memo__log_level_name(MEMO__LOG_INFO), "info");
    ck_assert_str_eq(memo__log_level_name(MEMO__LOG_WARN), "warn");
    ck_assert_str_eq(memo__log_level_name(MEMO__LOG_ERROR), "error");
}
END_TEST

START_TEST(lines_are_clean)
{
    char many[1000];
    ck_assert_str_eq(made("number %d", 7), "number 7");
    ck_assert_str_eq(made("a\nb\tc\x1b[31md\x7f"), "a b c [31md ");
    ck_assert_str_eq(made("x\xff\xfe"), "x??");
    memset(many, 'a', sizeof many);
    memcpy(many + MEMO__LOG_LINE_MAX - 1, "\xc3\xa9", 3);
    ck_assert_uint_eq(strlen(made("%s", many)), MEMO__LOG_LINE_MAX - 1); /* the character that was cut is gone as a whole */
}
END_TEST

/* ---- stderr ---- */

static int kept;

static void becomes_stderr(int fd)
{
    kept = dup(STDERR_FILENO);
    ck_assert_int_ge(dup2(fd, STDERR_FILENO), 0);
}

static void stderr_again(void)
{
    (void)dup2(kept, STDERR_FILENO);
    (void)close(kept);
}

static void hears(int fd, const char *want)
{
    char text[700];
    ssize_t n = read(fd, text, sizeof text - 1);
    ck_assert_int_gt(n, 0);
    text[n] = '\0';
    ck_assert_str_eq(text, want);
}

/* Until it takes no more; then as it was. */
static void fill(int fd)
{
    static const char bytes[4096];
    int flags = fcntl(fd, F_GETFL);
    ck_assert_int_eq(fcntl(fd, F_SETFL, flags | O_NONBLOCK), 0);
    while (write(fd, bytes, sizeof bytes) > 0)
        ;
    ck_assert_int_eq(errno, EAGAIN);
    ck_assert_int_eq(fcntl(fd, F_SETFL, flags), 0);
}

START_TEST(a_pipe_that_nobody_reads)
{
    static char all[1 << 20];
    int ends[2];
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    becomes_stderr(ends[1]);
    bool first = memo__log_stderr(MEMO__LOG_ERROR, "gone: x");
    fill(ends[1]);
    bool second = memo__log_stderr(MEMO__LOG_ERROR, "waits"); /* or never returns */
    int flags = fcntl(ends[1], F_GETFL);
    ck_assert_int_gt(read(ends[0], all, sizeof all), 0);
    bool third = memo__log_stderr(MEMO__LOG_WARN, "goes on");
    stderr_again();
    ck_assert(first);
    ck_assert(!second);
    ck_assert(third);
    ck_assert_int_eq(flags & O_NONBLOCK, 0); /* the host's flag is as the host wants it */
    ck_assert_mem_eq(all, "libmemo error: gone: x\n", 23);
    hears(ends[0], "libmemo warn: goes on\n");
    close(ends[0]);
    close(ends[1]);
}
END_TEST

START_TEST(a_socket_that_nobody_reads)
{
    int ends[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    becomes_stderr(ends[1]);
    bool first = memo__log_stderr(MEMO__LOG_INFO, "x");
    fill(ends[1]);
    bool second = memo__log_stderr(MEMO__LOG_INFO, "waits");
    stderr_again();
    ck_assert(first);
    ck_assert(!second);
    close(ends[0]);
    close(ends[1]);
}
END_TEST

/* The host wrote before us and writes after us: nothing is overwritten. */
START_TEST(a_file)
{
    char path[] = "/tmp/memo-log-XXXXXX";
    int fd = mkstemp(path);
    ck_assert_int_eq(write(fd, "before\n", 7), 7);
    becomes_stderr(fd);
    bool said = memo__log_stderr(MEMO__LOG_INFO, "x");
    stderr_again();
    ck_assert(said);
    ck_assert_int_eq(write(fd, "after\n", 6), 6);
    ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
    hears(fd, "before\nlibmemo info: x\nafter\n");
    close(fd);
    unlink(path);
}
END_TEST

START_TEST(nobody_is_there)
{
    int ends[2];
    (void)signal(SIGPIPE, SIG_DFL); /* that we live is the test */
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    close(ends[0]);
    becomes_stderr(ends[1]);
    bool said = memo__log_stderr(MEMO__LOG_INFO, "x");
    (void)close(STDERR_FILENO);
    bool closed = memo__log_stderr(MEMO__LOG_INFO, "x");
    stderr_again();
    ck_assert(said); /* not kept for later */
    ck_assert(closed);
    close(ends[1]);
}
END_TEST

Suite *suite_base_log(void);
Suite *suite_base_log(void)
{
    Suite *s = suite_create("base/log");
    TCase *c = tcase_create("log");
    tcase_add_test(c, levels);
    tcase_add_test(c, lines_are_clean);
    suite_add_tcase(s, c);
    c = tcase_create("stderr");
    tcase_add_test(c, a_pipe_that_nobody_reads);
    tcase_add_test(c, a_socket_that_nobody_reads);
    tcase_add_test(c, a_file);
    tcase_add_test(c, nobody_is_there);
    suite_add_tcase(s, c);
    return s;
}
