/* global/pg_control. */
#include "walship/wal/control.h"

#include <inttypes.h>
#include <stdbool.h>

#include "little_endian.h"
#include "walship/base/attributes.h"
#include "walship/base/crc32c.h"
#include "walship/wal/majors.h"

enum
{
	/* In every version. */
	AT_SYSTEM_IDENTIFIER = 0,
	AT_CONTROL_VERSION = 8,
	AT_CATALOG_VERSION = 12,

	/* In those that are known: a copy of the last checkpoint, whose fullPageWrites is at 16. */
	AT_FULL_PAGE_WRITES = 40 + 16,

	/* Between these the CRC lies in any version: 288 in 13, and a struct of more than a disk's sector is not written. */
	CRC_FIRST = 256,
	STRUCT_SIZE_MAX = 512, /* PostgreSQL: PG_CONTROL_MAX_SAFE_SIZE */

	CONTROL_VERSION_MAX = 9999, /* what is above is of a machine of the other byte order */
};

static bool
crc_is_at(const uint8_t *bytes, size_t offset)
{
	return crc32c(0, bytes, offset) == le32(bytes + offset);
}

/* The CRC is the last member and covers all the others: where it fits, the struct ends, whatever lies in it. */
static bool
has_crc(const uint8_t *bytes)
{
	for (size_t offset = CRC_FIRST; offset <= STRUCT_SIZE_MAX - sizeof(uint32_t); offset += sizeof(uint32_t))
		if (crc_is_at(bytes, offset))
			return true;
	return false;
}

static void
read_layout(const uint8_t *bytes, const PgControlLayout *at, PgControl *control)
{
	control->max_connections = (int32_t) le32(bytes + at->max_connections);
	control->max_worker_processes = (int32_t) le32(bytes + at->max_worker_processes);
	control->max_wal_senders = (int32_t) le32(bytes + at->max_wal_senders);
	control->max_prepared_transactions = (int32_t) le32(bytes + at->max_prepared_transactions);
	control->max_locks_per_transaction = (int32_t) le32(bytes + at->max_locks_per_transaction);
	control->segment_size = le32(bytes + at->segment_size);
	control->full_page_writes = bytes[AT_FULL_PAGE_WRITES] != 0;
	control->min_recovery_point = le64(bytes + at->min_recovery_point);
}

static Error *
unknown_version(const PgControl *control)
{
	return error_hint(
		error_new(ERR_CORRUPT, "pg_control version %" PRIu32 ", catalog version %" PRIu32 " is not known",
	              control->control_version, control->catalog_version),
		"Released versions of PostgreSQL from %d on, on little-endian 64-bit machines, are supported.",
		pg_major_oldest()->major);
}

static Error *
wrong_checksum(const PgControl *control, const PgMajor *major)
{
	if (major != NULL)
		return error_hint(error_new(ERR_CORRUPT, "pg_control has an incorrect checksum"),
		                  "It may have been read while the server wrote it, or it is damaged.");
	return error_hint(
		error_new(ERR_CORRUPT,
	              "pg_control of version %" PRIu32 ", which is not known, has no checksum that is correct",
	              control->control_version),
		"It may have been read while the server wrote it, or it is damaged. If neither is so, a newer walship is "
		"needed: this one knows PostgreSQL %d to %d.",
		pg_major_oldest()->major, pg_major_newest()->major);
}

Error *
pg_control_parse(const void *data, size_t size, PgControl *ret_control)
{
	const uint8_t *bytes = data;
	const PgMajor *major;

	if (size < STRUCT_SIZE_MAX)
		return error_new(ERR_CORRUPT, "pg_control is only %zu bytes long", size);

	PgControl control = {
		.system_identifier = le64(bytes + AT_SYSTEM_IDENTIFIER),
		.control_version = le32(bytes + AT_CONTROL_VERSION),
		.catalog_version = le32(bytes + AT_CATALOG_VERSION),
	};

	if (control.control_version < pg_major_oldest()->control_version ||
	    control.control_version > CONTROL_VERSION_MAX)
		return unknown_version(&control);
	major = pg_major_of_control(control.control_version, control.catalog_version);
	if (major == NULL || !crc_is_at(bytes, major->control.crc))
	{
		if (!has_crc(bytes))
			return wrong_checksum(&control, major);
		*ret_control = control;
		return NULL;
	}
	control.major = major->major;
	read_layout(bytes, &major->control, &control);
	if (!wal_segment_size_is_valid(control.segment_size))
		return error_new(ERR_CORRUPT, "pg_control has an invalid WAL segment size: %" PRIu32,
		                 control.segment_size);
	*ret_control = control;
	return NULL;
}
