/* The WAL in a store as a source of facts: indexes and records, several at a time, each record to its end. */
#pragma once

#include "walship/age/age.h"
#include "walship/archive/catalog.h"
#include "walship/archive/wal_facts.h"
#include "walship/store/store.h"

/*
 * "jobs": segments that are read at a time; of indexes small_reads_at_once(jobs) are.  "catalog" belongs to "store"; neither is owned.
 * NULL as "identities": nothing can be decrypted, so that records of encrypted
 * segments are ERR_DENIED.  An object that is damaged, or has gone since it was
 * listed, is a fact; the store's other errors are errors.
 */
WalSource *wal_reader_new(Store *store, const Catalog *catalog, const AgeIdentities *identities, int jobs);

/* The facts of such a source. */
WalFacts *wal_reader_facts(Store *store, const Catalog *catalog, const AgeIdentities *identities, int jobs);

/* The same, with what is remembered of indexes in the state_dir (remembered_indexes.h; NULL: nothing is); freeing them keeps it. */
WalFacts *wal_reader_facts_kept(Store *store, const Catalog *catalog, const AgeIdentities *identities,
                                int jobs, const char *state_dir);
