/* The end of a restoring pipe: members of a part become files; see restore_files.c. */
#pragma once

#include <stdatomic.h>

#include "walship/backup/restore.h"
#include "walship/base/strs.h"
#include "walship/pg/manifest.h"
#include "walship/pipe/tar.h"

/* One of the directories that parts are restored into. */
typedef struct RestoreRoot
{
	const char *set;       /* "base", "wal" or a tablespace's OID, as in the record */
	const char *path;      /* for messages; NULL: into nothing */
	int fd;                /* of the directory, open while files are restored; -1: into nothing */
	char *manifest_prefix; /* "" or "pg_tblspc/<oid>/"; NULL: not in the manifest (WAL) */
} RestoreRoot;

/* Shared by the parts that are restored at the same time. */
typedef struct RestoreShared
{
	const Manifest *manifest;
	atomic_bool *seen; /* by number in the manifest */
	const RestoreOptions *options;
	atomic_bool group_access; /* the cluster's files may be read by its group */
	atomic_bool faulty;       /* a part could not be restored */
} RestoreShared;

/* The context of restore_files_handler, one for each part. */
typedef struct RestoreFiles
{
	RestoreShared *shared;
	const RestoreRoot *root;
	int fd;        /* of the file that is being written, else -1 */
	char *path;    /* of the open member, as in the manifest, for messages and look-up; NULL between files */
	size_t number; /* in the manifest */
	uint32_t crc32c;
	uint64_t size;
	uint64_t written_back; /* so much of it is on its way to the disk */

	/* For restore_files_undo(). */
	StrList made;    /* names below the root */
	size_t *numbers; /* in the manifest, of what was seen */
	size_t n_numbers;
	size_t numbers_capacity;
} RestoreFiles;

extern const TarHandler restore_files_handler;

void restore_files_init(RestoreFiles *files, RestoreShared *shared, const RestoreRoot *root);
void restore_files_release(RestoreFiles *files);

/* As if nothing of this part had come: it is restored once more, from another copy. */
Error *restore_files_undo(RestoreFiles *files) MUST_CHECK;
