/* Segments ahead of a recovery: the process, and the batch where there can be none; see walship/ship/prefetch.h. */
#include "walship/ship/prefetch.h"

#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "prefetch_private.h"
#include "walship/archive/history_file.h"
#include "walship/base/cancel.h"
#include "walship/base/clock.h"
#include "walship/base/dir_watch.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/base/workers.h"
#include "walship/pg/pgdata.h"
#include "walship/ship/detach.h"

/* How often it looks whether the server still recovers, and, where it is not told, where it is. */
#define SERVER_EVERY_MS 500
#define BLIND_MS        20
#define PATH_EVERY_MS   5000

/* Four of its threads together count for a little more than one of the server's. */
#define NICE 5

#define IDLE_MOST_MS  10000
#define RETRY_MOST_MS 3000

#define BATCH_MOST_MS   2000
#define ROUNDS_PER_CALL 2 /* of as many as are got at the same time */

/* With segments of 1 GB the spool holds a few of them, not sixteen. */
#define SPOOL_BYTES_MOST (UINT64_C(1) << 30)
#define SEGMENTS_LEAST   2

typedef struct Prefetch
{
	const PrefetchSpool *spool;
	char *wal_directory;
	WalArchive archive;
	Store *store;
	Workers *workers;
	XLogSegNo most;  /* segments ahead of the server */
	XLogSegNo ahead; /* the same, as long as it has not come far */
	bool bounded;
	XLogSegNo end;  /* when bounded: the last one that is wanted */
	XLogSegNo next; /* the first that was not given to the workers */
	int64_t path_ms;

	pthread_mutex_t mutex; /* guards what follows */
	TimelineHistory *path; /* along which the server goes */
	XLogSegNo at;          /* what the server got last */
	XLogSegNo stop;        /* the first that could not be got: nothing from it on is looked for */
	int64_t abort_at_ms;   /* nothing is begun after it; 0: no such moment */
} Prefetch;

typedef struct PrefetchJob
{
	Prefetch *prefetch;
	XLogSegNo segno;
} PrefetchJob;

/* Would a server on this way have asked for this file?  It asks for the newest timeline that has a part in the segment. */
static bool
leads_through(const TimelineHistory *history, const WalName *got, XLogSegNo segno, uint32_t segment_size)
{
	return timeline_history_at(history, segment_start(segno + 1, segment_size) - 1) == got->timeline;
}

/*
 * The way on which the server goes on after "got", by the history files in its
 * pg_wal: the highest timeline on whose way it would have looked there for this very file.
 */
static TimelineHistory *
find_path(const char *wal_directory, const WalName *got, XLogSegNo segno, uint32_t segment_size)
{
	TimelineHistory *best = timeline_history_root(got->timeline);
	AUTO_HISTORY_FILES files = {0};
	AUTO(Error) unreadable = history_files_read(wal_directory, &files);

	for (size_t i = 0; unreadable == NULL && i < files.count; i++)
	{
		if (files.items[i]->timeline <= best->timeline ||
		    !leads_through(files.items[i], got, segno, segment_size))
			continue;
		timeline_history_free(best);
		best = MOVE(files.items[i]);
	}
	return best;
}

static WalName
name_on_path(const Prefetch *prefetch, XLogSegNo segno)
{
	uint32_t segment_size = prefetch->spool->segment_size;
	XLogRecPtr last_byte = segment_start(segno + 1, segment_size) - 1;

	return wal_name_of_segment(timeline_history_at(prefetch->path, last_byte), segno, segment_size);
}

/* A job waits in the queue until its turn comes: then the server may have gone past it. */
static bool
is_wanted(Prefetch *prefetch, XLogSegNo segno, WalName *ret_name)
{
	(void) pthread_mutex_lock(&prefetch->mutex);

	bool wanted = segno > prefetch->at && segno < prefetch->stop &&
	              (prefetch->abort_at_ms == 0 || clock_monotonic_ms() < prefetch->abort_at_ms);

	if (wanted)
		*ret_name = name_on_path(prefetch, segno);
	(void) pthread_mutex_unlock(&prefetch->mutex);
	return wanted && !cancel_requested();
}

static Error *
get_segment(void *argument)
{
	const PrefetchJob *job = argument;
	Prefetch *prefetch = job->prefetch;
	PrefetchGot got;
	WalName name;

	if (!is_wanted(prefetch, job->segno, &name))
		return NULL;
	got = prefetch_spool_get(prefetch->spool, &prefetch->archive, &name);

	/* Meanwhile the server may have got it otherwise, or have taken another way. */
	(void) pthread_mutex_lock(&prefetch->mutex);
	bool on_path = name_on_path(prefetch, job->segno).timeline == name.timeline;

	if (got == PREFETCH_FAILED && on_path && job->segno < prefetch->stop)
		prefetch->stop = job->segno;
	if (got == PREFETCH_GOT && (!on_path || job->segno <= prefetch->at))
		prefetch_spool_drop(prefetch->spool, &name);
	(void) pthread_mutex_unlock(&prefetch->mutex);
	return NULL;
}

/* The workers have them in their queue, in the order in which the server will ask: as many are got at a time as there are workers. */
static void
fill(Prefetch *prefetch)
{
	XLogSegNo last = prefetch->at + prefetch->ahead;

	if (prefetch->bounded && prefetch->end < last)
		last = prefetch->end;
	for (; prefetch->next <= last; prefetch->next++)
	{
		PrefetchJob *job = NEW(PrefetchJob);

		*job = (PrefetchJob){prefetch, prefetch->next};
		workers_submit(prefetch->workers, get_segment, job, free);
	}
}

/* What an earlier process left in the spool and the server may yet ask for stays there. */
static void
sweep(const Prefetch *prefetch)
{
	AUTO_STRLIST wanted = {0};
	char text[WAL_NAME_SIZE];

	for (XLogSegNo i = 1; i <= prefetch->most; i++)
	{
		WalName name = name_on_path(prefetch, prefetch->at + i);

		strlist_add(&wanted, wal_name_format(&name, text));
	}
	prefetch_spool_sweep(prefetch->spool, &wanted);
}

/* The path is looked for anew when the server got another file than expected, and now and then: there may be a new history file. */
static void
take_path(Prefetch *prefetch, const WalName *got, XLogSegNo segno)
{
	int64_t now_ms = clock_monotonic_ms();
	TimelineHistory *old = prefetch->path;
	TimelineHistory *path;

	if (old != NULL && name_on_path(prefetch, segno).timeline == got->timeline &&
	    now_ms - prefetch->path_ms < PATH_EVERY_MS)
		return;
	prefetch->path_ms = now_ms;
	path = find_path(prefetch->wal_directory, got, segno, prefetch->spool->segment_size);
	if (old != NULL && old->timeline == path->timeline)
	{
		timeline_history_free(path);
		return;
	}
	(void) pthread_mutex_lock(&prefetch->mutex);
	prefetch->path = path;
	prefetch->at = segno;
	prefetch->stop = UINT64_MAX;
	(void) pthread_mutex_unlock(&prefetch->mutex);
	timeline_history_free(old);
	prefetch->next = segno + 1;
	sweep(prefetch);
}

/* The server got this segment: what comes next is seen from here. */
static void
set_position(Prefetch *prefetch, const WalName *got, XLogSegNo segno)
{
	XLogSegNo before = prefetch->at;

	take_path(prefetch, got, segno);
	(void) pthread_mutex_lock(&prefetch->mutex);
	prefetch->at = segno;
	(void) pthread_mutex_unlock(&prefetch->mutex);

	/* Back again: what is still there is not got anew. */
	if (segno < before || prefetch->next <= segno)
		prefetch->next = segno + 1;

	/* What it got past without taking it gives its place on the disk back. */
	for (XLogSegNo passed = before + 1; passed <= segno && passed <= before + prefetch->most; passed++)
	{
		WalName name = name_on_path(prefetch, passed);

		prefetch_spool_drop(prefetch->spool, &name);
	}
}

static Error *
prefetch_open(const FetchSource *source, const PrefetchSpool *spool, const WalName *plan_end, int most,
              const Patience *patience, Prefetch *prefetch)
{
	XLogSegNo room = SPOOL_BYTES_MOST / spool->segment_size;

	*prefetch = (Prefetch){.spool = spool, .stop = UINT64_MAX, .mutex = PTHREAD_MUTEX_INITIALIZER};
	room = room > SEGMENTS_LEAST ? room : SEGMENTS_LEAST;
	prefetch->most = prefetch->ahead = (XLogSegNo) most < room ? (XLogSegNo) most : room;
	prefetch->bounded = plan_end != NULL && wal_name_segno(plan_end, spool->segment_size, &prefetch->end);
	TRY(store_opener_open(&source->opener, patience, &prefetch->store));
	prefetch->archive = (WalArchive){.store = prefetch->store,
	                                 .system_identifier = source->system_identifier,
	                                 .identities = source->identities};
	prefetch->wal_directory = path_join(source->data_directory, "pg_wal");
	prefetch->workers = workers_new(source->jobs);
	return NULL;
}

static void
prefetch_close(Prefetch *prefetch)
{
	workers_free(prefetch->workers);
	store_free(prefetch->store);
	timeline_history_free(prefetch->path);
	free(prefetch->wal_directory);
	(void) pthread_mutex_destroy(&prefetch->mutex);
}

Error *
prefetch_batch(const FetchSource *source, PrefetchSpool *spool, const WalName *got, const WalName *plan_end,
               int64_t abort_at_ms)
{
	int most =
		source->ahead < ROUNDS_PER_CALL * source->jobs ? source->ahead : ROUNDS_PER_CALL * source->jobs;
	int64_t now_ms = clock_monotonic_ms();
	Patience patience = {.attempts = 1, .abort_at_ms = now_ms + BATCH_MOST_MS, .quiet = true};
	Prefetch prefetch;
	XLogSegNo segno;

	if (!wal_name_segno(got, spool->segment_size, &segno))
		return NULL;
	if (abort_at_ms != 0 && abort_at_ms < patience.abort_at_ms)
		patience.abort_at_ms = abort_at_ms;

	Error *error = prefetch_open(source, spool, plan_end, most, &patience, &prefetch);

	if (error == NULL)
	{
		prefetch.abort_at_ms = patience.abort_at_ms;
		set_position(&prefetch, got, segno);
		fill(&prefetch);
		error = workers_wait(prefetch.workers);
	}
	prefetch_close(&prefetch);
	return error;
}

/*
 * Of a server that needs longer than IDLE_MOST_MS for a segment this process knows little: it has
 * left each time, and the next one begins anew.  So it begins small, lest much is got in vain.
 */
static void
grow(Prefetch *prefetch)
{
	prefetch->ahead = prefetch->path == NULL ? SEGMENTS_LEAST : 2 * prefetch->ahead;
	if (prefetch->ahead > prefetch->most)
		prefetch->ahead = prefetch->most;
}

/* The data directory as it was found: by another one in its place, or another server in it, nothing is wanted. */
typedef struct Server
{
	const char *data_directory;
	dev_t device;
	ino_t inode;
	pid_t postmaster;
} Server;

static Error *
find_server(const char *data_directory, Server *ret_server)
{
	struct stat status;

	if (stat(data_directory, &status) != 0)
		return error_errno("could not look at \"%s\"", data_directory);
	*ret_server = (Server){.data_directory = data_directory, .device = status.st_dev, .inode = status.st_ino};
	if (!postmaster_of(data_directory, &ret_server->postmaster))
		return error_new(ERR_USAGE, "no server runs in \"%s\"", data_directory);
	return NULL;
}

/* At the end of a recovery the server removes its signal file. */
static bool
server_recovers(const Server *server)
{
	struct stat status;
	pid_t postmaster;

	return stat(server->data_directory, &status) == 0 && status.st_dev == server->device &&
	       status.st_ino == server->inode && postmaster_of(server->data_directory, &postmaster) &&
	       postmaster == server->postmaster &&
	       (pgdata_is_standby(server->data_directory) || pgdata_in_archive_recovery(server->data_directory));
}

/* When the server has come past what could not be got, this process has nothing left to do. */
static bool
is_used_up(Prefetch *prefetch)
{
	(void) pthread_mutex_lock(&prefetch->mutex);
	bool used_up = prefetch->at >= prefetch->stop;
	(void) pthread_mutex_unlock(&prefetch->mutex);

	return used_up || (prefetch->bounded && prefetch->at >= prefetch->end);
}

static Error *
follow(Prefetch *prefetch, const Server *server)
{
	AUTO_CLOSE int watch = dir_watch_open(prefetch->spool->directory, DIR_WRITTEN);
	int64_t heard_ms = clock_monotonic_ms();
	int64_t looked_ms = heard_ms;
	WalName got = {0};

	for (;;)
	{
		int64_t now_ms = clock_monotonic_ms();
		WalName last;
		int64_t age_ms;
		XLogSegNo segno;

		if (prefetch_spool_last(prefetch->spool, &last, &age_ms) &&
		    (last.timeline != got.timeline || last.log != got.log || last.seg != got.seg) &&
		    wal_name_segno(&last, prefetch->spool->segment_size, &segno))
		{
			got = last;
			heard_ms = now_ms;
			grow(prefetch);
			set_position(prefetch, &got, segno);
		}
		if (now_ms - heard_ms >= IDLE_MOST_MS || is_used_up(prefetch))
			return NULL;
		if (now_ms - looked_ms >= SERVER_EVERY_MS)
		{
			if (!server_recovers(server))
				return NULL;
			looked_ms = now_ms;
		}
		if (prefetch->path != NULL)
			fill(prefetch);
		TRY(dir_watch_wait(watch, SERVER_EVERY_MS, BLIND_MS));
	}
}

/* The lock tells that it was a fetch that started it, and that there is no other process of this spool. */
static Error *
check_lock(const PrefetchSpool *spool)
{
	if (!prefetch_spool_is_lock(spool, DETACHED_FD) || fcntl(DETACHED_FD, F_SETFD, FD_CLOEXEC) != 0)
		return error_new(ERR_USAGE, "\"walship prefetcher\" is started by \"walship fetch\" only");
	return NULL;
}

Error *
prefetch_run(const FetchSource *source, const WalName *plan_end)
{
	Patience patience = {.retry_ms = RETRY_MOST_MS, .quiet = true};
	AUTO(PrefetchSpool) spool = NULL;
	Prefetch prefetch;
	Server server;

	TRY(find_server(source->data_directory, &server));
	TRY(prefetch_spool_new(source, &spool));
	TRY(check_lock(spool));

	/* It was started as /proc/self/exe: "ps" and "top" would call it "exe". */
	(void) prctl(PR_SET_NAME, "walship");

	/* The server's replay is what everyone waits for: with fewer cores than threads it comes first. */
	(void) setpriority(PRIO_PROCESS, 0, NICE);

	/* Neither the data directory nor any mounted file system is kept busy by this process. */
	if (chdir("/") != 0)
		return error_errno("could not change the directory");

	Error *error = prefetch_open(source, spool, plan_end, source->ahead, &patience, &prefetch);

	if (error == NULL)
		error = follow(&prefetch, &server);

	/* What is in flight is given up as at a signal: nobody will ask for it. */
	cancel_request("the end of the recovery");
	prefetch_close(&prefetch);
	prefetch_spool_remove(spool);
	return error;
}
