/* SPDX-License-Identifier: Apache-2.0 */
/* stage.c: see stage.h. Waiting is waiting for events, never for time. */
#define _GNU_SOURCE
#include "stage.h"
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static char dir[64];

const char *stage_dir(void)
{
    if (!dir[0]) {
        (void)snprintf(dir, sizeof dir, "/tmp/memo-client-XXXXXX");
        ck_assert_ptr_nonnull(mkdtemp(dir));
    }
    return dir;
}

const char *stage_path(const char *name)
{
    static char paths[8][160];
    static int next;
    char *path = paths[next++ % 8];
    (void)snprintf(path, sizeof paths[0], "%s/%s", stage_dir(), name);
    return path;
}

const char *stage_registry(void)
{
    static char url[160];
    (void)snprintf(url, sizeof url, "file://%s/registry?sync=off", stage_dir());
    if (access(stage_path("registry"), F_OK) != 0) {
        memo_client *c = stage_started("registry", url);
        memo_registration *r = stage_register(c, "founder", "f", 1);
        ck_assert_int_eq(memo_registration_withdraw(r, 10000, NULL), MEMO_OK);
        memo_registration_free(r);
        memo_client_free(c);
    }
    return url;
}

const char *stage_away(void)
{
    static char url[160];
    stage_write("no-directory", "");
    (void)snprintf(url, sizeof url, "file://%s/no-directory/registry", stage_dir());
    return url;
}

void stage_write(const char *name, const char *text)
{
    FILE *f = fopen(stage_path(name), "w");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_ge(fputs(text, f), 0);
    ck_assert_int_eq(fclose(f), 0);
}

void stage_dir_remove(void)
{
    char command[128];
    if (!dir[0])
        return;
    (void)snprintf(command, sizeof command, "rm -rf %s", dir);
    ck_assert_int_eq(system(command), 0);
    dir[0] = '\0';
}

static bool wait_for(memo_client *c, const struct timespec *until)
{
    struct timespec now;
    struct pollfd ready = { .fd = memo_event_fd(c), .events = POLLIN };
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t left = (until->tv_sec - now.tv_sec) * 1000 + (until->tv_nsec - now.tv_nsec) / 1000000;
    return left > 0 && poll(&ready, 1, (int)left) > 0;
}

memo_event stage_event(memo_client *c, int32_t kind, const char *text)
{
    struct timespec until;
    memo_event e = MEMO_INIT(memo_event);
    uint32_t n;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += 10;
    for (;;) {
        ck_assert_int_eq(memo_event_take(c, &e, 1, &n), MEMO_OK);
        if (n && e.kind == kind && (!text || strstr(e.text, text)))
            return e;
        if (!n)
            ck_assert_msg(wait_for(c, &until), "no event of kind %d with \"%s\" within 10 s", kind, text ? text : "");
    }
}

uint32_t stage_events(memo_client *c, int32_t kind)
{
    memo_event e = MEMO_INIT(memo_event);
    uint32_t n, count = 0;
    for (;;) {
        ck_assert_int_eq(memo_event_take(c, &e, 1, &n), MEMO_OK);
        if (!n)
            return count;
        count += e.kind == kind;
    }
}

memo_registration *stage_register(memo_client *c, const char *service, const char *id, uint16_t port)
{
    memo_registration *r = NULL;
    memo_instance me = MEMO_INIT(memo_instance);
    memo_error e = MEMO_INIT(memo_error);
    me.id = id;
    me.address = "127.0.0.1";
    me.port = port;
    ck_assert_msg(memo_registration_new(c, service, &me, &r, &e) == MEMO_OK, "%s", e.message);
    ck_assert_int_eq(memo_registration_wait(r, 10000), MEMO_OK);
    return r;
}

memo_service *stage_service(memo_client *c, const char *name)
{
    memo_service *s = NULL;
    memo_error e = MEMO_INIT(memo_error);
    ck_assert_msg(memo_service_acquire(c, name, &s, &e) == MEMO_OK, "%s", e.message);
    ck_assert_int_eq(memo_service_watch(s, 1), MEMO_OK);
    ck_assert_msg(memo_client_wait(c, 10000, &e) == MEMO_OK, "%s", e.message);
    return s;
}

memo_view *stage_view(memo_client *c, memo_service *s, uint32_t count)
{
    memo_view *v = NULL;
    memo_view_facts f = MEMO_INIT(memo_view_facts);
    for (;;) {
        ck_assert_int_eq(memo_view_acquire(s, &v), MEMO_OK);
        ck_assert_int_eq(memo_view_get_facts(v, &f), MEMO_OK);
        if (f.count == count)
            return v;
        memo_view_release(v);
        (void)stage_event(c, MEMO_EVENT_VIEW, NULL);
    }
}
