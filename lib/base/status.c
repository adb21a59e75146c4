/* SPDX-License-Identifier: Apache-2.0 */
/* status.c: the names of statuses, and errors in words. */
#include "base/status.h"
#include <stdarg.h>
#include <stdio.h>
#include "base/text.h"

const char *memo__status_name(memo_status s)
{
    switch (s) {
#define NAME(status) case status: return #status;
    NAME(MEMO_OK)
    NAME(MEMO_E_ARGUMENT) NAME(MEMO_E_STATE) NAME(MEMO_E_SETTING) NAME(MEMO_E_RULES) NAME(MEMO_E_UNSUPPORTED) NAME(MEMO_E_TRUNCATED)
    NAME(MEMO_E_NO_MEMORY) NAME(MEMO_E_IO) NAME(MEMO_E_UNREACHABLE) NAME(MEMO_E_PROTOCOL) NAME(MEMO_E_TIMEOUT) NAME(MEMO_E_CANCELLED)
    NAME(MEMO_E_UNKNOWN_OUTCOME)
    NAME(MEMO_REFUSED_LIMITED) NAME(MEMO_REFUSED_OPEN) NAME(MEMO_REFUSED_OVERLOADED) NAME(MEMO_REFUSED_NO_ENDPOINT) NAME(MEMO_REFUSED_STALE)
    NAME(MEMO_REFUSED_DEADLINE) NAME(MEMO_REFUSED_NOT_READY)
#undef NAME
    default: return "MEMO_STATUS_?";
    }
}

bool memo__status_refused(memo_status s)
{
    return s >= 300 && s < 400;
}

/* A caller compiled against an older header has a shorter memo_error: nothing is written past its size. */
static void fill(memo_error *e, memo_status s, const char *file, int32_t line, int32_t column, const char *path, const char *format, va_list args)
{
    char message[sizeof e->message];
    if (!e || e->size < sizeof *e)
        return;
    e->status = s;
    e->line = line;
    e->column = column;
    memo__text_copy(e->file, sizeof e->file, memo__text_of(file));
    memo__text_copy(e->path, sizeof e->path, memo__text_of(path));
    if (vsnprintf(message, sizeof message, format, args) < 0)
        message[0] = '\0';
    memo__utf8_mend(message); /* vsnprintf may have cut inside a character; the arguments may have been no UTF-8 at all */
    memo__text_copy(e->message, sizeof e->message, memo__text_of(message));
}

memo_status memo__fail(memo_error *e, memo_status s, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fill(e, s, NULL, 0, 0, NULL, format, args);
    va_end(args);
    return s;
}

memo_status memo__fail_at(memo_error *e, memo_status s, const char *file, int32_t line, int32_t column, const char *path, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fill(e, s, file, line, column, path, format, args);
    va_end(args);
    return s;
}
