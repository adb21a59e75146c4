/* SPDX-License-Identifier: Apache-2.0 */
/* memo/rules.h: the rules document: check it, apply it. */
#ifndef MEMO_RULES_H
#define MEMO_RULES_H
#include <memo/client.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Checks a rules document as a whole, without a client. Every finding is one line of JSON in `report`:
 * {"severity":"error","line":3,"column":17,"path":"services.todo.retry.attempts","message":"..."}.
 *
 * Ownership: `report` is the caller's; `need` receives the bytes that it takes with the final NUL; first receives the first error.
 * Threads: any.
 * Returns: MEMO_OK (no error; there may be warnings), MEMO_E_ARGUMENT, MEMO_E_RULES, MEMO_E_NO_MEMORY, MEMO_E_TRUNCATED (valid, but the report did not fit).
 * Since: 0.1 */
MEMO_MUST memo_status memo_rules_check(const char *text, size_t bytes, char *report, size_t n, size_t *need, memo_error *first);

/** Applies a rules document to a running client: all of it, atomically, or nothing. Breaker states and windows whose shape has not changed are
 * kept; the report names those that were reset. A later change of the document at MEMO_RULES replaces it again.
 *
 * Threads: any.
 * Returns: as memo_rules_check, and MEMO_E_STATE.
 * Since: 0.1 */
MEMO_MUST memo_status memo_rules_apply(memo_client *c, const char *text, size_t bytes, char *report, size_t n, size_t *need, memo_error *first);

#ifdef __cplusplus
}
#endif
#endif
