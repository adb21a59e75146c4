/* SPDX-License-Identifier: Apache-2.0 */
/* fleet.h: what is remembered about every endpoint of one service.
 *
 * An endpoint has a slot: a number that stays while it lives. Slots live in chunks that never move; chunk k holds 64 << k of them:
 *
 *   slot   0..63 | 64..191 | 192..447 | ...            chunk and offset by one count of leading zeros
 *   chunk  [ states: 64 B each ][ stripe 0's parts: 16 B each ][ stripe 1's parts ] ...
 *
 * The state is read by every pick and report and written by failures only; the parts are written by their stripe only. The owner hands in zeroed
 * memory; zero is a fresh endpoint. With breakers of scope instance, a second block per chunk has the same shape. 11 chunks are 131,008 slots. */
#ifndef MEMO__POLICY_FLEET_H
#define MEMO__POLICY_FLEET_H
#include <string.h>
#include "base/instant.h"
#include "base/stripe.h"
#include "policy/breaker.h"

#define MEMO__FLEET_CHUNKS 11
#define MEMO__FLEET_SLOTS (64u * ((1u << MEMO__FLEET_CHUNKS) - 1))
#define MEMO__NO_SLOT UINT32_MAX

struct memo__endpoint_state {
    uint32_t generation;          /* the owner raises it when the slot gets another endpoint */
    uint32_t failures;            /* in a row */
    memo__instant ejected_until;  /* 0: not ejected */
    memo__instant ejected_at;
    uint32_t ejected_failures;    /* what it was ejected for */
    uint32_t ejections;           /* how often */
    memo__instant joined;         /* 0: it was there when the service was first seen; written by the owner, see slow_start.h */
    uint64_t unused[3];
};

struct memo__endpoint_part { /* 16 bytes per stripe */
    uint32_t cost;   /* the bits of a float: moving average of latency in us; 0: never measured */
    int32_t inflight; /* may be negative: a call may end on another stripe than it began */
    memo__instant stamp;
};

struct memo__fleet_chunk {
    struct memo__endpoint_state *states;
    unsigned char *parts;
    size_t part_stride;           /* from one stripe to the next */
    struct memo__breaker *breakers; /* NULL: none */
    unsigned char *breaker_parts;
    size_t breaker_stride;
    uintptr_t states_from, parts_from; /* where those of slot -64 were, if all slots lay in a row like those of this chunk: a place is one product */
};

struct memo__fleet {
    uint32_t stripes;
    struct memo__fleet_chunk chunks[MEMO__FLEET_CHUNKS];
};

void memo__fleet_init(struct memo__fleet *f, uint32_t stripes);
/* Bytes of chunk k; hand in so many, zeroed and aligned to 64. */
size_t memo__fleet_chunk_size(uint32_t k, uint32_t stripes);
void memo__fleet_chunk_attach(struct memo__fleet *f, uint32_t k, void *zeroed);
/* The same for breakers of scope instance. */
size_t memo__fleet_breakers_size(uint32_t k, uint32_t stripes);
void memo__fleet_breakers_attach(struct memo__fleet *f, uint32_t k, void *zeroed);
/* A fresh endpoint moves into a slot: its generation is raised, all it had is forgotten. By the owner, when nobody picks it; see
 * memo__outlier_forget first. */
uint32_t memo__fleet_renew(struct memo__fleet *f, uint32_t slot);

static inline uint32_t memo__fleet_chunk_of(uint32_t slot)
{
    return ((uint32_t)__builtin_clz(slot + 64u) ^ 31u) - 6u; /* the highest bit of it */
}

static inline uint32_t memo__fleet_offset_of(uint32_t slot, uint32_t chunk)
{
    return (slot + 64u) & ~(64u << chunk);
}

/* What a slot's memory is found with. */
static inline const struct memo__fleet_chunk *memo__fleet_chunk_at(const struct memo__fleet *f, uint32_t slot)
{
    return &f->chunks[memo__fleet_chunk_of(slot)];
}

static inline struct memo__endpoint_part *memo__fleet_part_in(const struct memo__fleet_chunk *c, uint32_t stripe, uint32_t slot)
{
    return (struct memo__endpoint_part *)(c->parts_from + stripe * c->part_stride + (slot + 64u) * sizeof(struct memo__endpoint_part));
}

static inline struct memo__endpoint_state *memo__fleet_state_in(const struct memo__fleet_chunk *c, uint32_t slot)
{
    return (struct memo__endpoint_state *)(c->states_from + (slot + 64u) * sizeof(struct memo__endpoint_state));
}

static inline struct memo__endpoint_state *memo__fleet_state(const struct memo__fleet *f, uint32_t slot)
{
    return memo__fleet_state_in(memo__fleet_chunk_at(f, slot), slot);
}

static inline struct memo__endpoint_part *memo__fleet_part(const struct memo__fleet *f, uint32_t stripe, uint32_t slot)
{
    return memo__fleet_part_in(memo__fleet_chunk_at(f, slot), stripe, slot);
}

/* The breaker of one endpoint, NULL if there are none, and its parts. */
static inline struct memo__breaker *memo__fleet_breaker(const struct memo__fleet *f, uint32_t slot)
{
    uint32_t k = memo__fleet_chunk_of(slot);
    return f->chunks[k].breakers ? &f->chunks[k].breakers[memo__fleet_offset_of(slot, k)] : NULL;
}

struct memo__striped memo__fleet_breaker_parts(const struct memo__fleet *f, uint32_t slot);

static inline float memo__cost_load(const struct memo__endpoint_part *p)
{
    uint32_t bits = memo__load(&p->cost);
    float cost;
    memcpy(&cost, &bits, sizeof cost);
    return cost;
}

static inline void memo__cost_store(struct memo__endpoint_part *p, float cost)
{
    uint32_t bits;
    memcpy(&bits, &cost, sizeof bits);
    memo__store(&p->cost, bits);
}
#endif
