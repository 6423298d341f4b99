/* The index member of a segment object: reading. */
#include <inttypes.h>
#include <string.h>

#include "walship/base/json.h"
#include "walship/base/strs.h"
#include "walship/wal/index.h"
#include "walship/wal/name.h"

static Error *
invalid(const char *name)
{
	return error_new(ERR_CORRUPT, "member \"%s\" has an invalid value", name);
}

static Error *
get_uint32(const Json *object, const char *name, uint32_t *ret_value)
{
	uint64_t value;

	TRY(json_get_uint(object, name, &value));
	if (value > UINT32_MAX)
		return invalid(name);
	*ret_value = (uint32_t) value;
	return NULL;
}

/* null: none */
static Error *
get_lsn(const Json *object, const char *name, XLogRecPtr *ret_lsn)
{
	const char *text;

	if (json_get(object, name) != NULL && !json_has(object, name))
	{
		*ret_lsn = InvalidXLogRecPtr;
		return NULL;
	}
	TRY(json_get_string(object, name, &text));
	return lsn_parse(text, ret_lsn) ? NULL : invalid(name);
}

static Error *
get_sha256(const Json *object, const char *name, uint8_t ret_digest[SHA256_SIZE])
{
	const char *text;

	TRY(json_get_string(object, name, &text));
	return hex_decode(text, ret_digest, SHA256_SIZE) ? NULL : invalid(name);
}

static Error *
get_text(const Json *object, const char *name, char *ret_text, size_t size)
{
	const char *text;

	TRY(json_get_string(object, name, &text));
	if (strlen(text) >= size)
		return invalid(name);
	memcpy(ret_text, text, strlen(text) + 1);
	return NULL;
}

/* It becomes part of no path, but whoever extracts the tar file makes a file of it. */
static bool
is_file_name(const char *name)
{
	return name[0] != '\0' && name[0] != '.' && strchr(name, '/') == NULL;
}

/* The name says timeline and start, the size says the end: what is written twice must agree. */
static Error *
check_place(const WalIndex *index)
{
	WalName name;
	XLogSegNo segno;
	AUTO(Error) error = wal_name_parse(index->segment, &name);

	if (error != NULL || (name.kind != WAL_SEGMENT && name.kind != WAL_PARTIAL))
		return invalid("segment");
	if (name.timeline != index->timeline)
		return invalid("timeline");
	if (!wal_segment_size_is_valid(index->segment_size) ||
	    !wal_name_segno(&name, index->segment_size, &segno))
		return invalid("segment_size");
	if (index->start_lsn != segment_start(segno, index->segment_size))
		return invalid("start_lsn");
	if (index->end_lsn != index->start_lsn + index->segment_size)
		return invalid("end_lsn");
	return NULL;
}

static Error *
parse_identity(const Json *root, WalIndex *index)
{
	const char *system;
	uint32_t major = 0;

	TRY(get_text(root, "segment", index->segment, sizeof index->segment));
	TRY(json_get_string(root, "system_id", &system));
	if (!str_to_uint64(system, &index->system_identifier))
		return invalid("system_id");
	TRY(get_uint32(root, "timeline", &index->timeline));
	TRY(get_uint32(root, "postgres", &major));
	if (major > UINT16_MAX || wal_magic_of_major((int) major) == 0)
		return invalid("postgres");
	index->major = (int) major;
	TRY(get_uint32(root, "segment_size", &index->segment_size));
	TRY(get_lsn(root, "start_lsn", &index->start_lsn));
	TRY(get_lsn(root, "end_lsn", &index->end_lsn));
	return check_place(index);
}

static Error *
parse_member(const Json *root, WalIndex *index)
{
	TRY(get_sha256(root, "sha256", index->sha256));
	TRY(get_text(root, "member", index->member, sizeof index->member));
	if (!is_file_name(index->member))
		return invalid("member");
	TRY(get_text(root, "codec", index->codec, sizeof index->codec));
	if (index->codec[0] == '\0')
		return invalid("codec");
	TRY(json_get_words(root, "recipients", index->recipients, sizeof index->recipients));
	TRY(json_get_uint(root, "stored_size", &index->stored_size));
	return get_sha256(root, "stored_sha256", index->stored_sha256);
}

static bool
lies_within(const WalIndex *index, XLogRecPtr lsn)
{
	return lsn - index->start_lsn < index->segment_size;
}

/* A place in the segment, or none. */
static Error *
get_place(const WalIndex *index, const Json *object, const char *name, XLogRecPtr *ret_lsn)
{
	TRY(get_lsn(object, name, ret_lsn));
	return *ret_lsn == InvalidXLogRecPtr || lies_within(index, *ret_lsn) ? NULL : invalid(name);
}

static Error *
parse_walk(const Json *root, WalIndex *index)
{
	WalWalkResult *walk = &index->walk;

	TRY(json_get_uint(root, "records", &walk->records));
	TRY(get_place(index, root, "first_record", &walk->first_record));
	TRY(get_place(index, root, "last_record", &walk->last_record));
	if ((walk->records == 0) != (walk->first_record == InvalidXLogRecPtr) ||
	    walk->last_record < walk->first_record)
		return invalid("first_record");
	TRY(json_get_bool(root, "continues", &walk->continues));
	TRY(json_get_bool(root, "switched", &walk->switched));
	TRY(get_lsn(root, "wal_end", &walk->wal_end));
	if (walk->wal_end != index->end_lsn && !lies_within(index, walk->wal_end))
		return invalid("wal_end");
	if (json_has(root, "damaged_at"))
		TRY(get_place(index, root, "damaged_at", &walk->damaged_at));
	return NULL;
}

static Error *
parse_transactions(const Json *root, WalIndex *index)
{
	TRY(json_get_uint(root, "commits", &index->commits));
	TRY(json_get_uint(root, "aborts", &index->aborts));
	if (json_has(root, "first_time"))
	{
		TRY(json_get_time(root, "first_time", &index->first_time));
		TRY(json_get_time(root, "last_time", &index->last_time));
		TRY(json_get_time(root, "min_time", &index->min_time));
		TRY(json_get_time(root, "max_time", &index->max_time));
		if (index->min_time > index->max_time || index->min_time == TIME_NONE)
			return invalid("min_time");
		if (index->first_time < index->min_time || index->first_time > index->max_time)
			return invalid("first_time");
		if (index->last_time < index->min_time || index->last_time > index->max_time)
			return invalid("last_time");
	}
	if (json_has(root, "min_xid"))
	{
		TRY(get_uint32(root, "min_xid", &index->min_xid));
		TRY(get_uint32(root, "max_xid", &index->max_xid));
		if (index->min_xid == 0 || index->max_xid == 0)
			return invalid("min_xid");
	}
	return NULL;
}

/* The run begins with a segment, this one at the latest, and covers what happened in it. */
static Error *
parse_time_high(const Json *root, WalIndex *index)
{
	if (!json_has(root, "time_high_since"))
		return NULL;
	TRY(get_lsn(root, "time_high_since", &index->time_high_since));
	if (index->time_high_since == InvalidXLogRecPtr || index->time_high_since > index->start_lsn ||
	    index->time_high_since % index->segment_size != 0)
		return invalid("time_high_since");
	TRY(json_get_time(root, "time_high", &index->time_high));
	if (index->max_time != TIME_NONE && (index->time_high == TIME_NONE || index->time_high < index->max_time))
		return invalid("time_high");
	return NULL;
}

/* As many items as the count says, or as a full list holds. */
static bool
count_fits(uint64_t count, uint64_t items, uint64_t most)
{
	return items == (count < most ? count : most);
}

static Error *
parse_restore_points(const Json *root, WalIndex *index)
{
	const Json *list = json_get(root, "restore_points");
	uint64_t count = 0;

	if (list == NULL)
		return NULL;
	if (!json_is_array(list))
		return invalid("restore_points");
	for (const Json *item = json_first(list); item != NULL; item = json_next(item))
	{
		if (count == WAL_INDEX_RESTORE_POINTS_MAX || !json_is_object(item))
			return invalid("restore_points");

		WalRestorePoint *point = &index->restore_points[count++];

		TRY(get_text(item, "name", point->name, sizeof point->name));
		TRY(get_place(index, item, "lsn", &point->lsn));
		TRY(json_get_time(item, "time", &point->time));
	}
	TRY(json_get_uint(root, "restore_point_count", &index->n_restore_points));
	return count_fits(index->n_restore_points, count, WAL_INDEX_RESTORE_POINTS_MAX)
	           ? NULL
	           : invalid("restore_point_count");
}

/* "1663/5/16390" */
static bool
parse_file(const char *text, WalRelation *ret_file)
{
	uint64_t numbers[3];

	for (size_t i = 0; i < lengthof(numbers); i++)
	{
		char number[sizeof "4294967295"];
		size_t length = strcspn(text, "/");
		char expected = i + 1 < lengthof(numbers) ? '/' : '\0';

		if (length >= sizeof number || text[length] != expected)
			return false;
		memcpy(number, text, length);
		number[length] = '\0';
		if (!str_to_uint64(number, &numbers[i]) || numbers[i] > UINT32_MAX)
			return false;
		text += length + 1;
	}
	*ret_file = (WalRelation){(uint32_t) numbers[0], (uint32_t) numbers[1], numbers[2]};
	return numbers[2] != 0;
}

static Error *
parse_dropped_files(const Json *object, WalDrop *drop)
{
	const Json *list = json_get(object, "files");
	size_t count = 0;

	TRY(json_get_time(object, "time", &drop->time));
	TRY(json_get_uint(object, "file_count", &drop->n_files));
	if (!json_is_array(list) || drop->n_files == 0)
		return invalid("files");
	for (const Json *item = json_first(list); item != NULL; item = json_next(item))
	{
		const char *text = json_string_value(item);

		if (text == NULL || count == WAL_INDEX_DROP_FILES_MAX || count == drop->n_files ||
		    !parse_file(text, &drop->files[count++]))
			return invalid("files");
	}
	return NULL;
}

static Error *
parse_drop(const WalIndex *index, const Json *object, WalDrop *drop)
{
	*drop = (WalDrop){.time = TIME_NONE};
	TRY(get_place(index, object, "lsn", &drop->lsn));
	TRY(get_uint32(object, "xid", &drop->xid));
	if (!json_has(object, "database"))
		return parse_dropped_files(object, drop);
	TRY(get_uint32(object, "database", &drop->database));
	return drop->database == 0 ? invalid("database") : NULL;
}

static Error *
parse_drops(const Json *root, WalIndex *index)
{
	const Json *list = json_get(root, "drops");
	uint64_t count = 0;

	if (json_has(root, "files_created"))
		TRY(json_get_uint(root, "files_created", &index->n_files_created));
	if (list == NULL)
		return NULL;
	if (!json_is_array(list))
		return invalid("drops");
	for (const Json *item = json_first(list); item != NULL; item = json_next(item))
	{
		if (count == WAL_INDEX_DROPS_MAX || !json_is_object(item))
			return invalid("drops");
		TRY(parse_drop(index, item, &index->drops[count++]));
	}
	TRY(json_get_uint(root, "drop_count", &index->n_drops));
	return count_fits(index->n_drops, count, WAL_INDEX_DROPS_MAX) ? NULL : invalid("drop_count");
}

static Error *
get_edge(const Json *root, const char *name, WalEdge *edge)
{
	const char *text;

	if (!json_has(root, name))
		return NULL;
	TRY(json_get_string(root, name, &text));

	size_t size = strlen(text) / 2;

	if (size == 0 || size > WAL_EDGE_MAX || !hex_decode(text, edge->bytes, size))
		return invalid(name);
	edge->size = (uint32_t) size;
	return NULL;
}

static Error *
parse_edges(const Json *root, WalIndex *index)
{
	WalEdge *head = &index->walk.head;
	WalEdge *tail = &index->walk.tail;

	if (json_has(root, "head_length"))
		TRY(get_uint32(root, "head_length", &head->length));
	TRY(get_edge(root, "head", head));
	if (head->size > head->length)
		return invalid("head_length");
	TRY(get_edge(root, "tail", tail));
	if (tail->size > 0 && (!index->walk.continues || index->walk.records == 0))
		return invalid("tail");
	tail->length = tail->size;
	if (json_has(root, "tail_length"))
		TRY(get_uint32(root, "tail_length", &tail->length));
	return NULL;
}

static Error *
parse_epoch(const Json *root, WalIndex *index)
{
	uint32_t epoch = 0;
	const TransactionId first_normal = 3;

	if (!json_has(root, "xid_epoch"))
		return NULL;
	TRY(get_uint32(root, "xid_epoch", &epoch));
	index->known_full_xid = (uint64_t) epoch << 32 | (index->max_xid == 0 ? first_normal : index->max_xid);
	return NULL;
}

static Error *
parse(const Json *root, WalIndex *index)
{
	uint32_t format = 0;

	TRY(get_uint32(root, "format", &format));
	if (format != WAL_INDEX_FORMAT)
		return error_hint(error_new(ERR_CORRUPT, "format %" PRIu32 " is not supported", format),
		                  "It was written by a newer version of walship; use that one.");
	TRY(parse_identity(root, index));
	TRY(parse_member(root, index));
	index->walked = json_has(root, "records");
	if (!index->walked)
		return NULL;
	TRY(parse_walk(root, index));
	TRY(parse_transactions(root, index));
	TRY(json_get_uint(root, "checkpoints", &index->checkpoints));
	TRY(json_get_bool(root, "parameter_change", &index->parameter_change));
	TRY(json_get_bool(root, "timeline_switch", &index->timeline_switch));
	TRY(parse_time_high(root, index));
	TRY(parse_epoch(root, index));
	TRY(parse_restore_points(root, index));
	TRY(parse_drops(root, index));
	return parse_edges(root, index);
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
	TRY(error_context(parse(root, &index), "%s", what));
	*ret_index = index;
	return NULL;
}
