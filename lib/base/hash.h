/* SPDX-License-Identifier: Apache-2.0 */
/* hash.h: hashes. memo__hash is for tables in memory (seeded FNV-1a, finished by mix64); memo__crc32c is for what is written down; memo__xxh64 is for
 * what others compute, too: the ring of Envoy and gRPC. */
#ifndef MEMO__BASE_HASH_H
#define MEMO__BASE_HASH_H
#include <stddef.h>
#include <stdint.h>
#include "base/rng.h"

static inline uint64_t memo__hash(uint64_t seed, const void *bytes, size_t n)
{
    const unsigned char *p = (const unsigned char *)bytes;
    uint64_t h = UINT64_C(0xcbf29ce484222325) ^ seed;
    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * UINT64_C(0x100000001b3);
    return memo__mix64(h);
}

/* CRC-32C (Castagnoli, RFC 3720 appendix B.4): crc is 0 at first, then the last answer. */
uint32_t memo__crc32c(uint32_t crc, const void *bytes, size_t n);

/* XXH64 (xxHash's doc/xxhash_spec.md, Yann Collet), the same on every machine. Written out, since 60 lines that never change are less than a package
 * that has to be there to build. */
uint64_t memo__xxh64(uint64_t seed, const void *bytes, size_t n);
#endif
