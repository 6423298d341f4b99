/* backup.json; see docs/format.md. */
#include "walship/archive/backup_record.h"

#include <inttypes.h>
#include <string.h>

#include "walship/archive/layout.h"
#include "walship/base/mem.h"
#include "walship/base/strs.h"
#include "walship/pipe/codec.h"
#include "walship/wal/json.h"

#define BACKUP_SIZE_MAX (UINT64_C(1) << 60) /* more than any disk, and far from an overflow */

BackupRecord *
backup_record_new(void)
{
	return NEW(BackupRecord);
}

void
backup_record_free(BackupRecord *record)
{
	if (record == NULL)
		return;
	for (size_t i = 0; i < record->n_tablespaces; i++)
		free(record->tablespaces[i].path);
	for (size_t i = 0; i < record->n_databases; i++)
		free(record->databases[i].name);
	for (size_t i = 0; i < record->n_parts; i++)
	{
		free(record->parts[i].name);
		free(record->parts[i].set);
	}
	free(record->tablespaces);
	free(record->in_place_tablespaces);
	free(record->databases);
	free(record->parts);
	free(record->id);
	free(record->label);
	free(record->note);
	free(record->codec);
	free(record->manifest_name);
	free(record->config.name);
	free(record->map.name);
	free(record->walship_version);
	free(record->missing);
	free(record);
}

uint64_t
backup_record_stored_size(const BackupRecord *record)
{
	uint64_t size = record->manifest_stored_size + record->config.stored_size + record->map.stored_size;

	for (size_t i = 0; i < record->n_parts; i++)
		size += record->parts[i].stored_size;
	return size;
}

uint64_t
backup_record_raw_size(const BackupRecord *record)
{
	uint64_t size = 0;

	for (size_t i = 0; i < record->n_parts; i++)
		size += record->parts[i].raw_size;
	return size;
}

/* It becomes the end of a key, and nothing else. */
static Error *
object_name_get(const JsonField *field, const Json *node, void *object)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	const char *name = json_string_value(node);

	if (name == NULL || *name == '\0' || *name == '.' || name[strspn(name, allowed)] != '\0')
		return json_wrong(field, node);
	return json_string.get(field, node, object);
}

static void
object_name_put(const JsonField *field, const void *object, Json *into)
{
	json_string.put(field, object, into);
}

static bool
object_name_is_set(const JsonField *field, const void *object)
{
	return json_string.is_set(field, object);
}

static const JsonKind object_name = {"a name of an object", object_name_is_set, object_name_put,
                                     object_name_get};

static const JsonField object_fields[] = {
	{"name", &object_name, JSON_AT(BackupObject, name)},
	{"raw_size", &json_uint, JSON_AT(BackupObject, raw_size)},
	{"stored_size", &json_uint, JSON_AT(BackupObject, stored_size)},
	{"stored_sha256", &json_hex, JSON_AT(BackupObject, stored_sha256)},
};
const JsonTable backup_object_table = JSON_TABLE(BackupObject, object_fields);

static bool
object_is_set(const JsonField *field, const void *object)
{
	return ((const BackupObject *) json_at(field, object))->name != NULL;
}

static void
object_put(const JsonField *field, const void *object, Json *into)
{
	json_struct.put(field, object, into);
}

static Error *
object_get(const JsonField *field, const Json *node, void *object)
{
	return json_struct.get(field, node, object);
}

/* A BackupObject that need not be there. */
static const JsonKind stored_object = {"an object", object_is_set, object_put, object_get};

static bool
full_page_writes_is_set(const JsonField *field, const void *object)
{
	return *(const FullPageWrites *) json_at(field, object) != FULL_PAGE_WRITES_UNKNOWN;
}

static void
full_page_writes_put(const JsonField *field, const void *object, Json *into)
{
	json_add_bool(into, field->name, *(const FullPageWrites *) json_at(field, object) == FULL_PAGE_WRITES_ON);
}

static Error *
full_page_writes_get(const JsonField *field, const Json *node, void *object)
{
	bool on;

	if (!json_bool_value(node, &on))
		return json_wrong(field, node);
	*(FullPageWrites *) json_at(field, object) = on ? FULL_PAGE_WRITES_ON : FULL_PAGE_WRITES_OFF;
	return NULL;
}

static const JsonKind full_page_writes = {"true or false", full_page_writes_is_set, full_page_writes_put,
                                          full_page_writes_get};

static const JsonField database_fields[] = {
	{"oid", &json_uint, JSON_AT(BackupDatabase, oid), .flags = JSON_NOT_EMPTY},
	{"name", &json_path, JSON_AT(BackupDatabase, name), .flags = JSON_OPTIONAL},
	{"tablespace", &json_uint, JSON_AT(BackupDatabase, tablespace), .flags = JSON_NOT_EMPTY},
};
static const JsonTable database_table = JSON_TABLE(BackupDatabase, database_fields);

static const JsonField tablespace_fields[] = {
	{"oid", &json_uint, JSON_AT(BackupTablespace, oid)},
	{"path", &json_path, JSON_AT(BackupTablespace, path)},
};
static const JsonTable tablespace_table = JSON_TABLE(BackupTablespace, tablespace_fields);

static const JsonField part_fields[] = {
	{"name", &object_name, JSON_AT(BackupPart, name)},
	{"set", &json_string, JSON_AT(BackupPart, set)},
	{"raw_size", &json_uint, JSON_AT(BackupPart, raw_size)},
	{"stored_size", &json_uint, JSON_AT(BackupPart, stored_size)},
	{"stored_sha256", &json_hex, JSON_AT(BackupPart, stored_sha256)},
};
static const JsonTable part_table = JSON_TABLE(BackupPart, part_fields);

static const JsonField manifest_fields[] = {
	{"name", &object_name, JSON_AT(BackupRecord, manifest_name)},
	{"raw_size", &json_uint, JSON_AT(BackupRecord, manifest_raw_size)},
	{"stored_size", &json_uint, JSON_AT(BackupRecord, manifest_stored_size)},
	{"stored_sha256", &json_hex, JSON_AT(BackupRecord, manifest_sha256)},
	{"files", &json_uint, JSON_AT(BackupRecord, files)},
	{"files_size", &json_uint, JSON_AT(BackupRecord, files_size)},
};
static const JsonTable manifest_table = JSON_TABLE(BackupRecord, manifest_fields);

static const JsonField parameter_fields[] = {
	{"max_connections", &json_natural, JSON_AT(BackupParameters, max_connections)},
	{"max_worker_processes", &json_natural, JSON_AT(BackupParameters, max_worker_processes)},
	{"max_wal_senders", &json_natural, JSON_AT(BackupParameters, max_wal_senders)},
	{"max_prepared_transactions", &json_natural, JSON_AT(BackupParameters, max_prepared_transactions)},
	{"max_locks_per_transaction", &json_natural, JSON_AT(BackupParameters, max_locks_per_transaction)},
};
static const JsonTable parameter_table = JSON_TABLE(BackupParameters, parameter_fields);

static const JsonField record_fields[] = {
	{"id", &json_string, JSON_AT(BackupRecord, id)},

	/* Other types will come, and a reader must not take them for this one. */
	{"type", &json_constant, .text = "full"},
	{"system_id", &json_decimal, JSON_AT(BackupRecord, system_identifier)},
	{"server_version", &json_natural, JSON_AT(BackupRecord, server_version)},
	{"segment_size", &json_uint, JSON_AT(BackupRecord, segment_size)},
	{"timeline", &json_uint, JSON_AT(BackupRecord, timeline), .flags = JSON_NOT_EMPTY},
	{"start_lsn", &json_lsn, JSON_AT(BackupRecord, start_lsn), .flags = JSON_NOT_EMPTY},
	{"stop_lsn", &json_lsn, JSON_AT(BackupRecord, stop_lsn), .flags = JSON_NOT_EMPTY},
	{"start_time", &json_time, JSON_AT(BackupRecord, start_time), .flags = JSON_NOT_EMPTY},
	{"stop_time", &json_time, JSON_AT(BackupRecord, stop_time), .flags = JSON_NOT_EMPTY},
	{"label", &json_string, JSON_AT(BackupRecord, label)},
	{"note", &json_string, JSON_AT(BackupRecord, note), .flags = JSON_MAYBE},
	{"from_standby", &json_bool, JSON_AT(BackupRecord, from_standby)},
	{"wal_inside", &json_bool, JSON_AT(BackupRecord, wal_inside)},
	{"page_errors", &json_bool, JSON_AT(BackupRecord, page_errors)},
	{"data_checksums", &json_bool, JSON_AT(BackupRecord, data_checksums)},
	{"full_page_writes", &full_page_writes, JSON_AT(BackupRecord, full_page_writes), .flags = JSON_OPTIONAL},
	{"codec", &json_string, JSON_AT(BackupRecord, codec)},
	{"recipients", &json_words, JSON_AT(BackupRecord, recipients), .flags = JSON_OPTIONAL},
	{"tablespaces", &json_list, JSON_AT(BackupRecord, tablespaces), .of = &tablespace_table,
     .count = offsetof(BackupRecord, n_tablespaces)},
	{"in_place_tablespaces", &json_list, JSON_AT(BackupRecord, in_place_tablespaces), .flags = JSON_OPTIONAL,
     .of = &json_uints, .count = offsetof(BackupRecord, n_in_place_tablespaces)},
	{"databases", &json_list, JSON_AT(BackupRecord, databases), .flags = JSON_OPTIONAL, .of = &database_table,
     .count = offsetof(BackupRecord, n_databases)},
	{"parts", &json_list, JSON_AT(BackupRecord, parts), .flags = JSON_NOT_EMPTY, .of = &part_table,
     .count = offsetof(BackupRecord, n_parts)},
	{"manifest", &json_struct, .of = &manifest_table}, /* its members lie in the record itself */
	{"config", &stored_object, JSON_AT(BackupRecord, config), .flags = JSON_OPTIONAL,
     .of = &backup_object_table},
	{"map", &stored_object, JSON_AT(BackupRecord, map), .flags = JSON_OPTIONAL, .of = &backup_object_table},
	{"parameters", &json_struct, JSON_AT(BackupRecord, parameters), .of = &parameter_table},
	{"duration_ms", &json_int, JSON_AT(BackupRecord, duration_ms)},
	{"walship_version", &json_string, JSON_AT(BackupRecord, walship_version)},
};
static const JsonTable record_table = JSON_TABLE(BackupRecord, record_fields);

void
backup_record_print(const BackupRecord *record, Buf *into)
{
	AUTO(Json) root = json_new_object();

	json_add_int(root, "format", BACKUP_RECORD_FORMAT);
	json_put(root, &record_table, record);
	json_print(root, false, into);
}

void
backup_record_put(const BackupRecord *record, const char *members, Json *into)
{
	json_put_some(into, &record_table, members, record);
}

void
backup_databases_put(const BackupDatabase *databases, size_t count, Json *into)
{
	json_put_list(into, "databases", &database_table, databases, count);
}

static bool
add_object(uint64_t raw_size, uint64_t stored_size, uint64_t *raw)
{
	*raw += raw_size;
	return *raw <= BACKUP_SIZE_MAX && stored_size <= codec_stored_most(raw_size);
}

/*
 * Sums that wrapped around would pass for small ones: where it is asked whether a
 * backup fits on a disk, say.  And what is stored is not much longer than what comes of it.
 */
static Error *
check_sizes(const BackupRecord *record)
{
	uint64_t raw = 0;
	bool sane = add_object(record->manifest_raw_size, record->manifest_stored_size, &raw) &&
	            add_object(record->config.raw_size, record->config.stored_size, &raw) &&
	            add_object(record->map.raw_size, record->map.stored_size, &raw);

	for (size_t i = 0; i < record->n_parts && sane; i++)
		sane = add_object(record->parts[i].raw_size, record->parts[i].stored_size, &raw);
	return sane ? NULL : error_new(ERR_CORRUPT, "sizes make no sense");
}

static Error *
read_record(const Json *root, BackupRecord *record)
{
	int64_t format;
	Codec codec;

	/* First what says whether the rest can be understood at all. */
	TRY(json_get_int(root, "format", &format));
	if (format != BACKUP_RECORD_FORMAT)
		return error_hint(error_new(ERR_CORRUPT, "format version %" PRId64 " is unknown", format),
		                  "A newer walship wrote it. Update this one.");
	TRY(json_take(root, &record_table, record));

	if (!layout_is_backup_id(record->id))
		return json_invalid("id", record->id);
	if (!wal_segment_size_is_valid(record->segment_size))
		return error_new(ERR_CORRUPT, "\"segment_size\" is no size of WAL segments");
	if (record->stop_lsn < record->start_lsn)
		return error_new(ERR_CORRUPT, "positions make no sense: \"stop_lsn\" is before \"start_lsn\"");
	if (!codec_from_name(record->codec, &codec))
		return json_invalid("codec", record->codec);
	return check_sizes(record);
}

Error *
backup_record_parse(const char *text, size_t size, const char *what, BackupRecord **ret_record)
{
	AUTO(Json) root = NULL;
	AUTO(BackupRecord) record = backup_record_new();

	TRY(json_parse(text, size, what, &root));
	TRY(error_context(read_record(root, record), "%s", what));
	*ret_record = MOVE(record);
	return NULL;
}
