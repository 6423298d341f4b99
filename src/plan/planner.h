/* What the files of the recovery planner share.  Nothing of it leaves the folder. */
#pragma once

#include "walship/archive/wal_facts.h"
#include "walship/archive/wal_path.h"
#include "walship/base/buf.h"
#include "walship/plan/recover.h"

typedef struct Planner
{
	const Catalog *catalog;
	const RecoveryRequest *request;
	WalFacts *facts;
	WalPath **paths; /* of every known timeline, ascending; owned */
	size_t n_paths;
} Planner;

/* WAL that a recovery along a path would need and does not get. */
typedef struct Hole
{
	TimeLineID timeline;
	XLogSegNo first;
	XLogSegNo last;
	bool damaged;          /* the segments are there, but cannot be replayed */
	XLogRecPtr minimal_at; /* ... for here wal_level became minimal; else InvalidXLogRecPtr */
	const char *proof; /* key of the partial or backup file behind it, where no segment is; the catalog's */
} Hole;

/* ---- indexes.c: what the indexes of a path tell ---- */

/* Of a segment that the path has. */
const SegmentIndex *planner_index(const Planner *planner, const WalPath *path, XLogSegNo segno);
const SegmentRecords *planner_records(const Planner *planner, const WalPath *path, XLogSegNo segno);

/* Likewise, for those who go down to "first" or up to "limit": the more they ask for, the more is read at once. */
const SegmentIndex *planner_index_down(const Planner *planner, const WalPath *path, XLogSegNo first,
                                       XLogSegNo segno);
const SegmentIndex *planner_index_up(const Planner *planner, const WalPath *path, XLogSegNo segno,
                                     XLogSegNo limit);

/* Where the chain begins that ends with this segment. */
XLogSegNo planner_chain_first(const WalPath *path, const SegmentIndex *segment);

/* Before which segment whoever looks, downwards, for what happened goes on: behind it up to this one nothing did. */
XLogSegNo planner_quiet_from(const WalPath *path, const SegmentIndex *segment);

/* The greatest time of commits from "first" to "last", where chains tell it, or TIME_NONE. */
TimeUs planner_time_high(const Planner *planner, const WalPath *path, XLogSegNo first, XLogSegNo last);

/* ---- segments.c: the segments of a path, one after the other ---- */

typedef enum NextSegment
{
	NEXT_IN_STORE,
	NEXT_IN_BACKUP, /* only the backup's own WAL has it */
	NEXT_IS_END,    /* the WAL of the path ends before it */
	NEXT_IS_HOLE,   /* it is missing, and there is more behind */
} NextSegment;

/* May replay, begun with this backup, go on into this segment?  By what the store has: nothing is read. */
NextSegment planner_next(const Planner *planner, const WalPath *path, const BackupRecord *backup,
                         XLogSegNo segno, Hole *ret_hole);

/* Behind the path's segment "segno": is there more, though the next one is missing? */
bool planner_gap_behind(const Planner *planner, const WalPath *path, XLogSegNo segno, Hole *ret_hole);

/*
 * The lowest segment from "first" to "last" in which the replay stops, because it
 * is damaged or ends in the middle.  Chains tell it from few indexes; "every": all are read.
 */
bool planner_find_barrier(const Planner *planner, const WalPath *path, XLogSegNo first, XLogSegNo last,
                          bool every, XLogSegNo *ret_segno);

/* Segments of a PostgreSQL that is not known: the server can replay them, but what happened in them cannot be read. */
typedef struct ForeignSegments
{
	XLogSegNo first;
	XLogSegNo last;
	uint64_t count; /* from first to last, others may lie between */
} ForeignSegments;

/*
 * Those of the path from "first" to "last"; false: there is none.  Asks only when
 * one was met already, as by whoever looked for barriers there: chains tell of both.
 */
bool planner_find_foreign(const Planner *planner, const WalPath *path, XLogSegNo first, XLogSegNo last,
                          ForeignSegments *ret_foreign);

/* The hole that a barrier is: NEXT_IS_END when there is nothing behind it.  At wal_level = minimal it never is an end. */
NextSegment planner_stop_at(const Planner *planner, const WalPath *path, XLogSegNo barrier, Hole *ret_hole);

/* False when a segment of [first, last] is missing, or one before "last" stops the replay. */
bool planner_covers(const Planner *planner, const WalPath *path, const BackupRecord *backup, XLogSegNo first,
                    XLogSegNo last, Hole *ret_hole);

/* The time of the last transaction in this segment or, if it is not too far away, before it; or TIME_NONE. */
TimeUs planner_last_time(const Planner *planner, const WalPath *path, XLogSegNo last);

/* The last place that a replay up to the end of this segment reaches. */
WalPlace planner_reach(const Planner *planner, const WalPath *path, XLogSegNo last);

/* ---- locate.c, locate_time.c: where on a path does the target lie? ---- */

typedef enum TargetFound
{
	TARGET_FOUND,
	TARGET_ABSENT,      /* not up to the end of the path's WAL */
	TARGET_BEHIND_HOLE, /* not before the hole */
} TargetFound;

typedef struct TargetSearch
{
	TargetFound found;

	/*
	 * Of TARGET_FOUND: segments on the way are foreign, so that only the server can
	 * find the target, in "last" at the latest, if it is there.
	 */
	bool by_server;
	WalPlace place; /* the record at which the server stops; only what is asked for when by_server */
	XLogSegNo
		last; /* TARGET_FOUND: the segment in which that record ends; else the last that can be replayed */
	Hole hole;
} TargetSearch;

/* A commit or an abort that the server reads to its end on this path? */
bool event_ends_transaction(const WalEvent *event);
WalPlace event_place(const WalPath *path, const WalEvent *event);

TargetSearch locate_time(const Planner *planner, const WalPath *path, const BackupRecord *backup);
TargetSearch locate_lsn(const Planner *planner, const WalPath *path);
TargetSearch locate_xid(const Planner *planner, const WalPath *path, XLogRecPtr from);

typedef struct NamedPoints
{
	WalPlace *places;
	size_t n_places;
	size_t capacity;
} NamedPoints;

/*
 * Adds every restore point of the wanted name, each once: by the indexes, or
 * ("hidden") those of which an index cannot tell the name, for it lies behind a segment's end.
 */
void locate_names(const Planner *planner, const WalPath *path, XLogRecPtr from, bool hidden,
                  NamedPoints *points);
TargetSearch locate_point(const Planner *planner, const WalPath *path, const WalPlace *point);

/* What was not found from "from" on may lie in foreign segments: TARGET_ABSENT, or TARGET_FOUND by_server. */
TargetSearch locate_by_server(const Planner *planner, const WalPath *path, XLogRecPtr from);

/* ---- transactions.c: what is included and what is not? ---- */

/* What a recovery replays ends here. */
typedef struct StopPoint
{
	XLogRecPtr lsn;    /* records that start before it are included */
	bool through;      /* ... and so is the first one that does not */
	XLogSegNo segno;   /* where that one starts */
	XLogSegNo highest; /* no segment after it is looked at for what is left out */
} StopPoint;

/*
 * The last commit or abort that is included, in the WAL or not far before the
 * backup, and the first that is not; TIME_NONE and no LSN where there is none.
 */
WalPlace planner_last_included(const Planner *planner, const WalPath *path, const BackupRecord *backup,
                               const StopPoint *stop);
WalPlace planner_first_excluded(const Planner *planner, const WalPath *path, const StopPoint *stop);

/* ---- candidates.c: which backup on this path? ---- */

typedef enum CandidateKind
{
	CANDIDATE_FOUND,
	CANDIDATE_BEYOND, /* a time after the end of the path's WAL */
	CANDIDATE_HOLE,
	CANDIDATE_NO_BACKUP,
	CANDIDATE_ABSENT, /* the target is not on this path */
} CandidateKind;

/* What a recovery along one path would be. */
typedef struct Candidate
{
	CandidateKind kind;
	const WalPath *path;
	const BackupRecord *backup; /* of CANDIDATE_HOLE: the newest one that meets the hole */
	TargetSearch target;
	XLogSegNo last; /* the last segment that is needed */
	RejectedBackup *rejected;
	size_t n_rejected;
	size_t capacity;
} Candidate;

void candidate_release(Candidate *candidate);

/* Backups of the catalog, those with the least replay first; an array of the caller's. */
const BackupRecord **candidates_sorted(const Catalog *catalog);

/* Why this backup can never be used on this path; NULL when it can.  The caller frees. */
char *candidate_objection(const Planner *planner, const WalPath *path, const BackupRecord *backup);

/* The oldest backup that can be used on this path (the wanted one, if one is wanted); NULL: none. */
const BackupRecord *candidates_oldest(const Planner *planner, const WalPath *path);

/* "target" is NULL for targets that are found from the backup on. */
Candidate candidates_choose(const Planner *planner, const WalPath *path, const TargetSearch *target);

/* ---- branches.c: which of several timelines? ---- */

/* Does no other timeline go on from this one's end, and has it WAL of its own? */
bool branch_is_leaf(const Planner *planner, const WalPath *path);

/* Do both give the same transactions? */
bool branch_same_place(const Planner *planner, const Candidate *a, const Candidate *b);

/* ---- explain.c: refusals ---- */

Error *explain_no_backups(const Planner *planner);
Error *explain_unknown_backup(const Planner *planner);
Error *explain_unknown_timeline(const Planner *planner);
Error *explain_future(const Planner *planner);
Error *explain_no_backup(const Planner *planner, const Candidate *candidates, size_t n_candidates);
Error *explain_hole(const Planner *planner, const Candidate *candidate);
Error *explain_absent(const Planner *planner, const Candidate *candidates, size_t n_candidates);
Error *explain_branches(const Planner *planner, const Candidate *const *candidates, size_t n_candidates);
Error *explain_names(const Planner *planner, const NamedPoints *points);
Error *explain_orphan(const CatalogTimeline *timeline);
Error *explain_damaged_history(const CatalogTimeline *timeline);
Error *explain_standby(const Candidate *candidate, TimeLineID newest);

/* "LSN 0/5000000", "2026-11-20 02:30:07+00 (LSN 0/5000000)" */
void explain_place(const WalPlace *place, Buf *into);
