/*
 * What is kept and what goes, by a retention policy, with a reason for each.  Pure:
 * catalog, policy, pins and leases in; a plan out.  Indexes are asked for only of
 * backups that a rule would keep: a backup that cannot be restored keeps no place.
 *
 * A branch is a timeline and the way to it.  The window is promised for every
 * branch that has a moment in it, so it is not by LSN alone that WAL goes: kept
 * are the ways of these branches, each from the newest complete backup that ended
 * before the window begins, and of backups outside the window their own range,
 * where they do not bring it along.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "walship/archive/catalog.h"
#include "walship/archive/wal_facts.h"
#include "walship/archive/wal_path.h"
#include "walship/base/clock.h"
#include "walship/base/error.h"
#include "walship/base/retention.h"

/* Somebody wants this backup to stay. */
typedef struct RetainPin
{
	const char *backup;
	TimeUs until;     /* TIME_NONE: for ever */
	const char *note; /* may be NULL */
} RetainPin;

/* Somebody reads this now: the backup, and the WAL of the way to "timeline" from start_lsn on. */
typedef struct RetainLease
{
	const char *what;    /* "a recovery on host db2": for the reason */
	const char *backup;  /* NULL: none */
	TimeLineID timeline; /* 0: no WAL */
	XLogRecPtr start_lsn;
} RetainLease;

/* What lies below base/<id>/ without a record. */
typedef struct RetainUnfinished
{
	const char *id;
	TimeUs last_modified; /* of its youngest object, by the store's clock */
	uint64_t objects;
	uint64_t stored_size;
} RetainUnfinished;

typedef struct RetainRequest
{
	RetentionPolicy policy;
	TimeUs now;
	const int64_t *
		local_times; /* what the calendar's clocks showed at each backup's stop_time, in seconds; NULL: UTC */
	const RetainPin *pins; /* those that have ended among them: they keep nothing */
	size_t n_pins;
	const RetainLease *leases; /* live ones only */
	size_t n_leases;
	const RetainUnfinished *unfinished;
	size_t n_unfinished;
} RetainRequest;

typedef struct RetainedBackup
{
	const BackupRecord *backup; /* the catalog's */
	bool keep;
	bool in_window; /* a replay can go on from it to later moments */
	char *reason;   /* "daily 2026-08-21, weekly 2026-W34"; "no rule keeps it" */
} RetainedBackup;

/* Segments of one timeline that are all kept, or all removed. */
typedef struct RetainedWal
{
	WalRange range;
	bool keep;
	uint64_t segments;
	uint64_t stored_size;
	char *reason;
} RetainedWal;

/* A partial segment or a backup history file. */
typedef struct RetainedFile
{
	const CatalogFile *file; /* the catalog's */
	TimeLineID timeline;
	bool keep;
} RetainedFile;

typedef struct RetainedLeftover
{
	const RetainUnfinished *unfinished; /* the request's */
	bool keep;
	char *reason;
} RetainedLeftover;

/* A branch with a moment in the window, and from when on every moment of it can be recovered. */
typedef struct RetainBranch
{
	TimeLineID timeline;
	const BackupRecord *from; /* NULL: no complete backup leads to it */
	TimeUs
		from_time; /* the window's beginning, or the backup's end when that is later; TIME_NONE without one */
} RetainBranch;

typedef struct RetainPlan
{
	TimeUs window_begin;
	RetainedBackup *backups; /* in the catalog's order */
	size_t n_backups;
	RetainedWal *wal; /* by timeline, ascending */
	size_t n_wal;
	size_t wal_capacity;
	RetainedFile *files;
	size_t n_files;
	RetainedLeftover *leftovers; /* in the request's order */
	size_t n_leftovers;
	RetainBranch *branches;
	size_t n_branches;
	size_t branches_capacity;

	const BackupRecord *newest; /* the newest complete backup; NULL: there is none */
	size_t removed_backups;
	uint64_t removed_segments;
	uint64_t freed; /* bytes */
} RetainPlan;

/* An unfinished backup is left alone so long after its last object came, and a backup that cannot be restored yet. */
#define RETAIN_GRACE_US (INT64_C(24) * 3600 * 1000000)

/* Errors are those of the facts' source.  "catalog" and "request" outlive the plan. */
Error *plan_retain(const Catalog *catalog, const RetainRequest *request, WalFacts *facts,
                   RetainPlan **ret_plan) MUST_CHECK;
void retain_plan_free(RetainPlan *plan);
AUTO_DEFINE(RetainPlan, retain_plan_free);

/* What is known besides the plan when it is to be carried out. */
typedef struct RetainGuard
{
	TimeUs store_now; /* TIME_NONE: not asked */
	int64_t backup_max_age_ms;
	bool has_last_run; /* one is recorded under the same policy: */
	TimeUs last_run;
	size_t unfinished_removals; /* so many backups it was to remove, and it did not come to its end */
	bool force;                 /* however much it removes */
} RetainGuard;

/* The clock of this machine may differ so much from the store's, and from the server's. */
#define RETAIN_CLOCK_US (INT64_C(3600) * 1000000)

/*
 * Why the plan must not be carried out, as an error whose hint says the remedy
 * (ERR_EXISTS; exit status 8); NULL: it may.  A plan that removes nothing always
 * may, unless a clock is wrong.
 */
Error *retain_refusal(const Catalog *catalog, const RetainRequest *request, const RetainPlan *plan,
                      const RetainGuard *guard) MUST_CHECK;
