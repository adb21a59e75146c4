/* SPDX-License-Identifier: Apache-2.0 */
/* tracestate.c: two walks over the entries: are all of them well formed, and how long are they together; then those that fit. */
#include "telemetry/tracestate.h"
#include <string.h>
#include "telemetry/headers.h"

#define KEY_MOST 256
#define VALUE_MOST 256

/* Level 2: a key begins with a letter or a digit, lower case. */
static bool key_good(struct memo__text key)
{
    if (!key.n || key.n > KEY_MOST || key.at[0] == '_' || key.at[0] == '-' || key.at[0] == '*' || key.at[0] == '/' || key.at[0] == '@')
        return false;
    for (size_t i = 0; i < key.n; i++) {
        char c = key.at[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '*' || c == '/' || c == '@'))
            return false;
    }
    return true;
}

/* Printable ASCII but ',' and '='; the blanks at its end are trimmed already. */
static bool value_good(struct memo__text value)
{
    for (size_t i = 0; i < value.n; i++)
        if (value.at[i] < 0x20 || value.at[i] > 0x7e || value.at[i] == '=')
            return false;
    return value.n > 0 && value.n <= VALUE_MOST;
}

static bool entry_good(struct memo__text e)
{
    const char *equals = memchr(e.at, '=', e.n);
    size_t n = equals ? (size_t)(equals - e.at) : 0;
    return equals && key_good((struct memo__text){ e.at, n }) && value_good((struct memo__text){ equals + 1, e.n - n - 1 });
}

/* Bytes of all entries that count, with their commas; SIZE_MAX: one of them is malformed. */
static size_t measure(const struct memo__text *values, uint32_t count)
{
    size_t bytes = 0, entries = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct memo__text rest = values[i], e;
        while (memo__list_next(&rest, &e)) {
            if (!entry_good(e))
                return SIZE_MAX;
            if (++entries <= MEMO__TRACESTATE_ENTRIES)
                bytes += e.n + (entries > 1);
        }
    }
    return bytes;
}

size_t memo__tracestate_fit(const struct memo__text *values, uint32_t count, char *out, size_t room)
{
    size_t all = measure(values, count), n = 0, entries = 0;
    if (all == SIZE_MAX)
        return 0;
    for (uint32_t i = 0; i < count; i++) {
        struct memo__text rest = values[i], e;
        while (memo__list_next(&rest, &e)) {
            if (++entries > MEMO__TRACESTATE_ENTRIES)
                return n;
            if (all > room && e.n > MEMO__TRACESTATE_LARGE)
                continue;
            if (!memo__list_add(out, &n, room, e))
                return n;
        }
    }
    return n;
}
