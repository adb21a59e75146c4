/* SPDX-License-Identifier: Apache-2.0 */
/* failing.h: an allocator whose nth request fails, once or for ever after, and that counts what is still out.
 *
 *   struct failing f;
 *   long n = 0;
 *   do { failing_init(&f, ++n, forever); ... use &f.alloc ...; failing_done(&f); } while (f.failed);
 *
 * The loop ends with the first round in which nothing failed: every request has failed once. */
#ifndef MEMO__TESTS_FAILING_H
#define MEMO__TESTS_FAILING_H
#include <check.h>
#include <stdbool.h>
#include <stdlib.h>
#include "base/alloc.h"

struct failing {
    struct memo__alloc alloc;
    long fail_at, requests, live; /* fail_at 0: never */
    bool forever, failed;
};

static inline bool failing_now(struct failing *f)
{
    long n = ++f->requests;
    bool fail = f->fail_at && (f->forever ? n >= f->fail_at : n == f->fail_at);
    f->failed |= fail;
    return fail;
}

static inline void *failing_get(void *user, size_t bytes)
{
    struct failing *f = user;
    void *p = failing_now(f) ? NULL : calloc(1, bytes ? bytes : 1);
    f->live += p != NULL;
    return p;
}

static inline void *failing_resize(void *user, void *p, size_t bytes)
{
    struct failing *f = user;
    void *moved = failing_now(f) ? NULL : realloc(p, bytes ? bytes : 1);
    f->live += moved && !p;
    return moved;
}

static inline void failing_drop(void *user, void *p)
{
    ((struct failing *)user)->live--;
    free(p);
}

static inline void failing_init(struct failing *f, long at, bool forever)
{
    *f = (struct failing){ .alloc = { failing_get, failing_resize, failing_drop, f }, .fail_at = at, .forever = forever };
}

/* Everything was given back? */
static inline void failing_done(const struct failing *f)
{
    ck_assert_int_eq(f->live, 0);
}
#endif
