/* SPDX-License-Identifier: Apache-2.0 */
/* memo/rules.h: the rules document: check it, apply it. */
#ifndef MEMO_RULES_H
#define MEMO_RULES_H
#include <memo/client.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Checks a rules document as a whole, without a client. Every finding is one line of JSON in `report`:
 * {"severity":"error","line":3,"column":17,"path":"services.todo.retry.attempts","message":"..."}, with severity "error" or "warning"; lines and
 * columns count from 1, columns in bytes.
 *
 * text: UTF-8, JSON with comments; need not be ended by NUL.
 * bytes: of `text`, at most 1 MiB; 0: the built-in defaults.
 * report: may be NULL if n is 0.
 * n: bytes of `report`; what fits is written and ended by NUL.
 * need: receives the bytes that the report takes with the final NUL; NULL is welcome.
 * first: receives the first error.
 * Ownership: `text` is read during this function only; `report` is the caller's.
 * Threads: any.
 * Returns: MEMO_OK (no error; there may be warnings), MEMO_E_ARGUMENT, MEMO_E_RULES, MEMO_E_NO_MEMORY, MEMO_E_TRUNCATED (valid, but the report did
 * not fit).
 * Since: 0.1 */
MEMO_MUST memo_status memo_rules_check(const char *text, size_t bytes, char *report, size_t n, size_t *need, memo_error *first);

/** Applies a rules document to a running client: all of it, atomically, or nothing. Breaker states, windows and limits whose shape has not changed
 * are kept; an event tells of each one that was reset. A later change of the file that the setting `rules` names replaces it again. Calls under way
 * keep their deadline and give their permits back; whether and where they are tried again is up to the new document: its route of the same name, or "default" if it has none.
 *
 * text: as all arguments, see memo_rules_check.
 * Threads: any.
 * Returns: MEMO_OK (in force), MEMO_E_ARGUMENT, MEMO_E_RULES (the previous rules stay), MEMO_E_NO_MEMORY (the previous rules stay), MEMO_E_STATE
 * (client not running), MEMO_E_TRUNCATED (in force, but the report did not fit).
 * Since: 0.1 */
MEMO_MUST memo_status memo_rules_apply(memo_client *c, const char *text, size_t bytes, char *report, size_t n, size_t *need, memo_error *first);

#ifdef __cplusplus
}
#endif
#endif
