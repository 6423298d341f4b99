/* Takes a record's body apart: chunk headers, then the main data, of which a record's kind reads what it needs. */
#include "record_body.h"

#include <string.h>

#include "little_endian.h"

/* PostgreSQL: access/xlogrecord.h */
enum
{
	BLOCK_ID_MAX = 32,
	CHUNK_TOPLEVEL_XID = 252,
	CHUNK_ORIGIN = 253,
	CHUNK_MAIN_LONG = 254,
	CHUNK_MAIN_SHORT = 255,
	BLOCK_HAS_IMAGE = 0x10,
	BLOCK_SAME_RELATION = 0x80,
	IMAGE_HAS_HOLE = 0x01,
	RELATION_SIZE = 12,
	BLOCK_NUMBER_SIZE = 4,
};

void
record_await(RecordBody *body, uint64_t skip, unsigned want, RecordStep step)
{
	body->skip = skip;
	body->want = want;
	body->have = 0;
	body->position += skip + want;
	body->step = step;
}

static void on_chunk(RecordBody *body);

/*
 * The headers of the chunks end where the rest of the body is just the data
 * they announced (PostgreSQL: xlogreader.c, DecodeXLogRecord).
 */
static void
await_chunk(RecordBody *body, uint64_t skip)
{
	if (body->position + skip + body->data_total < body->length)
		record_await(body, skip, 1, on_chunk);
}

static void
await_rest_of_block(RecordBody *body, uint64_t skip)
{
	if ((body->block_flags & BLOCK_SAME_RELATION) == 0)
		skip += RELATION_SIZE;
	await_chunk(body, skip + BLOCK_NUMBER_SIZE);
}

/* u16 length, u16 hole offset, u8 flags; a compressed image with a hole has the hole's length besides */
static void
on_block_image(RecordBody *body)
{
	uint8_t flags = body->field[4];
	bool compressed = (flags & body->major->image_compressed) != 0;

	body->data_total += le16(body->field);
	await_rest_of_block(body, compressed && (flags & IMAGE_HAS_HOLE) != 0 ? 2 : 0);
}

/* u8 flags, u16 length of the data */
static void
on_block(RecordBody *body)
{
	body->block_flags = body->field[0];
	body->data_total += le16(body->field + 1);
	if ((body->block_flags & BLOCK_HAS_IMAGE) != 0)
		record_await(body, 0, 5, on_block_image);
	else
		await_rest_of_block(body, 0);
}

static void
begin_main(RecordBody *body, uint32_t length)
{
	body->main_length = length;
	if (body->position + body->data_total + length == body->length)
		body->kind->begin_main(body);
}

static void
on_main_short(RecordBody *body)
{
	begin_main(body, body->field[0]);
}

static void
on_main_long(RecordBody *body)
{
	begin_main(body, le32(body->field));
}

static void
on_chunk(RecordBody *body)
{
	switch (body->field[0])
	{
		case CHUNK_MAIN_SHORT:
			record_await(body, 0, 1, on_main_short);
			break;
		case CHUNK_MAIN_LONG:
			record_await(body, 0, 4, on_main_long);
			break;
		case CHUNK_ORIGIN:
			await_chunk(body, 2);
			break;
		case CHUNK_TOPLEVEL_XID:
			await_chunk(body, 4);
			break;
		default:
			if (body->field[0] <= BLOCK_ID_MAX)
				record_await(body, 0, 3, on_block);
			break;
	}
}

void
record_await_main(RecordBody *body, unsigned want, RecordStep step)
{
	if (body->main_length >= want)
		record_await(body, body->data_total, want, step);
}

/* What no RFC 3339 text can say is no time. */
TimeUs
record_time(const uint8_t *bytes)
{
	const TimeUs most = INT64_C(253402300799999999); /* 9999-12-31T23:59:59.999999Z */
	int64_t timestamp = (int64_t) le64(bytes);

	if (timestamp < -POSTGRES_EPOCH_US || timestamp > most - POSTGRES_EPOCH_US)
		return TIME_NONE;
	return time_from_postgres(timestamp);
}

WalRelation
record_relation(const uint8_t *bytes)
{
	return (WalRelation){.tablespace = le32(bytes), .database = le32(bytes + 4), .number = le32(bytes + 8)};
}

void
record_show_item(RecordBody *body, WalEvent item)
{
	item.lsn = body->event.lsn;
	item.previous = body->event.previous;
	item.time = TIME_NONE;
	body->callback(body->context, &item);
}

/* PostgreSQL: access/xlogrecord.h, XLogRecord: u32 length, u32 xid, u64 previous, u8 info, u8 manager, u32 CRC */
void
record_body_begin(RecordBody *body, const RecordKind *kind, const PgMajor *major,
                  const uint8_t header[RECORD_HEADER_SIZE], XLogRecPtr lsn, WalEventCallback callback,
                  void *context)
{
	*body = (RecordBody){
		.event = {.kind = kind == NULL ? WAL_EVENT_OTHER : kind->kind,
	              .lsn = lsn,
	              .previous = le64(header + 8),
	              .writer = le32(header + 4),
	              .time = TIME_NONE},
		.kind = kind,
		.callback = callback,
		.context = context,
		.major = major,
		.info = header[16],
		.length = le32(header) - RECORD_HEADER_SIZE,
	};
	if (kind == NULL)
		return;
	if (kind->xid == RECORD_XID_IN_HEADER)
		body->event.xid = le32(header + 4);
	if (kind->begin_main != NULL)
		await_chunk(body, 0);
}

void
record_body_feed(RecordBody *body, const uint8_t *data, size_t size)
{
	while (body->step != NULL && size > 0)
	{
		bool skipping = body->skip > 0;
		uint64_t wanted = skipping ? body->skip : body->want - body->have;
		size_t taken = size < wanted ? size : (size_t) wanted;

		if (skipping)
			body->skip -= taken;
		else
		{
			memcpy(body->field + body->have, data, taken);
			body->have += (unsigned) taken;
		}
		data += taken;
		size -= taken;
		if (skipping || body->have < body->want)
			continue;

		RecordStep step = body->step;

		body->step = NULL;
		step(body);
	}
}
