/* SPDX-License-Identifier: Apache-2.0
 * hello.c: one governed GET. Try: MEMO_REGISTRY=static:todo=127.0.0.1:8080 ./hello todo /todos/7 (or file:, who registered on this machine) */
#include <memo/memo.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "todo", *path = argc > 2 ? argv[2] : "/todos/7";
    memo_error e = MEMO_INIT(memo_error);
    memo_http_reply r = MEMO_INIT(memo_http_reply);
    memo_client *client = NULL;
    memo_service *service = NULL;
    char why[4096] = "";
    memo_status s = memo_client_new(&client, &e);
    if (!s) s = memo_client_start(client, &e);
    if (!s) s = memo_service_acquire(client, name, &service, &e);
    if (!s) s = memo_client_wait(client, 5000, &e);
    if (!s) s = memo_http_get(service, path, &r, &e);
    printf("%s, HTTP %d, %zu bytes %s\n", memo_status_name(s), (int)r.status, r.body_bytes, s ? e.message : "");
    if (memo_http_reply_explain(&r, "text", why, sizeof why, NULL) == MEMO_OK) fputs(why, stdout);
    memo_http_reply_fini(&r);
    memo_service_release(service);
    memo_client_free(client);
    return s != MEMO_OK;
}
