/* SPDX-License-Identifier: Apache-2.0 */
/* scenario.h: one walk through the whole API, for whoever makes something fail on the way: memory, system calls.
 *
 * Whatever fails, every answer is a documented status; what it must be if nothing failed is MEMO_OK. */
#ifndef MEMO__TESTS_SCENARIO_H
#define MEMO__TESTS_SCENARIO_H
#include <memo/memo.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/alloc.h"

extern bool (*scenario_failed)(void);                    /* the test's: has anything failed in this round? */
extern void (*scenario_where)(char *text, size_t n);     /* the test's: what fails in this round */
extern long scenario_wrong;
extern bool scenario_hosted;                             /* the test may set it: no thread of libmemo's, the scenario drives */
void scenario_mistaken(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A server in a process of its own, so that its descriptors and its memory are not counted among ours. */
extern uint16_t scenario_port;
bool scenario_server_start(void);
bool scenario_server_stop(void);
/* The machine's memory, its blocks counted. */
extern const struct memo__alloc scenario_alloc;
extern long scenario_live;
/* From now on every scenario reads configuration values, too: from a file in the directory, the server and the environment. */
bool scenario_config(const char *directory);

/* A client from its birth to its end, through both doors. */
void scenario(const char *registry, bool registers);
/* A client that lives on, with a registration and a view of it: while something fails (between arm and disarm) its rules and its registration
 * change and a call is made. What was good stays, to the byte, until a change can be made as a whole; and when nothing fails any more everything
 * is as it should be. */
bool scenario_stage_open(const char *registry);
void scenario_stage_round(void (*arm)(void), void (*disarm)(void), bool forever);
void scenario_stage_close(void);
#endif
