/* SPDX-License-Identifier: Apache-2.0 */
/* main.c: `make bench`. `bench --only floors,decision,picks,inbound,config,http,async,memory` runs some of the groups. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "bench.h"

const char *self_path;
static char path[4096];

static const struct { const char *name; void (*run)(void); } groups[] = {
    { "floors", group_floors }, { "decision", group_decision }, { "picks", group_picks }, { "inbound", group_inbound }, { "config", group_config },
    { "http", group_http }, { "async", group_http_async }, { "memory", group_memory },
};

static const struct { const char *name; work_fn *work; enum rules rules; } loops[] = {
    { "decisions", decisions, RULES_FULL }, { "fresh", decisions_fresh, RULES_FULL }, { "governed", governed_gets, RULES_HTTP },
};

/* Children. --child decisions N; --child governed PORT N; --child curl PORT HEAD N; --child submitted PORT N; --child multi PORT HEAD N; --child idle PORT; --child many N; --child threads; --child steps;
 * --child server says its port and serves until its input ends: for a profile by hand of the children with a port */
static int child_idle(uint16_t port, uint32_t endpoints)
{
    struct subject s = subject_open(port ? RULES_HTTP : RULES_P2C, endpoints, port);
    struct caller c = caller_of(s.service[0]);
    if (port)
        governed_gets(&c, 1);
    else
        picks(&c, 20000);
    printf("%ld %ld %llu\n", resident("Rss:"), resident("Private_Dirty:"), (unsigned long long)c.failures);
    subject_close(&s);
    return c.failures != 0;
}

static int child_loop(const char *name, uint16_t port, uint64_t n)
{
    for (size_t i = 0; i < sizeof loops / sizeof loops[0]; i++) {
        if (strcmp(name, loops[i].name) != 0)
            continue;
        struct subject s = subject_open(loops[i].rules, 100, port);
        struct caller c = caller_of(s.service[0]);
        loops[i].work(&c, n);
        subject_close(&s);
        return c.failures != 0;
    }
    return 2;
}

static int child_requests(uint64_t n)
{
    struct subject s = subject_open(RULES_INBOUND, 10, 0);
    struct receiver r = { .client = s.client };
    requests(&r, n);
    subject_close(&s);
    return r.failures != 0;
}

static int child_curl(uint16_t port, const char *head, uint64_t n)
{
    struct plain p;
    if (!plain_open(&p, port, head))
        return 1;
    curl_gets(&p, n);
    plain_close(&p);
    return p.failures != 0;
}

static int child_server(void)
{
    printf("%u\n", server_start());
    fflush(stdout);
    while (getchar() != EOF)
        ;
    server_stop();
    return 0;
}

static int child_main(int argc, char **argv)
{
    const char *name = argc > 0 ? argv[0] : "";
    uint64_t n = argc > 1 ? strtoull(argv[argc - 1], NULL, 10) : 0;
    uint16_t port = argc > 1 ? (uint16_t)strtoul(argv[1], NULL, 10) : 0;
    if (strncmp(name, "config", 6) == 0)
        return child_config(name, n);
    if (strcmp(name, "server") == 0)
        return child_server();
    if (strcmp(name, "idle") == 0)
        return child_idle(port, 1);
    if (strcmp(name, "many") == 0)
        return child_idle(0, (uint32_t)n);
    if (strcmp(name, "curl") == 0)
        return child_curl(port, argv[2], n);
    if (strcmp(name, "multi") == 0)
        return child_bare_multi(port, argv[2], n);
    if (strcmp(name, "submitted") == 0)
        return child_submitted(port, n);
    if (strcmp(name, "governed") == 0)
        return child_loop(name, port, n);
    if (strcmp(name, "threads") == 0 || strcmp(name, "steps") == 0)
        return run_child(argc, argv);
    if (strcmp(name, "requests") == 0)
        return child_requests(n);
    return child_loop(name, 0, n);
}

static const char *only; /* NULL: all */

static bool wanted(const char *name)
{
    const char *at = only ? strstr(only, name) : name;
    return at && (at == only || !only || at[-1] == ',');
}

int main(int argc, char **argv)
{
    ssize_t got = readlink("/proc/self/exe", path, sizeof path - 1);
    self_path = got > 0 ? path : argv[0];
    if (argc > 2 && strcmp(argv[1], "--child") == 0)
        return child_main(argc - 2, argv + 2);
    only = argc > 2 && strcmp(argv[1], "--only") == 0 ? argv[2] : NULL;
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++)
        if (wanted(groups[i].name))
            groups[i].run();
    return kept(wanted) ? 0 : 1;
}
