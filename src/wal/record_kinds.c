/* The records that matter, but for commits and aborts. */
#include "record_kinds.h"

#include "little_endian.h"
#include "walship/base/attributes.h"

/* PostgreSQL: access/rmgrlist.h; these never changed. */
enum
{
	RM_XLOG = 0,
	RM_XACT = 1,
	RM_SMGR = 2,
	RM_DBASE = 4,
	RM_TBLSPC = 5,
	RM_STANDBY = 8,
};

enum
{
	DATABASE_DROP_INFO = 0x20,
	LOCK_SIZE = 12,
	RESTORE_POINT_SIZE = 8 + 64,
	MAIN_FORK = 0,
	INIT_FORK = 3,
};

/* xl_restore_point */
static void
on_restore_point(RecordBody *body)
{
	body->event.time = record_time(body->field);
	body->field[RESTORE_POINT_SIZE - 1] = '\0';
	body->event.name = (const char *) body->field + 8;
}

static void
begin_restore_point(RecordBody *body)
{
	record_await_main(body, RESTORE_POINT_SIZE, on_restore_point);
}

/* xl_parameter_change: int32 each, in this order since 13 */
static void
on_parameters(RecordBody *body)
{
	body->event.parameters = (WalParameters){
		.max_connections = (int32_t) le32(body->field),
		.max_worker_processes = (int32_t) le32(body->field + 4),
		.max_wal_senders = (int32_t) le32(body->field + 8),
		.max_prepared_transactions = (int32_t) le32(body->field + 12),
		.max_locks_per_transaction = (int32_t) le32(body->field + 16),
	};
	body->event.wal_level = (int32_t) le32(body->field + 20);
}

static void
begin_parameters(RecordBody *body)
{
	record_await_main(body, 24, on_parameters);
}

/* CheckPoint and xl_end_of_recovery: 8 bytes, this timeline, the one before */
static void
on_timelines(RecordBody *body)
{
	body->event.begins_timeline = le32(body->field + 8) != le32(body->field + 12);
	if (body->event.begins_timeline)
		body->event.previous_timeline = le32(body->field + 12);
}

static void
begin_end_of_recovery(RecordBody *body)
{
	record_await_main(body, 16, on_timelines);
}

/* CheckPoint (PostgreSQL: catalog/pg_control.h): full_page_writes is at 16 in all majors */
static void
on_online_checkpoint(RecordBody *body)
{
	body->event.full_page_writes = body->field[16] != 0;
	body->event.next_full_xid = le64(body->field + body->major->checkpoint_next_xid);
}

static void
begin_online_checkpoint(RecordBody *body)
{
	record_await_main(body, body->major->checkpoint_next_xid + 8u, on_online_checkpoint);
}

static void
on_shutdown_checkpoint(RecordBody *body)
{
	on_timelines(body);
	on_online_checkpoint(body);
}

static void
begin_shutdown_checkpoint(RecordBody *body)
{
	record_await_main(body, body->major->checkpoint_next_xid + 8u, on_shutdown_checkpoint);
}

/*
 * xl_smgr_create: relation, int32 fork.  Of an unlogged relation only the init
 * fork is in the WAL; the other forks come and go with one of these.
 */
static void
on_file_created(RecordBody *body)
{
	uint32_t fork = le32(body->field + 12);

	if (fork != MAIN_FORK && fork != INIT_FORK)
	{
		body->event.xid = 0; /* an event of no kind tells nothing */
		return;
	}
	body->event.kind = WAL_EVENT_FILE_CREATED;
	body->event.relation = record_relation(body->field);
}

static void
begin_file_created(RecordBody *body)
{
	record_await_main(body, 16, on_file_created);
}

/* xl_dbase_drop_rec: OID, then its tablespaces */
static void
on_database_dropped(RecordBody *body)
{
	body->event.relation.database = le32(body->field);
}

static void
begin_database_dropped(RecordBody *body)
{
	record_await_main(body, 4, on_database_dropped);
}

/*
 * xl_dbase_create_rec, since 15 xl_dbase_create_file_copy_rec: OID and tablespace
 * of the database, then of the one that it is copied from; xl_dbase_create_wal_log_rec
 * has only the first two.
 */
static void
on_database_created(RecordBody *body)
{
	body->event.relation.database = le32(body->field);
	body->event.relation.tablespace = le32(body->field + 4);
	if (body->want > 8)
		body->event.source_database = le32(body->field + 8);
}

static void
begin_database_copied(RecordBody *body)
{
	record_await_main(body, 16, on_database_created);
}

static void
begin_database_logged(RecordBody *body)
{
	record_await_main(body, 8, on_database_created);
}

/* xl_tblspc_create_rec: OID, path; xl_tblspc_drop_rec: OID */
static void
on_tablespace(RecordBody *body)
{
	body->event.relation.tablespace = le32(body->field);
	if (body->event.kind == WAL_EVENT_TABLESPACE_DROPPED)
		return;
	body->field[body->want - 1] = '\0';
	body->event.name = (const char *) body->field + 4;
}

static void
begin_tablespace_created(RecordBody *body)
{
	uint32_t size = body->main_length < RECORD_FIELD_MAX ? body->main_length : RECORD_FIELD_MAX;

	record_await_main(body, size > 4 ? size : 5, on_tablespace);
}

static void
begin_tablespace_dropped(RecordBody *body)
{
	record_await_main(body, 4, on_tablespace);
}

static void
on_full_page_writes(RecordBody *body)
{
	body->event.full_page_writes = body->field[0] != 0;
}

static void
begin_full_page_writes(RecordBody *body)
{
	record_await_main(body, 1, on_full_page_writes);
}

/* xl_standby_lock: xid, OID of the database, OID of the relation */
static void
on_lock(RecordBody *body)
{
	const uint8_t *field = body->field;

	record_show_item(body, (WalEvent){.kind = WAL_EVENT_LOCK,
	                                  .xid = le32(field),
	                                  .relation = {.database = le32(field + 4), .number = le32(field + 8)}});
	if (--body->items > 0)
		record_await(body, 0, LOCK_SIZE, on_lock);
}

/* xl_standby_locks: int32 count, the locks */
static void
on_lock_count(RecordBody *body)
{
	body->items = le32(body->field);
	if (body->items > 0 && body->items * LOCK_SIZE <= record_rest(body))
		record_await(body, 0, LOCK_SIZE, on_lock);
}

static void
begin_locks(RecordBody *body)
{
	record_await_main(body, 4, on_lock_count);
}

#define NO_XID     RECORD_XID_NONE
#define HEADER_XID RECORD_XID_IN_HEADER
#define BODY_XID   RECORD_XID_IN_BODY

static const RecordKind kinds[] = {
	{RM_XACT, 0x70, 0x00, WAL_EVENT_COMMIT, HEADER_XID, record_begin_xact},
	{RM_XACT, 0x70, 0x20, WAL_EVENT_ABORT, HEADER_XID, record_begin_xact},
	{RM_XACT, 0x70, 0x30, WAL_EVENT_COMMIT, BODY_XID, record_begin_xact},
	{RM_XACT, 0x70, 0x40, WAL_EVENT_ABORT, BODY_XID, record_begin_xact},
	{RM_XLOG, 0xF0, 0x00, WAL_EVENT_CHECKPOINT, NO_XID, begin_shutdown_checkpoint},
	{RM_XLOG, 0xF0, 0x10, WAL_EVENT_CHECKPOINT, NO_XID, begin_online_checkpoint},
	{RM_XLOG, 0xF0, 0x40, WAL_EVENT_SWITCH, NO_XID, NULL},
	{RM_XLOG, 0xF0, 0x50, WAL_EVENT_BACKUP_END, NO_XID, NULL},
	{RM_XLOG, 0xF0, 0x60, WAL_EVENT_PARAMETER_CHANGE, NO_XID, begin_parameters},
	{RM_XLOG, 0xF0, 0x70, WAL_EVENT_RESTORE_POINT, NO_XID, begin_restore_point},
	{RM_XLOG, 0xF0, 0x80, WAL_EVENT_FULL_PAGE_WRITES, NO_XID, begin_full_page_writes},
	{RM_XLOG, 0xF0, 0x90, WAL_EVENT_END_OF_RECOVERY, NO_XID, begin_end_of_recovery},

	/* The fork decides what it is. */
	{RM_SMGR, 0xF0, 0x10, WAL_EVENT_OTHER, HEADER_XID, begin_file_created},

	{RM_TBLSPC, 0xF0, 0x00, WAL_EVENT_TABLESPACE_CREATED, HEADER_XID, begin_tablespace_created},
	{RM_TBLSPC, 0xF0, 0x10, WAL_EVENT_TABLESPACE_DROPPED, HEADER_XID, begin_tablespace_dropped},
	{RM_DBASE, 0xF0, 0x00, WAL_EVENT_DATABASE_CREATED, HEADER_XID, begin_database_copied},
	{RM_DBASE, 0xF0, 0x10, WAL_EVENT_DATABASE_CREATED, HEADER_XID, begin_database_logged},
	{RM_DBASE, 0xF0, DATABASE_DROP_INFO, WAL_EVENT_DATABASE_DROPPED, HEADER_XID, begin_database_dropped},

	/* Only its locks are told. */
	{RM_STANDBY, 0xF0, 0x00, WAL_EVENT_OTHER, NO_XID, begin_locks},
};

const RecordKind *
record_kind_of(const PgMajor *major, uint8_t manager, uint8_t info)
{
	/* 15 put CREATE DATABASE ... STRATEGY wal_log before DROP DATABASE, the last one: the infos above are those since then. */
	if (manager == RM_DBASE && (info & 0xF0) > major->database_drop_info)
		return NULL;
	if (manager == RM_DBASE && (info & 0xF0) == major->database_drop_info)
		info = DATABASE_DROP_INFO;
	for (size_t i = 0; i < lengthof(kinds); i++)
		if (kinds[i].manager == manager && kinds[i].info == (info & kinds[i].mask))
			return &kinds[i];
	return NULL;
}
