/* SPDX-License-Identifier: Apache-2.0 */
/* demo_rules.c: one document, with a route more (canary) and with a mistake in it (a duration whose unit does not exist). */
#define _GNU_SOURCE
#include "demo_rules.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char begin[] =
    "{ \"memo\": 1,\n"
    "  \"services\": { \"todo\": {\n"
    "    \"timeout\": \"%s\",                      // of a call with all its attempts; the bare client has the same\n"
    "    \"retry\": { \"attempts\": 3, \"attemptTimeout\": \"750ms\", \"methods\": [\"GET\"],\n"
    "               \"on\": [\"connect-failure\", \"reset\", \"timeout\", \"502\", \"503\"],\n"
    "               \"backoff\": { \"initial\": \"5ms\", \"max\": \"50ms\", \"multiplier\": 2, \"jitter\": \"full\" }, \"budget\": \"10%%\" },\n"
    "    \"breaker\": { \"scope\": \"service\", \"window\": \"3s\", \"minCalls\": 20, \"openFor\": \"2s\", \"probes\": 3,\n"
    "                 \"openWhen\": { \"failed\": \"50%%\", \"slow\": \"80%%\", \"slowerThan\": \"600ms\" } },\n"
    "    \"outlier\": { \"consecutiveFailures\": 5, \"ejectFor\": \"5s\", \"maxEjected\": \"34%%\" },\n"
    "    \"limits\": [ { \"name\": \"all\", \"rate\": \"%d/s\", \"burst\": %d } ],\n"
    "    \"concurrency\": { \"max\": 200 },\n"
    "    \"balance\": { \"policy\": \"peak-ewma\", \"decay\": \"1s\", \"panicBelow\": \"50%%\" }";
static const char canary[] =
    ",\n    \"routes\": [ { \"name\": \"canary\", \"when\": { \"header\": { \"x-canary\": \"1\" } },"
    "\n                  \"to\": [ { \"subset\": { \"version\": \"v2\" }, \"weight\": 100 } ] } ]";
static const char end[] = " } } }\n";

char *rules_text(enum rules_document which, int *line)
{
    char head[sizeof(begin) + 64], *text = NULL;
    if (line)
        *line = 3; /* the timeout's, above */
    snprintf(head, sizeof(head), begin, which == RULES_TYPO ? "800mss" : "800ms", DEMO_LIMIT, DEMO_BURST);
    return asprintf(&text, "%s%s%s", head, which == RULES_PLAIN ? "" : canary, end) < 0 ? NULL : text;
}

bool rules_write(const char *directory, enum rules_document which, int *line)
{
    char path[600], fresh[600], *text = rules_text(which, line);
    snprintf(path, sizeof(path), "%s/rules.json", directory);
    snprintf(fresh, sizeof(fresh), "%s/rules.json.new", directory);
    int fd = text ? open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
    bool good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    if (fd >= 0 && close(fd) != 0)
        good = false;
    free(text);
    return good && rename(fresh, path) == 0;
}
