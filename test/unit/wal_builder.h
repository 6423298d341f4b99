/*
 * Makes WAL in memory: pages, records over page and segment borders, right
 * CRCs.  For the unit tests and the fuzz targets of src/wal.
 */
#pragma once

#include <stdint.h>
#include <string.h>

#include "walship/base/crc32c.h"
#include "walship/base/mem.h"
#include "walship/wal/majors.h"
#include "walship/wal/page.h"

#define BUILDER_SEGMENT_SIZE WAL_SEGMENT_SIZE_MIN
#define BUILDER_START        UINT64_C(0x300000000)
#define BUILDER_SYSTEM       UINT64_C(7300000000000000001)
#define BUILDER_HEADER_SIZE  24

typedef struct WalBuilder
{
	uint8_t *bytes;
	size_t size; /* of all segments */
	size_t at;
	int major;
	uint16_t magic; /* of the pages */
	TimeLineID timeline;
	XLogRecPtr previous; /* start of the last record */
	uint16_t page_flags; /* besides the usual ones, for the next page */
} WalBuilder;

static inline void
builder_le(uint8_t *to, uint64_t value, int bytes)
{
	for (int i = 0; i < bytes; i++)
		to[i] = (uint8_t) (value >> (8 * i));
}

static inline WalBuilder
builder_new(int major, size_t segments)
{
	return (WalBuilder){
		.bytes = NEW_ARRAY(uint8_t, segments * BUILDER_SEGMENT_SIZE),
		.size = segments * BUILDER_SEGMENT_SIZE,
		.major = major,
		.magic = pg_major(major)->page_magic,
		.timeline = 1,
		.previous = BUILDER_START - 0x100,
	};
}

static inline void
builder_page(WalBuilder *builder, size_t remaining)
{
	uint8_t *page = builder->bytes + builder->at;
	int is_long = builder->at % BUILDER_SEGMENT_SIZE == 0;
	int flags =
		builder->page_flags | (remaining > 0 ? XLP_FIRST_IS_CONTRECORD : 0) | (is_long ? XLP_LONG_HEADER : 0);

	builder->page_flags = 0;
	builder_le(page, builder->magic, 2);
	builder_le(page + 2, (uint64_t) flags, 2);
	builder_le(page + 4, builder->timeline, 4);
	builder_le(page + 8, BUILDER_START + builder->at, 8);
	builder_le(page + 16, remaining, 4);
	builder->at += WAL_SHORT_HEADER_SIZE;
	if (!is_long)
		return;
	builder_le(page + 24, BUILDER_SYSTEM, 8);
	builder_le(page + 32, BUILDER_SEGMENT_SIZE, 4);
	builder_le(page + 36, XLOG_BLCKSZ, 4);
	builder->at += WAL_LONG_HEADER_SIZE - WAL_SHORT_HEADER_SIZE;
}

/* What does not fit in any more is left out. */
static inline void
builder_put(WalBuilder *builder, const uint8_t *data, size_t size)
{
	for (size_t done = 0; done < size && builder->at < builder->size;)
	{
		if (builder->at % XLOG_BLCKSZ == 0)
			builder_page(builder, done == 0 ? 0 : size - done);

		size_t room = XLOG_BLCKSZ - builder->at % XLOG_BLCKSZ;
		size_t taken = size - done < room ? size - done : room;

		memcpy(builder->bytes + builder->at, data + done, taken);
		builder->at += taken;
		done += taken;
	}
	builder->at = (builder->at + 7) & ~(size_t) 7;
}

/* Where the next record starts. */
static inline XLogRecPtr
builder_next(const WalBuilder *builder)
{
	size_t header = builder->at % BUILDER_SEGMENT_SIZE == 0 ? WAL_LONG_HEADER_SIZE : WAL_SHORT_HEADER_SIZE;

	return BUILDER_START + builder->at + (builder->at % XLOG_BLCKSZ == 0 ? header : 0);
}

/* A record with this body, chunk headers included; returns where it starts. */
static inline XLogRecPtr
builder_body(WalBuilder *builder, uint8_t manager, uint8_t info, TransactionId xid, const void *body,
             size_t size)
{
	AUTO_FREE uint8_t *record = mem_zalloc(BUILDER_HEADER_SIZE + size);
	XLogRecPtr start = builder_next(builder);

	builder_le(record, BUILDER_HEADER_SIZE + size, 4);
	builder_le(record + 4, xid, 4);
	builder_le(record + 8, builder->previous, 8);
	record[16] = info;
	record[17] = manager;
	if (size > 0)
		memcpy(record + BUILDER_HEADER_SIZE, body, size);
	builder_le(record + 20, crc32c(crc32c(0, body, size), record, 20), 4);
	builder_put(builder, record, BUILDER_HEADER_SIZE + size);
	builder->previous = start;
	return start;
}

/* A record with only this main data. */
static inline XLogRecPtr
builder_record(WalBuilder *builder, uint8_t manager, uint8_t info, TransactionId xid, const void *main,
               size_t size)
{
	AUTO_FREE uint8_t *body = mem_alloc(size + 5);
	size_t header = size > 255 ? 5 : 2;

	body[0] = size > 255 ? 254 : 255;
	builder_le(body + 1, size, (int) header - 1);
	if (size > 0)
		memcpy(body + header, main, size);
	return builder_body(builder, manager, info, xid, body, size + header);
}

/* A record of some other resource manager, this long in all. */
static inline XLogRecPtr
builder_filler(WalBuilder *builder, size_t size)
{
	size_t overhead = BUILDER_HEADER_SIZE + (size - BUILDER_HEADER_SIZE > 255 + 2 ? 5 : 2);
	AUTO_FREE uint8_t *main = mem_alloc(size);

	memset(main, 0xA5, size);
	return builder_record(builder, 10, 0, 500, main, size - overhead);
}
