/* SPDX-License-Identifier: Apache-2.0 */
/* rules_path.c: which line of which document made that decision? The path of a compiled rule, as findings write it.
 *
 * A block may be said in parts by several layers; the innermost one that says anything about it is named: that is where somebody looks first, and
 * what it does not say it takes over from the next one out. */
#include "model/rules_read.h"

void memo__put_route_path(struct memo__writer *w, const struct memo__service_rules *s, uint32_t route)
{
    memo__put_format(w, "services.%s.routes[%u]", s->name, route);
}

/* From the outermost layer to where the block's key is. */
static void put_layer(struct memo__writer *w, const struct memo__service_rules *s, uint32_t route, uint32_t from)
{
    if (from == MEMO__FROM_ROUTE)
        memo__put_route_path(w, s, route);
    else if (from == MEMO__FROM_SERVICE)
        memo__put_format(w, "services.%s", s->name);
    else if (from == MEMO__FROM_INBOUND)
        memo__put_text(w, "inbound");
    else
        memo__put_text(w, "defaults");
}

void memo__put_rule_path(struct memo__writer *w, const struct memo__service_rules *s, uint32_t route, enum memo__block block)
{
    uint32_t from = s->routes[route].from[block];
    if (from == MEMO__FROM_BUILT_IN)
        memo__put_format(w, "built-in %s", memo__defaults_block.keys[block].name);
    else if (from == MEMO__FROM_SETTING)
        memo__put_format(w, "setting default_%s", memo__defaults_block.keys[block].name);
    else {
        put_layer(w, s, route, from);
        memo__put_format(w, ".%s", memo__defaults_block.keys[block].name);
    }
}

void memo__put_limit_path(struct memo__writer *w, const struct memo__service_rules *s, uint32_t limit)
{
    const struct memo__limit_rule *l = &s->limits[limit];
    put_layer(w, s, l->from_route, l->from);
    memo__put_format(w, ".limits[%u]", l->from_index);
}
