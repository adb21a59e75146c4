/* SPDX-License-Identifier: Apache-2.0 */
/* view.h: an immutable list of endpoints, as one source knew them at one revision. Plain data: a source builds it, everybody reads it.
 *
 * Compact, because 10,000 endpoints are ordinary: entries of fixed size, all text in one block, addressed by offset. */
#ifndef MEMO__MODEL_VIEW_H
#define MEMO__MODEL_VIEW_H
#include <stdbool.h>
#include <stdint.h>
#include "base/alloc.h"
#include "base/instant.h"
#include "base/text.h"

#define MEMO__VIEW_ENDPOINTS_MAX 100000
#define MEMO__LABELS_MAX 32
/* Bytes of texts without their NUL: what memo_endpoint and memo_attempt can hold. */
#define MEMO__VIEW_ID_MOST 63       /* ids and zones */
#define MEMO__VIEW_ADDRESS_MOST 45
#define MEMO__VIEW_HOST_MOST 255
#define MEMO__VIEW_SLACK 16         /* readable bytes behind the last text: hot copies go 16 bytes at a time */
#define MEMO__VIEW_LABEL_MOST 255   /* a label's name, and its value */

struct memo__view_entry {
    uint32_t id, address, host, zone;  /* offsets into text, NUL-terminated; 0 is the empty text */
    uint32_t labels;                   /* offset of labels_count pairs "name\0value\0" */
    uint16_t port;
    uint8_t labels_count;
    uint8_t id_bytes, address_bytes, host_bytes;
    bool healthy, secure;              /* secure: speak TLS to it (label scheme=https) */
    uint32_t weight;                   /* 0 to 65535; 0 takes no new calls */
    uint64_t registered;               /* the registration's own epoch (fencing token): a new one is a new endpoint, with fresh state */
    uint32_t slot, generation;         /* its place in the fleet; given by the view's holder before anybody else sees the view */
    uint64_t unused[2];                /* 64 bytes: an index is a shift */
};

struct memo__view {
    struct memo__alloc alloc;
    uint64_t revision, epoch;
    int32_t state;                     /* MEMO_VIEW_... as the source gave it */
    memo__instant confirmed;           /* boot clock, when the last confirmed exchange was SENT; the holder goes on telling it, while others read */
    bool unproven;                     /* from another boot: the age is not known; likewise */
    uint32_t refs;                     /* the holder's count */
    uint32_t count;
    struct memo__view_entry *entries;
    char *text;
    size_t text_bytes;
};

_Static_assert(sizeof(struct memo__view_entry) == 64, "an index is a shift");

/* An endpoint as sources find it; text is copied by the builder. */
struct memo__found {
    struct memo__text id, address, host, zone;
    uint16_t port;
    bool healthy, secure;
    uint32_t weight;
    uint64_t registered;
    uint32_t labels_count;
    const struct memo__text (*labels)[2];
};

/* Building: begin, add as often as needed, end. Any failure is remembered and told by end, which then frees everything. Entries are sorted by id, address and port, so that equal
 * contents give equal views; the second of two with the same id, address and port is dropped. Labels come in the order of their names. A text longer than above, with a NUL inside, a weight
 * beyond 65535 or more than MEMO__LABELS_MAX labels fail the whole (MEMO_E_PROTOCOL): a source that meets such a record decides itself, before. */
struct memo__view_builder;
struct memo__view_builder *memo__view_builder_new(const struct memo__alloc *a); /* NULL: no memory */
void memo__view_add(struct memo__view_builder *b, const struct memo__found *f);
int32_t memo__view_end(struct memo__view_builder *b, struct memo__view **out);  /* MEMO_OK, MEMO_E_NO_MEMORY, MEMO_E_PROTOCOL (see above, or beyond MEMO__VIEW_ENDPOINTS_MAX); frees b */
void memo__view_builder_free(struct memo__view_builder *b);                     /* instead of end */

void memo__view_free(struct memo__view *v);
static inline const char *memo__view_text(const struct memo__view *v, uint32_t offset) { return v->text + offset; }
const char *memo__view_label(const struct memo__view *v, const struct memo__view_entry *e, const char *name); /* value or NULL */
bool memo__view_same(const struct memo__view *a, const struct memo__view *b); /* the same endpoints, whatever revision */
#endif
