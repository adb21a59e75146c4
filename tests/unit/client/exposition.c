/* SPDX-License-Identifier: Apache-2.0 */
/* exposition.c: exposition format 0.0.4, line by line. */
#define _GNU_SOURCE
#include "exposition.h"
#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINES_MOST 4096

struct seen { char *text[LINES_MOST]; uint32_t count; };

static bool name_char(char c, bool first)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':' || (!first && c >= '0' && c <= '9');
}

/* {a="b",c="d"} with its escapes; NULL: not so. */
static const char *labels(const char *at)
{
    if (*at != '{')
        return at;
    do {
        for (at++; name_char(*at, false); at++)
            ;
        if (at[0] != '=' || at[1] != '"')
            return NULL;
        for (at += 2; *at && *at != '"' && *at != '\n'; at++)
            if (*at == '\\' && !strchr("\\\"n", *++at))
                return NULL;
        if (*at++ != '"')
            return NULL;
    } while (*at == ',');
    return *at == '}' ? at + 1 : NULL;
}

static void once(struct seen *s, const char *at, size_t n, const char *what)
{
    char *copy = strndup(at, n);
    for (uint32_t i = 0; i < s->count; i++)
        ck_assert_msg(strcmp(s->text[i], copy) != 0, "%s twice: %s", what, copy);
    ck_assert_uint_lt(s->count, LINES_MOST);
    s->text[s->count++] = copy;
}

static void forget(struct seen *s)
{
    while (s->count)
        free(s->text[--s->count]);
}

/* Of the family itself, or of a histogram that has it as its name. */
static bool belongs(const char *sample, size_t n, const char *family, const char *type)
{
    static const char *const suffixes[] = { "_bucket", "_sum", "_count" };
    size_t own = strlen(family);
    if (own > n || strncmp(sample, family, own) != 0)
        return false;
    if (strcmp(type, "histogram") != 0)
        return n == own;
    for (int i = 0; i < 3; i++)
        if (n - own == strlen(suffixes[i]) && strncmp(sample + own, suffixes[i], n - own) == 0)
            return true;
    return false;
}

static void sample(const char *line, const char *family, const char *type, struct seen *series)
{
    const char *at = line;
    char *rest;
    ck_assert_msg(name_char(*at, true), "no name: %s", line);
    while (name_char(*at, false))
        at++;
    ck_assert_msg(belongs(line, (size_t)(at - line), family, type), "not of the family %s: %s", family, line);
    at = labels(at);
    ck_assert_msg(at && *at == ' ', "labels: %s", line);
    once(series, line, (size_t)(at - line), "series");
    if (strcmp(at + 1, "NaN") == 0 || strcmp(at + 1, "+Inf") == 0)
        return;
    (void)strtod(at + 1, &rest);
    ck_assert_msg(rest != at + 1 && !*rest, "value: %s", line);
}

uint32_t exposition_check(const char *text)
{
    static struct seen families, helps, series;
    char family[128] = "", type[32] = "", *copy = strdup(text), *save = NULL;
    size_t n = strlen(text);
    ck_assert_msg(!n || text[n - 1] == '\n', "a last line without its end");
    for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        if (strncmp(line, "# TYPE ", 7) == 0) {
            ck_assert_int_eq(sscanf(line + 7, "%127s %31s", family, type), 2);
            once(&families, family, strlen(family), "family");
        } else if (strncmp(line, "# HELP ", 7) == 0)
            once(&helps, line, 7 + strcspn(line + 7, " "), "help");
        else if (line[0] != '#')
            sample(line, family, type, &series);
    }
    uint32_t count = series.count;
    free(copy);
    forget(&families);
    forget(&helps);
    forget(&series);
    return count;
}
