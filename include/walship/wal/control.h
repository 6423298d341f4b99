/*
 * global/pg_control (PostgreSQL: catalog/pg_control.h), majors 13 to 18, 64-bit
 * little-endian.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "walship/base/clock.h"
#include "walship/base/error.h"
#include "walship/wal/lsn.h"

#define PG_CONTROL_FILE_SIZE 8192

typedef struct PgControl
{
	uint64_t system_identifier;
	uint32_t control_version;
	uint32_t catalog_version;
	int major; /* 13 to 18 */
	int32_t state;
	XLogRecPtr checkpoint;
	XLogRecPtr redo;
	TimeLineID timeline;
	XLogRecPtr min_recovery_point;
	TimeLineID min_recovery_timeline;
	int32_t wal_level;
	int32_t max_connections;
	int32_t max_worker_processes;
	int32_t max_wal_senders;
	int32_t max_prepared_transactions;
	int32_t max_locks_per_transaction;
	uint32_t segment_size;
	uint32_t data_checksum_version;
} PgControl;

/* ERR_CORRUPT: too short, unknown version, wrong CRC (it may be torn: read it again). */
Error *pg_control_parse(const void *data, size_t size, PgControl *ret_control) MUST_CHECK;
