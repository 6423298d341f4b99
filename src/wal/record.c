/*
 * Walks the records of a segment.
 *
 * WAL that stops in the middle of a segment is no damage.  It is the rule after
 * a promotion: a standby that archives always also sends the last segment of
 * the old timeline, whose rest is zeros or, because segment files are reused,
 * pages of a much older segment.  A server cannot tell damage from the end and
 * takes the first invalid record for the end (PostgreSQL: xlogreader.c).  We
 * can, because we look at the rest: WAL is written in order, so whatever proves
 * that WAL was written behind the invalid record proves that it is damaged.
 *
 * Proof is
 * - a record whose header is right (its length is possible and it points back
 *   to the record before it, which the remains of an old segment cannot do),
 *   whose pages are all right, but whose CRC is not.  Senders of WAL stop at
 *   ends of records or of pages, so a page that came at all came as written;
 * - behind an invalid record or page, a page of this segment that is right:
 *   magic, flags, the address of just this place, a timeline that is not lower
 *   (files of the old timeline are reused on a new one under the same number);
 * - on the page of an invalid record, a record that points back to it;
 * - a right page that does not continue the open record, or continues one where
 *   none is open.  The exception is XLP_FIRST_IS_OVERWRITE_CONTRECORD: the
 *   server crashed in the middle of the record and never completed it.
 *
 * What remains unseen is damage in the last record before the end, or damage
 * that leaves no right page behind it.  "wal_end" then lies below the segment's
 * end without a switch, and where a next segment exists, that is a hole.
 */
#include "record_walker.h"

#include <string.h>

#include "little_endian.h"
#include "walship/base/crc32c.h"
#include "walship/base/mem.h"

#define RECORD_SIZE_MAX 0x3FFFFFFFu /* PostgreSQL: MaxAllocSize; XLogRecordMaxSize is lower */
#define LENGTH_SIZE     4           /* xl_tot_len never straddles pages, thanks to alignment */

static uint32_t
page_of(uint32_t offset)
{
	return offset / XLOG_BLCKSZ;
}

static uint32_t
page_header_size(const WalWalker *walker)
{
	return walker->offset % walker->first.segment_size < XLOG_BLCKSZ ? WAL_LONG_HEADER_SIZE
	                                                                 : WAL_SHORT_HEADER_SIZE;
}

/* The record is invalid, and WAL was written behind it. */
static void
damaged(WalWalker *walker)
{
	walker->result.damaged_at = walker_lsn(walker, walker->record);
	walker->state = WALK_DONE;
}

/*
 * The record is invalid, or ends here without being whole: the end of WAL, unless
 * proof of more comes.  For that the next segment is its own witness.
 */
static void
lost(WalWalker *walker)
{
	walker->window = 0;
	walker->state = walker->continued ? WALK_GIVEN_UP : WALK_LOST;
}

static void
record_begin(WalWalker *walker)
{
	walker->state = WALK_RECORD;
	walker->record = walker->offset;
	walker->length = 0;
	walker->have = 0;
}

void
walker_count_record(WalWalker *walker, XLogRecPtr end)
{
	WalWalkResult *result = &walker->result;
	WalEvent event = walker->body.event;

	event.end = end;
	if (result->records++ == 0)
		result->first_record = event.lsn;
	result->last_record = event.lsn;
	walker->callback(walker->context, &event);
}

static void
record_end(WalWalker *walker)
{
	uint32_t crc = crc32c(walker->crc, walker->header, RECORD_CRC_AT);

	if (crc != le32(walker->header + RECORD_CRC_AT))
	{
		damaged(walker);
		return;
	}
	walker->previous = walker_lsn(walker, walker->record);
	walker->state = WALK_BETWEEN;
	walker->valid_end = record_align(walker->offset);
	if (walker->body.event.kind == WAL_EVENT_SWITCH)
	{
		walker->result.switched = true;
		walker->state = WALK_DONE;
		walker->valid_end = walker->limit;
	}
	walker_count_record(walker, walker_lsn(walker, walker->valid_end));
}

/* The first record points back into an earlier segment, to a place that we do not know. */
static bool
header_is_right(const WalWalker *walker)
{
	XLogRecPtr previous = le64(walker->header + 8);

	if (walker->previous == InvalidXLogRecPtr)
		return previous < walker->first.page_address;
	return previous == walker->previous;
}

static void
header_complete(WalWalker *walker)
{
	if (!header_is_right(walker))
	{
		/* The header straddles pages, and the second one continues it. */
		if (page_of(walker->offset - 1) != page_of(walker->record))
			damaged(walker);
		else
			lost(walker);
		return;
	}
	walker->crc = 0;
	record_body_begin(&walker->body, record_kind_of(walker->major, walker->header[17], walker->header[16]),
	                  walker->major, walker->header, walker_lsn(walker, walker->record), walker->callback,
	                  walker->context);
	if (walker->length == RECORD_HEADER_SIZE)
		record_end(walker);
}

/* "at": where in the record's part the bytes lie. */
static void
edge_keep(WalEdge *edge, uint32_t at, const uint8_t *data, size_t size)
{
	if (at >= WAL_EDGE_MAX)
		return;
	if (size > WAL_EDGE_MAX - at)
		size = WAL_EDGE_MAX - at;
	memcpy(edge->bytes + at, data, size);
	edge->size = at + (uint32_t) size;
}

static size_t
take_header(WalWalker *walker, const uint8_t *data, size_t size)
{
	uint32_t goal = walker->have < LENGTH_SIZE ? LENGTH_SIZE : RECORD_HEADER_SIZE;
	size_t taken = size < goal - walker->have ? size : goal - walker->have;

	memcpy(walker->header + walker->have, data, taken);
	if (!walker->continued)
		edge_keep(&walker->result.tail, walker->have, data, taken);
	walker->have += (uint32_t) taken;
	walker->offset += (uint32_t) taken;
	if (walker->have == LENGTH_SIZE)
	{
		walker->length = le32(walker->header);
		if (walker->length < RECORD_HEADER_SIZE || walker->length > RECORD_SIZE_MAX)
			lost(walker);
	}
	if (walker->have == RECORD_HEADER_SIZE)
		header_complete(walker);
	return taken;
}

size_t
walker_take_record(WalWalker *walker, const uint8_t *data, size_t size)
{
	if (walker->have < RECORD_HEADER_SIZE)
		return take_header(walker, data, size);

	size_t taken = size < walker->length - walker->have ? size : walker->length - walker->have;

	if (walker->body.kind != NULL && !walker->continued)
		edge_keep(&walker->result.tail, walker->have, data, taken);
	walker->crc = crc32c(walker->crc, data, taken);
	record_body_feed(&walker->body, data, taken);
	walker->have += (uint32_t) taken;
	walker->offset += (uint32_t) taken;
	if (walker->have == walker->length)
		record_end(walker);
	return taken;
}

/*
 * Is what came from before this segment the rest of an XLOG_SWITCH?  A switch
 * record has no body, so that its header's end, with info, manager and CRC, is
 * here if any of it is: 8 or 16 bytes.
 */
static bool
head_ends_switch(const WalWalker *walker)
{
	const WalEdge *head = &walker->result.head;
	uint32_t info_at = head->length - (RECORD_HEADER_SIZE - RECORD_INFO_AT);

	if (head->size != head->length || (head->length != 8 && head->length != 16))
		return false;

	const RecordKind *kind = record_kind_of(walker->major, head->bytes[info_at + 1], head->bytes[info_at]);

	return kind != NULL && kind->kind == WAL_EVENT_SWITCH;
}

static size_t
take_foreign(WalWalker *walker, const uint8_t *data, size_t size)
{
	size_t taken = size < walker->length - walker->have ? size : walker->length - walker->have;

	edge_keep(&walker->result.head, walker->have, data, taken);
	walker->have += (uint32_t) taken;
	walker->offset += (uint32_t) taken;
	if (walker->have == walker->length)
	{
		walker->state = WALK_BETWEEN;
		walker->valid_end = record_align(walker->offset);
		walker->blank = head_ends_switch(walker);
	}
	return taken;
}

static size_t
take_between(WalWalker *walker, size_t size)
{
	uint32_t padding = record_align(walker->offset) - walker->offset;
	size_t taken = size < padding ? size : padding;

	walker->offset += (uint32_t) taken;
	if (padding == 0)
		record_begin(walker);
	return taken;
}

/* On the page of the invalid record: does a later one point back to it? */
static size_t
take_lost(WalWalker *walker, const uint8_t *data, size_t size)
{
	XLogRecPtr suspect = walker_lsn(walker, walker->record);

	for (size_t i = 0; page_of(walker->record) == page_of(walker->offset) && i < size; i++)
	{
		walker->window = walker->window >> 8 | (uint64_t) data[i] << 56;
		if ((walker->offset + i + 1) % RECORD_ALIGNMENT == 0 && walker->window == suspect)
		{
			damaged(walker);
			break;
		}
	}
	walker->offset += (uint32_t) size;
	return size;
}

static bool
page_is_right(const WalWalker *walker, uint32_t page_offset)
{
	const uint8_t *page = walker->page;
	uint16_t info = le16(page + 2);
	bool is_long = (info & XLP_LONG_HEADER) != 0;

	return le16(page) == walker->first.magic && (info & ~XLP_ALL_FLAGS) == 0 &&
	       is_long == (page_offset % walker->first.segment_size == 0) && le32(page + 4) >= walker->timeline &&
	       le64(page + 8) == walker_lsn(walker, page_offset);
}

/* A page that is right: does it go on where the one before it stopped? */
static void
continue_on_page(WalWalker *walker)
{
	uint16_t info = le16(walker->page + 2);
	bool continued = (info & XLP_FIRST_IS_CONTRECORD) != 0;
	uint32_t remaining = continued ? le32(walker->page + 16) : 0;
	uint32_t expected = walker->state == WALK_BETWEEN ? 0 : walker->length - walker->have;

	if (walker->continued)
		walker->state = remaining == expected ? WALK_RECORD : WALK_GIVEN_UP;
	else if (page_of(walker->offset - 1) == 0)
	{
		walker->state = remaining > 0 ? WALK_FOREIGN : WALK_BETWEEN;
		walker->length = remaining;
		walker->result.head.length = remaining;
	}
	else if (walker->state != WALK_BETWEEN && (info & XLP_FIRST_IS_OVERWRITE_CONTRECORD) != 0 && !continued)
		walker->state = WALK_BETWEEN;
	else if (remaining != expected)
		damaged(walker);
}

static void
page_begin(WalWalker *walker)
{
	uint32_t page_offset = page_of(walker->offset - 1) * XLOG_BLCKSZ;

	if (walker->state == WALK_BETWEEN)
		walker->record = walker->offset; /* where the next would have been */
	if (!page_is_right(walker, page_offset))
	{
		lost(walker);
		return;
	}
	walker->timeline = le32(walker->page + 4);
	if (walker->state == WALK_LOST)
		damaged(walker);
	else
		continue_on_page(walker);
}

static size_t
take_page_header(WalWalker *walker, const uint8_t *data, size_t size)
{
	uint32_t have = walker->offset % XLOG_BLCKSZ;
	uint32_t goal = page_header_size(walker);
	size_t taken = size < goal - have ? size : goal - have;

	memcpy(walker->page + have, data, taken);
	walker->offset += (uint32_t) taken;
	if (have + taken == goal)
		page_begin(walker);
	return taken;
}

/* Takes at least one byte, or opens a record; never goes beyond the page. */
static size_t
take(WalWalker *walker, const uint8_t *data, size_t size)
{
	uint32_t page_left = XLOG_BLCKSZ - walker->offset % XLOG_BLCKSZ;

	if (walker->offset % XLOG_BLCKSZ < page_header_size(walker))
		return take_page_header(walker, data, size);
	if (size > page_left)
		size = page_left;
	switch (walker->state)
	{
		case WALK_BETWEEN:
			return take_between(walker, size);
		case WALK_RECORD:
			return walker_take_record(walker, data, size);
		case WALK_FOREIGN:
			return take_foreign(walker, data, size);
		case WALK_LOST:
		case WALK_GIVEN_UP:
		case WALK_DONE:
			break;
	}
	return take_lost(walker, data, size);
}

WalWalker *
wal_walker_new(const WalPageHeader *header, WalEventCallback callback, void *context)
{
	WalWalker *walker = NEW(WalWalker);

	walker->callback = callback;
	walker->context = context;
	walker->first = *header;
	walker->major = pg_major(header->major);
	walker->timeline = header->timeline;
	walker->limit = header->segment_size;
	walker->result.damaged_at = InvalidXLogRecPtr;
	return walker;
}

static bool
is_blank(const uint8_t *bytes, size_t size)
{
	while (size > 0 && *bytes == 0)
	{
		bytes++;
		size--;
	}
	return size == 0;
}

void
wal_walker_feed(WalWalker *walker, const void *data, size_t size)
{
	const uint8_t *bytes = data;

	while (size > 0 && walker->state != WALK_DONE && walker->offset < walker->limit &&
	       (!walker->continued || walker->state == WALK_RECORD))
	{
		size_t taken = take(walker, bytes, size);

		if (walker->blank && walker->state == WALK_LOST)
			walker->blank = is_blank(bytes, taken);
		bytes += taken;
		size -= taken;
	}
}

void
wal_walker_free(WalWalker *walker)
{
	free(walker);
}
