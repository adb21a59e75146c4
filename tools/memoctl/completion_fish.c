/* SPDX-License-Identifier: Apache-2.0 */
/* completion_fish.c: the completion of fish: one line for each command, option and word. */
#include <string.h>
#include "completion.h"

static void offered(FILE *to, const char *offer)
{
    if (strcmp(offer, "@file") == 0)
        fputs(" -F", to);
    else if (strcmp(offer, "@service") == 0)
        fputs(" -a '(memoctl services -q --timeout 500ms 2>/dev/null)'", to);
    else if (offer[0])
        fprintf(to, " -a '%s'", offer);
}

static void options(FILE *to, const struct command *commands, const char *command, const struct option_row *row)
{
    char offer[COMPLETION_OFFER];
    for (; row && row->name; row++) {
        if (!row->help)
            continue;
        fputs("complete -c memoctl", to);
        if (command)
            fprintf(to, " -n '__fish_seen_subcommand_from %s'", command);
        fprintf(to, " -l %s", row->name);
        if (row->letter)
            fprintf(to, " -s %c", row->letter);
        if (row->value && row->value[0] != '[') {
            completion_offer(commands, row->value, offer);
            fputs(strcmp(offer, "@file") == 0 ? " -r" : " -x", to);
            offered(to, offer);
        }
        fputs(" -d '", to);
        completion_quote(to, row->help, "\\");
        fputs("'\n", to);
    }
}

/* A word that is one of a list and comes first stands alone, until it is there; then the next ones are offered. */
static void words(FILE *to, const struct command *commands, const struct command *c)
{
    struct completion_words w;
    char offer[COMPLETION_OFFER];
    completion_read(c, &w);
    for (int i = 0; i < w.count; i++) {
        if (!completion_offer(commands, w.word[i], offer)[0])
            continue;
        fprintf(to, "complete -c memoctl -n '__memoctl_at %s %d%s'", c->name, i, i + 1 == w.count && w.repeats ? " more" : "");
        offered(to, offer);
        fputc('\n', to);
    }
}

void completion_fish(FILE *to, const struct command *commands)
{
    fputs("# fish completion for memoctl; made by: memoctl completion fish\n\n"
          "# Is the word being written number $argv[2] (from 0) behind the command $argv[1], or a later one with \"more\"? Options are not counted, whatever they take.\n"
          "function __memoctl_at\n"
          "    set -l words (string match -rv -- '^-' (commandline -opc)[2..-1])\n"
          "    test \"$words[1]\" = $argv[1]; or return 1\n"
          "    set -l n (math (count $words) - 1)\n"
          "    test $n -eq $argv[2]; or test \"$argv[3]\" = more -a $n -gt $argv[2]\n"
          "end\n\n"
          "complete -c memoctl -f\n", to);
    for (const struct command *c = commands; c->name; c++)
        if (c->summary) {
            fprintf(to, "complete -c memoctl -n __fish_use_subcommand -a %s -d '", c->name);
            completion_quote(to, c->summary, "\\");
            fputs("'\n", to);
        }
    options(to, commands, NULL, args_global);
    for (const struct command *c = commands; c->name; c++)
        if (c->summary) {
            options(to, commands, c->name, c->options);
            words(to, commands, c);
        }
}
