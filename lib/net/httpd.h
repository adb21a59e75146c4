/* SPDX-License-Identifier: Apache-2.0 */
/* httpd.h: a small HTTP/1.1 server on the loop, for the demo, the tests, memoctl and the admin endpoint. One thread: the driver's.
 *
 *   listener --accept--> connection: read a head, read its body, handler --(now or later)--> memo__httpd_reply, write, again
 *
 * One request at a time on a connection; what a client sends ahead waits its turn. Everything is capped; what is over a cap, or is not HTTP, is answered 400, 408, 413, 431 or 501 and closed. */
#ifndef MEMO__NET_HTTPD_H
#define MEMO__NET_HTTPD_H
#include <memo/context.h>
#include <memo/status.h>
#include "base/alloc.h"
#include "base/text.h"
#include "net/loop.h"

struct memo__httpd;
struct memo__httpd_request;         /* opaque: lives until it is answered or its client goes away */

/* Called when a request is complete. It is due for exactly one memo__httpd_reply, from here or later, unless `gone` comes first. */
typedef void memo__httpd_fn(struct memo__httpd_request *r, void *user);
/* The client went away, or the server is freed, before the reply: forget the request. Set by a handler that replies later. (Without it a reply to a client that left goes nowhere, which is
 * fine too, but the server must not be freed before it.) */
typedef void memo__httpd_gone_fn(struct memo__httpd_request *r, void *user);

struct memo__httpd_options {        /* 0: the default in brackets */
    uint32_t connections;           /* at once; more wait in the kernel [1024] */
    uint32_t body_bytes;            /* of a request [1 MiB] */
    int64_t idle_ns;                /* between requests [60 s] */
    int64_t receive_ns;             /* from the first byte of a request to its last, and for a reply to be taken [10 s] */
};

memo_status memo__httpd_new(const struct memo__alloc *a, struct memo__loop *l, const struct memo__httpd_options *o, memo__httpd_fn *fn, void *user, struct memo__httpd **out);
/* address: numeric; port 0: the kernel's choice, which *port receives. Several listeners are welcome. */
memo_status memo__httpd_listen(struct memo__httpd *d, const char *address, uint16_t *port, memo_error *e);
/* A Unix socket of that path and mode (0600); a stale one, to which nobody answers, is replaced; it is removed at the end. */
memo_status memo__httpd_listen_unix(struct memo__httpd *d, const char *path, unsigned mode, memo_error *e);
/* Stops accepting and closes idle connections; running requests finish, with "Connection: close". stopped (may be NULL) is called on a later turn, when the last connection is closed. */
void memo__httpd_stop(struct memo__httpd *d, void (*stopped)(void *user), void *user);
/* Closes everything at once. Not from a handler. NULL is welcome. */
void memo__httpd_free(struct memo__httpd *d);
/* In a forked child: closes all descriptors of the server without a word on them; the Unix socket's name stays the parent's. */
void memo__httpd_after_fork(struct memo__httpd *d);
uint32_t memo__httpd_connections(const struct memo__httpd *d);
uint64_t memo__httpd_requests(const struct memo__httpd *d);   /* handed to the handler so far */

/* What was asked; valid until the reply. */
struct memo__text memo__httpd_method(const struct memo__httpd_request *r);
struct memo__text memo__httpd_path(const struct memo__httpd_request *r);   /* without the query; NUL-terminated */
struct memo__text memo__httpd_query(const struct memo__httpd_request *r);  /* behind the '?', or empty; NUL-terminated */
struct memo__text memo__httpd_header(const struct memo__httpd_request *r, const char *name);   /* the first of that name in any case; .at NULL if none */
struct memo__text memo__httpd_body(const struct memo__httpd_request *r);
void memo__httpd_on_gone(struct memo__httpd_request *r, memo__httpd_gone_fn *fn, void *user);
struct memo__loop *memo__httpd_loop(const struct memo__httpd_request *r);

/* Answers; headers and body are copied; Content-Length and Connection are written here. count up to 32. Bad headers are left out: a handler is our own code. */
void memo__httpd_reply(struct memo__httpd_request *r, int status, const memo_header *headers, uint32_t count, const void *body, size_t bytes);
/* The common case: one content type, a NUL-terminated body. */
void memo__httpd_reply_text(struct memo__httpd_request *r, int status, const char *content_type, const char *body);
/* Breaks the connection instead of answering (with a reset): for faults in tests and the demo. */
void memo__httpd_abort(struct memo__httpd_request *r);
#endif
