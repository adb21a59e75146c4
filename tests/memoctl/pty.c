/* SPDX-License-Identifier: Apache-2.0 */
/* pty.c: pty COMMAND [WORD...]: runs a command whose standard output is a terminal, copies what it writes there, and ends with its exit code.
 *
 * Colours depend on a terminal, and tests have none: script(1) and Python's pty are not on every machine. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static int failed(const char *what)
{
    perror(what);
    return 99;
}

int main(int argc, char **argv)
{
    char piece[4096];
    ssize_t n;
    int status, ours = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), theirs;
    if (argc < 2 || ours < 0 || grantpt(ours) != 0 || unlockpt(ours) != 0 || (theirs = open(ptsname(ours), O_RDWR | O_NOCTTY | O_CLOEXEC)) < 0)
        return failed("pty");
    pid_t child = fork();
    if (child < 0)
        return failed("fork");
    if (child == 0) {
        if (dup2(theirs, STDOUT_FILENO) == STDOUT_FILENO)
            execvp(argv[1], argv + 1);
        _exit(failed(argv[1]));
    }
    (void)close(theirs);
    while ((n = read(ours, piece, sizeof piece)) > 0 || (n < 0 && errno == EINTR)) /* EIO: the last writer has gone */
        for (ssize_t at = 0, wrote; n > 0 && at < n; at += wrote)
            if ((wrote = write(STDOUT_FILENO, piece + at, (size_t)(n - at))) < 0)
                return failed("write");
    if (waitpid(child, &status, 0) != child)
        return failed("wait");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
