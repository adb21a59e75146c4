/* SPDX-License-Identifier: Apache-2.0 */
/* record.h: one instance as one line, as the file registry writes it down.
 *
 *   memo1 id=a1 address=127.0.0.1 port=8080 weight=100 zone= labels=version=v2,scheme=http ttl=15000 token=17 generation=42
 *         boot=0f3c... pidns=4026531836 timens=4026531834 pid=4711 start=123456 holder=00c0ffee00c0ffee crc32c=1a2b3c4d\n
 *
 * (one line, single blanks, this order). Texts are percent-encoded; fields unknown to this version may stand before crc32c and are skipped; another first word is another
 * version. The checksum covers everything before "crc32c=". */
#ifndef MEMO__SOURCES_RECORD_H
#define MEMO__SOURCES_RECORD_H
#include <memo/status.h>
#include "model/view.h"
#include "sources/owner.h"

#define MEMO__RECORD_MOST 53248          /* bytes of a line: 32 labels of twice 255 bytes, every one escaped, and the rest */
#define MEMO__RECORD_NAME_MOST 194       /* bytes of a file name: 63 escaped bytes and ".rec", and its NUL */

struct memo__record {
    char id[MEMO__VIEW_ID_MOST + 1], address[MEMO__VIEW_ADDRESS_MOST + 1], zone[MEMO__VIEW_ID_MOST + 1];
    uint16_t port;
    uint32_t weight;
    int64_t ttl;                         /* ns */
    uint64_t token;                      /* of the registration; a change keeps it */
    uint64_t generation;                 /* of the service, when this line was committed */
    struct memo__owner owner;
    uint32_t labels_count;
    struct memo__text labels[MEMO__LABELS_MAX][2];   /* into text */
    char text[MEMO__LABELS_MAX * 2 * (MEMO__VIEW_LABEL_MOST + 1)];
};

/* MEMO_OK, or MEMO_E_PROTOCOL: not such a line; *why says what is wrong with it. Never reads past line.n; r may hold half a record afterwards. */
memo_status memo__record_parse(struct memo__record *r, struct memo__text line, const char **why);
/* Writes the line with its end; bytes, or 0 if it does not fit or holds what a record cannot. */
size_t memo__record_write(const struct memo__record *r, char *line, size_t size);
/* Copies labels into r; false: too many or too long. */
bool memo__record_set_labels(struct memo__record *r, const char *(*labels)[2], uint32_t count);
/* The name of an id's file: "a1.rec". False: not an id. */
bool memo__record_name(const char *id, char *name, size_t size);
bool memo__record_is_name(const char *name); /* does it end as one? */
bool memo__address_numeric(const char *address); /* IPv4 or IPv6, as text */
#endif
