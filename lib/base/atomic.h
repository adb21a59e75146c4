/* SPDX-License-Identifier: Apache-2.0 */
/* atomic.h: the few atomic operations that we use, by what they are for.
 *
 * Plain words and the compiler's builtins instead of _Atomic: the same structs are seen by C++ and by tests, and thread sanitizer understands them. */
#ifndef MEMO__BASE_ATOMIC_H
#define MEMO__BASE_ATOMIC_H
#include <stdbool.h>
#include <stdint.h>

#define memo__load(p)          __atomic_load_n((p), __ATOMIC_RELAXED)
#define memo__store(p, v)      __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define memo__load_acquire(p)  __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define memo__store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define memo__fetch_add(p, v)  __atomic_fetch_add((p), (v), __ATOMIC_RELAXED)
#define memo__fetch_sub(p, v)  __atomic_fetch_sub((p), (v), __ATOMIC_RELAXED)
#define memo__fetch_or(p, v)   __atomic_fetch_or((p), (v), __ATOMIC_ACQ_REL)
#define memo__exchange(p, v)   __atomic_exchange_n((p), (v), __ATOMIC_ACQ_REL)
/* On failure *expected receives what was there. */
#define memo__cas(p, expected, desired) \
    __atomic_compare_exchange_n((p), (expected), (desired), false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)

/* Adds to a word that this thread alone writes, while others may read it: one plain instruction, which compilers do not make of an atomic load and
 * an atomic store. */
#if defined(__x86_64__) && defined(__SANITIZE_THREAD__)
#define MEMO__SEEN_BY_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define MEMO__SEEN_BY_SANITIZER 1
#endif
#endif
#if defined(__x86_64__) && !defined(MEMO__SEEN_BY_SANITIZER)
static inline void memo__own_add32(uint32_t *word, uint32_t n) { __asm__("addl %1, %0" : "+m"(*word) : "er"(n) : "cc"); }
static inline void memo__own_add64(uint64_t *word, uint64_t n) { __asm__("addq %1, %0" : "+m"(*word) : "er"(n) : "cc"); }
/* With everything before it done before. */
static inline void memo__own_add64_release(uint64_t *word, uint64_t n)
{
    __asm__ volatile("addq %1, %0" : "+m"(*word) : "er"(n) : "cc", "memory");
}
#else
static inline void memo__own_add32(uint32_t *word, uint32_t n) { memo__store(word, memo__load(word) + n); }
static inline void memo__own_add64(uint64_t *word, uint64_t n) { memo__store(word, memo__load(word) + n); }
static inline void memo__own_add64_release(uint64_t *word, uint64_t n) { memo__store_release(word, memo__load(word) + n); }
#endif

/* Is a word 0? With everything after it done after. As an operand of the comparison, which compilers do not make of an atomic load. */
#if defined(__x86_64__) && !defined(MEMO__SEEN_BY_SANITIZER)
static inline bool memo__is_zero(const uint32_t *word)
{
    bool zero;
    __asm__ volatile("cmpl $0, %1" : "=@cce"(zero) : "m"(*word) : "memory");
    return zero;
}
#else
static inline bool memo__is_zero(const uint32_t *word) { return memo__load_acquire(word) == 0; }
#endif

/* The compiler keeps this value, instead of making it anew from its parts each time that it is used. */
#define memo__keep(x) __asm__("" : "+r"(x))

/* A variable of the library's own that hot paths read: found without a look into the table of addresses. */
#define MEMO__OURS __attribute__((visibility("hidden")))

#define MEMO__LINE 64 /* bytes of a cache line, on every machine that we know */
#endif
