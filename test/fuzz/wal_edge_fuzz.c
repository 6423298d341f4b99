/*
 * Two pieces of a record that crosses a border: wherever it is cut, the same is
 * told.  u8 major, u8 manager, u8 info, u8 flags (1: not all of it is kept),
 * u16 border, body; header, length and CRC are made right.
 */
#include "fuzz.h"
#include "wal_builder.h"
#include "walship/wal/majors.h"
#include "walship/wal/record.h"

#define START UINT64_C(0x300000000)

typedef struct Told
{
	uint64_t items;
	uint64_t events;
	uint64_t sum;
} Told;

static void
tell(void *context, const WalEvent *event)
{
	Told *told = context;

	must(told->events == 0);
	if (wal_event_is_item(event->kind))
		told->items++;
	else
		told->events++;
	told->sum = told->sum * 31 + event->xid * 5 + (uint64_t) event->time * 7 + (uint64_t) event->kind +
	            event->relation.number * 13 + event->relation.database * 17 + event->dropped_files * 29 +
	            event->next_full_xid;
}

static WalEdge
piece(const uint8_t *bytes, size_t size, size_t whole)
{
	WalEdge edge = {.length = (uint32_t) whole, .size = (uint32_t) size};

	memcpy(edge.bytes, bytes, size);
	return edge;
}

static Told
join(const uint8_t *record, size_t kept, size_t whole, size_t border, int major)
{
	WalEdge tail = piece(record, border, border);
	WalEdge head = piece(record + border, kept - border, whole - border);
	Told told = {0};
	bool joined = wal_edge_join(&tail, &head, major, START - border, START, tell, &told);

	must(joined == (told.events == 1));
	must(joined || told.items == 0);
	must(joined == (kept >= BUILDER_HEADER_SIZE));
	return told;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t record[2 * WAL_EDGE_MAX] = {0};

	if (size < 8)
		return 0;

	size_t given =
		size - 6 > WAL_EDGE_MAX - BUILDER_HEADER_SIZE ? WAL_EDGE_MAX - BUILDER_HEADER_SIZE : size - 6;
	size_t kept = BUILDER_HEADER_SIZE + given;
	size_t whole = kept + (data[3] % 2) * ((size_t) data[3] << 8);
	size_t border = 1 + (data[4] | (size_t) data[5] << 8) % (kept - 1);

	builder_le(record, whole, 4);
	builder_le(record + 4, 731, 4);
	record[16] = data[2];
	record[17] = data[1];
	memcpy(record + BUILDER_HEADER_SIZE, data + 6, given);
	builder_le(record + 20, crc32c(crc32c(0, record + BUILDER_HEADER_SIZE, given), record, 20), 4);

	Told here = join(record, kept, whole, border, pg_majors[data[0] % n_pg_majors].major);
	Told there = join(record, kept, whole, 1 + border % (kept - 1), pg_majors[data[0] % n_pg_majors].major);

	must(here.items == there.items && here.sum == there.sum);
	return 0;
}
