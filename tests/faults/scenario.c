/* SPDX-License-Identifier: Apache-2.0 */
/* scenario.c: see scenario.h. */
#define _GNU_SOURCE
#include "scenario.h"
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
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

bool (*scenario_failed)(void);
void (*scenario_where)(char *text, size_t n);
long scenario_wrong, scenario_live;
bool scenario_hosted;

static const char *step = ""; /* the last function that was called: by whichever thread */

void scenario_mistaken(const char *format, ...)
{
    char what[256], where[128] = "";
    va_list args;
    va_start(args, format);
    (void)vsnprintf(what, sizeof what, format, args);
    va_end(args);
    scenario_where(where, sizeof where);
    if (memo__fetch_add(&scenario_wrong, 1) < 20)
        (void)printf("    %s: %s (last step %s)\n", where, what, memo__load(&step));
    (void)fflush(stdout);
}

static struct { pid_t pid; int ours; } server;
uint16_t scenario_port;

static void on_request(struct memo__httpd_request *r, void *user)
{
    (void)user;
    bool config_asked = memo__text_is(memo__httpd_path(r), "/app.json");
    memo__httpd_reply_text(r, 200, config_asked ? "application/json" : "text/plain", config_asked ? "{ \"db\": { \"url\": \"x\" } }" : "hello");
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

bool scenario_server_start(void)
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
    bool told = read(up[0], &scenario_port, sizeof scenario_port) == sizeof scenario_port;
    (void)close(up[0]);
    return told;
}

bool scenario_server_stop(void)
{
    int status = -1;
    (void)close(server.ours);
    return waitpid(server.pid, &status, 0) == server.pid && status == 0;
}

static void *counted_get(void *user, size_t bytes)
{
    (void)user;
    void *p = calloc(1, bytes ? bytes : 1);
    if (p)
        (void)memo__fetch_add(&scenario_live, 1);
    return p;
}

static void *counted_resize(void *user, void *p, size_t bytes)
{
    (void)user;
    void *moved = realloc(p, bytes ? bytes : 1);
    if (moved && !p)
        (void)memo__fetch_add(&scenario_live, 1);
    return moved;
}

static void counted_drop(void *user, void *p)
{
    (void)user;
    (void)memo__fetch_sub(&scenario_live, 1);
    free(p);
}

const struct memo__alloc scenario_alloc = { counted_get, counted_resize, counted_drop, NULL };

/* A status that is no name of ours, or an argument error where the arguments are good, is a mistake. */
static bool good(const char *what, memo_status s)
{
    memo__store(&step, what);
    if (strstr(memo_status_name(s), "?") || s == MEMO_E_ARGUMENT || (s != MEMO_OK && !scenario_failed()))
        scenario_mistaken("%s answered %s", what, memo_status_name(s));
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
    for (memo__instant until = memo__after(memo__clock_now(), 10 * MEMO__S); !memo__load(&done) && memo__clock_now() < until;) {
        (void)poll(&ready, 1, 50); /* whoever drives; it may be what fails */
        (void)good("memo_client_step", memo_client_step(c));
    }
    if (!memo__load(&done))
        scenario_mistaken("a submitted call was not called back");
}

static bool wait_for_event(memo_client *c)
{
    struct pollfd ready[2] = { { .fd = memo_event_fd(c), .events = POLLIN }, { .fd = memo_client_fd(c), .events = scenario_hosted ? POLLIN : 0 } };
    for (memo__instant until = memo__after(memo__clock_now(), 10 * MEMO__S); memo__clock_now() < until;) {
        if (poll(ready, 2, 50) > 0 && ready[0].revents)
            return true;
        if (scenario_hosted)
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
        scenario_mistaken("the end of a task was not told");
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
    (void)good("memo_context_set_baggage", memo_context_set_baggage(&x, "tenant", "blue"));
    (void)good("memo_context_get_baggage", memo_context_get_baggage(&x, "tenant", id, sizeof id, NULL));
    (void)good("memo_context_inject_carried", memo_context_inject_carried(&x, buf, sizeof buf, out, 2, &n));
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

static void use_inbound(memo_client *c)
{
    const memo_header in[] = { { "x-user", "ann", 0, 0 }, { "baggage", "tenant=blue", 0, 0 } };
    memo_inbound i = MEMO_INIT(memo_inbound);
    memo_inbound_facts f = MEMO_INIT(memo_inbound_facts);
    memo_inbound_reply r = MEMO_INIT(memo_inbound_reply);
    memo_outcome o = MEMO_INIT(memo_outcome);
    char names[1280];
    (void)good("memo_inbound_wants", memo_inbound_wants(c, names, sizeof names, NULL));
    f.headers = in;
    f.headers_count = 2;
    o.http_status = 200;
    for (int n = 0; n < 3; n++) { /* the last one is refused, if the rules are those of use_rules */
        memo_status s = memo_inbound_enter(&i, c, &f);
        if (!memo_status_refused(s))
            (void)good("memo_inbound_enter", s);
        else
            (void)good("memo_inbound_get_reply", memo_inbound_get_reply(&i, &r));
        memo_inbound_leave(&i, &o);
    }
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
    (void)good("memo_client_wait", memo_client_wait(c, scenario_failed() ? 50 : 2000, NULL));
    use_views(s);
    use_calls(s);
    use_context(s);
    use_tasks(c, s);
    use_callback(c, s);
    memo_service_release(s);
}

/* Long enough on a busy machine, and not long once something has failed. */
static memo_status acknowledged(memo_registration *r)
{
    memo_status s = MEMO_E_TIMEOUT;
    for (int i = 0; i < 100 && s == MEMO_E_TIMEOUT && (i < 4 || !scenario_failed()); i++)
        s = memo_registration_wait(r, 50);
    return s;
}

static void use_registration(memo_client *c)
{
    memo_registration *r = NULL;
    memo_header label = { "version", "v1", 0, 0 };
    memo_instance me = MEMO_INIT(memo_instance);
    me.address = "127.0.0.1";
    me.port = scenario_port;
    me.labels = &label;
    me.labels_count = 1;
    if (!good("memo_registration_new", memo_registration_new(c, "todo", &me, &r, NULL)))
        return;
    (void)good("memo_registration_wait", acknowledged(r));
    use_service(c);
    (void)good("memo_registration_set", memo_registration_set(r, "label.version", "v2"));
    (void)memo_registration_holds(r, memo_registration_get_token(r));
    (void)good("memo_registration_withdraw", memo_registration_withdraw(r, scenario_failed() ? 200 : 5000, NULL));
    memo_registration_free(r);
}

static void use_rules(memo_client *c)
{
    static const char rules[] = "{\"memo\":1,\"inbound\":{\"limits\":[{\"name\":\"users\",\"rate\":\"2/m\",\"burst\":2,\"by\":\"header:x-user\"}],"
                                "\"concurrency\":{\"max\":64},\"shed\":{}},"
                                "\"services\":{\"todo\":{\"timeout\":\"800ms\",\"limits\":[{\"name\":\"all\",\"rate\":\"5000/s\"}],"
                                "\"breaker\":{\"window\":\"10s\",\"openWhen\":{\"failed\":\"50%\"}},\"concurrency\":{\"max\":64},"
                                "\"routes\":[{\"name\":\"canary\",\"when\":{\"header\":{\"x-canary\":\"1\"}},\"to\":[{\"subset\":{\"version\":\"v2\"},\"weight\":1}]}]}}}";
    char report[1024];
    (void)good("memo_rules_check", memo_rules_check(rules, sizeof rules - 1, report, sizeof report, NULL, NULL));
    if (c)
        (void)good("memo_rules_apply", memo_rules_apply(c, rules, sizeof rules - 1, report, sizeof report, NULL, NULL));
}

static char config[192]; /* sources of configuration values; none: the test wants none */

bool scenario_config(const char *directory)
{
    char path[128];
    (void)snprintf(config, sizeof config, "file://%s/app.json,http://127.0.0.1:%u/app.json,env:OOMTEST_", directory, scenario_port);
    (void)snprintf(path, sizeof path, "%s/app.json", directory);
    FILE *f = fopen(path, "w");
    return f && fputs("{ \"db\": { \"url\": \"y\", \"max\": 5 } }", f) >= 0 && fclose(f) == 0 && setenv("OOMTEST_DB_MAX", "10", 1) == 0;
}

static int check_config(const memo_config *g, char *why, size_t n, void *user)
{
    (void)why, (void)n, (void)user;
    return memo_config_get_int(g, "db.max", 0) < 0;
}

static void use_config(memo_client *c)
{
    memo_config *g = NULL;
    memo_config_facts facts = MEMO_INIT(memo_config_facts);
    char origin[256];
    (void)good("memo_client_wait", memo_client_wait(c, scenario_failed() ? 20 : 5000, NULL)); /* one of the sources is behind a URL */
    if (!good("memo_config_watch", memo_config_watch(c, "db", 1)) || !good("memo_config_acquire", memo_config_acquire(c, &g)))
        return;
    (void)good("memo_config_get_facts", memo_config_get_facts(g, &facts));
    if (memo_config_get_key(g, "db", 0)) {
        (void)good("memo_config_get_origin", memo_config_get_origin(g, "db.url", origin, sizeof origin));
        (void)good("memo_config_expect", memo_config_expect(g, "db.max", "int", NULL));
        if (strcmp(memo_config_get_text(g, "db.url", ""), "x") != 0 || memo_config_get_int(g, "db.max", 0) != 10 ||
            memo_config_get_bool(g, "db.max", 7) != 7 ||
            memo_config_get_ms(g, "db.max", 0) != 10 || memo_config_get_bytes(g, "db.max", 0) != 10 || memo_config_get_number(g, "db.max", 0) < 9 ||
                memo_config_is_secret(g, "db.max"))
            (void)good("memo_config_get_text", MEMO_E_ARGUMENT);
    } else if (facts.revision || !scenario_failed()) {
        (void)good("memo_config_get_key", MEMO_E_ARGUMENT); /* all of it, or nothing */
    }
    memo_config_release(g);
    (void)good("memo_config_check_set", memo_config_check_set(c, NULL, NULL));
    (void)good("memo_config_watch", memo_config_watch(c, "db", 0));
}

void scenario(const char *registry, bool registers)
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
    if (config[0] && !good("memo_client_set", memo_client_set(c, "config", config, NULL)))
        goto done;
    if (config[0])
        (void)good("memo_config_check_set", memo_config_check_set(c, check_config, NULL));
    (void)good("memo_client_get_setting", memo_client_get_setting(c, "log_level", value, sizeof value, origin, sizeof origin));
    memo_log_set(c, on_line, &lines);
    if (scenario_hosted && !good("memo_client_set", memo_client_set(c, "engine_thread", "false", NULL)))
        goto done;
    if (!good("memo_client_start", memo_client_start(c, NULL)))
        goto done;
    use_rules(c);
    if (config[0])
        use_config(c);
    use_inbound(c);
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

static struct { memo_client *client; memo_service *service; memo_registration *registration; long round; } stage;

/* The label that everybody sees; as the view stands. The leases of others that could not withdraw may still be there. */
static bool label_is(const char *want)
{
    struct memo__reader *r = memo__reader_enter();
    const struct memo__view *v = memo__load_acquire(&stage.service->governor.plan)->view;
    bool is = false;
    for (uint32_t i = 0; i < v->count && !is; i++) {
        const char *have = memo__view_label(v, &v->entries[i], "round");
        is = have && strcmp(have, want) == 0;
    }
    memo__reader_leave(r);
    return is;
}

static bool answers(const char *unused)
{
    memo_http_reply reply = MEMO_INIT(memo_http_reply);
    (void)unused;
    memo_status s = memo_http_get(stage.service, "/hello", &reply, NULL);
    memo_http_reply_fini(&reply);
    return s == MEMO_OK;
}

static bool soon(bool (*is)(const char *), const char *want, int ms)
{
    for (; ms > 0 && !is(want); ms--)
        (void)usleep(1000);
    return is(want);
}

bool scenario_stage_open(const char *registry)
{
    memo_client *c = NULL;
    const memo_header label = { "round", "0", 0, 0 };
    memo_instance me = MEMO_INIT(memo_instance);
    me.id = "reload";
    me.address = "127.0.0.1";
    me.port = scenario_port;
    me.labels = &label;
    me.labels_count = 1;
    memset(&stage, 0, sizeof stage);
    bool well = memo_client_new(&c, NULL) == MEMO_OK && memo_client_set(c, "registry", registry, NULL) == MEMO_OK && memo_client_set(c, "admin_socket", "none", NULL) == MEMO_OK &&
                memo_client_set(c, "log_level", "none", NULL) == MEMO_OK && memo_client_start(c, NULL) == MEMO_OK &&
                memo_registration_new(c, "todo", &me, &stage.registration, NULL) == MEMO_OK && memo_registration_wait(stage.registration, 10000) == MEMO_OK &&
                memo_service_acquire(c, "todo", &stage.service, NULL) == MEMO_OK && memo_client_wait(c, 10000, NULL) == MEMO_OK && soon(label_is, "0", 10000);
    stage.client = c;
    if (!well)
        scenario_mistaken("no client to begin with");
    return well;
}

void scenario_stage_close(void)
{
    memo_service_release(stage.service);
    memo_registration_free(stage.registration);
    memo_client_free(stage.client);
}

/* While something fails: rules are applied as a whole or not at all, and what readers hold stays. */
static void rules_change(const struct memo__plan *before)
{
    uint64_t view = print_view(before->view), rules = print_rules(before);
    const char *text = documents[stage.round % 2];
    memo_status s = memo_rules_apply(stage.client, text, strlen(text), NULL, 0, NULL, NULL);
    const struct memo__plan *after = memo__load_acquire(&stage.service->governor.plan);
    if (s != MEMO_OK && (!scenario_failed() || after->rules != before->rules || print_rules(after) != rules))
        scenario_mistaken("rules that could not be applied changed something: %s", memo_status_name(s));
    (void)memo__turn_take();
    bool waits = stage.service->governor.pending; /* the driver's */
    memo__turn_drop();
    if (s == MEMO_OK && after->rules == before->rules && !waits && memo__load_acquire(&stage.service->governor.plan) == before)
        scenario_mistaken("rules were said to be in force and are not");
    if (print_view(before->view) != view || print_rules(before) != rules)
        scenario_mistaken("what readers hold was changed");
}

/* What the client itself has to say about a mistake. */
static void tell_events(memo_client *c)
{
    memo_event e = MEMO_INIT(memo_event);
    memo_view *v = NULL;
    memo_view_facts f = MEMO_INIT(memo_view_facts);
    uint32_t n = 1;
    while (memo_event_take(c, &e, 1, &n) == MEMO_OK && n)
        (void)printf("        event %d of %s %s: %s %s\n", (int)e.kind, e.service, e.subject, memo_status_name(e.status), e.text);
    if (memo_view_acquire(stage.service, &v) == MEMO_OK && memo_view_get_facts(v, &f) == MEMO_OK)
        (void)printf("        view: state %d, %u endpoints, age %lld ms; registration %s, token %llu\n", (int)f.state, f.count, (long long)f.age_max_ms,
                     memo_status_name(memo_registration_wait(stage.registration, 0)), (unsigned long long)memo_registration_get_token(stage.registration));
    memo_view_release(v);
}

void scenario_stage_round(void (*arm)(void), void (*disarm)(void), bool forever)
{
    char was[32], now[32];
    (void)snprintf(was, sizeof was, "%ld", stage.round);
    (void)snprintf(now, sizeof now, "%ld", ++stage.round);
    struct memo__reader *r = memo__reader_enter(); /* so that nothing of this is freed meanwhile */
    arm();
    rules_change(memo__load_acquire(&stage.service->governor.plan));
    memo__reader_leave(r);
    bool set = good("memo_registration_set", memo_registration_set(stage.registration, "label.round", now));
    if (!soon(label_is, now, forever || !set ? 20 : 300) && !label_is(was))
        scenario_mistaken("a view between two");
    use_calls(stage.service);
    disarm();
    if (!set && memo_registration_set(stage.registration, "label.round", now) != MEMO_OK)
        scenario_mistaken("a label cannot be set, although nothing fails any more");
    if (!soon(label_is, now, 20000)) {
        scenario_mistaken("the view is not what it should be, although nothing fails any more");
        tell_events(stage.client);
    }
    if (!soon(answers, NULL, 20000))
        scenario_mistaken("no call succeeds, although nothing fails any more");
    if (memo_rules_apply(stage.client, documents[stage.round % 2], strlen(documents[stage.round % 2]), NULL, 0, NULL, NULL) != MEMO_OK)
        scenario_mistaken("rules cannot be applied, although nothing fails any more");
}
