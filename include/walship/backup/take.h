/*
 * Takes a base backup of a live server into the store: parts, WAL, manifest,
 * and at last the record that makes it a backup (docs/format.md).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "walship/age/age.h"
#include "walship/archive/backup_record.h"
#include "walship/base/error.h"
#include "walship/base/notice.h"
#include "walship/pipe/codec.h"
#include "walship/store/store.h"

typedef enum BackupPhase
{
	BACKUP_CHECKPOINT, /* waiting for the server's checkpoint */
	BACKUP_COPY,       /* data is coming in */
	BACKUP_WAL,        /* waiting for the last of the WAL */
} BackupPhase;

typedef struct BackupOptions
{
	Store *store;
	Compression compression;
	const AgeRecipients *recipients; /* NULL: nothing is encrypted */
	uint64_t part_size;              /* raw bytes after which a new part begins */
	const char
		*spool_directory; /* for a list of the files, when there are many; NULL: the backup has no map */
	uint64_t system_identifier; /* that the server must have; 0: any */
	const char *conninfo;       /* see server_connect(); NULL: the environment says */
	bool new_system;            /* the store may hold other database systems, and not this one */
	const char *label;          /* NULL: "walship <id>" */
	const char *note;           /* may be NULL */
	bool fast_checkpoint;
	uint32_t max_rate_kb; /* per second; 0: no limit */
	const char *walship_version;

	Notices notices;

	/* Called in the caller's thread, at least once a second; "total" is the server's estimate, 0 when unknown. */
	void (*progress)(void *context, BackupPhase phase, uint64_t done, uint64_t total);
	void *context;
} BackupOptions;

/*
 * On failure nothing is left in the store, as far as it can be removed; what
 * could not is told, like everything else that the user should know about a
 * backup that succeeded: WAL that is not inside, what the server warned of.
 */
Error *backup_take(const BackupOptions *options, BackupRecord **ret_record) MUST_CHECK;
