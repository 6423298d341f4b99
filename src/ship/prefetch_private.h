/* What fetch and the process that fetches ahead share: the spool, as a directory; see walship/ship/prefetch.h. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "walship/archive/wal_object.h"
#include "walship/base/strs.h"
#include "walship/ship/fetch.h"

typedef struct PrefetchSpool
{
	char *parent; /* of all spools */
	char *directory;
	uint64_t system_identifier;
	uint32_t segment_size;
} PrefetchSpool;

/* Touches nothing but looks at the data directory: another one in its place is another spool. */
Error *prefetch_spool_new(const FetchSource *source, PrefetchSpool **ret_spool) MUST_CHECK;
void prefetch_spool_free(PrefetchSpool *spool);
AUTO_DEFINE(PrefetchSpool, prefetch_spool_free);

/* Makes the directory, for nobody else; state_dir must be there.  One that belongs to another user is ERR_DENIED. */
Error *prefetch_spool_make(const PrefetchSpool *spool) MUST_CHECK;
Error *prefetch_spool_check(const PrefetchSpool *spool) MUST_CHECK;

/* Is there so much room on the disk that fetching ahead does no harm? */
bool prefetch_spool_has_room(const PrefetchSpool *spool);

/* Whoever has the lock is the only one.  ERR_TRANSIENT when another one holds it. */
Error *prefetch_spool_lock(const PrefetchSpool *spool, int *ret_fd) MUST_CHECK;
bool prefetch_spool_is_lock(const PrefetchSpool *spool, int fd);

/*
 * The segment that the server got last, and how long ago.  NULL: it came to where
 * nothing is, and what it gets next follows on nothing.
 */
void prefetch_spool_set_last(const PrefetchSpool *spool, const WalName *name);
bool prefetch_spool_last(const PrefetchSpool *spool, WalName *ret_name, int64_t *ret_age_ms);

/*
 * Moves the segment to "dest"; false when it is not there.  What is no file of ours,
 * of another size, system or name, or older than an hour is removed.
 */
bool prefetch_spool_take(const PrefetchSpool *spool, const WalName *name, const char *dest);

/* Until the file is closed, nobody else gets the segment.  ERR_TRANSIENT: somebody does. */
Error *prefetch_spool_claim(const PrefetchSpool *spool, const WalName *name, int *ret_fd) MUST_CHECK;
void prefetch_spool_claim_end(const PrefetchSpool *spool, const WalName *name,
                              int fd); /* -1: nothing to end */

/* Bytes of a segment that is being got; -1 when none is. */
off_t prefetch_spool_progress(const PrefetchSpool *spool, const WalName *name);

typedef enum PrefetchGot
{
	PREFETCH_GOT,     /* also when it was there already */
	PREFETCH_CLAIMED, /* somebody else gets it just now */
	PREFETCH_FAILED,  /* not in the store, no room, no store, damaged: fetch finds out, and says so */
} PrefetchGot;

/* Gets the segment into the spool.  Any thread. */
PrefetchGot prefetch_spool_get(const PrefetchSpool *spool, const WalArchive *archive, const WalName *name);

void prefetch_spool_drop(const PrefetchSpool *spool, const WalName *name);

/* Removes what other processes left here, of segments all but those named, and spools that nobody has used for long. */
void prefetch_spool_sweep(const PrefetchSpool *spool, const StrList *keep);

/* Removes the spool, by its process, at its end. */
void prefetch_spool_remove(const PrefetchSpool *spool);

/* Removes it when no process lives. */
void prefetch_spool_vacate(const PrefetchSpool *spool);

/*
 * Where no process can stay behind, within the call: a few segments after "got",
 * side by side and within a short time, for the server waits.  "plan_end" may be
 * NULL; at "abort_at_ms" of clock_monotonic_ms() it has ended, if that is not 0.
 */
Error *prefetch_batch(const FetchSource *source, PrefetchSpool *spool, const WalName *got,
                      const WalName *plan_end, int64_t abort_at_ms) MUST_CHECK;
