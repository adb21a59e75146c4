/* SPDX-License-Identifier: Apache-2.0 */
/* rules_read.c: docs/rules.schema.json and the reader's tables of keys say the same: keys in both directions, what is reserved, and ranges. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "model/rules_read.h"
#include "tests/unit/model/docs.h"

static const struct memo__json *schema;
static int keys_compared, ranges_compared;

static const struct memo__json_node *member(const struct memo__json_node *n, const char *name)
{
    return memo__json_find(schema, n, name);
}

static void compare_range(const struct memo__rules_key *key, const struct memo__json_node *n)
{
    const struct memo__json_node *range = member(n, "x-range"), *least = member(n, "minimum"), *most = member(n, "maximum");
    int64_t a = key->least, b = key->most;
    uint32_t low = 0, high = 0;
    if (key->read == memo__read_duration) {
        ck_assert_msg(range && range->count == 2, "%s has no x-range", key->name);
        ck_assert(memo__parse_duration(memo__json_text(schema, memo__json_first(schema, range)), &a));
        ck_assert(memo__parse_duration(memo__json_text(schema, memo__json_next(schema, memo__json_first(schema, range))), &b));
    } else if (key->read == memo__read_share || (range && key->most == 1000000)) {
        ck_assert_msg(range && range->count == 2, "%s has no x-range", key->name);
        ck_assert(memo__parse_share(memo__json_text(schema, memo__json_first(schema, range)), &low));
        ck_assert(memo__parse_share(memo__json_text(schema, memo__json_next(schema, memo__json_first(schema, range))), &high));
        a = low;
        b = high;
    } else if (key->read == memo__read_count || key->read == memo__read_count64) {
        ck_assert_msg(least && most, "%s has no range", key->name);
        ck_assert(memo__json_int(schema, least, &a) && memo__json_int(schema, most, &b));
    } else
        return;
    ck_assert_msg(a == key->least && b == key->most, "%s: the schema says %lld to %lld, the reader %lld to %lld", key->name, (long long)a, (long long)b, (long long)key->least, (long long)key->most);
    ranges_compared++;
}

static void compare_words(const struct memo__rules_key *key, const struct memo__json_node *n)
{
    const struct memo__json_node *words = member(n, "enum"), *w;
    uint32_t i = 0;
    if (!key->words)
        return;
    ck_assert_msg(words != NULL, "%s has no enum", key->name);
    for (w = memo__json_first(schema, words); w; w = memo__json_next(schema, w), i++)
        ck_assert_msg(key->words[i] && memo__text_is(memo__json_text(schema, w), key->words[i]), "%s: another word", key->name);
    ck_assert_ptr_null(key->words[i]);
}

static const struct memo__rules_key *find(const struct memo__rules_block *b, struct memo__text name)
{
    for (uint32_t i = 0; i < b->count; i++)
        if (memo__text_is(name, b->keys[i].name))
            return &b->keys[i];
    return NULL;
}

static void compare(const struct memo__rules_block *b, const struct memo__json_node *object, const char *path)
{
    const struct memo__json_node *properties = member(object, "properties");
    ck_assert_msg(properties != NULL, "%s", path);
    for (const struct memo__json_node *p = memo__json_first(schema, properties); p; p = memo__json_next(schema, p))
        ck_assert_msg(find(b, memo__json_key(schema, p)) != NULL, "%s.%.*s is in the schema, not in the reader", path, (int)p->key_bytes, memo__json_key(schema, p).at);
    for (uint32_t i = 0; i < b->count; i++) {
        const struct memo__rules_key *key = &b->keys[i];
        const struct memo__json_node *p = member(properties, key->name), *whole = schema_resolve(schema, p);
        char deeper[200];
        ck_assert_msg(p != NULL, "%s.%s is in the reader, not in the schema", path, key->name);
        ck_assert_msg(member(p, "description") || member(whole, "description"), "%s.%s has no description", path, key->name);
        ck_assert_msg((key->read == NULL) == (member(whole, "x-reserved") != NULL), "%s.%s: reserved or not?", path, key->name);
        compare_range(key, whole);
        compare_words(key, whole);
        keys_compared++;
        if (!key->block)
            continue;
        snprintf(deeper, sizeof deeper, "%s.%s", path, key->name);
        compare(key->block, schema_inside(schema, p), deeper);
    }
}

START_TEST(schema_and_reader_agree)
{
    struct schema loaded = schema_load();
    schema = loaded.json;
    compare(&memo__document_block, memo__json_root(schema), "");
    ck_assert_int_ge(keys_compared, 90);
    ck_assert_int_ge(ranges_compared, 40);
    schema_free(&loaded);
}
END_TEST

/* Every value that can be said names its equivalents elsewhere, or null. */
static void equivalents(const struct memo__json_node *n, const char *name)
{
    static const char *const peers[] = { "grpc-service-config", "resilience4j", "envoy", "sentinel" };
    const struct memo__json_node *e = member(n, "x-equivalents");
    for (size_t i = 0; e && i < 4; i++)
        ck_assert_msg(member(e, peers[i]) != NULL, "%s: what is it in %s?", name, peers[i]);
}

START_TEST(equivalents_are_complete)
{
    uint32_t found = 0;
    struct schema loaded = schema_load();
    schema = loaded.json;
    for (uint32_t i = 0; i < schema->count; i++)
        if (schema->nodes[i].type == MEMO__JSON_OBJECT && member(&schema->nodes[i], "x-equivalents")) {
            equivalents(&schema->nodes[i], "a key");
            found++;
        }
    ck_assert_uint_ge(found, 35);
    schema_free(&loaded);
}
END_TEST

START_TEST(the_documentation_is_of_this_schema)
{
    rules_docs_agree();
}
END_TEST

START_TEST(examples_compile)
{
    rules_examples_compile();
}
END_TEST

Suite *suite_model_rules_read(void);
Suite *suite_model_rules_read(void)
{
    Suite *s = suite_create("model/rules_read");
    TCase *c = tcase_create("rules_read");
    tcase_add_test(c, schema_and_reader_agree);
    tcase_add_test(c, equivalents_are_complete);
    tcase_add_test(c, the_documentation_is_of_this_schema);
    tcase_add_test(c, examples_compile);
    suite_add_tcase(s, c);
    return s;
}
