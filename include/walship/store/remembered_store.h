/*
 * A store whose small objects that never change are read once: what was read is kept in a file of this
 * machine, and given again as long as the listing shows the object with the same size and time.  The file may be lost,
 * old or damaged at any time: what it cannot give is read from the store.
 *
 *     walship remembered 1
 *     <identity of the store> <prefix>
 *     <size> <microseconds since 1970> <crc32c of the bytes> <key>
 *     <bytes><line feed>
 *     ...
 */
#pragma once

#include "walship/store/store.h"

/* Does this object never change?  Only those below the prefix are asked for. */
typedef bool (*StoreRemembers)(const char *key);

/*
 * "listed" (a listed_store_new() of that prefix) must outlive it; "directory" is the state_dir.  An object that is read
 * again comes from the store: whoever does that did not believe what it got.
 */
Store *remembered_store_new(Store *listed, const char *directory, const char *prefix,
                            StoreRemembers remembers);

/* What was read by now, for the next process; without what was not asked for.  Trouble is nobody's. */
void remembered_store_keep(Store *store);
