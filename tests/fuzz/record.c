/* SPDX-License-Identifier: Apache-2.0 */
/* record.c: any bytes as a record of the file registry, as they are and with the right checksum put on them (which no mutation would find). What is accepted must be sound, and
 * written again and read again the same. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/hash.h"
#include "sources/record.h"
#include "target.h"

static struct memo__record one, two;
static char line[MEMO__RECORD_MOST + 64];

static void sound(const struct memo__record *r)
{
    char name[MEMO__RECORD_NAME_MOST];
    require(r->id[0] && memo__record_name(r->id, name, sizeof name) && memo__record_is_name(name));
    require(memo__address_numeric(r->address) && r->port && r->weight <= UINT16_MAX && r->ttl >= MEMO__MS && r->token && r->labels_count <= MEMO__LABELS_MAX);
    for (uint32_t i = 0; i < r->labels_count; i++)
        for (int k = 0; k < 2; k++)
            require(r->labels[i][k].at >= r->text && r->labels[i][k].at + r->labels[i][k].n < r->text + sizeof r->text && r->labels[i][k].n <= MEMO__VIEW_LABEL_MOST);
}

static void feed(const char *bytes, size_t n)
{
    const char *why = NULL;
    if (memo__record_parse(&one, (struct memo__text){ bytes, n }, &why) != MEMO_OK) {
        require(why != NULL);
        return;
    }
    sound(&one);
    size_t m = memo__record_write(&one, line, sizeof line);
    require(m > 0 && m <= n); /* a later version's fields are left out */
    require(memo__record_parse(&two, (struct memo__text){ line, m }, &why) == MEMO_OK);
    require(strcmp(one.id, two.id) == 0 && strcmp(one.zone, two.zone) == 0 && one.token == two.token && one.generation == two.generation && one.labels_count == two.labels_count);
    require(memo__owner_same(&one.owner, &two.owner));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static char sealed[MEMO__RECORD_MOST + 1];
    feed((const char *)data, n);
    while (n > 0 && (data[n - 1] == '\n' || data[n - 1] == '\0'))
        n--;
    const char *cut = n > 17 && memcmp(data + n - 17, " crc32c=", 8) == 0 ? (const char *)data + n - 17 : NULL;
    if (n > 16 && !cut && memcmp(data + n - 16, " crc32c=", 8) == 0)
        cut = (const char *)data + n - 16;
    size_t body = cut ? (size_t)(cut - (const char *)data) : n;
    if (body + 17 > MEMO__RECORD_MOST)
        return 0;
    memcpy(sealed, data, body);
    memcpy(sealed + body, " crc32c=", 8);
    snprintf(sealed + body + 8, 10, "%08x\n", memo__crc32c(0, sealed, body + 1));
    feed(sealed, body + 17);
    return 0;
}
