/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_services.c: memoctl services: the names that the registry knows. */
#include <stdlib.h>
#include <string.h>
#include "commands.h"
#include "leave.h"
#include "open.h"
#include "print.h"

/* The list may grow between asking for its size and reading it: a few tries. */
static memo_status list(memo_client *c, char **names, size_t *n)
{
    memo_status s = MEMO_E_TRUNCATED;
    *names = NULL;
    *n = 4096;
    for (int i = 0; i < 5 && s == MEMO_E_TRUNCATED; i++) {
        char *more = realloc(*names, *n);
        size_t need = 0;
        if (!more)
            return MEMO_E_NO_MEMORY;
        *names = more;
        s = memo_client_list_services(c, *names, *n, &need);
        *n = s == MEMO_E_TRUNCATED ? need * 2 : need;
    }
    return s;
}

static void show(const struct args *a, const char *names, size_t n)
{
    struct print_json j;
    json_begin(&j, stdout);
    if (a->json)
        json_open(&j, NULL, '[');
    for (size_t at = 0; at < n && names[at]; at += strlen(names + at) + 1)
        if (a->json)
            json_text(&j, NULL, names + at);
        else
            puts(names + at);
    if (a->json) {
        json_close(&j, ']');
        json_end(&j);
    }
}

int cmd_services(const struct args *a)
{
    memo_error e = MEMO_INIT(memo_error);
    memo_client *c;
    char *names;
    size_t n;
    int code = open_started(a, &c);
    if (code)
        return code;
    memo_status s = memo_client_wait(c, a->timeout_ms, &e);
    if (s) {
        code = print_error(NULL, s, &e);
    } else {
        s = list(c, &names, &n);
        if (s)
            code = print_error("the registry's list of services", s, NULL);
        else
            show(a, names, n);
        free(names);
    }
    memo_client_free(c);
    return code;
}
