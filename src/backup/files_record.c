/* Records of sets of files; see walship/backup/files_record.h. */
#include "walship/backup/files_record.h"

#include <inttypes.h>
#include <string.h>

#include "walship/archive/layout.h"
#include "walship/archive/sealed_json.h"
#include "walship/archive/self_sha256.h"
#include "walship/base/json_fields.h"
#include "walship/base/mem.h"
#include "walship/pipe/codec.h"
#include "walship/pipe/stages.h"

#define FILES_RECORD_FORMAT 1
#define FILES_RECORD_MAX    (32u * 1024 * 1024) /* bytes of JSON: some 130,000 parts */
#define FILES_SIZE_MAX      (UINT64_C(1) << 60)

static const JsonField part_fields[] = {
	{"set", &json_string, JSON_AT(FilesPart, set)},
	{"name", &json_string, JSON_AT(FilesPart, name)},
	{"raw_size", &json_uint, JSON_AT(FilesPart, raw_size)},
	{"stored_size", &json_uint, JSON_AT(FilesPart, stored_size)},
	{"stored_sha256", &json_hex, JSON_AT(FilesPart, stored_sha256)},
};
static const JsonTable part_table = JSON_TABLE(FilesPart, part_fields);

static const JsonField list_fields[] = {
	{"name", &json_string, JSON_AT(FilesListObject, name)},
	{"raw_size", &json_uint, JSON_AT(FilesListObject, raw_size)},
	{"stored_size", &json_uint, JSON_AT(FilesListObject, stored_size)},
	{"stored_sha256", &json_hex, JSON_AT(FilesListObject, stored_sha256)},
	{"raw_sha256", &json_hex, JSON_AT(FilesListObject, raw_sha256)},
};
static const JsonTable list_table = JSON_TABLE(FilesListObject, list_fields);

static const JsonField record_fields[] = {
	{"system_id", &json_decimal, JSON_AT(FilesRecord, system_identifier)},
	{"name", &json_string, JSON_AT(FilesRecord, name)},
	{"id", &json_string, JSON_AT(FilesRecord, id)},
	{"since", &json_string, JSON_AT(FilesRecord, since), .flags = JSON_MAYBE},
	{"chain", &json_uint, JSON_AT(FilesRecord, chain)},
	{"start_time", &json_time, JSON_AT(FilesRecord, start_time), .flags = JSON_NOT_EMPTY},
	{"stop_time", &json_time, JSON_AT(FilesRecord, stop_time), .flags = JSON_NOT_EMPTY},
	{"directories", &json_list, JSON_AT(FilesRecord, directories), .flags = JSON_OPTIONAL, .of = &json_paths,
     .count = offsetof(FilesRecord, n_directories)},
	{"codec", &json_string, JSON_AT(FilesRecord, codec)},
	{"recipients", &json_words, JSON_AT(FilesRecord, recipients), .flags = JSON_OPTIONAL},
	{"parts", &json_list, JSON_AT(FilesRecord, parts), .of = &part_table,
     .count = offsetof(FilesRecord, n_parts)},
	{"list", &json_struct, JSON_AT(FilesRecord, list), .of = &list_table},
	{"files", &json_uint, JSON_AT(FilesRecord, files)},
	{"files_size", &json_uint, JSON_AT(FilesRecord, files_size)},
	{"entries", &json_uint, JSON_AT(FilesRecord, entries)},
	{"new_files", &json_uint, JSON_AT(FilesRecord, new_files)},
	{"new_size", &json_uint, JSON_AT(FilesRecord, new_size)},
	{"changed", &json_uint, JSON_AT(FilesRecord, changed)},
	{"missing", &json_uint, JSON_AT(FilesRecord, missing)},
	{"duration_ms", &json_int, JSON_AT(FilesRecord, duration_ms)},
	{"walship_version", &json_string, JSON_AT(FilesRecord, walship_version)},
};
static const JsonTable record_table = JSON_TABLE(FilesRecord, record_fields);

FilesRecord *
files_record_new(void)
{
	return NEW(FilesRecord);
}

void
files_record_free(FilesRecord *record)
{
	if (record == NULL)
		return;
	for (size_t i = 0; i < record->n_directories; i++)
		free(record->directories[i]);
	for (size_t i = 0; i < record->n_parts; i++)
	{
		free(record->parts[i].set);
		free(record->parts[i].name);
	}
	free(record->directories);
	free(record->parts);
	free(record->list.name);
	free(record->id);
	free(record->name);
	free(record->since);
	free(record->codec);
	free(record->walship_version);
	free(record);
}

uint64_t
files_record_new_stored(const FilesRecord *record)
{
	uint64_t size = record->list.stored_size;

	for (size_t i = 0; i < record->n_parts; i++)
		size += strcmp(record->parts[i].set, record->id) == 0 ? record->parts[i].stored_size : 0;
	return size;
}

bool
files_name_is_valid(const char *name)
{
	size_t length = strlen(name);

	return length <= FILES_NAME_MAX && store_key_part_is_valid(name, length);
}

void
files_record_put(const FilesRecord *record, Json *into)
{
	json_add_int(into, "format", FILES_RECORD_FORMAT);
	json_put(into, &record_table, record);
}

Error *
files_record_write(Store *store, const FilesRecord *record)
{
	AUTO_FREE char *key = layout_files_record_key(record->system_identifier, record->name, record->id);
	AUTO(Json) root = json_new_object();
	AUTO_BUF(text, FILES_RECORD_MAX);

	files_record_put(record, root);
	json_print(root, false, &text);
	self_sha256_append(&text);
	if (text.overflowed)
		return error_hint(
			error_new(ERR_SYSTEM, "record \"%s\" would be longer than %u bytes", key, FILES_RECORD_MAX),
			"Set \"part_size\" higher: there are %zu parts.", record->n_parts);

	Slice slice = slice_of_memory(text.data, text.size);

	return store_put(store, key, &slice, 1, PUT_IF_ABSENT);
}

/* Sums that wrapped around would pass for small ones; and names become keys. */
static Error *
check_parts(const FilesRecord *record)
{
	uint64_t raw = record->list.raw_size;
	bool sane = store_key_part_is_valid(record->list.name, strlen(record->list.name)) &&
	            raw <= FILES_SIZE_MAX && record->list.stored_size <= codec_stored_most(raw);

	for (size_t i = 0; i < record->n_parts && sane; i++)
	{
		const FilesPart *part = &record->parts[i];

		raw += part->raw_size;
		sane = layout_is_backup_id(part->set) && store_key_part_is_valid(part->name, strlen(part->name)) &&
		       part->raw_size <= FILES_SIZE_MAX && raw <= FILES_SIZE_MAX &&
		       part->stored_size <= codec_stored_most(part->raw_size);
	}
	return sane ? NULL : error_new(ERR_CORRUPT, "names or sizes of its objects make no sense");
}

static Error *
parse(const Buf *text, FilesRecord *record)
{
	AUTO(Json) root = NULL;
	int64_t format;
	Codec codec;

	TRY(json_parse(text->data, text->size, "record", &root));
	TRY(json_get_int(root, "format", &format));
	if (format != FILES_RECORD_FORMAT)
		return error_hint(error_new(ERR_CORRUPT, "format version %" PRId64 " is unknown", format),
		                  "A newer walship wrote it. Update this one.");
	TRY(json_take(root, &record_table, record));
	if (!codec_from_name(record->codec, &codec))
		return json_invalid("codec", record->codec);
	return check_parts(record);
}

Error *
files_record_read(Store *store, uint64_t system_identifier, const char *name, const char *id,
                  FilesRecord **ret_record)
{
	AUTO_FREE char *key = layout_files_record_key(system_identifier, name, id);
	AUTO(FilesRecord) record = files_record_new();
	AUTO_BUF(text, FILES_RECORD_MAX);

	TRY(sealed_text_get(store, key, &text));

	Error *error = parse(&text, record);

	if (error == NULL && (record->system_identifier != system_identifier || strcmp(record->name, name) != 0 ||
	                      strcmp(record->id, id) != 0))
		error = error_new(ERR_CORRUPT, "it is the record of another set");
	TRY(error_context(error, "could not read \"%s\" in store \"%s\"", key, store_url(store)));
	*ret_record = MOVE(record);
	return NULL;
}

typedef struct NameList
{
	StrList *names;
	size_t prefix_length;
} NameList;

static Error *
add_name(void *context, const StoreEntry *entry)
{
	NameList *list = context;

	if (!entry->is_prefix)
		return NULL;

	AUTO_FREE char *name =
		mem_strndup(entry->key + list->prefix_length, strlen(entry->key) - list->prefix_length - 1);

	if (files_name_is_valid(name))
		strlist_add(list->names, name);
	return NULL;
}

Error *
files_list_names(Store *store, uint64_t system_identifier, StrList *ret_names)
{
	AUTO_FREE char *prefix = layout_files_prefix(system_identifier);
	NameList list = {ret_names, strlen(prefix)};

	return store_list(store, prefix, LIST_LEVEL, NULL, add_name, &list);
}

Error *
files_list_ids(Store *store, uint64_t system_identifier, const char *name, StrList *ret_ids)
{
	AUTO_FREE char *prefix = layout_files_name_prefix(system_identifier, name);

	return record_list_ids(store, prefix, ret_ids);
}

/* A RecordRead. */
static Error *
read_of_list(const RecordPlace *place, const char *id, void **ret_record)
{
	FilesRecord *record = NULL;

	TRY(files_record_read(place->store, place->system_identifier, place->name, id, &record));
	*ret_record = record;
	return NULL;
}

Error *
files_sets_read(Store *store, uint64_t system_identifier, const char *name, int threads, RecordList *ret_sets)
{
	RecordPlace place = {store, system_identifier, name};
	AUTO_FREE char *prefix = layout_files_name_prefix(system_identifier, name);

	return record_list_read(&place, prefix, threads, read_of_list, ret_sets);
}

/* Ids of one second are in no order: of those the record says which came last. */
Error *
files_record_newest(Store *store, uint64_t system_identifier, const char *name, FilesRecord **ret_record)
{
	static const size_t second = sizeof("20261120T023007Z") - 1;
	AUTO(FilesRecord) newest = NULL;
	AUTO_STRLIST ids = {0};

	*ret_record = NULL;
	TRY(files_list_ids(store, system_identifier, name, &ids));
	for (size_t i = ids.count; i-- > 0;)
	{
		FilesRecord *record = NULL;

		if (newest != NULL && strncmp(newest->id, ids.items[i], second) != 0)
			break;

		Error *error = files_record_read(store, system_identifier, name, ids.items[i], &record);

		if (error != NULL && !error_is(error, ERR_NOT_FOUND))
			return error;
		error_free(error);
		if (record != NULL && (newest == NULL || record->stop_time > newest->stop_time))
		{
			files_record_free(newest);
			newest = MOVE(record);
		}
		files_record_free(record);
	}
	*ret_record = MOVE(newest);
	return NULL;
}
