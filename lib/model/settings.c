/* SPDX-License-Identifier: Apache-2.0 */
/* settings.c: values from the program, the environment and the settings file, checked by their rows.
 *
 *   init     file first (its path may come from the environment only), environment over it
 *   file     name = value      # comments, blank lines; the value is trimmed and goes to the end of its line
 *
 * A text is at most 128 KiB (what Linux lets one variable hold), the file 256 KiB. Numbers are parsed once, when they are set. */
#include "model/settings.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "base/log.h"
#include "base/status.h"

#define TEXT_MOST (128u << 10)
#define FILE_MOST (256u << 10)
#define SECRET_MOST (64u << 10)

#define FILE_OF_0(NAME) NULL
#define FILE_OF_1(NAME) "MEMO_" #NAME "_FILE"
const struct memo__setting_row memo__setting_rows[MEMO__SETTINGS_COUNT] = {
#define SETTING(NAME, name, type, otherwise, least, most, standard, secret, sentence) \
    { name, "MEMO_" #NAME, FILE_OF_##secret(NAME), standard, otherwise, least, most, sentence, MEMO__TYPE_##type, secret },
#include "model/settings_table.h"
#undef SETTING
};

static const struct { const char *name; int32_t level; } levels[] = {
    { "debug", MEMO__LOG_DEBUG }, { "info", MEMO__LOG_INFO }, { "warn", MEMO__LOG_WARN }, { "error", MEMO__LOG_ERROR }, { "none", MEMO__LOG_OFF },
};

const char *memo__setting_type_name(enum memo__setting_type t)
{
    static const char *const names[] = { "text", "path", "url", "duration", "bytes", "count", "share", "bool", "level" };
    return names[t];
}

static bool parse_level(struct memo__text t, int64_t *out)
{
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        if (memo__text_same_nocase(t, memo__text_of(levels[i].name))) {
            *out = levels[i].level;
            return true;
        }
    return false;
}

/* "1" and "0" too: MEMO_DISABLED=1 is what people write. */
static bool parse_bool(struct memo__text t, int64_t *out)
{
    *out = memo__text_same_nocase(t, MEMO__TEXT("true")) || memo__text_is(t, "1");
    return *out || memo__text_same_nocase(t, MEMO__TEXT("false")) || memo__text_is(t, "0");
}

static bool parse_text(enum memo__setting_type type, struct memo__text t)
{
    if (t.n > TEXT_MOST || !memo__utf8_valid(t))
        return false;
    for (size_t i = 0; i < t.n; i++) {
        bool blank = t.at[i] == '\n' || t.at[i] == '\r' || t.at[i] == '\t';
        if (t.at[i] == 0x7f || ((unsigned char)t.at[i] < 0x20 && !(blank && type == MEMO__TYPE_TEXT)))
            return false;
    }
    return true;
}

/* The number behind a text; texts have none. */
static bool parse(enum memo__setting_type type, struct memo__text t, int64_t *out)
{
    uint64_t value = 0;
    uint32_t ppm = 0;
    bool good = true;
    *out = 0;
    switch (type) {
    case MEMO__TYPE_DURATION: return memo__parse_duration(t, out);
    case MEMO__TYPE_BOOL: return parse_bool(t, out);
    case MEMO__TYPE_LEVEL: return parse_level(t, out);
    case MEMO__TYPE_BYTES: good = memo__parse_bytes(t, &value) && value <= INT64_MAX; break;
    case MEMO__TYPE_COUNT: good = memo__parse_u64(t, UINT32_MAX, &value); break;
    case MEMO__TYPE_SHARE: good = memo__parse_share(t, &ppm); value = ppm; break;
    default: return parse_text(type, t);
    }
    *out = (int64_t)value;
    return good;
}

static const char *expected(enum memo__setting_type type)
{
    switch (type) {
    case MEMO__TYPE_DURATION: return "a duration such as \"250ms\", \"5s\", \"1h\"";
    case MEMO__TYPE_BYTES: return "a size such as \"64KiB\", \"16MiB\"";
    case MEMO__TYPE_COUNT: return "a whole number";
    case MEMO__TYPE_SHARE: return "a share such as \"50%\"";
    case MEMO__TYPE_BOOL: return "\"true\" or \"false\"";
    case MEMO__TYPE_LEVEL: return "\"debug\", \"info\", \"warn\", \"error\" or \"none\"";
    default: return "UTF-8 text of at most 128 KiB, without control characters";
    }
}

static bool in_range(const struct memo__setting_row *row, int64_t value)
{
    int64_t least, most;
    return (!row->least || (parse(row->type, memo__text_of(row->least), &least) && value >= least)) &&
           (!row->most || (parse(row->type, memo__text_of(row->most), &most) && value <= most));
}

/* Where a value comes from: what memo_error says about it. */
struct from { const char *origin, *file; int32_t line; };

static memo_status bad_value(const struct memo__setting_row *row, struct memo__text t, const struct from *from, bool range, memo_error *e)
{
    char shown[64];
    (void)memo__text_copy(shown, sizeof shown, row->secret ? MEMO__TEXT("(secret)") : t);
    memo__utf8_mend(shown);
    if (range)
        return memo__fail_at(e, MEMO_E_SETTING, from->file, from->line, 0, row->name, "%s: %s = \"%s\" is out of range: %s to %s", from->origin, row->name, shown,
                             row->least ? row->least : "any", row->most ? row->most : "any");
    return memo__fail_at(e, MEMO_E_SETTING, from->file, from->line, 0, row->name, "%s: %s = \"%s\" is not %s", from->origin, row->name, shown, expected(row->type));
}

static memo_status no_memory(const struct memo__setting_row *row, memo_error *e)
{
    return memo__fail(e, MEMO_E_NO_MEMORY, "no memory for the setting %s", row ? row->name : "table");
}

/* Checks and stores; an empty text returns to the default. */
static memo_status store(struct memo__settings *s, uint32_t i, struct memo__text t, const struct from *from, memo_error *e)
{
    const struct memo__setting_row *row = &s->rows[i];
    struct memo__setting_value fresh = { NULL, NULL, 0 };
    bool given = t.n > 0;
    if (!given)
        t = memo__text_of(row->otherwise);
    if ((given || row->otherwise[0]) && !parse(row->type, t, &fresh.number))
        return bad_value(row, t, from, false, e);
    if (given && !in_range(row, fresh.number))
        return bad_value(row, t, from, true, e);
    if (given) {
        fresh.text = memo__copy_text(&s->alloc, t.at, t.n);
        fresh.origin = memo__copy_text(&s->alloc, from->origin, strlen(from->origin));
        if (!fresh.text || !fresh.origin) {
            memo__drop(&s->alloc, fresh.text);
            memo__drop(&s->alloc, fresh.origin);
            return no_memory(row, e);
        }
    }
    memo__drop(&s->alloc, s->values[i].text);
    memo__drop(&s->alloc, s->values[i].origin);
    s->values[i] = fresh;
    return MEMO_OK;
}

int32_t memo__settings_find(const struct memo__settings *s, const char *name)
{
    for (uint32_t i = 0; name && i < s->count; i++)
        if (strcmp(s->rows[i].name, name) == 0)
            return (int32_t)i;
    return -1;
}

static memo_status unknown(const char *name, const struct from *from, memo_error *e)
{
    return memo__fail_at(e, MEMO_E_SETTING, from->file, from->line, 0, name, "%s: there is no setting \"%.64s\"", from->origin, name ? name : "");
}

memo_status memo__settings_set(struct memo__settings *s, const char *name, const char *value, memo_error *e)
{
    static const struct from program = { "program", NULL, 0 };
    int32_t i = memo__settings_find(s, name);
    if (i < 0)
        return unknown(name, &program, e);
    return store(s, (uint32_t)i, memo__text_of(value), &program, e);
}

/* A whole small file, ended by NUL. MEMO_E_IO if it cannot be read or is too big. */
static memo_status read_file(const struct memo__settings *s, const struct memo__host *h, const char *path, size_t most, char **out, size_t *bytes, memo_error *e)
{
    struct stat st;
    int64_t got = 0;
    size_t n = 0;
    int fd = h->open(h->user, AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0); /* a FIFO must not hold us up */
    *out = NULL;
    if (fd < 0)
        return memo__fail_at(e, MEMO_E_IO, path, 0, 0, NULL, "cannot open %s: %s", path, strerror(-fd));
    if (h->stat_fd(h->user, fd, &st) < 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size > most)
        goto fail;
    *out = memo__get(&s->alloc, (size_t)st.st_size + 1);
    if (!*out) {
        h->close(h->user, fd);
        return no_memory(NULL, e);
    }
    while (n < (size_t)st.st_size && (got = h->pread(h->user, fd, *out + n, (size_t)st.st_size - n, (int64_t)n)) > 0)
        n += (size_t)got;
    if (got < 0)
        goto fail;
    h->close(h->user, fd);
    *bytes = n;
    return MEMO_OK;
fail:
    h->close(h->user, fd);
    memo__drop(&s->alloc, *out);
    *out = NULL;
    return memo__fail_at(e, MEMO_E_IO, path, 0, 0, NULL, "%s is not a readable regular file of at most %zu bytes", path, most);
}

/* One line of the settings file. */
static memo_status read_line(struct memo__settings *s, struct memo__text line, const char *path, int32_t number, memo_error *e)
{
    char origin[320], name[MEMO__SETTING_NAME_MAX];
    struct from from = { origin, path, number };
    struct memo__text key;
    const char *equals;
    int32_t i;

    line = memo__text_trim(line);
    if (line.n == 0 || line.at[0] == '#')
        return MEMO_OK;
    snprintf(origin, sizeof origin, "file %.256s:%d", path, number);
    equals = memchr(line.at, '=', line.n);
    if (!equals)
        return memo__fail_at(e, MEMO_E_SETTING, path, number, 0, NULL, "%s: not of the form `name = value`", origin);
    key = memo__text_trim((struct memo__text){ line.at, (size_t)(equals - line.at) });
    if (!memo__text_copy(name, sizeof name, key) || strlen(name) != key.n || (i = memo__settings_find(s, name)) < 0)
        return unknown(name, &from, e);
    if (i == MEMO__SETTING_SETTINGS && s->rows == memo__setting_rows)
        return memo__fail_at(e, MEMO_E_SETTING, path, number, 0, name, "%s: a settings file cannot name another one", origin);
    return store(s, (uint32_t)i, memo__text_trim((struct memo__text){ equals + 1, line.n - (size_t)(equals + 1 - line.at) }), &from, e);
}

static memo_status read_lines(struct memo__settings *s, struct memo__text text, const char *path, memo_error *e)
{
    memo_status status = MEMO_OK;
    for (int32_t number = 1; status == MEMO_OK && text.n; number++) {
        const char *end = memchr(text.at, '\n', text.n);
        struct memo__text line = { text.at, end ? (size_t)(end - text.at) : text.n };
        size_t step = line.n + (end != NULL);
        if (line.n && line.at[line.n - 1] == '\r')
            line.n--;
        status = read_line(s, line, path, number, e);
        text.at += step;
        text.n -= step;
    }
    return status;
}

static memo_status read_settings_file(struct memo__settings *s, const struct memo__settings_world *w, const char *path, memo_error *e)
{
    char *text;
    size_t bytes = 0;
    memo_status status = read_file(s, w->host, path, FILE_MOST, &text, &bytes, e);
    if (status != MEMO_OK)
        return status;
    status = read_lines(s, (struct memo__text){ text, bytes }, path, e);
    memo__drop(&s->alloc, text);
    return status;
}

static const char *variable(const struct memo__settings_world *w, const char *name)
{
    const char *value = name && w->variable ? w->variable(w->user, name) : NULL;
    return value && value[0] ? value : NULL;
}

/* A secret's file: its first line, without the end. */
static memo_status read_secret(struct memo__settings *s, const struct memo__settings_world *w, uint32_t i, const char *path, const struct from *from, memo_error *e)
{
    char *text;
    size_t bytes = 0;
    memo_status status = read_file(s, w->host, path, SECRET_MOST, &text, &bytes, e);
    if (status != MEMO_OK)
        return status;
    for (size_t k = 0; k < bytes; k++)
        if (text[k] == '\n' || text[k] == '\r')
            bytes = k;
    status = store(s, i, (struct memo__text){ text, bytes }, from, e);
    for (size_t k = 0; k < bytes; k++)
        ((volatile char *)text)[k] = 0;
    memo__drop(&s->alloc, text);
    return status;
}

static memo_status from_standard(struct memo__settings *s, const struct memo__settings_world *w, uint32_t i, const char *value, const struct from *from)
{
    memo_error e = MEMO_INIT(memo_error);
    memo_status status = store(s, i, memo__text_of(value), from, &e);
    if (status != MEMO_E_SETTING)
        return status;
    if (w->warn)
        w->warn(w->user, e.message);
    return MEMO_OK;
}

/* Our own name first: then the standard one is not even looked at. */
static memo_status from_environment(struct memo__settings *s, const struct memo__settings_world *w, uint32_t i, memo_error *e)
{
    const struct memo__setting_row *row = &s->rows[i];
    char origin[96];
    struct from from = { origin, NULL, 0 };
    const char *value = variable(w, row->environment);
    if (value) {
        snprintf(origin, sizeof origin, "environment %s", row->environment);
        return store(s, i, memo__text_of(value), &from, e);
    }
    value = w->host ? variable(w, row->environment_file) : NULL;
    if (value) {
        snprintf(origin, sizeof origin, "environment %s", row->environment_file);
        return read_secret(s, w, i, value, &from, e);
    }
    value = variable(w, row->standard);
    if (!value)
        return MEMO_OK;
    snprintf(origin, sizeof origin, "environment %s", row->standard);
    return from_standard(s, w, i, value, &from) == MEMO_OK ? MEMO_OK : no_memory(row, e);
}

memo_status memo__settings_init_rows(struct memo__settings *s, const struct memo__alloc *a, const struct memo__settings_world *w, const struct memo__setting_row *rows, uint32_t count, memo_error *e)
{
    static const struct from by_default = { "default", NULL, 0 };
    memo_status status = MEMO_OK;
    int32_t file;

    *s = (struct memo__settings){ .alloc = *a, .rows = rows, .count = count };
    s->values = memo__get_array(a, count, sizeof *s->values);
    if (!s->values)
        return no_memory(NULL, e);
    for (uint32_t i = 0; i < count && status == MEMO_OK; i++)
        status = store(s, i, MEMO__TEXT(""), &by_default, e);
    file = memo__settings_find(s, "settings");
    if (status == MEMO_OK && file >= 0)
        status = from_environment(s, w, (uint32_t)file, e);
    if (status == MEMO_OK && file >= 0 && s->values[file].text && w->host)
        status = read_settings_file(s, w, s->values[file].text, e);
    for (uint32_t i = 0; i < count && status == MEMO_OK; i++)
        if ((int32_t)i != file)
            status = from_environment(s, w, i, e);
    if (status != MEMO_OK)
        memo__settings_fini(s);
    return status;
}

memo_status memo__settings_init(struct memo__settings *s, const struct memo__alloc *a, const struct memo__settings_world *w, memo_error *e)
{
    return memo__settings_init_rows(s, a, w, memo__setting_rows, MEMO__SETTINGS_COUNT, e);
}

void memo__settings_fini(struct memo__settings *s)
{
    for (uint32_t i = 0; s->values && i < s->count; i++) {
        char *text = s->values[i].text;
        if (text && s->rows[i].secret)
            for (volatile char *p = text; *p; p++)
                *p = 0;
        memo__drop(&s->alloc, text);
        memo__drop(&s->alloc, s->values[i].origin);
    }
    memo__drop(&s->alloc, s->values);
    s->values = NULL;
    s->count = 0;
}

const char *memo__setting_text(const struct memo__settings *s, enum memo__setting i)
{
    return s->values[i].text ? s->values[i].text : s->rows[i].otherwise;
}

const char *memo__setting_origin(const struct memo__settings *s, uint32_t i)
{
    return s->values[i].origin ? s->values[i].origin : "default";
}

const char *memo__setting_shown(const struct memo__settings *s, uint32_t i)
{
    const char *text = s->values[i].text ? s->values[i].text : s->rows[i].otherwise;
    return s->rows[i].secret && text[0] ? "(set)" : text;
}
