/* global/pg_control. */
#include "walship/wal/control.h"

#include <inttypes.h>

#include "little_endian.h"
#include "walship/base/attributes.h"
#include "walship/base/crc32c.h"

/* Offsets of ControlFileData on 64-bit machines; the same in 13 to 18 up to the CRC. */
enum
{
	AT_SYSTEM_IDENTIFIER = 0,
	AT_CONTROL_VERSION = 8,
	AT_CATALOG_VERSION = 12,
	AT_STATE = 16,
	AT_CHECKPOINT = 32,
	AT_REDO = 40,
	AT_TIMELINE = 48,
	AT_MIN_RECOVERY_POINT = 136,
	AT_MIN_RECOVERY_TIMELINE = 144,
	AT_WAL_LEVEL = 172,
	AT_MAX_CONNECTIONS = 180,
	AT_MAX_WORKER_PROCESSES = 184,
	AT_MAX_WAL_SENDERS = 188,
	AT_MAX_PREPARED_TRANSACTIONS = 192,
	AT_MAX_LOCKS_PER_TRANSACTION = 196,
	AT_SEGMENT_SIZE = 228,
	AT_DATA_CHECKSUM_VERSION = 252,
	STRUCT_SIZE_MAX = 296,
};

/* 13 to 16 share a control version: the catalog version tells them apart. */
static const struct Version
{
	int major;
	uint32_t control_version;
	uint32_t catalog_version;
	uint32_t crc_offset; /* 18 has one more member */
} versions[] = {
	{13, 1300, 202007201, 288}, {14, 1300, 202107181, 288}, {15, 1300, 202209061, 288},
	{16, 1300, 202307071, 288}, {17, 1700, 202406281, 288}, {18, 1800, 202506291, 292},
};

static Error *
find_version(const uint8_t *bytes, const struct Version **ret_version)
{
	uint32_t control_version = le32(bytes + AT_CONTROL_VERSION);
	uint32_t catalog_version = le32(bytes + AT_CATALOG_VERSION);

	for (size_t i = 0; i < lengthof(versions); i++)
	{
		if (versions[i].control_version != control_version || versions[i].catalog_version != catalog_version)
			continue;
		*ret_version = &versions[i];
		return NULL;
	}
	return error_hint(
		error_new(ERR_CORRUPT, "pg_control version %" PRIu32 ", catalog version %" PRIu32 " is not known",
	              control_version, catalog_version),
		"Released versions of PostgreSQL %d to %d on little-endian 64-bit machines are supported.",
		versions[0].major, versions[lengthof(versions) - 1].major);
}

static PgControl
read_fields(const uint8_t *bytes, int major)
{
	return (PgControl){
		.system_identifier = le64(bytes + AT_SYSTEM_IDENTIFIER),
		.control_version = le32(bytes + AT_CONTROL_VERSION),
		.catalog_version = le32(bytes + AT_CATALOG_VERSION),
		.major = major,
		.state = (int32_t) le32(bytes + AT_STATE),
		.checkpoint = le64(bytes + AT_CHECKPOINT),
		.redo = le64(bytes + AT_REDO),
		.timeline = le32(bytes + AT_TIMELINE),
		.min_recovery_point = le64(bytes + AT_MIN_RECOVERY_POINT),
		.min_recovery_timeline = le32(bytes + AT_MIN_RECOVERY_TIMELINE),
		.wal_level = (int32_t) le32(bytes + AT_WAL_LEVEL),
		.max_connections = (int32_t) le32(bytes + AT_MAX_CONNECTIONS),
		.max_worker_processes = (int32_t) le32(bytes + AT_MAX_WORKER_PROCESSES),
		.max_wal_senders = (int32_t) le32(bytes + AT_MAX_WAL_SENDERS),
		.max_prepared_transactions = (int32_t) le32(bytes + AT_MAX_PREPARED_TRANSACTIONS),
		.max_locks_per_transaction = (int32_t) le32(bytes + AT_MAX_LOCKS_PER_TRANSACTION),
		.segment_size = le32(bytes + AT_SEGMENT_SIZE),
		.data_checksum_version = le32(bytes + AT_DATA_CHECKSUM_VERSION),
	};
}

Error *
pg_control_parse(const void *data, size_t size, PgControl *ret_control)
{
	const uint8_t *bytes = data;
	const struct Version *version = NULL;

	if (size < STRUCT_SIZE_MAX)
		return error_new(ERR_CORRUPT, "pg_control is only %zu bytes long", size);
	TRY(find_version(bytes, &version));
	if (crc32c(0, bytes, version->crc_offset) != le32(bytes + version->crc_offset))
		return error_hint(error_new(ERR_CORRUPT, "pg_control has an incorrect checksum"),
		                  "It may have been read while the server wrote it, or it is damaged.");

	PgControl control = read_fields(bytes, version->major);

	if (!wal_segment_size_is_valid(control.segment_size))
		return error_new(ERR_CORRUPT, "pg_control has an invalid WAL segment size: %" PRIu32,
		                 control.segment_size);
	*ret_control = control;
	return NULL;
}
