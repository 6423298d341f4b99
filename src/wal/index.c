/* The index member of a segment object: filling and printing.  The names of its members are fixed by docs/format.md. */
#include "walship/wal/index.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "walship/base/json.h"
#include "walship/base/strs.h"

void
wal_index_init(WalIndex *index)
{
	*index = (WalIndex){.first_time = TIME_NONE,
	                    .last_time = TIME_NONE,
	                    .min_time = TIME_NONE,
	                    .max_time = TIME_NONE,
	                    .time_high = TIME_NONE};
}

static void
add_time(WalIndex *index, TimeUs time)
{
	if (time == TIME_NONE)
		return;
	if (index->first_time == TIME_NONE)
	{
		index->first_time = time;
		index->min_time = time;
		index->max_time = time;
	}
	index->last_time = time;
	if (time < index->min_time)
		index->min_time = time;
	if (time > index->max_time)
		index->max_time = time;
}

/* In the circle of xids (PostgreSQL: transam.c, TransactionIdPrecedes). */
static bool
xid_precedes(TransactionId a, TransactionId b)
{
	return (int32_t) (a - b) < 0;
}

static void
add_xid(WalIndex *index, TransactionId xid)
{
	if (xid == 0)
		return;
	if (index->min_xid == 0 || xid_precedes(xid, index->min_xid))
		index->min_xid = xid;
	if (index->max_xid == 0 || xid_precedes(index->max_xid, xid))
		index->max_xid = xid;
}

static void
add_restore_point(WalIndex *index, const WalEvent *event)
{
	uint64_t position = index->n_restore_points++;

	if (position >= WAL_INDEX_RESTORE_POINTS_MAX)
		return;

	WalRestorePoint *point = &index->restore_points[position];

	point->lsn = event->lsn;
	point->time = event->time;
	(void) snprintf(point->name, sizeof point->name, "%s", event->restore_point);
}

void
wal_index_add_event(void *context, const WalEvent *event)
{
	WalIndex *index = context;

	if (event->begins_timeline)
		index->timeline_switch = true;
	switch (event->kind)
	{
		case WAL_EVENT_COMMIT:
		case WAL_EVENT_ABORT:
			if (event->kind == WAL_EVENT_COMMIT)
				index->commits++;
			else
				index->aborts++;
			add_time(index, event->time);
			add_xid(index, event->xid);
			break;
		case WAL_EVENT_RESTORE_POINT:
			add_restore_point(index, event);
			break;
		case WAL_EVENT_CHECKPOINT:
			index->checkpoints++;
			break;
		case WAL_EVENT_END_OF_RECOVERY:
			index->timeline_switch = true;
			break;
		case WAL_EVENT_PARAMETER_CHANGE:
			index->parameter_change = true;
			break;
		case WAL_EVENT_BACKUP_END:
		case WAL_EVENT_SWITCH:
		case WAL_EVENT_SUBXACT:
		case WAL_EVENT_DROPPED_FILE:
		case WAL_EVENT_DROPPED_STATS:
		case WAL_EVENT_FILE_CREATED:
		case WAL_EVENT_DATABASE_DROPPED:
		case WAL_EVENT_LOCK:
		case WAL_EVENT_OTHER:
			break;
	}
}

/* Bytes of the UTF-8 character at "text"; 0 when it is none. */
static size_t
utf8_length(const uint8_t *text)
{
	size_t length = text[0] < 0x80 ? 1 : text[0] >= 0xF0 ? 4 : text[0] >= 0xE0 ? 3 : 2;

	if (text[0] < 0x80)
		return text[0] >= 0x20 && text[0] != 0x7F ? 1 : 0;
	if (text[0] < 0xC2 || text[0] > 0xF4)
		return 0;
	for (size_t i = 1; i < length; i++)
		if ((text[i] & 0xC0) != 0x80)
			return 0;

	/* Overlong forms, surrogates, beyond U+10FFFF. */
	if ((text[0] == 0xE0 && text[1] < 0xA0) || (text[0] == 0xED && text[1] > 0x9F) ||
	    (text[0] == 0xF0 && text[1] < 0x90) || (text[0] == 0xF4 && text[1] > 0x8F))
		return 0;
	return length;
}

/*
 * The name is in the encoding of whatever database it was made in, and the
 * server cuts it after 63 bytes, also in the middle of a character.
 */
static void
print_name(Json *object, const char *name)
{
	char clean[sizeof(((WalRestorePoint *) NULL)->name)] = "";
	size_t size = 0;

	while (name[size] != '\0')
	{
		size_t length = utf8_length((const uint8_t *) name + size);

		if (length == 0)
			clean[size++] = '?';
		for (; length > 0; length--, size++)
			clean[size] = name[size];
	}
	json_add_string(object, "name", clean);
}

static void
print_lsn(Json *object, const char *name, XLogRecPtr lsn)
{
	char text[LSN_TEXT_SIZE];

	json_add_string(object, name, lsn == InvalidXLogRecPtr ? NULL : lsn_format(lsn, text));
}

static void
print_sha256(Json *object, const char *name, const uint8_t digest[SHA256_SIZE])
{
	char text[SHA256_TEXT_SIZE];

	hex_encode(digest, SHA256_SIZE, text);
	json_add_string(object, name, text);
}

static void
print_restore_points(const WalIndex *index, Json *root)
{
	if (index->n_restore_points == 0)
		return;
	json_add_int(root, "restore_point_count", (int64_t) index->n_restore_points);

	Json *list = json_add_array(root, "restore_points");

	for (uint64_t i = 0; i < index->n_restore_points && i < WAL_INDEX_RESTORE_POINTS_MAX; i++)
	{
		Json *point = json_append_object(list);

		print_name(point, index->restore_points[i].name);
		print_lsn(point, "lsn", index->restore_points[i].lsn);
		json_add_time(point, "time", index->restore_points[i].time);
	}
}

static void
print_time_high(const WalIndex *index, Json *root)
{
	if (index->time_high_since == InvalidXLogRecPtr)
		return;
	json_add_time(root, "time_high", index->time_high);
	print_lsn(root, "time_high_since", index->time_high_since);
}

static void
print_walk(const WalIndex *index, Json *root)
{
	json_add_int(root, "records", (int64_t) index->walk.records);
	print_lsn(root, "first_record", index->walk.first_record);
	print_lsn(root, "last_record", index->walk.last_record);
	json_add_bool(root, "continues", index->walk.continues);
	json_add_bool(root, "switched", index->walk.switched);
	print_lsn(root, "wal_end", index->walk.wal_end);
	if (index->walk.damaged_at != InvalidXLogRecPtr)
		print_lsn(root, "damaged_at", index->walk.damaged_at);
	json_add_int(root, "commits", (int64_t) index->commits);
	json_add_int(root, "aborts", (int64_t) index->aborts);
	if (index->first_time != TIME_NONE)
	{
		json_add_time(root, "first_time", index->first_time);
		json_add_time(root, "last_time", index->last_time);
		json_add_time(root, "min_time", index->min_time);
		json_add_time(root, "max_time", index->max_time);
	}
	if (index->min_xid != 0)
	{
		json_add_int(root, "min_xid", index->min_xid);
		json_add_int(root, "max_xid", index->max_xid);
	}
	json_add_int(root, "checkpoints", (int64_t) index->checkpoints);
	json_add_bool(root, "parameter_change", index->parameter_change);
	json_add_bool(root, "timeline_switch", index->timeline_switch);
	print_time_high(index, root);
	print_restore_points(index, root);
}

void
wal_index_print(const WalIndex *index, Buf *into)
{
	AUTO(Json) root = json_new_object();
	char system[32];

	/* A string: it does not fit into the numbers that most JSON readers know. */
	(void) snprintf(system, sizeof system, "%" PRIu64, index->system_identifier);
	json_add_int(root, "format", WAL_INDEX_FORMAT);
	json_add_string(root, "segment", index->segment);
	json_add_string(root, "system_id", system);
	json_add_int(root, "timeline", index->timeline);
	json_add_int(root, "postgres", index->major);
	json_add_int(root, "segment_size", index->segment_size);
	print_lsn(root, "start_lsn", index->start_lsn);
	print_lsn(root, "end_lsn", index->end_lsn);
	print_sha256(root, "sha256", index->sha256);
	json_add_string(root, "member", index->member);
	json_add_string(root, "codec", index->codec);
	json_add_int(root, "stored_size", (int64_t) index->stored_size);
	print_sha256(root, "stored_sha256", index->stored_sha256);
	if (index->walked)
		print_walk(index, root);
	json_print(root, true, into);
}
