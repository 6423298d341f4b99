/* Records that cross the segment's end: what is kept of them, and how two pieces make a record again. */
#include <string.h>

#include "little_endian.h"
#include "record_walker.h"
#include "walship/base/crc32c.h"

static bool
ends_open(const WalWalker *walker)
{
	return walker->state == WALK_RECORD && walker->offset == walker->limit;
}

bool
wal_walker_is_open(const WalWalker *walker)
{
	return ends_open(walker) && (walker->have < RECORD_HEADER_SIZE || walker->body.kind != NULL);
}

/*
 * A switch that crosses the border blanks the whole segment behind it
 * (PostgreSQL: xlog.c, ReserveXLogSwitch).  Its few bytes alone would be no
 * proof, but with nothing but zeros behind them they are.
 */
static bool
switched_from_before(const WalWalker *walker)
{
	return walker->state == WALK_LOST && walker->blank && walker->result.records == 0 &&
	       walker->length == 0 && walker->offset == walker->first.segment_size;
}

/* Only what someone could want: tails of other records would make the indexes long for nothing. */
static void
keep_tail(WalWalker *walker)
{
	WalEdge *tail = &walker->result.tail;

	if (!wal_walker_is_open(walker) || walker->have > WAL_EDGE_MAX)
		tail->size = 0;
	tail->length = tail->size;
	memset(tail->bytes + tail->size, 0, WAL_EDGE_MAX - tail->size); /* of earlier, longer records */
}

/* By its length, the first field, which always lies on the page where it starts; page headers come on top. */
XLogRecPtr
wal_walker_open_end(const WalWalker *walker)
{
	uint32_t segment_size = walker->first.segment_size;
	XLogRecPtr end = walker_lsn(walker, walker->record);

	if (!ends_open(walker))
		return InvalidXLogRecPtr;
	for (uint32_t rest = walker->length; rest > 0;)
	{
		uint32_t page_rest;

		if (end % segment_size == 0)
			end += WAL_LONG_HEADER_SIZE;
		else if (end % XLOG_BLCKSZ == 0)
			end += WAL_SHORT_HEADER_SIZE;
		page_rest = XLOG_BLCKSZ - (uint32_t) (end % XLOG_BLCKSZ);
		if (page_rest > rest)
			page_rest = rest;
		end += page_rest;
		rest -= page_rest;
	}
	return (end + RECORD_ALIGNMENT - 1) & ~(XLogRecPtr) (RECORD_ALIGNMENT - 1);
}

bool
wal_walker_needs_more(const WalWalker *walker, const WalEdge *head)
{
	return head->length == walker->length - walker->have && head->size < head->length;
}

void
wal_walker_continue(WalWalker *walker, const WalEdge *head)
{
	const uint8_t *data = head->bytes;
	size_t size = head->size;

	if (!wal_walker_is_open(walker))
		return;
	keep_tail(walker);
	walker->continued = true;
	if (head->length != walker->length - walker->have)
		walker->state = WALK_GIVEN_UP;
	walker->offset += WAL_LONG_HEADER_SIZE;
	while (size > 0 && walker->state == WALK_RECORD)
	{
		size_t taken = walker_take_record(walker, data, size);

		data += taken;
		size -= taken;
	}
}

void
wal_walker_enter_next(WalWalker *walker)
{
	if (walker->state != WALK_RECORD || walker->offset != walker->limit)
		return;
	if (!walker->continued)
		keep_tail(walker);
	walker->continued = true;
	walker->limit += walker->first.segment_size;
}

/* The last record, or the one from before this segment, goes on in the next one. */
static void
finish_open(WalWalker *walker)
{
	walker->result.continues = true;
	walker->result.switched = false; /* a switch that ends in the next segment is the next one's */
	walker->valid_end = walker->first.segment_size;
	if (walker->state != WALK_RECORD)
		return;
	if (walker->have < RECORD_HEADER_SIZE)
		walker->body.event =
			(WalEvent){.kind = WAL_EVENT_OTHER, .lsn = walker_lsn(walker, walker->record), .time = TIME_NONE};
	walker_count_record(walker, InvalidXLogRecPtr);
}

void
wal_walker_finish(WalWalker *walker, WalWalkResult *ret_result)
{
	bool foreign = walker->state == WALK_FOREIGN && walker->offset == walker->first.segment_size;
	bool damaged = walker->result.damaged_at != InvalidXLogRecPtr;

	if (!walker->continued)
		keep_tail(walker);
	if (foreign || ends_open(walker) || (walker->continued && !damaged))
		finish_open(walker);
	if (switched_from_before(walker))
	{
		walker->result.switched = true;
		walker->valid_end = walker->first.segment_size;
	}
	walker->result.wal_end = walker_lsn(walker, walker->valid_end);
	*ret_result = walker->result;
}

/* Byte "at" of the record, whose beginning is "tail"; both pieces hold it together. */
static uint8_t
byte_at(const WalEdge *tail, const WalEdge *head, uint32_t at)
{
	return at < tail->size ? tail->bytes[at] : head->bytes[at - tail->size];
}

/* The part of a piece that is body, when "before" bytes of the record come before the piece. */
static const uint8_t *
body_part(const WalEdge *piece, uint32_t before, size_t *ret_size)
{
	uint32_t header = before < RECORD_HEADER_SIZE ? RECORD_HEADER_SIZE - before : 0;

	if (header > piece->size)
		header = piece->size;
	*ret_size = piece->size - header;
	return piece->bytes + header;
}

bool
wal_edge_join(const WalEdge *tail, const WalEdge *head, int major, XLogRecPtr lsn, XLogRecPtr next_start,
              WalEventCallback callback, void *context)
{
	uint8_t header[RECORD_HEADER_SIZE];
	bool whole = head->size == head->length;
	RecordBody body;
	size_t sizes[2];
	const uint8_t *parts[2] = {body_part(tail, 0, &sizes[0]), body_part(head, tail->size, &sizes[1])};
	const PgMajor *known = pg_major(major);

	if (known == NULL || tail->size == 0 || head->size == 0 || tail->size + head->size < RECORD_HEADER_SIZE)
		return false;
	for (uint32_t i = 0; i < RECORD_HEADER_SIZE; i++)
		header[i] = byte_at(tail, head, i);
	if (le32(header) != (uint64_t) tail->length + head->length)
		return false;

	uint32_t crc = crc32c(crc32c(crc32c(0, parts[0], sizes[0]), parts[1], sizes[1]), header, RECORD_CRC_AT);

	if (whole && crc != le32(header + RECORD_CRC_AT))
		return false;
	record_body_begin(&body, record_kind_of(known, header[RECORD_INFO_AT + 1], header[RECORD_INFO_AT]), known,
	                  header, lsn, callback, context);
	record_body_feed(&body, parts[0], sizes[0]);
	record_body_feed(&body, parts[1], sizes[1]);
	if (whole)
		body.event.end = next_start + WAL_LONG_HEADER_SIZE + record_align(head->length);
	callback(context, &body.event);
	return true;
}
