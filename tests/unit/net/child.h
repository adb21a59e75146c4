/* SPDX-License-Identifier: Apache-2.0 */
/* child.h: how a forked child of a test ends: in another program, so that no leak checker looks at what belongs to the parent and to threads that the child does not have. */
#ifndef MEMO__TESTS_CHILD_H
#define MEMO__TESTS_CHILD_H
#include <stdbool.h>
#include <unistd.h>

static inline _Noreturn void child_ends(bool good)
{
    const char *program = good ? "true" : "false";
    execlp(program, program, (char *)NULL);
    _exit(99);
}
#endif
