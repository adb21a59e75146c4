/* SPDX-License-Identifier: Apache-2.0 */
/* memo/metrics.h: counters and histograms as Prometheus text. */
#ifndef MEMO_METRICS_H
#define MEMO_METRICS_H
#include <memo/client.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A visitor: receives pieces of text in order, at most 4096 bytes each, not ended by NUL, valid during the call only. */
typedef void memo_write_fn(const char *bytes, size_t n, void *user);

/** Writes all metrics of a client as Prometheus text (exposition format 0.0.4), through the visitor, on this thread, before this function returns.
 * Names and labels are promised; a counter never goes down while its service is held, and begins anew when the service is acquired anew.
 *
 * w: must not call memo_client_free.
 * user: handed to `w` as it is.
 * Threads: any.
 * Returns: MEMO_OK, MEMO_E_ARGUMENT, MEMO_E_NO_MEMORY (nothing, or a part, was written).
 * Source: Prometheus text exposition format 0.0.4; histogram bounds are those of OpenTelemetry's exponential histogram, scale 1.
 * Since: 0.1 */
MEMO_MUST memo_status memo_metrics_write(memo_client *c, memo_write_fn *w, void *user);

#ifdef __cplusplus
}
#endif
#endif
