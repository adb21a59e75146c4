/* SPDX-License-Identifier: Apache-2.0 */
/* rules_read.c: the walker over tables of keys, and readers for the kinds of fields.
 *
 * Every mistake is kept with its place and told when all is read, in document order, whatever order the blocks were read in. A reader that refuses a value leaves the field as the
 * layer below had it, so that one mistake is not told as several. */
#include "model/rules_read.h"
#include <stdio.h>
#include <string.h>

static void keep(struct memo__rules_reader *r, bool error, uint32_t at, const char *format, va_list args)
{
    struct memo__finding_kept *f;
    r->errors += error;
    if (r->findings_count == MEMO__FINDINGS_MAX || r->no_memory) {
        r->unkept++;
        return;
    }
    if (r->findings_count == r->findings_room) {
        uint32_t room = r->findings_room ? r->findings_room * 2 : 8;
        f = memo__resize(&r->alloc, r->findings, room * sizeof *f);
        if (!f) {
            r->no_memory = true;
            return;
        }
        r->findings = f;
        r->findings_room = room;
    }
    f = &r->findings[r->findings_count++];
    f->at = at;
    f->error = error;
    memo__text_copy(f->path, sizeof f->path, (struct memo__text){ r->path, r->path_bytes });
    if (vsnprintf(f->message, sizeof f->message, format, args) < 0)
        f->message[0] = '\0';
    memo__utf8_mend(f->message); /* a cut may have torn a character */
}

void memo__rules_error(struct memo__rules_reader *r, uint32_t at, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    keep(r, true, at, format, args);
    va_end(args);
}

void memo__rules_warning(struct memo__rules_reader *r, uint32_t at, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    keep(r, false, at, format, args);
    va_end(args);
}

static void path_add(struct memo__rules_reader *r, struct memo__text t)
{
    size_t room = sizeof r->path - 1 - r->path_bytes;
    size_t n = t.n < room ? t.n : 0; /* a path that does not fit stops at its last whole step */
    memcpy(r->path + r->path_bytes, t.at, n);
    r->path_bytes += (uint32_t)n;
}

uint32_t memo__rules_push(struct memo__rules_reader *r, struct memo__text key)
{
    uint32_t mark = r->path_bytes;
    if (key.n + 2 < sizeof r->path - mark) {
        if (mark)
            path_add(r, MEMO__TEXT("."));
        path_add(r, key);
    }
    return mark;
}

uint32_t memo__rules_push_index(struct memo__rules_reader *r, uint32_t index)
{
    uint32_t mark = r->path_bytes;
    char text[16];
    snprintf(text, sizeof text, "[%u]", index);
    path_add(r, memo__text_of(text));
    return mark;
}

void memo__rules_pop(struct memo__rules_reader *r, uint32_t mark)
{
    r->path_bytes = mark;
}

const char *memo__rules_shown(const struct memo__rules_reader *r, const struct memo__json_node *n, char buf[64])
{
    struct memo__text t = memo__json_text(r->json, n);
    struct memo__writer w;
    char cut[41];
    switch (n->type) {
    case MEMO__JSON_NULL: return "null";
    case MEMO__JSON_BOOL: return n->truth ? "true" : "false";
    case MEMO__JSON_ARRAY: return "a list";
    case MEMO__JSON_OBJECT: return "an object";
    default: break;
    }
    memo__text_copy(cut, sizeof cut, t);
    memo__writer_init(&w, buf, 64);
    if (n->type == MEMO__JSON_TEXT)
        memo__put_json(&w, memo__text_of(cut));
    else
        memo__put_text(&w, cut);
    memo__writer_end(&w);
    return buf;
}

static char lower(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

/* Optimal string alignment distance, at most 40 bytes a side; case does not count. */
static unsigned distance(struct memo__text a, struct memo__text b)
{
    unsigned row[3][42];
    for (unsigned k = 0; k <= b.n; k++)
        row[0][k] = k;
    for (unsigned i = 1; i <= a.n; i++) {
        unsigned *mine = row[i % 3], *before = row[(i + 2) % 3], *earlier = row[(i + 1) % 3];
        mine[0] = i;
        for (unsigned k = 1; k <= b.n; k++) {
            unsigned best = before[k - 1] + (lower(a.at[i - 1]) != lower(b.at[k - 1]));
            if (before[k] + 1 < best)
                best = before[k] + 1;
            if (mine[k - 1] + 1 < best)
                best = mine[k - 1] + 1;
            if (i > 1 && k > 1 && lower(a.at[i - 1]) == lower(b.at[k - 2]) && lower(a.at[i - 2]) == lower(b.at[k - 1]) && earlier[k - 2] + 1 < best)
                best = earlier[k - 2] + 1;
            mine[k] = best;
        }
    }
    return row[a.n % 3][b.n];
}

static bool nearer(struct memo__text written, const char *name, unsigned *best)
{
    struct memo__text t = memo__text_of(name);
    unsigned d;
    if (written.n > 40 || t.n > 40)
        return false;
    d = distance(written, t);
    if (d >= *best || d * 3 > t.n) /* "to" for "on" is no slip */
        return false;
    *best = d;
    return true;
}

const char *memo__rules_near(struct memo__text written, const char *const *names)
{
    const char *near = NULL;
    unsigned best = 3;
    for (; *names; names++)
        if (nearer(written, *names, &best))
            near = *names;
    return near;
}

static const struct memo__rules_key *find_key(const struct memo__rules_block *b, struct memo__text name)
{
    for (uint32_t i = 0; i < b->count; i++)
        if (memo__text_is(name, b->keys[i].name))
            return &b->keys[i];
    return NULL;
}

static void unknown_key(struct memo__rules_reader *r, const struct memo__json_node *n, const struct memo__rules_block *b)
{
    struct memo__text key = memo__json_key(r->json, n);
    const char *near = NULL;
    unsigned best = 3;
    for (uint32_t i = 0; i < b->count; i++)
        if (nearer(key, b->keys[i].name, &best))
            near = b->keys[i].name;
    memo__rules_warning(r, n->key_at, near ? "unknown key, ignored; did you mean \"%s\"?" : "unknown key, ignored", near);
}

void memo__rules_object(struct memo__rules_reader *r, const struct memo__json_node *n, const struct memo__rules_block *b, void *target)
{
    uint32_t given = 0;
    char buf[64];
    if (n->type != MEMO__JSON_OBJECT) {
        memo__rules_error(r, n->at, "%s where an object in braces is expected", memo__rules_shown(r, n, buf));
        return;
    }
    if (b->begin)
        b->begin(target);
    for (const struct memo__json_node *m = memo__json_first(r->json, n); m; m = memo__json_next(r->json, m)) {
        const struct memo__rules_key *key = find_key(b, memo__json_key(r->json, m));
        uint32_t mark = memo__rules_push(r, memo__json_key(r->json, m));
        if (m->again)
            memo__rules_error(r, m->key_at, "this key is given twice");
        else if (!key)
            unknown_key(r, m, b);
        else if (!key->read)
            memo__rules_warning(r, m->key_at, "reserved, not in force in this version");
        else {
            key->read(r, m, key, (char *)target + key->offset);
            given |= UINT32_C(1) << (key - b->keys);
        }
        memo__rules_pop(r, mark);
    }
    if (b->check)
        b->check(r, n, target, given);
}

void memo__read_block(struct memo__rules_reader *r, const struct memo__json_node *n, const struct memo__rules_key *key, void *field)
{
    char buf[64];
    if (key->block->off && n->type == MEMO__JSON_TEXT) {
        if (memo__text_is(memo__json_text(r->json, n), "off"))
            key->block->off(field);
        else
            memo__rules_error(r, n->at, "%s where an object in braces, or \"off\", is expected", memo__rules_shown(r, n, buf));
        return;
    }
    memo__rules_object(r, n, key->block, field);
}

bool memo__rules_array(struct memo__rules_reader *r, const struct memo__json_node *n, uint32_t most, const char *of)
{
    char buf[64];
    if (n->type != MEMO__JSON_ARRAY) {
        memo__rules_error(r, n->at, "%s where a list of %s in brackets is expected", memo__rules_shown(r, n, buf), of);
        return false;
    }
    if (n->count > most) {
        memo__rules_error(r, n->at, "%u %s, at most %u are possible", n->count, of, most);
        return false;
    }
    return true;
}

static const char *duration_text(int64_t ns, char buf[32])
{
    struct memo__writer w;
    memo__writer_init(&w, buf, 32);
    memo__put_duration(&w, ns);
    memo__writer_end(&w);
    return buf;
}

void memo__read_duration(struct memo__rules_reader *r, const struct memo__json_node *n, const struct memo__rules_key *key, void *field)
{
    struct memo__text t = memo__json_text(r->json, n);
    char shown[64], least[32], most[32];
    int64_t ns;
    memo__rules_shown(r, n, shown);
    if (n->type == MEMO__JSON_NUMBER || (n->type == MEMO__JSON_TEXT && t.n && t.at[t.n - 1] >= '0' && t.at[t.n - 1] <= '9')) {
        memo__rules_error(r, n->at, "%s has no unit: a duration reads \"250ms\", \"1.5s\", \"2m\"", shown);
        return;
    }
    if (n->type != MEMO__JSON_TEXT || !memo__parse_duration(t, &ns)) {
        memo__rules_error(r, n->at, "%s is no duration: it reads \"250ms\", \"1.5s\", \"2m\", \"1h\"", memo__rules_shown(r, n, shown));
        return;
    }
    if (ns < key->least || ns > key->most)
        memo__rules_error(r, n->at, "%s is out of range: %s to %s", shown, duration_text(key->least, least), duration_text(key->most, most));
    else
        *(int64_t *)field = ns;
}

void memo__read_share(struct memo__rules_reader *r, const struct memo__json_node *n, const struct memo__rules_key *key, void *field)
{
    struct memo__text t = memo__json_text(r->json, n);
    char buf[64];
    uint32_t ppm;
    if (n->type == MEMO__JSON_NUMBER) {
        memo__rules_error(r, n->at, "%s has no unit: a share reads \"10%%\"", memo__rules_shown(r, n, buf));
        return;
    }
    if (n->type != MEMO__JSON_TEXT || !memo__parse_share(t, &ppm))
        memo__rules_error(r, n->at, "%s is no share: it reads \"10%%\" or \"0.5%%\", up to \"100%%\"", memo__rules_shown(r, n, buf));
    else if (ppm < key->least || ppm > key->most)
        memo__rules_error(r, n->at, "%s is out of range: %g%% to %g%%", memo__rules_shown(r, n, buf), (double)key->least / 10000, (double)key->most / 10000);
    else
        *(uint32_t *)field = ppm;
}

static bool whole_number(struct memo__rules_reader *r, const struct memo__json_node *n, const struct memo__rules_key *key, int64_t *out)
{
    char buf[64];
    if (n->type != MEMO__JSON_NUMBER || !memo__json_int(r->json, n, out)) {
        memo__rules_error(r, n->at, "%s where a whole number from %lld to %lld is expected", memo__rules_shown(r, n, buf), (long long)key->least, (long long)key->most);
        return false;
    }
    if (*out < key->least || *out > key->most) {
        memo__rules_error(r, n->at, "%lld is out of range: %lld to %lld", (long long)*out, (long long)key->least, (long long)key->most);
        return false;
    }
    return true;
}

void memo__read_count(struct memo__rules_reader *r, const struct memo__json_node *n, const struct memo__rules_key *key, void *field)
{
    int64_t value;
    if (whole_number(r, n, key, &value))
        *(uint32_t *)field = (uint32_t)value;
}

void memo__read_count64(struct memo__rules_reader *r, const struct memo__json_node *n, const struct memo__rules_key *key, void *field)
{
    int64_t value;
    if (whole_number(r, n, key, &value))
        *(uint64_t *)field = (uint64_t)value;
}

/* 1100 is "1.1", whatever the host's locale writes in the place of a point. */
static const char *thousandths(int64_t value, char buf[32])
{
    int digits = 3, rest = (int)(value % 1000);
    for (; digits && rest % 10 == 0; rest /= 10)
        digits--;
    (void)snprintf(buf, 32, digits ? "%lld.%0*d" : "%lld", (long long)(value / 1000), digits, rest);
    return buf;
}

void memo__read_thousandths(struct memo__rules_reader *r, const struct memo__json_node *n, const struct memo__rules_key *key, void *field)
{
    double value;
    char buf[64], least[32], most[32];
    if (memo__json_double(r->json, n, &value) && value * 1000 >= (double)key->least && value * 1000 <= (double)key->most)
        *(uint32_t *)field = (uint32_t)(value * 1000 + 0.5);
    else
        memo__rules_error(r, n->at, "%s where a number from %s to %s is expected", memo__rules_shown(r, n, buf), thousandths(key->least, least),
                          thousandths(key->most, most));
}

void memo__read_bool(struct memo__rules_reader *r, const struct memo__json_node *n, const struct memo__rules_key *key, void *field)
{
    char buf[64];
    (void)key;
    if (n->type == MEMO__JSON_BOOL)
        *(bool *)field = n->truth;
    else
        memo__rules_error(r, n->at, "%s where true or false is expected", memo__rules_shown(r, n, buf));
}

/* Tells all words that would have been right. */
static void not_a_word(struct memo__rules_reader *r, const struct memo__json_node *n, const char *const *words)
{
    const char *near = n->type == MEMO__JSON_TEXT ? memo__rules_near(memo__json_text(r->json, n), words) : NULL;
    char buf[64], list[160];
    struct memo__writer w;
    memo__writer_init(&w, list, sizeof list);
    for (uint32_t i = 0; words[i]; i++)
        memo__put_format(&w, "%s\"%s\"", i ? ", " : "", words[i]);
    memo__writer_end(&w);
    if (near)
        memo__rules_error(r, n->at, "%s is not known here; did you mean \"%s\"?", memo__rules_shown(r, n, buf), near);
    else
        memo__rules_error(r, n->at, "%s is not known here: one of %s", memo__rules_shown(r, n, buf), list);
}

static int32_t word_index(struct memo__rules_reader *r, const struct memo__json_node *n, const char *const *words)
{
    if (n->type == MEMO__JSON_TEXT)
        for (int32_t i = 0; words[i]; i++)
            if (memo__text_is(memo__json_text(r->json, n), words[i]))
                return i;
    not_a_word(r, n, words);
    return -1;
}

void memo__read_choice(struct memo__rules_reader *r, const struct memo__json_node *n, const struct memo__rules_key *key, void *field)
{
    int32_t i = word_index(r, n, key->words);
    unsigned value = (unsigned)i;
    _Static_assert(sizeof(enum memo__jitter) == sizeof value, "enums are unsigned words");
    if (i >= 0)
        memcpy(field, &value, sizeof value);
}

void memo__read_mode(struct memo__rules_reader *r, const struct memo__json_node *n, const struct memo__rules_key *key, void *field)
{
    static const char *const words[] = { "enforce", "observe", NULL };
    int32_t i = word_index(r, n, words);
    (void)key;
    if (i >= 0)
        *(enum memo__mode *)field = i ? MEMO__OBSERVE : MEMO__ENFORCE;
}

static const char *const method_words[] = { "GET", "HEAD", "PUT", "DELETE", "POST", "PATCH", "OPTIONS", "TRACE", NULL };

uint32_t memo__method_bit(struct memo__text method)
{
#define IS(word, bit) (memcmp(method.at, word, sizeof word - 1) == 0 ? (uint32_t)(bit) : 0)
    switch (method.n) { /* every call asks: so by length, not one after the other */
    case 3: return IS("GET", MEMO__GET) | IS("PUT", MEMO__PUT);
    case 4: return IS("HEAD", MEMO__HEAD) | IS("POST", MEMO__POST);
    case 5: return IS("PATCH", MEMO__PATCH) | IS("TRACE", MEMO__TRACE);
    case 6: return IS("DELETE", MEMO__DELETE);
    case 7: return IS("OPTIONS", MEMO__OPTIONS);
    default: return 0;
    }
#undef IS
}

/* One method or a list of them. */
void memo__read_methods(struct memo__rules_reader *r, const struct memo__json_node *n, const struct memo__rules_key *key, void *field)
{
    uint32_t bits = 0, index = 0, errors = r->errors;
    (void)key;
    if (n->type == MEMO__JSON_TEXT) {
        int32_t i = word_index(r, n, method_words);
        bits = i >= 0 ? UINT32_C(1) << i : 0;
    } else if (!memo__rules_array(r, n, 16, "methods"))
        return;
    else
        for (const struct memo__json_node *m = memo__json_first(r->json, n); m; m = memo__json_next(r->json, m)) {
            uint32_t mark = memo__rules_push_index(r, index++);
            int32_t i = word_index(r, m, method_words);
            bits |= i >= 0 ? UINT32_C(1) << i : 0;
            memo__rules_pop(r, mark);
        }
    if (errors == r->errors)
        *(uint32_t *)field = bits;
}

void memo__read_name(struct memo__rules_reader *r, const struct memo__json_node *n, const struct memo__rules_key *key, void *field)
{
    struct memo__text t = memo__json_text(r->json, n);
    char buf[64];
    bool good = n->type == MEMO__JSON_TEXT && t.n > 0 && t.n < MEMO__NAME_MAX;
    (void)key;
    for (size_t i = 0; good && i < t.n; i++)
        good = (t.at[i] >= 'a' && t.at[i] <= 'z') || (t.at[i] >= 'A' && t.at[i] <= 'Z') || (t.at[i] >= '0' && t.at[i] <= '9') || strchr("-_.", t.at[i]);
    if (good)
        memo__text_copy(field, MEMO__NAME_MAX, t);
    else
        memo__rules_error(r, n->at, "%s is no name: 1 to %d letters, digits, '-', '_' or '.'", memo__rules_shown(r, n, buf), MEMO__NAME_MAX - 1);
}

bool memo__rules_header_name(struct memo__rules_reader *r, uint32_t at, struct memo__text name, char to[MEMO__NAME_MAX])
{
    bool good = name.n < MEMO__NAME_MAX && memo__is_token(name);
    for (size_t i = 0; good && i < name.n; i++) {
        to[i] = lower(name.at[i]);
        to[i + 1] = '\0';
    }
    if (!good)
        memo__rules_error(r, at, "not the name of a header: 1 to %d characters of RFC 9110's tokens", MEMO__NAME_MAX - 1);
    return good;
}

uint8_t memo__rules_want(struct memo__rules_reader *r, struct memo__service_rules *s, uint32_t at, const char *name)
{
    for (uint32_t i = 0; i < s->wants_count; i++)
        if (strcmp(s->wants[i], name) == 0)
            return (uint8_t)i;
    if (s->wants_count == MEMO__WANTS_MAX) {
        memo__rules_error(r, at, "the rules of one service read at most %d different headers", MEMO__WANTS_MAX);
        return MEMO__NO_INDEX;
    }
    memo__text_copy(s->wants[s->wants_count], MEMO__NAME_MAX, memo__text_of(name));
    return (uint8_t)s->wants_count++;
}

static bool known_in(const struct memo__rules_block *b, struct memo__text dotted)
{
    const char *dot = dotted.n ? memchr(dotted.at, '.', dotted.n) : NULL;
    struct memo__text head = { dotted.at, dot ? (size_t)(dot - dotted.at) : dotted.n };
    const struct memo__rules_key *key = find_key(b, head);
    if (!key || !key->read)
        return false;
    if (!dot)
        return true;
    return key->block && known_in(key->block, (struct memo__text){ dot + 1, dotted.n - head.n - 1 });
}

bool memo__rules_known(struct memo__text dotted)
{
    return known_in(&memo__document_block, dotted) || known_in(&memo__service_block, dotted) || known_in(&memo__route_block, dotted);
}
