/* Which backups there are, and their records: for the catalog, and for whoever looks at one of them. */
#include "walship/archive/catalog.h"
#include "walship/archive/layout.h"
#include "walship/archive/read_again.h"
#include "walship/archive/record_list.h"
#include "walship/archive/self_sha256.h"
#include "walship/base/mem.h"
#include "walship/pipe/stages.h"

Error *
catalog_backup_ids(Store *store, uint64_t system_identifier, StrList *ret_ids)
{
	AUTO_FREE char *prefix = layout_base_prefix(system_identifier);

	return record_list_ids(store, prefix, ret_ids);
}

static Error *
parse_record(const Buf *text, uint64_t system_identifier, const char *id, BackupRecord **ret_record)
{
	AUTO(BackupRecord) record = NULL;

	TRY(self_sha256_check(text->data == NULL ? "" : text->data, text->size, "backup.json"));
	TRY(backup_record_parse(text->data, text->size, "backup.json", &record));
	if (!str_equal(record->id, id))
		return error_new(ERR_CORRUPT, "record is of backup \"%s\"", record->id);
	if (record->system_identifier != system_identifier)
		return error_new(ERR_CORRUPT, "record is of another database system");
	if (!wal_segment_size_is_valid(record->segment_size))
		return error_new(ERR_CORRUPT, "record has an invalid segment size");
	*ret_record = MOVE(record);
	return NULL;
}

Error *
catalog_read_record(Store *store, uint64_t system_identifier, const char *id, BackupRecord **ret_record)
{
	AUTO_FREE char *key = layout_backup_record_key(system_identifier, id);
	AUTO_BUF(text, BACKUP_RECORD_MAX);
	Error *error;
	int reads = 0;

	do
	{
		AUTO(Sink) sink = buf_sink_new(&text);

		buf_clear(&text);
		error = store_get(store, key, 0, STORE_TO_END, sink);
		if (error == NULL)
			error = parse_record(&text, system_identifier, id, ret_record);
	} while (read_again(store, key, &error, &reads));
	return error;
}
