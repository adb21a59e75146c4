/* SPDX-License-Identifier: Apache-2.0 */
/* transport.h: what carries a governed call, as the client room sees it. There are two: libcurl (http.c, http_async.c), and whatever a test puts in
 * its place.
 *
 * Each function promises what its namesake in http.h and http_async.h does. What `begin` makes belongs to the transport, which alone looks inside;
 * memo__http_run.wire is not NULL from `start` to the callback or `abort`. */
#ifndef MEMO__NET_TRANSPORT_H
#define MEMO__NET_TRANSPORT_H
#include "net/http_async.h"

struct memo__transport {
    /* one exchange on the caller's thread */
    memo_status (*exchange)(struct memo__http_pool *p, const struct memo__http_target *t, const struct memo__http_send *s,
                            struct memo__http_answer *out);
    /* many on a loop; all with the turn */
    memo_status (*begin)(struct memo__http_pool *p, struct memo__loop *l, struct memo__http_async **out);
    void (*end)(struct memo__http_async *a);
    void (*sweep)(struct memo__http_async *a, memo__instant now);
    memo_status (*after_fork)(struct memo__http_async *a);
    memo_status (*start)(struct memo__http_async *a, struct memo__http_run *x, const struct memo__http_target *t, const struct memo__http_send *s,
                         struct memo__http_answer *answer, memo__http_run_fn *fn, void *user);
    void (*abort)(struct memo__http_run *x);
};

extern const struct memo__transport memo__transport_curl;
extern const struct memo__transport *memo__transport_default; /* that clients are born with; tests put theirs here */
#endif
