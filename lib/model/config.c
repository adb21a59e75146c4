/* SPDX-License-Identifier: Apache-2.0 */
/* config.c: parts laid over each other, and the snapshot that comes of it.
 *
 *   all items of all parts --sort by key, then by place--> of each key the last one wins --> values, in the order of their keys
 *                                                                                           slots: an open-addressing hash, half empty
 *
 * Keys are hashed eight bytes at a time, with a seed of this process: a lookup is bound by the latency of the hash, and a document must not be able
 * to make its keys collide. */
#define _GNU_SOURCE
#include "model/config.h"
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/atomic.h"
#include "base/instant.h"
#include "base/json.h"
#include "base/rng.h"
#include "base/status.h"
#include "model/view.h"

/* ---- lookup ---- */

static inline uint64_t read8(const char *p)
{
    uint64_t w;
    memcpy(&w, p, 8);
    return w;
}

static inline uint64_t read4(const char *p)
{
    uint32_t w;
    memcpy(&w, p, 4);
    return w;
}

static inline uint64_t tail(const char *p, size_t n)
{
    if (n >= 4)
        return read4(p) << 32 | read4(p + n - 4);
    return n ? (uint64_t)(unsigned char)p[0] << 16 | (uint64_t)(unsigned char)p[n / 2] << 8 | (unsigned char)p[n - 1] : 0;
}

static inline uint64_t hash_key(uint64_t seed, const char *key, size_t n)
{
    const uint64_t k = UINT64_C(0x9e3779b97f4a7c15);
    uint64_t h = seed ^ (n * k);
    for (; n >= 8; n -= 8, key += 8) {
        h = (h ^ read8(key)) * k;
        h ^= h >> 29;
    }
    h = (h ^ tail(key, n)) * UINT64_C(0xbf58476d1ce4e5b9);
    return h ^ (h >> 32);
}

const struct memo__config_value *memo__config_find(const memo_config *g, const char *key)
{
    size_t n = strlen(key);
    uint64_t hash = hash_key(g->seed, key, n);
    for (uint32_t i = (uint32_t)hash & g->mask; g->slots[i].value; i = (i + 1) & g->mask) {
        if (g->slots[i].hash != hash)
            continue;
        const struct memo__config_value *v = &g->values[g->slots[i].value - 1];
        if (v->key_bytes == n && memcmp(g->text + v->key, key, n) == 0)
            return v;
    }
    return NULL;
}

static struct memo__text bare(struct memo__text prefix)
{
    while (prefix.n && prefix.at[prefix.n - 1] == '.')
        prefix.n--;
    return prefix;
}

static struct memo__text key_of(const memo_config *g, uint32_t i)
{
    return (struct memo__text){ g->text + g->values[i].key, g->values[i].key_bytes };
}

bool memo__config_below(const memo_config *g, uint32_t i, struct memo__text prefix)
{
    prefix = bare(prefix);
    struct memo__text key = i < g->count ? key_of(g, i) : (struct memo__text){ "", 0 };
    return i < g->count && key.n >= prefix.n && memcmp(key.at, prefix.at, prefix.n) == 0 && (!prefix.n || key.n == prefix.n ||
                                                                                             key.at[prefix.n] == '.');
}

int memo__config_order(struct memo__text a, struct memo__text b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    for (size_t i = 0; i < n; i++) {
        if (a.at[i] != b.at[i])
            return (a.at[i] == '.' ? 0 : (unsigned char)a.at[i]) - (b.at[i] == '.' ? 0 : (unsigned char)b.at[i]);
    }
    return (a.n > b.n) - (a.n < b.n);
}

uint32_t memo__config_first(const memo_config *g, struct memo__text prefix)
{
    uint32_t low = 0, high = g->count;
    prefix = bare(prefix);
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (memo__config_order(key_of(g, middle), prefix) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return memo__config_below(g, low, prefix) ? low : g->count;
}

/* ---- laying parts over each other ---- */

struct pick { struct memo__text key; uint32_t layer; const struct memo__config_item *item; };

static struct memo__text item_key(const struct memo__config_part *p, const struct memo__config_item *i)
{
    return (struct memo__text){ p->text + i->key, i->key_bytes };
}

static int pick_order(const void *left, const void *right)
{
    const struct pick *a = left, *b = right;
    int order = memo__config_order(a->key, b->key);
    return order ? order : (a->layer > b->layer) - (a->layer < b->layer);
}

/* The spelling that a source before has for this key. Few variables meet few keys: a walk will do. */
static struct memo__text spelling(const struct memo__config_layer *layers, uint32_t layer, struct memo__text key)
{
    for (uint32_t l = layer; l-- > 0;)
        for (uint32_t i = 0; i < layers[l].part->count; i++) {
            struct memo__text other = item_key(layers[l].part, &layers[l].part->items[i]);
            if (other.n == key.n && strncasecmp(other.at, key.at, key.n) == 0)
                return other;
        }
    return key;
}

static struct pick *all_picks(const struct memo__alloc *a, const struct memo__config_layer *layers, uint32_t count, uint32_t total)
{
    struct pick *picks = memo__get_array(a, (size_t)total + 1, sizeof *picks);
    uint32_t n = 0;
    for (uint32_t l = 0; picks && l < count; l++)
        for (uint32_t i = 0; i < layers[l].part->count; i++, n++) {
            const struct memo__config_part *p = layers[l].part;
            picks[n] = (struct pick){ item_key(p, &p->items[i]), l, &p->items[i] };
            if (p->any_case)
                picks[n].key = spelling(layers, l, picks[n].key);
        }
    if (picks)
        qsort(picks, total, sizeof *picks, pick_order);
    return picks;
}

static bool below(struct memo__text key, struct memo__text list)
{
    return key.n > list.n && key.at[list.n] == '.' && memcmp(key.at, list.at, list.n) == 0;
}

/* Who wins: of each key the last; of what is below an array or a null, only what that source or a later one says. Keys below one follow it at once,
 * so those around a key are a short stack. Leaves the winners in front. */
static uint32_t winners(struct pick *picks, uint32_t total)
{
    enum { DEPTH = MEMO__JSON_DEPTH_MAX };
    struct { struct memo__text key; uint32_t layer; } lists[DEPTH];
    uint32_t kept = 0, depth = 0;
    for (uint32_t i = 0; i < total; i++) {
        const struct pick *p = &picks[i];
        while (depth && !below(p->key, lists[depth - 1].key))
            depth--;
        uint32_t least = depth ? lists[depth - 1].layer : 0;
        bool last = i + 1 == total || !memo__text_same(picks[i + 1].key, p->key);
        if (p->item->kind != MEMO__CONFIG_VALUE && depth < DEPTH) {
            lists[depth].key = p->key;
            lists[depth++].layer = p->layer > least ? p->layer : least;
        }
        if (last && p->item->kind == MEMO__CONFIG_VALUE && p->layer >= least)
            picks[kept++] = *p;
    }
    return kept;
}

/* ---- what a value can be read as ---- */

static bool parse_int(struct memo__text t, int64_t *out)
{
    uint64_t n;
    bool minus = t.n && t.at[0] == '-';
    struct memo__text digits = { t.at + minus, t.n - minus };
    if (!memo__parse_u64(digits, (uint64_t)INT64_MAX + minus, &n))
        return false;
    *out = minus ? (int64_t)(0 - n) : (int64_t)n;
    return true;
}

static bool parse_bool(struct memo__text t, bool *out)
{
    static const char *const yes[] = { "true", "yes", "on", "1" }, *const no[] = { "false", "no", "off", "0" };
    for (int i = 0; i < 4; i++) {
        *out = memo__text_same_nocase(t, memo__text_of(yes[i]));
        if (*out || memo__text_same_nocase(t, memo__text_of(no[i])))
            return true;
    }
    return false;
}

/* [-]digits[.digits][e[+-]digits], and finite: what JSON calls a number. */
static bool parse_number(struct memo__text t, locale_t c, double *out)
{
    char digits[64], *end;
    if (!t.n || t.n >= sizeof digits || c == (locale_t)0 || strspn(memo__text_copy(digits, sizeof digits, t) ? digits : "", "0123456789+-.eE") != t.n)
        return false;
    if (!strchr("-0123456789", digits[0]) || !strchr("0123456789", digits[t.n - 1]))
        return false;
    *out = strtod_l(digits, &end, c);
    return !*end && *out <= 1.7976931348623157e308 && *out >= -1.7976931348623157e308;
}

static void read_types(struct memo__config_value *v, struct memo__text t, locale_t c)
{
    uint64_t bytes;
    t = memo__text_trim(t);
    if (parse_int(t, &v->whole))
        v->types |= MEMO__CONFIG_IS_INT;
    if (parse_bool(t, &v->truth))
        v->types |= MEMO__CONFIG_IS_BOOL;
    if (memo__parse_duration(t, &v->ms)) {
        v->types |= MEMO__CONFIG_IS_DURATION;
        v->ms /= MEMO__MS;
    }
    if (memo__parse_bytes(t, &bytes) && bytes <= INT64_MAX) {
        v->types |= MEMO__CONFIG_IS_BYTES;
        v->bytes = (int64_t)bytes;
    }
    if (parse_number(t, c, &v->number))
        v->types |= MEMO__CONFIG_IS_NUMBER;
}

/* ---- secrets ---- */

static bool named_secret(struct memo__text key)
{
    static const char *const words[] = { "password", "passwd", "secret", "token", "credential", "apikey", "privatekey" };
    char plain[MEMO__CONFIG_KEY_MAX];
    size_t n = 0;
    for (size_t i = 0; i < key.n && n < sizeof plain - 1; i++)
        if (key.at[i] != '_' && key.at[i] != '-')
            plain[n++] = key.at[i];
    plain[n] = '\0';
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcasestr(plain, words[i]))
            return true;
    return false;
}

/* "scheme://user:word@": a NUL ends every value. */
static bool has_password(struct memo__text value)
{
    const char *at = memmem(value.at, value.n, "://", 3);
    if (!at)
        return false;
    at += 3;
    size_t n = strcspn(at, "/?#@");
    return at[n] == '@' && memchr(at, ':', n);
}

static bool listed_secret(struct memo__text key, const char *secrets)
{
    while (secrets && *(secrets += strspn(secrets, ", \t\n"))) {
        struct memo__text one = { secrets, strcspn(secrets, ", \t\n") };
        if (memo__text_same(key, one) || below(key, one))
            return true;
        secrets += one.n;
    }
    return false;
}

bool memo__config_secret(struct memo__text key, struct memo__text value, const char *secrets)
{
    return named_secret(key) || has_password(value) || listed_secret(key, secrets);
}

/* ---- building ---- */

struct building { memo_config *g; const struct memo__config_layer *layers; const char *secrets; uint32_t used; uint32_t *names; locale_t c; };

static uint32_t put(struct building *b, const char *bytes, size_t n)
{
    uint32_t at = b->used;
    memcpy(b->g->text + at, bytes, n);
    b->g->text[at + n] = '\0';
    b->used += (uint32_t)n + 1;
    return at;
}

static void put_value(struct building *b, const struct pick *p)
{
    memo_config *g = b->g;
    const struct memo__config_part *part = b->layers[p->layer].part;
    struct memo__config_value *v = &g->values[g->count++];
    *v = (struct memo__config_value){ .key_bytes = (uint32_t)p->key.n, .text_bytes = p->item->value_bytes, .line = p->item->line };
    v->key = put(b, p->key.at, p->key.n);
    v->text = put(b, part->text + p->item->value, p->item->value_bytes);
    v->origin = p->item->origin ? put(b, part->text + p->item->origin, strlen(part->text + p->item->origin)) : b->names[p->layer];
    struct memo__text text = { g->text + v->text, v->text_bytes };
    v->secret = memo__config_secret(key_of(g, g->count - 1), text, b->secrets);
    read_types(v, text, b->c);
    uint64_t hash = hash_key(g->seed, g->text + v->key, v->key_bytes);
    uint32_t at = (uint32_t)hash & g->mask;
    while (g->slots[at].value)
        at = (at + 1) & g->mask;
    g->slots[at] = (struct memo__config_slot){ hash, g->count };
}

static memo_config *config_alloc(const struct memo__alloc *a, const struct memo__host *h, uint32_t count, size_t text, uint64_t seed)
{
    uint32_t slots = 8;
    memo_config *g = memo__get(a, sizeof *g);
    if (!g)
        return NULL;
    while (slots < 2 * count)
        slots *= 2;
    *g = (memo_config){ .alloc = *a, .host = h, .refs = 1, .seed = memo__mix64(seed), .mask = slots - 1 };
    g->confirmed = MEMO__NEVER;
    g->state = MEMO_VIEW_LIVE;
    g->slots = memo__get_array(a, slots, sizeof *g->slots);
    g->values = memo__get_array(a, (size_t)count + 1, sizeof *g->values);
    g->text = memo__get(a, text + 1);
    if (g->slots && g->values && g->text)
        return g;
    memo__config_drop(g);
    return NULL;
}

static size_t text_of(const struct memo__config_layer *layers, const struct pick *picks, uint32_t count)
{
    size_t n = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct memo__config_part *p = layers[picks[i].layer].part;
        n += picks[i].key.n + picks[i].item->value_bytes + 2 + (picks[i].item->origin ? strlen(p->text + picks[i].item->origin) + 1 : 0);
    }
    return n;
}

memo_status memo__config_new(const struct memo__alloc *a, const struct memo__host *h, const struct memo__config_layer *layers, uint32_t count,
                             const char *secrets, uint64_t seed,
                             memo_config **out, memo_error *e)
{
    size_t total = 0, text = 0;
    memo_status s = MEMO_E_NO_MEMORY;
    *out = NULL;
    for (uint32_t l = 0; l < count; l++) {
        total += layers[l].part->count;
        text += strlen(layers[l].name) + 1;
    }
    if (total > MEMO__CONFIG_KEYS_MAX * 8u)
        return memo__fail(e, MEMO_E_SETTING, "the sources have %zu values together, at most %u are read", total, MEMO__CONFIG_KEYS_MAX * 8u);
    struct building b = { .layers = layers, .secrets = secrets, .names = memo__get_array(a, (size_t)count + 1, sizeof *b.names) };
    struct pick *picks = b.names ? all_picks(a, layers, count, (uint32_t)total) : NULL;
    uint32_t kept = picks ? winners(picks, (uint32_t)total) : 0;
    b.c = newlocale(LC_ALL_MASK, "C", (locale_t)0); /* a constant inside glibc: nothing is allocated */
    if (picks && (b.g = config_alloc(a, h, kept, text + text_of(layers, picks, kept), seed))) {
        for (uint32_t l = 0; l < count; l++)
            b.names[l] = put(&b, layers[l].name, strlen(layers[l].name));
        for (uint32_t i = 0; i < kept; i++)
            put_value(&b, &picks[i]);
        *out = b.g;
        s = MEMO_OK;
    } else {
        (void)memo__fail(e, s, "no memory for the configuration");
    }
    if (b.c != (locale_t)0)
        freelocale(b.c);
    memo__drop(a, picks);
    memo__drop(a, b.names);
    return s;
}

memo_config *memo__config_hold(memo_config *g)
{
    (void)memo__fetch_add(&g->refs, 1);
    return g;
}

void memo__config_drop(memo_config *g)
{
    if (!g || __atomic_sub_fetch(&g->refs, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    struct memo__alloc a = g->alloc;
    memo__drop(&a, g->slots);
    memo__drop(&a, g->values);
    memo__drop(&a, g->text);
    memo__drop(&a, g);
}

void memo__config_compare(const memo_config *before, const memo_config *after, void (*fn)(void *user, const char *key, char change), void *user)
{
    uint32_t i = 0, k = 0, old = before ? before->count : 0;
    while (i < old || k < after->count) {
        int order = i >= old ? 1 : k >= after->count ? -1 : memo__config_order(key_of(before, i), key_of(after, k));
        if (order < 0)
            fn(user, before->text + before->values[i].key, '-');
        else if (order > 0)
            fn(user, after->text + after->values[k].key, '+');
        else if (before->values[i].text_bytes != after->values[k].text_bytes ||
                 memcmp(before->text + before->values[i].text, after->text + after->values[k].text, after->values[k].text_bytes) != 0)
            fn(user, after->text + after->values[k].key, '~');
        i += order <= 0;
        k += order >= 0;
    }
}
