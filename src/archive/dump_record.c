/* dump.json; see docs/format.md. */
#include "walship/archive/dump_record.h"

#include <inttypes.h>
#include <string.h>

#include "walship/archive/layout.h"
#include "walship/archive/read_again.h"
#include "walship/archive/record_list.h"
#include "walship/archive/self_sha256.h"
#include "walship/base/mem.h"
#include "walship/pipe/codec.h"
#include "walship/pipe/stages.h"
#include "walship/wal/json.h"

#define DUMP_RECORD_FORMAT 1
#define DUMP_RECORD_MAX    BACKUP_RECORD_MAX
#define DUMP_SIZE_MAX      (UINT64_C(1) << 60) /* more than any disk, and far from an overflow */

static const JsonField dump_table_fields[] = {
	{"oid", &json_uint, JSON_AT(DumpTable, oid), .flags = JSON_NOT_EMPTY},
	{"object", &json_struct, JSON_AT(DumpTable, object), .of = &backup_object_table},
};
static const JsonTable dump_table_table = JSON_TABLE(DumpTable, dump_table_fields);

static const JsonField database_fields[] = {
	{"oid", &json_uint, JSON_AT(DumpDatabase, oid), .flags = JSON_NOT_EMPTY},
	{"name", &json_path, JSON_AT(DumpDatabase, name), .flags = JSON_OPTIONAL},
	{"archive", &json_struct, JSON_AT(DumpDatabase, archive), .of = &backup_object_table},
	{"schema", &json_struct, JSON_AT(DumpDatabase, schema), .of = &backup_object_table},
	{"tables", &json_list, JSON_AT(DumpDatabase, tables), .flags = JSON_OPTIONAL, .of = &dump_table_table,
     .count = offsetof(DumpDatabase, n_tables)},
};
static const JsonTable database_table = JSON_TABLE(DumpDatabase, database_fields);

static const JsonField record_fields[] = {
	{"id", &json_string, JSON_AT(DumpRecord, id)},
	{"type", &json_constant, .text = "dump"},
	{"system_id", &json_decimal, JSON_AT(DumpRecord, system_identifier)},
	{"server_version", &json_natural, JSON_AT(DumpRecord, server_version)},
	{"dump_major", &json_natural, JSON_AT(DumpRecord, dump_major)},
	{"segment_size", &json_uint, JSON_AT(DumpRecord, segment_size)},
	{"timeline", &json_uint, JSON_AT(DumpRecord, timeline), .flags = JSON_NOT_EMPTY},
	{"lsn", &json_lsn, JSON_AT(DumpRecord, lsn), .flags = JSON_NOT_EMPTY},
	{"start_time", &json_time, JSON_AT(DumpRecord, start_time), .flags = JSON_NOT_EMPTY},
	{"stop_time", &json_time, JSON_AT(DumpRecord, stop_time), .flags = JSON_NOT_EMPTY},
	{"note", &json_string, JSON_AT(DumpRecord, note), .flags = JSON_MAYBE},
	{"from_standby", &json_bool, JSON_AT(DumpRecord, from_standby)},
	{"role_passwords", &json_bool, JSON_AT(DumpRecord, role_passwords)},
	{"read_back", &json_bool, JSON_AT(DumpRecord, read_back)},
	{"codec", &json_string, JSON_AT(DumpRecord, codec)},
	{"recipients", &json_words, JSON_AT(DumpRecord, recipients), .flags = JSON_OPTIONAL},
	{"globals", &json_struct, JSON_AT(DumpRecord, globals), .of = &backup_object_table},
	{"contents", &json_struct, JSON_AT(DumpRecord, contents), .of = &backup_object_table},
	{"databases", &json_list, JSON_AT(DumpRecord, databases), .flags = JSON_NOT_EMPTY, .of = &database_table,
     .count = offsetof(DumpRecord, n_databases)},
	{"duration_ms", &json_int, JSON_AT(DumpRecord, duration_ms)},
	{"walship_version", &json_string, JSON_AT(DumpRecord, walship_version)},
};
static const JsonTable record_table = JSON_TABLE(DumpRecord, record_fields);

DumpRecord *
dump_record_new(void)
{
	return NEW(DumpRecord);
}

void
dump_record_free(DumpRecord *record)
{
	if (record == NULL)
		return;
	for (size_t i = 0; i < record->n_databases; i++)
	{
		DumpDatabase *database = &record->databases[i];

		for (size_t j = 0; j < database->n_tables; j++)
			free(database->tables[j].object.name);
		free(database->tables);
		free(database->name);
		free(database->archive.name);
		free(database->schema.name);
	}
	free(record->databases);
	free(record->id);
	free(record->note);
	free(record->codec);
	free(record->globals.name);
	free(record->contents.name);
	free(record->walship_version);
	free(record);
}

Error *
dump_record_visit(const DumpRecord *record, DumpObjectVisit visit, void *context)
{
	TRY(visit(context, &record->globals));
	TRY(visit(context, &record->contents));
	for (size_t i = 0; i < record->n_databases; i++)
	{
		const DumpDatabase *database = &record->databases[i];

		TRY(visit(context, &database->archive));
		TRY(visit(context, &database->schema));
		for (size_t j = 0; j < database->n_tables; j++)
			TRY(visit(context, &database->tables[j].object));
	}
	return NULL;
}

static Error *
add_stored_size(void *sum, const BackupObject *object)
{
	*(uint64_t *) sum += object->stored_size;
	return NULL;
}

static Error *
add_raw_size(void *sum, const BackupObject *object)
{
	*(uint64_t *) sum += object->raw_size;
	return NULL;
}

static uint64_t
sum_of(const DumpRecord *record, DumpObjectVisit add)
{
	uint64_t sum = 0;

	error_free(dump_record_visit(record, add, &sum)); /* it has none */
	return sum;
}

uint64_t
dump_record_stored_size(const DumpRecord *record)
{
	return sum_of(record, add_stored_size);
}

uint64_t
dump_record_raw_size(const DumpRecord *record)
{
	return sum_of(record, add_raw_size);
}

void
dump_record_print(const DumpRecord *record, Buf *into)
{
	AUTO(Json) root = json_new_object();

	json_add_int(root, "format", DUMP_RECORD_FORMAT);
	json_put(root, &record_table, record);
	json_print(root, false, into);
}

void
dump_record_put(const DumpRecord *record, const char *members, Json *into)
{
	json_put_some(into, &record_table, members, record);
}

/* As of a backup's record: sums do not wrap around, and what is stored is not much longer than what comes of it. */
static Error *
check_size(void *sum, const BackupObject *object)
{
	uint64_t *raw = sum;

	*raw += object->raw_size < DUMP_SIZE_MAX ? object->raw_size : DUMP_SIZE_MAX;
	return *raw < DUMP_SIZE_MAX && object->stored_size <= codec_stored_most(object->raw_size)
	           ? NULL
	           : error_new(ERR_CORRUPT, "sizes make no sense");
}

static Error *
read_record(const Json *root, DumpRecord *record)
{
	int64_t format;
	uint64_t raw = 0;
	Codec codec;

	TRY(json_get_int(root, "format", &format));
	if (format != DUMP_RECORD_FORMAT)
		return error_hint(error_new(ERR_CORRUPT, "format version %" PRId64 " is unknown", format),
		                  "A newer walship wrote it. Update this one.");
	TRY(json_take(root, &record_table, record));
	if (!layout_is_backup_id(record->id))
		return json_invalid("id", record->id);
	if (!wal_segment_size_is_valid(record->segment_size))
		return error_new(ERR_CORRUPT, "\"segment_size\" is no size of WAL segments");
	if (!codec_from_name(record->codec, &codec))
		return json_invalid("codec", record->codec);
	return dump_record_visit(record, check_size, &raw);
}

Error *
dump_record_parse(const char *text, size_t size, const char *what, DumpRecord **ret_record)
{
	AUTO(Json) root = NULL;
	AUTO(DumpRecord) record = dump_record_new();

	TRY(json_parse(text, size, what, &root));
	TRY(error_context(read_record(root, record), "%s", what));
	*ret_record = MOVE(record);
	return NULL;
}

Error *
dump_record_write(Store *store, const DumpRecord *record)
{
	AUTO_FREE char *key = layout_dump_record_key(record->system_identifier, record->id);
	AUTO_BUF(text, DUMP_RECORD_MAX);

	dump_record_print(record, &text);
	self_sha256_append(&text);
	if (text.overflowed)
		return error_new(ERR_SYSTEM, "record of dump \"%s\" is larger than %u bytes", record->id,
		                 DUMP_RECORD_MAX);

	Slice slice = slice_of_memory(text.data, text.size);

	return store_put(store, key, &slice, 1, PUT_IF_ABSENT);
}

static Error *
parse_sealed(const Buf *text, uint64_t system_identifier, const char *id, DumpRecord **ret_record)
{
	AUTO(DumpRecord) record = NULL;

	TRY(self_sha256_check(text->data == NULL ? "" : text->data, text->size, "dump.json"));
	TRY(dump_record_parse(text->data, text->size, "dump.json", &record));
	if (!str_equal(record->id, id))
		return error_new(ERR_CORRUPT, "record is of dump \"%s\"", record->id);
	if (record->system_identifier != system_identifier)
		return error_new(ERR_CORRUPT, "record is of another database system");
	*ret_record = MOVE(record);
	return NULL;
}

Error *
dump_record_read(Store *store, uint64_t system_identifier, const char *id, DumpRecord **ret_record)
{
	AUTO_FREE char *key = layout_dump_record_key(system_identifier, id);
	AUTO_BUF(text, DUMP_RECORD_MAX);
	Error *error;
	int reads = 0;

	do
	{
		AUTO(Sink) sink = buf_sink_new(&text);

		buf_clear(&text);
		error = store_get(store, key, 0, STORE_TO_END, sink);
		if (error == NULL)
			error = parse_sealed(&text, system_identifier, id, ret_record);
	} while (read_again(store, key, &error, &reads));
	return error;
}

/* A RecordRead. */
static Error *
read_of_list(const RecordPlace *place, const char *id, void **ret_record)
{
	DumpRecord *record = NULL;

	TRY(dump_record_read(place->store, place->system_identifier, id, &record));
	*ret_record = record;
	return NULL;
}

Error *
dump_list_read(Store *store, uint64_t system_identifier, int threads, DumpList *ret_dumps)
{
	RecordPlace place = {.store = store, .system_identifier = system_identifier};
	AUTO_FREE char *root = layout_dump_root(system_identifier);
	AUTO_RECORD_LIST list = {0};
	Error *error = record_list_read(&place, root, threads, read_of_list, &list);

	ret_dumps->items = NEW_ARRAY(DumpRecord *, list.count);
	for (size_t i = 0; i < list.count; i++)
		ret_dumps->items[ret_dumps->count++] = list.records[i];
	record_list_tell(&list, &ret_dumps->unfinished, &ret_dumps->damaged);
	return error;
}

void
dump_list_release(DumpList *dumps)
{
	for (size_t i = 0; i < dumps->count; i++)
		dump_record_free(dumps->items[i]);
	free(dumps->items);
	strlist_release(&dumps->unfinished);
	strlist_release(&dumps->damaged);
	*dumps = (DumpList){0};
}

/* Ids tell seconds, and small databases are dumped in less. */
static int
later_start_first(const void *a, const void *b)
{
	const DumpRecord *left = *(DumpRecord *const *) a;
	const DumpRecord *right = *(DumpRecord *const *) b;

	if (left->start_time != right->start_time)
		return left->start_time > right->start_time ? -1 : 1;
	return strcmp(right->id, left->id);
}

Error *
dump_ids_newest_first(Store *store, uint64_t system_identifier, int threads, StrList *ret_ids,
                      StrList *ret_damaged)
{
	AUTO_DUMPS dumps = {0};

	TRY(dump_list_read(store, system_identifier, threads, &dumps));
	for (size_t i = 0; i < dumps.damaged.count; i++)
		strlist_add(ret_damaged, dumps.damaged.items[i]);
	if (dumps.count == 0 && dumps.damaged.count > 0)
		return error_hint(
			error_new(ERR_CORRUPT, "every dump in store \"%s\" is damaged: \"%s\"", store_url(store),
		              dumps.damaged.items[0]),
			"\"walship copy --heal --from STORE\" brings them back from a second copy of the store; a new dump can be taken.");
	if (dumps.count == 0)
		return error_new(ERR_NOT_FOUND, "there is no dump in store \"%s\"", store_url(store));
	qsort(dumps.items, dumps.count, sizeof(DumpRecord *), later_start_first);
	for (size_t i = 0; i < dumps.count; i++)
		strlist_add(ret_ids, dumps.items[i]->id);
	return NULL;
}
