/* SPDX-License-Identifier: Apache-2.0 */
/* json.h: reading JSON strictly, with the place of everything, and writing it without a tree.
 *
 * Strict is RFC 8259 and: valid UTF-8, no raw control characters, no lone surrogates, no U+0000, nothing behind the value, depth and size capped, the same key twice in one object
 * is an error or at least marked. Comments (// and slash-star) only where a person writes. Numbers stay texts: 2^53+1 is not rounded unless a double is asked for.
 *
 * The tree is one array of nodes in document order and one copy of the text, in which strings are decoded in place: three allocations whatever the document says.
 * Why no cJSON under it: to know the line and column of every value, to keep numbers exact and to see double keys, a scan must already recognise the whole grammar and note every value;
 * that list of notes is the tree. A second parser behind it could only disagree with the first. */
#ifndef MEMO__BASE_JSON_H
#define MEMO__BASE_JSON_H
#include <memo/status.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/alloc.h"
#include "base/text.h"

#define MEMO__JSON_DEPTH_MAX 64
#define MEMO__JSON_BYTES_MAX (16u << 20)
#define MEMO__JSON_NODES_MAX 2000000u /* 64 MB of tree at most: 16 MiB of "0,0,0" would be 8 million */

enum memo__json_type { MEMO__JSON_NULL, MEMO__JSON_BOOL, MEMO__JSON_NUMBER, MEMO__JSON_TEXT, MEMO__JSON_ARRAY, MEMO__JSON_OBJECT };

/* What a parser may let pass. */
struct memo__json_options {
    bool comments;
    bool doubles;      /* a key that is given twice is marked in its node; otherwise it is an error */
    size_t bytes_max;  /* 0: MEMO__JSON_BYTES_MAX, never more */
};

struct memo__json_node { /* 36 bytes; offsets are into the text that was parsed (at, key_at) and into our copy (text, key) */
    uint32_t at, text, bytes;         /* the value: where it begins; a string decoded, a number as it was written */
    uint32_t key_at, key, key_bytes;  /* members of objects only */
    uint32_t next;                    /* index of the next sibling; 0: the last */
    uint32_t count;                   /* children; the first follows its parent at once */
    uint8_t type;
    bool truth;
    bool again;                       /* this key was given before in the same object */
};

struct memo__json {
    struct memo__alloc alloc;
    struct memo__text raw;            /* the caller's, borrowed */
    char *text;
    struct memo__json_node *nodes;    /* [0] is the root */
    uint32_t count, room;
};

/* `text` is borrowed until memo__json_free. MEMO_OK, MEMO_E_PROTOCOL (e says line, column and what is wrong), MEMO_E_NO_MEMORY. */
memo_status memo__json_parse(const struct memo__alloc *a, struct memo__text text, const struct memo__json_options *o, struct memo__json **out, memo_error *e);
void memo__json_free(struct memo__json *j);

static inline const struct memo__json_node *memo__json_root(const struct memo__json *j) { return j->nodes; }
/* Children of an object or array in document order: for (n = memo__json_first(j, p); n; n = memo__json_next(j, n)). */
static inline const struct memo__json_node *memo__json_first(const struct memo__json *j, const struct memo__json_node *n)
{
    (void)j;
    return n->count ? n + 1 : NULL;
}
static inline const struct memo__json_node *memo__json_next(const struct memo__json *j, const struct memo__json_node *n)
{
    return n->next ? j->nodes + n->next : NULL;
}
static inline struct memo__text memo__json_key(const struct memo__json *j, const struct memo__json_node *n)
{
    return (struct memo__text){ j->text + n->key, n->key_bytes };
}
/* Of a string or a number; a string is ended by NUL too. */
static inline struct memo__text memo__json_text(const struct memo__json *j, const struct memo__json_node *n)
{
    return (struct memo__text){ j->text + n->text, n->bytes };
}
/* The member of that name, the first if it is given twice; NULL if there is none, or `object` is NULL or no object. */
const struct memo__json_node *memo__json_find(const struct memo__json *j, const struct memo__json_node *object, const char *key);
/* Exactly, or not at all: a fraction, an exponent or a number beyond the type is false. */
bool memo__json_int(const struct memo__json *j, const struct memo__json_node *n, int64_t *out);
bool memo__json_uint(const struct memo__json *j, const struct memo__json_node *n, uint64_t *out);
/* The nearest double, in every locale. */
bool memo__json_double(const struct memo__json *j, const struct memo__json_node *n, double *out);
/* 1-based line, and column in bytes, of an offset into the parsed text. */
void memo__json_where(const struct memo__json *j, uint32_t at, int32_t *line, int32_t *column);

/* Writing: values in order, commas and quotes come by themselves. key is NULL in arrays and at the top. */
struct memo__json_out {
    struct memo__writer *w;
    uint64_t filled, array;  /* a bit for each open level: has a value already; is an array */
    uint32_t depth;          /* at most 63 */
};
void memo__json_begin(struct memo__json_out *o, struct memo__writer *w);
void memo__json_open(struct memo__json_out *o, const char *key, char bracket); /* '{' or '[' */
void memo__json_close(struct memo__json_out *o);
void memo__json_put_text(struct memo__json_out *o, const char *key, struct memo__text value);
void memo__json_put_z(struct memo__json_out *o, const char *key, const char *value); /* NULL gives null */
void memo__json_put_int(struct memo__json_out *o, const char *key, int64_t value);
void memo__json_put_uint(struct memo__json_out *o, const char *key, uint64_t value);
void memo__json_put_bool(struct memo__json_out *o, const char *key, bool value);
void memo__json_put_null(struct memo__json_out *o, const char *key);
void memo__json_put_raw(struct memo__json_out *o, const char *key, const char *json); /* a value already written as JSON */
#endif
