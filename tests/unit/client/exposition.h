/* SPDX-License-Identifier: Apache-2.0 */
/* exposition.h: Prometheus text, read as strictly as its format says. */
#ifndef MEMO__TESTS_CLIENT_EXPOSITION_H
#define MEMO__TESTS_CLIENT_EXPOSITION_H
#include <stdint.h>

/* Fails the test unless: a sample's family has been declared before it, no family is declared twice, its samples stand together, no series comes twice. Returns how many series. */
uint32_t exposition_check(const char *text);
#endif
