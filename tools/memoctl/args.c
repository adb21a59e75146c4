/* SPDX-License-Identifier: Apache-2.0 */
/* args.c: one walk over the command line, two tables: the global options and the command's own.
 *
 * The command is looked for first (the first word that is not an option's value), so that its table is known when its options come. */
#include "args.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/instant.h"
#include "base/text.h"
#include "leave.h"

const struct option_row args_global[] = {
    { "registry", 0, "URL", "where instances are found; MEMO_REGISTRY" },
    { "rules", 0, "WHERE", "path or text of the rules document; MEMO_RULES" },
    { "output", 'o', "table|json", "how results are printed; MEMO_OUTPUT" },
    { "timeout", 0, "DURATION", "how long to wait for answers (5s); MEMO_TIMEOUT" },
    { "quiet", 'q', NULL, "results only, no remarks; MEMO_QUIET" },
    { "no-color", 0, NULL, "no colours; MEMO_NO_COLOR, NO_COLOR" },
    { "help", 'h', NULL, "this text, or that of a command" },
    { NULL, 0, NULL, NULL },
};

int args_wrong(const struct args *a, const char *format, ...)
{
    const char *name = a->command ? a->command->name : NULL;
    va_list v;
    fprintf(stderr, "memoctl%s%s: ", name ? " " : "", name ? name : "");
    va_start(v, format);
    vfprintf(stderr, format, v);
    va_end(v);
    name = name && strcmp(name, "help") != 0 ? name : NULL;
    fprintf(stderr, "\n(memoctl help%s%s tells more)\n", name ? " " : "", name ? name : "");
    return LEAVE_USAGE;
}

static const struct option_row *row_find(const struct option_row *rows, const char *name, size_t n, char letter)
{
    for (; rows && rows->name; rows++)
        if (letter ? rows->letter == letter : strlen(rows->name) == n && memcmp(rows->name, name, n) == 0)
            return rows;
    return NULL;
}

/* The row that a word like "--output=json", "-ojson" or "-q" means; *value points behind its name, NULL if nothing is there. */
static const struct option_row *option_of(const struct command *c, const char *word, const char **value)
{
    bool longer = word[1] == '-';
    const char *name = word + (longer ? 2 : 1);
    size_t n = longer ? strcspn(name, "=") : 1;
    const struct option_row *row = row_find(args_global, name, n, longer ? 0 : name[0]);
    if (!row && c)
        row = row_find(c->options, name, n, longer ? 0 : name[0]);
    *value = name[n] == 0 ? NULL : longer ? name + n + 1 : name + n;
    return row;
}

static bool is_option(const char *word)
{
    return word[0] == '-' && word[1] != 0;
}

/* Before the command only global options can stand: their values are stepped over. */
static const struct command *command_find(const struct command *commands, int argc, char **argv, int *place)
{
    const char *value;
    *place = 0;
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (!is_option(argv[i])) {
            *place = i;
            for (; commands->name; commands++)
                if (strcmp(commands->name, argv[i]) == 0)
                    return commands;
            return NULL;
        }
        const struct option_row *row = option_of(NULL, argv[i], &value);
        if (row && row->value && row->value[0] != '[' && !value)
            i++;
    }
    return NULL;
}

static int option_take(struct args *a, int argc, char **argv, int *i)
{
    const char *value;
    const struct option_row *row = option_of(a->command, argv[*i], &value);
    if (!row)
        return args_wrong(a, "unknown option %s", argv[*i]);
    if (!row->value && value)
        return args_wrong(a, "--%s takes no value", row->name);
    bool wants = row->value && row->value[0] != '[';
    if (wants && !value && ++*i < argc)
        value = argv[*i];
    if (wants && !value)
        return args_wrong(a, "--%s wants %s", row->name, row->value);
    if (a->given_count == ARGS_MAX)
        return args_wrong(a, "more than %d options", ARGS_MAX);
    a->given[a->given_count].row = row;
    a->given[a->given_count++].value = value ? value : "";
    return LEAVE_OK;
}

static int walk(struct args *a, int argc, char **argv, int place)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--") == 0) {
            a->rest = argv + i + 1;
            a->rest_count = argc - i - 1;
            break;
        }
        if (is_option(argv[i])) {
            int wrong = option_take(a, argc, argv, &i);
            if (wrong)
                return wrong;
        } else if (i != place) {
            if (a->words_count == ARGS_MAX)
                return args_wrong(a, "more than %d words", ARGS_MAX);
            a->words[a->words_count++] = argv[i];
        }
    }
    return LEAVE_OK;
}

static const char *from_environment(const char *name)
{
    const char *value = getenv(name);
    return value && value[0] ? value : NULL;
}

static bool environment_says_yes(const char *name)
{
    const char *value = from_environment(name);
    return value && (strcmp(value, "1") == 0 || strcasecmp(value, "true") == 0);
}

/* Not to wait at all is no wish that any command could fulfil: every answer takes a moment. */
static int resolve_timeout(struct args *a)
{
    const char *value = args_get(a, "timeout"), *name = value ? "--timeout" : "MEMO_TIMEOUT";
    int64_t ns = 5 * MEMO__S;
    if (!value)
        value = from_environment(name);
    if (value && (!memo__parse_duration(memo__text_of(value), &ns) || ns < MEMO__MS))
        return args_wrong(a, "%s is a duration of 1ms or more, like 250ms or 1.5s, not \"%s\"", name, value);
    a->timeout_ms = ns / MEMO__MS;
    return LEAVE_OK;
}

/* MEMO_REGISTRY and MEMO_RULES are read by the library itself: an option only goes over them. */
static int resolve_global(struct args *a)
{
    const char *output = args_get(a, "output"), *source = output ? "--output" : "MEMO_OUTPUT";
    if (!output)
        output = from_environment(source);
    if (output && strcmp(output, "json") != 0 && strcmp(output, "table") != 0)
        return args_wrong(a, "%s is table or json, not \"%s\"", source, output);
    a->json = output && strcmp(output, "json") == 0;
    a->quiet = args_get(a, "quiet") || environment_says_yes("MEMO_QUIET");
    a->color = !args_get(a, "no-color") && !from_environment("NO_COLOR") && !environment_says_yes("MEMO_NO_COLOR") && isatty(STDOUT_FILENO);
    return resolve_timeout(a);
}

int args_parse(struct args *a, const struct command *commands, int argc, char **argv)
{
    int place, wrong;
    memset(a, 0, sizeof(*a));
    a->program = argv[0] ? argv[0] : "memoctl";
    a->command = command_find(commands, argc, argv, &place);
    if (place && !a->command)
        return args_wrong(a, "unknown command %s", argv[place]);
    wrong = walk(a, argc, argv, place);
    if (!wrong)
        wrong = resolve_global(a);
    if (wrong || !a->command || args_get(a, "help"))
        return wrong;
    if (a->rest && !strstr(a->command->words, "[-- "))
        return args_wrong(a, "takes nothing behind --");
    if (a->words_count < a->command->least)
        return args_wrong(a, "wants %s", a->command->words);
    if (a->words_count > a->command->most)
        return args_wrong(a, "does not know what to do with \"%s\"", a->words[a->command->most]);
    return LEAVE_OK;
}

const char *args_get(const struct args *a, const char *option)
{
    const char *found = NULL;
    for (int i = 0; i < a->given_count; i++)
        if (strcmp(a->given[i].row->name, option) == 0)
            found = a->given[i].value;
    return found;
}

const char *args_each(const struct args *a, const char *option, int *at)
{
    while (*at < a->given_count) {
        int i = (*at)++;
        if (strcmp(a->given[i].row->name, option) == 0)
            return a->given[i].value;
    }
    return NULL;
}

bool args_number(const struct args *a, const char *option, uint64_t least, uint64_t most, uint64_t *out)
{
    const char *value = args_get(a, option);
    uint64_t n;
    if (!value)
        return true;
    if (memo__parse_u64(memo__text_of(value), most, &n) && n >= least) {
        *out = n;
        return true;
    }
    args_wrong(a, "--%s is a number from %llu to %llu, not \"%s\"", option, (unsigned long long)least, (unsigned long long)most, value);
    return false;
}

bool args_duration_ms(const struct args *a, const char *option, int64_t *out)
{
    const char *value = args_get(a, option);
    int64_t ns;
    if (!value)
        return true;
    if (memo__parse_duration(memo__text_of(value), &ns) && ns >= 0) {
        *out = ns / MEMO__MS;
        return true;
    }
    args_wrong(a, "--%s is a duration like 250ms or 1.5s, not \"%s\"", option, value);
    return false;
}
