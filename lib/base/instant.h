/* SPDX-License-Identifier: Apache-2.0 */
/* instant.h: a point in time and what may be done with it.
 *
 * An instant is nanoseconds of a clock that never goes back (the host says which). It is passed into decisions, never read by them.
 * A `now` older than a state counts as the state's own: memo__since is never negative. */
#ifndef MEMO__BASE_INSTANT_H
#define MEMO__BASE_INSTANT_H
#include <stdbool.h>
#include <stdint.h>

typedef int64_t memo__instant;

#define MEMO__NEVER INT64_MAX
#define MEMO__US INT64_C(1000)
#define MEMO__MS INT64_C(1000000)
#define MEMO__S  INT64_C(1000000000)

/* t + ns, for ns >= 0; saturates at MEMO__NEVER. */
static inline memo__instant memo__after(memo__instant t, int64_t ns)
{
    return t > MEMO__NEVER - ns ? MEMO__NEVER : t + ns;
}

static inline memo__instant memo__after_ms(memo__instant t, int64_t ms)
{
    return ms > MEMO__NEVER / MEMO__MS ? MEMO__NEVER : memo__after(t, ms * MEMO__MS);
}

static inline bool memo__reached(memo__instant now, memo__instant at)
{
    return now >= at;
}

/* now - then, never negative. */
static inline int64_t memo__since(memo__instant now, memo__instant then)
{
    return now > then ? now - then : 0;
}

static inline memo__instant memo__earlier(memo__instant a, memo__instant b)
{
    return a < b ? a : b;
}
#endif
