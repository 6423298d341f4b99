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

/* False when a segment of [first, last] stops the replay. */
bool planner_covers(const Planner *planner, const Path *path, const BackupRecord *backup, XLogSegNo first,
                    XLogSegNo last, Hole *ret_hole);

/* The last place that a replay up to the end of this segment reaches.  False: facts are missing. */
bool planner_reach(const Planner *planner, const Path *path, XLogSegNo last, WalPlace *ret_place);

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
	WalPlace last;  /* the commit or abort before it, as far as known */
	bool continues; /* it may end in the next segment, which the path has */
	XLogSegNo end;  /* FOUND_NO, FOUND_HOLE: the last segment that can be replayed */
	Hole hole;
} Location;

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
