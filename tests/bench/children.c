/* SPDX-License-Identifier: Apache-2.0 */
/* children.c: this program again, bare or under valgrind, and what it says. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bench.h"

#define ARGUMENTS_MOST 16

/* Runs a program with stdout (or stderr) into `out`; true if it ended well. */
static bool run(char *const *argv, int from_fd, char *out, size_t n)
{
    int ends[2], status = 0;
    size_t have = 0;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return false;
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], from_fd);
        execvp(argv[0], argv);
        _exit(127);
    }
    close(ends[1]);
    for (ssize_t got = 1; pid > 0 && got > 0; have += got > 0 ? (size_t)got : 0)
        got = read(ends[0], out + have, n - 1 - have);
    out[have] = 0;
    close(ends[0]);
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static uint32_t arguments_of(char **argv, uint32_t at, const char *const *arguments)
{
    argv[at++] = (char *)(uintptr_t)self_path;
    argv[at++] = (char *)(uintptr_t)"--child";
    while (*arguments && at < ARGUMENTS_MOST - 2)
        argv[at++] = (char *)(uintptr_t)*arguments++;
    argv[at] = NULL;
    return at;
}

bool child(const char *const *arguments, char *out, size_t n)
{
    char *argv[ARGUMENTS_MOST];
    arguments_of(argv, 0, arguments);
    return run(argv, STDOUT_FILENO, out, n);
}

/* All instructions of one run: callgrind says "Collected : N". */
static double collected(const char *const *arguments, uint64_t n)
{
    static char out[1 << 16];
    char *argv[ARGUMENTS_MOST] = { (char *)(uintptr_t)"valgrind", (char *)(uintptr_t)"--tool=callgrind", (char *)(uintptr_t)"--callgrind-out-file=/dev/null" };
    char count[24];
    snprintf(count, sizeof count, "%" PRIu64, n);
    uint32_t end = arguments_of(argv, 3, arguments);
    argv[end] = count;
    argv[end + 1] = NULL;
    bool well = run(argv, STDERR_FILENO, out, sizeof out);
    const char *at = strstr(out, "Collected : ");
    if (!well || !at) {
        missing("count of instructions", out[0] ? out : "is valgrind installed?");
        return -1;
    }
    return strtod(at + 12, NULL);
}

double instructions(const char *const *arguments, uint64_t few, uint64_t many)
{
    double less = collected(arguments, few), more = less < 0 ? -1 : collected(arguments, many);
    return more < 0 ? -1 : (more - less) / (double)(many - few);
}

long resident(const char *line)
{
    char text[256];
    long kib = -1;
    FILE *f = fopen("/proc/self/smaps_rollup", "re");
    while (f && fgets(text, sizeof text, f))
        if (strncmp(text, line, strlen(line)) == 0)
            kib = strtol(text + strlen(line), NULL, 10);
    if (f)
        fclose(f);
    return kib;
}
