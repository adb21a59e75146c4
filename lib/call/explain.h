/* SPDX-License-Identifier: Apache-2.0 */
/* explain.h: why did this call go as it did? A record, told to a person or as JSON.
 *
 * Names are looked up in what the service has now: an endpoint that has left is told as "(gone)". */
#ifndef MEMO__CALL_EXPLAIN_H
#define MEMO__CALL_EXPLAIN_H
#include "call/record.h"

/* format: "text" or "json". k NULL: MEMO_E_STATE. MEMO_OK, MEMO_E_ARGUMENT (format), MEMO_E_STATE, MEMO_E_TRUNCATED. need: with the final NUL; may be NULL. */
memo_status memo__explain(const struct memo__record *k, const char *format, char *buf, size_t n, size_t *need);
#endif
