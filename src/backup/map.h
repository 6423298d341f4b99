/*
 * The map of a backup (docs/format.md): where in its parts decoding can begin, and
 * which files lie in each.
 */
#pragma once

#include <stdint.h>

#include "parts.h"
#include "walship/archive/backup_record.h"
#include "walship/base/error.h"
#include "walship/pg/manifest.h"
#include "walship/pg/server.h"

typedef struct MapSource
{
	const char *backup_id;
	const ServerDatabase *databases;
	size_t n_databases;
	const Manifest *manifest;
	const PartList *lists[2]; /* the parts of the copy, and those of its WAL or NULL */
} MapSource;

/* Into the store.  Its name in the store is added to "names" first. */
Error *map_write(const BackupTarget *target, const MapSource *source, StrList *names, BackupObject *ret_map)
	MUST_CHECK;

/*
 * Last stage for the text of a map: what it says of chunks of the record's parts, into a list for each of them, which
 * stays empty where it says nothing.  Whether a list fits its stream is for codec_has_chunks() to say.  ERR_CORRUPT: it is
 * no map of this backup.  Both outlive the stage, and the lists are the caller's to release.
 */
Sink *map_chunks_sink_new(const BackupRecord *record, ChunkList *ret_lists);
