/* SPDX-License-Identifier: Apache-2.0 */
/* cache_text.h: the last good text of a kind (rules, configuration), on disk beside the last good views.
 *
 *   <key>-rules.a, <key>-rules.b   two copies, 0600, the older one is overwritten and synced: whatever happens in between, one is whole
 *
 *   image   "memo-text1 GENERATION WALL-NS BYTES CRC\n" of fixed width, then the text; the CRC-32C covers all of it but itself
 */
#ifndef MEMO__SOURCES_CACHE_TEXT_H
#define MEMO__SOURCES_CACHE_TEXT_H
#include <memo/status.h>
#include "base/alloc.h"
#include "base/host.h"
#include "base/text.h"

#define MEMO__TEXT_MOST ((4u << 20) + 1024) /* bytes of a text: a document, and what document.c writes before it */
#define MEMO__TEXT_HEAD 73              /* bytes of the first line */

struct memo__text_place {
    const struct memo__alloc *alloc;
    const struct memo__host *host;
    const char *directory;              /* NULL or "": where views are cached */
    const char *kind;                   /* "rules" */
    uint64_t key;                       /* which of that kind: a hash of where it comes from */
};

struct memo__text_head { uint64_t generation; int64_t wall; };

/* MEMO_E_TIMEOUT: another process is writing. MEMO_E_PROTOCOL: too long. */
memo_status memo__cache_text_store(const struct memo__text_place *p, struct memo__text text, memo_error *e);
/* MEMO_OK: *out is a copy of *bytes, NUL-terminated, for memo__drop. MEMO_E_UNREACHABLE: none, or older than max_age ns. MEMO_E_PROTOCOL: both copies damaged. */
memo_status memo__cache_text_load(const struct memo__text_place *p, int64_t max_age, char **out, size_t *bytes, memo_error *e);

/* The image alone. decode: false for anything that is not exactly one image; *text lies in it. head: room for MEMO__TEXT_HEAD + 1. */
void memo__cache_text_encode(const struct memo__text_head *h, struct memo__text text, char *head);
bool memo__cache_text_decode(const char *image, size_t bytes, struct memo__text_head *h, struct memo__text *text);
#endif
