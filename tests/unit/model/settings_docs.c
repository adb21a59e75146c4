/* SPDX-License-Identifier: Apache-2.0 */
/* settings_docs.c: docs/settings.md, docs/memo-settings.5 and docs/memo-environment.7, written from the table of settings. */
#include "base/text.h"
#include "model/settings.h"
#include "tests/unit/model/docs.h"

static void range(struct memo__writer *w, const struct memo__setting_row *r)
{
    if (r->least && r->most)
        memo__put_format(w, "%s to %s", r->least, r->most);
    else if (r->least || r->most)
        memo__put_format(w, "%s %s", r->least ? "at least" : "at most", r->least ? r->least : r->most);
}

static void markdown(struct memo__writer *w)
{
    memo__put_text(w,
        "# Settings\n\n"
        "Settings are about the process: who it is, which registry, where the rules are. They are read once, when a client is built. Rules are about traffic: see [rules.md](rules.md).\n"
        "A mistyped variable is not noticed by the library, which cannot know what else begins with `MEMO_`; `memoctl check` tells it.\n\n"
        "What wins: the program (`memo_client_set`), then the variable `MEMO_...`, then the variable of the ecosystem, then the settings file, then the default. An empty value counts as not\n"
        "set. A bad value under a name of ours is an error that names the variable, or file and line; under a name that other software reads too, it is told in the log and ignored.\n"
        "`memoctl settings` shows every value in force and where it came from.\n\n"
        "Units: durations `250ms`, `1.5s`, `2m`, `1h`, `30d` (a bare number is milliseconds); sizes `512B`, `64KiB`, `16MiB`, `1GiB`; shares `50%`; booleans `true` and `false` (also `1` and `0`).\n\n"
        "The settings file, named by `MEMO_SETTINGS`, has lines `name = value`; `#` begins a comment line.\n\n"
        "| name | variable | type | default | range | what it is for |\n|---|---|---|---|---|---|\n");
    for (uint32_t i = 0; i < MEMO__SETTINGS_COUNT; i++) {
        const struct memo__setting_row *r = &memo__setting_rows[i];
        memo__put_format(w, "| `%s` | `%s`", r->name, r->environment);
        if (r->standard)
            memo__put_format(w, ", `%s`", r->standard);
        memo__put_format(w, " | %s | %s%s%s | ", memo__setting_type_name(r->type), r->otherwise[0] ? "`" : "", r->otherwise, r->otherwise[0] ? "`" : "");
        range(w, r);
        memo__put_format(w, " | %s%s |\n", r->sentence, r->secret ? " A secret: also from the file that the variable with `_FILE` behind it names." : "");
    }
}

static void man(struct memo__writer *w)
{
    memo__put_text(w,
        ".\\\" SPDX-License-Identifier: Apache-2.0\n"
        ".TH MEMO\\-SETTINGS 5 \"\" \"libmemo\" \"libmemo\"\n"
        ".SH NAME\nmemo\\-settings \\- settings of a process that uses libmemo\n"
        ".SH DESCRIPTION\n"
        "Settings say who a process is, which registry it uses and where its rules are. They are read once, when a client is built.\n"
        "What wins: the program, then the variable \\fBMEMO_...\\fR, then the variable of the ecosystem, then the settings file, then the default. An empty value counts as not set.\n"
        "A bad value is an error that names the variable, or file and line; under a name that other software reads too, it is told in the log and ignored.\n"
        ".PP\n"
        "Durations read \\fB250ms\\fR, \\fB1.5s\\fR, \\fB2m\\fR, \\fB1h\\fR, \\fB30d\\fR; sizes \\fB512B\\fR, \\fB64KiB\\fR, \\fB16MiB\\fR, \\fB1GiB\\fR; shares \\fB50%\\fR; booleans \\fBtrue\\fR and \\fBfalse\\fR.\n"
        ".PP\n"
        "The settings file, named by \\fBMEMO_SETTINGS\\fR, has lines \\fIname\\fR = \\fIvalue\\fR; \\fB#\\fR begins a comment line.\n"
        ".SH SETTINGS\n");
    for (uint32_t i = 0; i < MEMO__SETTINGS_COUNT; i++) {
        const struct memo__setting_row *r = &memo__setting_rows[i];
        struct memo__writer bounds;
        char buf[64];
        memo__writer_init(&bounds, buf, sizeof buf);
        range(&bounds, r);
        memo__writer_end(&bounds);
        memo__put_format(w, ".TP\n\\fB%s\\fR, variable \\fB%s\\fR%s%s%s (%s", r->name, r->environment, r->standard ? ", \\fB" : "", r->standard ? r->standard : "", r->standard ? "\\fR" : "",
                         memo__setting_type_name(r->type));
        if (r->otherwise[0])
            memo__put_format(w, ", default %s", r->otherwise);
        memo__put_format(w, "%s%s)\n", buf[0] ? ", " : "", buf);
        docs_roff(w, r->sentence);
        memo__put_text(w, "\n");
    }
    memo__put_text(w, ".SH EXAMPLES\nA settings file:\n.PP\n.EX\n\\&# who I am\nservice_name = shop\nregistry = file:\nrules = /etc/shop/rules.json\n.EE\n"
                      ".PP\nWhat is in force, and why:\n.PP\n.EX\n$ echo \\(aqzone = z1\\(aq >memo.conf\n$ MEMO_SETTINGS=memo.conf memoctl settings zone\n"
                      "NAME  VALUE  ORIGIN            DEFAULT\nzone  z1     file memo.conf:1  \\-\n.EE\n"
                      ".SH SEE ALSO\n.BR memoctl\\-settings (1),\n.BR memo\\-rules (5),\n.BR memo\\-environment (7),\n.BR memo (7)\n");
}

static void environment_rows(struct memo__writer *w, bool standard)
{
    for (uint32_t i = 0; i < MEMO__SETTINGS_COUNT; i++) {
        const struct memo__setting_row *r = &memo__setting_rows[i];
        if (standard && !r->standard)
            continue;
        memo__put_format(w, ".TP\n.B %s\n", standard ? r->standard : r->environment);
        if (standard)
            memo__put_format(w, "Read if \\fB%s\\fR is not set. ", r->environment);
        docs_roff(w, r->sentence);
        memo__put_format(w, " Setting \\fB%s\\fR.%s\n", r->name, r->secret && !standard ? " Also from the file that the variable with _FILE behind it names." : "");
    }
}

static void environment(struct memo__writer *w)
{
    memo__put_text(w,
        ".\\\" SPDX-License-Identifier: Apache-2.0\n"
        ".TH MEMO\\-ENVIRONMENT 7 \"\" \"libmemo\" \"libmemo\"\n"
        ".SH NAME\nmemo\\-environment \\- variables that libmemo and memoctl read\n"
        ".SH DESCRIPTION\n"
        "Every setting is a variable: \\fBMEMO_\\fR and its name in upper case. An empty one counts as not set. libmemo reads them when a client is built and never sets one.\n"
        "Types, ranges and defaults are in\n.BR memo\\-settings (5).\n"
        "A mistyped name is not noticed by the library, which cannot know what else begins with MEMO_;\n.BR memoctl\\-check (1)\ntells it.\n"
        ".SH SETTINGS\n");
    environment_rows(w, false);
    memo__put_text(w,
        ".SH VARIABLES OF OTHERS\n"
        "Names that the ecosystem has already. A bad value under one of them is told in the log and ignored.\n");
    environment_rows(w, true);
    memo__put_text(w,
        ".TP\n.B XDG_RUNTIME_DIR\nThe default registry, its cache and the admin sockets are in \\fBmemo\\fR under it; without it in \\fB/run/memo\\fR.\n"
        ".SH VARIABLES OF MEMOCTL\n"
        "The options that all commands of \\fBmemoctl\\fR share are variables, too, save \\fB\\-\\-help\\fR:\n"
        ".TP\n.B MEMO_OUTPUT\n\\fBtable\\fR or \\fBjson\\fR.\n"
        ".TP\n.B MEMO_TIMEOUT\nHow long to wait for answers.\n"
        ".TP\n.BR MEMO_QUIET \", \" MEMO_NO_COLOR\n\\fB1\\fR or \\fBtrue\\fR: results only; no colours.\n"
        ".TP\n.B NO_COLOR\nNo colours, if it is not empty.\n"
        ".SH EXAMPLES\nOne variable is enough to send a program to other instances:\n.PP\n.EX\n"
        "$ MEMO_REGISTRY=static:todo=127.0.0.1:8000,account=127.0.0.1:8001 memoctl services\naccount\ntodo\n.EE\n"
        ".PP\nAn empty one is none, and ours goes before that of others:\n.PP\n.EX\n"
        "$ MEMO_SERVICE_NAME= OTEL_SERVICE_NAME=shop memoctl settings service_name\n"
        "NAME          VALUE  ORIGIN                         DEFAULT\n"
        "service_name  shop   environment OTEL_SERVICE_NAME  \\-\n.EE\n"
        ".SH SEE ALSO\n.BR memoctl (1),\n.BR memo\\-settings (5),\n.BR memo (7)\n");
}

void settings_docs_agree(void)
{
    docs_compare("settings.md", markdown);
    docs_compare("memo-settings.5", man);
    docs_compare("memo-environment.7", environment);
}
