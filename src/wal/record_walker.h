/* The walker from inside: record.c takes the bytes; record_edge.c stands on it, for what crosses the segment's end. */
#pragma once

#include "record_kinds.h"
#include "walship/wal/record.h"

#define RECORD_ALIGNMENT 8  /* PostgreSQL: MAXALIGN */
#define RECORD_CRC_AT    20 /* the last field of the header */

typedef enum WalkState
{
	WALK_BETWEEN, /* no record is open */
	WALK_RECORD,
	WALK_FOREIGN,  /* the rest of a record that began in an earlier segment */
	WALK_LOST,     /* past an invalid record, looking for WAL behind it */
	WALK_GIVEN_UP, /* the next segment does not go on with the open record */
	WALK_DONE,
} WalkState;

struct WalWalker
{
	WalEventCallback callback;
	void *context;
	WalPageHeader first; /* of the segment's first page */
	const PgMajor *major;
	uint32_t offset;     /* from the segment's start, of the byte that comes next */
	uint32_t limit;      /* end of the segment, or of the one that was entered to see a record's end */
	TimeLineID timeline; /* of the last right page */
	WalkState state;
	uint8_t page[WAL_LONG_HEADER_SIZE];

	uint32_t record; /* the open or suspect record: offset of its start, */
	uint32_t length; /* its length, of a foreign one that of the rest */
	uint32_t have;   /* of that, so far */
	uint8_t header[RECORD_HEADER_SIZE];
	uint32_t crc; /* of the body, so far */
	RecordBody body;
	bool continued;  /* with bytes of later segments */
	uint64_t window; /* when lost: the last eight bytes */
	bool blank;      /* what came from before may be a switch, and nothing but zeros followed it */

	XLogRecPtr previous; /* start of the last record; InvalidXLogRecPtr before the first */
	uint32_t valid_end;  /* offset of the end of the last valid record, aligned */
	WalWalkResult result;
};

static inline uint32_t
record_align(uint32_t offset)
{
	return (offset + RECORD_ALIGNMENT - 1) & ~(uint32_t) (RECORD_ALIGNMENT - 1);
}

static inline XLogRecPtr
walker_lsn(const WalWalker *walker, uint32_t offset)
{
	return walker->first.page_address + offset;
}

/* The open record is told; "end" as in the event. */
void walker_count_record(WalWalker *walker, XLogRecPtr end);

/* Takes at least one byte of the open record, and ends it. */
size_t walker_take_record(WalWalker *walker, const uint8_t *data, size_t size);
