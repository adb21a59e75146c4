/* SPDX-License-Identifier: Apache-2.0 */
/* document.c: see document.h.
 *
 * memo_rules_check takes no bytes for the built-in defaults, as a program means them; a file without bytes is a mistake to the client that watches
 * it. The sentence is the client's own (lib/client/rules.c): the public API does not hand it out, so tests/memoctl/run holds the two together. */
#include "document.h"
#include <memo/rules.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/text.h"
#include "fetch.h"

#define DOCUMENT_MAX (1u << 20) /* memo/rules.h */
#define LINE 512

static const char empty[] = "the file is empty: a document that asks for nothing reads {\"memo\":1}";

memo_status document_read(const char *file, char **text, size_t *bytes, memo_error *e)
{
    const char *why = NULL;
    memo_status s = fetch_file(file, DOCUMENT_MAX, text, bytes, &why);
    if (s) {
        e->status = s;
        snprintf(e->message, sizeof(e->message), "%s", why);
    }
    return s;
}

static memo_status nothing(char **report, memo_error *first)
{
    struct memo__writer w;
    *report = malloc(LINE);
    if (!*report)
        return MEMO_E_NO_MEMORY;
    memo__writer_init(&w, *report, LINE);
    memo__put_text(&w, "{\"severity\":\"error\",\"line\":1,\"column\":1,\"path\":\"\",\"message\":");
    memo__put_json(&w, memo__text_of(empty));
    memo__put_text(&w, "}\n");
    (void)memo__writer_end(&w);
    first->status = MEMO_E_RULES;
    first->line = first->column = 1;
    snprintf(first->message, sizeof(first->message), "%s", empty);
    return MEMO_E_RULES;
}

/* Asked once for the size of the report, then for itself. */
memo_status document_check(const char *text, size_t bytes, char **report, memo_error *first)
{
    size_t need = 0;
    if (bytes == 0)
        return nothing(report, first);
    memo_status s = memo_rules_check(text, bytes, NULL, 0, &need, NULL);
    *report = calloc(1, need + 1);
    if (!*report)
        return MEMO_E_NO_MEMORY;
    if (s == MEMO_OK || s == MEMO_E_RULES || s == MEMO_E_TRUNCATED)
        s = memo_rules_check(text, bytes, *report, need + 1, &need, first);
    return s;
}
