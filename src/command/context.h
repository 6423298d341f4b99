/* From settings to the values that the folders below take: the only wiring there is. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "command.h"
#include "walship/archive/wal_object.h"
#include "walship/base/error.h"
#include "walship/base/patience.h"
#include "walship/config/settings.h"
#include "walship/pipe/codec.h"
#include "walship/ship/fetch.h"
#include "walship/ship/store_opener.h"
#include "walship/store/store.h"

/* The store of the setting "store", which must be set; it is patient, as for a backup.  The settings outlive it. */
Error *context_open_store(const Settings *settings, Store **ret_store) MUST_CHECK;

/*
 * Likewise, for commands that someone waits for, who say how long.  What the
 * patience leaves open of a single attempt (connect_ms, stall_ms) is as the
 * settings have it.
 */
Error *context_open_store_within(const Settings *settings, const Patience *patience, Store **ret_store)
	MUST_CHECK;

/* The same, for who asks for its certificate, too: store_access(). */
Error *context_open_store_to_look_at(const Settings *settings, const Patience *patience, Store **ret_store)
	MUST_CHECK;

/* The same, and behind it the store of the setting "second_store", where one is set: for reading backups and WAL. */
Error *context_open_stores(const Settings *settings, Store **ret_store) MUST_CHECK;

/* Settings of the second store; NULL: none is set, or it is the first one itself.  The caller frees. */
Error *context_second_settings(const Settings *settings, Settings **ret_settings) MUST_CHECK;

/* Also by another name of its directory: what is copied there is no second copy. */
bool context_is_same_store(const Store *ours, const Store *theirs);

/* Of the setting "second_store", and what --without-second-store makes of it. */
#define NO_SECOND_STORE "none"

/* Both, for a folder below that opens them when it needs them. */
StoreOpener context_store_opener(const Settings *settings);

/* Makes the directory and its marker.  A bucket is made at the provider, and needs none: it cannot be unmounted. */
Error *context_create_store(const Settings *settings) MUST_CHECK;

/* Codec and level, without a pool; a level that the codec does not have is ERR_USAGE. */
Error *context_compression(const Settings *settings, CompressFor purpose, Compression *ret_compression)
	MUST_CHECK;

/*
 * Setting "system" or, when that is not set, the data directory's pg_control.
 * "data_directory" may be NULL.  When both are there they must agree.
 */
Error *context_system(const Settings *settings, const char *data_directory, uint64_t *ret_system) MUST_CHECK;

/* Setting "pgdata", else the working directory or $PGDATA, as pgdata_of(); NULL: none.  The caller frees. */
char *context_pgdata(const Settings *settings);

/*
 * For commands that read the store: setting "system", "pgdata", the working directory's
 * pg_control, or, where there is none, the only system in the store.
 */
Error *context_system_in_store(const Settings *settings, Store *store, uint64_t *ret_system) MUST_CHECK;

/* Likewise, for commands that remove, or add what is not of a server that answers: a "pgdata" that is gone is ERR_NOT_FOUND. */
Error *context_system_to_change(const Settings *settings, Store *store, uint64_t *ret_system) MUST_CHECK;

/* The other program whose backups lie there, "WAL-G"; NULL: none that is known. */
Error *context_other_owner(Store *store, const char **ret_owner) MUST_CHECK;

/* The dumps of which the newest is taken, as dump_ids_newest_first(); of damaged ones there is a warning each. */
Error *context_dumps_newest_first(const Settings *settings, Store *store, uint64_t system, StrList *ret_ids,
                                  size_t *ret_n_damaged) MUST_CHECK;

/*
 * What tells the store of the settings from every other: endpoint and URL.  NULL
 * when no store is set; the caller frees.
 */
char *context_store_identity(const Settings *settings);

/* Where a server's WAL comes from, but for the store's identity and the keys.  "data_directory" may be NULL. */
Error *context_fetch_source(const Settings *settings, const char *data_directory, FetchSource *ret_source)
	MUST_CHECK;
