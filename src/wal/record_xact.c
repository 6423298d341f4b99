/* Commit and abort records (PostgreSQL: access/xact.h; xactdesc.c, ParseCommitRecord and ParseAbortRecord). */
#include "little_endian.h"
#include "record_kinds.h"
#include "walship/base/attributes.h"

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

static void
show_subxact(RecordBody *body)
{
	record_show_item(body, (WalEvent){.kind = WAL_EVENT_SUBXACT, .xid = le32(body->field)});
}

static void
show_dropped_file(RecordBody *body)
{
	record_show_item(body,
	                 (WalEvent){.kind = WAL_EVENT_DROPPED_FILE, .relation = record_relation(body->field)});
}

/* xl_xact_stats_item: kind, database, then the object's id */
static void
show_dropped_stats(RecordBody *body)
{
	const uint8_t *field = body->field;
	uint64_t object = body->major->dropped_stats_id_size == 8 ? le64(field + 8) : le32(field + 8);

	record_show_item(body, (WalEvent){.kind = WAL_EVENT_DROPPED_STATS,
	                                  .statistics_kind = le32(field),
	                                  .relation = {.database = le32(field + 4), .number = object}});
}

/*
 * The arrays of a record, in this order, which are followed by the xid of a
 * prepared transaction: an int32 count, then the items.  Aborts have no
 * invalidations.
 */
static const struct
{
	uint32_t flag;
	uint32_t item_size; /* 0: the major says */
	RecordStep show;    /* the items of a commit; NULL: passed over */
} arrays[] = {
	{XINFO_SUBXACTS, 4, show_subxact},
	{XINFO_RELATIONS, 12, show_dropped_file},
	{XINFO_DROPPED_STATS, 0, show_dropped_stats},
	{XINFO_INVALIDATIONS, 16, NULL},
};

/* Of the array that comes next; 0: this major has none of the kind. */
static uint32_t
item_size(const RecordBody *body)
{
	uint32_t size = arrays[body->array].item_size;

	return size != 0 ? size : body->major->dropped_stats_size;
}

/* xl_xact_twophase */
static void
on_twophase_xid(RecordBody *body)
{
	body->event.xid = le32(body->field);
}

static void on_array_count(RecordBody *body);

static bool
array_is_there(const RecordBody *body)
{
	return (body->xinfo & arrays[body->array].flag) != 0 && item_size(body) != 0;
}

static void
await_array(RecordBody *body, uint64_t skip)
{
	while (body->array < lengthof(arrays) && !array_is_there(body))
		body->array++;
	if (body->array < lengthof(arrays))
		record_await(body, skip, 4, on_array_count);
	else if (body->kind->xid == RECORD_XID_IN_BODY && (body->xinfo & XINFO_TWOPHASE) != 0)
		record_await(body, skip, 4, on_twophase_xid);
}

static void
on_array_item(RecordBody *body)
{
	arrays[body->array].show(body);
	if (--body->items > 0)
	{
		record_await(body, 0, item_size(body), on_array_item);
		return;
	}
	body->array++;
	await_array(body, 0);
}

/* The CRC is not known yet: a count that does not fit into the record ends the reading of it. */
static void
on_array_count(RecordBody *body)
{
	uint64_t count = le32(body->field);
	uint64_t size = count * item_size(body);

	if (size > record_rest(body))
		return;
	if (body->kind->kind == WAL_EVENT_COMMIT && arrays[body->array].flag == XINFO_RELATIONS)
		body->event.dropped_files = count;
	if (body->kind->kind == WAL_EVENT_COMMIT && arrays[body->array].show != NULL && count > 0)
	{
		body->items = count;
		record_await(body, 0, item_size(body), on_array_item);
		return;
	}
	body->array++;
	await_array(body, size);
}

static void
on_xinfo(RecordBody *body)
{
	body->xinfo = le32(body->field);
	await_array(body, (body->xinfo & XINFO_DBINFO) != 0 ? DBINFO_SIZE : 0);
}

/* xl_xact_commit and xl_xact_abort begin alike; of an abort only a prepared transaction's xid is worth reading on. */
static void
on_xact_time(RecordBody *body)
{
	bool has_more = (body->info & XACT_HAS_INFO) != 0;

	body->event.time = record_time(body->field);
	if (has_more && (body->kind->kind == WAL_EVENT_COMMIT || body->kind->xid == RECORD_XID_IN_BODY))
		record_await(body, 0, 4, on_xinfo);
}

void
record_begin_xact(RecordBody *body)
{
	record_await_main(body, 8, on_xact_time);
}
