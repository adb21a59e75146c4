/* SPDX-License-Identifier: Apache-2.0 */
/* demo_scenes.h: a scene: what is done, what libmemo promises about it, and whether it kept that. */
#ifndef MEMOCTL_DEMO_SCENES_H
#define MEMOCTL_DEMO_SCENES_H
#include "demo.h"

struct verdict { bool pass; char memo[360], bare[160]; }; /* and what libmemo and the bare client did, in figures */

struct scene {
    const char *name, *title, *promise;
    void (*run)(struct demo *d, struct verdict *v);   /* acts, lets time pass, judges */
};

extern const struct scene demo_scenes_table[]; /* ends with a row without a name */
#endif
