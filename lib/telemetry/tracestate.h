/* SPDX-License-Identifier: Apache-2.0 */
/* tracestate.h: what tracing systems have written beside a trace: carried on, never understood.
 *
 *   rojo=00f067aa0ba902b7,congo=t61rcWkgMzE     the newest entry is the first
 *
 * W3C Trace Context 3.3: at most 32 entries; one that is malformed makes all of them worthless (3.3.1.5 of level 2 and section 4.3: discard the
 * header, keep traceparent). What does not fit is cut by whole entries (3.3.1.5): those of more than 128 bytes first, then from the end. */
#ifndef MEMO__TELEMETRY_TRACESTATE_H
#define MEMO__TELEMETRY_TRACESTATE_H
#include "base/text.h"

#define MEMO__TRACESTATE_ENTRIES 32
#define MEMO__TRACESTATE_LARGE 128 /* bytes of an entry that goes first */

/* The entries of all values (headers of that name, in their order), as many as fit into `room`, joined by commas into out; how many bytes: 0 if there
 * is none, or if one is malformed. */
size_t memo__tracestate_fit(const struct memo__text *values, uint32_t count, char *out, size_t room);
#endif
