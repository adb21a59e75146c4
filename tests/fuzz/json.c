/* SPDX-License-Identifier: Apache-2.0 */
/* json.c: any bytes as JSON. What is accepted must be a sound tree, and written again and read again the same tree. */
#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "target.h"

static void write_node(struct memo__json_out *o, const struct memo__json *j, const struct memo__json_node *n, const char *key)
{
    char number[64];
    switch (n->type) {
    case MEMO__JSON_NULL: memo__json_put_null(o, key); return;
    case MEMO__JSON_BOOL: memo__json_put_bool(o, key, n->truth); return;
    case MEMO__JSON_TEXT: memo__json_put_text(o, key, memo__json_text(j, n)); return;
    case MEMO__JSON_NUMBER: memo__json_put_raw(o, key, memo__text_copy(number, sizeof number, memo__json_text(j, n)) ? number : "0"); return;
    default: break;
    }
    memo__json_open(o, key, n->type == MEMO__JSON_ARRAY ? '[' : '{');
    for (const struct memo__json_node *m = memo__json_first(j, n); m; m = memo__json_next(j, m)) {
        require(m > n && m < j->nodes + j->count);
        write_node(o, j, m, n->type == MEMO__JSON_OBJECT ? memo__json_key(j, m).at : NULL); /* keys have no NUL inside, and one behind */
    }
    memo__json_close(o);
}

static void check_nodes(const struct memo__json *j)
{
    for (uint32_t i = 0; i < j->count; i++) {
        const struct memo__json_node *n = &j->nodes[i];
        int64_t whole;
        double d;
        require(n->at < j->raw.n && (size_t)n->text + n->bytes <= j->raw.n && (size_t)n->key + n->key_bytes <= j->raw.n && (n->next == 0 || (n->next > i && n->next < j->count)));
        require(memo__utf8_valid(memo__json_text(j, n)) && memo__utf8_valid(memo__json_key(j, n)) && !memchr(memo__json_key(j, n).at, '\0', n->key_bytes));
        if (memo__json_int(j, n, &whole) && memo__json_double(j, n, &d))
            require((whole < 0) == (d < 0) || whole == 0);
    }
}

static void round_trip(const struct memo__json *j, bool doubles)
{
    struct memo__json_options o = { .doubles = doubles };
    struct memo__json_out out;
    struct memo__writer w;
    struct memo__json *again;
    size_t room = 8 * j->raw.n + 64;
    char *text = malloc(room);
    if (!text)
        return;
    memo__writer_init(&w, text, room);
    memo__json_begin(&out, &w);
    write_node(&out, j, memo__json_root(j), NULL);
    require(memo__writer_end(&w) && out.depth == 0);
    require(memo__json_parse(&memo__alloc_libc, (struct memo__text){ text, w.need }, &o, &again, NULL) == MEMO_OK && again->count == j->count);
    for (uint32_t i = 0; i < j->count; i++) {
        require(again->nodes[i].type == j->nodes[i].type && again->nodes[i].next == j->nodes[i].next && again->nodes[i].count == j->nodes[i].count);
        require(memo__text_same(memo__json_key(again, &again->nodes[i]), memo__json_key(j, &j->nodes[i])) && again->nodes[i].again == j->nodes[i].again);
        require(j->nodes[i].type == MEMO__JSON_NUMBER || memo__text_same(memo__json_text(again, &again->nodes[i]), memo__json_text(j, &j->nodes[i])));
    }
    memo__json_free(again);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    for (int options = 0; options < 4; options++) {
        struct memo__json_options o = { .comments = options & 1, .doubles = options & 2 };
        memo_error e = MEMO_INIT(memo_error);
        struct memo__json *j;
        char *exact = malloc(n ? n : 1); /* so that a sanitizer sees one byte too far */
        if (!exact)
            return 0;
        if (n)
            memcpy(exact, data, n);
        memo_status s = memo__json_parse(&memo__alloc_libc, (struct memo__text){ exact, n }, &o, &j, &e);
        require(s == MEMO_OK ? j != NULL : s == MEMO_E_PROTOCOL && !j && e.line >= 1 && e.column >= 1 && e.message[0]);
        if (s == MEMO_OK) {
            check_nodes(j);
            round_trip(j, o.doubles);
            memo__json_free(j);
        }
        free(exact);
    }
    return 0;
}
