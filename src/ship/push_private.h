/* What a push of one segment and a push of many share. */
#pragma once

#include "walship/archive/history_file.h"
#include "walship/base/strs.h"
#include "walship/ship/push.h"

/*
 * The segment of "options" and those that wait behind it, "follows", side by side.
 * "hurry": with the level of a backlog, as long as that is the faster way.
 */
Error *push_batch(const PushOptions *options, const char *wal_directory, const HistoryFiles *histories,
                  const StrList *follows, bool hurry) MUST_CHECK;

/* Changes a segment's name to that of a partial when its WAL ends where its timeline was left. */
Error *push_choose_name(const PushOptions *options, const WalArchive *archive, const HistoryFiles *histories,
                        const char *path, WalName *name) MUST_CHECK;

/* Where the time of a segment went, and what it was compressed with: why a backlog is as fast as it is. */
void push_tell_rate(const PushOptions *options, const char *path, const Compression *compression,
                    int64_t making_ms, int64_t sending_ms);

/* What the log should know of a file that is stored. */
void push_tell(const PushOptions *options, const char *path, const WalIndex *index, PutResult result);
