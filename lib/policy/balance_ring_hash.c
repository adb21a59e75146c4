/* SPDX-License-Identifier: Apache-2.0 */
/* balance_ring_hash.c: the same key to the same endpoint, as long as it is there (Karger et al. 1997; the ring of Envoy and of gRPC A42, so that
 * their clients and ours agree).
 *
 *   ring of 2^64   --- a_0 ------ b_1 -- a_1 --------- c_0 ---->      an endpoint's places: XXH64 of "10.0.0.1:80_0", "..._1", ...
 *   call                    h ->                                     XXH64 of its key; the first place at or behind it: b's
 *
 * The ring has at least `minRing` places, rounded up so that the lightest endpoint has a whole number of them, and at most `maxRing`; the others have
 * as many as their weights say. One that may not be picked now (ejected, tried, open) is passed: its keys, one in n, go to their next places, spread
 * over the others, nobody else's key moves, and they come back; behind LOOKS places, a scan from its own.
 *
 * When one of n leaves for good, the same keys move; and since `minRing` is then shared out among n - 1, the others have some places more, which take
 * about one key in n from each other. That is the price of agreeing with Envoy and gRPC, who count so.
 *
 * Arcs are of chance: with 100 places each the fullest endpoint has about a third more keys than the mean, with 1,000 a tenth.
 *
 * Memory: 14 to 16 bytes a place, 1 MiB at the largest default. Places are found by a directory of their highest bits: as many entries as places,
 * so one step or two behind it, wherever in the ring. The same directory sorts them. */
#include "policy/balance.h"

#define LOOKS 256u

struct ring {
    uint32_t size, shift;          /* shift: what is left of a hash is its entry in the directory */
    uint64_t hashes[];             /* sorted; behind them owners[size], and directory[2^(64 - shift)]: the first place of each stretch */
};

static inline uint32_t *owners(const struct ring *r) { return (uint32_t *)(uintptr_t)(r->hashes + r->size); }
static inline uint32_t *directory(const struct ring *r) { return owners(r) + r->size; }

/* Places that candidates have: the running sums are Envoy's, so that fractions fall as they do there. */
struct share { double scale, sum, target; uint32_t placed; };

static struct share shares(const struct memo__candidates *c, const struct memo__balance_rule *rule)
{
    struct share s = { 0, 0, 0, 0 };
    uint32_t least = UINT32_MAX;
    for (uint32_t i = 0; i < c->count; i++) {
        s.sum += c->weights[i];
        least = c->weights[i] && c->weights[i] < least ? c->weights[i] : least;
    }
    if (least == UINT32_MAX)
        return s;
    double lightest = least / s.sum, places = lightest * rule->min_ring, whole = (double)(uint64_t)places;
    s.scale = (whole < places ? whole + 1 : whole) / lightest;
    s.scale = s.scale < rule->max_ring ? s.scale : rule->max_ring;
    return s;
}

/* Of the next candidate. */
static uint32_t places_of(struct share *s, uint32_t weight)
{
    s->target += s->scale * (weight / s->sum);
    uint32_t from = s->placed, whole = (uint32_t)s->target;
    whole += s->target > whole;
    s->placed = whole > from ? whole : from;
    return s->placed - from;
}

static uint32_t places(const struct memo__candidates *c, const struct memo__balance_rule *rule)
{
    struct share s = shares(c, rule);
    for (uint32_t i = 0; s.sum > 0 && i < c->count; i++)
        (void)places_of(&s, c->weights[i]);
    return s.placed;
}

static uint32_t bits_of(uint32_t size) { return size < 4 ? 1 : 31u - (uint32_t)__builtin_clz(size); }

static size_t size(const struct memo__candidates *c, const struct memo__balance_rule *rule, size_t *scratch)
{
    uint32_t n = places(c, rule), stretches = 1u << bits_of(n);
    *scratch = n * (sizeof(uint64_t) + sizeof(uint32_t)) + stretches * sizeof(uint32_t);
    return sizeof(struct ring) + n * (sizeof(uint64_t) + sizeof(uint32_t)) + stretches * sizeof(uint32_t);
}

/* "10.0.0.1:80_" is there; the number is written behind it. */
static size_t put_number(char *at, uint32_t number)
{
    char digits[10];
    size_t n = 0;
    do
        digits[n++] = (char)('0' + number % 10);
    while (number /= 10);
    for (size_t i = 0; i < n; i++)
        at[i] = digits[n - 1 - i];
    return n;
}

/* All places, in the candidates' order. */
static void hash_all(const struct memo__candidates *c, const struct memo__balance_rule *rule, const struct memo__balance_names *names,
                     uint64_t *hashes, uint32_t *of)
{
    struct share s = shares(c, rule);
    for (uint32_t i = 0, at = 0; s.sum > 0 && i < c->count; i++) {
        char name[MEMO__BALANCE_NAME + 11];
        size_t n = names->name(names->of, i, name);
        uint32_t many = places_of(&s, c->weights[i]);
        name[n++] = '_';
        for (uint32_t k = 0; k < many; k++, at++) {
            hashes[at] = memo__xxh64(0, name, n + put_number(name + n, k));
            of[at] = i;
        }
    }
}

static void build(const struct memo__candidates *c, const struct memo__balance_rule *rule, const struct memo__balance_names *names, void *table,
                  void *scratch)
{
    struct ring *r = table;
    r->size = places(c, rule);
    r->shift = 64 - bits_of(r->size);
    uint64_t *hashes = scratch;
    uint32_t stretches = 1u << bits_of(r->size), *of = (uint32_t *)(void *)(hashes + r->size), *next = of + r->size, *first = directory(r), sum = 0;
    hash_all(c, rule, names, hashes, of);
    memset(first, 0, stretches * sizeof *first);
    for (uint32_t i = 0; i < r->size; i++)
        first[hashes[i] >> r->shift]++;
    for (uint32_t i = 0; i < stretches; i++) {
        uint32_t many = first[i];
        next[i] = first[i] = sum;
        sum += many;
    }
    for (uint32_t i = 0; i < r->size; i++) { /* sorted within their stretch, which is one or two long */
        uint32_t stretch = (uint32_t)(hashes[i] >> r->shift), at = next[stretch]++;
        for (; at > first[stretch] && r->hashes[at - 1] > hashes[i]; at--) {
            r->hashes[at] = r->hashes[at - 1];
            owners(r)[at] = owners(r)[at - 1];
        }
        r->hashes[at] = hashes[i];
        owners(r)[at] = of[i];
    }
}

static uint32_t find(const struct ring *r, uint64_t hash)
{
    uint32_t at = directory(r)[hash >> r->shift];
    while (at < r->size && r->hashes[at] < hash)
        at++;
    return at < r->size ? at : 0;
}

/* Not its own: that is told. */
static int32_t take(const struct memo__pick_request *q, uint32_t i, uint32_t own, struct memo__pick *out)
{
    out->other_slot = i == own ? MEMO__NO_SLOT : q->from->slots[own];
    return memo__balance_take(q, i, out);
}

static int32_t pick(const struct memo__pick_request *q, struct memo__pick *out)
{
    const struct ring *r = q->from->table;
    if (!memo__balance_begin(q, out) || r->size == 0)
        return MEMO_REFUSED_NO_ENDPOINT;
    bool panic = memo__balance_panic(q);
    uint32_t at = find(r, q->hash), own = owners(r)[at];
    out->flags = panic ? MEMO__PICK_PANIC : 0;
    for (uint32_t looks = 0; looks < LOOKS; looks++, at = at + 1 < r->size ? at + 1 : 0) {
        uint32_t i = owners(r)[at];
        enum memo__pickable may = memo__balance_may(q, i, panic, false);
        if (may == MEMO__PICKABLE)
            return take(q, i, own, out);
        out->flags |= memo__balance_flag(may);
    }
    int32_t status = memo__balance_scan(q, own, panic, out);
    return status == MEMO_OK ? take(q, out->index, own, out) : status;
}

const struct memo__balancer memo__balance_ring_hash = { "ring-hash", MEMO__SCORE_HASH, pick, size, build };
