/* SPDX-License-Identifier: Apache-2.0 */
/* interleave.h: what if another thread came in just here?
 *
 * Included before any source of lib/policy, it puts a seam before every compare-and-swap: `meanwhile` is what the other thread does there, once. So each race is a story on a
 * timeline, and no test has to hope for one. Everything is compiled under names of its own, beside the library's. */
#ifndef MEMO__TESTS_POLICY_INTERLEAVE_H
#define MEMO__TESTS_POLICY_INTERLEAVE_H
#include <stddef.h>
#include "base/atomic.h"

static void (*meanwhile)(void);
static int meanwhile_skips; /* let so many pass first */

/* Always inlined: a call would be counted among the branches of the line that has the swap. */
__attribute__((always_inline)) static inline void interleave(void)
{
    void (*other)(void) = meanwhile;
    if (!other || meanwhile_skips-- > 0)
        return;
    meanwhile = NULL;
    other();
}

/* Their own names. */
#define memo__breaker_admit_slow raced_breaker_admit_slow
#define memo__breaker_cancel raced_breaker_cancel
#define memo__breaker_check_slow raced_breaker_check_slow
#define memo__breaker_init raced_breaker_init
#define memo__breaker_read raced_breaker_read
#define memo__breaker_report raced_breaker_report
#define memo__budget_give raced_budget_give
#define memo__budget_init raced_budget_init
#define memo__budget_read raced_budget_read
#define memo__budget_withdraw raced_budget_withdraw
#define memo__bulkhead_change raced_bulkhead_change
#define memo__bulkhead_check_slow raced_bulkhead_check_slow
#define memo__bulkhead_enter_slow raced_bulkhead_enter_slow
#define memo__bulkhead_init raced_bulkhead_init
#define memo__bulkhead_read raced_bulkhead_read
#define memo__keyed_check raced_keyed_check
#define memo__keyed_give raced_keyed_give
#define memo__keyed_init raced_keyed_init
#define memo__keyed_read raced_keyed_read
#define memo__keyed_same raced_keyed_same
#define memo__keyed_size raced_keyed_size
#define memo__keyed_take raced_keyed_take
#define memo__lease_any raced_lease_any
#define memo__lease_init raced_lease_init
#define memo__lease_steal raced_lease_steal
#define memo__lease_sum raced_lease_sum
#define memo__limiter_check_slow raced_limiter_check_slow
#define memo__limiter_give raced_limiter_give
#define memo__limiter_init raced_limiter_init
#define memo__limiter_read raced_limiter_read
#define memo__limiter_same raced_limiter_same
#define memo__limiter_take_slow raced_limiter_take_slow
#define memo__outlier_forget raced_outlier_forget
#define memo__outlier_report_slow raced_outlier_report_slow
#define memo__outlier_sweep raced_outlier_sweep
#define memo__retry_decide raced_retry_decide
#define memo__retry_plan_next raced_retry_plan_next
#define memo__retry_reason_text raced_retry_reason_text
#define memo__gate_enter raced_gate_enter
#define memo__gate_leave raced_gate_leave
#define memo__gate_undo raced_gate_undo

#undef memo__cas
#define memo__cas(p, expected, desired) (interleave(), __atomic_compare_exchange_n((p), (expected), (desired), false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
#endif
