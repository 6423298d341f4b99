/* How values of the WAL stand in JSON; see walship/base/json_fields.h. */
#pragma once

#include "walship/base/json_fields.h"
#include "walship/wal/lsn.h"

extern const JsonKind json_lsn; /* XLogRecPtr, "0/5000028"; unset: InvalidXLogRecPtr, null */

void json_add_lsn(Json *into, const char *name, XLogRecPtr lsn); /* null when it is invalid */
