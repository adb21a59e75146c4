/* SPDX-License-Identifier: Apache-2.0 */
/* memo/status.h: what a call answers, and the details of an error.
 *
 * Three families, by number, never renumbered: 1xx you erred, 2xx the world erred, 3xx we declined. A refusal (3xx) is a
 * healthy answer of a governed call and is never logged as an error. */
#ifndef MEMO_STATUS_H
#define MEMO_STATUS_H
#include <stddef.h>
#include <stdint.h>

#define MEMO_API  __attribute__((visibility("default")))
#define MEMO_MUST MEMO_API __attribute__((warn_unused_result))
/** Initialises a public struct: its size first, the rest zero. In C and in C++. (C names the member, so that -Wextra finds nothing missing.) */
#ifdef __cplusplus
#define MEMO_INIT(type) { sizeof(type) }
#else
#define MEMO_INIT(type) { .size = sizeof(type) }
#endif

#ifdef __cplusplus
extern "C" {
#endif

/** The answer of every function that can fail: MEMO_OK, or one of the names below. */
typedef int32_t memo_status;

enum {
    MEMO_OK = 0,                     /* done */

    MEMO_E_ARGUMENT = 100,           /* an argument is missing, out of range or malformed */
    MEMO_E_STATE = 101,              /* not now: the handle is not in a state that allows this */
    MEMO_E_SETTING = 102,            /* a setting has an unknown name or a bad value */
    MEMO_E_RULES = 103,              /* the rules document is not valid; the previous one stays in force */
    MEMO_E_UNSUPPORTED = 104,        /* this source or build cannot do that; never done more weakly instead */
    MEMO_E_TRUNCATED = 105,          /* the caller's buffer was too small; `need` says how many bytes it takes */

    MEMO_E_NO_MEMORY = 200,          /* an allocation failed; nothing was changed */
    MEMO_E_IO = 201,                 /* a file or descriptor failed */
    MEMO_E_UNREACHABLE = 202,        /* the registry or the peer could not be reached */
    MEMO_E_PROTOCOL = 203,           /* the peer answered something that is not its protocol, or beyond a cap */
    MEMO_E_TIMEOUT = 204,            /* the time given was not enough */
    MEMO_E_CANCELLED = 205,          /* the caller or a shutdown cancelled it */
    MEMO_E_UNKNOWN_OUTCOME = 206,    /* a write was sent and its acknowledgement lost: read back before repeating it */

    MEMO_REFUSED_LIMITED = 300,      /* a rate limit is exhausted */
    MEMO_REFUSED_OPEN = 301,         /* a circuit breaker is open */
    MEMO_REFUSED_OVERLOADED = 302,   /* a concurrency limit is reached */
    MEMO_REFUSED_NO_ENDPOINT = 303,  /* no endpoint to send to */
    MEMO_REFUSED_STALE = 304,        /* the view is older than the service's maxStale */
    MEMO_REFUSED_DEADLINE = 305,     /* no time is left */
    MEMO_REFUSED_NOT_READY = 306     /* the client is not started, is draining, or has no view yet */
};

/** Details of an error, owned by the caller: the last argument of functions that have more to say than a status.
 * NULL is welcome there. Written by a function that fails; MEMO_OK leaves it as it was. Text is UTF-8, always terminated, and cut at a character's edge. */
typedef struct memo_error {
    size_t size;         /* MEMO_INIT(memo_error) */
    memo_status status;  /* the same as the function returned */
    int32_t line;        /* 1-based line in `file`, 0 if it is not about a text */
    int32_t column;      /* 1-based column in bytes, 0 if it is not about a text */
    char file[128];      /* which file, URL or setting */
    char path[128];      /* where in the document: "services.todo.retry.attempts" */
    char message[256];   /* one sentence for a person */
} memo_error;

/** The stable name of a status: "MEMO_REFUSED_OPEN"; "MEMO_STATUS_?" for a number unknown to this version.
 *
 * Ownership: static text.
 * Threads: any, also in a signal handler.
 * Since: 0.1 */
MEMO_API const char *memo_status_name(memo_status s);

/** Did we decline (1), or succeed or fail (0)? True for the 3xx family.
 *
 * Threads: any, also in a signal handler.
 * Since: 0.1 */
MEMO_API int memo_status_refused(memo_status s);

#ifdef __cplusplus
}
#endif
#endif
