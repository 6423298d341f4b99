/*
 * Entries of the walk, one after the other: of each a tar member, where its contents are
 * not in the store already, and its line in the list.  Its counts go into the record.
 */
#pragma once

#include "files_before.h"
#include "files_read.h"
#include "parts.h"

/* A file with several names, by the first of them. */
typedef struct KnownFile KnownFile;

typedef struct FilesMembers
{
	/* Set by the caller, who keeps them. */
	const FilesTakeOptions *options;
	FilesBefore *before;
	FilesRecord *record;
	PartWriter *writer;
	const PartList *parts; /* the writer's */
	Spool *list;

	KnownFile *known; /* hashed by device and inode */
	size_t n_known;
	size_t known_size; /* a power of two */
	uint64_t done;     /* bytes */
} FilesMembers;

Error *files_members_add(FilesMembers *members, FilesRead *read) MUST_CHECK;

/* A directory that could not be listed to its end. */
void files_members_add_incomplete(FilesMembers *members, const char *path, const char *reason);
void files_members_release(FilesMembers *members);
