/* SPDX-License-Identifier: Apache-2.0 */
/* alloc.h: memory comes from an allocator that travels with its owner, never from a global.
 *
 * The struct is small and copied by value into its owners. get returns zeroed memory, aligned for anything; NULL means none was left, which is
 * an ordinary answer. drop takes NULL. */
#ifndef MEMO__BASE_ALLOC_H
#define MEMO__BASE_ALLOC_H
#include <stddef.h>

struct memo__alloc {
    void *(*get)(void *user, size_t bytes);                 /* zeroed */
    void *(*resize)(void *user, void *p, size_t bytes);     /* new bytes are not zeroed; on NULL the old block stays */
    void (*drop)(void *user, void *p);
    void *user;
};

extern const struct memo__alloc memo__alloc_libc;
extern struct memo__alloc memo__alloc_default; /* that clients are born with: libc's; fault tests put theirs here */

void *memo__get(const struct memo__alloc *a, size_t bytes);
void *memo__get_array(const struct memo__alloc *a, size_t count, size_t bytes); /* NULL too when the product overflows */
void *memo__resize(const struct memo__alloc *a, void *p, size_t bytes); /* NULL p: as memo__get */
void memo__drop(const struct memo__alloc *a, void *p);
/* n bytes copied and a NUL added. */
char *memo__copy_text(const struct memo__alloc *a, const char *text, size_t n);

/* Memory aligned to a cache line, for striped parts; zeroed. */
void *memo__get_lines(const struct memo__alloc *a, size_t bytes);
void memo__drop_lines(const struct memo__alloc *a, void *p);
#endif
