/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_completion.c: memoctl completion SHELL: the script that teaches a shell these commands, made of the same tables as the help. */
#include <string.h>
#include "commands.h"
#include "completion.h"
#include "leave.h"

int cmd_completion(const struct args *a)
{
    static const struct { const char *shell; void (*write)(FILE *to, const struct command *commands); } shells[] = {
        { "bash", completion_bash }, { "zsh", completion_zsh }, { "fish", completion_fish },
    };
    for (size_t i = 0; i < sizeof(shells) / sizeof(shells[0]); i++)
        if (strcmp(a->words[0], shells[i].shell) == 0) {
            shells[i].write(stdout, memoctl_commands);
            return LEAVE_OK;
        }
    return args_wrong(a, "knows bash, zsh and fish, not \"%s\"", a->words[0]);
}
