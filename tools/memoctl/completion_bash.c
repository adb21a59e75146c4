/* SPDX-License-Identifier: Apache-2.0 */
/* completion_bash.c: the completion of bash. Two case statements are made of the tables; the walk over the words is the same for every command. It needs
 * nothing of the package bash-completion but its directory. */
#include "completion.h"

static const char walk[] =
    "_memoctl()\n"
    "{\n"
    "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} command='' offer='' takes='' n=0 i\n"
    "    COMPREPLY=()\n"
    "    # \"--output=js\" comes as three words\n"
    "    if [[ $cur == = ]]; then cur=''; elif [[ $prev == = ]]; then prev=${COMP_WORDS[COMP_CWORD - 2]}; fi\n"
    "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
    "        case ${COMP_WORDS[i]} in\n"
    "        --)\n"
    "            if ((i + 1 == COMP_CWORD)); then mapfile -t COMPREPLY < <(compgen -c -- \"$cur\"); else _memoctl_reply @file; fi\n"
    "            return ;;\n"
    "        -*)\n"
    "            _memoctl_takes \"$command\" \"${COMP_WORDS[i]}\"\n"
    "            if [[ ${COMP_WORDS[i + 1]} == = ]]; then ((i += 2)); elif [[ $takes == yes ]]; then ((i++)); fi ;;\n"
    "        *) if [[ -z $command ]]; then command=${COMP_WORDS[i]}; else ((++n)); fi ;;\n"
    "        esac\n"
    "    done\n"
    "    _memoctl_takes \"$command\" \"$prev\"\n"
    "    if [[ $takes == yes || ${COMP_WORDS[COMP_CWORD - 1]} == = || ${COMP_WORDS[COMP_CWORD]} == = ]]; then\n"
    "        _memoctl_reply \"$offer\"\n"
    "    elif [[ $cur == -* ]]; then\n"
    "        _memoctl_options \"$command\"\n"
    "        _memoctl_reply \"$offer\"\n"
    "    else\n"
    "        _memoctl_words \"$command\" $n\n"
    "        _memoctl_reply \"$offer\"\n"
    "    fi\n"
    "}\n"
    "\n"
    "_memoctl_reply()\n"
    "{\n"
    "    case $1 in\n"
    "    @file) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- \"$cur\") ;;\n"
    "    @service) mapfile -t COMPREPLY < <(compgen -W \"$(\"${COMP_WORDS[0]}\" services -q --timeout 500ms 2>/dev/null)\" -- \"$cur\") ;;\n"
    "    *) mapfile -t COMPREPLY < <(compgen -W \"$1\" -- \"$cur\") ;;\n"
    "    esac\n"
    "}\n"
    "\n";

static void rows(FILE *to, const struct command *commands, const char *command, const struct option_row *row)
{
    char offer[COMPLETION_OFFER];
    for (; row && row->name; row++) {
        if (!row->value || !row->help)
            continue;
        fprintf(to, "    %s' --%s'", command, row->name);
        if (row->letter)
            fprintf(to, " | %s' -%c'", command, row->letter);
        fprintf(to, ") takes=%s offer='%s' ;;\n", row->value[0] == '[' ? "perhaps" : "yes", completion_offer(commands, row->value, offer));
    }
}

static void option_names(FILE *to, const struct option_row *row)
{
    for (; row && row->name; row++)
        if (row->help)
            fprintf(to, row->letter ? "--%s -%c " : "--%s ", row->name, row->letter);
}

static void words(FILE *to, const struct command *commands, const struct command *c)
{
    struct completion_words w;
    char offer[COMPLETION_OFFER];
    completion_read(c, &w);
    for (int i = 0; i < w.count; i++)
        fprintf(to, i + 1 < w.count || !w.repeats ? "    '%s %d') offer='%s' ;; # %s\n" : "    '%s '[%d-9]*) offer='%s' ;; # %s...\n", c->name, i,
                completion_offer(commands, w.word[i], offer), w.word[i]);
}

void completion_bash(FILE *to, const struct command *commands)
{
    char offer[COMPLETION_OFFER];
    fputs("# bash completion for memoctl; made by: memoctl completion bash\n\n", to);
    fputs(walk, to);
    fputs("# Does this option of this command take a value, and which?\n_memoctl_takes()\n{\n    takes='' offer=''\n    case \"$1 $2\" in\n", to);
    rows(to, commands, "*", args_global);
    for (const struct command *c = commands; c->name; c++)
        if (c->summary)
            rows(to, commands, c->name, c->options);
    fputs("    esac\n}\n\n_memoctl_options()\n{\n    case $1 in\n", to);
    for (const struct command *c = commands; c->name; c++)
        if (c->summary && c->options) {
            fprintf(to, "    %s) offer='", c->name);
            option_names(to, c->options);
            fputs("' ;;\n", to);
        }
    fputs("    *) offer='' ;;\n    esac\n    offer+='", to);
    option_names(to, args_global);
    fputs("'\n}\n\n# What stands at place $2 behind the command?\n_memoctl_words()\n{\n    offer=''\n    case \"$1 $2\" in\n", to);
    fprintf(to, "    ' '*) offer='%s' ;;\n", completion_offer(commands, "COMMAND", offer));
    for (const struct command *c = commands; c->name; c++)
        if (c->summary)
            words(to, commands, c);
    fputs("    esac\n}\n\ncomplete -F _memoctl memoctl\n", to);
}
