/* SPDX-License-Identifier: Apache-2.0 */
/* print.h: results on stdout, as a table whose columns fit, or as JSON; remarks and errors on stderr. */
#ifndef MEMOCTL_PRINT_H
#define MEMOCTL_PRINT_H
#include <memo/status.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "args.h"

#define PRINT_COLUMNS 8 /* the widest table of memoctl */

/* A table is collected first, so that every column is as wide as its longest cell. Cells are copied. All functions tolerate exhausted memory:
 * print_table_end says so. */
struct print_table {
    uint32_t columns, cells, room;
    bool broken;
    char **cell;
};

void print_table_begin(struct print_table *t, uint32_t columns, const char *const *heads);
void print_cell(struct print_table *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
int print_table_end(struct print_table *t); /* prints and frees; LEAVE_OK, or LEAVE_FAILED without memory */

/* JSON: `key` NULL inside arrays; commas are put where they belong. */
struct print_json {
    FILE *to;
    uint32_t depth;
    bool comma[16];
};

void json_begin(struct print_json *j, FILE *to);
void json_open(struct print_json *j, const char *key, char bracket);  /* '{' or '[' */
void json_close(struct print_json *j, char bracket);                  /* '}' or ']' */
void json_text(struct print_json *j, const char *key, const char *text); /* NULL: null */
void json_bytes(struct print_json *j, const char *key, const char *bytes, size_t n);
void json_int(struct print_json *j, const char *key, int64_t n);
void json_uint(struct print_json *j, const char *key, uint64_t n);
void json_number(struct print_json *j, const char *key, double n);    /* three decimals */
void json_bool(struct print_json *j, const char *key, bool yes);
void json_raw(struct print_json *j, const char *key, const char *json); /* already JSON */
void json_end(struct print_json *j);                                  /* the line's end, and flushed */

/* "memoctl: FILE:LINE:COLUMN: message (MEMO_E_IO)" on stderr; answers leave_code(s). what: what was tried, or NULL. */
int print_error(const char *what, memo_status s, const memo_error *e);
/* A remark on stderr, unless --quiet. */
void print_remark(const struct args *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Colour codes, or "" where none are wanted. */
enum print_color { PRINT_PLAIN, PRINT_GREEN, PRINT_RED, PRINT_YELLOW, PRINT_BOLD, PRINT_DIM };
const char *print_color(const struct args *a, enum print_color c);
const char *print_view_state(int32_t state); /* "live" */
#endif
