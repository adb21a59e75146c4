/* SPDX-License-Identifier: Apache-2.0 */
/* oom.c: every allocation of ours fails, once and for ever, in every public function.
 *
 * A scenario that goes through the whole API is run again and again; in round n the nth allocation fails (then: all from the nth on). Whatever happens, every answer is a documented status, nothing
 * crashes or hangs, everything can be freed, and every byte is given back. What the dependencies allocate is another campaign's matter.
 *
 * Prints `figure oom_points N points`. */
#define _GNU_SOURCE
#include <memo/memo.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/alloc.h"
#include "base/atomic.h"
#include "net/httpd.h"
#include "net/loop.h"

static struct { long requests, fail_at, live; bool forever; uint32_t failed; } oom;
static const char *step = "";
static long points, wrong;

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

/* A server on a thread of its own, with libc's allocator. */
static struct { struct memo__loop *loop; struct memo__httpd *httpd; pthread_t thread; uint32_t stop; uint16_t port; } server;

static void on_request(struct memo__httpd_request *r, void *user)
{
    (void)user;
    memo__httpd_reply_text(r, 200, "text/plain", "hello");
}

static void *server_main(void *user)
{
    while (!memo__load(&server.stop))
        (void)memo__loop_step(server.loop, 20 * MEMO__MS);
    return user;
}

static bool server_start(void)
{
    return memo__loop_new(&memo__alloc_libc, &memo__host_linux, &server.loop) == MEMO_OK &&
           memo__httpd_new(&memo__alloc_libc, server.loop, NULL, on_request, NULL, &server.httpd) == MEMO_OK &&
           memo__httpd_listen(server.httpd, "127.0.0.1", &server.port, NULL) == MEMO_OK && pthread_create(&server.thread, NULL, server_main, NULL) == 0;
}

static void server_stop(void)
{
    memo__store(&server.stop, 1);
    memo__loop_wake(server.loop);
    (void)pthread_join(server.thread, NULL);
    memo__httpd_free(server.httpd);
    memo__loop_free(server.loop);
}

/* A status that is no name of ours, or an argument error where the arguments are good, is a mistake. */
static bool good(const char *what, memo_status s)
{
    step = what;
    if (strstr(memo_status_name(s), "?") || s == MEMO_E_ARGUMENT || (s != MEMO_OK && !memo__load(&oom.failed))) {
        (void)printf("oom: %s answered %s at allocation %ld%s\n", what, memo_status_name(s), oom.fail_at, oom.forever ? " and on" : "");
        wrong++;
    }
    return s == MEMO_OK;
}

static void discard(const char *bytes, size_t n, void *user)
{
    (void)bytes;
    *(size_t *)user += n;
}

static void on_line(int32_t level, const char *line, void *user)
{
    (void)level;
    (void)line;
    (void)memo__fetch_add((uint32_t *)user, 1);
}

static void use_views(memo_service *s)
{
    memo_view *v = NULL;
    memo_view_facts facts = MEMO_INIT(memo_view_facts);
    memo_endpoint e = MEMO_INIT(memo_endpoint);
    if (good("memo_view_acquire", memo_view_acquire(s, &v))) {
        (void)good("memo_view_get_facts", memo_view_get_facts(v, &facts));
        if (facts.count)
            (void)good("memo_view_get", memo_view_get(v, 0, &e));
        (void)memo_view_get_label(v, 0, "version");
        memo_view_release(v);
    }
    v = NULL;
    if (good("memo_service_read", memo_service_read(s, 2000, &v, NULL)))
        memo_view_release(v);
}

static void use_calls(memo_service *s)
{
    memo_call k = MEMO_INIT(memo_call);
    memo_call_facts f = MEMO_INIT(memo_call_facts);
    memo_attempt a = MEMO_INIT(memo_attempt);
    memo_outcome o = MEMO_INIT(memo_outcome);
    memo_header out[8];
    char buf[256], text[4096];
    uint32_t n;
    int32_t again;
    f.method = "GET";
    f.path = "/todos/7";
    if (memo_call_begin(&k, s, &f) == MEMO_OK && memo_call_next(&k, &a) == MEMO_OK) {
        (void)good("memo_call_inject", memo_call_inject(&k, &a, buf, sizeof buf, out, 8, &n));
        o.http_status = 200;
        (void)good("memo_call_report", memo_call_report(&k, &a, &o, &again));
    }
    (void)good("memo_call_explain", memo_call_explain(&k, "text", text, sizeof text, NULL));
    memo_call_end(&k);
    memo_http_reply r = MEMO_INIT(memo_http_reply);
    memo_status s1 = memo_http_get(s, "/hello", &r, NULL);
    if (!memo_status_refused(s1))
        (void)good("memo_http_get", s1);
    if (s1 == MEMO_OK)
        (void)memo_http_reply_get(&r, "content-type");
    memo_http_reply_fini(&r);
}

static void use_service(memo_client *c)
{
    memo_service *s = NULL;
    char names[256];
    size_t need;
    if (!good("memo_service_acquire", memo_service_acquire(c, "todo", &s, NULL)))
        return;
    (void)good("memo_service_watch", memo_service_watch(s, 1));
    (void)good("memo_service_wants", memo_service_wants(s, names, sizeof names, &need));
    (void)good("memo_client_wait", memo_client_wait(c, memo__load(&oom.failed) ? 50 : 2000, NULL));
    use_views(s);
    use_calls(s);
    memo_service_release(s);
}

static void use_registration(memo_client *c)
{
    memo_registration *r = NULL;
    memo_header label = { "version", "v1", 0, 0 };
    memo_instance me = MEMO_INIT(memo_instance);
    me.address = "127.0.0.1";
    me.port = server.port;
    me.labels = &label;
    me.labels_count = 1;
    if (!good("memo_registration_new", memo_registration_new(c, "todo", &me, &r, NULL)))
        return;
    (void)good("memo_registration_wait", memo_registration_wait(r, memo__load(&oom.failed) ? 200 : 5000));
    use_service(c);
    (void)good("memo_registration_set", memo_registration_set(r, "label.version", "v2"));
    (void)memo_registration_holds(r, memo_registration_get_token(r));
    (void)good("memo_registration_withdraw", memo_registration_withdraw(r, memo__load(&oom.failed) ? 200 : 5000, NULL));
    memo_registration_free(r);
}

static void use_rules(memo_client *c)
{
    static const char rules[] = "{\"memo\":1,\"services\":{\"todo\":{\"timeout\":\"800ms\",\"limits\":[{\"name\":\"all\",\"rate\":\"5000/s\"}],"
                                "\"breaker\":{\"window\":\"10s\",\"openWhen\":{\"failed\":\"50%\"}},\"concurrency\":{\"max\":64},"
                                "\"routes\":[{\"name\":\"canary\",\"when\":{\"header\":{\"x-canary\":\"1\"}},\"to\":[{\"subset\":{\"version\":\"v2\"},\"weight\":1}]}]}}}";
    char report[1024];
    (void)good("memo_rules_check", memo_rules_check(rules, sizeof rules - 1, report, sizeof report, NULL, NULL));
    if (c)
        (void)good("memo_rules_apply", memo_rules_apply(c, rules, sizeof rules - 1, report, sizeof report, NULL, NULL));
}

static void scenario(const char *registry, bool registers)
{
    memo_client *c = NULL;
    memo_event events[8];
    char names[512], value[64], origin[64];
    size_t need, written = 0;
    uint32_t n, lines = 0;
    if (!good("memo_client_new", memo_client_new(&c, NULL)))
        return;
    (void)good("memo_client_set", memo_client_set(c, "log_level", "error", NULL));
    if (!good("memo_client_set", memo_client_set(c, "registry", registry, NULL)) || !good("memo_client_set", memo_client_set(c, "admin_socket", "none", NULL)))
        goto done;
    (void)good("memo_client_get_setting", memo_client_get_setting(c, "log_level", value, sizeof value, origin, sizeof origin));
    memo_log_set(c, on_line, &lines);
    if (!good("memo_client_start", memo_client_start(c, NULL)))
        goto done;
    use_rules(c);
    if (registers)
        use_registration(c);
    else
        use_service(c);
    (void)good("memo_client_list_services", memo_client_list_services(c, names, sizeof names, &need));
    (void)good("memo_metrics_write", memo_metrics_write(c, discard, &written));
    events[0].size = sizeof events[0];
    (void)good("memo_event_take", memo_event_take(c, events, 8, &n));
    (void)good("memo_client_drain", memo_client_drain(c, 500));
done:
    memo_log_set(c, NULL, NULL);
    memo_client_free(c);
}

static void sweep(const char *registry, bool registers, bool forever)
{
    for (long n = 1;; n++) {
        oom.requests = 0;
        oom.failed = 0;
        oom.forever = forever;
        memo__store(&oom.fail_at, n);
        scenario(registry, registers);
        memo__store(&oom.fail_at, 0);
        if (memo__load(&oom.live)) {
            (void)printf("oom: %ld blocks not given back, allocation %ld%s failed (last step %s)\n", oom.live, n, forever ? " and on" : "", step);
            wrong++;
            oom.live = 0;
        }
        if (!memo__load(&oom.failed))
            return;
        points++;
        if (wrong > 20)
            return;
    }
}

int main(void)
{
    char directory[] = "/tmp/memo-oom-XXXXXX", registry[128], list[128];
    if (!mkdtemp(directory) || !server_start())
        return 1;
    (void)setenv("XDG_RUNTIME_DIR", directory, 1);
    (void)snprintf(registry, sizeof registry, "file://%s/registry?sync=off", directory);
    (void)snprintf(list, sizeof list, "static:todo=127.0.0.1:%u|127.0.0.1:%u", server.port, server.port);
    scenario(list, false); /* what is initialised once in a process, is now */
    memo__alloc_default = (struct memo__alloc){ oom_get, oom_resize, oom_drop, NULL };
    for (int forever = 0; forever < 2; forever++) {
        sweep(list, false, forever);
        sweep(registry, true, forever);
    }
    server_stop();
    char command[64];
    (void)snprintf(command, sizeof command, "rm -rf %s", directory);
    (void)!system(command);
    (void)printf("figure oom_points %ld points\n", points);
    (void)printf("%d passed, %ld failed\n", wrong == 0, wrong);
    return wrong != 0;
}
