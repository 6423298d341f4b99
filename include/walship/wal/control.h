/* global/pg_control (PostgreSQL: catalog/pg_control.h), 64-bit little-endian. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "walship/base/error.h"
#include "walship/wal/lsn.h"

#define PG_CONTROL_FILE_SIZE 8192

typedef struct PgControl
{
	uint64_t system_identifier;
	uint32_t control_version;
	uint32_t catalog_version;
	int major; /* 0: of a version that is not in walship/wal/majors.h; then nothing below is known, and zero */
	int32_t max_connections;
	int32_t max_worker_processes;
	int32_t max_wal_senders;
	int32_t max_prepared_transactions;
	int32_t max_locks_per_transaction;
	uint32_t segment_size;
	bool full_page_writes; /* at the last checkpoint */
	XLogRecPtr
		min_recovery_point; /* of a server in recovery: it cannot be opened at an earlier place any more */
} PgControl;

/*
 * Of a version that is not known, what lies at the same place in all of them, if
 * a CRC shows that it is whole.  ERR_CORRUPT: too short, older than what is
 * known, wrong CRC (it may be torn: read it again).
 */
Error *pg_control_parse(const void *data, size_t size, PgControl *ret_control) MUST_CHECK;
