/* What differs between the major versions of PostgreSQL; see walship/wal/majors.h. */
#include "walship/wal/majors.h"

#include "walship/base/attributes.h"

/* One layout in 13 to 18, but that 18 has one more member before the CRC. */
#define CONTROL_OF_13(crc_at)                                                                    \
	{                                                                                            \
		.max_connections = 180, .max_worker_processes = 184, .max_wal_senders = 188,             \
		.max_prepared_transactions = 192, .max_locks_per_transaction = 196, .segment_size = 228, \
		.min_recovery_point = 136, .crc = (crc_at)                                               \
	}

/* CheckPoint has logicalDecodingEnabled and a MultiXactOffset of 64 bits; slru_pages_per_segment came in. */
#define CONTROL_OF_19(crc_at)                                                                    \
	{                                                                                            \
		.max_connections = 188, .max_worker_processes = 192, .max_wal_senders = 196,             \
		.max_prepared_transactions = 200, .max_locks_per_transaction = 204, .segment_size = 240, \
		.min_recovery_point = 144, .crc = (crc_at)                                               \
	}

/*
 * 13 to 18: read in their sources and tried on their servers.
 *
 * 19: by what is published of REL_19_STABLE; no server could be had to try it on.
 * The beta versions had page magic 0xD120 and 0xD121 and control versions 1902 and
 * 1903; when online checksums were taken back, commits c05d5ce1236 and 4a9a6c5a69c
 * of 2026-09-16 made them 1905 and 0xD122, which 19beta4 has.  The catalog version
 * of the release is not known.  No other major has 1905, and the CRC proves that
 * the struct ends where this row says.
 */
const PgMajor pg_majors[] = {
	{
		.major = 13,
		.supported_until = "2025-11-13",
		.page_magic = 0xD106,
		.control_version = 1300,
		.catalog_version = 202007201,
		.control = CONTROL_OF_13(288),
		.checkpoint_next_xid = 24,
		.database_drop_info = 0x10,
		.image_compressed = 0x02,
		.has_stats_directory = true,
		.has_promote_trigger_file = true,
	},
	{
		.major = 14,
		.supported_until = "2026-11-12",
		.page_magic = 0xD10D,
		.control_version = 1300,
		.catalog_version = 202107181,
		.control = CONTROL_OF_13(288),
		.checkpoint_next_xid = 24,
		.database_drop_info = 0x10,
		.image_compressed = 0x02,
		.has_stats_directory = true,
		.has_promote_trigger_file = true,
	},
	{
		.major = 15,
		.supported_until = "2027-11-11",
		.page_magic = 0xD110,
		.control_version = 1300,
		.catalog_version = 202209061,
		.control = CONTROL_OF_13(288),
		.checkpoint_next_xid = 24,
		.database_drop_info = 0x20, /* 0x10 became CREATE DATABASE ... STRATEGY wal_log */
		.image_compressed = 0x1C,   /* pglz, lz4, zstd */
		.dropped_stats_size = 12,
		.dropped_stats_id_size = 4,
		.has_promote_trigger_file = true,
		.has_archive_library = true,
		.has_typed_backup = true,
	},
	{
		.major = 16,
		.supported_until = "2028-11-09",
		.page_magic = 0xD113,
		.control_version = 1300,
		.catalog_version = 202307071,
		.control = CONTROL_OF_13(288),
		.checkpoint_next_xid = 24,
		.database_drop_info = 0x20,
		.image_compressed = 0x1C,
		.dropped_stats_size = 12,
		.dropped_stats_id_size = 4,
		.has_archive_library = true,
		.has_typed_backup = true,
	},
	{
		.major = 17,
		.supported_until = "2029-11-08",
		.page_magic = 0xD116,
		.control_version = 1700,
		.catalog_version = 202406281,
		.control = CONTROL_OF_13(288),
		.checkpoint_next_xid = 24,
		.database_drop_info = 0x20,
		.image_compressed = 0x1C,
		.dropped_stats_size = 12,
		.dropped_stats_id_size = 4,
		.has_archive_library = true,
		.has_slot_sync = true,
		.has_typed_backup = true,
		.backs_up_in_place = true,
	},
	{
		.major = 18,
		.supported_until = "2030-11-14",
		.page_magic = 0xD118,
		.control_version = 1800,
		.catalog_version = 202506291,
		.control = CONTROL_OF_13(292),
		.checkpoint_next_xid = 24,
		.database_drop_info = 0x20,
		.image_compressed = 0x1C,
		.dropped_stats_size = 16,
		.dropped_stats_id_size = 8, /* no OID for every kind */
		.has_archive_library = true,
		.has_slot_sync = true,
		.has_io_method = true,
		.has_typed_backup = true,
		.backs_up_in_place = true,
	},
	{
		.major = 19,
		.supported_until = "2031-11-13",
		.page_magic = 0xD122,
		.control_version = 1905,
		.control = CONTROL_OF_19(308),
		.checkpoint_next_xid = 32,
		.database_drop_info = 0x20,
		.image_compressed = 0x1C,
		.dropped_stats_size = 16,
		.dropped_stats_id_size = 8,
		.has_archive_library = true,
		.has_slot_sync = true,
		.has_io_method = true,
		.has_typed_backup = true,
		.backs_up_in_place = true,
	},
};
const size_t n_pg_majors = lengthof(pg_majors);

const PgMajor *
pg_major_oldest(void)
{
	return &pg_majors[0];
}

const PgMajor *
pg_major_newest(void)
{
	return &pg_majors[lengthof(pg_majors) - 1];
}

const PgMajor *
pg_major(int major)
{
	for (size_t i = 0; i < lengthof(pg_majors); i++)
		if (pg_majors[i].major == major)
			return &pg_majors[i];
	return NULL;
}

const PgMajor *
pg_major_of_magic(uint16_t page_magic)
{
	for (size_t i = 0; i < lengthof(pg_majors); i++)
		if (pg_majors[i].page_magic == page_magic)
			return &pg_majors[i];
	return NULL;
}

const PgMajor *
pg_major_of_control(uint32_t control_version, uint32_t catalog_version)
{
	for (size_t i = 0; i < lengthof(pg_majors); i++)
		if (pg_majors[i].control_version == control_version &&
		    (pg_majors[i].catalog_version == catalog_version || pg_majors[i].catalog_version == 0))
			return &pg_majors[i];
	return NULL;
}

const PgMajor *
pg_major_nearest(int major)
{
	const PgMajor *known = pg_major(major);

	if (known != NULL)
		return known;
	return major < pg_major_oldest()->major ? pg_major_oldest() : pg_major_newest();
}
