/* SPDX-License-Identifier: Apache-2.0 */
/* main.c: the table of commands, and the help that is made of it. A command is a file cmd_NAME.c and a row here. */
#include <stdio.h>
#include <string.h>
#include "args.h"
#include "commands.h"
#include "leave.h"
#include "print.h"

static int cmd_help(const struct args *a);

const struct command memoctl_commands[] = {
    { "demo", "", "three services, faults, and every call made twice: with libmemo and without", cmd_demo_options, 0, 0, cmd_demo },
    { "check", "", "is everything here that libmemo needs?", NULL, 0, 0, cmd_check },
    { "call", "SERVICE [METHOD] PATH", "one governed HTTP call", cmd_call_options, 2, 3, cmd_call },
    { "explain", "--last [N]", "why the last interesting calls of running processes went as they did", cmd_explain_options, 0, 1, cmd_explain },
    { "services", "", "the names of all services that the registry knows", NULL, 0, 0, cmd_services },
    { "instances", "SERVICE", "the instances of a service, and what that knowledge is worth", cmd_instances_options, 1, 1, cmd_instances },
    { "watch", "SERVICE", "the same, and every change from then on", cmd_watch_options, 1, 1, cmd_watch },
    { "register", "SERVICE --port PORT [-- COMMAND ...]", "keeps an instance registered while this (or COMMAND) runs", cmd_register_options, 1, 1,
        cmd_register },
    { "rules", "validate FILE...", "every mistake of rules documents, with line, column and path", NULL, 2, ARGS_MAX, cmd_rules },
    { "config", "get|origin|watch [KEY]", "configuration values, where they come from, and every change", cmd_config_options, 1, 2, cmd_config },
    { "settings", "[SETTING]", "the settings in force, and where each came from", NULL, 0, 1, cmd_settings },
    { "completion", "bash|zsh|fish", "the script that completes these commands in a shell", NULL, 1, 1, cmd_completion },
    { "version", "", "of memoctl and of the library that it loaded", NULL, 0, 0, cmd_version },
    { "help", "[COMMAND]", "this text, or that of a command", NULL, 0, 1, cmd_help },
    { "demo-todo", "", NULL, cmd_demo_todo_options, 0, 0, cmd_demo_todo },
    { NULL, NULL, NULL, NULL, 0, 0, NULL },
};

static void help_options(FILE *to, const char *head, const struct option_row *rows)
{
    if (!rows || !rows->name)
        return;
    fprintf(to, "\n%s\n", head);
    for (; rows->name; rows++) {
        char left[64];
        snprintf(left, sizeof(left), "--%s%s%s", rows->name, rows->value ? " " : "", rows->value ? rows->value : "");
        if (rows->help && rows->letter)
            fprintf(to, "  -%c, %-24s %s\n", rows->letter, left, rows->help);
        else if (rows->help)
            fprintf(to, "      %-24s %s\n", left, rows->help);
    }
}

static void help_all(FILE *to)
{
    fputs("memoctl: the command line of libmemo\n\nusage: memoctl [OPTIONS] COMMAND ...\n\n", to);
    for (const struct command *c = memoctl_commands; c->name; c++)
        if (c->summary)
            fprintf(to, "  %-10s %s\n", c->name, c->summary);
    help_options(to, "options of every command:", args_global);
    fputs("\nexit status: 0 done, 1 failed, 2 usage, 3 refused by libmemo, 4 unreachable, unusable or too late,\n"
        "             5 rules or settings not valid or not supported\n", to);
}

static void help_one(FILE *to, const struct command *c)
{
    fprintf(to, "usage: memoctl %s %s\n\n%s\n", c->name, c->words, c->summary ? c->summary : "");
    help_options(to, "options:", c->options);
    help_options(to, "options of every command:", args_global);
}

static int cmd_help(const struct args *a)
{
    if (a->words_count == 0) {
        help_all(stdout);
        return LEAVE_OK;
    }
    for (const struct command *c = memoctl_commands; c->name; c++)
        if (strcmp(c->name, a->words[0]) == 0) {
            help_one(stdout, c);
            return LEAVE_OK;
        }
    return args_wrong(a, "unknown command %s", a->words[0]);
}

/* Results that did not reach their reader are no success. */
static int finish(int code)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    fputs("memoctl: the results could not be written\n", stderr);
    return code == LEAVE_OK ? LEAVE_FAILED : code;
}

int main(int argc, char **argv)
{
    struct args a;
    int wrong = args_parse(&a, memoctl_commands, argc, argv);
    if (wrong)
        return wrong;
    if (args_get(&a, "help")) {
        if (a.command)
            help_one(stdout, a.command);
        else
            help_all(stdout);
        return finish(LEAVE_OK);
    }
    if (!a.command) {
        help_all(stderr);
        return LEAVE_USAGE;
    }
    return finish(a.command->run(&a));
}
