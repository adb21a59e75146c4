/* SPDX-License-Identifier: Apache-2.0 */
/* completion.c: what a shell can offer for a word or a value. */
#include "completion.h"
#include <ctype.h>
#include <memo/setting.h>
#include <string.h>
#include "base/text.h"
#include "demo_scenes.h"

/* The next blank-separated token at *p; its length. */
static size_t token(const char **p)
{
    *p += strspn(*p, " ");
    return strcspn(*p, " ");
}

/* Options have a table of their own: "--port PORT" and what follows "[--" are passed over. */
void completion_read(const struct command *c, struct completion_words *out)
{
    const char *p = c->words;
    memset(out, 0, sizeof(*out));
    for (size_t n; (n = token(&p)) > 0 && strncmp(p, "[--", 3) != 0 && out->count < COMPLETION_WORDS; p += n) {
        if (strncmp(p, "--", 2) == 0) {
            p += n;
            n = token(&p);
            continue;
        }
        size_t skip = strspn(p, "[");
        struct memo__text word = { p + skip, strcspn(p + skip, "]. ") };
        if (memo__text_copy(out->word[out->count], sizeof(out->word[0]), word))
            out->count++;
        out->repeats = memchr(p, '.', n) != NULL;
    }
}

static void put_commands(struct memo__writer *w, const struct command *commands)
{
    for (; commands->name; commands++)
        if (commands->summary)
            memo__put_format(w, "%s%s", w->need ? " " : "", commands->name);
}

static void put_settings(struct memo__writer *w)
{
    memo_setting s = MEMO_INIT(memo_setting);
    for (uint32_t i = 0; memo_setting_get(i, &s) == MEMO_OK; i++)
        memo__put_format(w, "%s%s", w->need ? " " : "", s.name);
}

static void put_scenes(struct memo__writer *w)
{
    for (const struct scene *s = demo_scenes_table; s->name; s++)
        memo__put_format(w, "%s ", s->name);
    memo__put_text(w, "none");
}

static void put_alternatives(struct memo__writer *w, const char *value)
{
    for (; *value; value++)
        memo__put(w, *value == '|' ? " " : value, 1);
}

const char *completion_offer(const struct command *commands, const char *value, char offer[COMPLETION_OFFER])
{
    struct memo__writer w;
    memo__writer_init(&w, offer, COMPLETION_OFFER);
    if (strcmp(value, "FILE") == 0 || strcmp(value, "WHERE") == 0)
        memo__put_text(&w, "@file");
    else if (strcmp(value, "SERVICE") == 0)
        memo__put_text(&w, "@service");
    else if (strcmp(value, "COMMAND") == 0)
        put_commands(&w, commands);
    else if (strcmp(value, "SETTING") == 0)
        put_settings(&w);
    else if (strcmp(value, "SCENE") == 0)
        put_scenes(&w);
    else if (strcmp(value, "METHOD") == 0)
        memo__put_text(&w, "GET HEAD POST PUT PATCH DELETE OPTIONS");
    else if (islower((unsigned char)value[0]))
        put_alternatives(&w, value);
    return memo__writer_end(&w) ? offer : "";
}

void completion_quote(FILE *to, const char *text, const char *escape)
{
    for (; *text; text++) {
        if (*text == '\'')
            fputs("'\\'", to);
        else if (strchr(escape, *text))
            fputc('\\', to);
        fputc(*text, to);
    }
}
