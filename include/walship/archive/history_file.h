/*
 * Timeline history files where they lie: in a server's pg_wal, and in the store
 * (walship/wal/history.h says what is in them).
 */
#pragma once

#include "walship/archive/wal_object.h"
#include "walship/base/error.h"
#include "walship/store/store.h"
#include "walship/wal/history.h"

/* ERR_NOT_FOUND when it is not there; ERR_CORRUPT when it is none, or longer than any. */
Error *history_file_read(const char *wal_directory, TimeLineID timeline, TimelineHistory **ret_history)
	MUST_CHECK;
Error *history_file_get(Store *store, uint64_t system_identifier, TimeLineID timeline,
                        TimelineHistory **ret_history) MUST_CHECK;

/*
 * The same with its text, word for word.  ERR_CORRUPT: it is no history file, or not
 * the one of the digest beside it.  *ret_digest: there is one; in stores of older
 * versions there is not, and then history_check_wal() may tell.
 */
Error *history_text_get(Store *store, uint64_t system_identifier, TimeLineID timeline, Buf *text,
                        TimelineHistory **ret_history, bool *ret_digest) MUST_CHECK;

/*
 * Does the WAL in the store say the same as a history file that has no digest?  The
 * record that begins its timeline lies where the file says, and names the timeline
 * that was left; no WAL of the timeline lies below; up to the switch its first segment
 * is that of the timeline that was left, whose history file tells the same way to it.
 * ERR_CORRUPT when not.  What cannot be told (a segment was removed, or there is no
 * key for it) is no error.  Reads two segments.
 */
Error *history_check_wal(const WalArchive *archive, const TimelineHistory *history, uint32_t segment_size)
	MUST_CHECK;

/*
 * Stores the digest of a history file that is in the store.  It comes after the
 * file: before it, a server that dies in between would leave a digest that keeps
 * another one, promoted to the same timeline, from storing its own file for ever.
 * ERR_CORRUPT when another digest is there.
 */
Error *history_digest_put(Store *store, uint64_t system_identifier, TimeLineID timeline, const Buf *text)
	MUST_CHECK;

/* Those of a pg_wal, in no order.  One that cannot be read or understood says nothing and is left out. */
typedef struct HistoryFiles
{
	TimelineHistory **items; /* owned */
	size_t count;
	size_t capacity;
} HistoryFiles;

Error *history_files_read(const char *wal_directory, HistoryFiles *ret_files) MUST_CHECK;
void history_files_release(HistoryFiles *files);

#define AUTO_HISTORY_FILES __attribute__((cleanup(history_files_release))) HistoryFiles
