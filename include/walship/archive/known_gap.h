/*
 * gap/<FIRST>-<LAST>.json: somebody knows that these WAL segments are missing or damaged
 * for good, and need not be told again (docs/format.md).
 */
#pragma once

#include <stddef.h>

#include "walship/base/clock.h"
#include "walship/base/error.h"
#include "walship/base/strs.h"
#include "walship/store/store.h"

#define KNOWN_GAP_NOTE_MAX 4096

typedef struct KnownGap
{
	char *first; /* names of segments of one timeline */
	char *last;
	TimeUs time; /* when it was acknowledged, by that machine's clock */
	char *note;  /* NULL: none */
} KnownGap;

typedef struct KnownGapList
{
	KnownGap *items; /* by first segment */
	size_t count;
	size_t capacity;
	StrList damaged; /* pairs of a key and why that cannot be read */
} KnownGapList;

void known_gap_list_release(KnownGapList *gaps);

/* ERR_EXISTS when just this gap is known already. */
Error *known_gap_write(Store *store, uint64_t system_identifier, const KnownGap *gap) MUST_CHECK;

/* One that cannot be read, or is of another gap than its name says, does not count: then the gap is told again. */
Error *known_gap_list_read(Store *store, uint64_t system_identifier, KnownGapList *ret_gaps) MUST_CHECK;
