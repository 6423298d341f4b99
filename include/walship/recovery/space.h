/* Does a restored backup fit on the file systems that it goes to? */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "walship/backup/restore.h"
#include "walship/base/error.h"

typedef struct DiskSpace
{
	const char *path;   /* of the directory to be made; not owned */
	uint64_t needed;    /* on its file system, bytes, by all that goes there */
	uint64_t available; /* to an ordinary user */
} DiskSpace;

/* One row for the data directory and one for each tablespace: ret_spaces has room for n_tablespaces + 1. */
Error *recover_space_look(const BackupRecord *record, const char *pgdata, bool with_wal,
                          const RestoreTablespace *tablespaces, size_t n_tablespaces, DiskSpace *ret_spaces)
	MUST_CHECK;

/* ERR_SYSTEM when there is too little. */
Error *recover_space_check(const DiskSpace *spaces, size_t count) MUST_CHECK;
