/* The steps of a recovery, each in a file of its own; recover.c has their order. */
#pragma once

#include "walship/recovery/recover.h"
#include "walship/wal/label.h"

/* drop.c */

typedef struct DropFound
{
	char *note;            /* a sentence about it; NULL: none was looked for; the caller's to free */
	XLogRecPtr locked_lsn; /* as in DroppedObjects */
	StrList warnings; /* where the search could not look: there may be other drops; the caller's to release */
} DropFound;

/*
 * Looks for recovery->drop, on the way to the request's timeline if that is set,
 * and makes the place just before it the target; without a timeline that is the
 * drop's own.  ERR_NOT_FOUND when there is none, or when there are several.
 */
Error *drop_find(Recovery *recovery, WalFacts *facts, DropFound *ret_found) MUST_CHECK;

/* Says in the plan what was found, and whether it will be locked where the plan ends. */
void drop_explain(const DropFound *found, RecoveryPlan *plan);

/* created.c: tablespaces that are made in the WAL which will be replayed */

/* Sets recovery->created, for the plan; ERR_CORRUPT when one has no sane path. */
Error *created_find(Recovery *recovery, WalFacts *facts) MUST_CHECK;

/* Once the places of the backup's tablespaces are known: those of the others. */
void created_place(Recovery *recovery);
bool created_has_path(const Recovery *recovery, const char *path);

/* Adds where they go in a copy: from each path to its place, and what else was mapped, for it may come yet. */
void created_mappings(const Recovery *recovery, TablespaceMappings *mappings);

/*
 * The backup's own WAL, restored into pg_wal, which no fetch will hand out: what
 * it creates goes where the plan says, of a copy elsewhere in any case.
 */
Error *created_prepare_own_wal(const Recovery *recovery) MUST_CHECK;

/* space.c */

/* Sets recovery->spaces. */
Error *space_look(Recovery *recovery) MUST_CHECK;
Error *space_check(const Recovery *recovery) MUST_CHECK; /* ERR_SYSTEM when there is too little */

/*
 * directories.c: nothing is overwritten, and what an interrupted run left behind
 * is known by its marker and cleared.
 */

/* Would prepare() refuse?  Touches nothing. */
Error *directories_check(const Recovery *recovery) MUST_CHECK;

/* Moves aside, clears leftovers of an interrupted run, makes the directories (0700) and the marker, and keeps a lock. */
Error *directories_prepare(Recovery *recovery) MUST_CHECK;

/* After a failure: everything as it was before, so far as that is possible. */
Error *directories_undo(Recovery *recovery) MUST_CHECK;

/* After restore_complete(): the marker means nothing any more and is removed. */
void directories_finish(const Recovery *recovery);

void directories_unlock(Recovery *recovery);

/* Those of the path's directories that are not there, parents first. */
void directories_list_missing(const char *path, StrList *missing);

/* others.c */

/* ERR_USAGE where a directory lies in the store, holds it, or lies in another data directory. */
Error *others_check(const Recovery *recovery) MUST_CHECK;

/* access.c */

/* ERR_DENIED where a directory cannot be made or written, ERR_SYSTEM where one cannot be moved aside. */
Error *access_check(const Recovery *recovery) MUST_CHECK;

/* settings_file.c: what makes the server recover as planned */

/* Which backup was restored into pgdata by other means?  By its backup_label; ERR_NOT_FOUND when it is none of the catalog's. */
Error *settings_file_find_backup(Recovery *recovery) MUST_CHECK;

Error *settings_file_read_label(const char *pgdata, BackupLabel *ret_label) MUST_CHECK;

/* Sets recovery->settings; ERR_USAGE when one is too long. */
Error *settings_file_print(Recovery *recovery) MUST_CHECK;

/* What a settings file of that directory says; NULL when it is not there, or says nothing of it.  The caller frees. */
Error *settings_file_find(const char *pgdata, const char *file, const char *name, char **ret_value)
	MUST_CHECK;

/*
 * Once the directory is restored: a server that goes live and whose own settings
 * there name an archive_library keeps its archive settings; see recovery->archive_library.
 */
Error *settings_file_keep_library(Recovery *recovery) MUST_CHECK;

/* tablespace_map, postgresql.auto.conf and, as the last one, the signal file. */
Error *settings_file_write(const Recovery *recovery) MUST_CHECK;

/* standby_end.c */

/* Once the directory is restored: sets plan->end_record and prints the settings anew, where that is wanted. */
Error *standby_end_find(Recovery *recovery) MUST_CHECK;

/* restored_conf.c */

/* Sets recovery->start_warnings and start_options by the postgresql.conf that was restored, if there is one. */
Error *restored_conf_look(Recovery *recovery) MUST_CHECK;
/* postgresql.auto.conf alone: of a copy that is on its way, and goes on to another target. */
Error *settings_file_write_forward(const Recovery *recovery) MUST_CHECK;

/* other_primary.c */

/*
 * Has WAL arrived since the catalog was read?  Then a server is alive that
 * archives here, and one that goes live beside it would be a second: ERR_EXISTS.
 */
Error *other_primary_check(const Recovery *recovery) MUST_CHECK;

/* wal_directory.c: recovery->waldir */

/* Once the tablespaces have their places; ERR_USAGE when it lies in the data directory or is one of theirs. */
Error *wal_directory_add(Recovery *recovery) MUST_CHECK;
Error *wal_directory_check(const Recovery *recovery) MUST_CHECK;
Error *wal_directory_link(const Recovery *recovery) MUST_CHECK;

/* Removes what a server has left in that of its data directory, if it is a link. */
Error *wal_directory_clear(const char *pgdata) MUST_CHECK;

/* Textually: links are the administrator's own affair. */
bool path_is_below(const char *path, const char *directory);
