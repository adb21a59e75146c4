/* SPDX-License-Identifier: Apache-2.0 */
/* document.h: a rules document in a file, judged as the library judges it: `check` and `rules validate` must not say yes where a start says no. */
#ifndef MEMOCTL_DOCUMENT_H
#define MEMOCTL_DOCUMENT_H
#include <memo/status.h>
#include <stddef.h>

/* The file (or stdin for "-"), malloc'ed; of one that is longer than a document may be, a byte more than that, so that it is refused as such.
 * MEMO_E_IO: e says why. */
memo_status document_read(const char *file, char **text, size_t *bytes, memo_error *e);
/* MEMO_OK, MEMO_E_RULES, MEMO_E_NO_MEMORY. *report: malloc'ed (NULL without memory), a line of JSON a finding, as memo_rules_check writes them. first: the first error. */
memo_status document_check(const char *text, size_t bytes, char **report, memo_error *first);
#endif
