/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_version.c: memoctl version: which headers was this built with, which library did it load, what can that do? */
#include <memo/version.h>
#include "commands.h"
#include "leave.h"
#include "print.h"

static const char *const features[] = { "http", "tls", "dns", "file", "static", "explain", "inbound" };

static void version_json(const char *library)
{
    struct print_json j;
    json_begin(&j, stdout);
    json_open(&j, NULL, '{');
    json_text(&j, "memoctl", MEMO_VERSION_TEXT);
    json_text(&j, "library", library);
    json_open(&j, "features", '{');
    for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++)
        json_bool(&j, features[i], memo_version_has(features[i]) == 1);
    json_close(&j, '}');
    json_close(&j, '}');
    json_end(&j);
}

int cmd_version(const struct args *a)
{
    uint32_t n = memo_version_number();
    char library[40];
    snprintf(library, sizeof(library), "%u.%u.%u", n / 10000, n / 100 % 100, n % 100);
    if (a->json) {
        version_json(library);
        return LEAVE_OK;
    }
    printf("memoctl %s, libmemo %s (", MEMO_VERSION_TEXT, library);
    for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++)
        printf("%s%s%s", i ? " " : "", memo_version_has(features[i]) ? "" : "no ", features[i]);
    puts(")");
    return LEAVE_OK;
}
