/* SPDX-License-Identifier: Apache-2.0 */
/* process.h: what this process has, as the kernel counts it, for tests that nothing may be left of. */
#ifndef MEMO__TESTS_PROCESS_H
#define MEMO__TESTS_PROCESS_H
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Open descriptors, and always the same number more: the directory's own, and its two entries that are none. */
static inline int process_descriptors(void)
{
    int count = 0;
    DIR *d = opendir("/proc/self/fd");
    while (d && readdir(d))
        count++;
    if (d)
        (void)closedir(d);
    return count;
}

/* Threads of libmemo's, by their name (others are the host's, or a sanitizer's own); tid receives the last one's, if it is not NULL. */
static inline int process_threads(int *tid)
{
    int count = 0;
    DIR *d = opendir("/proc/self/task");
    for (struct dirent *e; d && (e = readdir(d));) {
        char path[300], name[32] = "";
        (void)snprintf(path, sizeof path, "/proc/self/task/%s/comm", e->d_name);
        FILE *f = fopen(path, "r");
        if (!f)
            continue;
        if (fgets(name, sizeof name, f) && strcmp(name, "memo\n") == 0) {
            count++;
            if (tid)
                *tid = atoi(e->d_name);
        }
        (void)fclose(f);
    }
    if (d)
        (void)closedir(d);
    return count;
}
#endif
