/* proof/<TIME>-<kind>.json: what runs did or found, written once (docs/format.md). */
#pragma once

#include <stdint.h>

#include "walship/base/clock.h"
#include "walship/base/error.h"
#include "walship/base/json_fields.h"
#include "walship/base/strs.h"
#include "walship/store/store.h"

#define EVIDENCE_TRIES_MAX 100 /* one a second: so many others may write theirs at the same time */

/* A key is a second: what is the second of this kind within one has the next one's. */
Error *evidence_put(Store *store, uint64_t system_identifier, TimeUs time, const char *kind,
                    const JsonTable *table, const void *object) MUST_CHECK;

/* Keys of this kind, oldest first. */
Error *evidence_keys(Store *store, uint64_t system_identifier, const char *kind, StrList *ret_keys)
	MUST_CHECK;
