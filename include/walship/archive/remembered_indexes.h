/*
 * What the indexes of segments told, kept in a file of this machine: whoever looks through years of WAL a second time
 * reads only what is new.  A fact is given again as long as the listing shows the segment's object with the same size and
 * time; what is damaged or of an unknown PostgreSQL is never kept.  The file may be lost, old or damaged at any time: what
 * it cannot give is read from the store.
 *
 *     walship indexes 1
 *     <identity of the store> <system identifier> <segment size>
 *     <number of facts> <bytes of them> <crc32c of these bytes>
 *     <facts, ascending by timeline and number, some 40 bytes each>
 */
#pragma once

#include "walship/archive/catalog.h"
#include "walship/archive/wal_facts.h"

typedef struct RememberedIndexes RememberedIndexes;

/* "directory" is the state_dir.  "catalog", as it was listed in "store", must outlive it.  For one thread. */
RememberedIndexes *remembered_indexes_new(const char *directory, const Store *store, const Catalog *catalog);
void remembered_indexes_free(RememberedIndexes *remembered);
AUTO_DEFINE(RememberedIndexes, remembered_indexes_free);

/* Fills in an item whose place is set, and its recipients; false: it is to be read. */
bool remembered_indexes_find(RememberedIndexes *remembered, SegmentIndex *item,
                             char ret_recipients[WAL_INDEX_RECIPIENTS_SIZE]);

/* One that was read, with its recipients, before anything else was learnt of it. */
void remembered_indexes_add(RememberedIndexes *remembered, const SegmentIndex *item);

/* What is known by now, for the next process, unless it is too little that is new.  Trouble is nobody's. */
void remembered_indexes_keep(RememberedIndexes *remembered);
