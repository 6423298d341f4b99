/*
 * What a record says, read while its bytes pass: kind, time, xid, name.  Keeps
 * one field at a time, whatever the length, and believes no length beyond the
 * record's own.  This knows the layout of every record's body; record_kinds.c and
 * record_xact.c know the few records that matter, and stand on it.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "walship/wal/majors.h"
#include "walship/wal/record.h"

#define RECORD_HEADER_SIZE 24         /* PostgreSQL: SizeOfXLogRecord */
#define RECORD_INFO_AT     16         /* behind it, the resource manager */
#define RECORD_FIELD_MAX   (4 + 1024) /* a tablespace's OID and path (PostgreSQL: MAXPGPATH) */

typedef struct RecordBody RecordBody;
typedef void (*RecordStep)(RecordBody *body);

typedef enum RecordXid
{
	RECORD_XID_NONE, /* not told */
	RECORD_XID_IN_HEADER,
	RECORD_XID_IN_BODY, /* ends a prepared transaction */
} RecordXid;

typedef struct RecordKind
{
	uint8_t manager;
	uint8_t mask; /* of info */
	uint8_t info;
	WalEventKind kind;
	RecordXid xid;
	RecordStep begin_main; /* what to read of the main data, or NULL */
} RecordKind;

struct RecordBody
{
	WalEvent event; /* as far as it is known; "end" is the walker's */

	const RecordKind *kind; /* NULL: of no interest */
	WalEventCallback callback;
	void *context;
	const PgMajor *major;
	uint8_t info;
	uint32_t length;      /* of the body */
	uint64_t position;    /* in the body, after the field that is awaited */
	uint64_t data_total;  /* bytes that belong to the block references read so far */
	uint8_t block_flags;  /* of the block reference that is being read */
	uint32_t main_length; /* of the main data, the last part of the body */
	uint32_t xinfo;       /* of a commit or abort */
	unsigned array;       /* of a commit or abort: which comes next */
	uint64_t items;       /* of an array: still to come */
	uint64_t skip;        /* bytes to pass over before the field */
	unsigned want;        /* size of the field */
	unsigned have;        /* of it, so far */
	uint8_t field[RECORD_FIELD_MAX];
	RecordStep step; /* takes the field; NULL: nothing more to be learnt */
};

/*
 * "kind": NULL when it is of no interest.  "lsn": of the record.  Items go to
 * "callback" while the body is fed.
 */
void record_body_begin(RecordBody *body, const RecordKind *kind, const PgMajor *major,
                       const uint8_t header[RECORD_HEADER_SIZE], XLogRecPtr lsn, WalEventCallback callback,
                       void *context);
void record_body_feed(RecordBody *body, const uint8_t *data, size_t size);

/* For the kinds. */

/* A TimestampTz; TIME_NONE when it is no sane time. */
TimeUs record_time(const uint8_t *bytes);

/* Twelve bytes that name a relation's files: RelFileLocator, before 16 RelFileNode. */
WalRelation record_relation(const uint8_t *bytes);

/* Pass over "skip" bytes, then hand the next "want" to "step". */
void record_await(RecordBody *body, uint64_t skip, unsigned want, RecordStep step);

/* The beginning of the main data, which comes after the data of the blocks; never when there is less of it. */
void record_await_main(RecordBody *body, unsigned want, RecordStep step);

/* Bytes behind the field that was just read. */
static inline uint64_t
record_rest(const RecordBody *body)
{
	return body->length - body->position;
}

/* "item" needs its kind and what belongs to it; LSN and the like are the record's. */
void record_show_item(RecordBody *body, WalEvent item);
