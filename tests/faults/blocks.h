/* SPDX-License-Identifier: Apache-2.0 */
/* blocks.h: many plans, carried out in children of so many each, some at once, whose progress is watched.
 *
 * What a child dies of, or hangs at, is the plan that it was at: told, counted as a mistake, and gone on behind. */
#ifndef MEMO__TESTS_BLOCKS_H
#define MEMO__TESTS_BLOCKS_H
#include <stddef.h>
#include <stdint.h>

#define BLOCKS_AT_ONCE 16  /* most of their time they wait */

/* carry_out is run in a child, for plans first to last - 1; number: less than BLOCKS_AT_ONCE, no other has it at the same time. Its scenario_wrong
 * is added to ours. */
typedef void blocks_fn(uint32_t number, uint32_t first, uint32_t last);
typedef void blocks_tell_fn(uint32_t plan, char *text, size_t n);
void blocks_run(uint32_t plans, uint32_t block, blocks_fn *carry_out, blocks_tell_fn *tell);
void blocks_at(uint32_t plan); /* the child's: where it is */
#endif
