/*
 * The record walker.  The first byte chooses the major version, the size of the
 * pieces and the way: the rest is either the segment itself, behind a right
 * page header, or a list of records that get right headers, CRCs and pages, so
 * that what the CRC guards is reached too, followed by bytes to flip.
 */
#include "fuzz.h"
#include "wal_builder.h"
#include "walship/wal/record.h"

#define RECORDS_MAX 64

typedef struct Trace
{
	XLogRecPtr last;
	uint64_t count;
	uint64_t sum; /* over all that the events say */
} Trace;

static void
follow(void *context, const WalEvent *event)
{
	Trace *trace = context;
	bool is_item = wal_event_is_item(event->kind);

	must(trace->count == 0 || event->lsn > trace->last);
	must(!is_item || event->end == InvalidXLogRecPtr);
	must(event->end == InvalidXLogRecPtr || event->end > event->lsn);
	must(event->name == NULL || strlen(event->name) < 1024);
	must(event->kind != WAL_EVENT_COMMIT || event->dropped_files <= BUILDER_SEGMENT_SIZE);
	trace->sum = trace->sum * 31 + event->lsn + event->end * 3 + event->xid * 5 + (uint64_t) event->time * 7 +
	             (uint64_t) event->kind + event->previous + event->next_full_xid * 11 +
	             event->relation.number * 13 + event->relation.database * 17 + event->statistics_kind * 19 +
	             event->relation.tablespace * 23 + event->dropped_files * 29;
	if (is_item)
		return;
	trace->last = event->lsn;
	trace->count++;
}

static WalWalkResult
walk(const WalBuilder *builder, size_t size, size_t piece, Trace *trace)
{
	WalPageHeader header;
	WalWalkResult result;

	must(wal_page_header_parse(builder->bytes, builder->size, &header) == NULL);

	AUTO(WalWalker) walker = wal_walker_new(&header, follow, trace);

	for (size_t at = 0; at < size; at += piece)
		wal_walker_feed(walker, builder->bytes + at, size - at < piece ? size - at : piece);
	wal_walker_finish(walker, &result);
	must(result.records == trace->count);
	must(result.wal_end >= BUILDER_START && result.wal_end <= BUILDER_START + BUILDER_SEGMENT_SIZE);
	must(result.records == 0 ||
	     (result.first_record <= result.last_record && result.last_record == trace->last));
	must(!(result.continues && result.switched));
	return result;
}

static void
put_raw(WalBuilder *builder, const uint8_t *data, size_t size)
{
	builder_page(builder, size % 3 == 0 ? size : 0);
	if (size > builder->size - builder->at)
		size = builder->size - builder->at;
	memcpy(builder->bytes + builder->at, data, size);
	builder->at += size;
}

/* u8 manager, u8 info, u8 how much longer, u8 size of the body that is given, body */
static void
put_records(WalBuilder *builder, const uint8_t *data, size_t size)
{
	for (int i = 0; i < RECORDS_MAX && size >= 4 && data[0] != 0xFF; i++)
	{
		size_t given = data[3] < size - 4 ? data[3] : size - 4;
		size_t whole = given + (size_t) data[2] * 97;
		AUTO_FREE uint8_t *body = mem_zalloc(whole + 1);

		memcpy(body, data + 4, given);
		(void) builder_body(builder, data[0], data[1], data[2], body, whole);
		data += 4 + given;
		size -= 4 + given;
	}
	for (size_t i = 1; i + 3 < size; i += 4)
	{
		size_t at = ((size_t) data[i] << 16 | (size_t) data[i + 1] << 8 | data[i + 2]) % (builder->at + 1);

		if (at >= WAL_LONG_HEADER_SIZE && at < builder->size)
			builder->bytes[at] ^= data[i + 3];
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;

	WalBuilder builder = builder_new(pg_majors[data[0] % n_pg_majors].major, 1);
	size_t piece = (size_t) (data[0] >> 3) * 37 + 1;
	Trace whole = {0};
	Trace pieces = {0};

	if (data[0] % 2 == 0)
		put_raw(&builder, data + 1, size - 1);
	else
		put_records(&builder, data + 1, size - 1);
	if (builder.at == 0)
		builder_page(&builder, 0);

	/* A page of zeros behind it is as good as all. */
	size_t fed = builder.at + XLOG_BLCKSZ < builder.size ? builder.at + XLOG_BLCKSZ : builder.size;
	WalWalkResult a = walk(&builder, fed, fed, &whole);
	WalWalkResult b = walk(&builder, fed, piece, &pieces);

	must(whole.count == pieces.count && whole.sum == pieces.sum);
	must(a.wal_end == b.wal_end && a.damaged_at == b.damaged_at && a.continues == b.continues);
	free(builder.bytes);
	return 0;
}
