/* SPDX-License-Identifier: Apache-2.0 */
/* call.h: what the call room adds to <memo/call.h>, whose functions it implements around lib/policy.
 *
 *   begin: route -> gate                     (clock read once)
 *   next:  pick, attempt timeout             (clock read once)
 *   report: classify, teach, again?          (clock read once)
 *   end:   permits back, counters, ring
 *
 * Everything happens within one reader's section a function, on memory that is there already: no lock, no allocation. */
#ifndef MEMO__CALL_CALL_H
#define MEMO__CALL_CALL_H
#include <memo/call.h>
#include "call/governor.h"
#include "call/record.h"

/* A memo_service begins with its governor (the client room asserts it): so this room needs to know nothing more of it. */
static inline struct memo__governor *memo__service_governor(memo_service *s)
{
    return (struct memo__governor *)(void *)s;
}

/* Is TLS spoken to the endpoint of this attempt? */
bool memo__call_secure(const memo_call *k, const memo_attempt *a);
/* The record inside a call; NULL if it was never begun. */
const struct memo__record *memo__record_read(const memo_call *k);
#endif
