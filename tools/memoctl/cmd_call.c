/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_call.c: memoctl call SERVICE [METHOD] PATH: one governed call, or --repeat of them in one process, so that breakers, limits and balance
 * can be seen at work.
 *
 * The body goes to stdout and the record to stderr, so that the body can be piped. Exit code: of the last call; an HTTP status of 400 and more is a
 * failure. */
#include <stdlib.h>
#include <string.h>
#include "commands.h"
#include "fetch.h"
#include "leave.h"
#include "open.h"
#include "print.h"

#define HEADERS_MAX 32
#define DATA_MAX (16u << 20)

const struct option_row cmd_call_options[] = {
    { "explain", 0, NULL, "prints the record of the call: every decision and its reason" },
    { "header", 'H', "NAME: VALUE", "sent with the call; may be repeated" },
    { "data", 'd', "TEXT|@FILE", "the request's body; @- reads stdin" },
    { "repeat", 'n', "N", "makes N calls, one after the other" },
    { NULL, 0, NULL, NULL },
};

struct ask {
    memo_http_request q;
    memo_header headers[HEADERS_MAX];
    char *data;       /* read from a file, or NULL */
    uint64_t repeat;
    bool explain;
};

static int ask_header(const struct args *a, struct ask *k, const char *text)
{
    const char *colon = strchr(text, ':');
    memo_header *h = &k->headers[k->q.headers_count];
    if (!colon || colon == text)
        return args_wrong(a, "--header wants \"NAME: VALUE\", not \"%s\"", text);
    if (k->q.headers_count == HEADERS_MAX)
        return args_wrong(a, "more than %d headers", HEADERS_MAX);
    h->name = text;
    h->name_bytes = (size_t)(colon - text);
    h->value = colon + 1 + strspn(colon + 1, " \t");
    h->value_bytes = strlen(h->value);
    k->q.headers_count++;
    return LEAVE_OK;
}

static int ask_data(struct ask *k, const char *data)
{
    if (!data)
        return LEAVE_OK;
    if (data[0] == '@') {
        memo_error e = MEMO_INIT(memo_error);
        const char *why;
        memo_status s = fetch_file(data + 1, DATA_MAX, &k->data, &k->q.body_bytes, &why);
        if (!s && k->q.body_bytes > DATA_MAX)
            why = "longer than 16 MiB, the most that is sent";
        snprintf(e.message, sizeof(e.message), "%s", why);
        if (s || k->q.body_bytes > DATA_MAX)
            return print_error(data + 1, s ? s : MEMO_E_ARGUMENT, &e);
        k->q.body = k->data;
    } else {
        k->q.body = data;
        k->q.body_bytes = strlen(data);
    }
    return LEAVE_OK;
}

static int ask_read(const struct args *a, struct ask *k)
{
    bool named = a->words_count == 3;
    const char *header;
    int at = 0, code = LEAVE_OK;
    k->q.size = sizeof(k->q);
    k->q.path = a->words[named ? 2 : 1];
    k->q.method = named ? a->words[1] : args_get(a, "data") ? "POST" : "GET";
    k->q.headers = k->headers;
    k->explain = args_get(a, "explain") != NULL;
    if (args_get(a, "timeout"))
        k->q.timeout_ms = a->timeout_ms;
    if (k->q.path[0] != '/')
        return args_wrong(a, "the path begins with '/', not \"%s\"", k->q.path);
    if (!args_number(a, "repeat", 1, 1000000, &k->repeat))
        return LEAVE_USAGE;
    while (!code && (header = args_each(a, "header", &at)) != NULL)
        code = ask_header(a, k, header);
    return code ? code : ask_data(k, args_get(a, "data"));
}

/* The record as text or JSON, malloc'ed, or NULL. */
static char *record_of(const memo_http_reply *r, const char *format)
{
    size_t need = 0;
    if (memo_http_reply_explain(r, format, NULL, 0, &need) != MEMO_E_TRUNCATED)
        return NULL;
    char *text = malloc(need);
    if (text && memo_http_reply_explain(r, format, text, need, &need) == MEMO_OK)
        return text;
    free(text);
    return NULL;
}

static void tell_json(const struct ask *k, memo_status s, const memo_http_reply *r, const memo_error *e)
{
    char *record = k->explain ? record_of(r, "json") : NULL;
    struct print_json j;
    json_begin(&j, stdout);
    json_open(&j, NULL, '{');
    json_text(&j, "result", memo_status_name(s));
    json_int(&j, "status", r->status);
    if (r->body)
        json_bytes(&j, "body", r->body, r->body_bytes);
    if (s)
        json_text(&j, "message", e->message);
    if (record)
        json_raw(&j, "explain", record);
    json_close(&j, '}');
    json_end(&j);
    free(record);
}

static void tell_text(const struct args *a, const struct ask *k, memo_status s, const memo_http_reply *r, const memo_error *e)
{
    if (s)
        print_error(a->words[0], s, e);
    else if (r->status >= 400)
        print_remark(a, "HTTP %d", (int)r->status);
    if (r->body_bytes > 0) {
        fwrite(r->body, 1, r->body_bytes, stdout);
        if (r->body[r->body_bytes - 1] != '\n')
            putchar('\n');
        fflush(stdout);
    }
    char *record = k->explain ? record_of(r, "text") : NULL;
    if (record)
        fputs(record, stderr);
    free(record);
}

static int call_once(const struct args *a, struct ask *k, memo_service *service)
{
    memo_http_reply r = MEMO_INIT(memo_http_reply);
    memo_error e = MEMO_INIT(memo_error);
    memo_status s = memo_http_perform(service, &k->q, &r, &e);
    if (a->json)
        tell_json(k, s, &r, &e);
    else
        tell_text(a, k, s, &r, &e);
    int code = s ? leave_code(s) : r.status >= 400 ? LEAVE_FAILED : LEAVE_OK;
    memo_http_reply_fini(&r);
    return code;
}

int cmd_call(const struct args *a)
{
    struct ask k = { .repeat = 1 };
    memo_service *service;
    memo_client *client;
    int code = ask_read(a, &k);
    if (!code)
        code = open_service(a, a->words[0], &client, &service);
    if (!code) {
        open_fresh(a, client, service); /* one call of a new process: what an earlier one knew is not what it is asked about */
        for (uint64_t i = 0; i < k.repeat; i++)
            code = call_once(a, &k, service);
        memo_service_release(service);
        memo_client_free(client);
    }
    free(k.data);
    return code;
}
