/* SPDX-License-Identifier: Apache-2.0 */
/* leave.c: from the library's status to an exit code, by whom it asks to act: the person at the keyboard, nobody, or whoever runs the peer. */
#include "leave.h"

int leave_code(memo_status s)
{
    if (memo_status_refused(s))
        return LEAVE_REFUSED;
    switch (s) {
    case MEMO_OK:
        return LEAVE_OK;
    case MEMO_E_ARGUMENT:
        return LEAVE_USAGE;
    case MEMO_E_SETTING:
    case MEMO_E_RULES:
        return LEAVE_INVALID;
    case MEMO_E_UNREACHABLE:
    case MEMO_E_TIMEOUT:
        return LEAVE_UNREACHABLE;
    default:
        return LEAVE_FAILED;
    }
}
