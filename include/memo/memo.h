/* SPDX-License-Identifier: Apache-2.0 */
/* memo/memo.h: all of the core API. One header per noun; each may be included alone. */
#ifndef MEMO_MEMO_H
#define MEMO_MEMO_H
#include <memo/status.h>
#include <memo/version.h>
#include <memo/setting.h>
#include <memo/client.h>
#include <memo/service.h>
#include <memo/context.h>
#include <memo/call.h>
#include <memo/http.h>
#include <memo/inbound.h>
#include <memo/registration.h>
#include <memo/rules.h>
#include <memo/config.h>
#include <memo/event.h>
#include <memo/metrics.h>
#include <memo/log.h>
#endif
