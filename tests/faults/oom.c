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
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/alloc.h"
#include "base/atomic.h"
#include "base/hash.h"
#include "client/client.h"
#include "client/engine.h"
#include "net/httpd.h"
#include "net/loop.h"

static struct { long requests, fail_at, live; bool forever; uint32_t failed; } oom;
static const char *step = "";
static long points, wrong;
static bool hosted; /* no thread of libmemo's: the scenario drives */

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
static struct { pid_t pid; int ours; uint16_t port; } server;

static void on_request(struct memo__httpd_request *r, void *user)
{
    (void)user;
    memo__httpd_reply_text(r, 200, "text/plain", "hello");
}

static void on_end(struct memo__io *io, uint32_t events, void *user)
{
    (void)io;
    (void)events;
    *(bool *)user = true;
}

static int server_main(int up, int down)
{
    struct memo__loop *loop = NULL;
    struct memo__httpd *httpd = NULL;
    struct memo__io io = { 0 };
    uint16_t port = 0;
    bool over = false;
    bool well = memo__loop_new(&memo__alloc_libc, &memo__host_linux, &loop) == MEMO_OK &&
                memo__httpd_new(&memo__alloc_libc, loop, NULL, on_request, NULL, &httpd) == MEMO_OK &&
                memo__httpd_listen(httpd, "127.0.0.1", &port, NULL) == MEMO_OK && memo__io_start(loop, &io, down, EPOLLIN, on_end, &over) == MEMO_OK &&
                write(up, &port, sizeof port) == sizeof port;
    while (well && !over)
        (void)memo__loop_step(loop, 1000 * MEMO__MS);
    if (io.on)
        memo__io_stop(loop, &io);
    memo__httpd_free(httpd);
    memo__loop_free(loop);
    return !well;
}

static bool server_start(void)
{
    int up[2], down[2];
    if (pipe2(up, O_CLOEXEC) != 0 || pipe2(down, O_CLOEXEC) != 0 || (server.pid = fork()) < 0)
        return false;
    if (server.pid == 0) {
        (void)close(down[1]);
        _exit(server_main(up[1], down[0]));
    }
    (void)close(up[1]);
    (void)close(down[0]);
    server.ours = down[1];
    bool told = read(up[0], &server.port, sizeof server.port) == sizeof server.port;
    (void)close(up[0]);
    return told;
}

static bool server_stop(void)
{
    int status = -1;
    (void)close(server.ours);
    return waitpid(server.pid, &status, 0) == server.pid && status == 0;
}

static int descriptors(void)
{
    int count = 0;
    DIR *d = opendir("/proc/self/fd");
    while (d && readdir(d))
        count++;
    if (d)
        (void)closedir(d);
    return count;
}

static void mistaken(const char *what, long n, bool forever)
{
    (void)printf("oom: %s, allocation %ld%s\n", what, n, forever ? " and on" : "");
    wrong++;
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

static void on_done(memo_status status, memo_http_reply *r, void *user)
{
    (void)r;
    if (!memo_status_refused(status))
        (void)good("memo_http_done_fn", status);
    memo__store((uint32_t *)user, 1u);
}

/* Submitted with a callback, driven by ourselves: it is called back once, whatever fails. */
static void use_callback(memo_client *c, memo_service *s)
{
    memo_http_request q = MEMO_INIT(memo_http_request);
    static uint32_t done; /* also where it comes too late */
    memo__store(&done, 0u);
    struct pollfd ready = { .fd = memo_client_fd(c), .events = POLLIN };
    memo_status status = memo_http_submit(s, &q, on_done, &done, NULL, NULL);
    if (status != MEMO_OK) {
        if (!memo_status_refused(status))
            (void)good("memo_http_submit", status);
        return;
    }
    for (int left = 200; left && !memo__load(&done); left--) {
        (void)poll(&ready, 1, 50); /* 10 s, whoever drives */
        (void)good("memo_client_step", memo_client_step(c));
    }
    if (!memo__load(&done))
        mistaken("a submitted call was not called back", oom.fail_at, oom.forever);
}

static bool wait_for_event(memo_client *c)
{
    struct pollfd ready[2] = { { .fd = memo_event_fd(c), .events = POLLIN }, { .fd = memo_client_fd(c), .events = hosted ? POLLIN : 0 } };
    for (int left = 200; left; left--) {
        if (poll(ready, 2, 50) > 0 && ready[0].revents)
            return true;
        if (hosted)
            (void)good("memo_client_step", memo_client_step(c));
    }
    return false;
}

/* Submitted without a callback, and waited for in events: those of a task are never lost. */
static void use_tasks(memo_client *c, memo_service *s)
{
    memo_http_request q = MEMO_INIT(memo_http_request);
    memo_http_reply r = MEMO_INIT(memo_http_reply);
    memo_http_task *t = NULL;
    memo_event e = MEMO_INIT(memo_event);
    uint32_t n;
    memo_status status = memo_http_submit(s, &q, NULL, NULL, &t, NULL);
    if (status != MEMO_OK) {
        if (!memo_status_refused(status))
            (void)good("memo_http_submit", status);
        return;
    }
    while ((status = memo_http_task_take(t, &r)) == MEMO_E_STATE && wait_for_event(c))
        (void)good("memo_event_take", memo_event_take(c, &e, 1, &n));
    if (status == MEMO_E_STATE)
        mistaken("the end of a task was not told", oom.fail_at, oom.forever);
    if (!memo_status_refused(status))
        (void)good("memo_http_task_take", status);
    memo_http_reply_fini(&r);
    memo_http_task_release(t);
    status = memo_http_submit(s, &q, NULL, NULL, &t, NULL);
    if (!memo_status_refused(status) && good("memo_http_submit", status)) {
        memo_http_cancel(t);
        memo_http_task_release(t);
    }
}

static void use_context(memo_service *s)
{
    const memo_header in[] = { { "traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", 0, 0 } };
    memo_context x = MEMO_INIT(memo_context);
    memo_http_request q = MEMO_INIT(memo_http_request);
    memo_http_reply r = MEMO_INIT(memo_http_reply);
    memo_header out[2];
    char buf[128], id[33], text[4096];
    uint32_t n;
    memo_context_init(&x);
    (void)good("memo_context_extract", memo_context_extract(&x, in, 1));
    (void)good("memo_context_set_deadline", memo_context_set_deadline(&x, 2000));
    (void)good("memo_context_inject", memo_context_inject(&x, buf, sizeof buf, out, 2, &n));
    (void)good("memo_context_get_trace", memo_context_get_trace(&x, id));
    (void)memo_context_get_left_ms(&x);
    q.parent = &x;
    q.method = "POST";
    q.body = "hello";
    q.body_bytes = 5;
    memo_status status = memo_http_perform(s, &q, &r, NULL);
    if (!memo_status_refused(status))
        (void)good("memo_http_perform", status);
    if (r.keep)
        (void)good("memo_http_reply_explain", memo_http_reply_explain(&r, "json", text, sizeof text, NULL));
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
    (void)good("memo_client_step", memo_client_step(c));
    (void)good("memo_client_wait", memo_client_wait(c, memo__load(&oom.failed) ? 50 : 2000, NULL));
    use_views(s);
    use_calls(s);
    use_context(s);
    use_tasks(c, s);
    use_callback(c, s);
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
    memo_setting row = MEMO_INIT(memo_setting);
    (void)good("memo_setting_get", memo_setting_get(0, &row));
    if (!memo_version_has("file") || memo_version_number() != MEMO_VERSION_NUMBER)
        (void)good("memo_version_has", MEMO_E_ARGUMENT);
    if (!good("memo_client_new", memo_client_new(&c, NULL)))
        return;
    (void)good("memo_client_set", memo_client_set(c, "log_level", "error", NULL));
    if (!good("memo_client_set", memo_client_set(c, "registry", registry, NULL)) || !good("memo_client_set", memo_client_set(c, "admin_socket", "none", NULL)))
        goto done;
    (void)good("memo_client_get_setting", memo_client_get_setting(c, "log_level", value, sizeof value, origin, sizeof origin));
    memo_log_set(c, on_line, &lines);
    if (hosted && !good("memo_client_set", memo_client_set(c, "engine_thread", "false", NULL)))
        goto done;
    if (!good("memo_client_start", memo_client_start(c, NULL)))
        goto done;
    use_rules(c);
    if (registers)
        use_registration(c);
    else
        use_service(c);
    if (memo_event_fd(c) < 0)
        (void)good("memo_event_fd", MEMO_E_ARGUMENT);
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
    int open_before = descriptors();
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
        int left = descriptors() - open_before;
        if (left) {
            (void)printf("oom: %d descriptors more than before, allocation %ld%s failed (last step %s)\n", left, n, forever ? " and on" : "", step);
            wrong++;
            open_before += left;
        }
        if (!memo__load(&oom.failed))
            return;
        points++;
        if (wrong > 20)
            return;
    }
}

/* ---- views and rules change ---- */

static const char *const documents[] = {
    "{\"memo\":1,\"services\":{\"todo\":{\"limits\":[{\"name\":\"all\",\"rate\":\"5000/s\",\"by\":\"header:x-a\"}],\"concurrency\":{\"max\":64}}}}",
    "{\"memo\":1,\"services\":{\"todo\":{\"limits\":[{\"name\":\"all\",\"rate\":\"6000/s\",\"by\":\"header:x-b\"}],\"breaker\":{\"scope\":\"instance\"}}}}" };

/* Every byte of what is in force, less what grows by itself: the time of the last confirmation. */
static uint64_t print_view(const struct memo__view *v)
{
    return memo__hash(memo__hash(v->revision, v->entries, v->count * sizeof *v->entries), v->text, v->text_bytes);
}

static uint64_t print_rules(const struct memo__plan *p)
{
    const struct memo__service_rules *s = p->service;
    return memo__hash(memo__hash(p->rules->revision, s->limits, s->limits_count * sizeof *s->limits), s->routes, s->routes_count * sizeof *s->routes);
}

static struct { memo_client *client; memo_service *service; memo_registration *registration; } reload;

/* The label that everybody sees; as the view stands. */
static bool label_is(const char *want)
{
    struct memo__reader *r = memo__reader_enter();
    const struct memo__view *v = memo__load_acquire(&reload.service->governor.plan)->view;
    const char *have = v->count ? memo__view_label(v, &v->entries[0], "round") : NULL;
    bool is = have && strcmp(have, want) == 0;
    memo__reader_leave(r);
    return is;
}

static bool soon(bool (*is)(const char *), const char *want, int ms)
{
    for (; ms > 0 && !is(want); ms--)
        (void)usleep(1000);
    return is(want);
}

static void round_of(long n, bool forever)
{
    struct memo__governor *g = &reload.service->governor;
    char was[32], now[32];
    (void)snprintf(was, sizeof was, "%ld", n - 1);
    (void)snprintf(now, sizeof now, "%ld", n);
    struct memo__reader *r = memo__reader_enter(); /* so that nothing of this is freed meanwhile */
    const struct memo__plan *before = memo__load_acquire(&g->plan);
    uint64_t view = print_view(before->view), rules = print_rules(before);
    oom.requests = 0;
    oom.failed = 0;
    oom.forever = forever;
    memo__store(&oom.fail_at, n);
    memo_status s = memo_rules_apply(reload.client, documents[n % 2], strlen(documents[n % 2]), NULL, 0, NULL, NULL);
    const struct memo__plan *after = memo__load_acquire(&g->plan);
    if (s != MEMO_OK && (s != MEMO_E_NO_MEMORY || after->rules != before->rules || print_rules(after) != rules))
        mistaken("rules that could not be applied changed something", n, forever);
    (void)memo__turn_take();
    bool waits = g->pending; /* the driver's */
    memo__turn_drop();
    if (s == MEMO_OK && after->rules == before->rules && !waits && memo__load_acquire(&g->plan) == before)
        mistaken("rules were said to be in force and are not", n, forever);
    if (print_view(before->view) != view || print_rules(before) != rules)
        mistaken("what readers hold was changed", n, forever);
    memo__reader_leave(r);
    s = memo_registration_set(reload.registration, "label.round", now);
    bool set = s == MEMO_OK;
    if (!set && s != MEMO_E_NO_MEMORY)
        mistaken(memo_status_name(s), n, forever);
    if (!soon(label_is, now, forever || !set ? 20 : 300) && !label_is(was))
        mistaken("a view between two", n, forever);
    memo__store(&oom.fail_at, 0);
    if (!set && memo_registration_set(reload.registration, "label.round", now) != MEMO_OK)
        mistaken("a label cannot be set with memory", n, forever);
    if (!soon(label_is, now, 20000))
        mistaken("the view is not what it should be, although there is memory again", n, forever);
    if (memo_rules_apply(reload.client, documents[n % 2], strlen(documents[n % 2]), NULL, 0, NULL, NULL) != MEMO_OK)
        mistaken("rules cannot be applied with memory", n, forever);
}

static long reload_sweep(const char *registry, bool forever)
{
    long n = 1;
    int open_before = descriptors();
    memo_instance me = MEMO_INIT(memo_instance);
    const memo_header label = { "round", "0", 0, 0 };
    memo_client *c = NULL;
    me.id = "reload";
    me.address = "127.0.0.1";
    me.port = 9;
    me.labels = &label;
    me.labels_count = 1;
    if (memo_client_new(&c, NULL) != MEMO_OK || memo_client_set(c, "registry", registry, NULL) != MEMO_OK || memo_client_set(c, "admin_socket", "none", NULL) != MEMO_OK ||
        memo_client_set(c, "log_level", "none", NULL) != MEMO_OK || memo_client_start(c, NULL) != MEMO_OK ||
        memo_registration_new(c, "todo", &me, &reload.registration, NULL) != MEMO_OK || memo_registration_wait(reload.registration, 10000) != MEMO_OK ||
        memo_service_acquire(c, "todo", &reload.service, NULL) != MEMO_OK || memo_client_wait(c, 10000, NULL) != MEMO_OK) {
        mistaken("no client to reload", 0, forever);
        return 0;
    }
    reload.client = c;
    if (!soon(label_is, "0", 10000))
        mistaken("no view to begin with", 0, forever);
    for (bool failed = true; failed && wrong < 20; n++) {
        round_of(n, forever);
        failed = memo__load(&oom.failed);
    }
    memo_service_release(reload.service);
    memo_registration_free(reload.registration);
    memo_client_free(c);
    if (memo__load(&oom.live)) {
        mistaken("blocks not given back", n, forever);
        oom.live = 0;
    }
    if (descriptors() != open_before)
        mistaken("descriptors left open", n, forever);
    return n - 2;
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
    scenario(registry, true);
    memo__alloc_default = (struct memo__alloc){ oom_get, oom_resize, oom_drop, NULL };
    for (int forever = 0; forever < 2; forever++) {
        sweep(list, false, forever);
        hosted = true;
        sweep(list, false, forever);
        hosted = false;
        sweep(registry, true, forever);
    }
    long reloads = reload_sweep(registry, false);
    reloads += reload_sweep(registry, true);
    if (!server_stop())
        mistaken("the server did not end well", 0, false);
    char command[64];
    (void)snprintf(command, sizeof command, "rm -rf %s", directory);
    (void)!system(command);
    (void)printf("figure oom_points %ld points\nfigure oom_reload_points %ld points\n", points, reloads);
    (void)printf("%d passed, %ld failed\n", wrong == 0, wrong);
    return wrong != 0;
}
