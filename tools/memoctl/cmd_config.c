/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_config.c: memoctl config get [KEY], origin KEY, watch [PREFIX]: the configuration values of an application, as a process with the same settings
 * reads them. A secret reads "(set)", and nothing here can show it. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "commands.h"
#include "leave.h"
#include "open.h"
#include "print.h"

const struct option_row cmd_config_options[] = {
    { "config", 'c', "URLS", "where values come from: file:///etc/app.json, env:APP_, https://...; later ones win; MEMO_CONFIG" },
    { "count", 'n', "N", "watch: ends after N changes (what is there at first does not count)" },
    { NULL, 0, NULL, NULL },
};

struct seen {
    const struct args *args;
    const char *prefix;
    memo_client *client;
    memo_config *config;  /* the last one shown */
    uint64_t changes, most;
};

static const char *shown(const memo_config *g, const char *key)
{
    return memo_config_is_secret(g, key) ? "(set)" : memo_config_get_text(g, key, "");
}

/* A text that does not fit is shown as far as it goes. */
static const char *origin_of(const memo_config *g, const char *key, char *buf, size_t n)
{
    memo_status s = memo_config_get_origin(g, key, buf, n);
    return s == MEMO_OK || s == MEMO_E_TRUNCATED ? buf : "";
}

static void json_value(struct print_json *j, const memo_config *g, const char *key)
{
    char origin[1024];
    json_text(j, "key", key);
    json_text(j, "value", shown(g, key));
    json_text(j, "origin", origin_of(g, key, origin, sizeof(origin)));
    json_bool(j, "secret", memo_config_is_secret(g, key));
}

/* ---- get, origin ---- */

static int get_json(const memo_config *g, const char *prefix)
{
    struct print_json j;
    json_begin(&j, stdout);
    json_open(&j, NULL, '[');
    const char *key;
    for (uint32_t i = 0; (key = memo_config_get_key(g, prefix, i)); i++) {
        json_open(&j, NULL, '{');
        json_value(&j, g, key);
        json_close(&j, '}');
    }
    json_close(&j, ']');
    json_end(&j);
    return LEAVE_OK;
}

static int get_table(const memo_config *g, const char *prefix)
{
    static const char *const heads[] = { "KEY", "VALUE", "ORIGIN" };
    struct print_table t;
    char origin[1024];
    const char *key;
    print_table_begin(&t, 3, heads);
    for (uint32_t i = 0; (key = memo_config_get_key(g, prefix, i)); i++) {
        print_cell(&t, "%s", key);
        print_cell(&t, "%s", shown(g, key));
        print_cell(&t, "%s", origin_of(g, key, origin, sizeof(origin)));
    }
    return print_table_end(&t);
}

static int get(const struct seen *w)
{
    const memo_config *g = w->config;
    bool one = w->prefix && memo_config_get_text(g, w->prefix, NULL) && !memo_config_get_key(g, w->prefix, 1);
    if (w->prefix && !memo_config_get_key(g, w->prefix, 0)) {
        fprintf(stderr, "memoctl: there is no value %s\n", w->prefix);
        return LEAVE_FAILED;
    }
    if (w->args->json)
        return get_json(g, w->prefix);
    if (!one)
        return get_table(g, w->prefix);
    puts(shown(g, w->prefix));
    return LEAVE_OK;
}

static int origin(const struct seen *w)
{
    char text[1024];
    if (!memo_config_get_text(w->config, w->prefix, NULL)) {
        fprintf(stderr, "memoctl: there is no value %s\n", w->prefix);
        return LEAVE_FAILED;
    }
    if (w->args->json)
        return get_json(w->config, w->prefix);
    puts(origin_of(w->config, w->prefix, text, sizeof(text)));
    return LEAVE_OK;
}

/* ---- watch ---- */

static void tell(const struct seen *w, const char *change, const memo_config *g, const char *key)
{
    char text[1024];
    memo_config_facts f = MEMO_INIT(memo_config_facts);
    struct print_json j;
    (void)!memo_config_get_facts(w->config, &f);
    if (w->args->json) {
        json_begin(&j, stdout);
        json_open(&j, NULL, '{');
        json_text(&j, "change", change);
        json_uint(&j, "revision", f.revision);
        json_text(&j, "state", print_view_state(f.state));
        json_value(&j, g, key);
        json_close(&j, '}');
        json_end(&j);
        return;
    }
    char sign = change[0] == 'a' ? '+' : change[0] == 'r' ? '-' : '~';
    printf("%c %s = %s  [r%llu %s, %s]\n", sign, key, sign == '-' ? "" : shown(g, key), (unsigned long long)f.revision, print_view_state(f.state),
           origin_of(g, key, text, sizeof(text)));
    fflush(stdout);
}

/* before NULL: everything is new, and no change. */
static void compare(struct seen *w, const memo_config *before)
{
    const char *key;
    for (uint32_t i = 0; before && (key = memo_config_get_key(before, w->prefix, i)); i++)
        if (!memo_config_get_text(w->config, key, NULL)) {
            tell(w, "removed", before, key);
            w->changes++;
        }
    for (uint32_t i = 0; (key = memo_config_get_key(w->config, w->prefix, i)); i++) {
        const char *was = before ? memo_config_get_text(before, key, NULL) : NULL, *is = memo_config_get_text(w->config, key, "");
        if (was && strcmp(was, is) == 0)
            continue;
        tell(w, was ? "changed" : "added", w->config, key);
        w->changes += before != NULL;
    }
}

static void tell_source(const struct seen *w, const memo_event *e)
{
    struct print_json j;
    if (!w->args->json) {
        print_remark(w->args, "! %s%s%s", e->subject, e->subject[0] ? ": " : "", e->text);
        return;
    }
    json_begin(&j, stdout);
    json_open(&j, NULL, '{');
    json_text(&j, "change", "source");
    json_text(&j, "source", e->subject);
    json_text(&j, "status", memo_status_name(e->status));
    json_text(&j, "text", e->text);
    json_close(&j, '}');
    json_end(&j);
}

static void take_events(struct seen *w)
{
    memo_event e[16] = { MEMO_INIT(memo_event) };
    uint32_t n = 0;
    while (memo_event_take(w->client, e, 16, &n) == MEMO_OK && n > 0)
        for (uint32_t i = 0; i < n; i++)
            if (e[i].kind == MEMO_EVENT_CONFIG && e[i].status != MEMO_OK)
                tell_source(w, &e[i]);
    memo_config *before = w->config, *next;
    if (memo_config_acquire(w->client, &next) != MEMO_OK)
        return;
    w->config = next;
    compare(w, before);
    memo_config_release(before);
}

static int follow(struct seen *w, int signals)
{
    struct pollfd p[2] = { { .fd = memo_event_fd(w->client), .events = POLLIN }, { .fd = signals, .events = POLLIN } };
    compare(w, NULL);
    while (!w->most || w->changes < w->most) {
        if (poll(p, 2, -1) < 0 && errno != EINTR)
            return LEAVE_FAILED;
        if (p[1].revents)
            return w->most ? LEAVE_INTERRUPTED : LEAVE_OK;
        take_events(w);
    }
    return LEAVE_OK;
}

/* ---- all of them ---- */

static int open_config(struct seen *w)
{
    memo_error e = MEMO_INIT(memo_error);
    const char *urls = args_get(w->args, "config");
    int code = open_client(w->args, &w->client);
    if (code)
        return code;
    memo_status s = urls ? memo_client_set(w->client, "config", urls, &e) : MEMO_OK;
    if (s == MEMO_OK)
        s = memo_config_watch(w->client, w->prefix, 1);
    if (s == MEMO_OK)
        s = memo_client_start(w->client, &e);
    if (s == MEMO_OK)
        s = memo_client_wait(w->client, w->args->timeout_ms, &e);
    if (s == MEMO_OK)
        s = memo_config_acquire(w->client, &w->config);
    if (s == MEMO_OK)
        return LEAVE_OK;
    code = print_error(NULL, s, &e);
    memo_client_free(w->client);
    return code;
}

int cmd_config(const struct args *a)
{
    static const char *const verbs[] = { "get", "origin", "watch" };
    struct seen w = { .args = a, .prefix = a->words_count > 1 ? a->words[1] : NULL };
    int verb = 0, signals = -1;
    while (verb < 3 && strcmp(a->words[0], verbs[verb]) != 0)
        verb++;
    if (verb == 3)
        return args_wrong(a, "unknown verb \"%s\"; there are: get, origin, watch", a->words[0]);
    if (verb == 1 && !w.prefix)
        return args_wrong(a, "origin wants a key");
    if (!args_number(a, "count", 1, UINT32_MAX, &w.most))
        return LEAVE_USAGE;
    if (verb == 2 && (signals = open_signals()) < 0)
        return LEAVE_FAILED;
    int code = open_config(&w);
    if (code == LEAVE_OK) {
        code = verb == 0 ? get(&w) : verb == 1 ? origin(&w) : follow(&w, signals);
        memo_config_release(w.config);
        memo_client_free(w.client);
    }
    if (signals >= 0)
        close(signals);
    return code;
}
