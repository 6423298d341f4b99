/* One segment or partial; see push_segment.h. */
#include "push_segment.h"

#include "walship/archive/lineage.h"
#include "walship/base/log.h"

static void
warn_of_damage(const char *path, const WalIndex *index)
{
	char text[LSN_TEXT_SIZE];

	if (index->walked && index->walk.damaged_at != InvalidXLogRecPtr)
		log_line(LOG_WARNING,
		         "Recovery cannot go beyond it. Look for disk or memory faults and take a new base backup.",
		         "\"%s\" holds a damaged WAL record at %s; it was archived as it is", path,
		         lsn_format(index->walk.damaged_at, text));
}

static Error *
put(const WalArchive *archive, const char *path, const WalName *name, PushReady ready, void *context,
    WalIndex *ret_index)
{
	AUTO(Spool) spool = spool_new(archive->spool_directory);
	PutResult result;

	TRY(wal_object_encode(archive, path, name, spool, ret_index));
	if (ready != NULL)
		TRY(ready(context, ret_index));
	TRY(wal_object_store(archive, path, name, spool, ret_index, &result));
	if (result == PUT_WAS_THERE)
		log_debug("\"%s\" is in the store already, with the same contents", path);
	return NULL;
}

Error *
push_segment(const WalArchive *archive, const HistoryFiles *histories, const char *path, WalName name,
             PushReady ready, void *context, WalIndex *ret_index)
{
	bool stub = false;

	if (name.kind == WAL_SEGMENT)
		TRY(error_context(lineage_is_stub(archive, histories, path, &name, &stub), "could not archive \"%s\"",
		                  path));
	if (stub)
	{
		name.kind = WAL_PARTIAL;
		log_info("\"%s\" ends where its timeline was left and is stored as a partial segment", path);
	}
	TRY(put(archive, path, &name, ready, context, ret_index));
	warn_of_damage(path, ret_index);
	return NULL;
}
