/* SPDX-License-Identifier: Apache-2.0 */
/* oom.c: every allocation of ours fails, once and for ever, in every public function.
 *
 * A scenario that goes through the whole API is run again and again; in round n the nth allocation fails (then: all from the nth on). Whatever happens, every answer is a documented status, nothing
 * crashes or hangs, everything can be freed, and every byte and every descriptor is given back. What the dependencies allocate is another campaign's matter.
 *
 * Then views and rules change while memory is short: what was good stays, to the byte, until the change can be made as a whole; and it is made once there is memory again.
 *
 * Prints `figure oom_points N points`, `figure oom_reload_points N points`. */
#define _GNU_SOURCE
#include <memo/memo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/alloc.h"
#include "base/atomic.h"
#include "scenario.h"
#include "tests/unit/process.h"

static struct { long requests, fail_at, live; bool forever; uint32_t failed; } oom;
static long points;

static bool has_failed(void) { return memo__load(&oom.failed); }
static void tell_where(char *text, size_t n) { (void)snprintf(text, n, "allocation %ld%s", oom.fail_at, oom.forever ? " and on" : ""); }

static bool fail_now(void)
{
    long n = __atomic_add_fetch(&oom.requests, 1, __ATOMIC_RELAXED), at = memo__load(&oom.fail_at);
    bool fail = at && (oom.forever ? n >= at : n == at);
    if (fail)
        memo__store(&oom.failed, 1);
    return fail;
}

static void *oom_get(void *user, size_t bytes)
{
    (void)user;
    void *p = fail_now() ? NULL : calloc(1, bytes ? bytes : 1);
    if (p)
        (void)memo__fetch_add(&oom.live, 1);
    return p;
}

static void *oom_resize(void *user, void *p, size_t bytes)
{
    (void)user;
    void *moved = fail_now() ? NULL : realloc(p, bytes ? bytes : 1);
    if (moved && !p)
        (void)memo__fetch_add(&oom.live, 1);
    return moved;
}

static void oom_drop(void *user, void *p)
{
    (void)user;
    (void)memo__fetch_sub(&oom.live, 1);
    free(p);
}

/* A server in a process of its own, so that its descriptors are not counted among ours; it ends when our end of the pipe is closed. */
static void sweep(const char *registry, bool registers, bool forever)
{
    int open_before = process_descriptors();
    for (long n = 1;; n++) {
        oom.requests = 0;
        oom.failed = 0;
        oom.forever = forever;
        memo__store(&oom.fail_at, n);
        scenario(registry, registers);
        memo__store(&oom.fail_at, 0);
        if (memo__load(&oom.live)) {
            scenario_mistaken("%ld blocks not given back", oom.live);
            oom.live = 0;
        }
        int left = process_descriptors() - open_before;
        if (left) {
            scenario_mistaken("%d descriptors more than before", left);
            open_before += left;
        }
        if (!memo__load(&oom.failed))
            return;
        points++;
        if (scenario_wrong > 20)
            return;
    }
}

/* ---- views and rules change ---- */

static long armed_at;

static void arm(void)
{
    oom.requests = 0;
    oom.failed = 0;
    memo__store(&oom.fail_at, armed_at);
}

static void disarm(void) { memo__store(&oom.fail_at, 0); }

static long reload_sweep(const char *registry, bool forever)
{
    int open_before = process_descriptors();
    oom.forever = forever;
    if (!scenario_stage_open(registry))
        return 0;
    armed_at = 0;
    do {
        armed_at++;
        scenario_stage_round(arm, disarm, forever);
    } while (memo__load(&oom.failed) && scenario_wrong < 20);
    scenario_stage_close();
    if (memo__load(&oom.live)) {
        scenario_mistaken("blocks not given back");
        oom.live = 0;
    }
    if (process_descriptors() != open_before)
        scenario_mistaken("descriptors left open");
    return armed_at - 1;
}

int main(void)
{
    char directory[] = "/tmp/memo-oom-XXXXXX", registry[128], list[128];
    scenario_failed = has_failed;
    scenario_where = tell_where;
    if (!mkdtemp(directory) || !scenario_server_start())
        return 1;
    (void)setenv("XDG_RUNTIME_DIR", directory, 1);
    if (!scenario_config(directory))
        return 1;
    (void)snprintf(registry, sizeof registry, "file://%s/registry?sync=off", directory);
    (void)snprintf(list, sizeof list, "static:todo=127.0.0.1:%u|127.0.0.1:%u", scenario_port, scenario_port);
    scenario(list, false); /* what is initialised once in a process, is now */
    scenario(registry, true);
    memo__alloc_default = (struct memo__alloc){ oom_get, oom_resize, oom_drop, NULL };
    for (int forever = 0; forever < 2; forever++) {
        sweep(list, false, forever);
        scenario_hosted = true;
        sweep(list, false, forever);
        scenario_hosted = false;
        sweep(registry, true, forever);
    }
    long reloads = reload_sweep(registry, false);
    reloads += reload_sweep(registry, true);
    if (!scenario_server_stop())
        scenario_mistaken("the server did not end well");
    char command[64];
    (void)snprintf(command, sizeof command, "rm -rf %s", directory);
    (void)!system(command);
    (void)printf("figure oom_points %ld points\nfigure oom_reload_points %ld points\n", points, reloads);
    (void)printf("%d passed, %ld failed\n", scenario_wrong == 0, scenario_wrong);
    return scenario_wrong != 0;
}
