/*
 * Brings a base backup back into directories: parts in parallel, every file
 * checked against the manifest while it is written.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "walship/age/age.h"
#include "walship/archive/backup_record.h"
#include "walship/store/store.h"

/*
 * The server refuses to start without global/pg_control: under this name it
 * waits until everything else is in place, and restore_complete() renames it.
 */
#define RESTORE_CONTROL_WAITING "global/pg_control.walship-restore"

/* Where a tablespace goes; "path" is not owned, and NULL in a restore into nothing. */
typedef struct RestoreTablespace
{
	uint32_t oid;
	bool in_place; /* a directory below pg_tblspc, not a link there */
	const char *path;
} RestoreTablespace;

typedef struct RestoreOptions
{
	Store *store;
	const BackupRecord *record;
	const AgeIdentities *identities;      /* what can be decrypted; may be NULL */
	const char *pgdata;                   /* exists and is empty, or nearly so; NULL: into nothing */
	const RestoreTablespace *tablespaces; /* one for each in the record */
	size_t n_tablespaces;
	bool with_wal;                                   /* also the backup's own WAL, into pg_wal */
	int jobs;                                        /* parts at a time */
	void (*on_bytes)(void *context, uint64_t bytes); /* of files; from several threads; may be NULL */
	void *on_bytes_context;

	/*
	 * Into nothing alone.  "on_fault": what is wrong with one object ends nothing, but is told, from several
	 * threads: its name within the backup; NULL: no single one's.  Without a whole manifest no part is read.
	 * "wanted": parts for which it is false are not read, and nobody asks whether all files are there.  Both may
	 * be NULL.
	 */
	void (*on_fault)(void *context, const char *name, const Error *error);
	bool (*wanted)(void *context, const char *name);
	void *context;
} RestoreOptions;

/*
 * ERR_DENIED, naming the fingerprints, when the backup is encrypted and no key at hand opens it; ERR_UNTRUSTED when
 * it is not, and this host must not believe that (walship/archive/readable.h).
 */
Error *restore_check_keys(Store *store, const BackupRecord *record, const AgeIdentities *identities)
	MUST_CHECK;

/*
 * Everything but the last rename of pg_control, durably.  On error the
 * directories hold an unusable part.  Into nothing: every object is read and
 * every file checked as otherwise, but none is written.
 */
Error *restore_backup(const RestoreOptions *options) MUST_CHECK;

/* Makes the directory startable: the last step of all. */
Error *restore_complete(const char *pgdata) MUST_CHECK;
