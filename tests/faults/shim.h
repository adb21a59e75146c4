/* SPDX-License-Identifier: Apache-2.0 */
/* shim.h: system calls that fail where and as a test says. The program's own functions of these names stand before libc's: whatever in it, in
 * libcurl, c-ares or OpenSSL asks the machine for something comes by here. (Not what libc asks for itself.)
 *
 *   call site (the address that it returns to) x system call x errno; a site is known from the first time it was reached while armed
 *
 * The state is in shared memory, so that children which are run one after the other know the same sites. */
#ifndef MEMO__TESTS_SHIM_H
#define MEMO__TESTS_SHIM_H
#include <stdbool.h>
#include <stdint.h>

#define SHIM_SITES 1024
#define SHIM_SHORT (-1)        /* instead of an errno: the call is made, for fewer bytes */
#define SHIM_ERRORS 8

struct shim_site { void *from; int32_t call; uint32_t hits; uint32_t injected; };

struct shim_plan {             /* site -1: any, one in `rate` draws, with any of its errors */
    int32_t site, error;
    uint32_t first, last;      /* which of its hits, from 1 */
    uint32_t rate;
    uint64_t seed;
};

/* In shared memory, before any child. */
void shim_open(void);
/* From now on, and not any more. Of a plan that is NULL nothing fails, but sites are learned and hits counted (from 0). */
void shim_arm(const struct shim_plan *p);
void shim_disarm(void);
uint32_t shim_injected(void);  /* since it was armed */
uint64_t shim_total(void);     /* by all processes */
int32_t shim_sites(void);      /* known */
struct shim_site shim_site(int32_t i);
uint32_t shim_hits(int32_t i); /* in this process since it was armed */
int32_t shim_calls(void);      /* how many are wrapped */
const char *shim_name(int32_t call);
const int *shim_errors(int32_t call); /* ended by 0 */
#endif
