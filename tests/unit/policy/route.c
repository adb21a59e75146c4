/* SPDX-License-Identifier: Apache-2.0 */
/* route.c: conditions, first match, why not, splits, subsets, and finding the headers that are wanted. */
#include "policy/route.h"
#include <stdio.h>
#include "story.h"

static struct memo__service_rules rules;
static struct memo__route_rule routes[3];
static struct memo__text values[MEMO__WANTS_MAX];
static struct memo__route_facts facts;
static struct memo__route_why why;

static void begin(void)
{
    memset(&rules, 0, sizeof rules);
    memset(routes, 0, sizeof routes);
    memset(values, 0, sizeof values);
    for (int i = 0; i < 3; i++)
        routes[i].when.methods = MEMO__ANY_METHOD;
    rules.routes = routes;
    rules.routes_count = 3;
    rules.wants_count = 2;
    strcpy(rules.wants[0], "x-canary");
    strcpy(rules.wants[1], "x-region");
    facts = (struct memo__route_facts){ MEMO__GET, MEMO__TEXT("/todos/7?x=1"), 0, values };
}

static uint32_t match(void)
{
    facts.present = (values[0].at ? 1 : 0) | (values[1].at ? 2 : 0);
    return memo__route_match(&rules, &facts, &why);
}

static bool path(const char *pattern, enum memo__path_match how, const char *asked)
{
    routes[0].when.path_match = how;
    strcpy(routes[0].when.path, pattern);
    routes[0].when.path_bytes = (uint32_t)strlen(pattern);
    facts.path = (struct memo__text){ asked, asked ? strlen(asked) : 0 };
    uint32_t r = match();
    ck_assert(r == 0 ? why.no == MEMO__ROUTE_NONE : why.no == MEMO__ROUTE_PATH && why.want == MEMO__NO_INDEX);
    return r == 0;
}

START_TEST(methods)
{
    ck_assert_uint_eq(match(), 0);
    routes[0].when.methods = MEMO__GET | MEMO__HEAD;
    ck_assert_uint_eq(match(), 0);
    facts.method = MEMO__POST;
    ck_assert_uint_eq(match(), 1);
    ck_assert(why.no == MEMO__ROUTE_METHOD && why.route == 0);
    facts.method = 0;
    ck_assert_uint_eq(match(), 1);
    routes[1].when.methods = MEMO__PUT;
    ck_assert_uint_eq(memo__route_match(&rules, &facts, NULL), 2); /* the last always matches */
    rules.routes_count = 1;
    ck_assert_uint_eq(match(), 0);
    ck_assert(why.no == MEMO__ROUTE_NONE && why.want == MEMO__NO_INDEX);
}
END_TEST

START_TEST(paths)
{
    ck_assert(path("/todos/7", MEMO__PATH_EXACT, "/todos/7?x=1"));
    ck_assert(path("/todos/7", MEMO__PATH_EXACT, "/todos/7"));
    ck_assert(!path("/todos/7", MEMO__PATH_EXACT, "/todos/77"));
    ck_assert(!path("/todos/7", MEMO__PATH_EXACT, "/todos/"));
    ck_assert(path("/todos/", MEMO__PATH_PREFIX, "/todos/"));
    ck_assert(path("/todos/", MEMO__PATH_PREFIX, "/todos/7/x?y"));
    ck_assert(!path("/todos/", MEMO__PATH_PREFIX, "/todos"));
    ck_assert(!path("/todos/", MEMO__PATH_PREFIX, "/reports/7"));
    ck_assert(path("/", MEMO__PATH_EXACT, NULL));
    ck_assert(path("/", MEMO__PATH_PREFIX, "/?x"));
    ck_assert(!path("/", MEMO__PATH_EXACT, ""));
    char longer[300];
    memset(longer, 'a', sizeof longer);
    longer[0] = '/';
    longer[299] = '\0';
    ck_assert(!path("/todos/7", MEMO__PATH_EXACT, longer));
}
END_TEST

START_TEST(headers)
{
    routes[0].when.headers_count = 2;
    routes[0].when.headers[0] = (struct memo__when_header){ 0, 1, "1" };
    routes[0].when.headers[1] = (struct memo__when_header){ 1, 2, "eu" };
    ck_assert_uint_eq(match(), 1);
    ck_assert(why.no == MEMO__ROUTE_HEADER_ABSENT && why.want == 0 && why.route == 0);
    values[0] = MEMO__TEXT("1");
    values[1] = MEMO__TEXT("eux");
    ck_assert_uint_eq(match(), 1);
    ck_assert(why.no == MEMO__ROUTE_HEADER_DIFFERS && why.want == 1);
    values[1] = MEMO__TEXT("e");
    ck_assert_uint_eq(match(), 1);
    values[1] = MEMO__TEXT("us");
    ck_assert_uint_eq(match(), 1);
    values[1] = MEMO__TEXT("");
    ck_assert_uint_eq(match(), 1);
    ck_assert_int_eq(why.no, MEMO__ROUTE_HEADER_DIFFERS);        /* empty is not absent */
    values[1] = MEMO__TEXT("eu");
    ck_assert_uint_eq(match(), 0);
    ck_assert(why.no == MEMO__ROUTE_NONE && why.want == MEMO__NO_INDEX);
    values[0] = (struct memo__text){ "1\0", 2 };                 /* a NUL inside is part of it */
    ck_assert_uint_eq(match(), 1);
    routes[0].when.headers[0] = (struct memo__when_header){ 0, 0, "" }; /* what is asked for may be empty */
    ck_assert_uint_eq(match(), 1);
    values[0] = MEMO__TEXT("");
    ck_assert_uint_eq(match(), 0);
}
END_TEST

/* The reason is kept for the first route, not for those behind it. */
START_TEST(first_reason)
{
    routes[0].when.methods = MEMO__POST;
    routes[1].when.headers_count = 1;
    routes[1].when.headers[0] = (struct memo__when_header){ 1, 2, "eu" };
    ck_assert_uint_eq(match(), 2);
    ck_assert(why.no == MEMO__ROUTE_METHOD && why.route == 0 && why.want == MEMO__NO_INDEX);
}
END_TEST

START_TEST(splits)
{
    uint32_t got[3] = { 0 };
    uint64_t state = 1;
    ck_assert_uint_eq(memo__route_split(&routes[0], 7), MEMO__NO_INDEX);
    routes[0].split_count = 3;
    routes[0].split_weight = 100;
    routes[0].split[0] = (struct memo__split){ 0, 90 };
    routes[0].split[1] = (struct memo__split){ 1, 0 };
    routes[0].split[2] = (struct memo__split){ MEMO__NO_INDEX, 10 };
    for (int i = 0; i < 100000; i++) {
        uint32_t subset = memo__route_split(&routes[0], memo__draw_next(&state));
        got[subset == MEMO__NO_INDEX ? 2 : subset]++;
    }
    ck_assert(got[1] == 0 && got[2] > 9700 && got[2] < 10300);
    routes[0].split_weight = 0;                                  /* all weights 0: the first */
    ck_assert_uint_eq(memo__route_split(&routes[0], 7), 0);
}
END_TEST

static const char *label(const void *endpoint, const char *name)
{
    return strcmp(name, "version") == 0 ? endpoint : strcmp(name, "zone") == 0 ? "a" : NULL;
}

START_TEST(subsets)
{
    struct memo__subset s = { 0 };
    ck_assert(memo__subset_matches(&s, label, "v1"));            /* no condition */
    s.labels_count = 1;
    s.labels[0] = (struct memo__label){ "version", "v2" };
    ck_assert(memo__subset_matches(&s, label, "v2"));
    ck_assert(!memo__subset_matches(&s, label, "v1"));
    s.labels_count = 2;
    s.labels[1] = (struct memo__label){ "zone", "a" };
    ck_assert(memo__subset_matches(&s, label, "v2"));
    s.labels[1] = (struct memo__label){ "rack", "a" };
    ck_assert(!memo__subset_matches(&s, label, "v2"));
}
END_TEST

static uint32_t find(const struct memo__wants *w, const char *name)
{
    return memo__wants_index(w, &rules, (struct memo__text){ name, strlen(name) });
}

START_TEST(wants)
{
    struct memo__wants w;
    memo__wants_init(&w, &rules);
    ck_assert_uint_eq(find(&w, "x-canary"), 0);
    ck_assert_uint_eq(find(&w, "X-Region"), 1);
    ck_assert_uint_eq(find(&w, "x-canarz"), MEMO__NO_INDEX);
    ck_assert_uint_eq(find(&w, "x-caxary"), MEMO__NO_INDEX);     /* the same hash */
    ck_assert_uint_eq(find(&w, "accept"), MEMO__NO_INDEX);       /* no name is so long */
    ck_assert_uint_eq(find(&w, ""), MEMO__NO_INDEX);
    char longer[200];
    memset(longer, 'x', sizeof longer);
    longer[72] = '\0';                                           /* 72 is 8 in the mask, if it were asked */
    ck_assert_uint_eq(find(&w, longer), MEMO__NO_INDEX);
}
END_TEST

/* Sixteen names with the same length and ends: one chain. And an empty one, which no header has. */
START_TEST(wants_in_a_chain)
{
    struct memo__wants w;
    char name[16];
    rules.wants_count = MEMO__WANTS_MAX;
    for (uint32_t i = 0; i < MEMO__WANTS_MAX; i++)
        snprintf(rules.wants[i], sizeof rules.wants[i], "x-%02u-y", i);
    rules.wants[9][0] = '\0';
    strcpy(rules.wants[8], "a-long-name-of-another-length-and-some-more-of-it-up-to-63-byte");
    memo__wants_init(&w, &rules);
    for (uint32_t i = 0; i < MEMO__WANTS_MAX; i++) {
        snprintf(name, sizeof name, "X-%02u-Y", i);
        ck_assert_uint_eq(find(&w, name), i == 8 || i == 9 ? MEMO__NO_INDEX : i);
    }
    ck_assert_uint_eq(strlen(rules.wants[8]), 63);
    ck_assert_uint_eq(find(&w, rules.wants[8]), 8);
}
END_TEST

/* Two names of different lengths do not stand in one chain. */
START_TEST(wants_of_other_lengths)
{
    struct memo__wants w;
    strcpy(rules.wants[0], "a--h");
    strcpy(rules.wants[1], "a---a");
    memo__wants_init(&w, &rules);
    ck_assert(w.first[4] == 1 && w.first[5] == 2 && w.next[0] == 0 && w.next[1] == 0);
    ck_assert_uint_eq(find(&w, "A--H"), 0);
    ck_assert_uint_eq(find(&w, "A---A"), 1);
}
END_TEST

/* Every length, every byte of it: the other case is the same, one bit off is not, and what is no letter has no case ('^' and '~', '-' and a
 * carriage return differ by its bit alone). */
START_TEST(wants_of_every_length)
{
    struct memo__wants w;
    char name[MEMO__NAME_MAX];
    rules.wants_count = 1;
    for (size_t n = 1; n < MEMO__NAME_MAX; n++) {
        memset(rules.wants[0], 0, sizeof rules.wants[0]);
        for (size_t i = 0; i < n; i++)
            rules.wants[0][i] = "abmyz-^09_~.`|"[(i * 5 + n) % 14];
        memo__wants_init(&w, &rules);
        for (size_t i = 0; i < n; i++) {
            char c = rules.wants[0][i];
            bool letter = c >= 'a' && c <= 'z';
            strcpy(name, rules.wants[0]);
            ck_assert_uint_eq(find(&w, name), 0);
            name[i] = (char)(c ^ 0x20);
            ck_assert_uint_eq(memo__wants_find(&w, &rules, (struct memo__text){ name, n }), letter ? 0 : MEMO__NO_INDEX);
            for (int bit = 0; bit < 8; bit++) {
                if (bit == 5)
                    continue;
                name[i] = (char)(c ^ 1 << bit);
                ck_assert_uint_eq(memo__wants_find(&w, &rules, (struct memo__text){ name, n }), MEMO__NO_INDEX);
            }
        }
    }
}
END_TEST

Suite *suite_policy_route(void)
{
    Suite *s = suite_create("policy/route");
    TCase *t = tcase_create("route");
    tcase_add_checked_fixture(t, begin, NULL);
    tcase_add_test(t, methods);
    tcase_add_test(t, paths);
    tcase_add_test(t, headers);
    tcase_add_test(t, first_reason);
    tcase_add_test(t, splits);
    tcase_add_test(t, subsets);
    tcase_add_test(t, wants);
    tcase_add_test(t, wants_in_a_chain);
    tcase_add_test(t, wants_of_other_lengths);
    tcase_add_test(t, wants_of_every_length);
    suite_add_tcase(s, t);
    return s;
}
