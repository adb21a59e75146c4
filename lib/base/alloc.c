/* SPDX-License-Identifier: Apache-2.0 */
/* alloc.c: the allocator's front, and the one of libc.
 *
 * Lines: one word before the aligned block remembers where the allocator's own block began. */
#include "base/alloc.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "base/atomic.h"

static void *libc_get(void *user, size_t bytes)
{
    (void)user;
    return calloc(1, bytes ? bytes : 1);
}

static void *libc_resize(void *user, void *p, size_t bytes)
{
    (void)user;
    return realloc(p, bytes ? bytes : 1);
}

static void libc_drop(void *user, void *p)
{
    (void)user;
    free(p);
}

const struct memo__alloc memo__alloc_libc = { libc_get, libc_resize, libc_drop, NULL };
struct memo__alloc memo__alloc_default = { libc_get, libc_resize, libc_drop, NULL };

void *memo__get(const struct memo__alloc *a, size_t bytes)
{
    return a->get(a->user, bytes);
}

void *memo__get_array(const struct memo__alloc *a, size_t count, size_t bytes)
{
    size_t all;
    return __builtin_mul_overflow(count, bytes, &all) ? NULL : a->get(a->user, all);
}

void *memo__resize(const struct memo__alloc *a, void *p, size_t bytes)
{
    return p ? a->resize(a->user, p, bytes) : a->get(a->user, bytes);
}

void memo__drop(const struct memo__alloc *a, void *p)
{
    if (p)
        a->drop(a->user, p);
}

char *memo__copy_text(const struct memo__alloc *a, const char *text, size_t n)
{
    char *copy = memo__get(a, n + 1);
    if (copy && n)
        memcpy(copy, text, n);
    return copy;
}

void *memo__get_lines(const struct memo__alloc *a, size_t bytes)
{
    unsigned char *block = memo__get(a, bytes + MEMO__LINE + sizeof block);
    if (!block)
        return NULL;
    uintptr_t at = ((uintptr_t)block + sizeof block + MEMO__LINE - 1) & ~(uintptr_t)(MEMO__LINE - 1);
    unsigned char *lines = block + (at - (uintptr_t)block);
    memcpy(lines - sizeof block, &block, sizeof block);
    return lines;
}

void memo__drop_lines(const struct memo__alloc *a, void *p)
{
    void *block;
    if (!p)
        return;
    memcpy(&block, (unsigned char *)p - sizeof block, sizeof block);
    memo__drop(a, block);
}
