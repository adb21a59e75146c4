/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_check.c: memoctl check: every thing that libmemo needs of this machine and of its settings, each as ok, warn or fail with a hint what to do.
 *
 * The exit code is that of the first thing that failed, as every command has it for that status (leave.c); what has no status is 1; warnings leave 0. */
#define _GNU_SOURCE /* environ */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>
#include "base/json.h"
#include "commands.h"
#include "document.h"
#include "leave.h"
#include "open.h"
#include "print.h"
#include "processes.h"

enum mark { MARK_OK, MARK_WARN, MARK_FAIL };

struct checkup { const struct args *args; struct print_json json; int code; uint32_t warnings, failures; };

static void __attribute__((format(printf, 6, 7))) tell(struct checkup *k, enum mark m, int code, const char *what, const char *hint,
    const char *format, ...)
{
    static const char *const names[] = { "ok", "warn", "fail" };
    static const enum print_color colors[] = { PRINT_GREEN, PRINT_YELLOW, PRINT_RED };
    char text[700];
    va_list v;
    va_start(v, format);
    vsnprintf(text, sizeof(text), format, v);
    va_end(v);
    k->warnings += m == MARK_WARN;
    k->failures += m == MARK_FAIL;
    if (m == MARK_FAIL && k->code == LEAVE_OK)
        k->code = code;
    if (k->args->json) {
        json_open(&k->json, NULL, '{');
        json_text(&k->json, "check", what);
        json_text(&k->json, "result", names[m]);
        json_text(&k->json, "text", text);
        json_text(&k->json, "hint", m == MARK_OK ? NULL : hint);
        json_close(&k->json, '}');
        return;
    }
    printf("%s%-4s%s  %-12s %s\n", print_color(k->args, colors[m]), names[m], print_color(k->args, PRINT_PLAIN), what, text);
    if (m != MARK_OK && hint && !k->args->quiet)
        printf("      %-12s %s\n", "", hint);
}

static void check_library(struct checkup *k)
{
    uint32_t n = memo_version_number();
    if (n == MEMO_VERSION_NUMBER)
        tell(k, MARK_OK, LEAVE_FAILED, "library", NULL, "libmemo %s, as memoctl was built for", MEMO_VERSION_TEXT);
    else if (n / 10000 == MEMO_VERSION_NUMBER / 10000)
        tell(k, MARK_WARN, LEAVE_FAILED, "library", "is an older libmemo first in LD_LIBRARY_PATH or ld.so.conf?",
            "libmemo %u.%u.%u is loaded, memoctl was built for %s", n / 10000, n / 100 % 100, n % 100,
             MEMO_VERSION_TEXT);
    else
        tell(k, MARK_FAIL, LEAVE_FAILED, "library", "install the libmemo that belongs to this memoctl",
            "libmemo %u.%u.%u is loaded, memoctl was built for %s", n / 10000, n / 100 % 100, n % 100, MEMO_VERSION_TEXT);
}

/* Whether a directory could be made: the nearest one above it that exists decides, by trying: root may write everywhere, and still cannot make
 * anything in /proc. why: what is in the way. */
static bool can_be_made(const char *directory, char *why, size_t n)
{
    char above[1100], probe[1200];
    struct stat st;
    snprintf(above, sizeof(above), "%s", directory);
    do {
        char *slash = strrchr(above, '/');
        if (!slash)
            return false;
        slash[slash == above] = 0;
    } while (stat(above, &st) != 0 && above[1]);
    snprintf(probe, sizeof(probe), "%s/.memoctl-check-%d", above[1] ? above : "", (int)getpid());
    bool made = mkdir(probe, 0700) == 0;
    snprintf(why, n, "%s: %s", above, made ? "" : strerror(errno));
    if (made)
        (void)rmdir(probe);
    return made;
}

static void check_runtime(struct checkup *k)
{
    char directory[400], why[600];
    struct stat st;
    processes_directory(directory, sizeof(directory));
    if (lstat(directory, &st) == 0) {
        if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 022) != 0)
            tell(k, MARK_FAIL, LEAVE_FAILED, "runtime", "it must be a directory of yours that nobody else can write: chown, chmod 0700, or another XDG_RUNTIME_DIR",
                "%s is not ours alone (owner %u, mode %03o)", directory, (unsigned)st.st_uid,
                 (unsigned)st.st_mode & 0777);
        else
            tell(k, MARK_OK, LEAVE_FAILED, "runtime", NULL, "%s", directory);
    } else if (can_be_made(directory, why, sizeof(why)))
        tell(k, MARK_OK, LEAVE_FAILED, "runtime", NULL, "%s can be made when it is needed", directory);
    else
        tell(k, MARK_WARN, LEAVE_FAILED, "runtime",
            "set XDG_RUNTIME_DIR to a directory of yours (0700): the file: registry, its cache and `memoctl explain` live there",
            "%s cannot be made: %s", directory, why);
}

static void check_clock(struct checkup *k)
{
    struct timex t = { .modes = 0 };
    struct timespec boot;
    if (clock_gettime(CLOCK_BOOTTIME, &boot) != 0)
        tell(k, MARK_FAIL, LEAVE_FAILED, "clock", "leases and ages need it; Linux has it since 2.6.39", "CLOCK_BOOTTIME: %s", strerror(errno));
    else if (time(NULL) < 1767225600) /* 2026-01-01 */
        tell(k, MARK_FAIL, LEAVE_FAILED, "clock", "set the clock: certificates, cached views and fencing tokens carry its time",
            "the wall clock says a time before this program was written");
    else if (adjtimex(&t) == TIME_ERROR || (t.status & STA_UNSYNC))
        tell(k, MARK_WARN, LEAVE_FAILED, "clock",
            "run chrony or systemd-timesyncd (in a container the host may do it unseen); decisions and leases do not need it",
            "the wall clock is not synchronised");
    else
        tell(k, MARK_OK, LEAVE_FAILED, "clock", NULL, "synchronised, error <= %ld ms", t.maxerror / 1000);
}

static bool is_setting(const char *name, size_t n)
{
    memo_setting row = MEMO_INIT(memo_setting);
    for (uint32_t i = 0; memo_setting_get(i, &row) == MEMO_OK; i++) {
        size_t own = strlen(row.environment);
        if (strncmp(name, row.environment, own) == 0 && (n == own || (row.secret && n == own + 5 && strncmp(name + own, "_FILE", 5) == 0)))
            return true;
    }
    return false;
}

/* Options of every command are variables, too: MEMO_NO_COLOR is --no-color. MEMO_HELP is none: nobody reads it. */
static bool is_option_name(const char *name, size_t n)
{
    for (const struct option_row *o = args_global; o->name; o++) {
        size_t i = 5;
        if (o->letter == 'h')
            continue;
        while (i < n && o->name[i - 5] && (o->name[i - 5] == '-' ? name[i] == '_' : name[i] == (o->name[i - 5] & ~32)))
            i++;
        if (i == n && !o->name[n - 5])
            return true;
    }
    return false;
}

/* A mistyped variable is no mistake to the library, which cannot know what else begins with MEMO_: a person wants to hear of it. */
static void check_variables(struct checkup *k)
{
    for (char **v = environ; *v; v++) {
        size_t n = strcspn(*v, "=");
        if (strncmp(*v, "MEMO_", 5) == 0 && !is_setting(*v, n) && !is_option_name(*v, n))
            tell(k, MARK_WARN, LEAVE_INVALID, "settings", "`memoctl settings -o json` has the names of all variables", "%.*s is set, and is no setting",
                 (int)(n > 100 ? 100 : n), *v);
    }
}

static memo_client *check_settings(struct checkup *k)
{
    static const char *const names[] = { "registry", "rules" };
    memo_error e = MEMO_INIT(memo_error);
    memo_client *c = NULL;
    memo_status s = memo_client_new(&c, &e);
    for (int i = 0; i < 2 && !s; i++)
        if (args_get(k->args, names[i]))
            s = memo_client_set(c, names[i], args_get(k->args, names[i]), &e);
    if (!s) {
        tell(k, MARK_OK, LEAVE_INVALID, "settings", NULL, "all valid");
        check_variables(k);
        return c;
    }
    tell(k, MARK_FAIL, leave_code(s), "settings", "`memoctl settings` shows each with its origin and range", "%s%s%s (%s)", e.file,
        e.file[0] ? ": " : "", e.message, memo_status_name(s));
    memo_client_free(c);
    return NULL;
}

static void tell_rules(struct checkup *k, const char *file, const char *text, size_t n)
{
    memo_error e = MEMO_INIT(memo_error);
    char *report;
    memo_status s = document_check(text, n, &report, &e);
    if (s == MEMO_OK && report[0]) /* all of the report are warnings then */
        tell(k, MARK_WARN, LEAVE_INVALID, "rules", "`memoctl rules validate FILE` tells each",
            "%s is valid, but has keys that mean nothing: unknown, or not in force in this version", file);
    else if (s == MEMO_OK)
        tell(k, MARK_OK, LEAVE_INVALID, "rules", NULL, "%s is valid", file);
    else
        tell(k, MARK_FAIL, leave_code(s), "rules", "`memoctl rules validate FILE` tells every mistake", "%s:%d:%d: %s%s%s", file, (int)e.line,
            (int)e.column, e.path, e.path[0] ? ": " : "", e.message[0] ? e.message : memo_status_name(s));
    free(report);
}

/* A path, a URL or the text itself, told apart as the library does. */
static void check_rules(struct checkup *k, memo_client *c)
{
    memo_error e = MEMO_INIT(memo_error);
    char value[4096], origin[256], *text;
    size_t n;
    memo_status s;
    if (memo_client_get_setting(c, "rules", value, sizeof(value), origin, sizeof(origin)) != MEMO_OK)
        value[0] = 0;
    if (!value[0])
        tell(k, MARK_OK, LEAVE_INVALID, "rules", NULL, "none given: the built-in defaults hold");
    else if (value[0] == '{')
        tell_rules(k, "inline", value, strlen(value));
    else if (strncmp(value, "http:", 5) == 0 || strncmp(value, "https:", 6) == 0)
        tell(k, MARK_OK, LEAVE_INVALID, "rules", NULL, "%s: a program that starts asks for it; not looked at here", value);
    else if ((s = document_read(strncmp(value, "file://", 7) == 0 ? value + 7 : value, &text, &n, &e)) != MEMO_OK)
        tell(k, MARK_FAIL, leave_code(s), "rules", "MEMO_RULES is a path, a URL, or the text itself, beginning with {", "%s: %s", value, e.message);
    else {
        tell_rules(k, value, text, n);
        free(text);
    }
}

/* Why the registry is away is said in a log line only, by another thread: the first of them is kept for the verdict. */
struct reason { char text[400]; };

static void on_line(int32_t level, const char *line, void *user)
{
    struct reason *r = user;
    if (level >= MEMO_LOG_WARN && !r->text[0] && strncmp(line, "registry ", 9) == 0)
        snprintf(r->text, sizeof(r->text), "%s", line + 9);
}

/* The directory that a file: registry is in; false: another registry. */
static bool registry_directory(const char *url, char *path, size_t n)
{
    const char *at = url + 5;
    char runtime[400];
    if (strncmp(url, "file:", 5) != 0)
        return false;
    if (strncmp(at, "//", 2) == 0)
        at += 2;
    int length = (int)strcspn(at, "?");
    processes_directory(runtime, sizeof(runtime));
    if (length)
        snprintf(path, n, "%.*s", length, at);
    else
        snprintf(path, n, "%s/registry", runtime);
    for (size_t end = strlen(path); end > 1 && path[end - 1] == '/'; end--)
        path[end - 1] = 0;
    return true;
}

/* Readers make nothing, so on a new machine it is not there; what matters is whether the first one that registers can make it. */
static void tell_missing(struct checkup *k, const char *path)
{
    char why[1200];
    if (can_be_made(path, why, sizeof(why)))
        tell(k, MARK_WARN, LEAVE_OK, "registry", "nobody has registered on this machine yet: the first one that does makes it", "%s is not there", path);
    else
        tell(k, MARK_FAIL, leave_code(MEMO_E_UNREACHABLE), "registry",
            "it lives in a local directory that its users can make: file:///PATH, or XDG_RUNTIME_DIR for the default one",
            "%s is not there and cannot be made: %s", path, why);
}

static const char *registry_hint(const char *url, memo_status s)
{
    if (s == MEMO_E_SETTING || s == MEMO_E_UNSUPPORTED)
        return "MEMO_REGISTRY or --registry is a URL: file:, file:///run/memo/registry, static:todo=127.0.0.1:8080";
    if (strncmp(url, "file:", 5) != 0)
        return "is MEMO_REGISTRY right, and its server up?";
    return s == MEMO_E_IO ? "it must be a local directory of yours that nobody else can enter: chown, chmod 0700; ?owners=UID,UID lets others in"
                          : "is MEMO_REGISTRY the right directory, and has this user a way to it?";
}

static void tell_unusable(struct checkup *k, const char *url, memo_status s, const char *why, const memo_error *e)
{
    const char *text = why[0] ? why : e->message[0] ? e->message : "no list of services";
    tell(k, MARK_FAIL, leave_code(s), "registry", registry_hint(url, s), "%s%s%s (%s)", why[0] ? "" : url, why[0] ? "" : ": ", text, memo_status_name(s));
}

static void check_registry(struct checkup *k, memo_client *c, struct reason *why)
{
    char url[1100], path[1100], origin[256], names[65536];
    memo_error e = MEMO_INIT(memo_error);
    size_t need = 0;
    uint32_t count = 0;
    if (memo_client_get_setting(c, "registry", url, sizeof(url), origin, sizeof(origin)) != MEMO_OK)
        snprintf(url, sizeof(url), "the default registry");
    memo_status s = open_start(c, &e);
    if (!s)
        s = memo_client_wait(c, k->args->timeout_ms, &e);
    if (!s)
        s = memo_client_list_services(c, names, sizeof(names), &need);
    if (s == MEMO_E_RULES)
        return; /* told already */
    if (s == MEMO_E_UNREACHABLE && registry_directory(url, path, sizeof(path)) && access(path, F_OK) != 0) {
        tell_missing(k, path);
        return;
    }
    if (s && s != MEMO_E_TRUNCATED) {
        poll(NULL, 0, 100); /* the line is on its way */
        open_silently(c);
        tell_unusable(k, url, s, why->text, &e);
        return;
    }
    for (size_t at = 0; s == MEMO_OK && at < need && names[at]; at += strlen(names + at) + 1)
        count++;
    tell(k, MARK_OK, LEAVE_UNREACHABLE, "registry", NULL, s ? "%s, very many services" : "%s, %u service%s", url[0] ? url : "the default registry",
        count, count == 1 ? "" : "s");
}

int cmd_check(const struct args *a)
{
    struct checkup k = { .args = a };
    struct reason why = { .text = "" };
    json_begin(&k.json, stdout);
    if (a->json)
        json_open(&k.json, NULL, '[');
    check_library(&k);
    check_runtime(&k);
    check_clock(&k);
    memo_client *c = check_settings(&k);
    if (c) {
        memo_log_set(c, on_line, &why); /* what is wrong is told here, not in the log */
        check_rules(&k, c);
        check_registry(&k, c, &why);
        memo_client_free(c);
    }
    if (a->json) {
        json_close(&k.json, ']');
        json_end(&k.json);
    } else if (!a->quiet) {
        puts(k.failures ? "not ready" : k.warnings ? "ready, with warnings" : "ready");
    }
    return k.code;
}
