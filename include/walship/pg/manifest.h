/*
 * The server's backup_manifest (PostgreSQL: backup-manifest.sgml), versions 1
 * and 2, with CRC-32C checksums.  Read line by line, as the server writes it,
 * into packed entries: a million files take some 80 MB.  No libpq here.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "walship/base/error.h"
#include "walship/pipe/sink.h"
#include "walship/wal/lsn.h"

#define MANIFEST_LINE_MAX   16384 /* bytes; a path has at most 1024, twice that in hexadecimal */
#define MANIFEST_PATHS_MAX  UINT32_MAX
#define MANIFEST_RANGES_MAX 1024

typedef struct ManifestFile
{
	const char
		*path; /* relative to the data directory; tablespaces as "pg_tblspc/<oid>/..."; the manifest's */
	uint64_t size;
	uint32_t crc32c;
} ManifestFile;

typedef struct ManifestRange
{
	TimeLineID timeline;
	XLogRecPtr start_lsn;
	XLogRecPtr end_lsn;
} ManifestRange;

typedef struct Manifest Manifest;

Manifest *manifest_new(void);
void manifest_free(Manifest *manifest);
AUTO_DEFINE(Manifest, manifest_free);

/*
 * Last stage that fills the manifest, which is the caller's and may be read once
 * the stage is finished.  ERR_CORRUPT: cut short, its own checksum is wrong, a
 * file listed twice, another checksum algorithm, anything unknown, more than "most"
 * files.
 */
Sink *manifest_sink_new(Manifest *manifest, uint64_t most);

size_t manifest_count(const Manifest *manifest);
uint64_t manifest_total_size(const Manifest *manifest);        /* of all files, in bytes */
ManifestFile manifest_nth(const Manifest *manifest, size_t n); /* in byte order of the paths */
bool manifest_find(const Manifest *manifest, const char *path, ManifestFile *ret_file);
/* The same with the entry's number, for marking which ones were seen; SIZE_MAX when there is none. */
size_t manifest_index_of(const Manifest *manifest, const char *path);

uint64_t manifest_system_identifier(const Manifest *manifest); /* 0 in version 1 */
size_t manifest_range_count(const Manifest *manifest);
const ManifestRange *manifest_range(const Manifest *manifest, size_t n);
