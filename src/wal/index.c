/* The index of a segment: filling. */
#include "walship/wal/index.h"

#include <stdio.h>
#include <string.h>

#include "walship/base/strs.h"

#include "walship/wal/majors.h"

bool
wal_index_is_quiet(const WalIndex *index)
{
	const WalWalkResult *walk = &index->walk;

	if (!index->walked || !index->tells_changes || walk->damaged_at != InvalidXLogRecPtr ||
	    walk->wal_end != index->end_lsn || walk->tail.length > 0)
		return false;
	return index->commits == 0 && index->aborts == 0 && index->n_drops == 0 && index->n_files_created == 0 &&
	       index->n_restore_points == 0 && index->n_tablespaces == 0 && index->n_databases == 0 &&
	       !index->parameter_change && !index->timeline_switch;
}

void
wal_index_init(WalIndex *index)
{
	*index = (WalIndex){.first_time = TIME_NONE,
	                    .last_time = TIME_NONE,
	                    .min_time = TIME_NONE,
	                    .max_time = TIME_NONE,
	                    .time_high = TIME_NONE};
}

bool
wal_index_is_foreign(const WalIndex *index)
{
	return pg_major(index->major) == NULL;
}

static void
add_time(WalIndex *index, TimeUs time)
{
	if (time == TIME_NONE)
		return;
	if (index->first_time == TIME_NONE)
	{
		index->first_time = time;
		index->min_time = time;
		index->max_time = time;
	}
	index->last_time = time;
	if (time < index->min_time)
		index->min_time = time;
	if (time > index->max_time)
		index->max_time = time;
}

/* In the circle of xids (PostgreSQL: transam.c, TransactionIdPrecedes). */
static bool
xid_precedes(TransactionId a, TransactionId b)
{
	return (int32_t) (a - b) < 0;
}

static void
add_xid(WalIndex *index, TransactionId xid)
{
	if (xid == 0)
		return;
	if (index->min_xid == 0 || xid_precedes(xid, index->min_xid))
		index->min_xid = xid;
	if (index->max_xid == 0 || xid_precedes(index->max_xid, xid))
		index->max_xid = xid;
}

static void
add_restore_point(WalIndex *index, const WalEvent *event)
{
	uint64_t position = index->n_restore_points++;

	if (position >= WAL_INDEX_RESTORE_POINTS_MAX)
		return;

	WalRestorePoint *point = &index->restore_points[position];

	point->lsn = event->lsn;
	point->time = event->time;
	(void) snprintf(point->name, sizeof point->name, "%s", event->name == NULL ? "" : event->name);
}

/* A list that is full goes on counting. */
static void
add_drop(WalIndex *index, const WalDrop *drop)
{
	if (index->n_drops < WAL_INDEX_DROPS_MAX)
		index->drops[index->n_drops] = *drop;
	index->n_drops++;
}

static void
add_dropped_file(WalIndex *index, const WalEvent *event)
{
	WalDrop *drop = &index->open_drop;

	if (drop->lsn != event->lsn)
		*drop = (WalDrop){.lsn = event->lsn};
	if (drop->n_files < WAL_INDEX_DROP_FILES_MAX)
		drop->files[drop->n_files++] = event->relation;
}

static void
add_commit(WalIndex *index, const WalEvent *event)
{
	WalDrop drop = index->open_drop;

	index->commits++;
	add_time(index, event->time);
	add_xid(index, event->xid);
	if (event->dropped_files == 0)
		return;
	if (drop.lsn != event->lsn)
		drop = (WalDrop){.lsn = event->lsn};
	drop.xid = event->xid;
	drop.time = event->time;
	drop.n_files = event->dropped_files;
	add_drop(index, &drop);
}

static void
add_database_drop(WalIndex *index, const WalEvent *event)
{
	WalDrop drop = {
		.lsn = event->lsn, .xid = event->xid, .time = TIME_NONE, .database = event->relation.database};

	if (drop.database != 0)
		add_drop(index, &drop);
}

/* Without an OID, which lies in the next segment then, it is only counted. */
static void
add_tablespace(WalIndex *index, const WalEvent *event)
{
	uint64_t position = index->n_tablespaces++;
	WalTablespace tablespace = {.oid = event->relation.tablespace,
	                            .lsn = event->lsn,
	                            .created = event->kind == WAL_EVENT_TABLESPACE_CREATED};

	if (position >= WAL_INDEX_TABLESPACES_MAX || tablespace.oid == 0)
		return;
	if (event->name != NULL && strlen(event->name) < sizeof tablespace.path && str_is_utf8(event->name))
		(void) snprintf(tablespace.path, sizeof tablespace.path, "%s", event->name);
	index->tablespaces[position] = tablespace;
}

/* Likewise. */
static void
add_database(WalIndex *index, const WalEvent *event)
{
	uint64_t position = index->n_databases++;
	bool created = event->kind == WAL_EVENT_DATABASE_CREATED;

	if (position >= WAL_INDEX_DATABASES_MAX || event->relation.database == 0)
		return;
	index->databases[position] = (WalDatabase){.oid = event->relation.database,
	                                           .lsn = event->lsn,
	                                           .created = created,
	                                           .tablespace = created ? event->relation.tablespace : 0,
	                                           .source = created ? event->source_database : 0};
}

static void
add_timeline(WalIndex *index, const WalEvent *event)
{
	index->timeline_switch = true;
	index->switch_lsn = event->lsn;
	index->previous_timeline = event->previous_timeline;
}

static void
note_first(XLogRecPtr *lsn, const WalEvent *event)
{
	if (*lsn == InvalidXLogRecPtr)
		*lsn = event->lsn;
}

void
wal_index_add_event(void *context, const WalEvent *event)
{
	WalIndex *index = context;

	/* What a record says beyond this segment's end is told by whoever reads both. */
	switch (event->kind)
	{
		case WAL_EVENT_COMMIT:
			add_commit(index, event);
			break;
		case WAL_EVENT_ABORT:
			index->aborts++;
			add_time(index, event->time);
			add_xid(index, event->xid);
			break;
		case WAL_EVENT_RESTORE_POINT:
			add_restore_point(index, event);
			break;
		case WAL_EVENT_CHECKPOINT:
			index->checkpoints++;
			if (event->begins_timeline)
				add_timeline(index, event);
			if (event->next_full_xid == 0)
				break;
			index->known_full_xid = event->next_full_xid;
			if (!event->full_page_writes)
				note_first(&index->full_page_writes_off_at, event);
			break;
		case WAL_EVENT_END_OF_RECOVERY:
			add_timeline(index, event);
			break;
		case WAL_EVENT_PARAMETER_CHANGE:
			index->parameter_change = true;
			if (wal_event_is_minimal(event))
				note_first(&index->wal_level_minimal_at, event);
			break;
		case WAL_EVENT_FULL_PAGE_WRITES:
			if (event->end != InvalidXLogRecPtr && !event->full_page_writes)
				note_first(&index->full_page_writes_off_at, event);
			break;
		case WAL_EVENT_TABLESPACE_CREATED:
		case WAL_EVENT_TABLESPACE_DROPPED:
			add_tablespace(index, event);
			break;
		case WAL_EVENT_DATABASE_CREATED:
			add_database(index, event);
			break;
		case WAL_EVENT_FILE_CREATED:
			index->n_files_created++;
			break;
		case WAL_EVENT_DATABASE_DROPPED:
			add_database_drop(index, event);
			add_database(index, event);
			break;
		case WAL_EVENT_DROPPED_FILE:
			add_dropped_file(index, event);
			break;
		case WAL_EVENT_BACKUP_END:
		case WAL_EVENT_SWITCH:
		case WAL_EVENT_SUBXACT:
		case WAL_EVENT_DROPPED_STATS:
		case WAL_EVENT_LOCK:
		case WAL_EVENT_OTHER:
			break;
	}
}

uint64_t
wal_index_full_xid(const WalIndex *index, TransactionId xid)
{
	return full_xid_near(index->known_full_xid, xid);
}

uint64_t
full_xid_near(uint64_t known, TransactionId xid)
{
	return known == 0 || xid == 0 ? 0 : known + (uint64_t) (int64_t) (int32_t) (xid - (TransactionId) known);
}

bool
wal_index_join(const WalIndex *index, const WalIndex *next, WalEventCallback callback, void *context)
{
	if (!index->walked || !next->walked || next->start_lsn != index->end_lsn)
		return false;
	return wal_edge_join(&index->walk.tail, &next->walk.head, index->major, index->walk.last_record,
	                     next->start_lsn, callback, context);
}
