/*
 * A drill: the recovery that nobody rehearses.  A backup is restored into a
 * directory of its own, its WAL replayed to a target by a server that is fenced off
 * (walship/recovery/server.h), every database opened, read and checked; what came of
 * it, and how long it took, is evidence in the store, proof/<time>-drill.json.
 * Nothing of it is left, unless it is to be kept.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "walship/archive/lease.h"
#include "walship/archive/row_counts.h"
#include "walship/backup/undump.h"
#include "walship/base/json.h"
#include "walship/base/strs.h"
#include "walship/recovery/copy.h"

/* In the order in which they are made. */
typedef enum DrillLevel
{
	DRILL_RESTORED,   /* every file is what the manifest says */
	DRILL_CONFIGURED, /* the server's own settings, includes and libraries are here, too */
	DRILL_CONSISTENT, /* the server takes connections */
	DRILL_TARGET,     /* it stopped where it was to, and its last transaction is the planned one */
	DRILL_DATABASES,  /* each can be entered */
	DRILL_TABLES,     /* every row of every table can be read; with checksums, every page of them is right */
	DRILL_COUNTS,     /* as many rows as were counted on the live server */
	DRILL_STRUCTURE,  /* heap and indexes by the extension amcheck, where a database has it */
	DRILL_SQL,        /* statements of the user's own */
	DRILL_IN_TIME,    /* within rto_target */
	DRILL_RECENT,     /* the last commit is no older than rpo_target, or the server has no younger one */
	DRILL_DUMP,       /* pg_dumpall, to nowhere, where that is asked for */
	DRILL_PAGES,      /* the checksum of every page, of indexes, too, once the server has ended */
} DrillLevel;

#define N_DRILL_LEVELS 13

typedef enum DrillOutcome
{
	DRILL_NOT_MADE, /* one before it failed */
	DRILL_PASSED,
	DRILL_SKIPPED, /* there is nothing that it could check, or nothing to check it with: "notes" say why */
	DRILL_FAILED,
} DrillOutcome;

typedef struct DrillCheck
{
	DrillOutcome outcome;
	int64_t duration_ms;
	StrList findings; /* sentences: why it failed */
	StrList notes;    /* sentences: what it did not look at */
	uint64_t checked; /* files, databases, tables, ... */
} DrillCheck;

/* The server that was backed up, when the drill began, before the store: an idle one is not. */
typedef enum DrillAhead
{
	DRILL_AHEAD_NOT_ASKED, /* the target was not the end of the WAL */
	DRILL_AHEAD_UNKNOWN,
	DRILL_NOT_AHEAD,
	DRILL_AHEAD,
} DrillAhead;

typedef struct DrillReport
{
	TimeUs time; /* of its begin */
	uint64_t system_identifier;
	char *walship_version;
	char *backup;       /* NULL: it was a dump */
	char *dump;         /* id of the dump that was restored; NULL: it was a backup */
	bool schema_only;   /* of the dump: without its rows */
	int server_version; /* of the backup: 150020 */
	TimeLineID timeline;
	char *target; /* "the time 2026-11-20 02:30:07+00" */
	bool random;
	uint64_t seed; /* of a random target: the same again has the same one, while the store is the same */
	XLogRecPtr stop_lsn;
	TimeUs planned_time; /* of the last transaction that is included; TIME_NONE: not known */
	TransactionId planned_xid;
	XLogRecPtr replay_lsn;
	XLogRecPtr counts_lsn; /* at which the rows had been counted that it is compared with */
	bool counts_exact;     /* that is the target */
	char *
		counts_tolerance; /* by how much they may differ from those of the live server: "5%"; NULL: it was not asked */
	char *last_transaction; /* what the server says of the planned last one: "committed" */
	bool no_network;
	char *fence_reason;    /* why there was a network */
	uint64_t fetched_size; /* bytes of backup and WAL */
	uint64_t wal_window; /* bytes of WAL that were here at a time; 0: all of it, before the server started */
	int64_t restore_ms;
	int64_t replay_ms;
	int64_t checks_ms;
	int64_t total_ms;      /* the recovery time that was measured */
	int64_t rto_target_ms; /* 0: none */
	uint64_t rpo_ms;       /* from the last commit to the begin of the drill; 0: not measured */
	int64_t rpo_target_ms; /* 0: none */
	DrillAhead server_ahead;
	uint64_t missing_transactions; /* committed on the server, and not in the store */
	bool passed;
	DrillCheck checks[N_DRILL_LEVELS];
} DrillReport;

/* By how much numbers of rows may differ: "5%", "0.25%", "100". */
typedef struct DrillTolerance
{
	const char *text; /* as it was given, not owned; NULL: none was */
	uint64_t rows;
	uint64_t hundredths; /* of a percent */
} DrillTolerance;

Error *drill_tolerance_parse(const char *text, DrillTolerance *ret_tolerance) MUST_CHECK;
bool drill_tolerance_allows(const DrillTolerance *tolerance, uint64_t counted, uint64_t rows);

/* Rows counted on the live server (walship/upkeep/row_counting.h), with which the recovered tables are compared. */
typedef struct DrillCounts
{
	StrList names; /* of tables; empty: all; set by the caller, owned */
	RowCounts counts;
	const DumpContents *estimates; /* of a dump, instead of counts: differences are notes; not owned */
	bool no_rows;                  /* of that dump only the schema was restored */
	bool exact;                    /* they were taken at the target */
	DrillTolerance tolerance;      /* they are of the live server, just now */
	size_t near;                   /* of a database's estimates, where the last table was */
	bool *seen;                    /* of the counts: the table was here */
	bool *named;                   /* of the names: a table was here that was counted */
} DrillCounts;

void drill_counts_release(DrillCounts *counts);
#define AUTO_DRILL_COUNTS __attribute__((cleanup(drill_counts_release))) DrillCounts

typedef struct DrillOptions
{
	const char *directory;     /* of drill_scratch_make() */
	const char *sql_directory; /* of *.sql; NULL: none */
	DrillCounts *counts;       /* NULL: none */
	const char *walship_version;
	const char *conninfo; /* of the server that was backed up; as of setting "conninfo" */
	int64_t rto_target_ms;
	int64_t rpo_target_ms;
	bool dump; /* everything, by pg_dumpall, to nowhere */
	bool keep; /* leave the server running, in the directory "pgdata" of the recovery */
	CopyOptions copy;
	void (*on_phase)(void *context, const char *phase); /* a constant, "replaying"; NULL: nobody asks */
	void *on_phase_context;
} DrillOptions;

#define DRILL_PGDATA "pgdata" /* in a drill's directory: where it restores; */
#define DRILL_KEPT   "kept"   /* not to be cleared by the next one */

/*
 * A directory for this drill below "scratch", which is made if it is missing, once what
 * dead ones left there and their leases in the store are cleared; *ret_lock holds it as
 * ours until it is closed.
 */
Error *drill_scratch_make(const char *scratch, Store *store, uint64_t system_identifier, char **ret_directory,
                          int *ret_lock) MUST_CHECK;
Error *drill_scratch_remove(const char *directory) MUST_CHECK; /* its server has ended */

/*
 * One place of the newest window, the same for the same seed while the store is the
 * same, becomes the target.  ERR_NOT_FOUND, with "unreachable": there is none.
 */
Error *drill_choose_target(Recovery *recovery, uint64_t seed) MUST_CHECK;

/* "oldest", "newest", "random", else the id itself; NULL for NULL.  ERR_NOT_FOUND, with "unreachable": there is no backup. */
Error *drill_choose_backup(Recovery *recovery, const char *which, uint64_t seed) MUST_CHECK;

/*
 * Before there is a plan: the newest counts whose WAL is in the store become the target,
 * and must be met exactly.  ERR_NOT_FOUND, with "unreachable": there are none.
 */
Error *drill_counts_as_target(Recovery *recovery, DrillCounts *counts) MUST_CHECK;

/* With a tolerance: counts on the live server, now; see row_counting_run(). */
Error *drill_counts_now(const char *conninfo, uint64_t system_identifier, DrillCounts *counts) MUST_CHECK;

/* With a plan: the newest that were taken before its target.  Tables change, so they only tell of what is emptied or gone. */
Error *drill_counts_before_target(Recovery *recovery, DrillCounts *counts) MUST_CHECK;

/*
 * As recovery_make_plan(), but tablespaces go below the drill's own directory: the
 * backup's own places may be a live server's.  "directory" is NULL when it is only planned.
 */
Error *drill_plan(Recovery *recovery, const char *directory) MUST_CHECK;

/*
 * With a recovery whose plan is made.  What does not pass is no error: report->passed
 * is false.  An error is what kept the drill from being made: store, keys, cancelling.
 */
Error *drill_run(Recovery *recovery, const DrillOptions *options, PrivateServer *server, DrillReport *report)
	MUST_CHECK;

/* A dump that is restored instead of a backup; nothing is owned. */
typedef struct DrillDump
{
	DumpSource source;
	const DumpContents *contents;
	bool schema_only;
	TimeUs now;
	int jobs; /* see UndumpOptions, as what follows */

	Notices notices;
	void (*progress)(void *context, uint64_t done, uint64_t total);
	void *context;
} DrillDump;

/*
 * Likewise of a dump: into a new server of its major, made in the directory "pgdata" of
 * "server", which is the caller's.  Of the options "counts" and the targets do not count.
 */
Error *drill_dump_run(const DrillDump *dump, const DrillOptions *options, PrivateServer *server,
                      DrillReport *report) MUST_CHECK;

/*
 * A lease on what is read, whose id is noted in the drill's directory before:
 * drill_scratch_make() ends that of one that was killed.  Of "on" all but the id counts.
 */
Error *drill_lease_take(const char *directory, Store *store, uint64_t system_identifier, LeaseOn on,
                        const Notices *notices, LeaseHold **ret_lease) MUST_CHECK;

const char *drill_level_text(DrillLevel level);

void drill_report_put(const DrillReport *report, Json *into);

/* Into the store, under its time; a key is a second, and where another drill has that one it becomes the next. */
Error *drill_report_store(DrillReport *report, Store *store) MUST_CHECK;
void drill_report_release(DrillReport *report);

/* What the store has of them, the oldest first. */
typedef struct DrillHistory
{
	DrillReport *reports;
	size_t count;
	size_t more; /* older ones, that were not read */
} DrillHistory;

void drill_history_release(DrillHistory *history);
#define AUTO_DRILL_HISTORY __attribute__((cleanup(drill_history_release))) DrillHistory

#define DRILL_HISTORY_MAX 100 /* reports: two years of weekly drills */

/* "time" as in the key, 20261129T094208Z: that one, else ERR_NOT_FOUND; NULL: the newest.  Damaged ones are told and passed over. */
Error *drill_history_read(Store *store, uint64_t system_identifier, const char *time, int jobs,
                          const Notices *notices, DrillHistory *ret_history) MUST_CHECK;

/* How long recoveries take, now and before; of drills that passed, and of dumps or backups as the last one is.  Pure. */
typedef struct DrillTrend
{
	const DrillReport *last; /* NULL: none passed */
	size_t compared;         /* with so many before it, at most 10 */
	int64_t median_ms;       /* of their recovery times */
} DrillTrend;

DrillTrend drill_trend(const DrillReport *reports, size_t count);
