/* SPDX-License-Identifier: Apache-2.0 */
/* deadline.h: until when, and for how long? Everything shortens, nothing lengthens, and nothing overflows. */
#ifndef MEMO__POLICY_DEADLINE_H
#define MEMO__POLICY_DEADLINE_H
#include "base/instant.h"

/* When the whole call has to be over: the least of the route's timeout, the caller's own (0 or less: none) and the inherited deadline (MEMO__NEVER:
 * none). */
static inline memo__instant memo__deadline(memo__instant now, int64_t route_timeout, int64_t callers_timeout, memo__instant inherited)
{
    int64_t timeout = callers_timeout > 0 && callers_timeout < route_timeout ? callers_timeout : route_timeout;
    return memo__earlier(memo__after(now, timeout), inherited);
}

/* Time left, never negative. */
static inline int64_t memo__deadline_left(memo__instant now, memo__instant deadline)
{
    return memo__since(deadline, now);
}

/* For how long one attempt may run: the least of the rule's (0: none) and what is left. */
static inline int64_t memo__deadline_attempt(memo__instant now, memo__instant deadline, int64_t attempt_timeout)
{
    int64_t left = memo__deadline_left(now, deadline);
    return attempt_timeout > 0 && attempt_timeout < left ? attempt_timeout : left;
}
#endif
