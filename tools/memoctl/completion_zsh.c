/* SPDX-License-Identifier: Apache-2.0 */
/* completion_zsh.c: the completion of zsh: one _arguments for what stands before the command, one for each command. */
#include <string.h>
#include "completion.h"

/* ":URL:_files", the part of a specification that says what is taken; "" where nothing is. */
static void action(FILE *to, const struct command *commands, const char *value)
{
    char offer[COMPLETION_OFFER];
    const char *name = value[0] == '[' ? value + 1 : value;
    completion_offer(commands, value, offer);
    fputs(value[0] == '[' ? "::" : ":", to);
    for (size_t n = strcspn(name, "]"), i = 0; i < n; i++)
        fprintf(to, name[i] == ':' ? "\\%c" : "%c", name[i]);
    if (strcmp(offer, "@file") == 0)
        fputs(":_files", to);
    else if (strcmp(offer, "@service") == 0)
        fputs(":_memoctl_services", to);
    else if (offer[0])
        fprintf(to, ":(%s)", offer);
    else
        fputs(": ", to);
}

/* '*--header=[help]:NAME: ', and the same with its letter. Every option may be given again: the last one counts. */
static void options(FILE *to, const struct command *commands, const struct option_row *row)
{
    for (; row && row->name; row++)
        for (int letter = 0; row->help && letter < (row->letter ? 2 : 1); letter++) {
            const char *takes = !row->value ? "" : row->value[0] == '[' ? letter ? "-" : "=-" : letter ? "+" : "=";
            if (letter)
                fprintf(to, "        '*-%c%s[", row->letter, takes);
            else
                fprintf(to, "        '*--%s%s[", row->name, takes);
            completion_quote(to, row->help, "[]:\\");
            fputc(']', to);
            if (row->value)
                action(to, commands, row->value);
            fputs("' \\\n", to);
        }
}

static void one(FILE *to, const struct command *commands, const struct command *c)
{
    struct completion_words w;
    completion_read(c, &w);
    fprintf(to, "    %s)\n        _arguments -S \"$global[@]\" \\\n", c->name);
    options(to, commands, c->options);
    for (int i = 0; i < w.count; i++) {
        if (i + 1 == w.count && w.repeats)
            fputs("        '*", to);
        else
            fprintf(to, "        '%d", i + 1);
        action(to, commands, w.word[i]);
        fputs("' \\\n", to);
    }
    fputs(strstr(c->words, "[--") ? "        '*::command: _normal' && ret=0 ;;\n" : "        && ret=0 ;;\n", to);
}

void completion_zsh(FILE *to, const struct command *commands)
{
    fputs("#compdef memoctl\n# zsh completion for memoctl; made by: memoctl completion zsh\n\n"
          "_memoctl_services()\n{\n    local -a names=(${(f)\"$(_call_program services memoctl services -q --timeout 500ms 2>/dev/null)\"})\n"
          "    compadd -a names\n}\n\n"
          "_memoctl_commands()\n{\n    local -a names=(\n", to);
    for (const struct command *c = commands; c->name; c++)
        if (c->summary) {
            fprintf(to, "        '%s:", c->name);
            completion_quote(to, c->summary, ":\\");
            fputs("'\n", to);
        }
    fputs("    )\n    _describe command names\n}\n\n"
          "_memoctl()\n{\n    local curcontext=$curcontext state line ret=1\n    typeset -A opt_args\n    local -a global=( \\\n", to);
    options(to, commands, args_global);
    fputs("    )\n"
          "    _arguments -C \"$global[@]\" '1:command:_memoctl_commands' '*::word:->words' && ret=0\n"
          "    [[ $state == words ]] || return ret\n"
          "    curcontext=${curcontext%:*:*}:memoctl-$words[1]:\n"
          "    case $words[1] in\n", to);
    for (const struct command *c = commands; c->name; c++)
        if (c->summary)
            one(to, commands, c);
    fputs("    esac\n    return ret\n}\n\n_memoctl \"$@\"\n", to);
}
