/* What each file of a push needs: patience, the name under which it is stored, and what the log should know of it. */
#include <inttypes.h>
#include <unistd.h>

#include "push_private.h"
#include "walship/archive/lineage.h"
#include "walship/archive/timeline_note.h"
#include "walship/base/mem.h"
#include "walship/pg/pgdata.h"
#include "walship/wal/majors.h"

/* A day. */
#define TELL_FOREIGN_EVERY_MS (INT64_C(24) * 3600 * 1000)

static bool
server_is_going(const void *context)
{
	const PushOptions *options = context;

	return getppid() != options->called_by ||
	       (options->data_directory != NULL && postmaster_is_stopping(options->data_directory));
}

Patience
push_patience(const PushOptions *options)
{
	return (Patience){
		.retry_until_ms = options->deadline_ms, .in_a_hurry = server_is_going, .hurry_context = options};
}

Error *
push_choose_name(const PushOptions *options, const WalArchive *archive, const HistoryFiles *histories,
                 const char *path, WalName *name)
{
	bool stub;

	TRY(error_context(lineage_is_stub(archive, histories, path, name, &stub), "could not archive \"%s\"",
	                  path));
	if (stub)
	{
		name->kind = WAL_PARTIAL;
		notice(&options->notices, LOG_INFO, NULL,
		       "\"%s\" ends where its timeline was left and is stored as a partial segment", path);
	}
	return NULL;
}

/* Once a day and not with every segment: a log that repeats itself is not read. */
static void
tell_foreign(const PushOptions *options, const char *path)
{
	AUTO_STATE_NOTE note =
		timeline_note(options->state_dir, "foreign", &options->archive, options->name.timeline);
	AUTO_BUF(nothing, STATE_NOTE_SIZE_MAX);
	AUTO_FREE char *hint = NULL;
	AUTO(Error) unnoted = NULL;

	note.valid_ms = TELL_FOREIGN_EVERY_MS;
	if (state_note_read(&note, &nothing))
		return;
	hint = mem_printf(
		"A recovery can replay it, to its end, an LSN, a time or a name; \"find\" and --before-drop find nothing in "
		"it. Use a newer walship: this one knows PostgreSQL %d to %d.",
		pg_major_oldest()->major, pg_major_newest()->major);
	notice(
		&options->notices, LOG_WARNING, hint,
		"\"%s\" is WAL of a PostgreSQL that this walship does not know; it was archived without being read",
		path);
	unnoted = state_note_write(&note, "");
	notice_of_error(&options->notices, LOG_DEBUG, unnoted);
}

void
push_tell(const PushOptions *options, const char *path, const WalIndex *index, PutResult result)
{
	char text[LSN_TEXT_SIZE];

	if (result == PUT_WAS_THERE)
		notice(&options->notices, LOG_DEBUG, NULL, "\"%s\" is in the store already, with the same contents",
		       path);

	/* What is stored along with the one that was asked for may be told by several threads at once. */
	if (wal_index_is_foreign(index) && path == options->path)
		tell_foreign(options, path);
	if (index->walk.damaged_at != InvalidXLogRecPtr)
		notice(&options->notices, LOG_WARNING,
		       "Recovery cannot go beyond it. Look for disk or memory faults and take a new base backup.",
		       "\"%s\" holds a damaged WAL record at %s; it was archived as it is", path,
		       lsn_format(index->walk.damaged_at, text));
}

void
push_tell_rate(const PushOptions *options, const char *path, const Compression *compression,
               int64_t making_ms, int64_t sending_ms)
{
	notice(&options->notices, LOG_DEBUG, NULL,
	       "\"%s\" was compressed with %s, level %d, in %" PRId64 " ms and stored in %" PRId64 " ms", path,
	       codec_name(compression->codec), compression->level, making_ms, sending_ms);
}
