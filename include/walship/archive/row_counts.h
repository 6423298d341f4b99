/*
 * How many rows tables had on the live server, and at which place in the WAL exactly:
 * proof/<time>-counts.json.  A server that has replayed every record that begins before
 * that place, and no other, has the same.  Databases and tables by their OIDs, which a
 * physical copy keeps; no name of theirs gets into the store (docs/format.md).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "walship/base/clock.h"
#include "walship/base/error.h"
#include "walship/base/notice.h"
#include "walship/store/store.h"
#include "walship/wal/lsn.h"

#define ROW_COUNTS_MAX 15000 /* tables that such an object has room for */

typedef struct RowCount
{
	uint32_t database;
	uint32_t relation;
	uint64_t rows;
} RowCount;

typedef struct RowCounts
{
	TimeUs time; /* the server's */
	TimeLineID timeline;
	XLogRecPtr lsn;
	char *backup; /* after which they were taken; NULL: none */
	RowCount *items;
	size_t count;
	size_t capacity;
} RowCounts;

void row_counts_release(RowCounts *counts);
#define AUTO_ROW_COUNTS __attribute__((cleanup(row_counts_release))) RowCounts

Error *row_counts_write(Store *store, uint64_t system_identifier, const RowCounts *counts) MUST_CHECK;

typedef bool RowCountsSuit(const void *context, const RowCounts *counts);

/* The newest that suit; ERR_NOT_FOUND: none do.  Damaged ones are told and passed over. */
Error *row_counts_read(Store *store, uint64_t system_identifier, RowCountsSuit *suit, const void *context,
                       const Notices *notices, RowCounts *ret_counts) MUST_CHECK;
