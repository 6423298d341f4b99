/* One segment of a search: what its index promises, and what its records are.  The functions are jobs of a pool. */
#pragma once

#include "walship/base/error.h"
#include "walship/plan/find_ways.h"
#include "walship/store/store.h"
#include "walship/wal/index.h"

typedef struct SearchSource
{
	Store *store;
	const AgeIdentities *identities; /* NULL: nothing can be decrypted */
	uint64_t system_identifier;
	uint32_t segment_size;
	bool (*wants)(WalEventKind kind); /* which events are kept */
} SearchSource;

typedef struct SegmentDigest
{
	bool known;
	bool readable; /* false: the object is damaged, nothing below is known */
	bool damaged;  /* one of its records is, and what comes after it is not known */
	int major;
	uint64_t commits;
	uint64_t drops; /* commits that dropped files, and dropped databases */
	uint64_t files_created;
	uint64_t restore_points;
	WalRestorePoint *listed_points; /* all of them, or NULL; owned */
	bool crosses;                   /* a record of interest goes on in the next segment */
	TimeUs min_time;                /* of commits and aborts */
	TimeUs max_time;
	TimeUs time_high; /* of them, and of all segments before it from run_first on */
	XLogSegNo run_first;
} SegmentDigest;

/* What a search needs of a WalEvent: a segment may have a million of them. */
typedef struct SeenEvent
{
	WalEventKind kind;
	TransactionId xid;
	XLogRecPtr lsn;
	TimeUs time;
	WalRelation relation;
	uint32_t statistics_kind;
	bool cut;   /* its end is not known */
	char *name; /* of a restore point; owned */
} SeenEvent;

typedef struct SegmentRead
{
	const SearchSource *source;
	const FindSegment *where;
	SegmentDigest digest;
	bool wanted;
	SeenEvent *events; /* owned */
	size_t n_events;
	size_t capacity;
} SegmentRead;

/* A damaged or vanished object is a finding, too; the store's other errors are errors. */
Error *segment_read_index(void *read) MUST_CHECK;
Error *segment_read_events(void *read) MUST_CHECK;

void segment_read_drop_events(SegmentRead *read);
void segment_read_release(SegmentRead *read);
