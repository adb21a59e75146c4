/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_explain.c: memoctl explain --last [N]: asks the running processes of this user for the records of their last refused, failed, retried or slow
 * calls.
 *
 * One process answers as it is. Several answer one after the other under a line with name and pid; those that have nothing to tell are only listed. */
#include <stdlib.h>
#include <string.h>
#include "base/text.h"
#include "commands.h"
#include "fetch.h"
#include "leave.h"
#include "print.h"
#include "processes.h"

const struct option_row cmd_explain_options[] = {
    { "last", 'l', "[N]", "the last N records, newest first (10)" },
    { "pid", 'p', "PID", "only of this process" },
    { NULL, 0, NULL, NULL },
};

struct asked { uint64_t pid, last; uint32_t told, silent; };

static memo_status ask(const struct args *a, const struct asked *k, const struct process *p, char **text, size_t *n)
{
    char url[96];
    long http = 0;
    snprintf(url, sizeof(url), "http://memo/explain?last=%llu&format=%s", (unsigned long long)k->last, a->json ? "json" : "text");
    memo_status s = fetch(p->path, url, (long)a->timeout_ms, &http, text, n);
    if (!s && http != 200) {
        free(*text);
        s = MEMO_E_PROTOCOL;
    }
    return s;
}

static void tell_text(const struct args *a, struct asked *k, const struct process *p, const char *text, bool headed)
{
    if (text[strspn(text, " \n")] == 0) {
        k->silent++;
        print_remark(a, "%s (pid %d) has no record: no call was refused, failed, tried twice or slow", p->name, (int)p->pid);
        return;
    }
    if (headed)
        printf("%s%s== %s (pid %d)%s\n", k->told ? "\n" : "", print_color(a, PRINT_BOLD), p->name, (int)p->pid, print_color(a, PRINT_PLAIN));
    fputs(text, stdout);
    if (text[strlen(text) - 1] != '\n')
        putchar('\n');
    k->told++;
}

static void tell_json(struct print_json *j, struct asked *k, const struct process *p, char *text)
{
    size_t n = strlen(text);
    while (n > 0 && text[n - 1] == '\n')
        text[--n] = 0;
    json_open(j, NULL, '{');
    json_text(j, "name", p->name);
    json_int(j, "pid", p->pid);
    json_raw(j, "records", n ? text : "[]");
    json_close(j, '}');
    k->told++;
}

static int ask_all(const struct args *a, struct asked *k, const struct process *p, uint32_t n)
{
    struct print_json j;
    int code = LEAVE_OK;
    json_begin(&j, stdout);
    if (a->json)
        json_open(&j, NULL, '[');
    for (uint32_t i = 0; i < n; i++) {
        char *text;
        size_t bytes;
        memo_status s = ask(a, k, &p[i], &text, &bytes);
        if (s) {
            code = print_error(p[i].path, s, NULL);
            continue;
        }
        if (a->json)
            tell_json(&j, k, &p[i], text);
        else
            tell_text(a, k, &p[i], text, n > 1);
        free(text);
    }
    if (a->json) {
        json_close(&j, ']');
        json_end(&j);
    }
    return k->told + k->silent > 0 ? LEAVE_OK : code;
}

/* Only the process that was asked for stays in the list. */
static uint32_t keep_pid(struct process *p, uint32_t n, uint64_t pid)
{
    for (uint32_t i = 0; i < n; i++)
        if ((uint64_t)p[i].pid == pid) {
            p[0] = p[i];
            return 1;
        }
    return 0;
}

int cmd_explain(const struct args *a)
{
    struct asked k = { .last = 10 };
    char directory[400];
    if (!args_number(a, "pid", 1, INT32_MAX, &k.pid))
        return LEAVE_USAGE;
    const char *last = a->words_count ? a->words[0] : args_get(a, "last"); /* --last 3 and --last=3 */
    if (last && last[0] && (!memo__parse_u64(memo__text_of(last), 1000, &k.last) || k.last == 0))
        return args_wrong(a, "--last wants a number from 1 to 1000, not \"%s\"", last);
    struct process *p = calloc(PROCESSES_MAX, sizeof(*p));
    if (!p)
        return print_error(NULL, MEMO_E_NO_MEMORY, NULL);
    uint32_t n = processes_find(p);
    if (k.pid)
        n = keep_pid(p, n, k.pid);
    int code = LEAVE_UNREACHABLE;
    if (n > 0) {
        code = ask_all(a, &k, p, n);
    } else {
        processes_directory(directory, sizeof(directory));
        fprintf(stderr, "memoctl explain: no process of yours with libmemo%s in %s\n", k.pid ? " and that pid" : "", directory);
    }
    free(p);
    return code;
}
