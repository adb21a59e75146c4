/* SPDX-License-Identifier: Apache-2.0 */
/* hash.c: CRC-32C by a table of 16 entries: small, and fast enough for records of a few kilobytes. XXH64 in the steps and
 * names of its specification. */
#include "base/hash.h"
#include <string.h>

uint32_t memo__crc32c(uint32_t crc, const void *bytes, size_t n)
{
    static const uint32_t nibble[16] = {
        0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
        0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
    };
    const unsigned char *p = bytes;
    crc = ~crc;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        crc = nibble[crc & 15] ^ (crc >> 4);
        crc = nibble[crc & 15] ^ (crc >> 4);
    }
    return ~crc;
}

#define PRIME_1 UINT64_C(0x9e3779b185ebca87)
#define PRIME_2 UINT64_C(0xc2b2ae3d27d4eb4f)
#define PRIME_3 UINT64_C(0x165667b19e3779f9)
#define PRIME_4 UINT64_C(0x85ebca77c2b2ae63)
#define PRIME_5 UINT64_C(0x27d4eb2f165667c5)

static inline uint64_t turned(uint64_t x, int bits) { return x << bits | x >> (64 - bits); }

/* Words are read as little-endian ones. */
static inline uint64_t word64(const unsigned char *p)
{
    uint64_t w;
    memcpy(&w, p, sizeof w);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    w = __builtin_bswap64(w);
#endif
    return w;
}

static inline uint64_t word32(const unsigned char *p)
{
    uint32_t w;
    memcpy(&w, p, sizeof w);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    w = __builtin_bswap32(w);
#endif
    return w;
}

static inline uint64_t xxh64_round(uint64_t lane, uint64_t word)
{
    return turned(lane + word * PRIME_2, 31) * PRIME_1;
}

/* Steps 1 to 3: four lanes over stripes of 32 bytes. */
static uint64_t xxh64_stripes(uint64_t seed, const unsigned char *p, size_t n)
{
    uint64_t lane[4] = { seed + PRIME_1 + PRIME_2, seed + PRIME_2, seed, seed - PRIME_1 };
    for (; n >= 32; n -= 32, p += 32)
        for (int i = 0; i < 4; i++)
            lane[i] = xxh64_round(lane[i], word64(p + 8 * i));
    uint64_t h = turned(lane[0], 1) + turned(lane[1], 7) + turned(lane[2], 12) + turned(lane[3], 18);
    for (int i = 0; i < 4; i++)
        h = (h ^ xxh64_round(0, lane[i])) * PRIME_1 + PRIME_4;
    return h;
}

uint64_t memo__xxh64(uint64_t seed, const void *bytes, size_t n)
{
    const unsigned char *p = bytes;
    uint64_t h = n >= 32 ? xxh64_stripes(seed, p, n) : seed + PRIME_5;
    h += n;
    for (p += n & ~(size_t)31, n &= 31; n >= 8; n -= 8, p += 8)
        h = turned(h ^ xxh64_round(0, word64(p)), 27) * PRIME_1 + PRIME_4;
    for (; n >= 4; n -= 4, p += 4)
        h = turned(h ^ word32(p) * PRIME_1, 23) * PRIME_2 + PRIME_3;
    for (; n; n--, p++)
        h = turned(h ^ *p * PRIME_5, 11) * PRIME_1;
    h = (h ^ h >> 33) * PRIME_2;
    h = (h ^ h >> 29) * PRIME_3;
    return h ^ h >> 32;
}
