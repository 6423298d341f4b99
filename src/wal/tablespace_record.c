/* The record of CREATE TABLESPACE; see walship/wal/tablespace_record.h. */
#include "walship/wal/tablespace_record.h"

#include <string.h>

#include "little_endian.h"
#include "walship/base/crc32c.h"

/* PostgreSQL: access/xlogrecord.h; access/rmgrlist.h and commands/tablespace.h, which never changed */
enum
{
	HEADER_SIZE = 24,
	INFO_AT = 16,
	MANAGER_AT = 17,
	CRC_AT = 20,
	ALIGNMENT = 8,
	RM_TBLSPC = 5,
	TBLSPC_CREATE = 0x00,
	CHUNK_TOPLEVEL_XID = 252,
	CHUNK_ORIGIN = 253,
	CHUNK_MAIN_LONG = 254,
	CHUNK_MAIN_SHORT = 255,
	OID_SIZE = 4,
};

bool
wal_record_creates_tablespace(const uint8_t *record)
{
	return record[MANAGER_AT] == RM_TBLSPC && (record[INFO_AT] & 0xF0) == TBLSPC_CREATE;
}

uint32_t
wal_record_length(const uint8_t *record)
{
	return le32(record);
}

TransactionId
wal_record_xid(const uint8_t *record)
{
	return le32(record + 4);
}

/* It has no blocks: behind the chunks' headers lies its main data, and nothing else. */
bool
wal_tablespace_record_parse(const uint8_t *record, uint32_t size, WalTablespaceRecord *ret_record)
{
	uint32_t at = HEADER_SIZE;
	uint32_t main_size = 0;

	if (size < HEADER_SIZE || size > WAL_TABLESPACE_RECORD_MAX || le32(record) != size ||
	    !wal_record_creates_tablespace(record))
		return false;
	while (main_size == 0)
	{
		if (size - at < 5)
			return false;
		switch (record[at])
		{
			case CHUNK_MAIN_SHORT:
				main_size = record[at + 1];
				at += 2;
				break;
			case CHUNK_MAIN_LONG:
				main_size = le32(record + at + 1);
				at += 5;
				break;
			case CHUNK_ORIGIN:
				at += 3;
				continue;
			case CHUNK_TOPLEVEL_XID:
				at += 5;
				continue;
			default:
				return false;
		}
		if (main_size <= OID_SIZE || main_size != size - at)
			return false;
	}

	const char *path = (const char *) record + at + OID_SIZE;

	if (memchr(path, '\0', main_size - OID_SIZE) == NULL)
		return false;
	*ret_record = (WalTablespaceRecord){.oid = le32(record + at), .path = path, .path_at = at + OID_SIZE};
	return true;
}

/* PostgreSQL: xloginsert.c, XLogRecordAssemble: the body first, then the header up to the CRC */
static uint32_t
crc_of(const uint8_t *record, uint32_t size)
{
	return crc32c(crc32c(0, record + HEADER_SIZE, size - HEADER_SIZE), record, CRC_AT);
}

bool
wal_record_is_whole(const uint8_t *record, uint32_t size)
{
	return size >= HEADER_SIZE && crc_of(record, size) == le32(record + CRC_AT);
}

void
wal_tablespace_record_clear_path(uint8_t *record, uint32_t size, const WalTablespaceRecord *parsed)
{
	record[parsed->path_at] = '\0';

	uint32_t crc = crc_of(record, size);

	for (int i = 0; i < 4; i++)
		record[CRC_AT + i] = (uint8_t) (crc >> (8 * i));
}

XLogRecPtr
wal_record_place(XLogRecPtr lsn, uint32_t at, uint32_t segment_size)
{
	for (;;)
	{
		uint32_t page_rest;

		if (lsn % segment_size == 0)
			lsn += WAL_LONG_HEADER_SIZE;
		else if (lsn % XLOG_BLCKSZ == 0)
			lsn += WAL_SHORT_HEADER_SIZE;
		page_rest = XLOG_BLCKSZ - (uint32_t) (lsn % XLOG_BLCKSZ);
		if (at < page_rest)
			return lsn + at;
		lsn += page_rest;
		at -= page_rest;
	}
}

static uint32_t
align(uint32_t offset)
{
	return (offset + ALIGNMENT - 1) & ~(uint32_t) (ALIGNMENT - 1);
}

/* Every record begins at a multiple of 8, so its length lies on the page. */
uint32_t
wal_page_open_record(const uint8_t page[XLOG_BLCKSZ])
{
	bool continued = (le16(page + 2) & XLP_FIRST_IS_CONTRECORD) != 0;
	uint32_t rest = continued ? le32(page + 16) : 0;

	if (rest >= XLOG_BLCKSZ - WAL_SHORT_HEADER_SIZE)
		return 0;
	for (uint32_t at = align(WAL_SHORT_HEADER_SIZE + rest); at < XLOG_BLCKSZ;)
	{
		uint32_t length = le32(page + at);

		if (length < HEADER_SIZE)
			return 0;
		if (length > XLOG_BLCKSZ - at)
			return at;
		at += align(length);
	}
	return 0;
}
