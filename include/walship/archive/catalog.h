/*
 * What lies in the store for one database system, read once: backups, timelines,
 * segments.  Values only; what follows from them is decided in src/plan.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "walship/archive/backup_record.h"
#include "walship/base/strs.h"
#include "walship/store/store.h"
#include "walship/wal/history.h"
#include "walship/wal/index.h"

/* Consecutive segments of one timeline. */
typedef struct SegmentRun
{
	XLogSegNo first;
	XLogSegNo last; /* inclusive */
	uint64_t stored_size;
	uint32_t *sizes;  /* stored bytes of each segment, from "first" on; owned */
	TimeUs *modified; /* when each came, by the store's clock; owned, NULL: not known */
} SegmentRun;

/* A .partial, or a .backup file: named after a segment, and proof that the timeline went so far. */
typedef struct CatalogFile
{
	XLogSegNo segno;
	char *key;
	uint64_t stored_size;
} CatalogFile;

typedef struct CatalogTimeline
{
	TimeLineID timeline;
	TimelineHistory *history; /* root when there is no history file that can be read */
	bool has_history_file;
	char *history_damage; /* why the one in the store is not believed; NULL: there is none, or it is */
	SegmentRun *runs;     /* ascending, not touching; empty for a history file or a backup alone */
	size_t n_runs;
	CatalogFile *partials; /* ascending */
	size_t n_partials;
	CatalogFile *backup_files; /* ascending */
	size_t n_backup_files;

	/* When the last of its WAL files came into the store, by the store's clock; 0 or TIME_NONE: not known. */
	TimeUs last_modified;
} CatalogTimeline;

typedef struct Catalog
{
	uint64_t system_identifier;
	uint32_t segment_size;  /* 0 while neither a segment nor a backup is there */
	BackupRecord **backups; /* ascending by id, hence by start time */
	size_t n_backups;
	CatalogTimeline *timelines; /* ascending; every timeline with WAL, a history file or a backup */
	size_t n_timelines;
	StrList unfinished; /* ids below base/ without a record */
	StrList damaged;    /* "<id>: <why>" of records and history files that cannot be read */
} Catalog;

/* Database systems that have anything in this store, as decimal text. */
Error *catalog_systems(Store *store, StrList *ret_systems) MUST_CHECK;

/*
 * Into a store that holds only other systems the backup of this one is mostly a mistake,
 * such as a forgotten PGPORT: ERR_EXISTS.  An empty store holds none yet.
 */
Error *catalog_check_known_system(Store *store, uint64_t system_identifier) MUST_CHECK;

/* Ids of what lies below base/, ascending; and the record of one: ERR_NOT_FOUND when there is none, ERR_CORRUPT. */
Error *catalog_backup_ids(Store *store, uint64_t system_identifier, StrList *ret_ids) MUST_CHECK;
Error *catalog_read_record(Store *store, uint64_t system_identifier, const char *id,
                           BackupRecord **ret_record) MUST_CHECK;

/* As many records at the same time as there are threads. */
Error *catalog_read(Store *store, uint64_t system_identifier, int threads, Catalog **ret_catalog) MUST_CHECK;
void catalog_free(Catalog *catalog);
AUTO_DEFINE(Catalog, catalog_free);

/*
 * Are the objects there that these records name, and in full?  One listing tells of
 * one backup or, for the price of all, of several, which are ascending by id.  Sets
 * "missing" and "unusable" of those where some are not; where it is the backup's own
 * WAL, that is no longer inside.
 */
Error *catalog_look_at_parts(Store *store, uint64_t system_identifier, BackupRecord **records,
                             size_t n_records) MUST_CHECK;

/* In place of a timeline: the one that began last, whose number is the highest (PostgreSQL: findNewestTimeLine). */
#define TIMELINE_LATEST UINT32_MAX

/* The number itself, or that of TIMELINE_LATEST; 0 where there is none. */
TimeLineID catalog_resolve_timeline(const Catalog *catalog, TimeLineID timeline);

const CatalogTimeline *catalog_timeline(const Catalog *catalog, TimeLineID timeline); /* NULL when unknown */
bool catalog_has_segment(const Catalog *catalog, TimeLineID timeline, XLogSegNo segno);

/* A segment's object, as the listing showed it; false: there is none. */
typedef struct ListedSegment
{
	uint32_t stored_size;
	TimeUs modified; /* TIME_NONE: not known */
} ListedSegment;

bool catalog_listed_segment(const Catalog *catalog, TimeLineID timeline, XLogSegNo segno,
                            ListedSegment *ret_listed);
