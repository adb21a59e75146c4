/* SPDX-License-Identifier: Apache-2.0 */
/* commands.h: one function and one table of options per command; main.c lists them. */
#ifndef MEMOCTL_COMMANDS_H
#define MEMOCTL_COMMANDS_H
#include "args.h"

int cmd_version(const struct args *a);
int cmd_settings(const struct args *a);
int cmd_rules(const struct args *a);
int cmd_services(const struct args *a);
int cmd_instances(const struct args *a);
int cmd_watch(const struct args *a);
int cmd_register(const struct args *a);
int cmd_call(const struct args *a);
int cmd_explain(const struct args *a);
int cmd_check(const struct args *a);
int cmd_completion(const struct args *a);
int cmd_config(const struct args *a);
int cmd_demo(const struct args *a);
int cmd_demo_todo(const struct args *a);

extern const struct command memoctl_commands[]; /* main.c; ends with a row without a name */
extern const struct option_row cmd_instances_options[], cmd_watch_options[], cmd_config_options[], cmd_register_options[], cmd_call_options[],
    cmd_explain_options[], cmd_demo_options[],
    cmd_demo_todo_options[];
#endif
