/* SPDX-License-Identifier: Apache-2.0 */
/* dns.h: names to addresses with their time to live, on the loop. c-ares inside; its types stay in dns.c.
 *
 * All functions are for the driver's thread. Numeric addresses, /etc/hosts and "localhost" are answered without a server. An answer never comes from within memo__dns_resolve.
 * When /etc/resolv.conf changes, the next question goes to the new servers; running ones end where they are. */
#ifndef MEMO__NET_DNS_H
#define MEMO__NET_DNS_H
#include <memo/status.h>
#include "base/alloc.h"
#include "base/host.h"
#include "net/loop.h"

struct memo__dns;
struct memo__dns_query;             /* a running question */

struct memo__dns_address { char text[46]; bool six; /* IPv6 */ };

#define MEMO__DNS_ADDRESSES_MAX 256 /* of one answer; more are cut */

/* A and AAAA are two questions. What they answer together:
 *   MEMO_OK                      at least one address, and nothing is missing
 *   MEMO_REFUSED_NO_ENDPOINT     proven: the servers say that there is no such name, or that it has no address
 *   MEMO_E_TIMEOUT, MEMO_E_UNREACHABLE (no server, or none that can answer: SERVFAIL, REFUSED), MEMO_E_PROTOCOL (garbage)
 *                                unknown. If count is not 0, one of the two questions was answered and these are its addresses: good to begin with, no reason to forget others
 *   MEMO_E_ARGUMENT              not a name;  MEMO_E_NO_MEMORY
 * addresses: borrowed during the callback; IPv4 first, in the server's order. ttl_s: the least of theirs; INT32_MAX for a numeric one, 0 from /etc/hosts and with count 0.
 * The query is gone afterwards. */
typedef void memo__dns_fn(void *user, memo_status status, const struct memo__dns_address *addresses, uint32_t count, int32_t ttl_s);

/* servers: "192.0.2.1:53,[2001:db8::1]:5353", or NULL for /etc/resolv.conf. */
memo_status memo__dns_new(const struct memo__alloc *a, const struct memo__host *h, struct memo__loop *l, const char *servers, struct memo__dns **out);
/* Running queries are forgotten: their callbacks do not come. Not from a callback of its own. NULL is welcome. */
void memo__dns_free(struct memo__dns *d);
/* In a forked child, after memo__loop_after_fork: the sockets are the parent's, so running questions are asked again on new ones. */
memo_status memo__dns_after_fork(struct memo__dns *d);

/* Asks for A and AAAA. name is copied. *out (if out is not NULL) is good for memo__dns_cancel until the callback has come.
 * MEMO_OK: the callback will come. MEMO_E_NO_MEMORY, MEMO_E_IO: it will not. */
memo_status memo__dns_resolve(struct memo__dns *d, const char *name, memo__dns_fn *fn, void *user, struct memo__dns_query **out);
/* Its callback does not come. NULL is welcome. */
void memo__dns_cancel(struct memo__dns_query *q);
#endif
