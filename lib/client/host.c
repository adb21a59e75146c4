/* SPDX-License-Identifier: Apache-2.0 */
/* host.c: the engine, driven by the host's own loop: a descriptor to watch, and a function to call when it is readable. */
#include <memo/client.h>
#include "client/client.h"
#include "client/engine.h"

int memo_client_fd(memo_client *c)
{
    if (!c)
        return -1;
    memo__process_check();
    return memo__load(&c->phase) == MEMO__BUILT ? -1 : memo__engine_fd();
}

memo_status memo_client_step(memo_client *c)
{
    if (!c)
        return MEMO_E_ARGUMENT;
    memo__process_check();
    if (memo__load(&c->phase) == MEMO__BUILT)
        return MEMO_E_STATE;
    memo__engine_step();
    return MEMO_OK;
}
