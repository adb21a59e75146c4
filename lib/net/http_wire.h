/* SPDX-License-Identifier: Apache-2.0 */
/* http_wire.h: a libcurl handle held ready for one endpoint. For the files of this room that are named http*.c alone: libcurl's types stay in them.
 *
 * A wire is configured once. Per exchange only what differs is told to libcurl, and header lines are written into nodes that the wire owns, so nothing is allocated.
 *
 * Sent once: libcurl sends again on its own when a reused connection turns out dead (RFC 9110 section 9.2.2 allows it to a client that knows the method is safe; the rules decide
 * that here, not libcurl). It calls the PREREQ function before each sending; the second call of an exchange aborts it. */
#ifndef MEMO__NET_HTTP_WIRE_H
#define MEMO__NET_HTTP_WIRE_H
#include "net/http.h"
#include <curl/curl.h>
#include "base/lock.h"
#include "base/pipe_guard.h"

#define BUCKETS 256u            /* as many as idle wires by default, so chains stay about one long */
#define CHUNK 64u
#define METHOD_BYTES 24u

enum shape { UNSET, NO_BODY, HEAD_ONLY, WITH_BODY }; /* what libcurl was last told to do */

struct wire {
    CURL *easy;
    CURLM *multi;
    struct memo__http_pool *pool;
    struct memo__http_async *async; /* whose exchanges it carries; NULL: those that block */
    /* the endpoint */
    uint64_t hash;
    uint16_t port;
    bool secure;
    char address[46], host[256];
    char connect_to[80];
    struct curl_slist connect_to_node;
    /* what libcurl was told last */
    char *url;                      /* "http://host:port" and the path of the last exchange */
    size_t url_room, url_front, url_bytes;
    long timeout_ms, connect_ms;
    enum shape shape;
    char method[METHOD_BYTES];
    struct curl_slist *lines, *lines_set;   /* nodes of its own; lines_set is what libcurl has: NULL or lines */
    uint32_t lines_room;
    char *text;                     /* of the lines */
    size_t text_room;
    char error[CURL_ERROR_SIZE];
    int fd[2];                      /* its sockets: one, or two for a moment; -1 */
    int wake[2];                    /* libcurl's own, if they were found; -1 */
    /* the running exchange */
    struct memo__http_answer *out;
    const char *refused;            /* why we broke it off; NULL if we did not */
    bool no_memory, opened, sent, again, head_done, in_body;
    int status;
    uint32_t head_count;
    size_t head_bytes;
    int64_t length;                 /* Content-Length, -1: none */
    /* the pool's, under its lock */
    memo__instant used;
    struct wire *next, *newer, *older;
    uint32_t busy;                  /* also read by a forked child */
    struct wire **place;            /* in `all` */
};

struct chunk { struct chunk *next; struct wire *wires[CHUNK]; };

struct memo__http_pool {
    struct memo__alloc alloc;
    const struct memo__host *host;
    struct memo__http_options o;
    char *ca_file;
    struct memo__lock lock;         /* all below */
    CURL *pattern;                  /* what new ones are copied from: curl_easy_init spins on a process-wide flag, which a forked child may find set for ever */
    struct wire *buckets[BUCKETS];
    struct wire *newest, *oldest;   /* idle ones */
    struct chunk *all;
    memo__instant now;              /* of the last sweep */
    uint64_t draw;
    struct memo__http_stats stats;
};

memo_status memo__curl_ready(memo_error *e);   /* libcurl as a whole: initialised, and new enough */
/* A multi handle that keeps so many connections; its wake-up descriptors close on exec, and are noted in pair where they were found. */
CURLM *memo__multi_new(int pair[2], long connections);
uint64_t memo__wire_hash(const struct memo__http_target *t);
bool memo__wire_is_for(const struct wire *w, uint64_t hash, const struct memo__http_target *t);
/* alone: with a multi handle of its own, for an exchange that blocks. MEMO_OK, MEMO_E_NO_MEMORY, MEMO_E_ARGUMENT. */
memo_status memo__wire_new(struct memo__http_pool *p, const struct memo__http_target *t, uint64_t hash, uint32_t draw, bool alone, struct wire **out);
void memo__wire_free(struct wire *w);
/* Before an exchange: what it fills is cleared, what it sends is told to libcurl. MEMO_E_ARGUMENT and MEMO_E_NO_MEMORY: nothing is to be run; the error is in the answer. */
memo_status memo__wire_begin(struct wire *w, const struct memo__http_send *s, struct memo__http_answer *out);
/* After it: how it went. good: the wire may be used again. */
memo_status memo__wire_end(struct wire *w, CURLcode code, bool *good);
/* A socket for libcurl, or -1. Where this process may have no more of them, or the machine has no memory, the exchange ends as without memory:
 * that says nothing about the peer. */
int memo__wire_socket(struct wire *w, const struct curl_sockaddr *a);
#endif
