/*
 * PostgreSQL's own names and arithmetic for places in the WAL (PostgreSQL:
 * access/xlogdefs.h, access/xlog_internal.h).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef uint64_t XLogRecPtr; /* a byte position in the WAL, "LSN" */
typedef uint32_t TimeLineID;
typedef uint64_t XLogSegNo;
typedef uint32_t TransactionId;

#define InvalidXLogRecPtr ((XLogRecPtr) 0)
#define LSN_TEXT_SIZE     20 /* "FFFFFFFF/FFFFFFFF" and NUL */

#define WAL_SEGMENT_SIZE_MIN (UINT32_C(1) << 20)
#define WAL_SEGMENT_SIZE_MAX (UINT32_C(1) << 30)

const char *lsn_format(XLogRecPtr lsn, char text[LSN_TEXT_SIZE]); /* "3/9A0011C0" */
bool lsn_parse(const char *text, XLogRecPtr *ret_lsn);            /* the whole string */

bool wal_segment_size_is_valid(uint64_t size); /* power of two, 1 MB to 1 GB */

static inline XLogSegNo
lsn_segment(XLogRecPtr lsn, uint32_t segment_size)
{
	return lsn / segment_size;
}

/* The segment of the byte before: of an end position (PostgreSQL: XLByteToPrevSeg). */
static inline XLogSegNo
lsn_segment_before(XLogRecPtr lsn, uint32_t segment_size)
{
	return (lsn - 1) / segment_size;
}

static inline XLogRecPtr
segment_start(XLogSegNo segno, uint32_t segment_size)
{
	return segno * segment_size;
}
