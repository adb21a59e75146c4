/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_rules.c: memoctl rules validate FILE...: every finding as FILE:LINE:COLUMN: error: path: message, which editors understand.
 *
 * At run time an unknown key is a warning, so that an older library runs a newer document; here, where a person can mend it, it is an error. */
#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "commands.h"
#include "document.h"
#include "leave.h"
#include "print.h"

struct finding { int64_t line, column; struct memo__text severity, path, message; };

struct verdict { const struct args *args; struct print_json json; uint32_t errors, warnings; };

static struct memo__text text_of(const struct memo__json *j, const char *key)
{
    const struct memo__json_node *n = memo__json_find(j, memo__json_root(j), key);
    return n && n->type == MEMO__JSON_TEXT ? memo__json_text(j, n) : MEMO__TEXT("");
}

/* "unknown key, ignored; did you mean ...": ignored is what it is at run time, not what happens here. */
static bool unknown_key(struct finding *f, char *buf, size_t n)
{
    static const char key[] = "unknown key", ignored[] = ", ignored";
    size_t k = sizeof(key) - 1, i = sizeof(ignored) - 1;
    if (f->message.n < k || memcmp(f->message.at, key, k) != 0)
        return false;
    if (f->message.n >= k + i && memcmp(f->message.at + k, ignored, i) == 0) {
        snprintf(buf, n, "%s%.*s", key, (int)(f->message.n - k - i), f->message.at + k + i);
        f->message = memo__text_of(buf);
    }
    return true;
}

static void tell(struct verdict *v, const char *file, struct finding *f)
{
    char buf[300];
    bool unknown = unknown_key(f, buf, sizeof(buf));
    bool error = unknown || memo__text_is(f->severity, "error");
    const char *severity = error ? "error" : "warning";
    v->errors += error;
    v->warnings += !error;
    if (!v->args->json) {
        printf("%s:%d:%d: %s%s:%s %.*s%s%.*s\n", file, (int)f->line, (int)f->column, print_color(v->args, error ? PRINT_RED : PRINT_YELLOW), severity,
               print_color(v->args, PRINT_PLAIN), (int)f->path.n, f->path.at, f->path.n ? ": " : "", (int)f->message.n, f->message.at);
        return;
    }
    json_open(&v->json, NULL, '{');
    json_text(&v->json, "file", file);
    json_int(&v->json, "line", f->line);
    json_int(&v->json, "column", f->column);
    json_text(&v->json, "severity", severity);
    json_bytes(&v->json, "path", f->path.at, f->path.n);
    json_bytes(&v->json, "message", f->message.at, f->message.n);
    json_close(&v->json, '}');
}

/* One line of the library's report. */
static void tell_line(struct verdict *v, const char *file, struct memo__text line)
{
    struct memo__json_options o = { .comments = false };
    struct memo__json *j;
    struct finding f = { 0 };
    if (memo__json_parse(&memo__alloc_libc, line, &o, &j, NULL) != MEMO_OK)
        return;
    (void)memo__json_int(j, memo__json_find(j, memo__json_root(j), "line"), &f.line);
    (void)memo__json_int(j, memo__json_find(j, memo__json_root(j), "column"), &f.column);
    f.severity = text_of(j, "severity");
    f.path = text_of(j, "path");
    f.message = text_of(j, "message");
    tell(v, file, &f);
    memo__json_free(j);
}

static int validate(struct verdict *v, const char *file)
{
    memo_error e = MEMO_INIT(memo_error);
    char *text, *report;
    size_t n;
    memo_status s = document_read(file, &text, &n, &e);
    if (s)
        return print_error(file, s, &e);
    uint32_t errors = v->errors, warnings = v->warnings;
    s = document_check(text, n, &report, &e);
    for (char *at = report; at && *at;) {
        size_t line = strcspn(at, "\n");
        tell_line(v, file, (struct memo__text){ at, line });
        at += line + (at[line] == '\n');
    }
    free(report);
    free(text);
    if (s != MEMO_OK && s != MEMO_E_RULES)
        return print_error(file, s, NULL);
    if (v->errors == errors && s == MEMO_E_RULES) /* refused without a finding: never silently */
        return print_error(file, s, NULL);
    if (v->errors == errors && !v->args->json && !v->args->quiet)
        printf("%s: valid%s\n", file, v->warnings > warnings ? ", with warnings" : "");
    return v->errors == errors ? LEAVE_OK : LEAVE_INVALID;
}

int cmd_rules(const struct args *a)
{
    struct verdict v = { .args = a };
    int worst = LEAVE_OK;
    if (strcmp(a->words[0], "validate") != 0)
        return args_wrong(a, "unknown verb \"%s\"; there is: validate", a->words[0]);
    json_begin(&v.json, stdout);
    if (a->json)
        json_open(&v.json, NULL, '[');
    for (int i = 1; i < a->words_count; i++) {
        int code = validate(&v, a->words[i]);
        if (code > worst)
            worst = code;
    }
    if (a->json) {
        json_close(&v.json, ']');
        json_end(&v.json);
    }
    return worst;
}
