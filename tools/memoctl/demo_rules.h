/* SPDX-License-Identifier: Apache-2.0 */
/* demo_rules.h: the rules documents of the demo, and how they get on disk: renamed over the old one, as deployments do. */
#ifndef MEMOCTL_DEMO_RULES_H
#define MEMOCTL_DEMO_RULES_H
#include <stdbool.h>

#define DEMO_LIMIT 300           /* calls per second that the rules let pass, and the burst beside them */
#define DEMO_BURST 60
#define DEMO_RATE 200            /* calls per second that each client makes */

enum rules_document { RULES_PLAIN, RULES_CANARY, RULES_TYPO };

/* The text; *line receives the line of the mistake in RULES_TYPO. malloc'ed; NULL without memory. */
char *rules_text(enum rules_document which, int *line);
bool rules_write(const char *directory, enum rules_document which, int *line);
#endif
