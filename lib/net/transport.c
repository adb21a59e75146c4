/* SPDX-License-Identifier: Apache-2.0 */
/* transport.c: libcurl behind the seam. */
#include "net/transport.h"

const struct memo__transport memo__transport_curl = {
    .exchange = memo__http_exchange, .begin = memo__http_async_new, .end = memo__http_async_free, .sweep = memo__http_async_sweep,
    .after_fork = memo__http_async_after_fork, .start = memo__http_start, .abort = memo__http_abort,
};

const struct memo__transport *memo__transport_default = &memo__transport_curl;
