/* SPDX-License-Identifier: Apache-2.0 */
/* docs.h: documentation made from tables: compared with the files in docs/, or written there with MEMO_WRITE_DOCS=1. And the rules' schema, for who reads it. */
#ifndef MEMO__TESTS_MODEL_DOCS_H
#define MEMO__TESTS_MODEL_DOCS_H
#include "base/json.h"
#include "base/text.h"

struct schema { char *text; struct memo__json *json; };
struct schema schema_load(void);
void schema_free(struct schema *s);
/* Follows $ref, once or more. */
const struct memo__json_node *schema_resolve(const struct memo__json *j, const struct memo__json_node *n);
/* The object inside: a list's items, a map's values, the alternative beside "off"; NULL if there is none. */
const struct memo__json_node *schema_inside(const struct memo__json *j, const struct memo__json_node *n);

char *docs_read(const char *name, size_t *bytes); /* a file of docs/; the caller frees it */
void docs_compare(const char *name, void (*make)(struct memo__writer *w));
void docs_roff(struct memo__writer *w, const char *text); /* `code` becomes bold */

void settings_docs_agree(void);
void rules_docs_agree(void);
void rules_examples_compile(void);
#endif
