/* What the files of the recovery planner share.  Nothing of it leaves the folder. */
#pragma once

#include "path.h"
#include "walship/base/buf.h"
#include "walship/plan/recover.h"

typedef struct Planner
{
	const Catalog *catalog;
	const RecoveryRequest *request;
	const WalFacts *facts;
	WalNeeds *needs;
	Path **paths; /* of every known timeline, ascending; owned */
	size_t n_paths;
} Planner;

/* WAL that a recovery along a path would need and does not get. */
typedef struct Hole
{
	TimeLineID timeline;
	XLogSegNo first;
	XLogSegNo last;
	bool damaged;      /* the segments are there, but cannot be replayed */
	const char *proof; /* key of the partial or backup file behind it, where no segment is; the catalog's */
} Hole;

/* ---- segments.c: the segments of a path, one after the other ---- */

/* Facts of a segment that the path has; NULL: unknown, and now among the needs. */
const SegmentFacts *planner_segment(const Planner *planner, const Path *path, XLogSegNo segno);
const SegmentDetail *planner_detail(const Planner *planner, const Path *path, XLogSegNo segno);

typedef enum Step
{
	STEP_STORE,  /* the store has it */
	STEP_BACKUP, /* only the backup's own WAL has it */
	STEP_END,    /* the WAL of the path ends before it */
	STEP_HOLE,   /* it is missing, or what is before it cannot be replayed, and there is more behind */
} Step;

/* May replay, begun with this backup, go on into this segment? */
Step planner_step(const Planner *planner, const Path *path, const BackupRecord *backup, XLogSegNo segno,
                  Hole *ret_hole);

/* Behind the path's segment "segno": is there more, though the next one is missing? */
bool planner_gap_behind(const Planner *planner, const Path *path, XLogSegNo segno, Hole *ret_hole);

/* False when a segment of [first, last] stops the replay. */
bool planner_covers(const Planner *planner, const Path *path, const BackupRecord *backup, XLogSegNo first,
                    XLogSegNo last, Hole *ret_hole);

/* The last place that a replay up to the end of this segment reaches.  False: facts are missing. */
bool planner_reach(const Planner *planner, const Path *path, XLogSegNo last, WalPlace *ret_place);

/* ---- runs.c: what few indexes tell of many segments ---- */

/*
 * As planner_segment(), for those who go down to "first" or up to "limit": where
 * indexes tell of nothing but their own segment, many are asked for at once.
 */
const SegmentFacts *planner_segment_below(const Planner *planner, const Path *path, XLogSegNo first,
                                          XLogSegNo segno);
const SegmentFacts *planner_segment_above(const Planner *planner, const Path *path, XLogSegNo segno,
                                          XLogSegNo limit);

/* Where the run begins that ends with this segment. */
XLogSegNo planner_run_first(const Path *path, const SegmentFacts *segment);

/* Is everything known that stops a replay or changes parameters from "first" to "last"?  False: facts are missing. */
bool planner_know_barriers(const Planner *planner, const Path *path, XLogSegNo first, XLogSegNo last);

/* The greatest time of commits from "first" to "last", where runs tell it, or TIME_NONE.  False: facts are missing. */
bool planner_time_high(const Planner *planner, const Path *path, XLogSegNo first, XLogSegNo last,
                       TimeUs *ret_time);

/* ---- locate.c: where on a path does the target lie? ---- */

typedef enum Found
{
	FOUND_YES,
	FOUND_NO,   /* not up to the end of the path's WAL */
	FOUND_HOLE, /* not before the hole */
	FOUND_UNKNOWN,
} Found;

typedef struct Location
{
	Found found;
	WalPlace place; /* the record at which the server stops */
	bool continues; /* it may end in the next segment, which the path has */
	XLogSegNo end;  /* FOUND_NO, FOUND_HOLE: the last segment that can be replayed */
	Hole hole;
} Location;

/* Does the server read the whole record, on this path, and is it a commit or an abort? */
bool landmark_ends_transaction(const Path *path, XLogSegNo segno, const WalLandmark *landmark);
WalPlace landmark_place(const Path *path, XLogSegNo segno, const WalLandmark *landmark);

Location locate_time(const Planner *planner, const Path *path, const BackupRecord *backup);
Location locate_lsn(const Planner *planner, const Path *path);
Location locate_xid(const Planner *planner, const Path *path, XLogRecPtr from);

typedef struct NamedPoints
{
	WalPlace *places;
	size_t n_places;
	size_t capacity;
} NamedPoints;

/* Adds every restore point of the wanted name, each once.  False: facts are missing. */
bool locate_names(const Planner *planner, const Path *path, XLogRecPtr from, NamedPoints *points);
Location locate_point(const Planner *planner, const Path *path, const WalPlace *point);

/* ---- transactions.c: what is included and what is not? ---- */

/* What a recovery replays ends here. */
typedef struct Bound
{
	XLogRecPtr lsn;    /* records that start before it are included */
	bool through;      /* ... and so is the first one that does not */
	XLogSegNo segno;   /* where that one starts */
	XLogSegNo highest; /* no segment after it is looked at for what is left out */
} Bound;

/*
 * The last commit or abort that is included, in the WAL or not far before the
 * backup, and the first that is not; TIME_NONE and no LSN where there is none.
 * False: facts are missing.
 */
bool planner_last_included(const Planner *planner, const Path *path, const BackupRecord *backup, Bound bound,
                           WalPlace *ret_place);
bool planner_first_excluded(const Planner *planner, const Path *path, Bound bound, WalPlace *ret_place);

/* ---- candidates.c: which backup on this path? ---- */

typedef enum OutcomeKind
{
	OUTCOME_FOUND,
	OUTCOME_BEYOND, /* a time after the end of the path's WAL */
	OUTCOME_HOLE,
	OUTCOME_NO_BACKUP,
	OUTCOME_ABSENT, /* the target is not on this path */
	OUTCOME_UNKNOWN,
} OutcomeKind;

typedef struct Outcome
{
	OutcomeKind kind;
	const Path *path;
	const BackupRecord *backup; /* of OUTCOME_HOLE: the newest one that meets the hole */
	Location location;
	XLogSegNo last; /* the last segment that is needed */
	RejectedBackup *rejected;
	size_t n_rejected;
	size_t capacity;
} Outcome;

void outcome_release(Outcome *outcome);

/* Backups of the catalog, those with the least replay first; an array of the caller's. */
const BackupRecord **candidates_sorted(const Catalog *catalog);

/* Why this backup can never be used on this path; NULL when it can.  The caller frees. */
char *candidate_objection(const Planner *planner, const Path *path, const BackupRecord *backup);

/* Start of the oldest backup that can be used on this path (the wanted one, if one is wanted). */
bool candidates_begin(const Planner *planner, const Path *path, const BackupRecord **ret_oldest);

/* "location" is NULL for targets that are found from the backup on. */
Outcome candidates_choose(const Planner *planner, const Path *path, const Location *location);

/* ---- branches.c: which of several timelines? ---- */

typedef enum Answer
{
	ANSWER_NO,
	ANSWER_YES,
	ANSWER_UNKNOWN,
} Answer;

/* Does no other timeline go on from this one's end, and has it WAL of its own? */
Answer branch_is_leaf(const Planner *planner, const Path *path);

/* Do both give the same transactions? */
Answer branch_same_place(const Planner *planner, const Outcome *a, const Outcome *b);

/* ---- explain.c: refusals ---- */

Error *explain_no_backups(const Planner *planner);
Error *explain_unknown_backup(const Planner *planner);
Error *explain_unknown_timeline(const Planner *planner);
Error *explain_no_backup(const Planner *planner, const Outcome *outcomes, size_t n_outcomes);
Error *explain_hole(const Planner *planner, const Outcome *outcome);
Error *explain_absent(const Planner *planner, const Outcome *outcomes, size_t n_outcomes);
Error *explain_branches(const Planner *planner, const Outcome *const *outcomes, size_t n_outcomes);
Error *explain_names(const Planner *planner, const NamedPoints *points);
Error *explain_orphan(const CatalogTimeline *timeline);
Error *explain_standby(const Outcome *outcome, TimeLineID newest);

/* "LSN 0/5000000", "2026-11-20 02:30:07+00 (LSN 0/5000000)" */
void explain_place(const WalPlace *place, Buf *into);
