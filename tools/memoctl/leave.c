/* SPDX-License-Identifier: Apache-2.0 */
/* leave.c: from the library's status to an exit code, by whom it asks to act: the person at the keyboard, nobody, or whoever runs the world outside.
 *
 * The one table of all commands; memoctl(1) has it by name, and tests/memoctl/run compares the two. A status that is not here is LEAVE_FAILED. */
#include "leave.h"
#include <stddef.h>

static const struct { memo_status status; int code; } table[] = {
    { MEMO_OK, LEAVE_OK },
    { MEMO_E_ARGUMENT, LEAVE_USAGE },
    { MEMO_E_IO, LEAVE_UNREACHABLE },
    { MEMO_E_UNREACHABLE, LEAVE_UNREACHABLE },
    { MEMO_E_PROTOCOL, LEAVE_UNREACHABLE },
    { MEMO_E_TIMEOUT, LEAVE_UNREACHABLE },
    { MEMO_E_UNKNOWN_OUTCOME, LEAVE_UNREACHABLE },
    { MEMO_E_SETTING, LEAVE_INVALID },
    { MEMO_E_RULES, LEAVE_INVALID },
    { MEMO_E_UNSUPPORTED, LEAVE_INVALID },
};

int leave_code(memo_status s)
{
    if (memo_status_refused(s))
        return LEAVE_REFUSED;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (table[i].status == s)
            return table[i].code;
    return LEAVE_FAILED;
}
