/* SPDX-License-Identifier: Apache-2.0 */
/* rng.h: random draws for decisions. Not for secrets.
 *
 * A decision takes one 64-bit draw as an argument and widens it with memo__draw_next if it needs more: the record of a decision then
 * holds one number. Source: splitmix64 (Steele, Lea, Flood, OOPSLA 2014). */
#ifndef MEMO__BASE_RNG_H
#define MEMO__BASE_RNG_H
#include <stdint.h>

static inline uint64_t memo__mix64(uint64_t z)
{
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* Advances the state and returns the next draw. */
static inline uint64_t memo__draw_next(uint64_t *state)
{
    *state += UINT64_C(0x9e3779b97f4a7c15);
    return memo__mix64(*state);
}

/* A draw as a number below n, n >= 1; without division (Lemire 2019, bias below n / 2^32). */
static inline uint32_t memo__draw_below(uint64_t draw, uint32_t n)
{
    return (uint32_t)(((draw >> 32) * n) >> 32);
}
#endif
