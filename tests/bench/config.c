/* SPDX-License-Identifier: Apache-2.0 */
/* config.c: one read of a configuration value among 1,000, of a snapshot that is held; and all that a piece of work does: acquire, read, release. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "bench.h"

#define VALUES 1000

struct subject_config { memo_client *client; memo_config *held; uint64_t failures; };

static const char *const keys[] = { "group.7.pool.max", "group.123.pool.max", "group.456.pool.max", "group.789.pool.max" };

static bool config_open(struct subject_config *s)
{
    char name[] = "/tmp/memo-bench-XXXXXX.json";
    int fd = mkstemps(name, 5);
    FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (!f)
        return false;
    fprintf(f, "{ \"group\": {");
    for (int i = 0; i < VALUES; i++)
        fprintf(f, "%s \"%d\": { \"pool\": { \"max\": %d } }", i ? "," : "", i, i);
    fprintf(f, "} }\n");
    bool written = fclose(f) == 0;
    *s = (struct subject_config){ NULL, NULL, 0 };
    bool good = written && memo_client_new(&s->client, NULL) == MEMO_OK && memo_client_set(s->client, "config", name, NULL) == MEMO_OK &&
                memo_client_set(s->client, "registry", "static:a=127.0.0.1:9", NULL) == MEMO_OK && memo_client_set(s->client, "cache", "false",
                                                                                                                   NULL) == MEMO_OK &&
                memo_client_set(s->client, "admin_socket", "none", NULL) == MEMO_OK && memo_client_start(s->client, NULL) == MEMO_OK &&
                memo_config_acquire(s->client, &s->held) == MEMO_OK;
    unlink(name);
    return good;
}

static void config_close(struct subject_config *s)
{
    memo_config_release(s->held);
    memo_client_free(s->client);
}

static void reads(void *arg, uint64_t n)
{
    struct subject_config *s = arg;
    int64_t sum = 0;
    for (uint64_t i = 0; i < n; i++)
        sum += memo_config_get_int(s->held, keys[i & 3], -1000000);
    s->failures += sum < 0;
}

static void acquired_reads(void *arg, uint64_t n)
{
    struct subject_config *s = arg;
    int64_t sum = 0;
    for (uint64_t i = 0; i < n; i++) {
        memo_config *g;
        if (memo_config_acquire(s->client, &g) != MEMO_OK)
            continue;
        sum += memo_config_get_int(g, keys[i & 3], -1000000);
        memo_config_release(g);
    }
    s->failures += sum < 0;
}

int child_config(const char *name, uint64_t n)
{
    struct subject_config s;
    if (!config_open(&s))
        return 1;
    (name[6] ? acquired_reads : reads)(&s, n); /* "config", "config_acquired" */
    config_close(&s);
    return s.failures != 0;
}

void group_config(void)
{
    static const char *const held[] = { "config", NULL }, *const acquired[] = { "config_acquired", NULL };
    struct subject_config s;
    if (!config_open(&s)) {
        missing("config figures", "no client with values");
        return;
    }
    work_fn *work[] = { reads, acquired_reads };
    void *args[] = { &s, &s };
    struct cost costs[2];
    reads(&s, 100000);
    measure(work, args, 2, 10000, 101, costs);
    acquired_reads(&s, 1); /* the first one of a thread takes its place among the readers */
    allocs_begin();
    acquired_reads(&s, 10000);
    uint64_t allocations = allocs_end();
    figure("config_read_ns", costs[0].least, "ns");
    figure("config_acquire_read_ns", costs[1].least, "ns");
    figure("config_read_allocs", (double)allocations / 10000, "allocations");
    if (s.failures)
        worthless("reads of configuration values did not go as they should");
    config_close(&s);
    double one = instructions(held, 1000, 101000), all = instructions(acquired, 1000, 101000);
    if (one >= 0)
        figure("config_read_instr", one, "instructions");
    if (all >= 0)
        figure("config_acquire_read_instr", all, "instructions");
}
