/*
 * One WAL file in the store: "<SEGMENT>.tar", an ustar archive of the index and
 * the payload; history and backup files as plain text (docs/format.md).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "walship/age/age.h"
#include "walship/base/error.h"
#include "walship/base/patience.h"
#include "walship/base/spool.h"
#include "walship/pipe/codec.h"
#include "walship/store/store.h"
#include "walship/wal/index.h"
#include "walship/wal/name.h"

#define WAL_OBJECT_INDEX_MAX (1024 * 1024) /* of JSON: what a reader accepts; writers stay far below */

typedef struct WalArchive
{
	Store *store; /* not owned */
	uint64_t system_identifier;
	Compression compression;
	const AgeRecipients *recipients; /* for whom segments are encrypted; NULL: they are not; not owned */
	const AgeIdentities *identities; /* what can be decrypted; NULL: nothing; not owned */
	const char *spool_directory;     /* for segments that compress to more than SPOOL_MEMORY_MAX */
	bool refuse_damaged;             /* segments with a damaged record (wal_check = strict) */
	bool stored_only;                /* reading: the payload is checked as it is stored, and not handed on */
	Workers *decoding; /* reading: of one segment, where that pays; NULL: by the caller; not owned */
	Patience patience; /* for reading a file: what ends it early; the store has its own */
} WalArchive;

typedef enum PutResult
{
	PUT_STORED,
	PUT_WAS_THERE, /* with the same contents */
} PutResult;

/*
 * The first half of storing the segment or partial at "path" under "name":
 * checks it, compresses it into the empty "spool" and fills the index, all but
 * the run of times (walship/archive/time_run.h).
 *
 * A segment in which a record fails is read once more, for the fault may be the
 * reader's: only if it is there again has the index damaged_at.  That is
 * ERR_CORRUPT with archive->refuse_damaged, and no error else.
 */
Error *wal_object_encode(const WalArchive *archive, const char *path, const WalName *name, Spool *spool,
                         WalIndex *ret_index) MUST_CHECK;

/* A segment of this name is about to be read and stored: the store may connect meanwhile (store_expect_put()). */
void wal_object_expect(const WalArchive *archive, const WalName *name);

/*
 * The second half: the object, in one write.  Other bytes under the same name
 * are ERR_EXISTS and nothing is changed.  If the same are there already, "index"
 * takes on the run of times that is stored, so that the next segment carries it
 * on.  Sets the index's "member" and "codec".
 */
Error *wal_object_store(const WalArchive *archive, const char *path, const WalName *name, const Spool *spool,
                        WalIndex *index, PutResult *ret_result) MUST_CHECK;

/* Both, as a run of its own.  "ret_index" may be NULL. */
Error *wal_object_put(const WalArchive *archive, const char *path, const WalName *name, PutResult *ret_result,
                      WalIndex *ret_index) MUST_CHECK;

/* The same for a history or backup file: verbatim; behind a history file its digest. */
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
