/* SPDX-License-Identifier: Apache-2.0 */
/* rules.c: the rules document of a client: read, checked as a whole, applied at once, watched.
 *
 *   document (sources/document.h: a file or a URL) --text--> compile --ok--> every service's next plan; the document keeps its last good copy on disk
 *                                                               \--mistakes--> event, log line; the one before stays
 */
#define _GNU_SOURCE
#include <memo/rules.h>
#include <stdio.h>
#include <string.h>
#include "base/status.h"
#include "client/client.h"
#include "client/engine.h"
#include "sources/document.h"

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

/* ---- where it comes from ---- */

static memo_status on_text(void *user, struct memo__text text, memo_error *e)
{
    memo_client *c = user;
    struct memo__document *d = c->owner.rules.document;
    memo_status s = take_text(c, d->copied ? "last good rules" : d->url, text.at, text.n, e);
    if (s != MEMO_OK)
        return s;
    if (d->copied)
        memo__client_log(c, MEMO_LOG_WARN, "%s cannot be used: the last good rules hold until it can", d->url);
    memo__document_settle(d, true);
    memo__lock_take(&c->shared.lock);
    c->shared.rules_ready = true;
    memo__wake(&c->shared.lock);
    memo__lock_drop(&c->shared.lock);
    return MEMO_OK;
}

static void on_trouble(void *user, memo_status s, const char *why)
{
    memo_client *c = user;
    const char *url = c->owner.rules.document->url;
    if (s == MEMO_OK)
        return;
    memo__client_event(c, MEMO_EVENT_RULES, "", url, s, c->owner.rules.revision,
                       strstr(url, "://") ? "the rules in force stay: the server %s" : "the rules in force stay: the file %s", why);
    memo__client_log(c, MEMO_LOG_WARN, "%s %s: the rules in force stay", url, why);
}

static void on_unkept(void *user, const char *why)
{
    memo__client_log(user, MEMO_LOG_INFO, "the last good rules are not kept on disk: %s", why);
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

/* What is not there yet is no mistake: the built-in ones hold until it is. *ready: those that are wanted are in force, or nobody says that they ever
 * will be. */
static memo_status source_open(memo_client *c, const char *where, bool *ready, memo_error *e)
{
    static const char *const kinds[] = { "http:", "https:" };
    const struct memo__document_sink sink = { on_text, on_trouble, NULL, on_unkept, c };
    struct memo__engine *g = memo__turn_take();
    struct memo__document_ground ground = memo__client_ground(c, g, "rules", MEMO_E_RULES, MEMO__RULES_BYTES_MAX);
    memo_error wrong = MEMO_INIT(memo_error);
    memo_status s = memo__document_open(&ground, where, &sink, &c->owner.rules.document, &wrong);
    if (s == MEMO_OK)
        s = memo__document_start(c->owner.rules.document, &wrong);
    bool later = strncmp(where, kinds[0], strlen(kinds[0])) == 0 || strncmp(where, kinds[1], strlen(kinds[1])) == 0;
    *ready = s == MEMO_OK || !later;
    if (s == MEMO_E_IO || s == MEMO_E_UNREACHABLE) {
        memo__client_log(c, later ? MEMO_LOG_INFO : MEMO_LOG_WARN, "%s%s%s: the built-in rules hold until it can be read", wrong.file, wrong.file[0]
                         ? " " : "", wrong.message);
        s = MEMO_OK;
    } else if (s != MEMO_OK && e) {
        *e = wrong;
    }
    memo__turn_drop();
    return s;
}

memo_status memo__rules_open(memo_client *c, memo_error *e)
{
    const char *where = memo__setting_text(&c->settings, MEMO__SETTING_RULES);
    bool ready = true;
    memo_status s = built_in(c, e);
    if (s != MEMO_OK)
        return s;
    if (where[0] == '{')
        s = take_text(c, "MEMO_RULES", where, strlen(where), e);
    else if (where[0])
        s = source_open(c, where, &ready, e);
    memo__lock_take(&c->shared.lock);
    c->shared.rules_ready = s == MEMO_OK && ready;
    memo__lock_drop(&c->shared.lock);
    return s;
}

void memo__rules_close(memo_client *c)
{
    struct memo__rules_source *r = &c->owner.rules;
    (void)memo__turn_take();
    memo__document_close(r->document); /* a client whose start has failed may be started again: nothing has been seen then */
    r->document = NULL;
    memo__rules_drop(r->now);
    r->now = NULL;
    memo__turn_drop();
}
