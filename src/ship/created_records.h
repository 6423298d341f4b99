/*
 * The records of a segment that create a tablespace, each whole, also where it
 * lies in two segments: what tablespaces.c looks at and changes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "walship/ship/tablespaces.h"
#include "walship/wal/page.h"
#include "walship/wal/tablespace_record.h"

/* Maybe one: its first byte lies in this segment, or its last one, or both. */
typedef struct CreatedRecord
{
	XLogRecPtr lsn;
	uint8_t record[WAL_TABLESPACE_RECORD_MAX];
	uint32_t size; /* of the record */
	uint32_t from; /* which of its bytes lie in this segment */
	uint32_t until;
} CreatedRecord;

typedef struct CreatedRecords
{
	const TablespaceSegment *file;
	int fd;
	WalPageHeader header;
	XLogRecPtr end;      /* of the segment */
	XLogRecPtr *records; /* that begin here; owned */
	size_t n_records;
	size_t capacity;
	bool changed;
} CreatedRecords;

Error *created_records_open(const TablespaceSegment *file, CreatedRecords *segment) MUST_CHECK;

/* Hands over each in turn; which of them a server would replay, the caller finds out. */
Error *created_records_each(CreatedRecords *segment, Error *(*take)(void *context, CreatedRecord *created),
                            void *context) MUST_CHECK;

/* What lies of it in this segment, back into the file. */
Error *created_records_write(CreatedRecords *segment, CreatedRecord *created) MUST_CHECK;

/* What was written, durably.  Nothing to do when there was nothing. */
Error *created_records_sync(const CreatedRecords *segment) MUST_CHECK;

void created_records_close(CreatedRecords *segment); /* also after open() has failed */
