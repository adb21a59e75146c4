/* SPDX-License-Identifier: Apache-2.0 */
/* fleet.c: the shape of chunks. A line of padding between stripes' parts keeps equal offsets of different stripes out of the same cache sets. */
#include "policy/fleet.h"

static size_t part_stride(uint32_t k) { return ((size_t)64 << k) * sizeof(struct memo__endpoint_part) + MEMO__LINE; }
static size_t breaker_stride(uint32_t k) { return ((size_t)64 << k) * sizeof(struct memo__breaker_part) + MEMO__LINE; }

void memo__fleet_init(struct memo__fleet *f, uint32_t stripes)
{
    memset(f, 0, sizeof *f);
    f->stripes = stripes;
}

size_t memo__fleet_chunk_size(uint32_t k, uint32_t stripes)
{
    return ((size_t)64 << k) * sizeof(struct memo__endpoint_state) + stripes * part_stride(k);
}

void memo__fleet_chunk_attach(struct memo__fleet *f, uint32_t k, void *zeroed)
{
    f->chunks[k].states = zeroed;
    f->chunks[k].parts = (unsigned char *)zeroed + ((size_t)64 << k) * sizeof(struct memo__endpoint_state);
    f->chunks[k].part_stride = part_stride(k);
    f->chunks[k].states_from = (uintptr_t)f->chunks[k].states - ((size_t)64 << k) * sizeof(struct memo__endpoint_state);
    f->chunks[k].parts_from = (uintptr_t)f->chunks[k].parts - ((size_t)64 << k) * sizeof(struct memo__endpoint_part);
}

size_t memo__fleet_breakers_size(uint32_t k, uint32_t stripes)
{
    return ((size_t)64 << k) * sizeof(struct memo__breaker) + stripes * breaker_stride(k);
}

void memo__fleet_breakers_attach(struct memo__fleet *f, uint32_t k, void *zeroed)
{
    f->chunks[k].breakers = zeroed;
    f->chunks[k].breaker_parts = (unsigned char *)zeroed + ((size_t)64 << k) * sizeof(struct memo__breaker);
    f->chunks[k].breaker_stride = breaker_stride(k);
}

struct memo__striped memo__fleet_breaker_parts(const struct memo__fleet *f, uint32_t slot)
{
    uint32_t k = memo__fleet_chunk_of(slot);
    const struct memo__fleet_chunk *c = &f->chunks[k];
    return (struct memo__striped){ c->breaker_parts + memo__fleet_offset_of(slot, k) * sizeof(struct memo__breaker_part), (uint32_t)c->breaker_stride, f->stripes };
}

uint32_t memo__fleet_renew(struct memo__fleet *f, uint32_t slot)
{
    struct memo__endpoint_state *s = memo__fleet_state(f, slot);
    memo__store(&s->failures, 0u);
    memo__store(&s->ejected_until, (memo__instant)0);
    memo__store(&s->ejected_at, (memo__instant)0);
    memo__store(&s->ejected_failures, 0u);
    memo__store(&s->ejections, 0u);
    memo__store(&s->joined, (memo__instant)0);
    for (uint32_t i = 0; i < f->stripes; i++) {
        struct memo__endpoint_part *p = memo__fleet_part(f, i, slot);
        memo__store(&p->cost, 0u);
        memo__store(&p->inflight, 0);
        memo__store(&p->stamp, (memo__instant)0);
    }
    struct memo__breaker *b = memo__fleet_breaker(f, slot);
    if (b) {
        struct memo__striped parts = memo__fleet_breaker_parts(f, slot);
        memo__breaker_init(b, &parts);
    }
    memo__store_release(&s->generation, memo__load(&s->generation) + 1);
    return memo__load(&s->generation);
}
