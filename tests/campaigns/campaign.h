/* SPDX-License-Identifier: Apache-2.0 */
/* campaign.h: what the long runs have in common: a directory of their own, a small server, clients, and counting what is left over. */
#ifndef MEMO__TESTS_CAMPAIGN_H
#define MEMO__TESTS_CAMPAIGN_H
#include <memo/memo.h>
#include <stdbool.h>
#include <stdint.h>

/* Whatever fails is told once a kind, counted, and decides the exit status. */
extern long campaign_wrong;
void campaign_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
#define MUST(what) do { if (!(what)) campaign_fail("%s:%d: %s", __FILE__, __LINE__, #what); } while (0)

const char *campaign_dir(void);                   /* made at the first call */
const char *campaign_path(const char *name);
uint16_t campaign_server(void);                   /* answers every request with 200 "hello", on a thread of its own */
extern const char *campaign_ttl;                  /* of leases: "1s" unless said otherwise */
memo_client *campaign_client(const char *rules);  /* started, of the file registry there; rules NULL: the built-in ones */
memo_registration *campaign_register(memo_client *c, const char *service, const char *id);   /* of the server's port, acknowledged */
memo_service *campaign_service(memo_client *c, const char *name, uint32_t endpoints);        /* with a view of so many */
memo_status campaign_call(memo_service *s, int32_t http, memo_attempt *a); /* one whole call with a pretended transport; of a, the last attempt, nothing is needed */
memo_status campaign_get(memo_service *s);        /* over HTTP; MEMO_E_PROTOCOL if it was not 200 */
uint64_t campaign_random(uint64_t *state);        /* fixed seeds: the same run again */
double campaign_now(void);                        /* seconds */
void campaign_pause(double seconds);
int campaign_leaked(int before);                  /* descriptors beyond that, once the server has seen the ends of its connections */
int campaign_end(void);                           /* removes everything; prints the count; the exit status */
#endif
