/* SPDX-License-Identifier: Apache-2.0 */
/* demo_bare.c: see demo_bare.h. Nothing is done to make it look bad: connections are reused, answers of 500 and more and everything that libcurl
 * calls an error have failed. */
#include "demo_bare.h"
#include <curl/curl.h>
#include <stdio.h>
#include <time.h>
#include "base/atomic.h"
#include "base/instant.h"

static size_t on_body(char *bytes, size_t size, size_t n, void *user)
{
    (void)bytes;
    (void)user;
    return size * n;
}

static CURL *handle_of(struct pool_worker *w)
{
    CURL *c = w->own;
    if (c)
        return c;
    if (!(c = curl_easy_init()))
        return NULL;
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)BARE_TIMEOUT_MS);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    w->own = c;
    return c;
}

void bare_leave(struct pool_worker *w)
{
    curl_easy_cleanup(w->own);
    w->own = NULL;
}

static uint32_t us_since(const struct timespec *begun)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint32_t)((now.tv_sec - begun->tv_sec) * 1000000 + (now.tv_nsec - begun->tv_nsec) / 1000);
}

/* What was sent: nothing if no connection came about. What broke without an answer and without a timeout, the server may never have read. */
static void write_down(const struct bare_side *b, uint64_t call, CURL *c, CURLcode code)
{
    long request = 0;
    curl_easy_getinfo(c, CURLINFO_REQUEST_SIZE, &request);
    uint32_t sent = request > 0;
    book_send(b->book, SIDE_BARE, call, sent, sent && code != CURLE_OK && code != CURLE_OPERATION_TIMEDOUT);
}

void bare_call(struct pool_worker *w, uint64_t call, void *user)
{
    struct bare_side *b = user;
    struct call_result r = { .end = CALL_FAILED, .attempts_all = 1 };
    struct timespec begun;
    char url[96], header[64];
    long http = 0;
    CURL *c = handle_of(w);
    int instance = (int)(memo__fetch_add(&b->turn, 1) % INSTANCES);
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/todos/%llu", (unsigned)b->port[instance], (unsigned long long)call % 1000);
    snprintf(header, sizeof(header), BOOK_HEADER ": bare-%llu", (unsigned long long)call);
    struct curl_slist *headers = curl_slist_append(NULL, header);
    clock_gettime(CLOCK_MONOTONIC, &begun);
    if (c && headers) {
        curl_easy_setopt(c, CURLOPT_URL, url);
        curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
        CURLcode code = curl_easy_perform(c);
        curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &http);
        r.end = code == CURLE_OK && http > 0 && http < 500 ? CALL_OK : CALL_FAILED;
        write_down(b, call, c, code);
        curl_easy_setopt(c, CURLOPT_HTTPHEADER, NULL);
    }
    r.us = us_since(&begun);
    r.attempts[instance] = 1;
    curl_slist_free_all(headers);
    tally_add(b->tally, &r);
}
