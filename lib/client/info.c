/* SPDX-License-Identifier: Apache-2.0 */
/* info.c: what the library says of itself: statuses, version, the table of settings. */
#include <memo/setting.h>
#include <memo/status.h>
#include <memo/version.h>
#include <string.h>
#include "base/status.h"
#include "model/settings.h"

const char *memo_status_name(memo_status s)
{
    return memo__status_name(s);
}

int memo_status_refused(memo_status s)
{
    return s >= 300 && s < 400;
}

uint32_t memo_version_number(void)
{
    return MEMO_VERSION_NUMBER;
}

int memo_version_has(const char *feature)
{
    static const char *const features[] = { "http", "tls", "dns", "file", "static", "explain", "inbound" };
    for (size_t i = 0; feature && i < sizeof features / sizeof *features; i++)
        if (strcmp(features[i], feature) == 0)
            return 1;
    return 0;
}

memo_status memo_setting_get(uint32_t i, memo_setting *out)
{
    if (!out || out->size < sizeof *out || i >= MEMO__SETTINGS_COUNT)
        return MEMO_E_ARGUMENT;
    const struct memo__setting_row *r = &memo__setting_rows[i];
    *out = (memo_setting){ .size = out->size, .name = r->name, .environment = r->environment, .standard = r->standard, .type = memo__setting_type_name(r->type),
                           .otherwise = r->otherwise, .least = r->least, .most = r->most, .sentence = r->sentence, .secret = r->secret };
    return MEMO_OK;
}
