/* SPDX-License-Identifier: Apache-2.0 */
/* view.c: building a view: copy, sort, drop doubles, shrink to fit.
 *
 *   text     "\0" id0 "\0" address0 "\0" ... id1 "\0" ...      offset 0 is the empty text
 *   entries  [ id | address | host | zone | labels | ... ]     48 bytes each
 *
 * What endpoints share (zone, host, labels, often the address) is written once: a table of the last texts seen, by hash, finds most repetitions, which is enough; 10,000 endpoints
 * with ids of 20 bytes take about 0.9 MB. The sort is a heap sort: in place, no recursion, n log n whatever the source sends. */
#include "model/view.h"
#include <memo/status.h>
#include <string.h>
#include "base/hash.h"

#define SEEN 1024            /* texts remembered while building */
#define TEXT_MOST UINT32_MAX /* offsets have 32 bits */

struct memo__view_builder {
    struct memo__alloc alloc;
    struct memo__view *view;
    size_t entries_room, text_room;
    int32_t failed;
    uint32_t seen[SEEN], seen_bytes[SEEN];
};

struct memo__view_builder *memo__view_builder_new(const struct memo__alloc *a)
{
    struct memo__view_builder *b = memo__get(a, sizeof *b);
    if (!b)
        return NULL;
    b->alloc = *a;
    b->view = memo__get(a, sizeof *b->view);
    if (!b->view)
        goto fail;
    b->view->alloc = *a;
    b->text_room = 64;
    b->view->text = memo__get(a, b->text_room);
    if (!b->view->text)
        goto fail;
    b->view->text_bytes = 1;
    return b;
fail:
    memo__view_builder_free(b);
    return NULL;
}

void memo__view_builder_free(struct memo__view_builder *b)
{
    if (!b)
        return;
    struct memo__alloc a = b->alloc;
    memo__view_free(b->view);
    memo__drop(&a, b);
}

void memo__view_free(struct memo__view *v)
{
    if (!v)
        return;
    struct memo__alloc a = v->alloc;
    memo__drop(&a, v->entries);
    memo__drop(&a, v->text);
    memo__drop(&a, v);
}

static bool grow(struct memo__view_builder *b, void **block, size_t *room, size_t need, size_t each)
{
    size_t more = *room ? *room : 16;
    void *bigger;
    if (need <= *room)
        return true;
    while (more < need)
        more *= 2;
    bigger = *block ? memo__resize(&b->alloc, *block, more * each) : memo__get_array(&b->alloc, more, each);
    if (!bigger) {
        b->failed = MEMO_E_NO_MEMORY;
        return false;
    }
    *block = bigger;
    *room = more;
    return true;
}

/* Appends bytes (their final NUL included or not, as they are) and answers where. */
static uint32_t append(struct memo__view_builder *b, const char *bytes, size_t n, bool end)
{
    struct memo__view *v = b->view;
    size_t at = v->text_bytes;
    void *text = v->text;
    if (b->failed)
        return 0;
    if (n > TEXT_MOST - 1 - at) {
        b->failed = MEMO_E_PROTOCOL;
        return 0;
    }
    if (!grow(b, &text, &b->text_room, at + n + end, 1))
        return 0;
    v->text = text;
    if (n)
        memcpy(v->text + at, bytes, n);
    if (end)
        v->text[at + n] = '\0';
    v->text_bytes = at + n + end;
    return (uint32_t)at;
}

/* The block [at, end of text) was just appended: if the same one is there already, takes it back and answers that. */
static uint32_t shared(struct memo__view_builder *b, uint32_t at)
{
    struct memo__view *v = b->view;
    uint32_t n;
    size_t slot;
    if (b->failed)
        return 0;
    n = (uint32_t)(v->text_bytes - at);
    slot = (size_t)(memo__hash(0, v->text + at, n) % SEEN);
    if (b->seen_bytes[slot] == n && memcmp(v->text + b->seen[slot], v->text + at, n) == 0) {
        v->text_bytes = at;
        return b->seen[slot];
    }
    b->seen[slot] = at;
    b->seen_bytes[slot] = n;
    return at;
}

static uint32_t put(struct memo__view_builder *b, struct memo__text t)
{
    return t.n ? shared(b, append(b, t.at, t.n, true)) : 0;
}

/* Labels are kept in the order of their names, so that the same labels are the same block. */
static uint32_t put_labels(struct memo__view_builder *b, const struct memo__found *f)
{
    uint8_t order[MEMO__LABELS_MAX];
    uint32_t at = (uint32_t)b->view->text_bytes;
    if (f->labels_count == 0)
        return 0;
    for (uint32_t i = 0; i < f->labels_count; i++) {
        uint32_t k = i;
        for (; k > 0; k--) {
            struct memo__text before = f->labels[order[k - 1]][0], mine = f->labels[i][0];
            int c = memcmp(before.at, mine.at, before.n < mine.n ? before.n : mine.n);
            if (c < 0 || (c == 0 && before.n <= mine.n))
                break;
            order[k] = order[k - 1];
        }
        order[k] = (uint8_t)i;
    }
    for (uint32_t i = 0; i < f->labels_count; i++) {
        append(b, f->labels[order[i]][0].at, f->labels[order[i]][0].n, true);
        append(b, f->labels[order[i]][1].at, f->labels[order[i]][1].n, true);
    }
    return b->failed ? 0 : shared(b, at);
}

static bool fits(struct memo__text t, size_t most)
{
    return t.n <= most && (t.n == 0 || !memchr(t.at, '\0', t.n));
}

static bool acceptable(const struct memo__found *f)
{
    if (!fits(f->id, MEMO__VIEW_ID_MOST) || !fits(f->address, MEMO__VIEW_ADDRESS_MOST) || !fits(f->host, MEMO__VIEW_HOST_MOST) ||
        !fits(f->zone, MEMO__VIEW_ID_MOST) || f->weight > UINT16_MAX || f->labels_count > MEMO__LABELS_MAX)
        return false;
    for (uint32_t i = 0; i < f->labels_count; i++)
        if (f->labels[i][0].n == 0 || !fits(f->labels[i][0], MEMO__VIEW_LABEL_MOST) || !fits(f->labels[i][1], MEMO__VIEW_LABEL_MOST))
            return false;
    return true;
}

void memo__view_add(struct memo__view_builder *b, const struct memo__found *f)
{
    struct memo__view *v = b->view;
    void *entries = v->entries;
    if (b->failed)
        return;
    if (v->count == MEMO__VIEW_ENDPOINTS_MAX || !acceptable(f)) {
        b->failed = MEMO_E_PROTOCOL;
        return;
    }
    if (!grow(b, &entries, &b->entries_room, (size_t)v->count + 1, sizeof *v->entries))
        return;
    v->entries = entries;
    v->entries[v->count] = (struct memo__view_entry){
        .id = append(b, f->id.at, f->id.n, true), /* never shared: its place also says which of two doubles came first */
        .address = put(b, f->address), .host = put(b, f->host), .zone = put(b, f->zone), .labels = put_labels(b, f),
        .port = f->port, .labels_count = (uint8_t)f->labels_count,
        .id_bytes = (uint8_t)f->id.n, .address_bytes = (uint8_t)f->address.n, .host_bytes = (uint8_t)f->host.n, .healthy = f->healthy, .secure = f->secure, .weight = f->weight,
        .registered = f->registered,
    };
    v->count++;
}

static int by_identity(const struct memo__view *v, const struct memo__view_entry *x, const struct memo__view_entry *y)
{
    int c = strcmp(v->text + x->id, v->text + y->id);
    if (c == 0)
        c = strcmp(v->text + x->address, v->text + y->address);
    return c ? c : x->port - y->port;
}

static bool after(const struct memo__view *v, const struct memo__view_entry *x, const struct memo__view_entry *y)
{
    int c = by_identity(v, x, y);
    return c > 0 || (c == 0 && x->id > y->id);
}

static void sift(struct memo__view *v, uint32_t root, uint32_t count)
{
    struct memo__view_entry moving = v->entries[root];
    for (uint32_t child; (child = root * 2 + 1) < count; root = child) {
        if (child + 1 < count && after(v, &v->entries[child + 1], &v->entries[child]))
            child++;
        if (!after(v, &v->entries[child], &moving))
            break;
        v->entries[root] = v->entries[child];
    }
    v->entries[root] = moving;
}

static void sort(struct memo__view *v)
{
    for (uint32_t i = v->count / 2; i-- > 0;)
        sift(v, i, v->count);
    for (uint32_t i = v->count; i-- > 1;) {
        struct memo__view_entry last = v->entries[i];
        v->entries[i] = v->entries[0];
        v->entries[0] = last;
        sift(v, 0, i);
    }
}

static void drop_doubles(struct memo__view *v)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < v->count; i++)
        if (kept == 0 || by_identity(v, &v->entries[kept - 1], &v->entries[i]) != 0)
            v->entries[kept++] = v->entries[i];
    v->count = kept;
}

static void shrink(struct memo__view *v)
{
    void *entries = v->count ? memo__resize(&v->alloc, v->entries, v->count * sizeof *v->entries) : NULL;
    void *text = memo__resize(&v->alloc, v->text, v->text_bytes);
    if (entries)
        v->entries = entries; /* a refusal to shrink costs memory, nothing else */
    if (text)
        v->text = text;
}

int32_t memo__view_end(struct memo__view_builder *b, struct memo__view **out)
{
    static const char slack[MEMO__VIEW_SLACK];
    (void)append(b, slack, sizeof slack, false); /* see view.h */
    int32_t status = b->failed;
    *out = NULL;
    if (status == MEMO_OK) {
        sort(b->view);
        drop_doubles(b->view);
        shrink(b->view);
        *out = b->view;
        b->view = NULL;
    }
    memo__view_builder_free(b);
    return status;
}

const char *memo__view_label(const struct memo__view *v, const struct memo__view_entry *e, const char *name)
{
    const char *p = v->text + e->labels;
    for (uint8_t i = 0; i < e->labels_count; i++) {
        const char *value = p + strlen(p) + 1;
        if (strcmp(p, name) == 0)
            return value;
        p = value + strlen(value) + 1;
    }
    return NULL;
}

static bool same_labels(const struct memo__view *a, const struct memo__view_entry *x, const struct memo__view *b, const struct memo__view_entry *y)
{
    const char *p = a->text + x->labels, *q = b->text + y->labels;
    if (x->labels_count != y->labels_count)
        return false;
    for (unsigned texts = 2u * x->labels_count; texts; texts--) {
        if (strcmp(p, q) != 0)
            return false;
        p += strlen(p) + 1;
        q += strlen(q) + 1;
    }
    return true;
}

bool memo__view_same(const struct memo__view *a, const struct memo__view *b)
{
    if (a->count != b->count)
        return false;
    for (uint32_t i = 0; i < a->count; i++) {
        const struct memo__view_entry *x = &a->entries[i], *y = &b->entries[i];
        if (x->port != y->port || x->healthy != y->healthy || x->secure != y->secure || x->weight != y->weight || x->registered != y->registered ||
            strcmp(a->text + x->id, b->text + y->id) != 0 || strcmp(a->text + x->address, b->text + y->address) != 0 ||
            strcmp(a->text + x->host, b->text + y->host) != 0 || strcmp(a->text + x->zone, b->text + y->zone) != 0 || !same_labels(a, x, b, y))
            return false;
    }
    return true;
}
