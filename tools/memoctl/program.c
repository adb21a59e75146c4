/* SPDX-License-Identifier: Apache-2.0 */
/* program.c: after scripts/demo nothing is installed: `memoctl` alone would not be found. */
#include "program.h"
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* In a build tree this is DIR/.libs/memoctl (or lt-memoctl), which does not find its library; DIR/memoctl is libtool's script that sees to it. */
static void out_of_libs(char *path)
{
    char script[PATH_MAX];
    char *slash = strrchr(path, '/');
    size_t dir = (size_t)(slash - path);
    if (dir < 6 || strncmp(slash - 6, "/.libs", 6) != 0)
        return;
    const char *name = strncmp(slash + 1, "lt-", 3) == 0 ? slash + 4 : slash + 1;
    int n = snprintf(script, sizeof(script), "%.*s/%s", (int)dir - 6, path, name);
    if (n > 0 && (size_t)n < sizeof(script) && access(script, X_OK) == 0)
        memcpy(path, script, (size_t)n + 1); /* shorter */
}

static bool plain(const char *path)
{
    return path[strspn(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._+-")] == 0;
}

const char *program_again(const char *argv0, char *buf, size_t n)
{
    char path[PATH_MAX];
    if (!strchr(argv0, '/') || !realpath(argv0, path))
        return argv0;
    out_of_libs(path);
    int used = snprintf(buf, n, plain(path) ? "%s" : "'%s'", path);
    return used > 0 && (size_t)used < n ? buf : argv0;
}
