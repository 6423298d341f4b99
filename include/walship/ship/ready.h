/*
 * What waits for the archiver: pg_wal/archive_status/NAME.ready.  The archiver
 * takes history files first, then the lowest name (PostgreSQL: pgarch.c,
 * ready_file_comparator).  These files are only looked at: they are the server's.
 */
#pragma once

#include <stddef.h>

#include "walship/base/error.h"
#include "walship/base/strs.h"
#include "walship/wal/name.h"

typedef struct ReadyFiles
{
	size_t waiting;  /* WAL files of all kinds */
	StrList follows; /* segments that come after the given one, in the archiver's order */
} ReadyFiles;

void ready_files_release(ReadyFiles *files);
#define AUTO_READY __attribute__((cleanup(ready_files_release))) ReadyFiles

/*
 * "statuses": the names in archive_status, in byte order.  Follows "segment" are
 * at most "most" segments of the same timeline; none while a history file waits,
 * for then timelines are about to change, and the archiver's next file is that one.
 */
void ready_files_choose(const StrList *statuses, const WalName *segment, size_t most, ReadyFiles *ret_files);

Error *ready_files_list(const char *wal_directory, const WalName *segment, size_t most, ReadyFiles *ret_files)
	MUST_CHECK;
