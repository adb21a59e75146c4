/* SPDX-License-Identifier: Apache-2.0 */
/* http.h: one attempt over HTTP, blocking on the caller's thread, over a pooled connection to a numeric address.
 *
 *   memo__http_exchange: [ idle connection of this endpoint, the last used first ] -> send once -> answer, or how it broke -> [ back, or closed ]
 *
 * An exchange is sent at most once: where libcurl would send again on its own (a reused connection that had died), it is stopped and told as a reset.
 * Redirects, proxies, .netrc and cookies are not followed; libcurl never resolves a name and never starts a thread. A pool belongs to one client; any thread may use it. */
#ifndef MEMO__NET_HTTP_H
#define MEMO__NET_HTTP_H
#include <memo/call.h>
#include "base/alloc.h"
#include "base/host.h"
#include "base/instant.h"
#include "base/text.h"

struct memo__http_pool;

struct memo__http_options {         /* 0 or NULL: the default in brackets. Texts are copied */
    const char *ca_file;            /* PEM [the system's] */
    uint32_t idle_per_endpoint;     /* connections kept [64] */
    uint32_t idle_total;            /* [an eighth of the descriptor limit, 16 to 256: each takes up to three descriptors] */
    int64_t idle_ns;                /* a connection unused for so long is closed [30 s] */
    int64_t lifetime_ns;            /* and after so long it is not used again, however busy; jittered by a tenth either way [5 min] */
    uint32_t head_bytes;            /* of an answer, all of its heads together [64 KiB] */
    uint32_t head_count;            /* headers [100] */
    size_t body_bytes;              /* [16 MiB] */
    bool used_once;                 /* no connection is kept: every exchange has its own [false] */
};

struct memo__http_target {
    const char *address;            /* numeric, IPv4 or IPv6 */
    const char *host;               /* for Host and SNI; NULL or "": the address */
    uint16_t port;
    bool secure;                    /* https */
};

struct memo__http_send {
    const char *method;             /* checked with memo__http_check_method; NULL: GET */
    const char *path;               /* checked with memo__http_check_path; NULL: "/" */
    const memo_header *headers;     /* checked with memo__http_check_header */
    uint32_t count;                 /* up to MEMO__HTTP_HEADERS_MAX */
    const void *body;               /* borrowed during the exchange */
    size_t bytes;
    int64_t timeout_ns;             /* of the whole exchange; 0 or less: none is left, nothing is sent */
    int64_t connect_timeout_ms;     /* of the connection alone; 0: as the whole */
};

#define MEMO__HTTP_HEADERS_MAX 128  /* 100 of the caller, ours, and some room */

/* An answer owns one block of memory, which it may use again: zero it before its first use, and fini it at last. */
struct memo__http_answer {
    int32_t kind;                   /* MEMO_OUTCOME_... */
    int32_t http_status;            /* 100 to 599, 0: none */
    int64_t retry_after_ms;         /* 0: not asked for */
    const char *body;               /* never NULL after an exchange; NUL-terminated */
    size_t body_bytes;
    bool sent;                      /* the request may have reached the peer */
    bool reused;                    /* over a connection that had been used before */
    bool resend_stopped;            /* libcurl wanted to send it again */
    char error[160];                /* "" or one sentence */
    struct {
        char *block;                /* name NUL value NUL ... then the body and its NUL */
        size_t room, used, head;    /* bytes: allocated, written, and how many of those are headers */
    } keep;
};

struct memo__http_stats { uint64_t exchanges, connections, reused, resends_stopped; uint32_t idle, busy; };

/* MEMO_OK, MEMO_E_NO_MEMORY, MEMO_E_SETTING (the CA file cannot be read), MEMO_E_UNSUPPORTED (this libcurl is too old). */
memo_status memo__http_pool_new(const struct memo__alloc *a, const struct memo__host *h, const struct memo__http_options *o, struct memo__http_pool **out, memo_error *e);
/* No exchange may be running. NULL is welcome. */
void memo__http_pool_free(struct memo__http_pool *p);
/* Closes what has been idle for too long. Called by the engine every few seconds; its `now` is the pool's clock. */
void memo__http_pool_sweep(struct memo__http_pool *p, memo__instant now);
/* In a forked child, before anything else of the pool: closes the parent's sockets without a word on them, and starts empty. */
void memo__http_pool_after_fork(struct memo__http_pool *p);
void memo__http_pool_stats(struct memo__http_pool *p, struct memo__http_stats *out);

/* MEMO_OK: out says how it went. MEMO_E_NO_MEMORY: it was given up, for lack of memory or descriptors of our own (kind is MEMO_OUTCOME_CANCELLED;
 * `sent` tells whether it was on its way).
 * MEMO_E_ARGUMENT: an address that is not numeric, a host that is no name, too many headers; nothing was sent. */
memo_status memo__http_exchange(struct memo__http_pool *p, const struct memo__http_target *t, const struct memo__http_send *s, struct memo__http_answer *out);
/* The first header of that name, in any case; NULL if there is none. Borrowed from the answer. */
const char *memo__http_answer_get(const struct memo__http_answer *r, const char *name);
/* For a transport beside libcurl: this is the answer. head: name NUL value NUL ... MEMO_OK, or MEMO_E_NO_MEMORY: it is as it was. */
memo_status memo__http_answer_set(struct memo__http_pool *p, struct memo__http_answer *r, int32_t http_status, struct memo__text head,
                                  struct memo__text body);
void memo__http_answer_clear(struct memo__http_answer *r); /* as before an exchange */
void memo__http_answer_fini(struct memo__http_pool *p, struct memo__http_answer *r);

/* What a caller may send; rejects, never repairs. MEMO_OK or MEMO_E_ARGUMENT. Names are tokens (RFC 9110 section 5.6.2); values have no CR, LF, NUL or other control byte;
 * framing (Content-Length, Transfer-Encoding, Connection, Expect, ...) is libmemo's to write. */
memo_status memo__http_check_header(const memo_header *h, memo_error *e);
memo_status memo__http_check_method(const char *method, memo_error *e);
memo_status memo__http_check_path(const char *path, memo_error *e);
#endif
