/* SPDX-License-Identifier: Apache-2.0 */
/* log.c: see log.h.
 *
 * Whether a write to stderr waits is a flag of the open file, which the host and other processes share: it is not ours to change. So a pipe or a
 * terminal is opened once more, for this line alone. Where that is not allowed (another user's, no /proc) there is only the question whether there is
 * room; who writes between question and write can make us wait. */
#define _GNU_SOURCE
#include "base/log.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/pipe_guard.h"
#include "base/text.h"

const char *memo__log_level_name(int32_t level)
{
    return level >= MEMO__LOG_ERROR ? "error" : level >= MEMO__LOG_WARN ? "warn" : level >= MEMO__LOG_INFO ? "info" : "debug";
}

static ssize_t write_to_stderr(const char *text, size_t n)
{
    struct stat st = { 0 };
    (void)fstat(STDERR_FILENO, &st);
    if (S_ISSOCK(st.st_mode))
        return send(STDERR_FILENO, text, n, MSG_DONTWAIT | MSG_NOSIGNAL);
    /* not a file on disk: it would have another place to write at */
    struct memo__pipe_guard g;
    memo__pipe_guard_enter(&g, true); /* its reader may go at any moment */
    int own = S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode) ? open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC) : -1;
    ssize_t done = write(own >= 0 ? own : STDERR_FILENO, text, n);
    int why = errno;
    if (own >= 0)
        (void)close(own);
    memo__pipe_guard_leave(&g);
    errno = why;
    return done;
}

bool memo__log_stderr(int32_t level, const char *line)
{
    char text[MEMO__LOG_LINE_MAX + 32];
    struct pollfd room = { .fd = STDERR_FILENO, .events = POLLOUT };
    int n = snprintf(text, sizeof text, "libmemo %s: %s\n", memo__log_level_name(level), line);
    if (n <= 0)
        return true;
    if (poll(&room, 1, 0) <= 0)
        return false;
    if (room.revents & (POLLERR | POLLHUP | POLLNVAL))
        return true; /* nobody is there to be told */
    return write_to_stderr(text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1) >= 0 || errno != EAGAIN;
}

/* One line stays one line, whatever text came from outside. */
void memo__log_line(char *line, const char *format, va_list args)
{
    if (vsnprintf(line, MEMO__LOG_LINE_MAX + 1, format, args) < 0)
        line[0] = '\0';
    for (char *p = line; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = ' ';
    memo__utf8_mend(line);
}
