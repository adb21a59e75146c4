/* SPDX-License-Identifier: Apache-2.0 */
/* rules_read.h: how a block of the rules document is read: by a table of its keys. Internal to lib/model.
 *
 * A block is one file, rules_<block>.c: a table of keys, each with the function that reads it, where it goes and its range, and a function that looks at the fields together. One layer
 * (service over defaults, route over service) is read onto a copy of the layer below: what a layer does not say stays. To add a rule kind: add its file, its struct to rules.h and to
 * struct memo__layer, its row to the tables in rules_document.c, its keys to docs/rules.schema.json (a test compares the two). */
#ifndef MEMO__MODEL_RULES_READ_H
#define MEMO__MODEL_RULES_READ_H
#include <stddef.h>
#include "base/instant.h"
#include "base/json.h"
#include "model/rules.h"

#define MEMO__DAY (INT64_C(86400) * MEMO__S)
#define MEMO__MODE_UNSAID ((enum memo__mode)2) /* only while reading: the layer above decides */
#define MEMO__SERVICES_MAX 1024
#define MEMO__FINDINGS_MAX 200    /* a report longer than that is not read by anybody */

struct memo__rules_key;
struct memo__rules_reader;

typedef void memo__rules_read_fn(struct memo__rules_reader *r, const struct memo__json_node *n, const struct memo__rules_key *key, void *field);

struct memo__rules_block {
    const struct memo__rules_key *keys;
    uint32_t count;                                  /* at most 32 */
    void (*begin)(void *target);                     /* the block is there: on = true; NULL welcome */
    void (*off)(void *target);                       /* the block reads "off"; NULL: that is a mistake */
    /* The fields together, after all were read; given: a bit for each key by its index in the table. NULL welcome. */
    void (*check)(struct memo__rules_reader *r, const struct memo__json_node *n, void *target, uint32_t given);
};

struct memo__rules_key {
    const char *name;
    memo__rules_read_fn *read;                       /* NULL: reserved, not in force in this version */
    size_t offset;                                   /* of the field in the block's target */
    int64_t least, most;                             /* by the field's kind: ns, count, ppm, bytes */
    const struct memo__rules_block *block;           /* what is inside, for objects and arrays of objects */
    const char *const *words;                        /* of a choice, ended by NULL */
};

struct memo__finding_kept { uint32_t at; bool error; char path[160], message[256]; };

struct memo__rules_reader {
    struct memo__alloc alloc;
    struct memo__json *json;
    struct memo__finding_kept *findings;
    uint32_t findings_count, findings_room, errors, unkept;
    bool no_memory;
    bool inbound;                                    /* what is being read is about what this process receives */
    const struct memo__rules_options *options;
    struct memo__service_rules *service;             /* being built, while its routes are read */
    char path[160];
    uint32_t path_bytes;
};

/* Limits as they are read; their headers find their place in the service later. */
struct memo__limit_read { struct memo__limit_rule rule; char header[MEMO__NAME_MAX]; bool reserved; uint32_t at, index; };
struct memo__limits_read { uint32_t count; struct memo__limit_read limit[MEMO__LIMITS_MAX]; };

struct memo__balance_read { struct memo__balance_rule rule; char header[MEMO__NAME_MAX]; uint32_t header_at; };

/* What one layer says, everything below included. */
struct memo__layer {
    enum memo__mode mode;
    int64_t timeout, max_stale;
    struct memo__retry_rule retry;
    struct memo__breaker_rule breaker;
    struct memo__outlier_rule outlier;
    struct memo__concurrency_rule concurrency;
    struct memo__balance_read balance;
    struct memo__shed_rule shed;
    struct memo__limits_read limits;
    uint8_t from[MEMO__BLOCKS];                      /* enum memo__origin */
    const struct memo__json_node *routes;            /* read when the rest of the service is known */
};

struct memo__route_layer {
    struct memo__route_rule rule;
    struct memo__limits_read limits;                 /* the route's own */
    bool has_breaker;
};

/* The tree of keys. */
extern const struct memo__rules_block memo__document_block, memo__defaults_block, memo__service_block, memo__route_block, memo__inbound_block;
extern const struct memo__rules_block memo__retry_block, memo__breaker_block, memo__outlier_block, memo__limit_block, memo__concurrency_block,
    memo__balance_block, memo__shed_block;

#define MEMO__KEYS(table) (table), sizeof(table) / sizeof *(table)

/* Findings. `at` is an offset into the text. */
void memo__rules_error(struct memo__rules_reader *r, uint32_t at, const char *format, ...) __attribute__((format(printf, 3, 4)));
void memo__rules_warning(struct memo__rules_reader *r, uint32_t at, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The path of what is being read; push answers what pop needs. */
uint32_t memo__rules_push(struct memo__rules_reader *r, struct memo__text key);
uint32_t memo__rules_push_index(struct memo__rules_reader *r, uint32_t index);
void memo__rules_pop(struct memo__rules_reader *r, uint32_t mark);
/* A value as the document has it, cut to 40 bytes, for messages; the buffer is the caller's. */
const char *memo__rules_shown(const struct memo__rules_reader *r, const struct memo__json_node *n, char buf[64]);

/* Readers of fields. */
memo__rules_read_fn memo__read_block;                /* an object, read by key->block, or "off" */
memo__rules_read_fn memo__read_duration;             /* int64_t ns */
memo__rules_read_fn memo__read_share;                /* uint32_t ppm */
memo__rules_read_fn memo__read_count;                /* uint32_t */
memo__rules_read_fn memo__read_count64;              /* uint64_t */
memo__rules_read_fn memo__read_thousandths;          /* uint32_t: "1.5" is 1500 */
memo__rules_read_fn memo__read_bool;                 /* bool */
memo__rules_read_fn memo__read_choice;               /* an enum: the index into key->words */
memo__rules_read_fn memo__read_mode;                 /* enum memo__mode */
memo__rules_read_fn memo__read_methods;              /* uint32_t bits */
memo__rules_read_fn memo__read_name;                 /* char[MEMO__NAME_MAX] */
memo__rules_read_fn memo__read_limits;               /* struct memo__limits_read */
void memo__rules_object(struct memo__rules_reader *r, const struct memo__json_node *n, const struct memo__rules_block *b, void *target);
/* Is it an array of at most `most`? Said if not. */
bool memo__rules_array(struct memo__rules_reader *r, const struct memo__json_node *n, uint32_t most, const char *of);
/* The name of a header, lower case, into to; said if it is none. */
bool memo__rules_header_name(struct memo__rules_reader *r, uint32_t at, struct memo__text name, char to[MEMO__NAME_MAX]);
/* The place of a header in the service's wants, MEMO__NO_INDEX (and said) if there is no room. */
uint8_t memo__rules_want(struct memo__rules_reader *r, struct memo__service_rules *s, uint32_t at, const char *name);
/* A name that is at most two slips away from what was written, or NULL; names ended by NULL. */
const char *memo__rules_near(struct memo__text written, const char *const *names);
/* Does this version put a key named so in force ("retry.attempts", "services.limits.maxWait")? */
bool memo__rules_known(struct memo__text dotted);

/* The balance of one layer into the service: its header finds its place. */
void memo__rules_take_balance(struct memo__rules_reader *r, struct memo__service_rules *s, const struct memo__balance_read *from);
/* Routes, read onto the service's layer. */
bool memo__rules_routes(struct memo__rules_reader *r, const struct memo__layer *layer, struct memo__service_rules *out);
/* Limits of one layer into the service: their places go into places[], from *count. origin: enum memo__origin; route: the one that is being read. */
struct memo__limits_place { uint8_t origin, route; };
bool memo__rules_take_limits(struct memo__rules_reader *r, struct memo__service_rules *s, const struct memo__limits_read *from,
                             struct memo__limits_place of, uint8_t *places, uint32_t *count);
#endif
