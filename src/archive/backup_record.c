/* backup.json; see docs/format.md. */
#include "walship/archive/backup_record.h"

#include <inttypes.h>
#include <string.h>

#include "walship/archive/layout.h"
#include "walship/base/json.h"
#include "walship/base/mem.h"
#include "walship/base/strs.h"
#include "walship/pipe/codec.h"

/* As the record's "type": other types will come, and a reader must not take them for this one. */
#define TYPE_FULL "full"

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
	for (size_t i = 0; i < record->n_parts; i++)
	{
		free(record->parts[i].name);
		free(record->parts[i].set);
	}
	free(record->tablespaces);
	free(record->parts);
	free(record->id);
	free(record->label);
	free(record->note);
	free(record->codec);
	free(record->manifest_name);
	free(record->walship_version);
	free(record);
}

static void
add_lsn(Json *object, const char *name, XLogRecPtr lsn)
{
	char text[LSN_TEXT_SIZE];

	json_add_string(object, name, lsn_format(lsn, text));
}

static void
add_digest(Json *object, const uint8_t digest[SHA256_SIZE])
{
	char text[SHA256_TEXT_SIZE];

	hex_encode(digest, SHA256_SIZE, text);
	json_add_string(object, "stored_sha256", text);
}

static void
add_tablespaces(Json *root, const BackupRecord *record)
{
	Json *list = json_add_array(root, "tablespaces");

	for (size_t i = 0; i < record->n_tablespaces; i++)
	{
		Json *item = json_append_object(list);

		json_add_int(item, "oid", record->tablespaces[i].oid);
		json_add_string(item, "path", record->tablespaces[i].path);
	}
}

static void
add_parts(Json *root, const BackupRecord *record)
{
	Json *list = json_add_array(root, "parts");

	for (size_t i = 0; i < record->n_parts; i++)
	{
		const BackupPart *part = &record->parts[i];
		Json *item = json_append_object(list);

		json_add_string(item, "name", part->name);
		json_add_string(item, "set", part->set);
		json_add_int(item, "raw_size", (int64_t) part->raw_size);
		json_add_int(item, "stored_size", (int64_t) part->stored_size);
		add_digest(item, part->stored_sha256);
	}
}

static void
add_manifest(Json *root, const BackupRecord *record)
{
	Json *manifest = json_add_object(root, "manifest");

	json_add_string(manifest, "name", record->manifest_name);
	json_add_int(manifest, "raw_size", (int64_t) record->manifest_raw_size);
	json_add_int(manifest, "stored_size", (int64_t) record->manifest_stored_size);
	add_digest(manifest, record->manifest_sha256);
	json_add_int(manifest, "files", (int64_t) record->files);
	json_add_int(manifest, "files_size", (int64_t) record->files_size);
}

static void
add_parameters(Json *root, const BackupParameters *parameters)
{
	Json *object = json_add_object(root, "parameters");

	json_add_int(object, "max_connections", parameters->max_connections);
	json_add_int(object, "max_worker_processes", parameters->max_worker_processes);
	json_add_int(object, "max_wal_senders", parameters->max_wal_senders);
	json_add_int(object, "max_prepared_transactions", parameters->max_prepared_transactions);
	json_add_int(object, "max_locks_per_transaction", parameters->max_locks_per_transaction);
}

void
backup_record_print(const BackupRecord *record, Buf *into)
{
	AUTO(Json) root = json_new_object();
	AUTO_FREE char *system = mem_printf("%" PRIu64, record->system_identifier);

	json_add_int(root, "format", BACKUP_RECORD_FORMAT);
	json_add_string(root, "id", record->id);
	json_add_string(root, "type", TYPE_FULL);
	json_add_string(root, "system_id", system); /* a string: JSON readers lose digits above 2^53 */
	json_add_int(root, "server_version", record->server_version);
	json_add_int(root, "segment_size", record->segment_size);
	json_add_int(root, "timeline", record->timeline);
	add_lsn(root, "start_lsn", record->start_lsn);
	add_lsn(root, "stop_lsn", record->stop_lsn);
	json_add_time(root, "start_time", record->start_time);
	json_add_time(root, "stop_time", record->stop_time);
	json_add_string(root, "label", record->label);
	json_add_string(root, "note", record->note);
	json_add_bool(root, "from_standby", record->from_standby);
	json_add_bool(root, "wal_inside", record->wal_inside);
	json_add_bool(root, "page_errors", record->page_errors);
	json_add_bool(root, "data_checksums", record->data_checksums);
	json_add_string(root, "codec", record->codec);
	json_add_words(root, "recipients", record->recipients);
	add_tablespaces(root, record);
	add_parts(root, record);
	add_manifest(root, record);
	add_parameters(root, &record->parameters);
	json_add_int(root, "duration_ms", record->duration_ms);
	json_add_string(root, "walship_version", record->walship_version);
	json_print(root, false, into);
}

static Error *
malformed(const char *name, const char *value)
{
	return error_new(ERR_CORRUPT, "\"%s\" is malformed: \"%s\"", name, value);
}

static Error *
get_copy(const Json *object, const char *name, char **ret_text)
{
	const char *text;

	TRY(json_get_string(object, name, &text));
	*ret_text = mem_strdup(text);
	return NULL;
}

static Error *
get_lsn(const Json *object, const char *name, XLogRecPtr *ret_lsn)
{
	const char *text;

	TRY(json_get_string(object, name, &text));
	return lsn_parse(text, ret_lsn) && *ret_lsn != InvalidXLogRecPtr ? NULL : malformed(name, text);
}

static Error *
get_uint32(const Json *object, const char *name, uint32_t *ret_value)
{
	uint64_t value;

	TRY(json_get_uint(object, name, &value));
	if (value > UINT32_MAX)
		return error_new(ERR_CORRUPT, "\"%s\" is out of range", name);
	*ret_value = (uint32_t) value;
	return NULL;
}

static Error *
get_int32(const Json *object, const char *name, int32_t *ret_value)
{
	uint32_t value = 0;

	TRY(get_uint32(object, name, &value));
	if (value > INT32_MAX)
		return error_new(ERR_CORRUPT, "\"%s\" is out of range", name);
	*ret_value = (int32_t) value;
	return NULL;
}

static Error *
get_digest(const Json *object, uint8_t ret_digest[SHA256_SIZE])
{
	const char *text;

	TRY(json_get_string(object, "stored_sha256", &text));
	if (strlen(text) != SHA256_TEXT_SIZE - 1 || !hex_decode(text, ret_digest, SHA256_SIZE))
		return malformed("stored_sha256", text);
	return NULL;
}

/* It becomes the end of a key, and nothing else. */
static Error *
get_object_name(const Json *object, char **ret_name)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	const char *text;

	TRY(json_get_string(object, "name", &text));
	if (*text == '\0' || *text == '.' || strspn(text, allowed) != strlen(text))
		return malformed("name", text);
	*ret_name = mem_strdup(text);
	return NULL;
}

static size_t
list_length(const Json *list)
{
	size_t length = 0;

	for (const Json *item = json_first(list); item != NULL; item = json_next(item))
		length++;
	return length;
}

static Error *
read_tablespaces(const Json *list, BackupRecord *record)
{
	if (!json_is_array(list))
		return error_new(ERR_CORRUPT, "\"tablespaces\" is missing");
	record->tablespaces = NEW_ARRAY(BackupTablespace, list_length(list) + 1);
	for (const Json *item = json_first(list); item != NULL; item = json_next(item))
	{
		BackupTablespace *tablespace = &record->tablespaces[record->n_tablespaces++];

		TRY(get_uint32(item, "oid", &tablespace->oid));
		TRY(get_copy(item, "path", &tablespace->path));
	}
	return NULL;
}

static Error *
read_parts(const Json *list, BackupRecord *record)
{
	if (!json_is_array(list) || json_first(list) == NULL)
		return error_new(ERR_CORRUPT, "\"parts\" is missing");
	record->parts = NEW_ARRAY(BackupPart, list_length(list));
	for (const Json *item = json_first(list); item != NULL; item = json_next(item))
	{
		BackupPart *part = &record->parts[record->n_parts++];

		TRY(get_object_name(item, &part->name));
		TRY(get_copy(item, "set", &part->set));
		TRY(json_get_uint(item, "raw_size", &part->raw_size));
		TRY(json_get_uint(item, "stored_size", &part->stored_size));
		TRY(get_digest(item, part->stored_sha256));
	}
	return NULL;
}

static Error *
read_manifest(const Json *manifest, BackupRecord *record)
{
	if (!json_is_object(manifest))
		return error_new(ERR_CORRUPT, "\"manifest\" is missing");
	TRY(get_object_name(manifest, &record->manifest_name));
	TRY(json_get_uint(manifest, "raw_size", &record->manifest_raw_size));
	TRY(json_get_uint(manifest, "stored_size", &record->manifest_stored_size));
	TRY(get_digest(manifest, record->manifest_sha256));
	TRY(json_get_uint(manifest, "files", &record->files));
	return json_get_uint(manifest, "files_size", &record->files_size);
}

static Error *
read_parameters(const Json *object, BackupParameters *parameters)
{
	if (!json_is_object(object))
		return error_new(ERR_CORRUPT, "\"parameters\" is missing");
	TRY(get_int32(object, "max_connections", &parameters->max_connections));
	TRY(get_int32(object, "max_worker_processes", &parameters->max_worker_processes));
	TRY(get_int32(object, "max_wal_senders", &parameters->max_wal_senders));
	TRY(get_int32(object, "max_prepared_transactions", &parameters->max_prepared_transactions));
	return get_int32(object, "max_locks_per_transaction", &parameters->max_locks_per_transaction);
}

/* First what says whether the rest can be understood at all. */
static Error *
read_format(const Json *root)
{
	int64_t format;
	const char *type;

	TRY(json_get_int(root, "format", &format));
	if (format != BACKUP_RECORD_FORMAT)
		return error_hint(error_new(ERR_CORRUPT, "format version %" PRId64 " is unknown", format),
		                  "A newer walship wrote it. Update this one.");
	TRY(json_get_string(root, "type", &type));
	return strcmp(type, TYPE_FULL) == 0 ? NULL : malformed("type", type);
}

static Error *
read_identity(const Json *root, BackupRecord *record)
{
	const char *text;

	TRY(get_copy(root, "id", &record->id));
	if (!layout_is_backup_id(record->id))
		return malformed("id", record->id);
	TRY(json_get_string(root, "system_id", &text));
	if (!str_to_uint64(text, &record->system_identifier))
		return malformed("system_id", text);
	TRY(get_int32(root, "server_version", &record->server_version));
	TRY(get_uint32(root, "segment_size", &record->segment_size));
	if (!wal_segment_size_is_valid(record->segment_size))
		return error_new(ERR_CORRUPT, "\"segment_size\" is no size of WAL segments");
	return NULL;
}

static Error *
read_range(const Json *root, BackupRecord *record)
{
	TRY(get_uint32(root, "timeline", &record->timeline));
	TRY(get_lsn(root, "start_lsn", &record->start_lsn));
	TRY(get_lsn(root, "stop_lsn", &record->stop_lsn));
	if (record->timeline == 0 || record->stop_lsn < record->start_lsn)
		return error_new(ERR_CORRUPT, "timeline or positions make no sense");
	TRY(json_get_time(root, "start_time", &record->start_time));
	TRY(json_get_time(root, "stop_time", &record->stop_time));
	if (record->start_time == TIME_NONE || record->stop_time == TIME_NONE)
		return error_new(ERR_CORRUPT, "start or stop time is missing");
	return NULL;
}

static Error *
read_description(const Json *root, BackupRecord *record)
{
	Codec codec;

	TRY(get_copy(root, "label", &record->label));
	if (json_has(root, "note"))
		TRY(get_copy(root, "note", &record->note));
	TRY(json_get_bool(root, "from_standby", &record->from_standby));
	TRY(json_get_bool(root, "wal_inside", &record->wal_inside));
	TRY(json_get_bool(root, "page_errors", &record->page_errors));
	TRY(json_get_bool(root, "data_checksums", &record->data_checksums));
	TRY(get_copy(root, "codec", &record->codec));
	if (!codec_from_name(record->codec, &codec))
		return malformed("codec", record->codec);
	TRY(json_get_words(root, "recipients", record->recipients, sizeof(record->recipients)));
	TRY(json_get_int(root, "duration_ms", &record->duration_ms));
	return get_copy(root, "walship_version", &record->walship_version);
}

static Error *
read_record(const Json *root, BackupRecord *record)
{
	TRY(read_format(root));
	TRY(read_identity(root, record));
	TRY(read_range(root, record));
	TRY(read_description(root, record));
	TRY(read_tablespaces(json_get(root, "tablespaces"), record));
	TRY(read_parts(json_get(root, "parts"), record));
	TRY(read_manifest(json_get(root, "manifest"), record));
	return read_parameters(json_get(root, "parameters"), &record->parameters);
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
