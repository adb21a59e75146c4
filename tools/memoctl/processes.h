/* SPDX-License-Identifier: Apache-2.0 */
/* processes.h: the processes of this user that speak libmemo, found by their 0600 sockets in the runtime directory: NAME-PID.sock. */
#ifndef MEMOCTL_PROCESSES_H
#define MEMOCTL_PROCESSES_H
#include <stdint.h>
#include <sys/types.h>

#define PROCESSES_MAX 256

struct process { char name[192]; char path[512]; pid_t pid; };

/* $XDG_RUNTIME_DIR/memo, else /run/memo. */
void processes_directory(char *buf, size_t n);
/* How many were found, at most PROCESSES_MAX, sorted by pid; dead ones and those of other users are left out. Missing directory: 0.
 * The socket that MEMO_ADMIN_SOCKET names belongs to them, too, wherever it is. */
uint32_t processes_find(struct process *out);
#endif
