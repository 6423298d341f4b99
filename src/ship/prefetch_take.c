/* Fetch's side of the window: taking a segment out, waiting for one, claiming one; see walship/archive/prefetch.h. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <time.h>

#include "prefetch_window.h"
#include "walship/base/cancel.h"
#include "walship/base/clock.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/pipe/stages.h"

/* Whoever gets a segment has hung when the file did not grow for so long: then it is faster to get it anew. */
#define STILL_MOST_MS 2000

/* A killed writer's file is closed a moment before its lock is gone: the event alone may come too early. */
#define LOOK_EVERY_MS 100

#define COPY_STEP ((size_t) 1024 * 1024)

typedef struct Take
{
	const PrefetchWindow *window;
	const WalName *name;
	const char *dest;
	char *path;
	char *temporary;
	int inotify; /* -1 until there is something to wait for */
	off_t size;  /* of the temporary file, when it was looked at last */
	int64_t grown_ms;
	int64_t deadline_ms;
} Take;

static Error *
copy_file(const char *from, const char *to)
{
	AUTO_CLOSE int fd = -1;
	AUTO(Sink) file = NULL;
	AUTO(Pipe) pipe = pipe_new();
	AUTO_FREE void *step = mem_alloc(COPY_STEP);
	size_t got = COPY_STEP;

	TRY(file_open_read(from, &fd, NULL));
	TRY(file_sink_new(to, 0600, &file));
	pipe_add(pipe, MOVE(file));
	for (uint64_t at = 0; got == COPY_STEP; at += got)
	{
		TRY(file_read_at(fd, from, at, step, COPY_STEP, &got));
		TRY(pipe_write(pipe, step, got));
	}
	return pipe_finish(pipe);
}

/*
 * The file is durable, its new name need not be: the server renames it once more
 * and sees to that itself (PostgreSQL: xlogarchive.c, KeepFileRestoredFromArchive).
 */
static bool
hand_over(const char *path, const char *dest)
{
	AUTO(Error) error = NULL;
	struct stat status;

	if (lstat(dest, &status) == 0 && !S_ISREG(status.st_mode))
		return false;
	if (rename(path, dest) == 0)
		return true;
	if (errno != EXDEV)
		return false;
	error = copy_file(path, dest);
	(void) unlink(path);
	return error == NULL;
}

static bool
take_ready(const Take *take)
{
	return prefetch_is_ready(take->window, take->name, take->path) && hand_over(take->path, take->dest);
}

/* It grew since the last look, or that was not long ago; one that is gone has left an event to be looked at. */
static bool
makes_progress(Take *take)
{
	int64_t now_ms = clock_monotonic_ms();
	struct stat status;

	if (now_ms >= take->deadline_ms)
		return false;
	if (stat(take->temporary, &status) != 0)
		return true;
	if (status.st_size != take->size)
		take->grown_ms = now_ms;
	take->size = status.st_size;
	return now_ms - take->grown_ms < STILL_MOST_MS;
}

static void
watch(Take *take)
{
	take->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	take->grown_ms = clock_monotonic_ms();
	if (take->inotify >= 0)
		(void) inotify_add_watch(take->inotify, take->window->directory,
		                         IN_MOVED_TO | IN_DELETE | IN_CLOSE_WRITE);
}

/*
 * Does somebody hold its lock?  Not by trying to claim it: closing a file that is
 * open for writing is one of the events that are waited for.
 */
static bool
is_being_got(const Take *take)
{
	AUTO_CLOSE int fd = open(take->temporary, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	return fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

/* Until something happens in the window: a killed writer's file is closed, too. */
static Error *
wait_for_change(const Take *take)
{
	char events[4096];
	int64_t left_ms = take->deadline_ms - clock_monotonic_ms();
	Error *error = cancel_poll(take->inotify, POLLIN,
	                           left_ms < LOOK_EVERY_MS ? (left_ms < 0 ? 0 : left_ms) : LOOK_EVERY_MS);

	if (error == NULL)
	{
		ssize_t ignored = read(take->inotify, events, sizeof(events));

		(void) ignored;
	}
	if (!error_is(error, ERR_TRANSIENT))
		return error;
	error_free(error);
	return NULL;
}

/* Once it is the caller's to get, or nobody can; false: somebody gets it. */
static bool
take_claim(const Take *take, int *ret_claim)
{
	AUTO(Error) error = file_open_temporary(take->temporary, 0600, ret_claim);

	return !error_is(error, ERR_TRANSIENT);
}

/* Takes the segment, or the claim when nobody gets it, or waits for whoever does. */
static Error *
take_or_claim(Take *take, PrefetchTaken *ret_taken, int *ret_claim)
{
	PrefetchTaken how = PREFETCH_READY;

	for (;; how = PREFETCH_WAITED)
	{
		*ret_taken = how;
		if (take_ready(take))
			return NULL;
		*ret_taken = PREFETCH_MISSED;
		if (!is_being_got(take) && take_claim(take, ret_claim))
		{
			/* It may have come between the two looks. */
			if (*ret_claim >= 0 && take_ready(take))
				*ret_taken = how;
			return NULL;
		}
		if (take->inotify < 0)
		{
			watch(take);
			if (take->inotify < 0)
				return NULL;
			continue;
		}
		if (!makes_progress(take))
			return NULL;
		TRY(wait_for_change(take));
	}
}

Error *
prefetch_take(const PrefetchWindow *window, const WalName *name, const char *dest, int64_t wait_ms,
              PrefetchTaken *ret_taken, int *ret_claim)
{
	AUTO(Error) error = prefetch_directory_check(window->directory);
	Take take = {.window = window, .name = name, .dest = dest, .inotify = -1};

	*ret_taken = PREFETCH_MISSED;
	*ret_claim = -1;
	if (error != NULL)
		return NULL;
	take.path = prefetch_file(window, name);
	take.temporary = prefetch_temporary(window, name);
	take.deadline_ms = clock_monotonic_ms() + wait_ms;
	error = take_or_claim(&take, ret_taken, ret_claim);
	if (take.inotify >= 0)
		(void) close(take.inotify);
	free(take.path);
	free(take.temporary);
	return MOVE(error);
}

void
prefetch_claim_end(const PrefetchWindow *window, const WalName *name, int claim)
{
	AUTO_FREE char *temporary = prefetch_temporary(window, name);

	if (claim < 0)
		return;
	(void) unlink(temporary);
	(void) close(claim);
}

/* When it is not there, or unreadable, nothing follows. */
static bool
read_last(const PrefetchWindow *window, const char *path, XLogSegNo *ret_segno, int64_t *ret_age_ms)
{
	AUTO_BUF(text, WAL_NAME_SIZE);
	AUTO(Error) error = file_read_all(path, &text);
	struct stat status;
	WalName name;

	if (error == NULL)
		error = wal_name_parse(text.size == 0 ? "" : text.data, &name);
	if (error != NULL || stat(path, &status) != 0)
		return false;
	*ret_age_ms = (int64_t) (time(NULL) - status.st_mtime) * 1000;
	return wal_name_segno(&name, window->segment_size, ret_segno);
}

/* Losing it costs nothing. */
static void
write_last(const char *path, const char *name)
{
	AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	AUTO(Error) ignored = NULL;

	if (fd >= 0)
		ignored = file_write(fd, path, name, strlen(name));
}

bool
prefetch_follows(const PrefetchWindow *window, const WalName *name, int64_t within_ms)
{
	AUTO_FREE char *path = path_join(window->directory, PREFETCH_LAST);
	char text[WAL_NAME_SIZE];
	XLogSegNo last;
	XLogSegNo segno;
	int64_t age_ms;
	bool follows = read_last(window, path, &last, &age_ms) &&
	               wal_name_segno(name, window->segment_size, &segno) && segno == last + 1 &&
	               age_ms < within_ms;

	write_last(path, wal_name_format(name, text));
	return follows;
}
