/*
 * One WAL file in the store: "<SEGMENT>.tar", an ustar archive of the index and
 * the payload; history and backup files as plain text (docs/format.md).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "walship/base/error.h"
#include "walship/pipe/codec.h"
#include "walship/store/store.h"
#include "walship/wal/index.h"
#include "walship/wal/name.h"

typedef struct WalArchive
{
	Store *store; /* not owned */
	uint64_t system_identifier;
	Compression compression;
	const char *spool_directory; /* for segments that compress to more than SPOOL_MEMORY_MAX */
} WalArchive;

typedef enum PutResult
{
	PUT_STORED,
	PUT_WAS_THERE, /* with the same contents */
} PutResult;

/*
 * Checks, compresses and stores the segment or partial at "path" under "name".
 * Other bytes under the same name are ERR_EXISTS and nothing is changed.
 * "ret_index" may be NULL.
 */
Error *wal_object_put(const WalArchive *archive, const char *path, const WalName *name, PutResult *ret_result,
                      WalIndex *ret_index) MUST_CHECK;

/* The same for a history or backup file: verbatim. */
Error *wal_text_put(const WalArchive *archive, const char *path, const WalName *name, PutResult *ret_result)
	MUST_CHECK;

/*
 * Reads the segment of this name through "into" (which is not finished), having
 * checked digest, size and page header against the index and the name.  Bytes
 * may have been written to "into" when it fails.
 */
Error *wal_object_get(const WalArchive *archive, const WalName *name, Sink *into, WalIndex *ret_index)
	MUST_CHECK;

/* Likewise by key: of a partial, whose key carries its digest. */
Error *wal_object_get_key(const WalArchive *archive, const char *key, const WalName *name, Sink *into,
                          WalIndex *ret_index) MUST_CHECK;

/* Only the index: one ranged read. */
Error *wal_object_index(Store *store, const char *key, WalIndex *ret_index) MUST_CHECK;

/* Walks the segment at "path" without storing it; the index has no digests. */
Error *wal_object_inspect(const WalArchive *archive, const char *path, const WalName *name,
                          WalIndex *ret_index) MUST_CHECK;

/*
 * Reads the segment of this name and walks its records; "callback" as in
 * walship/wal/record.h.
 */
Error *wal_object_walk(const WalArchive *archive, const WalName *name, WalEventCallback callback,
                       void *context, WalWalkResult *ret_result) MUST_CHECK;
