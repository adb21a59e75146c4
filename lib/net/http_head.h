/* SPDX-License-Identifier: Apache-2.0 */
/* http_head.h: HTTP/1.1 heads and chunks as bytes in memory: no socket, no allocation, no clock (RFC 9112).
 *
 * Strict on purpose: what two readers could take differently (bare LF, folded lines, blanks before the colon, two lengths, a length beside chunks) is refused, never repaired. */
#ifndef MEMO__NET_HTTP_HEAD_H
#define MEMO__NET_HTTP_HEAD_H
#include <stdbool.h>
#include <stdint.h>
#include "base/text.h"

#define MEMO__HEAD_BYTES (64u * 1024u)
#define MEMO__HEAD_FIELDS 100u

enum memo__http_framing { MEMO__BODY_NONE, MEMO__BODY_LENGTH, MEMO__BODY_CHUNKED, MEMO__BODY_UNTIL_CLOSE };

struct memo__http_field { struct memo__text name, value; };

struct memo__http_head {                    /* all texts point into the bytes that were read */
    struct memo__text method, target;       /* of a request */
    int status;                             /* of an answer: 100 to 599 */
    struct memo__text reason;
    int minor;                              /* HTTP/1.minor: 0 or 1 */
    bool keep_alive;                        /* the connection may be used again, as far as the head says */
    bool expects_continue;                  /* "Expect: 100-continue" */
    enum memo__http_framing framing;        /* of an answer to anything but HEAD */
    uint64_t length;                        /* with MEMO__BODY_LENGTH */
    uint32_t count;
    struct memo__http_field fields[MEMO__HEAD_FIELDS];
};

/* Where the head ends (its bytes, with the empty line), or 0 if more is needed. *scanned is how far was looked before; 0 at first. */
size_t memo__http_head_end(const char *bytes, size_t n, size_t *scanned);

/* A whole head, as memo__http_head_end found it. 0: good; else the status that says what is wrong with a request: 400, 431, 501 or 505. */
int memo__http_head_request(const char *bytes, size_t n, struct memo__http_head *out);
int memo__http_head_response(const char *bytes, size_t n, struct memo__http_head *out);
/* The first field of that name in any case; .at NULL if there is none. */
struct memo__text memo__http_head_get(const struct memo__http_head *h, const char *name);

struct memo__http_chunks { int state; uint64_t left; uint32_t other; /* bytes of extensions and trailers */ uint32_t digits; };
#define MEMO__CHUNKS_OTHER (8u * 1024u)     /* so many of those are skipped, then it is refused */

enum memo__http_progress { MEMO__CHUNKS_MORE, MEMO__CHUNKS_DONE, MEMO__CHUNKS_BAD };
/* Decodes n bytes; payload goes to `out`, which may be `in` itself and is never longer than it. *used is n unless done or bad. Zero the state at first. */
enum memo__http_progress memo__http_chunks_feed(struct memo__http_chunks *c, const char *in, size_t n, size_t *used, char *out, size_t *made);

const char *memo__http_reason(int status);      /* "Not Found"; "" if it has no name here */
#endif
