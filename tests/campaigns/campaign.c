/* SPDX-License-Identifier: Apache-2.0 */
/* campaign.c: see campaign.h. */
#define _GNU_SOURCE
#include "campaign.h"
#include "tests/unit/process.h"
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "base/atomic.h"
#include "net/httpd.h"
#include "net/loop.h"

long campaign_wrong;
const char *campaign_ttl = "1s";
static char dir[64];
static pid_t owner;

void campaign_fail(const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (memo__fetch_add(&campaign_wrong, 1) < 20)
        (void)printf("    %s\n", text);
}

const char *campaign_dir(void)
{
    if (!dir[0]) {
        (void)snprintf(dir, sizeof dir, "/tmp/memo-campaign-XXXXXX");
        if (!mkdtemp(dir))
            exit(1);
        owner = getpid();
        (void)setenv("XDG_RUNTIME_DIR", dir, 1);
    }
    return dir;
}

const char *campaign_path(const char *name)
{
    static _Thread_local char paths[4][160];
    static _Thread_local int next;
    char *path = paths[next++ % 4];
    (void)snprintf(path, sizeof paths[0], "%s/%s", campaign_dir(), name);
    return path;
}

/* ---- a server ---- */

static struct { struct memo__loop *loop; struct memo__httpd *httpd; pthread_t thread; uint32_t stop; uint16_t port; } server;

static void on_request(struct memo__httpd_request *r, void *user)
{
    (void)user;
    memo__httpd_reply_text(r, 200, "text/plain", "hello");
}

static void *server_main(void *user)
{
    while (!memo__load(&server.stop))
        (void)memo__loop_step(server.loop, 100 * MEMO__MS);
    return user;
}

uint16_t campaign_server(void)
{
    if (!server.port && (memo__loop_new(&memo__alloc_libc, &memo__host_linux, &server.loop) != MEMO_OK ||
                         memo__httpd_new(&memo__alloc_libc, server.loop, NULL, on_request, NULL, &server.httpd) != MEMO_OK ||
                         memo__httpd_listen(server.httpd, "127.0.0.1", &server.port, NULL) != MEMO_OK ||
                         pthread_create(&server.thread, NULL, server_main, NULL) != 0))
        exit(1);
    return server.port;
}

static void server_end(void)
{
    if (!server.port)
        return;
    memo__store(&server.stop, 1u);
    memo__loop_wake(server.loop);
    (void)pthread_join(server.thread, NULL);
    memo__httpd_free(server.httpd);
    memo__loop_free(server.loop);
}

/* ---- clients ---- */

memo_client *campaign_client(const char *rules)
{
    memo_client *c = NULL;
    memo_error e = MEMO_INIT(memo_error);
    char url[128];
    (void)snprintf(url, sizeof url, "file://%s/registry?sync=off&ttl=%s", campaign_dir(), campaign_ttl);
    if (memo_client_new(&c, &e) != MEMO_OK || memo_client_set(c, "registry", url, &e) != MEMO_OK || memo_client_set(c, "admin_socket", "none", &e) != MEMO_OK ||
        memo_client_set(c, "cache", "false", &e) != MEMO_OK || memo_client_set(c, "log_level", "none", &e) != MEMO_OK ||
        memo_client_set(c, "rules", rules, &e) != MEMO_OK || memo_client_start(c, &e) != MEMO_OK) {
        (void)printf("    no client: %s\n", e.message);
        exit(1);
    }
    return c;
}

memo_registration *campaign_register(memo_client *c, const char *service, const char *id)
{
    memo_registration *r = NULL;
    memo_instance me = MEMO_INIT(memo_instance);
    memo_error e = MEMO_INIT(memo_error);
    me.id = id;
    me.address = "127.0.0.1";
    me.port = campaign_server();
    if (memo_registration_new(c, service, &me, &r, &e) != MEMO_OK || memo_registration_wait(r, 20000) != MEMO_OK) {
        (void)printf("    no registration: %s\n", e.message);
        exit(1);
    }
    return r;
}

memo_service *campaign_service(memo_client *c, const char *name, uint32_t endpoints)
{
    memo_service *s = NULL;
    memo_view *v = NULL;
    memo_view_facts f = MEMO_INIT(memo_view_facts);
    double until = campaign_now() + 20;
    MUST(memo_service_acquire(c, name, &s, NULL) == MEMO_OK && memo_client_wait(c, 20000, NULL) == MEMO_OK);
    while (memo_view_acquire(s, &v) == MEMO_OK) {
        MUST(memo_view_get_facts(v, &f) == MEMO_OK);
        memo_view_release(v);
        if (f.count == endpoints || campaign_now() > until)
            break;
        campaign_pause(0.001);
    }
    MUST(f.count == endpoints);
    return s;
}

memo_status campaign_call(memo_service *s, int32_t http, memo_attempt *a)
{
    memo_call k = MEMO_INIT(memo_call);
    memo_call_facts f = MEMO_INIT(memo_call_facts);
    memo_attempt own = MEMO_INIT(memo_attempt);
    memo_outcome o = MEMO_INIT(memo_outcome);
    int32_t again = 1;
    f.method = "GET";
    f.path = "/todos/7";
    a = a ? a : &own;
    a->size = sizeof *a;
    memo_status status = memo_call_begin(&k, s, &f);
    while (status == MEMO_OK && again) {
        if ((status = memo_call_next(&k, a)) != MEMO_OK)
            break;
        o.http_status = http;
        status = memo_call_report(&k, a, &o, &again);
    }
    memo_call_end(&k);
    return status;
}

memo_status campaign_get(memo_service *s)
{
    memo_http_reply reply = MEMO_INIT(memo_http_reply);
    memo_status status = memo_http_get(s, "/hello", &reply, NULL);
    if (status == MEMO_OK && (reply.status != 200 || strcmp(reply.body, "hello") != 0))
        status = MEMO_E_PROTOCOL;
    memo_http_reply_fini(&reply);
    return status;
}

/* ---- small things ---- */

uint64_t campaign_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

double campaign_now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void campaign_pause(double seconds)
{
    struct timespec t = { (time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9) };
    (void)nanosleep(&t, NULL);
}

int campaign_leaked(int before)
{
    double until = campaign_now() + 5;
    while (process_descriptors() > before && campaign_now() < until)
        campaign_pause(0.01);
    return process_descriptors() - before;
}

int campaign_end(void)
{
    char command[96];
    server_end();
    (void)snprintf(command, sizeof command, "rm -rf %s", dir);
    if (dir[0] && owner == getpid())
        (void)!system(command);
    (void)printf("%d passed, %ld failed\n", campaign_wrong == 0, campaign_wrong);
    return campaign_wrong != 0;
}
