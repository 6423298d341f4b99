/*
 * Bringing one WAL file back, as a recovering server asks for them, one after the
 * other: out of what was fetched ahead, else from the store.
 *
 * In archive recovery the server takes "not there" for the end of the archive and
 * goes live.  So ERR_NOT_FOUND is certain there, and every other error means that
 * nothing is known (PostgreSQL: xlogarchive.c, RestoreArchivedFile).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "walship/age/age.h"
#include "walship/base/notice.h"
#include "walship/ship/store_opener.h"
#include "walship/ship/tablespaces.h"
#include "walship/wal/name.h"

typedef enum FetchMode
{
	FETCH_BY_HAND,  /* also pg_rewind: one attempt */
	FETCH_STANDBY,  /* the server asks again by itself, and its promotion waits: one attempt of 5 s */
	FETCH_RECOVERY, /* "absent" ends the recovery: tried again until the deadline */
} FetchMode;

/* By the signal files.  "data_directory" may be NULL: then the working directory counts. */
FetchMode fetch_mode_of(const char *data_directory);

/* From where a server gets its WAL, and how much of it ahead. */
typedef struct FetchSource
{
	const char *data_directory; /* absolute; NULL: there is none, and nothing is fetched ahead */
	uint64_t system_identifier;
	StoreOpener opener;
	const char *store;               /* what tells this store from every other */
	const AgeIdentities *identities; /* what can be decrypted; NULL: nothing */
	const char *state_dir;
	int ahead; /* segments that are fetched ahead, at most; 0: none */
	int jobs;  /* segments at a time */
} FetchSource;

typedef struct FetchOptions
{
	FetchSource source;
	WalName name;
	const char *dest;
	bool bounded;
	WalName plan_end; /* when bounded: the last segment that the recovery needs */
	FetchMode mode;
	TablespaceRules tablespaces; /* for a segment of data_directory's server */
	int64_t start_ms;            /* of clock_monotonic_ms() */
	int64_t deadline_ms;

	/* The command line by which this very program calls prefetch_run(), ended by NULL; its first word is for ps. */
	char *const *prefetcher_argv;
	Notices notices;
} FetchOptions;

/*
 * Is there anything to fetch?  A segment after the plan's end is ERR_NOT_FOUND
 * without asking the store: the server reads ahead of a target that is already
 * reachable, and a failure there must not spoil it.
 */
Error *fetch_check_name(const FetchOptions *options) MUST_CHECK;

Error *fetch(const FetchOptions *options) MUST_CHECK;
