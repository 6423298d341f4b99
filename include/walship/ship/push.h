/*
 * Storing one WAL file, as the archiver hands them over, one after the other:
 * check, index, compress, encrypt, store if absent.  Segments that wait behind it
 * are stored along with it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "walship/archive/wal_object.h"
#include "walship/base/notice.h"
#include "walship/base/patience.h"
#include "walship/ship/store_opener.h"

typedef struct PushOptions
{
	const char *path;           /* of the file, in the server's pg_wal */
	const char *data_directory; /* the server's; NULL when that is not known */
	pid_t called_by;            /* the archiver, as a rule: getppid() at the start */
	WalName name;               /* its last component */
	const char *state_dir;

	/* Opened with push_patience().  Of compression the codec and level are given, but no pool. */
	WalArchive archive;
	StoreOpener
		opener; /* for what waits behind the file: it has a store of its own, which gives up at the deadline */

	int64_t start_ms; /* of clock_monotonic_ms() */
	int64_t deadline_ms;

	int ahead; /* segments that are stored along, at most */
	int jobs;  /* segments at a time */

	/* How a backlog is compressed, as long as that is faster (walship/ship/backlog_rate.h).  The same as that of "archive": never. */
	Compression hurried;

	Notices notices;
} PushOptions;

/*
 * No retry begins after the deadline.  While the server stops, it waits for the
 * archiver: then there is no retry at all, and a store that is silent is soon given
 * up; so, too, when nobody waits any more.  The options outlive it.
 */
Patience push_patience(const PushOptions *options);

/*
 * Was this very file stored by the push of an earlier one?  Then nothing is left to
 * do.  Needs neither keys nor a connection, and uses the note up (walship/ship/pushed.h).
 */
bool push_is_safe(const PushOptions *options);

/*
 * NULL: the bytes are durable under their own name.  The error is that of the file
 * itself; of the others it says nothing: what goes wrong with one is met again by its
 * own push.  Returns when everything that was begun has ended.
 */
Error *push(const PushOptions *options) MUST_CHECK;
