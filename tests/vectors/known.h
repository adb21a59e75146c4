/* SPDX-License-Identifier: Apache-2.0 */
/* known.h: the words that a document of vectors may use, one list for each place where there are any. What is in no list is refused: a misspelt `expect` would make a case that expects nothing. */
#ifndef MEMO__TESTS_VECTORS_KNOWN_H
#define MEMO__TESTS_VECTORS_KNOWN_H
#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

/* True: every key has a meaning there, is said once, and is of a type that it may have. Else `wrong` says what is not; never deeper than the object itself and those that always belong to it. */
bool known_file(const cJSON *file, char *wrong, size_t n);
bool known_case(const cJSON *c, char *wrong, size_t n);   /* with its endpoints, without its steps */
bool known_step(const cJSON *step, char *wrong, size_t n); /* of the verb that it has; with facts and outcomes, without what it expects */
#endif
