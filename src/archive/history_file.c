/* Timeline history files; see walship/archive/history_file.h. */
#include "walship/archive/history_file.h"

#include "walship/archive/layout.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/pipe/stages.h"

/* A line for each timeline: far more than any server has gone through. */
#define HISTORY_FILE_MAX (1024 * 1024)

Error *
history_file_read(const char *wal_directory, TimeLineID timeline, TimelineHistory **ret_history)
{
	WalName name = {.kind = WAL_HISTORY, .timeline = timeline};
	char leaf[WAL_NAME_SIZE];
	AUTO_FREE char *path = path_join(wal_directory, wal_name_format(&name, leaf));
	AUTO_BUF(text, HISTORY_FILE_MAX);

	TRY(file_read_all(path, &text));
	return timeline_history_parse(timeline, text.data, text.size, path, ret_history);
}

Error *
history_file_get(Store *store, uint64_t system_identifier, TimeLineID timeline, TimelineHistory **ret_history)
{
	WalName name = {.kind = WAL_HISTORY, .timeline = timeline};
	AUTO_FREE char *key = layout_wal_key(system_identifier, &name, NULL);
	AUTO_BUF(text, HISTORY_FILE_MAX);
	AUTO(Sink) sink = buf_sink_new(&text);

	TRY(store_get(store, key, 0, STORE_TO_END, sink));
	return timeline_history_parse(timeline, text.data, text.size, key, ret_history);
}

Error *
history_files_read(const char *wal_directory, HistoryFiles *ret_files)
{
	AUTO_STRLIST names = {0};

	TRY(dir_list_ending(wal_directory, ".history", &names));
	for (size_t i = 0; i < names.count; i++)
	{
		AUTO(Error) error = NULL;
		TimelineHistory *history;
		WalName name;

		error = wal_name_parse(names.items[i], &name);
		if (error == NULL)
			error = history_file_read(wal_directory, name.timeline, &history);
		if (error != NULL)
			continue;
		GROW(ret_files->items, ret_files->count, ret_files->capacity);
		ret_files->items[ret_files->count++] = history;
	}
	return NULL;
}

void
history_files_release(HistoryFiles *files)
{
	for (size_t i = 0; i < files->count; i++)
		timeline_history_free(files->items[i]);
	free(files->items);
	*files = (HistoryFiles){0};
}
