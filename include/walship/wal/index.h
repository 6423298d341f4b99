/*
 * The index member of a segment object: what happened in the segment, as JSON
 * (docs/format.md).  Filled while the segment is read, printed once.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "walship/base/buf.h"
#include "walship/base/clock.h"
#include "walship/base/crypto.h"
#include "walship/base/error.h"
#include "walship/wal/lsn.h"
#include "walship/wal/page.h"
#include "walship/wal/record.h"

#define WAL_INDEX_FORMAT             1
#define WAL_INDEX_READ_SIZE          4096 /* one ranged GET of this much holds tar header and index, normally */
#define WAL_INDEX_TEXT_MAX           3584 /* what a tar header leaves of it */
#define WAL_INDEX_RESTORE_POINTS_MAX 8    /* more are only counted */

typedef struct WalRestorePoint
{
	char name[64];
	XLogRecPtr lsn;
	TimeUs time;
} WalRestorePoint;

typedef struct WalIndex
{
	char segment[WAL_NAME_SIZE]; /* the file's name, with ".partial" when it is one */
	uint64_t system_identifier;
	TimeLineID timeline; /* of the name */
	int major;
	uint32_t segment_size;
	XLogRecPtr start_lsn;
	XLogRecPtr end_lsn;              /* the byte after the segment */
	uint8_t sha256[SHA256_SIZE];     /* of the plain segment */
	char member[WAL_NAME_SIZE + 16]; /* name of the payload member */
	char codec[16];
	uint64_t stored_size;
	uint8_t stored_sha256[SHA256_SIZE];

	/* From the records; a .partial has none of it (walked == false). */
	bool walked;
	WalWalkResult walk;
	uint64_t commits;
	uint64_t aborts;
	TimeUs first_time; /* of commits and aborts; TIME_NONE when there are none */
	TimeUs last_time;
	TimeUs min_time;
	TimeUs max_time;

	/*
	 * A run: the greatest commit or abort time on this timeline from the start of
	 * the segment at "time_high_since" (this one at the latest; InvalidXLogRecPtr:
	 * not known) to the end of this one; TIME_NONE: there is none.  A run is carried
	 * along from segment to segment.  It begins anew where it cannot be, and also
	 * after a segment that is damaged, whose WAL ends in the middle or in which
	 * parameters change: only the last segment of a run can be such a one, so that a
	 * planner need not read the others.
	 */
	TimeUs time_high;
	XLogRecPtr time_high_since;
	TransactionId min_xid; /* of commits and aborts, in xid order; 0 when there are none */
	TransactionId max_xid;
	uint64_t checkpoints;
	bool parameter_change;
	bool timeline_switch;      /* an end-of-recovery record, or a checkpoint that begins a timeline */
	uint64_t n_restore_points; /* exact, also when the list is cut */
	WalRestorePoint restore_points[WAL_INDEX_RESTORE_POINTS_MAX];
} WalIndex;

/* Empty, with no time known. */
void wal_index_init(WalIndex *index);

/* A WalEventCallback whose context is the WalIndex: counts the event in. */
void wal_index_add_event(void *index, const WalEvent *event);

void wal_index_print(const WalIndex *index, Buf *into);
Error *wal_index_parse(const char *text, size_t size, const char *what, WalIndex *ret_index) MUST_CHECK;
