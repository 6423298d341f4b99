/* The index member of a segment object: printing.  The names of its members are fixed by docs/format.md. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "walship/base/json.h"
#include "walship/base/mem.h"
#include "walship/base/strs.h"
#include "walship/wal/index.h"

/* The name is in the encoding of whatever database it was made in. */
static void
print_name(Json *object, const char *name)
{
	AUTO_FREE char *clean = str_printable(name);

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

/* As the server names it in its log: "1663/5/16390" */
static void
print_file(Json *list, const WalRelation *file)
{
	char text[64];

	(void) snprintf(text, sizeof text, "%" PRIu32 "/%" PRIu32 "/%" PRIu64, file->tablespace, file->database,
	                file->number);
	json_append_string(list, text);
}

static void
print_drop(const WalDrop *drop, Json *object)
{
	print_lsn(object, "lsn", drop->lsn);
	json_add_int(object, "xid", drop->xid);
	if (drop->database != 0)
	{
		json_add_int(object, "database", drop->database);
		return;
	}
	json_add_time(object, "time", drop->time);
	json_add_int(object, "file_count", (int64_t) drop->n_files);

	Json *files = json_add_array(object, "files");

	for (uint64_t i = 0; i < drop->n_files && i < WAL_INDEX_DROP_FILES_MAX && drop->files[i].number != 0; i++)
		print_file(files, &drop->files[i]);
}

static void
print_drops(const WalIndex *index, Json *root)
{
	if (index->n_files_created > 0)
		json_add_int(root, "files_created", (int64_t) index->n_files_created);
	if (index->n_drops == 0)
		return;
	json_add_int(root, "drop_count", (int64_t) index->n_drops);

	Json *list = json_add_array(root, "drops");

	for (uint64_t i = 0; i < index->n_drops && i < WAL_INDEX_DROPS_MAX; i++)
		print_drop(&index->drops[i], json_append_object(list));
}

static void
print_edge(Json *root, const char *name, const WalEdge *edge)
{
	char text[2 * WAL_EDGE_MAX + 1];

	if (edge->size == 0)
		return;
	hex_encode(edge->bytes, edge->size, text);
	json_add_string(root, name, text);
}

/* Bytes of records may be rows: beside an encrypted member only their number stands in plain. */
static void
print_edges(const WalIndex *index, Json *root)
{
	if (index->walk.head.length > 0)
		json_add_int(root, "head_length", index->walk.head.length);
	if (index->recipients[0] != '\0')
	{
		if (index->walk.tail.length > 0)
			json_add_int(root, "tail_length", index->walk.tail.length);
		return;
	}
	print_edge(root, "head", &index->walk.head);
	print_edge(root, "tail", &index->walk.tail);
}

/* Of the highest xid here; without one, of the times of a checkpoint here. */
static void
print_epoch(const WalIndex *index, Json *root)
{
	uint64_t full = index->max_xid == 0 ? index->known_full_xid : wal_index_full_xid(index, index->max_xid);

	if (index->known_full_xid != 0)
		json_add_int(root, "xid_epoch", (int64_t) (full >> 32));
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
	print_epoch(index, root);
	json_add_int(root, "checkpoints", (int64_t) index->checkpoints);
	json_add_bool(root, "parameter_change", index->parameter_change);
	json_add_bool(root, "timeline_switch", index->timeline_switch);
	print_time_high(index, root);
	print_restore_points(index, root);
	print_drops(index, root);
	print_edges(index, root);
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
	json_add_words(root, "recipients", index->recipients);
	json_add_int(root, "stored_size", (int64_t) index->stored_size);
	print_sha256(root, "stored_sha256", index->stored_sha256);
	if (index->walked)
		print_walk(index, root);
	json_print(root, true, into);
}
