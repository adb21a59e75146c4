/* SPDX-License-Identifier: Apache-2.0 */
/* rules.c: the rules document of a client: read, checked as a whole, applied at once, watched.
 *
 *   file changes --inotify or poll--> read --> compile --ok--> every service's next plan, last good copy on disk
 *                                                 \--mistakes--> event, log line; the one before stays
 */
#define _GNU_SOURCE
#include <memo/rules.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/hash.h"
#include "base/status.h"
#include "client/client.h"
#include "client/engine.h"
#include "sources/cache_text.h"

struct report { struct memo__writer w; memo_error *first; bool error; };

static void on_finding(void *user, const struct memo__finding *f)
{
    struct report *r = user;
    memo__put_format(&r->w, "{\"severity\":\"%s\",\"line\":%d,\"column\":%d,\"path\":", f->error ? "error" : "warning", (int)f->line, (int)f->column);
    memo__put_json(&r->w, memo__text_of(f->path));
    memo__put_text(&r->w, ",\"message\":");
    memo__put_json(&r->w, memo__text_of(f->message));
    memo__put_text(&r->w, "}\n");
    if (f->error && !r->error)
        (void)memo__fail_at(r->first, MEMO_E_RULES, NULL, f->line, f->column, f->path, "%s", f->message);
    r->error = r->error || f->error;
}

static memo_status report_end(struct report *r, memo_status s, size_t *need)
{
    bool whole = memo__writer_end(&r->w);
    if (need)
        *need = r->w.need + 1;
    return s == MEMO_OK && r->w.size && !whole ? MEMO_E_TRUNCATED : s;
}

memo_status memo_rules_check(const char *text, size_t bytes, char *report, size_t n, size_t *need, memo_error *first)
{
    struct memo__rules *rules = NULL;
    struct report r = { .first = first };
    if ((bytes && !text) || (n && !report))
        return memo__fail(first, MEMO_E_ARGUMENT, "text and report are needed for their lengths");
    memo__writer_init(&r.w, report, n);
    memo_status s = memo__rules_compile(&memo__alloc_default, text, bytes, on_finding, &r, &rules);
    memo__rules_free(rules);
    return report_end(&r, s, need);
}

static struct memo__rules_options options(const memo_client *c)
{
    return (struct memo__rules_options){ .default_timeout = memo__setting_ns(&c->settings, MEMO__SETTING_DEFAULT_TIMEOUT) };
}

/* With the turn: all services get the new rules, or none. */
static memo_status apply(memo_client *c, struct memo__rules *next)
{
    struct memo__rules *before = c->owner.rules.now;
    next->refs = 1;
    next->revision = c->owner.rules.revision + 1;
    memo_status s = memo__services_replan(c, next);
    if (s != MEMO_OK) {
        memo__rules_drop(next);
        return s;
    }
    c->owner.rules.now = next;
    c->owner.rules.revision = next->revision;
    memo__rules_drop(before);
    memo__client_event(c, MEMO_EVENT_RULES, "", "", MEMO_OK, next->revision, "revision %llu in force", (unsigned long long)next->revision);
    memo__client_log(c, MEMO_LOG_INFO, "rules revision %llu in force", (unsigned long long)next->revision);
    return MEMO_OK;
}

memo_status memo_rules_apply(memo_client *c, const char *text, size_t bytes, char *report, size_t n, size_t *need, memo_error *first)
{
    struct memo__rules *rules = NULL;
    struct report r = { .first = first };
    if (!c || (bytes && !text) || (n && !report))
        return memo__fail(first, MEMO_E_ARGUMENT, "a client is needed, and text and report for their lengths");
    memo__process_check();
    if (memo__load(&c->phase) != MEMO__RUNNING)
        return memo__fail(first, MEMO_E_STATE, "the client is not running");
    memo__writer_init(&r.w, report, n);
    struct memo__rules_options o = options(c);
    memo_status s = memo__rules_compile_with(&c->alloc, &o, text, bytes, on_finding, &r, &rules);
    if (s == MEMO_OK) {
        (void)memo__turn_take();
        s = apply(c, rules);
        memo__turn_drop();
        if (s != MEMO_OK)
            (void)memo__fail(first, s, "rules could not be applied: %s", memo_status_name(s));
    }
    return report_end(&r, s, need);
}

/* Mistakes in a file: the first goes into the event, all into the log. */
struct file_report { memo_client *c; const char *file; char first[160]; };

static void on_file_finding(void *user, const struct memo__finding *f)
{
    struct file_report *r = user;
    memo__client_log(r->c, f->error ? MEMO_LOG_ERROR : MEMO_LOG_WARN, "%s:%d:%d: %s: %s", r->file, (int)f->line, (int)f->column, f->path && f->path[0] ? f->path : "document", f->message);
    if (f->error && !r->first[0])
        (void)snprintf(r->first, sizeof r->first, "line %d, column %d: %s: %s", (int)f->line, (int)f->column, f->path && f->path[0] ? f->path : "document", f->message);
}

static memo_status take_text(memo_client *c, const char *file, const char *text, size_t bytes, memo_error *e)
{
    struct memo__rules *rules = NULL;
    struct file_report r = { .c = c, .file = file };
    struct memo__rules_options o = options(c);
    const struct memo__finding nothing = { true, 1, 1, "", "the file is empty: a document that asks for nothing reads {\"memo\":1}" };
    memo_status s = MEMO_E_RULES;
    if (!bytes) /* a file that is being written anew, most likely: not the wish to drop all limits */
        on_file_finding(&r, &nothing);
    else
        s = memo__rules_compile_with(&c->alloc, &o, text, bytes, on_file_finding, &r, &rules);
    if (s == MEMO_OK)
        return apply(c, rules);
    memo__client_event(c, MEMO_EVENT_RULES, "", file, s, c->owner.rules.revision, "refused: %s", r.first[0] ? r.first : memo_status_name(s));
    return memo__fail_at(e, s, file, 0, 0, NULL, "%s", r.first[0] ? r.first : memo_status_name(s));
}

/* The file in a block of its own; *text is NUL-terminated. Of a file that is too long a byte more than a document may have, so that the compiler says so in its own words. */
static memo_status read_file(memo_client *c, const char *path, char **text, size_t *bytes, memo_error *e)
{
    struct stat st;
    size_t most = 0;
    int fd = c->host->open(c->host->user, AT_FDCWD, path, O_RDONLY | O_NONBLOCK, 0);
    if (fd < 0)
        return memo__fail_at(e, MEMO_E_IO, path, 0, 0, NULL, "cannot be opened: %s", strerror(-fd));
    memo_status s = MEMO_E_IO;
    bool regular = c->host->stat_fd(c->host->user, fd, &st) >= 0 && S_ISREG(st.st_mode);
    if (regular)
        most = st.st_size > (off_t)MEMO__RULES_BYTES_MAX ? MEMO__RULES_BYTES_MAX + 1 : (size_t)st.st_size;
    if (!regular)
        (void)memo__fail_at(e, s, path, 0, 0, NULL, "is not a file that can be read");
    else if (!(*text = memo__get(&c->alloc, most + 1)))
        (void)memo__fail(e, s = MEMO_E_NO_MEMORY, "no memory for %s", path);
    else {
        int64_t got = 0;
        for (*bytes = 0; *bytes < most && (got = c->host->pread(c->host->user, fd, *text + *bytes, most - *bytes, (int64_t)*bytes)) > 0;)
            *bytes += (size_t)got;
        s = got < 0 ? memo__fail_at(e, MEMO_E_IO, path, 0, 0, NULL, "cannot be read: %s", strerror((int)-got)) : MEMO_OK;
    }
    (void)c->host->close(c->host->user, fd);
    return s;
}

/* Where the last good document is kept; which one, by the path that it came from. */
static struct memo__text_place kept_at(const memo_client *c)
{
    const char *path = c->owner.rules.path;
    return (struct memo__text_place){ .alloc = &c->alloc, .host = c->host, .directory = memo__setting_text(&c->settings, MEMO__SETTING_CACHE_DIR), .kind = "rules",
                                      .key = memo__hash(0, path, strlen(path)) };
}

static void keep(memo_client *c, const char *text, size_t bytes)
{
    struct memo__text_place place = kept_at(c);
    memo_error wrong = MEMO_INIT(memo_error);
    if (memo__setting_bool(&c->settings, MEMO__SETTING_CACHE) && memo__cache_text_store(&place, (struct memo__text){ text, bytes }, &wrong) != MEMO_OK)
        memo__client_log(c, MEMO_LOG_INFO, "the last good rules are not kept on disk: %s", wrong.message);
}

/* The file cannot be read, or is not valid, at the start: what was good the last time is better than nothing. */
static memo_status last_good(memo_client *c)
{
    struct memo__text_place place = kept_at(c);
    char *text = NULL;
    size_t bytes = 0;
    if (!memo__setting_bool(&c->settings, MEMO__SETTING_CACHE))
        return MEMO_E_UNREACHABLE;
    memo_status s = memo__cache_text_load(&place, memo__setting_ns(&c->settings, MEMO__SETTING_CACHE_MAX_AGE), &text, &bytes, NULL);
    if (s == MEMO_OK && (s = take_text(c, "last good rules", text, bytes, NULL)) == MEMO_OK)
        memo__client_log(c, MEMO_LOG_WARN, "%s cannot be used: the last good rules hold until it can", c->owner.rules.path);
    memo__drop(&c->alloc, text);
    return s;
}

/* What cannot be read any more is told once. */
static void tell_unreadable(memo_client *c, memo_status s, const memo_error *wrong)
{
    struct memo__rules_source *r = &c->owner.rules;
    if (s != MEMO_OK && s != r->unreadable && s != MEMO_E_NO_MEMORY) {
        memo__client_event(c, MEMO_EVENT_RULES, "", r->path, s, r->revision, "the rules in force stay: the file %s", wrong->message);
        memo__client_log(c, MEMO_LOG_WARN, "%s %s: the rules in force stay", r->path, wrong->message);
    }
    r->unreadable = s;
}

/* Looks at the file; what it says is taken if it has changed. Told by the kernel, it is patient with one that is being replaced: it may be away or empty for a moment, and the next poll asks again. */
enum why { STARTING, TOLD, POLLING };

static memo_status look(memo_client *c, memo_error *e, enum why why)
{
    struct memo__rules_source *r = &c->owner.rules;
    char *text = NULL;
    size_t bytes = 0;
    memo_status s = read_file(c, r->path, &text, &bytes, e);
    if (why == POLLING)
        tell_unreadable(c, s, e);
    if (s == MEMO_OK) {
        uint64_t hash = memo__hash(bytes, text, bytes);
        r->unreadable = MEMO_OK; /* whoever saw it: the next time that it cannot be read is news again */
        if (hash != r->hash && (bytes || why != TOLD)) {
            s = take_text(c, r->path, text, bytes, e);
            r->bad = s != MEMO_OK;
            if (s == MEMO_OK)
                keep(c, text, bytes);
            if (s == MEMO_OK || s == MEMO_E_RULES)
                r->hash = hash; /* no memory: looked at again with the next poll */
        }
    }
    memo__drop(&c->alloc, text);
    return s;
}

static void on_directory(struct memo__dirwatch_item *i, const char *name, void *user)
{
    (void)i;
    memo_client *c = user;
    const char *slash = strrchr(c->owner.rules.path, '/'), *file = slash ? slash + 1 : c->owner.rules.path;
    if (!name || strcmp(name, file) == 0 || strcmp(name, "..data") == 0) /* the last one: a ConfigMap's swap */
        (void)look(c, NULL, TOLD);
}

/* The directory, not the file: editors and ConfigMaps put a new file under the old name. */
static void watch_directory(memo_client *c, struct memo__engine *g)
{
    struct memo__rules_source *r = &c->owner.rules;
    const char *slash = strrchr(r->path, '/');
    char directory[4096];
    if (!memo__text_copy(directory, sizeof directory, slash ? (struct memo__text){ r->path, slash == r->path ? 1 : (size_t)(slash - r->path) } : MEMO__TEXT(".")))
        return;
    if (r->dir < 0)
        r->dir = c->host->open(c->host->user, AT_FDCWD, directory, O_RDONLY | O_DIRECTORY, 0);
    if (r->dir >= 0)
        (void)memo__dirwatch_add(g->dirs, &r->item, r->dir, IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_DELETE, on_directory, c);
}

static void on_poll(struct memo__timer *t, void *user)
{
    memo_client *c = user;
    struct memo__engine *g = memo__turn_take();
    memo_error wrong = MEMO_INIT(memo_error);
    struct memo__rules_source *r = &c->owner.rules;
    if (!r->item.on)
        watch_directory(c, g); /* it may be there now */
    (void)look(c, &wrong, POLLING);
    (void)memo__timer_start(g->loop, t, memo__after(memo__loop_now(g->loop), memo__setting_ns(&c->settings, MEMO__SETTING_RULES_POLL)), on_poll, c);
    memo__turn_drop();
}

static memo_status built_in(memo_client *c, memo_error *e)
{
    struct memo__rules *rules = NULL;
    struct memo__rules_options o = options(c);
    memo_status s = memo__rules_compile_with(&c->alloc, &o, NULL, 0, NULL, NULL, &rules);
    if (s != MEMO_OK)
        return memo__fail(e, s, "built-in rules: %s", memo_status_name(s));
    rules->refs = 1;
    c->owner.rules.now = rules;
    return MEMO_OK;
}

memo_status memo__rules_open(memo_client *c, memo_error *e)
{
    struct memo__rules_source *r = &c->owner.rules;
    const char *where = memo__setting_text(&c->settings, MEMO__SETTING_RULES);
    memo_status s = built_in(c, e);
    if (s != MEMO_OK)
        return s;
    if (where[0] == '{')
        s = take_text(c, "MEMO_RULES", where, strlen(where), e);
    else if (where[0]) {
        if (!(r->path = memo__copy_text(&c->alloc, where, strlen(where))))
            return memo__fail(e, MEMO_E_NO_MEMORY, "no memory for the rules");
        struct memo__engine *g = memo__turn_take();
        watch_directory(c, g);
        memo_error wrong = MEMO_INIT(memo_error);
        s = look(c, &wrong, STARTING);
        if ((s == MEMO_E_IO || s == MEMO_E_RULES) && last_good(c) == MEMO_OK)
            s = MEMO_OK;
        else if (s == MEMO_E_IO) { /* not there yet: the built-in ones hold until it is */
            memo__client_log(c, MEMO_LOG_WARN, "%s %s: the built-in rules hold until it can be read", wrong.file, wrong.message);
            s = MEMO_OK;
        } else if (s != MEMO_OK && e)
            *e = wrong;
        if (s == MEMO_OK)
            s = memo__timer_start(g->loop, &r->poll, memo__after(memo__loop_now(g->loop), memo__setting_ns(&c->settings, MEMO__SETTING_RULES_POLL)), on_poll, c);
        memo__turn_drop();
    }
    memo__lock_take(&c->shared.lock);
    c->shared.rules_ready = s == MEMO_OK;
    memo__lock_drop(&c->shared.lock);
    return s;
}

void memo__rules_close(memo_client *c)
{
    struct memo__rules_source *r = &c->owner.rules;
    struct memo__engine *g = memo__turn_take();
    memo__timer_stop(g->loop, &r->poll);
    if (r->item.on)
        memo__dirwatch_remove(g->dirs, &r->item);
    memo__turn_drop();
    if (r->dir >= 0)
        (void)c->host->close(c->host->user, r->dir);
    r->dir = -1;
    memo__rules_drop(r->now);
    r->now = NULL;
    memo__drop(&c->alloc, r->path);
    r->path = NULL;
    r->hash = 0; /* a client whose start has failed may be started again: nothing has been seen then */
    r->bad = false;
    r->unreadable = MEMO_OK;
}
