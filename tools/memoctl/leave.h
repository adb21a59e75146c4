/* SPDX-License-Identifier: Apache-2.0 */
/* leave.h: the exit codes of memoctl: a promise to scripts, documented in memoctl(1), never renumbered. */
#ifndef MEMOCTL_LEAVE_H
#define MEMOCTL_LEAVE_H
#include <memo/status.h>

enum {
    LEAVE_OK = 0,           /* done */
    LEAVE_FAILED = 1,       /* it was tried and failed here; an HTTP answer of 400 and more; a scene of the demo that broke its promise */
    LEAVE_USAGE = 2,        /* the command line is wrong */
    LEAVE_REFUSED = 3,      /* libmemo declined: limited, open, overloaded, no endpoint, stale, deadline, not ready */
    LEAVE_UNREACHABLE = 4,  /* a registry, process, peer or file not reached, not usable, or not in time */
    LEAVE_INVALID = 5,      /* rules or settings are not valid, or ask for what this build or registry cannot do */
    LEAVE_INTERRUPTED = 130 /* ended by SIGINT or SIGTERM before it was done, as shells say it */
};

int leave_code(memo_status s);
#endif
