/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_watch.c: memoctl watch SERVICE: first what is there ("+"), then every change ("+", "-", "~"), and every loss and return of the registry, until
 * Ctrl-C or --count lines of change.
 *
 * Views are compared by id, which the library keeps sorted: one walk over the old and the new one, side by side. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>
#include "commands.h"
#include "leave.h"
#include "open.h"
#include "print.h"
#include "show.h"

const struct option_row cmd_watch_options[] = {
    { "count", 'n', "N", "ends after N changes (what is there at first does not count)" },
    { "label", 'l', "KEY", "which labels to show; may be repeated" },
    { NULL, 0, NULL, NULL },
};

struct watch {
    const struct args *args;
    const char *name;
    memo_client *client;
    memo_service *service;
    memo_view *view;     /* the last one shown, or NULL */
    uint64_t changes, most;
};

static void tell(struct watch *w, char sign, const memo_view *v, uint32_t i, const memo_endpoint *e, const memo_view_facts *f)
{
    static const struct { char sign; const char *name; } changes[] = { { '+', "added" }, { '-', "removed" }, { '~', "changed" } };
    char address[64], labels[512];
    struct print_json j;
    if (w->args->json) {
        json_begin(&j, stdout);
        json_open(&j, NULL, '{');
        for (int k = 0; k < 3; k++)
            if (changes[k].sign == sign)
                json_text(&j, "change", changes[k].name);
        json_text(&j, "service", w->name);
        json_uint(&j, "revision", f->revision);
        json_text(&j, "state", print_view_state(f->state));
        show_json_endpoint(&j, "instance", v, i, e, w->args);
        json_close(&j, '}');
        json_end(&j);
        return;
    }
    show_address(e, address, sizeof(address));
    show_labels(v, i, w->args, labels, sizeof(labels));
    printf("%c %-16s %-21s weight %u%s%s%s  [r%llu %s]\n", sign, e->id, address, e->weight, e->health == 1 ? "" : " unhealthy",
           labels[0] ? "  " : "", labels,
           (unsigned long long)f->revision, print_view_state(f->state));
    fflush(stdout);
}

/* Of the labels those that are shown: the API asks by key. */
static bool same(const struct watch *w, const memo_endpoint *a, uint32_t i, memo_view *next, const memo_endpoint *b, uint32_t k)
{
    return a->port == b->port && a->weight == b->weight && a->health == b->health && strcmp(a->address, b->address) == 0 &&
           strcmp(a->zone, b->zone) == 0 && show_same_labels(w->view, i, next, k, w->args);
}

/* Both views are sorted by id: the smaller id of the two heads is gone or new, equal ones are compared. */
static void compare(struct watch *w, memo_view *next)
{
    memo_endpoint a = MEMO_INIT(memo_endpoint), b = MEMO_INIT(memo_endpoint);
    memo_view_facts f = MEMO_INIT(memo_view_facts);
    bool first = !w->view;
    if (memo_view_get_facts(next, &f) != MEMO_OK)
        return;
    for (uint32_t i = 0, k = 0;;) {
        bool old = !first && memo_view_get(w->view, i, &a) == MEMO_OK, new = memo_view_get(next, k, &b) == MEMO_OK;
        if (!old && !new)
            break;
        bool unchanged = false;
        int order = !old ? 1 : !new ? -1 : strcmp(a.id, b.id);
        if (order < 0)
            tell(w, '-', w->view, i, &a, &f);
        else if (order > 0)
            tell(w, '+', next, k, &b, &f);
        else if (!(unchanged = same(w, &a, i, next, &b, k)))
            tell(w, '~', next, k, &b, &f);
        w->changes += !first && !unchanged;
        i += order <= 0;
        k += order >= 0;
    }
}

static void refresh(struct watch *w)
{
    memo_view *next;
    if (memo_view_acquire(w->service, &next) != MEMO_OK)
        return;
    compare(w, next);
    memo_view_release(w->view);
    w->view = next;
}

static void tell_source(const struct watch *w, const memo_event *e)
{
    struct print_json j;
    if (!w->args->json) {
        print_remark(w->args, "! registry %s%s%s", e->status == MEMO_OK ? "is back" : "is away", e->text[0] ? ": " : "", e->text);
        return;
    }
    json_begin(&j, stdout);
    json_open(&j, NULL, '{');
    json_text(&j, "change", "registry");
    json_text(&j, "status", memo_status_name(e->status));
    json_text(&j, "text", e->text);
    json_close(&j, '}');
    json_end(&j);
}

static void take_events(struct watch *w)
{
    memo_event e[16] = { MEMO_INIT(memo_event) };
    uint32_t n = 0;
    while (memo_event_take(w->client, e, 16, &n) == MEMO_OK && n > 0)
        for (uint32_t i = 0; i < n; i++)
            if (e[i].kind == MEMO_EVENT_VIEW && strcmp(e[i].service, w->name) == 0)
                refresh(w);
            else if (e[i].kind == MEMO_EVENT_SOURCE)
                tell_source(w, &e[i]);
}

static int follow(struct watch *w, int signals)
{
    struct pollfd p[2] = { { .fd = memo_event_fd(w->client), .events = POLLIN }, { .fd = signals, .events = POLLIN } };
    while (!w->most || w->changes < w->most) {
        if (poll(p, 2, -1) < 0 && errno != EINTR)
            return LEAVE_FAILED;
        if (p[1].revents)
            return w->most ? LEAVE_INTERRUPTED : LEAVE_OK;
        take_events(w);
    }
    return LEAVE_OK;
}

int cmd_watch(const struct args *a)
{
    struct watch w = { .args = a, .name = a->words[0] };
    int signals, code;
    if (!args_number(a, "count", 1, UINT32_MAX, &w.most))
        return LEAVE_USAGE;
    signals = open_signals();
    if (signals < 0)
        return print_error("signals", MEMO_E_NO_MEMORY, NULL);
    code = open_service_until(a, w.name, signals, &w.client, &w.service);
    if (code)
        return code;
    open_fresh(a, w.client, w.service);
    memo_status s = memo_service_watch(w.service, 1);
    refresh(&w);
    code = s ? print_error(w.name, s, NULL) : follow(&w, signals);
    memo_view_release(w.view);
    memo_service_release(w.service);
    memo_client_free(w.client);
    close(signals);
    return code;
}
