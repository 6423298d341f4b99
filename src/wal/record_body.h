/*
 * What a record says, read while its bytes pass: kind, time, xid, name.  Knows
 * the layout of a record's body (PostgreSQL: access/xlogrecord.h) and of the
 * few records that matter; keeps one field at a time, whatever the length.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "walship/wal/record.h"

#define RECORD_HEADER_SIZE 24 /* PostgreSQL: SizeOfXLogRecord */
#define RECORD_FIELD_MAX   72

typedef struct RecordBody RecordBody;
typedef void (*RecordStep)(RecordBody *body);

struct RecordBody
{
	WalEvent event; /* as far as it is known; "lsn" and "end" are the walker's */

	const struct RecordKind *kind; /* NULL: of no interest */
	int major;
	uint8_t info;
	uint32_t length;      /* of the body */
	uint64_t position;    /* in the body, after the field that is awaited */
	uint64_t data_total;  /* bytes that belong to the block references read so far */
	uint8_t block_flags;  /* of the block reference that is being read */
	uint32_t main_length; /* of the main data, the last part of the body */
	uint32_t xinfo;       /* of a commit or abort */
	unsigned array;       /* of a commit or abort: which comes next */
	uint64_t skip;        /* bytes to pass over before the field */
	unsigned want;        /* size of the field */
	unsigned have;        /* of it, so far */
	uint8_t field[RECORD_FIELD_MAX];
	RecordStep step; /* takes the field; NULL: nothing more to be learnt */
};

void record_body_begin(RecordBody *body, int major, const uint8_t header[RECORD_HEADER_SIZE]);
void record_body_feed(RecordBody *body, const uint8_t *data, size_t size);
