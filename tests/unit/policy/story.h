/* SPDX-License-Identifier: Apache-2.0 */
/* story.h: what the timelines of this room share: stripes, and memory in lines. */
#ifndef MEMO__TESTS_POLICY_STORY_H
#define MEMO__TESTS_POLICY_STORY_H
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "base/instant.h"
#include "base/rng.h"
#include "base/stripe.h"

#define MS MEMO__MS
#define S MEMO__S
#define LINE_ALIGNED __attribute__((aligned(64)))

static inline struct memo__stripe alone(uint32_t i) { return (struct memo__stripe){ i, true }; }
static inline struct memo__stripe shared(uint32_t i) { return (struct memo__stripe){ i, false }; }

/* An assertion for loops of many thousands: check writes a line for each of its own. */
#define MUST(condition) do { if (!(condition)) ck_abort_msg("%s", #condition); } while (0)

#define PARTS(array) ((struct memo__striped){ (unsigned char *)(array), sizeof (array)[0], sizeof (array) / sizeof (array)[0] })
#define COUNT(array) (sizeof (array) / sizeof (array)[0])
#endif
