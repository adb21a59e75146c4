/* SPDX-License-Identifier: Apache-2.0 */
/* demo_play.c: scene after scene: the promise before, the verdict and one explain record after; and the books at the end. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "demo_scenes.h"
#include "print.h"

static void count_verdict(struct demo *d, const char *name, const struct verdict *v)
{
    size_t at = strlen(d->failures);
    d->passed += v->pass;
    d->failed += !v->pass;
    if (!v->pass)
        snprintf(d->failures + at, sizeof(d->failures) - at, " %s", name);
}

static const char *mark(struct demo *d, bool pass)
{
    if (!d->args->color)
        return pass ? "PASS" : "FAIL";
    return pass ? "\033[32mPASS\033[0m" : "\033[31mFAIL\033[0m";
}

static void tell_text(struct demo *d, const struct scene *s, const struct verdict *v, const char *record)
{
    printf("%s %s\n     libmemo: %s\n     bare:    %s\n", mark(d, v->pass), s->title, v->memo, v->bare);
    if (record[0])
        printf("%s%s%s", print_color(d->args, PRINT_DIM), record, print_color(d->args, PRINT_PLAIN));
    fflush(stdout);
}

static void tell_json(const struct scene *s, const struct verdict *v, const char *record)
{
    struct print_json j;
    json_begin(&j, stdout);
    json_open(&j, NULL, '{');
    json_text(&j, "scene", s->name);
    json_text(&j, "promise", s->promise);
    json_bool(&j, "passed", v->pass);
    json_text(&j, "memo", v->memo);
    json_text(&j, "bare", v->bare);
    json_raw(&j, "explain", record[0] ? record : "null");
    json_close(&j, '}');
    json_end(&j);
}

static void play(struct demo *d, const struct scene *s, int number, int of)
{
    static char text[4096], json[8192];
    struct verdict v = { .pass = false };
    demo_label(d, "%s", s->title);
    demo_note(d, "\n%s%d of %d. %s%s: %s", print_color(d->args, PRINT_BOLD), number, of, s->title, print_color(d->args, PRINT_PLAIN), s->promise);
    demo_head(d);
    for (int i = 0; i < SIDES; i++)
        tally_take_scene(&d->tally[i], &d->sums[i]); /* what was before is not this scene's */
    memo_side_want(&d->memo, WANT_ANY);
    s->run(d, &v);
    if (d->interrupted)
        return;
    memo_side_shown(&d->memo, text, sizeof(text), json, sizeof(json));
    count_verdict(d, s->name, &v);
    if (d->args->json)
        tell_json(s, &v, json);
    else
        tell_text(d, s, &v, text);
    children_chaos_all(&d->children, 0, 0);
    demo_label(d, "(calm)");
    (void)demo_run(d, 1000);
}

bool demo_scene_known(const char *name)
{
    for (const struct scene *s = demo_scenes_table; s->name; s++)
        if (strcmp(s->name, name) == 0)
            return true;
    return strcmp(name, "none") == 0;
}

bool demo_scenes(struct demo *d, const char *only)
{
    int of = 0, number = 0;
    while (demo_scenes_table[of].name)
        of++;
    for (const struct scene *s = demo_scenes_table; s->name && !d->interrupted; s++) {
        number++;
        if (!only || strcmp(only, s->name) == 0)
            play(d, s, number, of);
    }
    return !d->interrupted;
}

/* ---- the books ---- */

static void books_json(struct demo *d, const struct book_sum *sum, bool pass)
{
    static const char *const names[SIDES] = { "bare", "memo" };
    struct print_json j;
    json_begin(&j, stdout);
    json_open(&j, NULL, '{');
    json_open(&j, "books", '{');
    for (int i = 0; i < SIDES; i++) {
        json_open(&j, names[i], '{');
        json_uint(&j, "sent", sum[i].sent);
        json_uint(&j, "seen", sum[i].seen);
        json_uint(&j, "lost", sum[i].lost);
        json_uint(&j, "wrong", sum[i].wrong);
        for (int k = 0; k < INSTANCES; k++)
            json_uint(&j, book_instance(k), d->book->seen[i][k]);
        json_close(&j, '}');
    }
    json_close(&j, '}');
    json_bool(&j, "passed", pass);
    json_close(&j, '}');
    json_end(&j);
}

static void books_text(struct demo *d, const struct book_sum *sum, bool pass)
{
    static const char *const names[SIDES] = { "bare", "libmemo" };
    printf("\n%s the books. Every request that a client sent was seen by exactly one server, call for call:\n", mark(d, pass));
    for (int i = 0; i < SIDES; i++) {
        const uint64_t *seen = d->book->seen[i];
        printf("     %-8s sent %llu = seen %llu (", names[i], (unsigned long long)sum[i].sent, (unsigned long long)sum[i].seen);
        for (int k = 0; k < INSTANCES; k++)
            printf("%s%s %llu", k ? ", " : "", book_instance(k), (unsigned long long)seen[k]);
        printf(") + %llu lost on broken connections\n", (unsigned long long)sum[i].lost);
        if (sum[i].wrong)
            printf("     %llu calls do not add up\n", (unsigned long long)sum[i].wrong);
    }
    if (d->memo.unread)
        printf("     %llu records could not be read\n", (unsigned long long)d->memo.unread);
}

bool demo_books(struct demo *d)
{
    struct book_sum sum[SIDES];
    bool quiet = true, pass;
    for (int i = 0; i < SIDES; i++)
        quiet = pool_quiet(&d->pool[i], 5000) && quiet;
    usleep(300000); /* what a client gave up on may still lie unread at its server */
    for (int i = 0; i < SIDES; i++)
        book_sum(d->book, i, &sum[i]);
    pass = quiet && d->memo.unread == 0 && sum[SIDE_BARE].wrong == 0 && sum[SIDE_MEMO].wrong == 0;
    if (d->args->json)
        books_json(d, sum, pass);
    else
        books_text(d, sum, pass);
    struct verdict v = { .pass = pass };
    count_verdict(d, "books", &v);
    return pass;
}
