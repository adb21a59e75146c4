/* SPDX-License-Identifier: Apache-2.0 */
/* baggage.h: what the work has been given to carry: "tenant=blue,user=a%20b;secret".
 *
 * W3C Baggage: members `key = value ; properties`, at most 64 of them. Who sends it is not trusted: only members whose key is on a list pass, whole,
 * and those that are malformed do not. What does not fit is cut by whole members, from the end. */
#ifndef MEMO__TELEMETRY_BAGGAGE_H
#define MEMO__TELEMETRY_BAGGAGE_H
#include "base/text.h"

#define MEMO__BAGGAGE_MEMBERS 64

/* Is a key on a list, "tenant, user"? "*" lists all. Keys are case-sensitive. */
bool memo__baggage_allowed(struct memo__text list, struct memo__text key);
/* The members of all values whose key is on the list, as many as fit into `room`, joined by commas into out; how many bytes. */
size_t memo__baggage_fit(struct memo__text list, const struct memo__text *values, uint32_t count, char *out, size_t room);
/* The value of the first member of that key, as it is on the wire; false: there is none. */
bool memo__baggage_find(struct memo__text baggage, struct memo__text key, struct memo__text *value);
/* Replaces the member of that key, a token, at the end; value.at NULL: takes it away. What is in at[0, *n) grows to at most `room`. false: it does
 * not fit; nothing has changed then. */
bool memo__baggage_put(char *at, size_t *n, size_t room, struct memo__text key, struct memo__text value);
/* From the wire's percent-encoding into w; bytes that it does not explain stay as they are. */
void memo__baggage_decode(struct memo__writer *w, struct memo__text value);
#endif
