/*
 * WAL that is needed and is not in the store.  Pure, like walship/plan/recover.h.
 *
 * What is needed: without a retention everything from the oldest backup of each path
 * on, for any of it may be asked for.  With one, what it promises: the ways of the
 * branches that have a moment in the window, and the own WAL of every backup that is
 * kept and does not bring it along.  What lies below was removed on purpose, or may be.
 */
#pragma once

#include <stddef.h>

#include "walship/archive/catalog.h"
#include "walship/archive/wal_facts.h"
#include "walship/archive/wal_path.h"
#include "walship/plan/retain.h"

typedef struct WalGap
{
	WalRange range;                /* all of them are missing */
	const BackupRecord *needed_by; /* the first backup whose recovery meets it; the catalog's */
} WalGap;

typedef struct WalGapList
{
	WalGap *items; /* by timeline and segment, ascending, not touching */
	size_t count;
	size_t capacity;
} WalGapList;

/* "retain": NULL without a retention.  Errors are those of the facts' source.  Release the list in any case. */
Error *plan_gaps(const Catalog *catalog, const RetainPlan *retain, WalFacts *facts, WalGapList *ret_gaps)
	MUST_CHECK;

/*
 * Why a gap cannot be called known: a backup needs it for itself, or nothing leads from behind it to the newest
 * timeline's end.  NULL: only what is lost anyway needs it.  "kept": of each backup, whether the retention keeps it;
 * NULL: all are.  The caller frees.
 */
char *wal_gap_objection(const Catalog *catalog, const bool *kept, const WalRange *gap);
void wal_gap_list_release(WalGapList *gaps);

#define AUTO_WAL_GAPS __attribute__((cleanup(wal_gap_list_release))) WalGapList
