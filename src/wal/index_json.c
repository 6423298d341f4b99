/*
 * The index member of a segment object as JSON, both ways.  Its members are fixed
 * by docs/format.md; here are their names, and below what they must say together.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "walship/base/mem.h"
#include "walship/base/strs.h"
#include "walship/wal/index.h"
#include "walship/wal/json.h"
#include "walship/wal/majors.h"
#include "walship/wal/name.h"

/* Pairs of numbers: where it begins, and its CRC. */
static void
chunks_put(const JsonField *field, const void *object, Json *into)
{
	const WalIndex *index = object;
	Json *list = json_add_array(into, field->name);

	for (uint32_t i = 0; i < index->n_chunks; i++)
	{
		Json *pair = json_add_array(list, NULL);

		json_add_int(pair, NULL, (int64_t) index->chunks[i].offset);
		json_add_int(pair, NULL, index->chunks[i].crc32c);
	}
}

static Error *
chunks_get(const JsonField *field, const Json *node, void *object)
{
	WalIndex *index = object;

	if (!json_is_array(node))
		return json_wrong(field, node);
	for (const Json *pair = json_first(node); pair != NULL; pair = json_next(pair))
	{
		const Json *first = json_is_array(pair) ? json_first(pair) : NULL;
		const Json *second = first == NULL ? NULL : json_next(first);
		int64_t offset;
		int64_t crc32c;

		if (second == NULL || json_next(second) != NULL || !json_int_value(first, &offset) ||
		    !json_int_value(second, &crc32c) || offset < 0 || crc32c < 0 || crc32c > UINT32_MAX ||
		    index->n_chunks == WAL_INDEX_CHUNKS_MAX)
			return json_wrong(field, node);
		index->chunks[index->n_chunks++] =
			(WalChunk){.offset = (uint64_t) offset, .crc32c = (uint32_t) crc32c};
	}
	return NULL;
}

static const JsonKind chunk_places = {"a list of up to 16 pairs of numbers", NULL, chunks_put, chunks_get};

static bool
previous_is_set(const JsonField *field, const void *object)
{
	(void) field;
	return ((const WalIndex *) object)->has_previous;
}

static void
previous_put(const JsonField *field, const void *object, Json *into)
{
	json_hex.put(field, object, into);
}

static Error *
previous_get(const JsonField *field, const Json *node, void *object)
{
	((WalIndex *) object)->has_previous = true;
	return json_hex.get(field, node, object);
}

static const JsonKind previous_digest = {"a string of 64 hexadecimal digits", previous_is_set, previous_put,
                                         previous_get};

static const JsonField identity_fields[] = {
	{"segment", &json_chars, JSON_AT(WalIndex, segment)},
	{"system_id", &json_decimal, JSON_AT(WalIndex, system_identifier)},
	{"timeline", &json_uint, JSON_AT(WalIndex, timeline)},
	{"postgres", &json_natural, JSON_AT(WalIndex, major)},
	{"segment_size", &json_uint, JSON_AT(WalIndex, segment_size)},
	{"start_lsn", &json_lsn, JSON_AT(WalIndex, start_lsn)},
	{"end_lsn", &json_lsn, JSON_AT(WalIndex, end_lsn)},
	{"sha256", &json_hex, JSON_AT(WalIndex, sha256)},
	{"member", &json_chars, JSON_AT(WalIndex, member)},
	{"codec", &json_chars, JSON_AT(WalIndex, codec), .flags = JSON_NOT_EMPTY},
	{"recipients", &json_words, JSON_AT(WalIndex, recipients), .flags = JSON_OPTIONAL},
	{"stored_size", &json_uint, JSON_AT(WalIndex, stored_size)},
	{"stored_sha256", &json_hex, JSON_AT(WalIndex, stored_sha256)},
	{"chunk_size", &json_uint, JSON_AT(WalIndex, chunk_size), .flags = JSON_OPTIONAL | JSON_NOT_EMPTY},
	{"chunks", &chunk_places, .with = "chunk_size"},
	{"previous", &previous_digest, JSON_AT(WalIndex, previous), .flags = JSON_OPTIONAL},
};
static const JsonTable identity_table = JSON_TABLE(WalIndex, identity_fields);

/* A restore point's name is in the encoding of whatever database it was made in. */
static void
name_put(const JsonField *field, const void *object, Json *into)
{
	AUTO_FREE char *clean = str_printable(json_at(field, object));

	json_add_string(into, field->name, clean);
}

static Error *
name_get(const JsonField *field, const Json *node, void *object)
{
	return json_chars.get(field, node, object);
}

static const JsonKind point_name = {"a name of a restore point", NULL, name_put, name_get};

static const JsonField point_fields[] = {
	{"name", &point_name, JSON_AT(WalRestorePoint, name)},
	{"lsn", &json_lsn, JSON_AT(WalRestorePoint, lsn)},
	{"time", &json_time, JSON_AT(WalRestorePoint, time)},
};
static const JsonTable point_table = JSON_TABLE(WalRestorePoint, point_fields);

/* As the server names it in its log: "1663/5/16390" */
static bool
file_is_set(const JsonField *field, const void *object)
{
	return ((const WalRelation *) json_at(field, object))->number != 0;
}

static void
file_put(const JsonField *field, const void *object, Json *into)
{
	const WalRelation *file = json_at(field, object);
	char text[64];

	(void) snprintf(text, sizeof text, "%" PRIu32 "/%" PRIu32 "/%" PRIu64, file->tablespace, file->database,
	                file->number);
	json_add_string(into, field->name, text);
}

static Error *
file_get(const JsonField *field, const Json *node, void *object)
{
	const char *text = json_string_value(node);
	uint64_t numbers[3];

	for (size_t i = 0; i < lengthof(numbers); i++)
	{
		char number[sizeof "4294967295"];
		size_t length = text == NULL ? 0 : strcspn(text, "/");

		if (text == NULL || length >= sizeof number || text[length] != (i == 2 ? '\0' : '/'))
			return json_wrong(field, node);
		memcpy(number, text, length);
		number[length] = '\0';
		if (!str_to_uint64(number, &numbers[i]) || numbers[i] > UINT32_MAX)
			return json_wrong(field, node);
		text += length + 1;
	}
	*(WalRelation *) json_at(field, object) =
		(WalRelation){(uint32_t) numbers[0], (uint32_t) numbers[1], numbers[2]};
	return numbers[2] != 0 ? NULL : json_wrong(field, node);
}

static const JsonKind dropped_file = {"a relation's file", file_is_set, file_put, file_get};

static const JsonField file_item[] = {{NULL, &dropped_file, .size = sizeof(WalRelation)}};
static const JsonTable file_table = JSON_TABLE(WalRelation, file_item);

static const JsonField drop_fields[] = {
	{"lsn", &json_lsn, JSON_AT(WalDrop, lsn)},
	{"xid", &json_uint, JSON_AT(WalDrop, xid)},
	{"database", &json_uint, JSON_AT(WalDrop, database), .flags = JSON_OPTIONAL | JSON_NOT_EMPTY},
	{"time", &json_time, JSON_AT(WalDrop, time), .without = "database"},
	{"file_count", &json_uint, JSON_AT(WalDrop, n_files), .without = "database"},
	{"files", &json_array, JSON_AT(WalDrop, files), .flags = JSON_CUT | JSON_NOT_EMPTY, .without = "database",
     .of = &file_table, .count = offsetof(WalDrop, n_files), .text = "file_count"},
};
static const JsonTable drop_table = JSON_TABLE(WalDrop, drop_fields);

static const JsonField tablespace_fields[] = {
	{"oid", &json_uint, JSON_AT(WalTablespace, oid), .flags = JSON_NOT_EMPTY},
	{"lsn", &json_lsn, JSON_AT(WalTablespace, lsn)},
	{"created", &json_bool, JSON_AT(WalTablespace, created)},
	{"path", &json_chars, JSON_AT(WalTablespace, path), .flags = JSON_OPTIONAL},
};
static const JsonTable tablespace_table = JSON_TABLE(WalTablespace, tablespace_fields);

static const JsonField database_fields[] = {
	{"oid", &json_uint, JSON_AT(WalDatabase, oid), .flags = JSON_NOT_EMPTY},
	{"lsn", &json_lsn, JSON_AT(WalDatabase, lsn)},
	{"created", &json_bool, JSON_AT(WalDatabase, created)},
	{"tablespace", &json_uint, JSON_AT(WalDatabase, tablespace), .flags = JSON_OPTIONAL},
	{"source", &json_uint, JSON_AT(WalDatabase, source), .flags = JSON_OPTIONAL},
};
static const JsonTable database_table = JSON_TABLE(WalDatabase, database_fields);

/* A list that is there also when it is empty: then there is nothing of its kind, instead of nobody who looked. */
static bool
changes_are_told(const JsonField *field, const void *object)
{
	(void) field;
	return ((const WalIndex *) object)->tells_changes;
}

static void
changes_put(const JsonField *field, const void *object, Json *into)
{
	json_array.put(field, object, into);
}

static Error *
changes_get(const JsonField *field, const Json *node, void *object)
{
	((WalIndex *) object)->tells_changes = true;
	return json_array.get(field, node, object);
}

static const JsonKind changes = {"a list", changes_are_told, changes_put, changes_get};

/* The epoch of the highest xid here; without one, of the times of a checkpoint here. */
static bool
epoch_is_set(const JsonField *field, const void *object)
{
	(void) field;
	return ((const WalIndex *) object)->known_full_xid != 0;
}

static void
epoch_put(const JsonField *field, const void *object, Json *into)
{
	const WalIndex *index = object;
	uint64_t full = index->max_xid == 0 ? index->known_full_xid : wal_index_full_xid(index, index->max_xid);

	json_add_int(into, field->name, (int64_t) (full >> 32));
}

static Error *
epoch_get(const JsonField *field, const Json *node, void *object)
{
	const TransactionId first_normal = 3;
	WalIndex *index = object;
	int64_t epoch;

	if (!json_int_value(node, &epoch) || epoch < 0 || epoch > UINT32_MAX)
		return json_wrong(field, node);
	index->known_full_xid = (uint64_t) epoch << 32 | (index->max_xid == 0 ? first_normal : index->max_xid);
	return NULL;
}

static const JsonKind xid_epoch = {"a number of 32 bits", epoch_is_set, epoch_put, epoch_get};

/* From the records: a partial has none of it. */
static const JsonField walk_fields[] = {
	{"records", &json_uint, JSON_AT(WalIndex, walk.records)},
	{"first_record", &json_lsn, JSON_AT(WalIndex, walk.first_record)},
	{"last_record", &json_lsn, JSON_AT(WalIndex, walk.last_record)},
	{"continues", &json_bool, JSON_AT(WalIndex, walk.continues)},
	{"switched", &json_bool, JSON_AT(WalIndex, walk.switched)},
	{"wal_end", &json_lsn, JSON_AT(WalIndex, walk.wal_end)},
	{"damaged_at", &json_lsn, JSON_AT(WalIndex, walk.damaged_at), .flags = JSON_OPTIONAL},
	{"commits", &json_uint, JSON_AT(WalIndex, commits)},
	{"aborts", &json_uint, JSON_AT(WalIndex, aborts)},
	{"first_time", &json_time, JSON_AT(WalIndex, first_time), .flags = JSON_OPTIONAL},
	{"last_time", &json_time, JSON_AT(WalIndex, last_time), .with = "first_time"},
	{"min_time", &json_time, JSON_AT(WalIndex, min_time), .with = "first_time"},
	{"max_time", &json_time, JSON_AT(WalIndex, max_time), .with = "first_time"},
	{"min_xid", &json_uint, JSON_AT(WalIndex, min_xid), .flags = JSON_OPTIONAL | JSON_NOT_EMPTY},
	{"max_xid", &json_uint, JSON_AT(WalIndex, max_xid), .flags = JSON_NOT_EMPTY, .with = "min_xid"},
	{"xid_epoch", &xid_epoch, .flags = JSON_OPTIONAL},
	{"checkpoints", &json_uint, JSON_AT(WalIndex, checkpoints)},
	{"parameter_change", &json_bool, JSON_AT(WalIndex, parameter_change)},
	{"timeline_switch", &json_bool, JSON_AT(WalIndex, timeline_switch)},
	{"time_high", &json_time, JSON_AT(WalIndex, time_high), .with = "time_high_since"},
	{"time_high_since", &json_lsn, JSON_AT(WalIndex, time_high_since),
     .flags = JSON_OPTIONAL | JSON_NOT_EMPTY},
	{"quiet_since", &json_lsn, JSON_AT(WalIndex, quiet_since), .flags = JSON_OPTIONAL | JSON_NOT_EMPTY},
	{"restore_point_count", &json_uint, JSON_AT(WalIndex, n_restore_points), .with = "restore_points"},
	{"restore_points", &json_array, JSON_AT(WalIndex, restore_points), .flags = JSON_OPTIONAL,
     .of = &point_table, .count = offsetof(WalIndex, n_restore_points), .text = "restore_point_count"},
	{"files_created", &json_uint, JSON_AT(WalIndex, n_files_created), .flags = JSON_OPTIONAL},
	{"drop_count", &json_uint, JSON_AT(WalIndex, n_drops), .with = "drops"},
	{"drops", &json_array, JSON_AT(WalIndex, drops), .flags = JSON_OPTIONAL, .of = &drop_table,
     .count = offsetof(WalIndex, n_drops), .text = "drop_count"},
	{"tablespace_count", &json_uint, JSON_AT(WalIndex, n_tablespaces), .flags = JSON_OPTIONAL},
	{"tablespaces", &changes, JSON_AT(WalIndex, tablespaces), .flags = JSON_OPTIONAL | JSON_CUT,
     .of = &tablespace_table, .count = offsetof(WalIndex, n_tablespaces), .text = "tablespace_count"},
	{"database_count", &json_uint, JSON_AT(WalIndex, n_databases), .flags = JSON_OPTIONAL},
	{"databases", &changes, JSON_AT(WalIndex, databases), .flags = JSON_CUT, .with = "tablespaces",
     .of = &database_table, .count = offsetof(WalIndex, n_databases), .text = "database_count"},
	{"switch_lsn", &json_lsn, JSON_AT(WalIndex, switch_lsn), .flags = JSON_OPTIONAL | JSON_NOT_EMPTY},
	{"previous_timeline", &json_uint, JSON_AT(WalIndex, previous_timeline),
     .flags = JSON_OPTIONAL | JSON_NOT_EMPTY},
	{"wal_level_minimal_at", &json_lsn, JSON_AT(WalIndex, wal_level_minimal_at),
     .flags = JSON_OPTIONAL | JSON_NOT_EMPTY},
	{"full_page_writes_off_at", &json_lsn, JSON_AT(WalIndex, full_page_writes_off_at),
     .flags = JSON_OPTIONAL | JSON_NOT_EMPTY},
	{"head_length", &json_uint, JSON_AT(WalIndex, walk.head.length), .flags = JSON_OPTIONAL},
};
static const JsonTable walk_table = JSON_TABLE(WalIndex, walk_fields);

static bool
edge_is_set(const JsonField *field, const void *object)
{
	return ((const WalEdge *) json_at(field, object))->size > 0;
}

static void
edge_put(const JsonField *field, const void *object, Json *into)
{
	const WalEdge *edge = json_at(field, object);
	char text[2 * WAL_EDGE_MAX + 1];

	hex_encode(edge->bytes, edge->size, text);
	json_add_string(into, field->name, text);
}

static Error *
edge_get(const JsonField *field, const Json *node, void *object)
{
	WalEdge *edge = json_at(field, object);
	const char *text = json_string_value(node);
	size_t size = text == NULL ? 0 : strlen(text) / 2;

	if (text == NULL || size > WAL_EDGE_MAX || !hex_decode(text, edge->bytes, size))
		return json_wrong(field, node);
	edge->size = (uint32_t) size;
	return NULL;
}

static const JsonKind edge_bytes = {"up to 1024 bytes in hexadecimal digits", edge_is_set, edge_put,
                                    edge_get};

/* Bytes of records may be rows: beside an encrypted member only their number stands in plain. */
static const JsonField plain_edge_fields[] = {
	{"head", &edge_bytes, JSON_AT(WalIndex, walk.head), .flags = JSON_OPTIONAL | JSON_NOT_EMPTY},
	{"tail", &edge_bytes, JSON_AT(WalIndex, walk.tail), .flags = JSON_OPTIONAL | JSON_NOT_EMPTY},
};
static const JsonField encrypted_edge_fields[] = {
	{"tail_length", &json_uint, JSON_AT(WalIndex, walk.tail.length), .flags = JSON_OPTIONAL},
};
static const JsonTable plain_edge_table = JSON_TABLE(WalIndex, plain_edge_fields);
static const JsonTable encrypted_edge_table = JSON_TABLE(WalIndex, encrypted_edge_fields);

static const JsonTable *
edge_table(const WalIndex *index)
{
	return index->recipients[0] == '\0' ? &plain_edge_table : &encrypted_edge_table;
}

void
wal_index_print(const WalIndex *index, Buf *into)
{
	AUTO(Json) root = json_new_object();

	json_add_int(root, "format", WAL_INDEX_FORMAT);
	json_put(root, &identity_table, index);
	if (index->walked)
	{
		json_put(root, &walk_table, index);
		json_put(root, edge_table(index), index);
	}
	json_print(root, true, into);
}

/* The name says timeline and start, the size says the end: what is written twice must agree. */
static Error *
check_identity(const WalIndex *index)
{
	WalName name;
	XLogSegNo segno;
	AUTO(Error) error = wal_name_parse(index->segment, &name);

	if (error != NULL || (name.kind != WAL_SEGMENT && name.kind != WAL_PARTIAL))
		return json_invalid("segment", index->segment);
	if (name.timeline != index->timeline)
		return json_invalid("timeline", NULL);
	if (index->major != 0 && index->major < pg_major_oldest()->major)
		return json_invalid("postgres", NULL);
	if (!wal_segment_size_is_valid(index->segment_size) ||
	    !wal_name_segno(&name, index->segment_size, &segno))
		return json_invalid("segment_size", NULL);
	if (index->start_lsn != segment_start(segno, index->segment_size))
		return json_invalid("start_lsn", NULL);
	if (index->end_lsn != index->start_lsn + index->segment_size)
		return json_invalid("end_lsn", NULL);

	/* It becomes part of no path, but whoever extracts the tar file makes a file of it. */
	if (index->member[0] == '\0' || index->member[0] == '.' || strchr(index->member, '/') != NULL)
		return json_invalid("member", index->member);
	return NULL;
}

/* As many as the segment has, in the order of the stream, which begins with the first of them. */
static Error *
check_chunks(const WalIndex *index)
{
	uint64_t before = 0;

	if (index->chunk_size == 0)
		return NULL;
	if (index->n_chunks == 0 || (index->segment_size - 1) / index->chunk_size != index->n_chunks - 1)
		return json_invalid("chunk_size", NULL);
	for (uint32_t i = 0; i < index->n_chunks; i++)
	{
		uint64_t offset = index->chunks[i].offset;

		if ((i == 0) != (offset == 0) || (i > 0 && offset <= before) || offset >= index->stored_size)
			return json_invalid("chunks", NULL);
		before = offset;
	}
	return NULL;
}

static bool
lies_within(const WalIndex *index, XLogRecPtr lsn)
{
	return lsn - index->start_lsn < index->segment_size;
}

/* A place in the segment, or none. */
static bool
is_place(const WalIndex *index, XLogRecPtr lsn)
{
	return lsn == InvalidXLogRecPtr || lies_within(index, lsn);
}

static Error *
check_places(const WalIndex *index)
{
	const WalWalkResult *walk = &index->walk;
	const uint64_t n_points = index->n_restore_points < WAL_INDEX_RESTORE_POINTS_MAX
	                              ? index->n_restore_points
	                              : WAL_INDEX_RESTORE_POINTS_MAX;

	if (!is_place(index, walk->first_record) || walk->last_record < walk->first_record ||
	    (walk->records == 0) != (walk->first_record == InvalidXLogRecPtr))
		return json_invalid("first_record", NULL);
	if (!is_place(index, walk->last_record))
		return json_invalid("last_record", NULL);
	if (walk->wal_end != index->end_lsn && !lies_within(index, walk->wal_end))
		return json_invalid("wal_end", NULL);
	if (!is_place(index, walk->damaged_at))
		return json_invalid("damaged_at", NULL);
	for (uint64_t i = 0; i < n_points; i++)
		if (!is_place(index, index->restore_points[i].lsn))
			return error_context(json_invalid("lsn", NULL), "\"restore_points\"");
	for (uint64_t i = 0; i < index->n_drops && i < WAL_INDEX_DROPS_MAX; i++)
		if (!is_place(index, index->drops[i].lsn))
			return error_context(json_invalid("lsn", NULL), "\"drops\"");
	for (uint64_t i = 0; i < WAL_INDEX_TABLESPACES_MAX; i++)
		if (!is_place(index, index->tablespaces[i].lsn))
			return error_context(json_invalid("lsn", NULL), "\"tablespaces\"");
	for (uint64_t i = 0; i < WAL_INDEX_DATABASES_MAX; i++)
		if (!is_place(index, index->databases[i].lsn))
			return error_context(json_invalid("lsn", NULL), "\"databases\"");
	if (!is_place(index, index->switch_lsn))
		return json_invalid("switch_lsn", NULL);
	if (!is_place(index, index->wal_level_minimal_at))
		return json_invalid("wal_level_minimal_at", NULL);
	return is_place(index, index->full_page_writes_off_at) ? NULL
	                                                       : json_invalid("full_page_writes_off_at", NULL);
}

static Error *
check_times(const WalIndex *index)
{
	XLogRecPtr since = index->time_high_since;

	if (index->first_time != TIME_NONE)
	{
		if (index->min_time > index->max_time || index->min_time == TIME_NONE)
			return json_invalid("min_time", NULL);
		if (index->first_time < index->min_time || index->first_time > index->max_time)
			return json_invalid("first_time", NULL);
		if (index->last_time < index->min_time || index->last_time > index->max_time)
			return json_invalid("last_time", NULL);
	}

	/* The run begins with a segment, this one at the latest, and covers what happened in it. */
	if (since > index->start_lsn || since % index->segment_size != 0)
		return json_invalid("time_high_since", NULL);
	if (since != InvalidXLogRecPtr && index->max_time != TIME_NONE &&
	    (index->time_high == TIME_NONE || index->time_high < index->max_time))
		return json_invalid("time_high", NULL);
	return NULL;
}

/* Likewise, and what this segment tells besides must not contradict it.  Where it does not tell all, the run is not believed. */
static Error *
check_quiet(const WalIndex *index)
{
	XLogRecPtr since = index->quiet_since;

	if (since == InvalidXLogRecPtr)
		return NULL;
	if (since > index->start_lsn || since % index->segment_size != 0)
		return json_invalid("quiet_since", NULL);
	return index->tells_changes && !wal_index_is_quiet(index) ? json_invalid("quiet_since", NULL) : NULL;
}

static Error *
check_edges(const WalIndex *index)
{
	const WalWalkResult *walk = &index->walk;

	if (walk->head.size > walk->head.length)
		return json_invalid("head_length", NULL);
	if (walk->tail.size > 0 && (!walk->continues || walk->records == 0))
		return json_invalid("tail", NULL);
	return NULL;
}

static Error *
parse(const Json *root, WalIndex *index)
{
	uint64_t format;

	TRY(json_get_uint(root, "format", &format));
	if (format != WAL_INDEX_FORMAT)
		return error_hint(error_new(ERR_CORRUPT, "format %" PRIu64 " is not supported", format),
		                  "It was written by a newer version of walship; use that one.");
	TRY(json_take(root, &identity_table, index));
	TRY(check_identity(index));
	TRY(check_chunks(index));

	/* Who knows a major that we do not may have told of its records, but a record that crosses an end we could not read. */
	index->walked = json_has(root, "records") && !wal_index_is_foreign(index);
	if (!index->walked)
		return NULL;
	TRY(json_take(root, &walk_table, index));
	TRY(json_take(root, edge_table(index), index));
	if (index->recipients[0] == '\0')
		index->walk.tail.length = index->walk.tail.size;
	TRY(check_places(index));
	TRY(check_times(index));
	TRY(check_quiet(index));
	return check_edges(index);
}

Error *
wal_index_parse(const char *text, size_t size, const char *what, WalIndex *ret_index)
{
	AUTO(Json) root = NULL;
	WalIndex index;

	TRY(json_parse(text, size, what, &root));
	if (!json_is_object(root))
		return error_new(ERR_CORRUPT, "%s is no JSON object", what);
	wal_index_init(&index);
	for (size_t i = 0; i < lengthof(index.drops); i++)
		index.drops[i].time = TIME_NONE;
	TRY(error_context(parse(root, &index), "%s", what));
	*ret_index = index;
	return NULL;
}
