/* What the files of the retention planner share.  Nothing of it leaves the folder. */
#pragma once

#include "planner.h"
#include "retain_dated.h"
#include "walship/plan/retain.h"

/* A backup while it is decided about. */
typedef struct RetainItem
{
	Dated dated; /* first: rules know it by this */
	const BackupRecord *backup;
	bool in_window;
} RetainItem;

/* A timeline and what the window has to do with it. */
typedef struct RetainPath
{
	const CatalogTimeline *timeline;
	WalPath *path;
	bool alive;              /* has a moment in the window */
	bool history_is_missing; /* what leads to it is not known, */
	bool is_unclear;         /* ... and the window may begin there */
	RetainItem *from;        /* the backup from which its window is recovered; NULL: none leads there */
} RetainPath;

/* Segments that are needed, whether they are there or not. */
typedef struct RetainNeed
{
	WalRange range;
	const char *why; /* of the first of those that were merged; not owned */
} RetainNeed;

typedef struct Retain
{
	Planner planner;
	const RetainRequest *request;
	TimeUs window_begin;
	RetainItem *items; /* as many as the catalog has backups */
	DatedRules rules;  /* of these */
	RetainPath *paths; /* one for each timeline of the catalog */
	size_t n_paths;
	RetainNeed *needs;
	size_t n_needs;
	size_t needs_capacity;
	StrList whys; /* owns the texts of needs */
	RetainPlan *plan;
} Retain;

/* ---- retain_backups.c: which backups stay, by which rule ---- */

void retain_backups(Retain *retain);

/* ---- retain_wal.c: which WAL they need ---- */

/* Adds the WAL to the plan, kept and removed. */
void retain_wal(Retain *retain);
