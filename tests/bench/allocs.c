/* SPDX-License-Identifier: Apache-2.0 */
/* allocs.c: this program's malloc and friends stand before libc's for every library that it links, and count what the measuring thread asks for. */
#include <errno.h>
#include <stdlib.h>
#include "bench.h"

#define OURS __attribute__((visibility("default")))

/* glibc's own, under the names that it keeps for those who stand before it. */
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t count, size_t n);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t to, size_t n);

static __thread bool counting;
static __thread uint64_t counted;

void allocs_begin(void)
{
    counted = 0;
    counting = true;
}

uint64_t allocs_end(void)
{
    counting = false;
    return counted;
}

OURS void *malloc(size_t n)
{
    counted += counting;
    return __libc_malloc(n);
}

OURS void *calloc(size_t count, size_t n)
{
    counted += counting;
    return __libc_calloc(count, n);
}

OURS void *realloc(void *p, size_t n)
{
    counted += counting;
    return __libc_realloc(p, n);
}

OURS void *memalign(size_t to, size_t n)
{
    counted += counting;
    return __libc_memalign(to, n);
}

OURS void *aligned_alloc(size_t to, size_t n) { return memalign(to, n); }

OURS int posix_memalign(void **p, size_t to, size_t n)
{
    *p = memalign(to, n);
    return *p ? 0 : ENOMEM;
}
