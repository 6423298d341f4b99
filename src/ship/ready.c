/* What waits for the archiver; see walship/archive/ready.h. */
#include "walship/ship/ready.h"

#include <string.h>

#include "walship/base/file.h"
#include "walship/base/mem.h"

#define READY_SUFFIX ".ready"

void
ready_files_release(ReadyFiles *files)
{
	strlist_release(&files->follows);
}

/* False for what the archiver leaves alone, too. */
static bool
is_ready(const char *status, WalName *ret_name, char text[WAL_NAME_SIZE])
{
	size_t length = strlen(status);
	AUTO(Error) error = NULL;

	if (!str_ends_with(status, READY_SUFFIX) || length - strlen(READY_SUFFIX) >= WAL_NAME_SIZE)
		return false;
	length -= strlen(READY_SUFFIX);
	memcpy(text, status, length);
	text[length] = '\0';
	error = wal_name_parse(text, ret_name);
	return error == NULL;
}

void
ready_files_choose(const StrList *statuses, const WalName *segment, size_t most, ReadyFiles *ret_files)
{
	char first[WAL_NAME_SIZE];
	bool history_waits = false;

	*ret_files = (ReadyFiles){0};
	(void) wal_name_format(segment, first);
	for (size_t i = 0; i < statuses->count; i++)
	{
		char text[WAL_NAME_SIZE];
		WalName name;

		if (!is_ready(statuses->items[i], &name, text))
			continue;
		ret_files->waiting++;
		history_waits |= name.kind == WAL_HISTORY;
		if (name.kind == WAL_SEGMENT && name.timeline == segment->timeline && strcmp(text, first) > 0 &&
		    ret_files->follows.count < most)
			strlist_add(&ret_files->follows, text);
	}
	if (history_waits)
		strlist_release(&ret_files->follows);
}

Error *
ready_files_list(const char *wal_directory, const WalName *segment, size_t most, ReadyFiles *ret_files)
{
	AUTO_FREE char *directory = path_join(wal_directory, "archive_status");
	AUTO_STRLIST statuses = {0};

	TRY(dir_list_ending(directory, READY_SUFFIX, &statuses));
	strlist_sort(&statuses);
	ready_files_choose(&statuses, segment, most, ret_files);
	return NULL;
}
