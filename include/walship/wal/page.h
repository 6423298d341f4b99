/*
 * The first page of a segment says whose it is (PostgreSQL:
 * access/xlog_internal.h, XLogLongPageHeaderData).  Little-endian, as written
 * by x86-64 and arm64 servers.
 */
#pragma once

#include <stdint.h>

#include "walship/base/error.h"
#include "walship/wal/lsn.h"
#include "walship/wal/name.h"

#define XLOG_BLCKSZ           8192
#define WAL_LONG_HEADER_SIZE  40
#define WAL_SHORT_HEADER_SIZE 24

/* Flags of "info" (PostgreSQL: access/xlog_internal.h). */
#define XLP_FIRST_IS_CONTRECORD           0x0001
#define XLP_LONG_HEADER                   0x0002
#define XLP_FIRST_IS_OVERWRITE_CONTRECORD 0x0008
#define XLP_ALL_FLAGS                     0x000F

typedef struct WalPageHeader
{
	uint16_t magic;
	uint16_t info;
	TimeLineID timeline;
	XLogRecPtr page_address;
	uint32_t remaining_length; /* of a record continued from the page before */
	uint64_t system_identifier;
	uint32_t segment_size;
	uint32_t block_size;
	int major; /* of PostgreSQL, from the magic; 0: of a version that is not in walship/wal/majors.h */
} WalPageHeader;

/*
 * Reads the long header of a segment's first page and checks it in itself:
 * magic, flags, block size, segment size, address.  ERR_CORRUPT names the field, the
 * value found and, as a hint, what usually is the cause.
 *
 * The header has had one form since PostgreSQL 9.3.  A magic above the oldest one
 * that is known is therefore no error: whose the segment is can be read, and its
 * records cannot.
 */
Error *wal_page_header_parse(const void *data, size_t size, WalPageHeader *ret_header) MUST_CHECK;

/*
 * Does the header belong to a file of this name?  Page address, and a timeline
 * not above the name's (lower is right: a new timeline's first segment begins
 * as a copy of the old one).  ERR_CORRUPT.
 */
Error *wal_page_header_matches(const WalPageHeader *header, const WalName *name) MUST_CHECK;
