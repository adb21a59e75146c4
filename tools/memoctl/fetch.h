/* SPDX-License-Identifier: Apache-2.0 */
/* fetch.h: one plain HTTP GET of a tool: over a Unix socket to a process's explain endpoint, or over TCP to the demo's own servers. Nothing is
 * governed here. */
#ifndef MEMOCTL_FETCH_H
#define MEMOCTL_FETCH_H
#include <memo/status.h>
#include <stddef.h>

#define FETCH_MAX (8u << 20) /* bytes of an answer that are read */

/* socket: path of a Unix socket, or NULL. url: "http://memo/explain?last=3". *body is malloc'ed and ended by NUL, NULL on failure.
 * MEMO_OK (whatever the HTTP status), MEMO_E_UNREACHABLE, MEMO_E_TIMEOUT, MEMO_E_PROTOCOL, MEMO_E_NO_MEMORY. */
memo_status fetch(const char *socket, const char *url, long timeout_ms, long *http_status, char **body, size_t *bytes);
/* A file, or stdin for "-"; malloc'ed and ended by NUL. Of one that is longer than `most`, most + 1 bytes, for the caller to say so in its own words.
 * MEMO_E_IO, MEMO_E_NO_MEMORY: *why is a text of the system's. */
memo_status fetch_file(const char *path, size_t most, char **text, size_t *bytes, const char **why);
#endif
