/* SPDX-License-Identifier: Apache-2.0 */
/* stage.h: clients for the tests of this room. */
#ifndef MEMO__TESTS_CLIENT_STAGE_H
#define MEMO__TESTS_CLIENT_STAGE_H
#include <check.h>
#include <memo/memo.h>
#include <stdbool.h>

/* Built, silent, of "static:todo=127.0.0.1:9"; one more setting, or NULL. */
memo_client *stage_client(const char *name, const char *value);
memo_client *stage_started(const char *name, const char *value);

/* A directory of the test's own, and text files in it; the names are in static memory. */
const char *stage_dir(void);
const char *stage_path(const char *name);
const char *stage_registry(void);     /* "file://<dir>/registry?sync=off"; made by somebody who has registered there once */
const char *stage_away(void);         /* a registry that is not there and cannot be made */
void stage_write(const char *name, const char *text);
void stage_dir_remove(void);

/* Takes events until one of this kind comes whose text contains that (NULL: any), or fails after ten seconds. What came before is gone. */
memo_event stage_event(memo_client *c, int32_t kind, const char *text);
/* How many of a kind wait; all that wait are taken. */
uint32_t stage_events(memo_client *c, int32_t kind);
memo_registration *stage_register(memo_client *c, const char *service, const char *id, uint16_t port);
memo_service *stage_service(memo_client *c, const char *name); /* acquired, watched, and with a view */
/* Waits for a view of the service with so many endpoints. */
memo_view *stage_view(memo_client *c, memo_service *s, uint32_t count);
#endif
