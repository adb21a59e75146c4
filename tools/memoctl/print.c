/* SPDX-License-Identifier: Apache-2.0 */
/* print.c: tables, JSON and errors. Text from elsewhere (labels, answers, messages) reaches a terminal without its control characters and JSON
 * without invalid UTF-8. */
#define _GNU_SOURCE
#include "print.h"
#include <memo/service.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "base/text.h"
#include "leave.h"

/* ---- tables ---- */

static void cell_add(struct print_table *t, char *text)
{
    if (t->cells == t->room) {
        uint32_t room = t->room ? t->room * 2 : 64;
        char **more = realloc(t->cell, room * sizeof(*more));
        if (!more) {
            t->broken = true;
            free(text);
            return;
        }
        t->cell = more;
        t->room = room;
    }
    if (!text)
        t->broken = true;
    for (char *c = text; c && *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    t->cell[t->cells++] = text;
}

void print_table_begin(struct print_table *t, uint32_t columns, const char *const *heads)
{
    memset(t, 0, sizeof(*t));
    t->columns = columns;
    for (uint32_t i = 0; i < columns; i++)
        print_cell(t, "%s", heads[i]);
}

void print_cell(struct print_table *t, const char *format, ...)
{
    char *text = NULL;
    va_list v;
    va_start(v, format);
    if (vasprintf(&text, format, v) < 0)
        text = NULL;
    va_end(v);
    cell_add(t, text);
}

/* Characters, not bytes: continuation bytes of UTF-8 take no place. */
static uint32_t width_of(const char *text)
{
    uint32_t n = 0;
    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

static void table_print(const struct print_table *t)
{
    uint32_t widest[PRINT_COLUMNS] = { 0 };
    for (uint32_t i = 0; i < t->cells; i++) {
        uint32_t width = width_of(t->cell[i]), column = i % t->columns;
        if (width > widest[column])
            widest[column] = width;
    }
    for (uint32_t i = 0; i < t->cells; i++) {
        uint32_t column = i % t->columns;
        bool last = column == t->columns - 1;
        printf("%s%*s%s", t->cell[i], last ? 0 : (int)(widest[column] - width_of(t->cell[i])), "", last ? "\n" : "  ");
    }
}

int print_table_end(struct print_table *t)
{
    bool broken = t->broken;
    if (!broken)
        table_print(t);
    for (uint32_t i = 0; i < t->cells; i++)
        free(t->cell[i]);
    free(t->cell);
    return broken ? print_error(NULL, MEMO_E_NO_MEMORY, NULL) : LEAVE_OK;
}

/* ---- JSON ---- */

void json_begin(struct print_json *j, FILE *to)
{
    memset(j, 0, sizeof(*j));
    j->to = to;
}

static void json_string(FILE *to, const char *bytes, size_t n)
{
    struct memo__writer w;
    size_t room = n * 6 + 3; /* the longest escape is six bytes */
    char small[512], *buf = room <= sizeof(small) ? small : malloc(room);
    if (!buf) {
        fputs("\"\"", to);
        return;
    }
    memo__writer_init(&w, buf, room);
    memo__put_json(&w, (struct memo__text){ bytes, n });
    (void)memo__writer_end(&w);
    fputs(buf, to);
    if (buf != small)
        free(buf);
}

static void json_key(struct print_json *j, const char *key)
{
    if (j->comma[j->depth])
        fputc(',', j->to);
    j->comma[j->depth] = true;
    if (key) {
        json_string(j->to, key, strlen(key));
        fputc(':', j->to);
    }
}

void json_open(struct print_json *j, const char *key, char bracket)
{
    json_key(j, key);
    fputc(bracket, j->to);
    j->comma[++j->depth] = false;
}

void json_close(struct print_json *j, char bracket)
{
    fputc(bracket, j->to);
    j->depth--;
}

void json_bytes(struct print_json *j, const char *key, const char *bytes, size_t n)
{
    json_key(j, key);
    json_string(j->to, bytes, n);
}

void json_text(struct print_json *j, const char *key, const char *text)
{
    if (text)
        json_bytes(j, key, text, strlen(text));
    else
        json_raw(j, key, "null");
}

void json_int(struct print_json *j, const char *key, int64_t n)
{
    json_key(j, key);
    fprintf(j->to, "%lld", (long long)n);
}

void json_uint(struct print_json *j, const char *key, uint64_t n)
{
    json_key(j, key);
    fprintf(j->to, "%llu", (unsigned long long)n);
}

void json_number(struct print_json *j, const char *key, double n)
{
    json_key(j, key);
    fprintf(j->to, "%.3f", n);
}

void json_bool(struct print_json *j, const char *key, bool yes)
{
    json_raw(j, key, yes ? "true" : "false");
}

void json_raw(struct print_json *j, const char *key, const char *json)
{
    json_key(j, key);
    fputs(json, j->to);
}

void json_end(struct print_json *j)
{
    fputc('\n', j->to);
    fflush(j->to);
    j->comma[0] = false;
}

/* ---- errors, remarks, colours ---- */

int print_error(const char *what, memo_status s, const memo_error *e)
{
    fputs("memoctl: ", stderr);
    if (what)
        fprintf(stderr, "%s: ", what[0] ? what : "\"\"");
    if (e && e->file[0])
        fprintf(stderr, e->line > 0 ? "%s:%d:%d: " : "%s: ", e->file, (int)e->line, (int)e->column);
    if (e && e->path[0])
        fprintf(stderr, "%s: ", e->path);
    if (e && e->message[0] && strcmp(e->message, memo_status_name(s)) != 0)
        fprintf(stderr, "%s (%s)\n", e->message, memo_status_name(s));
    else
        fprintf(stderr, "%s\n", memo_status_name(s));
    return leave_code(s);
}

void print_remark(const struct args *a, const char *format, ...)
{
    va_list v;
    if (a->quiet)
        return;
    va_start(v, format);
    vfprintf(stderr, format, v);
    va_end(v);
    fputc('\n', stderr);
}

const char *print_color(const struct args *a, enum print_color c)
{
    static const char *const codes[] = { "\033[0m", "\033[32m", "\033[31m", "\033[33m", "\033[1m", "\033[2m" };
    return a->color ? codes[c] : "";
}

const char *print_view_state(int32_t state)
{
    static const char *const names[] = { "empty", "live", "stale", "protected", "cached" };
    return state >= MEMO_VIEW_EMPTY && state <= MEMO_VIEW_CACHED ? names[state] : "?";
}
