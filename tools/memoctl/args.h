/* SPDX-License-Identifier: Apache-2.0 */
/* args.h: the command line, parsed in one place for all commands.
 *
 * An option is a row of a table: the global ones here, a command's own in its file. Options may stand before and after the command's name and
 * between its words; what follows "--" is left alone. Every global option but --help is an environment variable as well, by rule: MEMO_ and its
 * name in upper case with '_' for '-'. */
#ifndef MEMOCTL_ARGS_H
#define MEMOCTL_ARGS_H
#include <stdbool.h>
#include <stdint.h>

#define ARGS_MAX 64 /* options and words of one command line */

struct option_row {
    const char *name;   /* "registry", without the dashes; NULL ends a table */
    char letter;        /* 'o', or 0 */
    const char *value;  /* what it takes, for the help text and completion.h: "URL"; "[N]": may take one, as --last=N; NULL: nothing */
    const char *help;   /* one line; NULL: not shown */
};

struct args;

struct command {
    const char *name;
    const char *words;               /* what follows the name, for the help text and completion.h */
    const char *summary;             /* one line; NULL: the command is not shown */
    const struct option_row *options;
    int least, most;                 /* how many words */
    int (*run)(const struct args *a);
};

struct args {
    const struct command *command;
    const char *program;             /* argv[0] */
    bool json, quiet, color;
    int64_t timeout_ms;
    int words_count, given_count, rest_count;
    const char *words[ARGS_MAX];
    struct { const struct option_row *row; const char *value; } given[ARGS_MAX];
    char **rest;                     /* after "--"; NULL if there was none; ended by NULL, as argv is */
};

extern const struct option_row args_global[];

/* Answers LEAVE_OK, or LEAVE_USAGE after having said why on stderr. `commands` ends with a row without a name. No command named: command is NULL. */
int args_parse(struct args *a, const struct command *commands, int argc, char **argv);
/* The last value given for an option, "" for one that takes none, NULL if it was not given. */
const char *args_get(const struct args *a, const char *option);
/* The next value of an option that may be repeated; *at starts as 0; NULL at the end. */
const char *args_each(const struct args *a, const char *option, int *at);
/* The value as a number or a duration; false after having said what is wrong; untouched if it was not given. */
bool args_number(const struct args *a, const char *option, uint64_t least, uint64_t most, uint64_t *out);
bool args_duration_ms(const struct args *a, const char *option, int64_t *out);
/* "memoctl call: ..." and where help is; answers LEAVE_USAGE. */
int args_wrong(const struct args *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
#endif
