/* SPDX-License-Identifier: Apache-2.0 */
/* text.h: text as pointer and length, and a bounded writer.
 *
 * A writer never writes past its buffer and goes on counting: `need` is what the whole would have taken, without the final NUL. */
#ifndef MEMO__BASE_TEXT_H
#define MEMO__BASE_TEXT_H
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct memo__text {
    const char *at;
    size_t n;
};

#define MEMO__TEXT(literal) ((struct memo__text){ "" literal, sizeof(literal) - 1 })
struct memo__text memo__text_of(const char *z); /* NULL gives the empty text */
/* n bytes, or up to the NUL if n is 0, as the members of memo_header say; NULL gives the empty text, whatever n is. */
static inline struct memo__text memo__text_sized(const char *at, size_t n)
{
    return at ? (struct memo__text){ at, n ? n : strlen(at) } : (struct memo__text){ "", 0 };
}
bool memo__text_same(struct memo__text a, struct memo__text b);
bool memo__text_same_nocase(struct memo__text a, struct memo__text b); /* ASCII only */
bool memo__text_is(struct memo__text a, const char *z);
struct memo__text memo__text_trim(struct memo__text t); /* blanks and tabs at both ends */
/* Copies and ends with NUL; cuts at a UTF-8 edge if it does not fit; false then. size >= 1. */
bool memo__text_copy(char *to, size_t size, struct memo__text t);
size_t memo__utf8_good(struct memo__text t); /* bytes of the longest valid beginning */
void memo__utf8_mend(char *z); /* in place: a character that was cut at the end is dropped, any other byte that is not UTF-8 becomes '?' */
bool memo__utf8_valid(struct memo__text t); /* RFC 3629: no overlong, no surrogate */
bool memo__is_token(struct memo__text t); /* RFC 9110 section 5.6.2: names of headers, methods, keys of baggage */
int memo__hex_digit(char c); /* 0 to 15, of either case; -1: it is none */

/* Decimal without sign; false on anything else, on overflow and beyond most. */
bool memo__parse_u64(struct memo__text t, uint64_t most, uint64_t *out);
/* "250ms", "1.5s", "2m", "1h", "30d", "10us", "5ns"; a bare number is milliseconds; to nanoseconds. */
bool memo__parse_duration(struct memo__text t, int64_t *ns);
/* "10%", "0.5%" to parts per million, 0% to 100%. Finer than a millionth is refused, as a duration finer than 1 ns is. */
bool memo__parse_share(struct memo__text t, uint32_t *ppm);
/* "500/s", "30/m", "2000/h", "10/100ms": count and period. */
bool memo__parse_rate(struct memo__text t, uint64_t *count, int64_t *period_ns);
/* "64KiB", "16MiB", "1GiB", "512B", bare bytes. */
bool memo__parse_bytes(struct memo__text t, uint64_t *bytes);

struct memo__writer {
    char *at;      /* NULL if size is 0 */
    size_t size;
    size_t need;
};

void memo__writer_init(struct memo__writer *w, char *buf, size_t size);
void memo__put(struct memo__writer *w, const char *bytes, size_t n);
void memo__put_text(struct memo__writer *w, const char *z);
void memo__put_format(struct memo__writer *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
void memo__put_duration(struct memo__writer *w, int64_t ns); /* "250ms", "90s": the largest unit that is exact; memo__parse_duration reads it back */
void memo__put_json(struct memo__writer *w, struct memo__text t); /* quoted and escaped; bytes that are not UTF-8 become U+FFFD */
/* Ends the text with NUL; false if something did not fit. */
bool memo__writer_end(struct memo__writer *w);
#endif
