/*
 * What differs between the major versions of PostgreSQL: one table, a row for
 * each.  Nothing else in the program compares a major version with a number.
 * "Add a major" in CONTRIBUTING.md says how a row comes into being.
 *
 * What is newer than the last row is no error: WAL is stored, and comes back,
 * without being understood.  Whoever asks the table for it gets NULL, and says so.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Offsets in global/pg_control, struct ControlFileData, on 64-bit little-endian
 * machines.  System identifier, control version and catalog version lie at 0, 8
 * and 12 in all versions: that the server promises (PostgreSQL: catalog/pg_control.h).
 */
typedef struct PgControlLayout
{
	uint16_t max_connections;
	uint16_t max_worker_processes;
	uint16_t max_wal_senders;
	uint16_t max_prepared_transactions;
	uint16_t max_locks_per_transaction;
	uint16_t segment_size;
	uint16_t min_recovery_point;
	uint16_t crc; /* the last member: of all bytes before it */
} PgControlLayout;

typedef struct PgMajor
{
	int major;
	const char
		*supported_until; /* "2026-11-12": the day of the last minor release, by its makers' own calendar */

	/* On disk. */
	uint16_t page_magic;      /* of WAL pages (PostgreSQL: access/xlog_internal.h, XLOG_PAGE_MAGIC) */
	uint32_t control_version; /* of pg_control (PG_CONTROL_VERSION) */
	uint32_t catalog_version; /* CATALOG_VERSION_NO; 0: any, control version and CRC say enough */
	PgControlLayout control;

	/* Records of the WAL. */
	uint8_t checkpoint_next_xid; /* offset of nextXid in CheckPoint (catalog/pg_control.h) */
	uint8_t database_drop_info;  /* XLOG_DBASE_DROP (commands/dbcommands_xlog.h) */
	uint8_t image_compressed;    /* the flags of a compressed page image (access/xlogrecord.h, BKPIMAGE_*) */
	uint8_t
		dropped_stats_size; /* sizeof(xl_xact_stats_item) (access/xact.h); 0: commits tell no dropped statistics */
	uint8_t dropped_stats_id_size; /* of its last member, the object's id: 4 or 8 bytes; 0 likewise */

	/* Settings: does the server know them? */
	bool has_promote_trigger_file;
	bool has_archive_library;
	bool has_stats_directory; /* stats_temp_directory: of the collector that was until 14 */
	bool
		has_slot_sync; /* sync_replication_slots, synchronized_standby_slots, summarize_wal, event_triggers */
	bool has_io_method;

	/* The replication protocol. */
	bool
		has_typed_backup; /* BASE_BACKUP (option, ...), one copy of typed messages; before: words, a copy for each archive */
	bool
		backs_up_in_place; /* a base backup has tablespaces that lie below pg_tblspc itself (xlog.c, do_pg_backup_start) */
} PgMajor;

/* From the oldest to the newest. */
extern const PgMajor pg_majors[];
extern const size_t n_pg_majors;

const PgMajor *pg_major_oldest(void);
const PgMajor *pg_major_newest(void);

/* NULL: not in the table. */
const PgMajor *pg_major(int major);
const PgMajor *pg_major_of_magic(uint16_t page_magic);
const PgMajor *pg_major_of_control(uint32_t control_version, uint32_t catalog_version);

/* How to talk to a server: a newer one than is known is taken for the newest that is.  Never NULL. */
const PgMajor *pg_major_nearest(int major);
