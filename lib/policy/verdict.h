/* SPDX-License-Identifier: Apache-2.0 */
/* verdict.h: was this the endpoint's failure?
 *
 * By the rules: no answer (connect failure, reset, timeout, not its protocol) and 5xx failed; everything else succeeded, 4xx too: the endpoint
 * worked, the request was wrong. 429 and RESOURCE_EXHAUSTED are a healthy endpoint that declines: no failure for breaker and ejection (ejecting it
 * would push its load to the next), but retried if the rules list them. gRPC: UNKNOWN, DEADLINE_EXCEEDED, INTERNAL, UNAVAILABLE and DATA_LOSS
 * failed (what maps to 5xx by google/rpc/code.proto), but for UNIMPLEMENTED, which every endpoint would answer. Cancelled, by us or as gRPC
 * CANCELLED, teaches nothing. The caller's own word wins over all of it. */
#ifndef MEMO__POLICY_VERDICT_H
#define MEMO__POLICY_VERDICT_H
#include <memo/call.h>

enum memo__verdict { MEMO__SUCCEEDED = 0, MEMO__FAILED = 1, MEMO__IGNORED = 2 };

#define MEMO__GRPC_FAILED ((1u << 2) | (1u << 4) | (1u << 13) | (1u << 14) | (1u << 15))

/* kind: MEMO_OUTCOME_..., word: MEMO_VERDICT_... Unknown kinds failed. */
static inline enum memo__verdict memo__verdict(int32_t kind, int32_t http, int32_t grpc, int32_t word)
{
    if (word != MEMO_VERDICT_BY_RULES)
        return word == MEMO_VERDICT_SUCCEEDED ? MEMO__SUCCEEDED : word == MEMO_VERDICT_FAILED ? MEMO__FAILED : MEMO__IGNORED;
    if (kind == MEMO_OUTCOME_CANCELLED)
        return MEMO__IGNORED;
    if (kind != MEMO_OUTCOME_REPLIED)
        return MEMO__FAILED;
    if (grpc > 0)
        return grpc == 1 ? MEMO__IGNORED : grpc < 32 && (MEMO__GRPC_FAILED >> grpc & 1) ? MEMO__FAILED : MEMO__SUCCEEDED;
    return http >= 500 ? MEMO__FAILED : MEMO__SUCCEEDED;
}
#endif
