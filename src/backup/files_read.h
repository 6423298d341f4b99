/*
 * One entry of a tree, read: what it is, its attributes and, of a small file, its
 * contents.  Runs in a pool, ahead of the thread that writes the parts.
 */
#pragma once

#include "files_list.h"
#include "files_walk.h"
#include "walship/base/ordered.h"
#include "walship/pipe/tar.h"

#define FILES_SMALL_MAX (128u * 1024) /* bytes: larger files are read by the thread that writes the parts */
#define FILES_BATCH \
	16 /* entries that one job reads: handing over each by itself costs more than reading it */

typedef enum FilesOutcome
{
	FILES_READ,
	FILES_UNCHANGED, /* as the set before has it: "part" of its entry */
	FILES_SKIPPED,   /* a socket, which is nothing without its process */
	FILES_MISSING,   /* vanished or not readable: the entry's "problem" */
} FilesOutcome;

typedef struct FilesRead
{
	/* Set by the caller. */
	WalkDirectory *directory; /* shared */
	char *leaf;
	FilesEntry before; /* of the set before; no path: it has none, or there is no such set */

	/* Found. */
	FilesOutcome outcome;
	FilesEntry entry; /* path by the caller; target and part are left to it */
	dev_t device;
	nlink_t links;
	dev_t device_number; /* of a device */
	char *link_target;   /* of a symbolic link */
	TarAttribute *attributes;
	size_t n_attributes;
	bool is_small;
	Buf contents;
	int fd; /* of a file that is not small; -1 */
	TarExtents extents;
	bool sparse;
	struct stat status; /* before it was read */
} FilesRead;

FilesRead *files_read_new(WalkDirectory *directory, const char *path, const char *leaf);
void files_read_free(FilesRead *read);

/* In the order of the walk. */
typedef struct FilesBatch
{
	FilesRead *reads[FILES_BATCH]; /* owned; NULL: given away */
	size_t count;
} FilesBatch;

void files_batch_free(void *batch);

/* OrderedRun: what goes wrong with a file is an outcome; an error is a cancellation. */
Error *files_batch_run(void *batch, const atomic_bool *stop) MUST_CHECK;

/* After its contents were read: did it change meanwhile?  Then the entry says so. */
void files_read_settle(FilesRead *read, int fd);
