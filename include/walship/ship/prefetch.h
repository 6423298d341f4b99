/*
 * Segments that were fetched ahead of a recovery.  They wait in a directory of
 * their own below state_dir, the window: whole, checked and durable, under their
 * own names.  A prefetcher puts them there, and fetch takes them out.
 *
 * The window belongs to one data directory, database system and store: its name
 * is a digest of them.  Everything in it may be lost at any time, and costs a
 * request then.  In it are
 *     <SEGMENT>               ready to be taken
 *     <SEGMENT>.walship-tmp   being got; locked by whoever gets it, so that nobody else does
 *     lock                    held by the prefetcher as long as it lives
 *     requests                a FIFO on which fetch tells the prefetcher how far the server is
 *     last                    what a standby got last
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "walship/archive/wal_object.h"
#include "walship/base/error.h"
#include "walship/base/strs.h"
#include "walship/wal/history.h"
#include "walship/wal/name.h"

typedef struct PrefetchPlace
{
	const char *state_dir;
	const char *store; /* what tells this store from every other */
	uint64_t system_identifier;
	uint32_t segment_size;
	const char *data_directory; /* absolute */
} PrefetchPlace;

typedef struct PrefetchWindow PrefetchWindow;

/* Touches nothing but looks at the data directory: another one in its place is another window. */
Error *prefetch_window_new(const PrefetchPlace *place, PrefetchWindow **ret_window) MUST_CHECK;
void prefetch_window_free(PrefetchWindow *window);
AUTO_DEFINE(PrefetchWindow, prefetch_window_free);

/* Makes the directory, for nobody else; state_dir must be there.  One that belongs to another user is ERR_DENIED. */
Error *prefetch_window_make(const PrefetchWindow *window) MUST_CHECK;

const char *prefetch_window_directory(const PrefetchWindow *window);

/* For fetch */

typedef enum PrefetchTaken
{
	PREFETCH_READY,  /* it was there */
	PREFETCH_WAITED, /* it was being got */
	PREFETCH_MISSED, /* get it from the store */
} PrefetchTaken;

/*
 * Moves the segment to "dest", when it is there or comes within "wait_ms"; that
 * is waited for only while it makes progress.  What is no file of ours, of another
 * size, system or name, or older than an hour is removed and counts as missed.
 *
 * *ret_claim is an open file when the segment is the caller's to get: until that
 * is closed, no prefetcher asks for it; -1 otherwise.  Fails only when cancelled.
 */
Error *prefetch_take(const PrefetchWindow *window, const WalName *name, const char *dest, int64_t wait_ms,
                     PrefetchTaken *ret_taken, int *ret_claim) MUST_CHECK;

/* Takes the name away and closes the file.  -1 is nothing to give back. */
void prefetch_claim_end(const PrefetchWindow *window, const WalName *name, int claim);

/* What fetch tells: how far the server is now. */
typedef struct PrefetchMessage
{
	WalName got;
	PrefetchTaken how;
	bool bounded;
	WalName end; /* of the plan, when bounded: nothing after it is wanted */
} PrefetchMessage;

/* False when no prefetcher listens. */
bool prefetch_tell(const PrefetchWindow *window, const PrefetchMessage *message);

/* A prefetcher's two descriptors, which it inherits: whoever has the lock is the only one. */
typedef struct PrefetchOffice
{
	int lock;
	int requests; /* open for reading and writing: it never ends */
} PrefetchOffice;

/* ERR_TRANSIENT when another one holds it.  Both are closed by exec; the window must be made. */
Error *prefetch_office_take(const PrefetchWindow *window, PrefetchOffice *ret_office) MUST_CHECK;

/* Notes that the server got this segment; true when it had got the one before less than "within_ms" ago. */
bool prefetch_follows(const PrefetchWindow *window, const WalName *name, int64_t within_ms);

/* For whoever gets segments ahead */

typedef enum PrefetchGot
{
	PREFETCH_GOT,     /* also when it was there already */
	PREFETCH_ABSENT,  /* certainly not in the store */
	PREFETCH_CLAIMED, /* somebody else gets it just now */
	PREFETCH_FAILED,  /* no room, no store, damaged: fetch finds out, and says so */
} PrefetchGot;

/* Gets the segment into the window.  Any thread. */
PrefetchGot prefetch_get(const PrefetchWindow *window, const WalArchive *archive, const WalName *name);

void prefetch_drop(const PrefetchWindow *window, const WalName *name);

/* Removes what other prefetchers left here, of segments all but those named, and windows that nobody has used for long. */
void prefetch_sweep(const PrefetchWindow *window, const StrList *keep);

/* Removes the window, by its prefetcher, at its end. */
void prefetch_window_remove(const PrefetchWindow *window);

/* Removes it when no prefetcher lives. */
void prefetch_window_vacate(const PrefetchWindow *window);

/* Is there so much room on the disk that prefetching does no harm? */
bool prefetch_has_room(const PrefetchWindow *window);

/* One message of the text that came by the FIFO; false when the line is none. */
bool prefetch_message_parse(const char *line, PrefetchMessage *ret_message);
char *prefetch_message_format(const PrefetchMessage *message); /* with its newline; the caller frees */

/*
 * The way on which the server goes on after "got", by the history files in its
 * pg_wal: the highest timeline on whose way it would have looked there for this very file.
 */
TimelineHistory *prefetch_path(const char *wal_directory, const WalName *got, uint32_t segment_size);
