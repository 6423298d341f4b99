/* One restore of a base backup under way: what restore.c and restore_parts.c share. */
#pragma once

#include "restore_files.h"
#include "walship/base/workers.h"
#include "walship/pipe/codec.h"

#define RESTORE_SET_WAL "wal"

typedef struct Restore
{
	const RestoreOptions *options;
	Codec codec;
	char *prefix; /* of the backup's keys */
	RestoreRoot *roots;
	size_t n_roots;
	RestoreShared shared;

	/* restore_parts() makes and frees them. */
	Workers *workers; /* a job for each part */
	Workers *cpu;     /* decodes pieces of all of them; NULL: each part for itself */
	int pieces_each;  /* that are in work or wait, of a part */
	ChunkList *lists; /* of each of the record's parts; empty: by the part itself, or one stream */
} Restore;

/* All parts that are wanted, side by side, the largest first. */
Error *restore_parts(Restore *restore) MUST_CHECK;

/* An object of the backup, whole, into a pipe that is finished then. */
Error *restore_get_object(const Restore *restore, const char *name, Pipe *pipe) MUST_CHECK;

/* From stored to raw bytes; the stream's codec is the backup's. */
void restore_add_decoders(const Restore *restore, Pipe *pipe, ChunkedStream stream);

/* Is it worth while to read this object once more?  Only with a second store. */
bool restore_is_better_elsewhere(const Restore *restore, const char *name, const Error *error, int *reads);

/* Into nothing, what is wrong with one object can be told instead: then it is no error.  Takes and returns ownership. */
Error *restore_judge(const Restore *restore, const char *name, Error *error) MUST_CHECK;
