/* SPDX-License-Identifier: Apache-2.0 */
/* ring.c: see ring.h. Records are copied word by word with relaxed atomics: a reader may see a torn one, and finds out by the turn. */
#include "call/ring.h"
#include <memo/status.h>
#include "base/atomic.h"

#define WORDS (sizeof(struct memo__record) / sizeof(uint64_t))
_Static_assert(sizeof(struct memo__record) % sizeof(uint64_t) == 0, "a record is whole words");

static void copy(void *to, const void *from)
{
    uint64_t *t = to;
    const uint64_t *f = from;
    for (size_t i = 0; i < WORDS; i++)
        memo__store(&t[i], memo__load_acquire(&f[i]));
}

int32_t memo__ring_init(const struct memo__alloc *a, struct memo__ring *r, uint32_t count)
{
    uint32_t places = count ? 1 : 0;
    while (places && places < count && places < 65536)
        places *= 2;
    *r = (struct memo__ring){ .count = places };
    if (places && !(r->places = memo__get_array(a, places, sizeof *r->places)))
        return MEMO_E_NO_MEMORY;
    return MEMO_OK;
}

void memo__ring_fini(const struct memo__alloc *a, struct memo__ring *r)
{
    memo__drop(a, r->places);
    *r = (struct memo__ring){ 0 };
}

void memo__ring_push(struct memo__ring *r, const struct memo__record *k)
{
    if (!r->count)
        return;
    struct memo__ring_place *p = &r->places[memo__fetch_add(&r->next, 1) & (r->count - 1)];
    uint64_t turn = memo__load(&p->turn);
    if (turn & 1 || !memo__cas(&p->turn, &turn, turn + 1)) {
        (void)memo__fetch_add(&r->lost, 1);
        return;
    }
    copy(&p->record, k);
    memo__store_release(&p->turn, turn + 2);
}

bool memo__ring_get(const struct memo__ring *r, uint32_t i, struct memo__record *out)
{
    uint64_t next = memo__load_acquire(&r->next);
    if (i >= r->count || i >= next)
        return false;
    const struct memo__ring_place *p = &r->places[(next - 1 - i) & (r->count - 1)];
    uint64_t turn = memo__load_acquire(&p->turn);
    if (turn & 1 || turn == 0)
        return false;
    copy(out, &p->record);
    return memo__load(&p->turn) == turn;
}
