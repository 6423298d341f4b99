/*
 * Names of files in pg_wal (PostgreSQL: access/xlog_internal.h, XLogFileName
 * and neighbours).  The segment number of a name depends on the segment size:
 * 16 MB segments end in 00..FF, 1 GB ones in 0..3.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "walship/base/error.h"
#include "walship/wal/lsn.h"

#define WAL_NAME_SIZE 64

typedef enum WalNameKind
{
	WAL_SEGMENT, /* 000000010000000300000009 */
	WAL_PARTIAL, /* 000000010000000300000009.partial */
	WAL_HISTORY, /* 00000002.history */
	WAL_BACKUP,  /* 000000010000000300000009.00000028.backup */
} WalNameKind;

typedef struct WalName
{
	WalNameKind kind;
	TimeLineID timeline;
	uint32_t log;    /* upper 32 bits of the LSN; not for a history file */
	uint32_t seg;    /* number within the 4 GB of "log"; not for a history file */
	uint32_t offset; /* WAL_BACKUP only */
} WalName;

/* ERR_USAGE when it is not a name that the server archives. */
Error *wal_name_parse(const char *text, WalName *ret_name) MUST_CHECK;

const char *wal_name_format(const WalName *name, char text[WAL_NAME_SIZE]);

/* False when "seg" is too high for this segment size. */
bool wal_name_segno(const WalName *name, uint32_t segment_size, XLogSegNo *ret_segno);

WalName wal_name_of_segment(TimeLineID timeline, XLogSegNo segno, uint32_t segment_size);
const char *wal_segment_name(TimeLineID timeline, XLogSegNo segno, uint32_t segment_size,
                             char text[WAL_NAME_SIZE]);
