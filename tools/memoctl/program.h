/* SPDX-License-Identifier: Apache-2.0 */
/* program.h: how to start this program again, for texts that invite to. */
#ifndef MEMOCTL_PROGRAM_H
#define MEMOCTL_PROGRAM_H
#include <stddef.h>

/* As a word of the shell: "memoctl" if it was found in PATH, else its absolute path, quoted if it must be. */
const char *program_again(const char *argv0, char *buf, size_t n);
#endif
