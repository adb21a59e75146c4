/* SPDX-License-Identifier: Apache-2.0 */
/* balance_weighted_round_robin.c: each in turn, as often as its weight says, evenly spaced (nginx's smooth round robin, gRPC's weighted_round_robin).
 *
 * The turns are written down once, as a schedule that all stripes read: weights 5, 1, 1 give a a b a a c a. A stripe walks it with a word of its own,
 * so a pick is one load, and threads share nothing that is written.
 *
 * Spread. The schedule is Tijdeman's (The chairman assignment problem, 1980): the k-th turn of an endpoint lies in a window around k / share, and of
 * those whose window is open the one goes first that closes first. After any number of calls from its beginning each endpoint is less than one call
 * off its exact share, and after a whole schedule not at all; so in any run of calls of one stripe less than two, and with S stripes less than 2 S.
 * Of nginx's own algorithm and of static strides (gRPC) no such bound is known to us; random draws are off by the square root of the calls.
 *
 * The schedule has one turn per weight, divided by what divides all of them. If that were more than TURNS (and two an endpoint), weights are rounded
 * to so many turns, at least one each: 256 KiB, and the share of the average endpoint among 8,192 is off by a sixteenth at worst.
 *
 * Endpoints that may not be picked, and young ones now and then, are walked past, and the word with them; behind LOOKS turns, a scan. */
#include "policy/slow_start.h"

#define TURNS 65536u
#define LOOKS 64u

struct schedule { uint32_t length, turns[]; }; /* turns: candidates */

/* How weights become turns: by `divisor`, or as many of `most` as they are of `sum`. */
struct measure { uint64_t sum, divisor, most; };

static uint64_t common(uint64_t a, uint64_t b)
{
    while (b) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static struct measure measure_of(const struct memo__candidates *c)
{
    struct measure m = { 0, 0, TURNS > 2 * c->count ? TURNS : 2 * c->count };
    for (uint32_t i = 0; i < c->count; i++) {
        m.sum += c->weights[i];
        m.divisor = common(m.divisor, c->weights[i]);
    }
    return m;
}

static uint64_t turns_of(const struct measure *m, uint32_t weight)
{
    if (weight == 0 || m->sum / m->divisor <= m->most)
        return weight ? weight / m->divisor : 0;
    uint64_t turns = (weight * m->most + m->sum / 2) / m->sum;
    return turns ? turns : 1;
}

/* Memory of the building: for each candidate its turns, those placed, and the next of those whose windows open at the same time; the first of those
 * for each time; and a heap of open windows by their end. */
struct building {
    uint64_t *heap;                /* end << 32 | candidate; the least at the top */
    uint32_t *turns, *placed, *next, *opening;
    uint32_t open;                 /* in the heap */
    uint64_t length, m;            /* m: 2 n - 2, as in the paper */
};

static size_t size(const struct memo__candidates *c, const struct memo__balance_rule *rule, size_t *scratch)
{
    struct measure m = measure_of(c);
    uint64_t length = 0;
    (void)rule;
    for (uint32_t i = 0; i < c->count; i++)
        length += turns_of(&m, c->weights[i]);
    *scratch = c->count * (sizeof(uint64_t) + 3 * sizeof(uint32_t)) + (length + 1) * sizeof(uint32_t);
    return sizeof(struct schedule) + length * sizeof(uint32_t);
}

/* The window of candidate i's next turn opens: when it has had x of c turns of length, at the least t with c t / length - x >= 1 / m; after `now` in
 * any case. */
static void opens(struct building *b, uint32_t i, uint64_t now)
{
    uint64_t whole = b->turns[i] * b->m, x = b->placed[i];
    if (x == b->turns[i])
        return;
    uint64_t t = (b->length * (x * b->m + 1) + whole - 1) / whole;
    t = t > now ? t : now + 1;
    b->next[i] = b->opening[t];
    b->opening[t] = i + 1;
}

/* And is open until behind the last t with c t / length - x <= 1 - 1 / m. */
static uint64_t closes(const struct building *b, uint32_t i)
{
    return b->length * ((b->placed[i] + UINT64_C(1)) * b->m - 1) / (b->turns[i] * b->m) + 1;
}

static void heap_add(struct building *b, uint64_t entry)
{
    uint32_t at = b->open++;
    for (; at && b->heap[(at - 1) / 2] > entry; at = (at - 1) / 2)
        b->heap[at] = b->heap[(at - 1) / 2];
    b->heap[at] = entry;
}

static uint32_t heap_take(struct building *b)
{
    uint64_t first = b->heap[0], last = b->heap[--b->open];
    uint32_t at = 0;
    for (uint32_t child = 1; child < b->open; child = 2 * at + 1) {
        child += child + 1 < b->open && b->heap[child + 1] < b->heap[child];
        if (b->heap[child] >= last)
            break;
        b->heap[at] = b->heap[child];
        at = child;
    }
    b->heap[at] = last;
    return (uint32_t)first;
}

static void place(struct building *b, uint32_t *turns)
{
    for (uint32_t t = 1; t <= b->length; t++) {
        for (uint32_t i = b->opening[t]; i; i = b->next[i - 1])
            heap_add(b, closes(b, i - 1) << 32 | (i - 1));
        uint32_t i = heap_take(b); /* there is one: the paper's theorem */
        turns[t - 1] = i;
        b->placed[i]++;
        opens(b, i, t);
    }
}

static void build(const struct memo__candidates *c, const struct memo__balance_rule *rule, const struct memo__balance_names *names, void *table,
                  void *scratch)
{
    struct schedule *s = table;
    struct measure m = measure_of(c);
    uint32_t n = c->count, many = 0;
    struct building b = { .heap = scratch, .turns = (uint32_t *)(void *)((uint64_t *)scratch + n) };
    (void)rule;
    (void)names;
    b.placed = b.turns + n;
    b.next = b.placed + n;
    b.opening = b.next + n;
    for (uint32_t i = 0; i < n; i++) {
        b.turns[i] = (uint32_t)turns_of(&m, c->weights[i]);
        b.placed[i] = 0;
        b.length += b.turns[i];
        many += b.turns[i] != 0;
    }
    s->length = (uint32_t)b.length;
    b.m = many > 1 ? 2 * (uint64_t)many - 2 : 1;
    memset(b.opening, 0, (b.length + 1) * sizeof *b.opening);
    for (uint32_t i = n; i-- > 0;) /* the first in front where times are equal */
        opens(&b, i, 0);
    place(&b, s->turns);
}

static int32_t take(const struct memo__pick_request *q, uint32_t i, uint32_t walked, struct memo__pick *out)
{
    memo__stripe_add32(q->stripe, q->cursor, walked);
    out->score = memo__slow_start_weight(q, i);
    return memo__balance_take(q, i, out);
}

static int32_t pick(const struct memo__pick_request *q, struct memo__pick *out)
{
    const struct schedule *s = q->from->table;
    if (!memo__balance_begin(q, out) || s->length == 0)
        return MEMO_REFUSED_NO_ENDPOINT;
    bool panic = memo__balance_panic(q), over = memo__slow_start_over(q);
    uint64_t state = q->draw;
    uint32_t turn = (memo__load(q->cursor) + q->stripe.index * 0x9e3779b9u) % s->length, i = s->turns[turn];
    out->flags = panic ? MEMO__PICK_PANIC : 0;
    for (uint32_t looks = 1; looks <= LOOKS; looks++) {
        enum memo__pickable may = memo__balance_may(q, i, panic, false);
        if (may == MEMO__PICKABLE && (over || !memo__slow_start_passes(q, i, memo__draw_next(&state))))
            return take(q, i, looks, out);
        out->flags |= memo__balance_flag(may);
        turn = turn + 1 < s->length ? turn + 1 : 0;
        i = s->turns[turn];
    }
    int32_t status = memo__balance_scan(q, i, panic, out);
    return status == MEMO_OK ? take(q, out->index, LOOKS + 1, out) : status;
}

const struct memo__balancer memo__balance_weighted_round_robin = { "weighted-round-robin", MEMO__SCORE_WEIGHT, pick, size, build };
