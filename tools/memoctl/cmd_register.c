/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_register.c: memoctl register SERVICE: brings a program into the registry that does not know libmemo: registered while this process (or the
 * COMMAND after "--") runs.
 *
 *   registered --SIGTERM or SIGINT--> withdrawn --> COMMAND gets the signal --> its exit code is ours
 *   registered --COMMAND ends-------> withdrawn --> its exit code is ours
 *
 * Withdrawn comes first: callers stop coming before the program stops answering. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "commands.h"
#include "leave.h"
#include "open.h"
#include "print.h"

const struct option_row cmd_register_options[] = {
    { "address", 0, "ADDRESS", "numeric; else that of MEMO_ADVERTISE, else 127.0.0.1" },
    { "port", 'p', "PORT", "1 to 65535; else that of MEMO_ADVERTISE" },
    { "id", 0, "ID", "of the instance; else made up" },
    { "weight", 'w', "N", "0 (takes no new calls) to 65535 (100)" },
    { "zone", 0, "ZONE", "where it runs" },
    { "label", 'l', "KEY=VALUE", "may be repeated, up to 32 times" },
    { "ttl", 0, "DURATION", "how long the registration outlives its last renewal; MEMO_LEASE_TTL" },
    { "drain", 0, "DURATION", "draining for so long before it is withdrawn, at most 1h (0s)" },
    { NULL, 0, NULL, NULL },
};

#define DRAIN_MOST_MS 3600000

struct wish {
    memo_instance me;
    memo_header labels[32];
    char names[32][64];
    int64_t drain_ms;
    bool weightless;
};

static int wish_label(const struct args *a, struct wish *w, const char *text)
{
    const char *equals = strchr(text, '=');
    uint32_t i = w->me.labels_count;
    if (!equals || equals == text || (size_t)(equals - text) >= sizeof(w->names[0]))
        return args_wrong(a, "--label wants KEY=VALUE, not \"%s\"", text);
    if (i == 32)
        return args_wrong(a, "more than 32 labels");
    memcpy(w->names[i], text, (size_t)(equals - text));
    w->labels[i] = (memo_header){ .name = w->names[i], .value = equals + 1 };
    w->me.labels_count++;
    return LEAVE_OK;
}

static int wish_read(const struct args *a, struct wish *w)
{
    uint64_t port = 0, weight = 100;
    const char *label;
    int at = 0, code;
    w->me.size = sizeof(w->me);
    w->me.id = args_get(a, "id");
    w->me.address = args_get(a, "address");
    w->me.zone = args_get(a, "zone");
    w->me.labels = w->labels;
    if (!args_number(a, "port", 1, 65535, &port) || !args_number(a, "weight", 0, 65535, &weight) || !args_duration_ms(a, "drain", &w->drain_ms))
        return LEAVE_USAGE;
    if (w->drain_ms > DRAIN_MOST_MS)
        return args_wrong(a, "--drain is at most 1h, not \"%s\"", args_get(a, "drain"));
    if (w->me.address && inet_pton(AF_INET, w->me.address, &(struct in_addr){ 0 }) != 1 && inet_pton(AF_INET6, w->me.address, &(struct in6_addr){ 0 }) != 1)
        return args_wrong(a, "--address is a numeric address, not \"%s\"", w->me.address);
    if (!port && w->me.address)
        return args_wrong(a, "--address needs --port");
    if (port && !w->me.address)
        w->me.address = "127.0.0.1";
    w->me.port = (uint16_t)port;
    w->me.weight = (uint32_t)weight;
    w->weightless = weight == 0;
    while ((label = args_each(a, "label", &at)) != NULL)
        if ((code = wish_label(a, w, label)) != LEAVE_OK)
            return code;
    return LEAVE_OK;
}

static bool executable(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0 || access(path, X_OK) != 0)
        return false;
    errno = EACCES;
    return S_ISREG(st.st_mode);
}

/* As execvp will look for it; errno says why not. Before anything is registered: nobody should be sent to a program that cannot be started. */
static bool command_there(const char *name)
{
    const char *path = getenv("PATH");
    char candidate[PATH_MAX];
    if (strchr(name, '/'))
        return executable(name);
    int why = ENOENT;
    for (const char *at = path ? path : "/bin:/usr/bin"; name[0] && *at;) {
        int n = (int)strcspn(at, ":");
        if (snprintf(candidate, sizeof(candidate), "%.*s%s%s", n, at, n ? "/" : "", name) < (int)sizeof(candidate) && executable(candidate))
            return true;
        why = errno == EACCES ? EACCES : why;
        at += n + (at[n] == ':');
    }
    errno = why;
    return false;
}

/* The command of the user gets the signals' defaults back, and ends when we are killed. */
static pid_t start_command(char **words)
{
    pid_t parent = getpid(), child = fork();
    if (child != 0)
        return child;
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(LEAVE_INTERRUPTED);
    execvp(words[0], words);
    fprintf(stderr, "memoctl register: %s: %s\n", words[0], strerror(errno));
    _exit(127);
}

/* Waits for a signal; answers its number. */
static int next_signal(int signals)
{
    struct pollfd p = { .fd = signals, .events = POLLIN };
    struct signalfd_siginfo info;
    for (;;) {
        if (poll(&p, 1, -1) < 0 && errno != EINTR)
            return SIGTERM;
        if (read(signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
            return (int)info.ssi_signo;
    }
}

static void tell_registered(const struct args *a, const struct wish *w, memo_registration *r)
{
    struct print_json j;
    unsigned long long token = (unsigned long long)memo_registration_get_token(r);
    if (!a->json) {
        printf("registered %s%s%s%s%s, token %llu\n", a->words[0], w->me.id ? " as " : "", w->me.id ? w->me.id : "", w->me.address ? " at " : "",
               w->me.address ? w->me.address : "", token);
        fflush(stdout);
        return;
    }
    json_begin(&j, stdout);
    json_open(&j, NULL, '{');
    json_text(&j, "service", a->words[0]);
    json_text(&j, "id", w->me.id);
    json_text(&j, "address", w->me.address);
    json_uint(&j, "port", w->me.port);
    json_uint(&j, "token", token);
    json_close(&j, '}');
    json_end(&j);
}

static int withdraw(const struct args *a, const struct wish *w, memo_registration *r)
{
    memo_error e = MEMO_INIT(memo_error);
    if (w->drain_ms > 0 && memo_registration_set(r, "state", "draining") == MEMO_OK) {
        print_remark(a, "draining for %lld ms", (long long)w->drain_ms);
        poll(NULL, 0, (int)w->drain_ms);
    }
    memo_status s = memo_registration_withdraw(r, a->timeout_ms, &e);
    if (s)
        return print_error("withdraw", s, &e);
    print_remark(a, "withdrawn");
    return LEAVE_OK;
}

static int code_of(int status)
{
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Until a signal or the command's end; then withdraws, and only then ends the command. */
static int keep(const struct args *a, const struct wish *w, memo_registration *r, int signals)
{
    int status = 0, got, code;
    pid_t child = a->rest_count > 0 ? start_command(a->rest) : 0;
    if (child < 0)
        return print_error(a->rest[0], MEMO_E_NO_MEMORY, NULL);
    do
        got = next_signal(signals);
    while (got == SIGCHLD && (child == 0 || waitpid(child, &status, WNOHANG) != child)); /* another child may have been inherited */
    code = withdraw(a, w, r);
    if (child == 0)
        return code;
    if (got != SIGCHLD) {
        kill(child, got);
        waitpid(child, &status, 0);
    }
    return code_of(status);
}

/* MEMO_E_CANCELLED: a signal came first. */
static memo_status wait_acknowledged(memo_registration *r, int64_t left, int signals)
{
    for (;; left -= OPEN_LOOK_MS) {
        memo_status s = memo_registration_wait(r, left > OPEN_LOOK_MS ? OPEN_LOOK_MS : left);
        if (open_signalled(signals))
            return MEMO_E_CANCELLED;
        if (s != MEMO_E_TIMEOUT || left <= OPEN_LOOK_MS)
            return s;
    }
}

static int registered(const struct args *a, const struct wish *w, memo_client *c, int signals)
{
    memo_error e = MEMO_INIT(memo_error);
    memo_registration *r;
    char advertise[300] = "", origin[64];
    if (!w->me.port && memo_client_get_setting(c, "advertise", advertise, sizeof(advertise), origin, sizeof(origin)) == MEMO_OK && !advertise[0])
        return args_wrong(a, "wants --port PORT, or MEMO_ADVERTISE=ADDRESS:PORT");
    memo_status s = memo_registration_new(c, a->words[0], &w->me, &r, &e);
    int code;
    char registry[64] = "";
    if (s == MEMO_E_UNSUPPORTED && memo_client_get_setting(c, "registry", registry, sizeof(registry), origin, sizeof(origin)) != MEMO_E_ARGUMENT)
        snprintf(e.message, sizeof(e.message), "%.*s takes no registrations", (int)strcspn(registry, ":") + 1, registry);
    if (s)
        return print_error(a->words[0], s, &e);
    if (w->weightless && (s = memo_registration_set(r, "weight", "0")) != MEMO_OK)
        code = print_error("weight 0", s, NULL);
    else if ((s = wait_acknowledged(r, a->timeout_ms, signals)) == MEMO_E_CANCELLED)
        code = LEAVE_INTERRUPTED;
    else if (s)
        code = print_error("the registry has not acknowledged", s, NULL);
    else {
        tell_registered(a, w, r);
        code = keep(a, w, r, signals);
    }
    memo_registration_free(r);
    return code;
}

static int signals_with_child(void)
{
    sigset_t ours;
    sigemptyset(&ours);
    sigaddset(&ours, SIGINT);
    sigaddset(&ours, SIGTERM);
    sigaddset(&ours, SIGCHLD);
    return sigprocmask(SIG_BLOCK, &ours, NULL) == 0 ? signalfd(-1, &ours, SFD_CLOEXEC | SFD_NONBLOCK) : -1;
}

int cmd_register(const struct args *a)
{
    struct wish w = { .drain_ms = 0 };
    memo_error e = MEMO_INIT(memo_error);
    memo_client *c;
    memo_status s;
    int signals, code = wish_read(a, &w);
    if (code)
        return code;
    if (a->rest && a->rest_count == 0)
        return args_wrong(a, "-- wants a COMMAND behind it");
    if (a->rest && !command_there(a->rest[0])) {
        fprintf(stderr, "memoctl register: %s: %s; nothing was registered\n", a->rest[0], strerror(errno));
        return 127; /* as shells say it, and as it is when the command cannot be started later */
    }
    if ((signals = signals_with_child()) < 0)
        return print_error("signals", MEMO_E_NO_MEMORY, NULL);
    if ((code = open_client(a, &c)) != LEAVE_OK)
        return code;
    s = args_get(a, "ttl") ? memo_client_set(c, "lease_ttl", args_get(a, "ttl"), &e) : MEMO_OK;
    if (!s)
        s = open_start(c, &e);
    code = s ? print_error(NULL, s, &e) : registered(a, &w, c, signals);
    memo_client_free(c);
    close(signals);
    return code;
}
