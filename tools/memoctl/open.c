/* SPDX-License-Identifier: Apache-2.0 */
/* open.c: the same few steps that every command begins with. */
#include "open.h"
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include "leave.h"
#include "print.h"

#define FRESH_MS 2000
#define FRESH_STEP_MS 20

static void silent(int32_t level, const char *line, void *user)
{
    (void)level;
    (void)line;
    (void)user;
}

void open_silently(memo_client *c)
{
    memo_log_set(c, silent, NULL);
}

static int set_option(const struct args *a, memo_client *c, const char *name)
{
    memo_error e = MEMO_INIT(memo_error);
    const char *value = args_get(a, name);
    memo_status s = value ? memo_client_set(c, name, value, &e) : MEMO_OK;
    return s ? print_error(NULL, s, &e) : LEAVE_OK;
}

int open_client(const struct args *a, memo_client **out)
{
    memo_error e = MEMO_INIT(memo_error);
    memo_status s = memo_client_new(out, &e);
    int code;
    if (s)
        return print_error(NULL, s, &e);
    if (a->quiet)
        open_silently(*out);
    code = set_option(a, *out, "registry");
    if (!code)
        code = set_option(a, *out, "rules");
    if (code)
        memo_client_free(*out);
    return code;
}

memo_status open_start(memo_client *c, memo_error *e)
{
    memo_status s = memo_client_set(c, "engine_thread", "true", e);
    return s ? s : memo_client_start(c, e);
}

int open_started(const struct args *a, memo_client **out)
{
    memo_error e = MEMO_INIT(memo_error);
    int code = open_client(a, out);
    if (code)
        return code;
    memo_status s = open_start(*out, &e);
    if (s) {
        code = print_error(NULL, s, &e);
        memo_client_free(*out);
    }
    return code;
}

/* MEMO_E_CANCELLED: a signal came. */
static memo_status wait_usable(memo_client *client, int64_t left, int signals, memo_error *e)
{
    for (;; left -= OPEN_LOOK_MS) {
        memo_status s = memo_client_wait(client, signals >= 0 && left > OPEN_LOOK_MS ? OPEN_LOOK_MS : left, e);
        if (open_signalled(signals))
            return MEMO_E_CANCELLED;
        if (s != MEMO_E_TIMEOUT || signals < 0 || left <= OPEN_LOOK_MS)
            return s;
    }
}

int open_service(const struct args *a, const char *name, memo_client **client, memo_service **service)
{
    return open_service_until(a, name, -1, client, service);
}

int open_service_until(const struct args *a, const char *name, int signals, memo_client **client, memo_service **service)
{
    memo_error e = MEMO_INIT(memo_error);
    int code = open_started(a, client);
    if (code)
        return code;
    memo_status s = memo_service_acquire(*client, name, service, &e);
    if (!s && (s = wait_usable(*client, a->timeout_ms, signals, &e)) != MEMO_OK)
        memo_service_release(*service);
    if (s) {
        code = s == MEMO_E_CANCELLED ? LEAVE_INTERRUPTED : print_error(name, s, &e);
        memo_client_free(*client);
    }
    return code;
}

static bool from_cache(memo_service *service)
{
    memo_view_facts f = MEMO_INIT(memo_view_facts);
    memo_view *v;
    if (memo_view_acquire(service, &v) != MEMO_OK)
        return false;
    bool cached = memo_view_get_facts(v, &f) == MEMO_OK && f.state == MEMO_VIEW_CACHED;
    memo_view_release(v);
    return cached;
}

void open_fresh(const struct args *a, memo_client *client, memo_service *service)
{
    struct pollfd p = { .fd = memo_event_fd(client), .events = POLLIN };
    memo_event e[8] = { MEMO_INIT(memo_event) };
    int64_t left = a->timeout_ms < FRESH_MS ? a->timeout_ms : FRESH_MS;
    uint32_t n;
    if (memo_service_watch(service, 1) != MEMO_OK)
        return;
    for (; left > 0 && from_cache(service); left -= FRESH_STEP_MS) {
        (void)poll(&p, 1, FRESH_STEP_MS);
        if (memo_event_take(client, e, 8, &n) != MEMO_OK)
            return;
    }
}

int open_signals(void)
{
    sigset_t ours;
    sigemptyset(&ours);
    sigaddset(&ours, SIGINT);
    sigaddset(&ours, SIGTERM);
    if (sigprocmask(SIG_BLOCK, &ours, NULL) != 0)
        return -1;
    return signalfd(-1, &ours, SFD_CLOEXEC | SFD_NONBLOCK);
}

bool open_signalled(int signals)
{
    struct signalfd_siginfo info;
    bool came = false;
    while (signals >= 0 && read(signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
        came = came || info.ssi_signo != SIGCHLD;
    return came;
}
