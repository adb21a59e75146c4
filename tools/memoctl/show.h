/* SPDX-License-Identifier: Apache-2.0 */
/* show.h: an endpoint and a view, as `instances` and `watch` print them. */
#ifndef MEMOCTL_SHOW_H
#define MEMOCTL_SHOW_H
#include <memo/service.h>
#include "print.h"

/* "version=v2 zone-id=7", for the labels that people look for: the API asks by key, so these are the keys that --label named, else the common ones.
 * */
void show_labels(const memo_view *v, uint32_t i, const struct args *a, char *buf, size_t n);
/* Do both have the same of those labels? */
bool show_same_labels(const memo_view *v, uint32_t i, const memo_view *other, uint32_t k, const struct args *a);
void show_json_endpoint(struct print_json *j, const char *key, const memo_view *v, uint32_t i, const memo_endpoint *e, const struct args *a);
void show_json_facts(struct print_json *j, const memo_view_facts *f);
/* "127.0.0.1:8080" or "[::1]:8080" */
void show_address(const memo_endpoint *e, char *buf, size_t n);
/* "age <= 0.4 s", "age not proven" */
void show_age(int64_t age_max_ms, char *buf, size_t n);
#endif
