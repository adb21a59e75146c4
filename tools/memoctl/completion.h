/* SPDX-License-Identifier: Apache-2.0 */
/* completion.h: the tables of the command line, told to shells. What is offered follows from the names that the help texts use for values and words:
 *
 *   a|b                                 one of these
 *   COMMAND SETTING SCENE METHOD        a list that is known when the script is made
 *   SERVICE                             asked of the registry at the time
 *   FILE WHERE                          files
 *   anything else                       nothing is offered */
#ifndef MEMOCTL_COMPLETION_H
#define MEMOCTL_COMPLETION_H
#include <stdio.h>
#include "args.h"

#define COMPLETION_OFFER 2048
#define COMPLETION_WORDS 4

/* The words behind a command, as its help names them, without brackets. */
struct completion_words {
    int count;
    bool repeats;                        /* the last one may be given again and again */
    char word[COMPLETION_WORDS][32];
};
void completion_read(const struct command *c, struct completion_words *out);

/* What can stand there: words separated by blanks, "@file", "@service", or "" for nothing. */
const char *completion_offer(const struct command *commands, const char *value, char offer[COMPLETION_OFFER]);
/* Inside of single quotes, as every shell reads them; the characters of `escape` get a backslash before. */
void completion_quote(FILE *to, const char *text, const char *escape);

void completion_bash(FILE *to, const struct command *commands);
void completion_zsh(FILE *to, const struct command *commands);
void completion_fish(FILE *to, const struct command *commands);
#endif
