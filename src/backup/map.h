/*
 * The map of a backup (docs/format.md): where in its parts decoding can begin, and
 * which files lie in each.  Of every member its name is kept while the parts are
 * made, in a spool, since the manifest, which has most of their sizes, comes last.
 */
#pragma once

#include <stdint.h>

#include "parts.h"
#include "walship/archive/backup_record.h"
#include "walship/base/error.h"
#include "walship/pg/manifest.h"
#include "walship/pg/server.h"
#include "walship/pipe/tar.h"

/* Where the list of members ends just now. */
uint64_t map_members_size(const PartList *parts);

/* What cannot be kept costs the backup its map, and nothing else: see PartList. */
void map_note_member(PartList *parts, const char *spool_directory, const char *set, const TarEntry *entry);

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
