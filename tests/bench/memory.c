/* SPDX-License-Identifier: Apache-2.0 */
/* memory.c: what an idle client adds to a process that uses libcurl anyway, and what 10,000 endpoints add to that. Each in a process of its own, after one request or many calls. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "bench.h"

#define RUNS 7

/* The program without libmemo stands beside this one, or one up when libtool keeps this one in .libs. */
static bool bare_path(char *path, size_t n)
{
    static const char *const places[] = { "%.*s/bare", "%.*s/../bare" };
    const char *slash = strrchr(self_path, '/');
    for (int i = 0; slash && i < 2; i++) {
        snprintf(path, n, places[i], (int)(slash - self_path), self_path);
        if (access(path, X_OK) == 0)
            return true;
    }
    return false;
}

static bool run_bare(const char *port, long *rss, long *dirty)
{
    char path[4096], command[5000];
    if (!bare_path(path, sizeof path))
        return false;
    snprintf(command, sizeof command, "'%s' %s", path, port);
    FILE *f = popen(command, "re");
    bool well = f && fscanf(f, "%ld %ld", rss, dirty) == 2;
    return f && pclose(f) == 0 && well;
}

static bool run_ours(const char *const *arguments, const char *port, long *rss, long *dirty)
{
    char out[256];
    return arguments ? child(arguments, out, sizeof out) && sscanf(out, "%ld %ld", rss, dirty) == 2 : run_bare(port, rss, dirty);
}

/* The least of some runs, each in a process of its own: which pages the kernel maps around a fault, and which heap a thread gets, differs from run to run and only ever adds. No arguments: without us. */
static bool least_of(const char *const *arguments, const char *port, long *rss, long *dirty)
{
    *rss = *dirty = LONG_MAX;
    for (int i = 0; i < RUNS; i++) {
        long r, d;
        if (!run_ours(arguments, port, &r, &d))
            return false;
        *rss = r < *rss ? r : *rss;
        *dirty = d < *dirty ? d : *dirty;
    }
    return true;
}

void group_memory(void)
{
    char port[8];
    uint16_t at = server_start();
    snprintf(port, sizeof port, "%u", at);
    const char *const idle[] = { "idle", port, NULL }, *const one[] = { "many", "1", NULL }, *const many[] = { "many", "10000", NULL };
    long rss[4], dirty[4];
    if (at && least_of(NULL, port, &rss[0], &dirty[0]) && least_of(idle, port, &rss[1], &dirty[1])) {
        figure("rss_bare_kib", (double)rss[0], "KiB");
        figure("rss_idle_kib", (double)(rss[1] - rss[0]), "KiB");
        figure("rss_idle_dirty_kib", (double)(dirty[1] - dirty[0]), "KiB");
    } else {
        missing("idle memory", "a child failed");
    }
    if (least_of(one, port, &rss[2], &dirty[2]) && least_of(many, port, &rss[3], &dirty[3])) {
        figure("rss_10000_kib", (double)(rss[3] - rss[2]), "KiB");
        figure("rss_10000_dirty_kib", (double)(dirty[3] - dirty[2]), "KiB");
    } else {
        missing("memory of 10,000 endpoints", "a child failed");
    }
    server_stop();
}
