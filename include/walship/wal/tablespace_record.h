/*
 * The record of CREATE TABLESPACE: the only one in all WAL that names a directory
 * outside the data directory (PostgreSQL: commands/tablespace.h,
 * xl_tblspc_create_rec).  Replaying it links pg_tblspc/<OID> to that directory,
 * and everything that follows goes through the link.
 *
 * With an empty path the server takes the tablespace for one that lies in place,
 * below pg_tblspc (PostgreSQL: tablespace.c, create_tablespace_directories; since
 * 10.22, 11.17, 12.12, 13.8 and 14.5, in redo whatever the settings say): a link
 * that is there already stays, and is used.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "walship/wal/lsn.h"
#include "walship/wal/page.h"

#define WAL_RECORD_XID_END   8  /* so many bytes of a record tell its length and transaction, */
#define WAL_RECORD_KIND_SIZE 18 /* and so many what it is */

/* Bytes of the longest one: header; origin, toplevel xid and main data; OID and a path of 1023 bytes. */
#define WAL_TABLESPACE_RECORD_MAX (24 + 3 + 5 + 5 + 4 + 1024)

/* "record": its first bytes, at least WAL_RECORD_KIND_SIZE. */
bool wal_record_creates_tablespace(const uint8_t *record);

/* By the first field: of the whole record, and no more can be said when it is above the maximum. */
uint32_t wal_record_length(const uint8_t *record);

/* 0: of none. */
TransactionId wal_record_xid(const uint8_t *record);

typedef struct WalTablespaceRecord
{
	uint32_t oid;
	const char *path; /* within the record */
	uint32_t path_at; /* where it begins there */
} WalTablespaceRecord;

/* Takes a whole record apart, page headers left out.  False: it is no such record. */
bool wal_tablespace_record_parse(const uint8_t *record, uint32_t size, WalTablespaceRecord *ret_record);

/* Does its CRC say that it is whole? */
bool wal_record_is_whole(const uint8_t *record, uint32_t size);

/* Empties the path, and makes the CRC anew: all else, and the length, stays. */
void wal_tablespace_record_clear_path(uint8_t *record, uint32_t size, const WalTablespaceRecord *parsed);

/* Where byte "at" lies of a record that starts at "lsn": headers of pages and segments lie between. */
XLogRecPtr wal_record_place(XLogRecPtr lsn, uint32_t at, uint32_t segment_size);

/* On the last page of a segment: where does the record begin that goes on in the next one?  0: none does. */
uint32_t wal_page_open_record(const uint8_t page[XLOG_BLCKSZ]);
