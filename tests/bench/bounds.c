/* SPDX-License-Identifier: Apache-2.0 */
/* bounds.c: which figures are judged. Only those that carry to another machine: counts, and kibibytes of a process less those of another. Times and their ratios are printed and not judged, for
 * they tell as much about who else is on the machine.
 *
 * With CI set a bounded figure that is missing is a failure as well; elsewhere (no valgrind, say) it is not. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bench.h"

static struct bound { const char *group, *name; double most; bool seen; } bounds[] = {
    { "decision", "decision_instr", 1500, false },
    { "decision", "decision_allocs", 0, false },
    { "decision", "decision_shared_rmw", 0, false },
    { "config", "config_read_instr", 200, false },
    { "config", "config_read_allocs", 0, false },
    { "http", "http_instr_over_curl", 1.10, false },
    { "async", "http_async_instr_over_curl", 1.10, false },
    { "memory", "rss_idle_kib", 2048, false },
    { "memory", "rss_10000_kib", 4096, false },
};
#define BOUNDS (sizeof bounds / sizeof *bounds)

static uint32_t wrong;

void figure(const char *name, double value, const char *unit)
{
    printf("figure %s %.*f %s\n", name, value == (double)(long long)value ? 0 : value < 10 ? 3 : 1, value, unit);
    fflush(stdout);
    for (struct bound *b = bounds; b < bounds + BOUNDS; b++) {
        if (strcmp(b->name, name) != 0)
            continue;
        b->seen = true;
        if (value <= b->most)
            continue;
        fprintf(stderr, "bench: %s is %g %s, and may be %g\n", name, value, unit, b->most);
        wrong++;
    }
}

void missing(const char *what, const char *why)
{
    fprintf(stderr, "bench: no %s: %s\n", what, why);
}

void worthless(const char *why)
{
    fprintf(stderr, "bench: %s: the figures are worthless\n", why);
    wrong++;
}

bool kept(bool (*ran)(const char *group))
{
    const char *ci = getenv("CI");
    for (const struct bound *b = bounds; b < bounds + BOUNDS && ci && *ci; b++) {
        if (b->seen || !ran(b->group))
            continue;
        fprintf(stderr, "bench: %s is missing\n", b->name);
        wrong++;
    }
    return wrong == 0;
}
