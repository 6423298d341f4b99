/* Looks through the WAL in the store for what happened in it: by the indexes first, then in the segments themselves. */
#pragma once

#include "walship/archive/catalog.h"
#include "walship/archive/wal_facts.h"
#include "walship/base/error.h"
#include "walship/base/strs.h"
#include "walship/plan/drops.h"

/* More are refused: nobody reads them, and a program can ask in parts. */
#define FINDINGS_MAX 200000

typedef enum SearchKind
{
	SEARCH_DROPS, /* of relations and databases */
	SEARCH_REWRITES,
	SEARCH_DROPS_AND_REWRITES, /* both */
	SEARCH_RESTORE_POINTS,
	SEARCH_COMMITS,
} SearchKind;

typedef struct SearchRequest
{
	SearchKind kind;
	TimeLineID timeline; /* only the way to this one; 0: all timelines */
	TimeUs since;        /* both inclusive; TIME_NONE: unlimited */
	TimeUs until;
	int jobs;
} SearchRequest;

typedef struct Finding
{
	TimeLineID timeline;
	XLogRecPtr lsn;    /* of the record; of a dropped database the one at which its files go */
	TransactionId xid; /* 0 of a restore point */
	TimeUs time;
	char *name;             /* of a restore point; owned */
	WalWritten written;     /* of commits: with its subtransactions, in the segments that were read */
	DroppedObjects dropped; /* of drops and rewrites */
} Finding;

/* Where the WAL of a timeline ends in the store: what is newer cannot be found. */
typedef struct WalEnd
{
	TimeLineID timeline;
	XLogRecPtr lsn;
	TimeUs time; /* of the last commit or abort; TIME_NONE: not known, or far before it */
} WalEnd;

typedef struct Findings
{
	Finding *items; /* ascending by timeline and LSN, each once; owned */
	size_t count;
	size_t capacity;
	WalEnd *ends; /* of the timelines that were looked through, ascending; owned */
	size_t n_ends;
	size_t ends_capacity;
	size_t rewrites;  /* that a search for drops met on the way, in the same range of time */
	StrList warnings; /* sentences: where the search could not look */
} Findings;

/* "facts" are those of the catalog's store.  Release the findings in any case. */
Error *search_run(WalFacts *facts, const Catalog *catalog, const SearchRequest *request, Findings *findings)
	MUST_CHECK;
void findings_release(Findings *findings);
