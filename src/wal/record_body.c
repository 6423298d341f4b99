/* What a record says. */
#include "record_body.h"

#include <string.h>

#include "little_endian.h"
#include "walship/base/attributes.h"

/* PostgreSQL: access/rmgrlist.h; the first two never changed. */
enum
{
	RM_XLOG = 0,
	RM_XACT = 1,
};

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
	IMAGE_COMPRESSED_13 = 0x02, /* 13 and 14 */
	IMAGE_COMPRESSED_15 = 0x1C, /* pglz, lz4, zstd: since 15 */
	RELATION_SIZE = 12,
	BLOCK_NUMBER_SIZE = 4,
};

/* PostgreSQL: access/xact.h */
enum
{
	XACT_HAS_INFO = 0x80,
	XINFO_DBINFO = 1 << 0,
	XINFO_SUBXACTS = 1 << 1,
	XINFO_RELATIONS = 1 << 2,
	XINFO_INVALIDATIONS = 1 << 3,
	XINFO_TWOPHASE = 1 << 4,
	XINFO_DROPPED_STATS = 1 << 8,
	DBINFO_SIZE = 8,
};

struct RecordKind
{
	uint8_t manager;
	uint8_t mask;
	uint8_t info;
	WalEventKind kind;
	bool prepared;         /* ends a prepared transaction */
	RecordStep begin_main; /* what to read of the main data, or NULL */
};

/* Pass over "skip" bytes, then hand the next "want" to "step". */
static void
await(RecordBody *body, uint64_t skip, unsigned want, RecordStep step)
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
		await(body, skip, 1, on_chunk);
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
	uint8_t compressed = body->major >= 15 ? IMAGE_COMPRESSED_15 : IMAGE_COMPRESSED_13;

	body->data_total += le16(body->field);
	await_rest_of_block(body, (flags & compressed) != 0 && (flags & IMAGE_HAS_HOLE) != 0 ? 2 : 0);
}

/* u8 flags, u16 length of the data */
static void
on_block(RecordBody *body)
{
	body->block_flags = body->field[0];
	body->data_total += le16(body->field + 1);
	if ((body->block_flags & BLOCK_HAS_IMAGE) != 0)
		await(body, 0, 5, on_block_image);
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
			await(body, 0, 1, on_main_short);
			break;
		case CHUNK_MAIN_LONG:
			await(body, 0, 4, on_main_long);
			break;
		case CHUNK_ORIGIN:
			await_chunk(body, 2);
			break;
		case CHUNK_TOPLEVEL_XID:
			await_chunk(body, 4);
			break;
		default:
			if (body->field[0] <= BLOCK_ID_MAX)
				await(body, 0, 3, on_block);
			break;
	}
}

/* The main data begins after the data of the blocks. */
static void
await_main(RecordBody *body, unsigned want, RecordStep step)
{
	if (body->main_length >= want)
		await(body, body->data_total, want, step);
}

/* What no RFC 3339 text can say is no time. */
static TimeUs
time_of(const uint8_t *bytes)
{
	const TimeUs most = INT64_C(253402300799999999); /* 9999-12-31T23:59:59.999999Z */
	int64_t timestamp = (int64_t) le64(bytes);

	if (timestamp < -POSTGRES_EPOCH_US || timestamp > most - POSTGRES_EPOCH_US)
		return TIME_NONE;
	return time_from_postgres(timestamp);
}

/* xl_xact_twophase */
static void
on_twophase_xid(RecordBody *body)
{
	body->event.xid = le32(body->field);
}

/*
 * The arrays that lie before the xid of a prepared transaction, in this order:
 * an int32 count, then the items (PostgreSQL: xactdesc.c, ParseCommitRecord and
 * ParseAbortRecord; aborts have no invalidations).
 */
static const struct
{
	uint32_t flag;
	int first_major;
	int last_major;
	uint32_t item_size;
} arrays[] = {
	{XINFO_SUBXACTS, 13, 18, 4},       {XINFO_RELATIONS, 13, 18, 12},     {XINFO_DROPPED_STATS, 15, 17, 12},
	{XINFO_DROPPED_STATS, 18, 18, 16}, {XINFO_INVALIDATIONS, 13, 18, 16},
};

static void on_array_count(RecordBody *body);

static bool
array_is_there(const RecordBody *body, unsigned array)
{
	return (body->xinfo & arrays[array].flag) != 0 && body->major >= arrays[array].first_major &&
	       body->major <= arrays[array].last_major;
}

static void
await_array(RecordBody *body, uint64_t skip)
{
	while (body->array < lengthof(arrays) && !array_is_there(body, body->array))
		body->array++;
	if (body->array < lengthof(arrays))
		await(body, skip, 4, on_array_count);
	else
		await(body, skip, 4, on_twophase_xid);
}

static void
on_array_count(RecordBody *body)
{
	uint64_t size = (uint64_t) le32(body->field) * arrays[body->array].item_size;

	body->array++;
	await_array(body, size);
}

static void
on_xinfo(RecordBody *body)
{
	body->xinfo = le32(body->field);
	if ((body->xinfo & XINFO_TWOPHASE) != 0)
		await_array(body, (body->xinfo & XINFO_DBINFO) != 0 ? DBINFO_SIZE : 0);
}

/* xl_xact_commit and xl_xact_abort begin alike */
static void
on_xact_time(RecordBody *body)
{
	body->event.time = time_of(body->field);
	if (body->kind->prepared && (body->info & XACT_HAS_INFO) != 0)
		await(body, 0, 4, on_xinfo);
}

static void
begin_xact(RecordBody *body)
{
	await_main(body, 8, on_xact_time);
}

/* xl_restore_point */
static void
on_restore_point(RecordBody *body)
{
	body->event.time = time_of(body->field);
	memcpy(body->event.restore_point, body->field + 8, sizeof body->event.restore_point);
	body->event.restore_point[sizeof body->event.restore_point - 1] = '\0';
}

static void
begin_restore_point(RecordBody *body)
{
	await_main(body, 8 + sizeof body->event.restore_point, on_restore_point);
}

/* xl_parameter_change: int32 each, in this order since 13 */
static void
on_parameters(RecordBody *body)
{
	body->event.parameters = (WalParameters){
		.max_connections = (int32_t) le32(body->field),
		.max_worker_processes = (int32_t) le32(body->field + 4),
		.max_wal_senders = (int32_t) le32(body->field + 8),
		.max_prepared_transactions = (int32_t) le32(body->field + 12),
		.max_locks_per_transaction = (int32_t) le32(body->field + 16),
	};
}

static void
begin_parameters(RecordBody *body)
{
	await_main(body, 20, on_parameters);
}

/* CheckPoint and xl_end_of_recovery: 8 bytes, this timeline, the one before */
static void
on_timelines(RecordBody *body)
{
	body->event.begins_timeline = le32(body->field + 8) != le32(body->field + 12);
}

static void
begin_timelines(RecordBody *body)
{
	await_main(body, 16, on_timelines);
}

static const struct RecordKind kinds[] = {
	{RM_XACT, 0x70, 0x00, WAL_EVENT_COMMIT, false, begin_xact},
	{RM_XACT, 0x70, 0x20, WAL_EVENT_ABORT, false, begin_xact},
	{RM_XACT, 0x70, 0x30, WAL_EVENT_COMMIT, true, begin_xact},
	{RM_XACT, 0x70, 0x40, WAL_EVENT_ABORT, true, begin_xact},
	{RM_XLOG, 0xF0, 0x00, WAL_EVENT_CHECKPOINT, false, begin_timelines}, /* shutdown */
	{RM_XLOG, 0xF0, 0x10, WAL_EVENT_CHECKPOINT, false, NULL},            /* online */
	{RM_XLOG, 0xF0, 0x40, WAL_EVENT_SWITCH, false, NULL},
	{RM_XLOG, 0xF0, 0x50, WAL_EVENT_BACKUP_END, false, NULL},
	{RM_XLOG, 0xF0, 0x60, WAL_EVENT_PARAMETER_CHANGE, false, begin_parameters},
	{RM_XLOG, 0xF0, 0x70, WAL_EVENT_RESTORE_POINT, false, begin_restore_point},
	{RM_XLOG, 0xF0, 0x90, WAL_EVENT_END_OF_RECOVERY, false, begin_timelines},
};

static const struct RecordKind *
kind_of(uint8_t manager, uint8_t info)
{
	for (size_t i = 0; i < lengthof(kinds); i++)
		if (kinds[i].manager == manager && kinds[i].info == (info & kinds[i].mask))
			return &kinds[i];
	return NULL;
}

/* PostgreSQL: access/xlogrecord.h, XLogRecord: u32 length, u32 xid, u64 previous, u8 info, u8 manager, u32 CRC */
void
record_body_begin(RecordBody *body, int major, const uint8_t header[RECORD_HEADER_SIZE])
{
	const struct RecordKind *kind = kind_of(header[17], header[16]);

	*body = (RecordBody){
		.event = {.kind = kind == NULL ? WAL_EVENT_OTHER : kind->kind, .time = TIME_NONE},
		.kind = kind,
		.major = major,
		.info = header[16],
		.length = le32(header) - RECORD_HEADER_SIZE,
	};
	if (kind == NULL)
		return;
	if (header[17] == RM_XACT && !kind->prepared)
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
