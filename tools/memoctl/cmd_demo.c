/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_demo.c: memoctl demo: three services, faults, and every call made twice: by bare libcurl with round robin, and through libmemo.
 *
 *   build -> two seconds of calm -> scene after scene -> the books -> [--stay: until Ctrl-C] -> strike
 *
 * Nothing is left behind: not on the end, not on a failure, not on Ctrl-C. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include "base/instant.h"
#include "commands.h"
#include "demo.h"
#include "leave.h"
#include "print.h"
#include "program.h"

const struct option_row cmd_demo_options[] = {
    { "stay", 0, NULL, "keeps everything running after the scenes, for you to break it" },
    { "scene", 's', "SCENE", "only this one: kill slow all-slow one-errs all-err flood rules drain registry none" },
    { "scale", 0, "FACTOR", "of all durations, 0.2 to 10 (1)" },
    { "keep", 0, NULL, NULL },
    { NULL, 0, NULL, NULL },
};

static int read_options(struct demo *d)
{
    const char *scale = args_get(d->args, "scale"), *scene = args_get(d->args, "scene");
    char *end;
    d->scale = scale ? strtod(scale, &end) : 1;
    if (scale && (*end || !(d->scale >= 0.2 && d->scale <= 10)))
        return args_wrong(d->args, "--scale is a number from 0.2 to 10, not \"%s\"", scale);
    if (scene && !demo_scene_known(scene))
        return args_wrong(d->args, "no scene is called \"%s\"", scene);
    return LEAVE_OK;
}

static void introduce(struct demo *d)
{
    char *rules = rules_text(RULES_PLAIN, NULL);
    demo_note(d, "Three instances of a service \"todo\" (v1a, v1b, v2) run as child processes and registered themselves in %s/registry.",
        d->directory);
    demo_note(d,
        "A caller makes every call twice, %d a second each: with bare libcurl (round robin, timeout %d ms), and through libmemo under these rules:\n",
        DEMO_RATE, BARE_TIMEOUT_MS);
    demo_note(d, "%s", rules ? rules : "");
    free(rules);
}

static bool begin(struct demo *d)
{
    d->begun = demo_now();
    d->next_line = d->begun + MEMO__S;
    demo_label(d, "(calm)");
    demo_head(d);
    for (int i = 0; i < SIDES; i++)
        pool_rate(&d->pool[i], DEMO_RATE);
    return demo_run(d, 2000);
}

/* Whoever was killed comes back after five seconds, so that one can go on playing. */
static void look_after(struct demo *d, const char *again, int64_t *dead_since)
{
    for (int i = 0; i < INSTANCES; i++) {
        if (children_running(&d->children, i)) {
            dead_since[i] = 0;
        } else if (dead_since[i] == 0) {
            dead_since[i] = demo_now();
            demo_note(d,
                "   %s has ended; it is started again in 5 s. `%s explain --last 3` tells what became of calls that it took with it, if any.",
                book_instance(i), again);
        } else if (demo_now() - dead_since[i] > 5 * MEMO__S && children_start(&d->children, i)) {
            demo_note(d, "   %s runs again: pid %d", book_instance(i), (int)d->children.child[i].pid);
            d->told.ejected[i] = false;
        }
    }
}

static void stay(struct demo *d)
{
    int64_t dead_since[INSTANCES] = { 0 };
    char buf[4200];
    const char *again = program_again(d->args->program, buf, sizeof(buf));
    demo_note(d, "\nEverything keeps running until Ctrl-C. Break it yourself, from another terminal:");
    for (int i = 0; i < INSTANCES; i++)
        demo_note(d, "   kill -9 %-7d  # %s, 127.0.0.1:%u", (int)d->children.child[i].pid, book_instance(i), (unsigned)d->children.child[i].port);
    demo_note(d, "   %s explain --last 1  # how the last call went that was refused, failed, tried twice or slow", again);
    demo_note(d, "   %s watch todo --registry file://%s/registry", again, d->directory);
    demo_note(d, "   curl 'http://127.0.0.1:%u/chaos?delay_ms=1100&fail_percent=30'", (unsigned)d->children.child[INSTANCE_V1B].port);
    demo_note(d, "   $EDITOR %s/rules.json\n", d->directory);
    demo_label(d, "your turn");
    demo_head(d);
    for (int i = 0; i < SIDES; i++)
        pool_rate(&d->pool[i], DEMO_RATE);
    while (!d->interrupted) {
        (void)demo_run(d, 500);
        look_after(d, again, dead_since);
        if (d->lines >= 20)
            demo_head(d);
    }
}

static void conclude(struct demo *d)
{
    struct print_json j;
    if (!d->args->json) {
        printf("\n%s%u promises kept, %u broken%s%s%s (%lld s)\n", print_color(d->args, d->failed ? PRINT_RED : PRINT_GREEN), d->passed, d->failed,
            d->failed ? ":" : "", d->failures, print_color(d->args, PRINT_PLAIN),
               (long long)((demo_now() - d->begun) / MEMO__S));
        return;
    }
    json_begin(&j, stdout);
    json_open(&j, NULL, '{');
    json_uint(&j, "kept", d->passed);
    json_uint(&j, "broken", d->failed);
    json_close(&j, '}');
    json_end(&j);
}

static int perform(struct demo *d)
{
    if (!demo_build(d))
        return d->interrupted ? LEAVE_INTERRUPTED : LEAVE_FAILED;
    introduce(d);
    if (begin(d) && demo_scenes(d, args_get(d->args, "scene"))) {
        (void)demo_books(d);
        conclude(d);
        if (args_get(d->args, "stay"))
            stay(d);
        return d->failed ? LEAVE_FAILED : LEAVE_OK;
    }
    return LEAVE_INTERRUPTED;
}

int cmd_demo(const struct args *a)
{
    struct demo *d = calloc(1, sizeof(*d));
    int code;
    if (!d)
        return print_error(NULL, MEMO_E_NO_MEMORY, NULL);
    d->args = a;
    d->signals = -1;
    for (int i = 0; i < INSTANCES; i++)
        d->children.child[i].reserve = -1;
    code = read_options(d);
    if (!code) {
        code = perform(d);
        demo_strike(d);
    }
    free(d);
    return code;
}
