/* The objects of one backup, and what becomes parts. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "members.h"
#include "walship/age/age.h"
#include "walship/archive/backup_record.h"
#include "walship/backup/stored_object.h"
#include "walship/base/error.h"
#include "walship/base/notice.h"
#include "walship/base/strs.h"
#include "walship/pipe/codec.h"
#include "walship/pipe/tar.h"
#include "walship/store/store.h"
#include "walship/wal/control.h"
#include "walship/wal/label.h"

typedef struct BackupTarget
{
	Store *store;
	char *prefix; /* "<system-id>/base/<ID>/"; owned by whoever made the target */
	Compression compression;
	const AgeRecipients *recipients; /* NULL: nothing is encrypted; not owned */
	uint64_t part_size;              /* raw bytes */
	const char *spool_directory;     /* for what the map is made of, when it is much */
} BackupTarget;

Error *backup_target_open(const BackupTarget *target, const char *name, StoredObject **ret_object) MUST_CHECK;

/* What the map tells of a part: see map.h. */
typedef struct PartMap
{
	ChunkList chunks;
	uint64_t members_begin; /* in the list's "members" */
	uint64_t members_end;
} PartMap;

/* Parts that were written, and the names under which anything may lie in the store. */
typedef struct PartList
{
	BackupPart *items;
	size_t count;
	size_t capacity;
	StrList names; /* of every object begun, finished or not */

	PartMap *maps; /* one for each part */
	size_t maps_capacity;
	MemberList members; /* of all parts */
} PartList;

void part_list_release(PartList *parts);

/* As far as it goes: what could not be removed is told. */
void part_list_remove(const BackupTarget *target, const PartList *parts, const Notices *notices);

/*
 * Cuts a stream of tar members into parts, each of them a complete tar archive.
 * Target and list stay the caller's and outlive the writer.
 */
typedef struct PartWriter PartWriter;

PartWriter *part_writer_new(const BackupTarget *target, const char *set, PartList *parts);
Error *part_writer_begin_member(PartWriter *writer, const TarEntry *entry,
                                const uint8_t header[TAR_BLOCK_SIZE]) MUST_CHECK;
Error *part_writer_write(PartWriter *writer, const void *data, size_t size) MUST_CHECK;
Error *part_writer_end_member(PartWriter *writer) MUST_CHECK; /* here a new part may begin */
Error *part_writer_finish(PartWriter *writer) MUST_CHECK;
void part_writer_free(PartWriter *writer);
AUTO_DEFINE(PartWriter, part_writer_free);

/* What is read in passing. */
typedef struct BackupFacts
{
	bool has_control;
	PgControl control;
	bool has_label;
	BackupLabel label;
} BackupFacts;

/*
 * An archive as the server sends it: members pass verbatim, the blocks at the
 * end are dropped.  "facts" is NULL for a tablespace.  A pg_control with a
 * wrong CRC is ERR_CORRUPT: it was read while the server wrote it.
 */
typedef struct BackupTar BackupTar;

BackupTar *backup_tar_new(PartWriter *writer, BackupFacts *facts);
Error *backup_tar_write(BackupTar *tar, const void *data, size_t size) MUST_CHECK;
Error *backup_tar_finish(BackupTar *tar) MUST_CHECK; /* finishes the writer, too */
void backup_tar_free(BackupTar *tar);
AUTO_DEFINE(BackupTar, backup_tar_free);

/*
 * WAL as it streams in, as whole segments named as in pg_wal.  "from" is the
 * start of a segment.
 */
typedef struct WalTar WalTar;

WalTar *wal_tar_new(PartWriter *writer, TimeLineID timeline, XLogRecPtr from, uint32_t segment_size);
Error *wal_tar_add_history(WalTar *tar, const char *text, size_t size) MUST_CHECK; /* before any WAL */
Error *wal_tar_write(WalTar *tar, const void *data, size_t size) MUST_CHECK;
Error *wal_tar_finish(WalTar *tar) MUST_CHECK; /* fills the last segment with zeros */
void wal_tar_free(WalTar *tar);
AUTO_DEFINE(WalTar, wal_tar_free);
