/* SPDX-License-Identifier: Apache-2.0 */
/* config.h: an application's configuration as plain data.
 *
 *   text or environment --parse--> part: one source's values, each with its line
 *   parts --laid over each other, later ones win--> memo_config: an immutable snapshot
 *
 *   { "db": { "url": "x", "hosts": ["a", "b"] } }   is   db.url = x, db.hosts.0 = a, db.hosts.1 = b
 *
 * A null unsets a key, and what is below it, of the sources before; an array replaces that of a source before as a whole. A snapshot's lookup is one
 * hash and one comparison: all that a value can be read as is worked out when it is built. */
#ifndef MEMO__MODEL_CONFIG_H
#define MEMO__MODEL_CONFIG_H
#include <memo/config.h>
#include <stdbool.h>
#include "base/alloc.h"
#include "base/host.h"
#include "base/reader.h"
#include "base/text.h"

#define MEMO__CONFIG_KEYS_MAX 65536u
#define MEMO__CONFIG_KEY_MAX 256u           /* bytes, with the NUL */
#define MEMO__CONFIG_BYTES_MAX (4u << 20)   /* of a document */

/* ---- what one source says ---- */

enum memo__config_kind { MEMO__CONFIG_VALUE, MEMO__CONFIG_NULL, MEMO__CONFIG_LIST /* has no value: "here is an array" */ };

struct memo__config_item { uint32_t key, key_bytes, value, value_bytes, origin /* a variable's name; 0: none */; int32_t line; uint8_t kind; };

struct memo__config_part {
    struct memo__alloc alloc;
    struct memo__config_item *items;        /* sorted by key, each once */
    uint32_t count, room;
    char *text;                             /* every text in it is ended by NUL; [0] is "" */
    uint32_t text_used, text_room;
    bool any_case;                          /* its keys take the spelling that a source before has for them */
};

enum memo__config_format { MEMO__CONFIG_JSON, MEMO__CONFIG_PROPERTIES };
enum memo__config_format memo__config_format_of(const char *path); /* by its end: ".properties", else JSON */

/* MEMO_OK, MEMO_E_SETTING (e says file, line, column and key), MEMO_E_NO_MEMORY. A text without any value but blanks is a mistake: a document that
 * says nothing reads {}. */
memo_status memo__config_parse(const struct memo__alloc *a, enum memo__config_format format, struct memo__text text, const char *file,
                               struct memo__config_part **out, memo_error *e);
/* APP_DB_URL of the prefix "APP_" is db.url; two underlines are one underline of the key. variables: as environ(7). */
memo_status memo__config_environment(const struct memo__alloc *a, struct memo__text prefix, const char *const *variables,
                                     struct memo__config_part **out, memo_error *e);
void memo__config_part_free(struct memo__config_part *p);   /* NULL is welcome */
static inline const char *memo__config_part_text(const struct memo__config_part *p, uint32_t at) { return p->text + at; }

/* As strcmp, but a dot comes before everything: what is below a key follows it at once. */
int memo__config_order(struct memo__text a, struct memo__text b);

/* ---- the snapshot ---- */

enum { MEMO__CONFIG_IS_INT = 1, MEMO__CONFIG_IS_BOOL = 2, MEMO__CONFIG_IS_DURATION = 4, MEMO__CONFIG_IS_BYTES = 8, MEMO__CONFIG_IS_NUMBER = 16 };

struct memo__config_value {
    uint32_t key, key_bytes, text, text_bytes, origin;
    int32_t line;
    uint8_t types;                          /* MEMO__CONFIG_IS_... */
    bool truth, secret;
    int64_t whole, ms, bytes;
    double number;
};

struct memo__config_slot { uint64_t hash; uint32_t value; /* index + 1; 0: free */ };

struct memo_config {
    struct memo__retired retired;           /* first: the engine's reference, on its way out */
    struct memo__alloc alloc;
    const struct memo__host *host;
    uint32_t refs;
    uint64_t revision;
    memo__instant confirmed;                /* boot clock, as view.h has it: these three go on while it is the newest; relaxed */
    uint32_t unproven;
    int32_t state;                          /* MEMO_VIEW_... */
    uint64_t seed;
    uint32_t count, mask;                   /* mask + 1 slots, at most half of them used */
    struct memo__config_slot *slots;
    struct memo__config_value *values;      /* sorted by key */
    char *text;
};

/* A source in its place; later ones win. */
struct memo__config_layer {
    const struct memo__config_part *part;
    const char *name;                       /* "file /etc/app.json", "https://config/app.json etag \"7\""; variables are named instead */
};

/* secrets: further keys to hide, separated by commas or blanks. MEMO_OK, MEMO_E_NO_MEMORY, MEMO_E_SETTING (more than MEMO__CONFIG_KEYS_MAX keys).
 * refs is 1. */
memo_status memo__config_new(const struct memo__alloc *a, const struct memo__host *h, const struct memo__config_layer *layers, uint32_t count,
                             const char *secrets, uint64_t seed,
                             memo_config **out, memo_error *e);
memo_config *memo__config_hold(memo_config *g);
void memo__config_drop(memo_config *g);                     /* NULL is welcome */
const struct memo__config_value *memo__config_find(const memo_config *g, const char *key);
/* The first value whose key is `prefix` or below it ("db" is before db.url, and not before dbs), or count. "" is before everything; a final dot is no
 * matter. */
uint32_t memo__config_first(const memo_config *g, struct memo__text prefix);
bool memo__config_below(const memo_config *g, uint32_t i, struct memo__text prefix);
/* Is it a password by its name, or by the looks of its value ("scheme://user:word@")? */
bool memo__config_secret(struct memo__text key, struct memo__text value, const char *secrets);
/* Calls fn for each key that is not the same in both, in order. change: '+', '-' or '~'. before NULL: everything is new. */
void memo__config_compare(const memo_config *before, const memo_config *after, void (*fn)(void *user, const char *key, char change), void *user);
#endif
