/* backup_label, and the small files and names beside it. */
#include <string.h>

#include "fuzz.h"
#include "walship/base/mem.h"
#include "walship/wal/control.h"
#include "walship/wal/label.h"
#include "walship/wal/majors.h"
#include "walship/wal/name.h"
#include "walship/wal/page.h"

static void
try_label(const uint8_t *data, size_t size)
{
	BackupLabel label;
	AUTO(Error) error = backup_label_parse((const char *) data, size, &label);

	if (error == NULL)
		must(memchr(label.label, '\0', sizeof label.label) != NULL && label.timeline != 0);
}

static void
try_name(const uint8_t *data, size_t size)
{
	AUTO_FREE char *text = mem_strndup((const char *) data, size);
	char again[WAL_NAME_SIZE];
	WalName name;
	XLogRecPtr lsn;
	AUTO(Error) error = wal_name_parse(text, &name);

	if (error == NULL)
		must(strcmp(wal_name_format(&name, again), text) == 0);
	(void) lsn_parse(text, &lsn);
}

static void
try_binary(const uint8_t *data, size_t size)
{
	WalPageHeader header;
	PgControl control;
	AUTO(Error) no_header = wal_page_header_parse(data, size, &header);
	AUTO(Error) no_control = pg_control_parse(data, size, &control);

	if (no_control == NULL)
		must(control.major == 0 ? control.segment_size == 0 : pg_major(control.major) != NULL);
	if (no_header == NULL)
		must(wal_segment_size_is_valid(header.segment_size));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_label(data, size);
	if (size > 0)
		try_name(data, size);
	try_binary(data, size);
	return 0;
}
