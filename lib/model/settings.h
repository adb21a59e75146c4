/* SPDX-License-Identifier: Apache-2.0 */
/* settings.h: the values in force of all settings, and where each came from.
 *
 *   program > MEMO_NAME > MEMO_NAME_FILE (secrets only) > standard variable > settings file > default
 *
 * An empty value counts as not set. A bad value under a name of ours is an error (MEMO_E_SETTING); under a standard name, which other software reads too, it is told and ignored. */
#ifndef MEMO__MODEL_SETTINGS_H
#define MEMO__MODEL_SETTINGS_H
#include <memo/status.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/alloc.h"
#include "base/host.h"
#include "base/text.h"

#define MEMO__SETTING_NAME_MAX 64

enum memo__setting_type {
    MEMO__TYPE_TEXT, MEMO__TYPE_PATH, MEMO__TYPE_URL, MEMO__TYPE_DURATION, MEMO__TYPE_BYTES, MEMO__TYPE_COUNT, MEMO__TYPE_SHARE, MEMO__TYPE_BOOL, MEMO__TYPE_LEVEL
};

enum memo__setting {
#define SETTING(NAME, name, type, otherwise, least, most, standard, secret, sentence) MEMO__SETTING_##NAME,
#include "model/settings_table.h"
#undef SETTING
    MEMO__SETTINGS_COUNT
};

struct memo__setting_row {
    const char *name, *environment, *environment_file; /* environment_file: "MEMO_NAME_FILE", of secrets only, else NULL */
    const char *standard, *otherwise, *least, *most, *sentence;
    enum memo__setting_type type;
    bool secret;
};
extern const struct memo__setting_row memo__setting_rows[MEMO__SETTINGS_COUNT];
const char *memo__setting_type_name(enum memo__setting_type t); /* "duration", as <memo/setting.h> promises */

/* A value in force. number: ns, bytes, count, ppm, 0 or 1, or a log level, by type. */
struct memo__setting_value {
    char *text;       /* NULL: the default's */
    char *origin;     /* NULL: "default" */
    int64_t number;
};

struct memo__settings {
    struct memo__alloc alloc;
    const struct memo__setting_row *rows;
    uint32_t count;
    struct memo__setting_value *values;
};

/* Where values come from outside; a test gives its own. */
struct memo__settings_world {
    const struct memo__host *host;                                    /* files; NULL: none are read */
    const char *(*variable)(void *user, const char *name);            /* as getenv(3) */
    void (*warn)(void *user, const char *sentence);                   /* NULL: nobody listens */
    void *user;
};

/* Reads environment and settings file. On failure *s is empty and fini still welcome. MEMO_OK, MEMO_E_SETTING, MEMO_E_IO (settings file, secret's file), MEMO_E_NO_MEMORY. */
memo_status memo__settings_init(struct memo__settings *s, const struct memo__alloc *a, const struct memo__settings_world *w, memo_error *e);
/* The same over a table of one's own: for tests. */
memo_status memo__settings_init_rows(struct memo__settings *s, const struct memo__alloc *a, const struct memo__settings_world *w,
                                     const struct memo__setting_row *rows, uint32_t count, memo_error *e);
void memo__settings_fini(struct memo__settings *s);
/* By the program. NULL or "" returns to the default. MEMO_OK, MEMO_E_SETTING, MEMO_E_NO_MEMORY (then nothing has changed). */
memo_status memo__settings_set(struct memo__settings *s, const char *name, const char *value, memo_error *e);
int32_t memo__settings_find(const struct memo__settings *s, const char *name);  /* index or -1 */

/* Borrowed until the next set or fini; never NULL. */
const char *memo__setting_text(const struct memo__settings *s, enum memo__setting i);
const char *memo__setting_origin(const struct memo__settings *s, uint32_t i);
static inline int64_t memo__setting_number(const struct memo__settings *s, enum memo__setting i) { return s->values[i].number; }
static inline int64_t memo__setting_ns(const struct memo__settings *s, enum memo__setting i) { return s->values[i].number; }
static inline uint64_t memo__setting_bytes(const struct memo__settings *s, enum memo__setting i) { return (uint64_t)s->values[i].number; }
static inline uint32_t memo__setting_count(const struct memo__settings *s, enum memo__setting i) { return (uint32_t)s->values[i].number; }
static inline uint32_t memo__setting_ppm(const struct memo__settings *s, enum memo__setting i) { return (uint32_t)s->values[i].number; }
static inline bool memo__setting_bool(const struct memo__settings *s, enum memo__setting i) { return s->values[i].number != 0; }
static inline int32_t memo__setting_level(const struct memo__settings *s, enum memo__setting i) { return (int32_t)s->values[i].number; } /* MEMO__LOG_... */
/* For people: a secret reads "(set)" or "". */
const char *memo__setting_shown(const struct memo__settings *s, uint32_t i);
#endif
