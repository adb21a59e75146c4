/* SPDX-License-Identifier: Apache-2.0 */
/* stage.h: clients for the tests of this room. */
#ifndef MEMO__TESTS_CLIENT_STAGE_H
#define MEMO__TESTS_CLIENT_STAGE_H
#include <check.h>
#include <memo/memo.h>

/* Built, silent, of "static:todo=127.0.0.1:9"; one more setting, or NULL. */
memo_client *stage_client(const char *name, const char *value);
memo_client *stage_started(const char *name, const char *value);
#endif
