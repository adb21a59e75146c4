/* SPDX-License-Identifier: Apache-2.0 */
/* sanitizers.h: what a sanitizer cannot do, so that a test may leave it to the other builds.
 *
 * AddressSanitizer of gcc 12 and clang 14 does not hold its allocator's locks across fork (glibc's malloc does): the child of a process whose other threads were just
 * allocating may wait for ever inside malloc. Tests that fork beside busy threads run in the plain build, under valgrind and under ThreadSanitizer.
 * ThreadSanitizer of gcc 12 ends a child that starts a thread if its parent had several. Tests whose children do that run everywhere else. */
#ifndef MEMO__TESTS_SANITIZERS_H
#define MEMO__TESTS_SANITIZERS_H

#if defined(__SANITIZE_ADDRESS__)
#define FORKS_BESIDE_THREADS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FORKS_BESIDE_THREADS 0
#endif
#endif
#ifndef FORKS_BESIDE_THREADS
#define FORKS_BESIDE_THREADS 1
#endif

#if defined(__SANITIZE_THREAD__)
#define THREADS_IN_CHILDREN 0
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define THREADS_IN_CHILDREN 0
#endif
#endif
#ifndef THREADS_IN_CHILDREN
#define THREADS_IN_CHILDREN 1
#endif
#endif
