/* SPDX-License-Identifier: Apache-2.0 */
/* settings_docs.h: documentation made from the table of settings: compared, or written with MEMO_WRITE_DOCS=1. */
#ifndef MEMO__TESTS_SETTINGS_DOCS_H
#define MEMO__TESTS_SETTINGS_DOCS_H
void settings_docs_agree(void);
#endif
