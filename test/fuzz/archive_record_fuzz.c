/* backup.json: what can be read is printed, and reads back as the same. */
#include <string.h>

#include "fuzz.h"
#include "walship/archive/backup_record.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(BackupRecord) record = NULL;
	AUTO(BackupRecord) again = NULL;
	AUTO_BUF(text, BACKUP_RECORD_MAX);
	AUTO_BUF(same, BACKUP_RECORD_MAX);
	AUTO(Error) error = backup_record_parse((const char *) data, size, "the record", &record);

	must(error == NULL || error_is(error, ERR_CORRUPT));
	if (error != NULL)
		return 0;
	backup_record_print(record, &text);
	must(backup_record_parse(text.data, text.size, "the record", &again) == NULL);
	backup_record_print(again, &same);
	must(text.size == same.size && memcmp(text.data, same.data, text.size) == 0);
	return 0;
}
