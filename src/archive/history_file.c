/* Timeline history files; see walship/archive/history_file.h. */
#include "walship/archive/history_file.h"

#include <inttypes.h>
#include <string.h>

#include "walship/archive/layout.h"
#include "walship/archive/read_again.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/base/strs.h"
#include "walship/pipe/stages.h"

/* A line for each timeline: far more than any server has gone through. */
#define HISTORY_FILE_MAX (1024 * 1024)
#define DIGEST_FILE_MAX  256 /* it has 83 bytes */

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

/* Of a history file as sha256sum prints it. */
static char *
digest_line(TimeLineID timeline, const Buf *text)
{
	WalName name = {.kind = WAL_HISTORY, .timeline = timeline};
	uint8_t sha256[SHA256_SIZE];
	char hex[SHA256_TEXT_SIZE];
	char leaf[WAL_NAME_SIZE];

	sha256_of(text->data, text->size, sha256);
	hex_encode(sha256, sizeof(sha256), hex);
	return mem_printf("%s  %s\n", hex, wal_name_format(&name, leaf));
}

static Error *
get_text(Store *store, const char *key, size_t most, Buf *text)
{
	AUTO(Sink) sink = NULL;

	buf_init(text, most);
	sink = buf_sink_new(text);
	return error_context(store_get(store, key, 0, STORE_TO_END, sink),
	                     "could not read \"%s\" from store \"%s\"", key, store_url(store));
}

/* False in *ret_digest: it has none, as in stores of older versions. */
static Error *
check_digest(Store *store, uint64_t system_identifier, TimeLineID timeline, const Buf *text, bool *ret_digest)
{
	AUTO_FREE char *key = layout_history_digest_key(system_identifier, timeline);
	AUTO_FREE char *line = digest_line(timeline, text);
	AUTO_BUF(stored, 0);
	Error *error = get_text(store, key, DIGEST_FILE_MAX, &stored);

	*ret_digest = error == NULL;
	if (error_is(error, ERR_NOT_FOUND))
	{
		error_free(error);
		return NULL;
	}
	TRY(error);
	if (stored.size == strlen(line) && memcmp(stored.data, line, stored.size) == 0)
		return NULL;
	return error_hint(
		error_new(ERR_CORRUPT, "history file of timeline %" PRIu32 " in store \"%s\" does not match \"%s\"",
	              timeline, store_url(store), key),
		"One of the two was damaged or changed in the store. If a server has %08" PRIX32
		".history in its pg_wal, remove the damaged one from the store and push that file again.",
		timeline);
}

static Error *
get_once(Store *store, uint64_t system_identifier, TimeLineID timeline, Buf *text,
         TimelineHistory **ret_history, bool *ret_digest)
{
	WalName name = {.kind = WAL_HISTORY, .timeline = timeline};
	AUTO_FREE char *key = layout_wal_key(system_identifier, &name, NULL);

	TRY(get_text(store, key, HISTORY_FILE_MAX, text));
	TRY(check_digest(store, system_identifier, timeline, text, ret_digest));
	return timeline_history_parse(timeline, text->data, text->size, key, ret_history);
}

Error *
history_text_get(Store *store, uint64_t system_identifier, TimeLineID timeline, Buf *text,
                 TimelineHistory **ret_history, bool *ret_digest)
{
	WalName name = {.kind = WAL_HISTORY, .timeline = timeline};
	AUTO_FREE char *key = layout_wal_key(system_identifier, &name, NULL);
	AUTO_FREE char *digest_key = layout_history_digest_key(system_identifier, timeline);
	Error *error;
	int reads = 0;

	for (;;)
	{
		buf_release(text);
		error = get_once(store, system_identifier, timeline, text, ret_history, ret_digest);
		if (!read_again(store, key, &error, &reads))
			return error;

		/* Which of the two is the damaged one, nobody knows. */
		(void) store_distrust(store, digest_key);
	}
}

Error *
history_file_get(Store *store, uint64_t system_identifier, TimeLineID timeline, TimelineHistory **ret_history)
{
	AUTO_BUF(text, 0);
	bool has_digest;

	return history_text_get(store, system_identifier, timeline, &text, ret_history, &has_digest);
}

Error *
history_digest_put(Store *store, uint64_t system_identifier, TimeLineID timeline, const Buf *text)
{
	AUTO_FREE char *key = layout_history_digest_key(system_identifier, timeline);
	AUTO_FREE char *line = digest_line(timeline, text);
	AUTO_BUF(stored, 0);
	Slice slice = slice_of_memory(line, strlen(line));
	Error *error = store_put(store, key, &slice, 1, PUT_IF_ABSENT);

	if (!error_is(error, ERR_EXISTS))
		return error;
	error_free(error);
	TRY(get_text(store, key, DIGEST_FILE_MAX, &stored));
	if (stored.size == strlen(line) && memcmp(stored.data, line, stored.size) == 0)
		return NULL;
	return error_hint(
		error_new(ERR_CORRUPT, "object \"%s\" in store \"%s\" is not the digest of \"%08" PRIX32 ".history\"",
	              key, store_url(store), timeline),
		"One of the two was damaged or changed in the store. Nothing was overwritten. Compare both with "
		"pg_wal, and remove the digest if it is wrong.");
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
