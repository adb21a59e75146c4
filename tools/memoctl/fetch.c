/* SPDX-License-Identifier: Apache-2.0 */
/* fetch.c: libcurl, told to do nothing of its own accord: no proxy, no redirect, no signal. */
#include "fetch.h"
#include <curl/curl.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct body { char *at; size_t n; };

static bool body_add(struct body *b, const void *bytes, size_t n)
{
    char *more = n > FETCH_MAX - b->n ? NULL : realloc(b->at, b->n + n + 1);
    if (!more)
        return false;
    b->at = more;
    memcpy(b->at + b->n, bytes, n);
    b->n += n;
    b->at[b->n] = 0;
    return true;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *user)
{
    return body_add(user, bytes, size * n) ? size * n : 0;
}

static memo_status status_of(CURLcode code)
{
    switch (code) {
    case CURLE_OK:
        return MEMO_OK;
    case CURLE_OPERATION_TIMEDOUT:
        return MEMO_E_TIMEOUT;
    case CURLE_OUT_OF_MEMORY:
        return MEMO_E_NO_MEMORY;
    case CURLE_COULDNT_CONNECT:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_GOT_NOTHING:
        return MEMO_E_UNREACHABLE;
    default:
        return MEMO_E_PROTOCOL;
    }
}

memo_status fetch(const char *socket, const char *url, long timeout_ms, long *http_status, char **body, size_t *bytes)
{
    struct body b = { NULL, 0 };
    CURL *c = curl_easy_init();
    *body = NULL;
    if (!c || !body_add(&b, "", 0)) {
        curl_easy_cleanup(c);
        return MEMO_E_NO_MEMORY;
    }
    curl_easy_setopt(c, CURLOPT_URL, url);
    curl_easy_setopt(c, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, timeout_ms);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, &b);
    if (socket)
        curl_easy_setopt(c, CURLOPT_UNIX_SOCKET_PATH, socket);
    memo_status s = status_of(curl_easy_perform(c));
    if (http_status && !s)
        curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, http_status);
    curl_easy_cleanup(c);
    if (s)
        free(b.at);
    else {
        *body = b.at;
        *bytes = b.n;
    }
    return s;
}

memo_status fetch_file(const char *path, size_t most, char **text, size_t *bytes, const char **why)
{
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    char *at = f ? malloc(most + 2) : NULL;
    size_t n = 0, got;
    *why = strerror(errno);
    *text = NULL;
    while (at && n <= most && (got = fread(at + n, 1, most + 1 - n, f)) > 0)
        n += got;
    bool good = at && !ferror(f);
    if (f && !good)
        *why = strerror(errno);
    if (f && f != stdin)
        fclose(f);
    if (!good) {
        free(at);
        return f && !at ? MEMO_E_NO_MEMORY : MEMO_E_IO;
    }
    at[n] = 0;
    *text = at;
    *bytes = n;
    return MEMO_OK;
}
