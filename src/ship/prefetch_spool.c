/* The spool as a directory: where it is, whose it is, what is in it, and how it is kept clean; see prefetch_private.h. */
#include "prefetch_private.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/pg/pgdata.h"
#include "walship/pipe/stages.h"

#define TEMPORARY ".walship-tmp" /* as file_sink_new() and file_open_temporary() have it */
#define LOCK      "lock"
#define LAST      "last"

/* The rest is for the server, whose pg_wal may lie on the same disk. */
#define FREE_SHARE 4

/* Longer than any server takes for a segment; a file of a dead process counts for nothing after that. */
#define VALID_S 3600

#define COPY_STEP ((size_t) 1024 * 1024)

/*
 * FNV-1a.  Whoever could find another text for a name can write into this user's directory anyway; and the first
 * digest of OpenSSL takes a millisecond, a fifth of a fetch that finds its segment here.
 */
static uint64_t
name_hash(const char *text)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (; *text != '\0'; text++)
		hash = (hash ^ (uint8_t) *text) * UINT64_C(0x100000001b3);
	return hash;
}

Error *
prefetch_spool_new(const FetchSource *source, PrefetchSpool **ret_spool)
{
	AUTO_FREE char *identity = NULL;
	struct stat status;
	uint32_t segment_size;

	TRY(pgdata_segment_size(source->data_directory, &segment_size));
	if (stat(source->data_directory, &status) != 0)
		return error_errno("could not look at \"%s\"", source->data_directory);
	identity = mem_printf("%s\n%" PRIu64 "\n%" PRIu32 "\n%s\n%ju:%ju", source->store,
	                      source->system_identifier, segment_size, source->data_directory,
	                      (uintmax_t) status.st_dev, (uintmax_t) status.st_ino);
	PrefetchSpool *spool = NEW(PrefetchSpool);

	spool->parent = path_join(source->state_dir, "prefetch");
	spool->directory = mem_printf("%s/%016" PRIx64, spool->parent, name_hash(identity));
	spool->system_identifier = source->system_identifier;
	spool->segment_size = segment_size;
	*ret_spool = spool;
	return NULL;
}

void
prefetch_spool_free(PrefetchSpool *spool)
{
	if (spool == NULL)
		return;
	free(spool->parent);
	free(spool->directory);
	free(spool);
}

static char *
file_of(const PrefetchSpool *spool, const WalName *name, const char *suffix)
{
	char text[WAL_NAME_SIZE];

	return mem_printf("%s/%s%s", spool->directory, wal_name_format(name, text), suffix);
}

/* A directory that nobody else can write into. */
static Error *
check_directory(const char *path)
{
	struct stat status;

	if (lstat(path, &status) != 0)
		return error_errno("could not look at \"%s\"", path);
	if (!S_ISDIR(status.st_mode) || status.st_uid != geteuid() || (status.st_mode & 077) != 0)
		return error_new(ERR_DENIED, "\"%s\" is not a directory of this user alone", path);
	return NULL;
}

static Error *
make_directory(const char *path)
{
	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		return error_errno("could not create directory \"%s\"", path);
	return check_directory(path);
}

Error *
prefetch_spool_make(const PrefetchSpool *spool)
{
	TRY(make_directory(spool->parent));
	return make_directory(spool->directory);
}

Error *
prefetch_spool_check(const PrefetchSpool *spool)
{
	return check_directory(spool->directory);
}

bool
prefetch_spool_has_room(const PrefetchSpool *spool)
{
	struct statvfs status;

	return statvfs(spool->directory, &status) == 0 &&
	       (uint64_t) status.f_bavail * status.f_frsize >= (uint64_t) FREE_SHARE * spool->segment_size;
}

Error *
prefetch_spool_lock(const PrefetchSpool *spool, int *ret_fd)
{
	AUTO_FREE char *path = path_join(spool->directory, LOCK);

	return file_open_temporary(path, 0600, ret_fd);
}

bool
prefetch_spool_is_lock(const PrefetchSpool *spool, int fd)
{
	AUTO_FREE char *path = path_join(spool->directory, LOCK);
	struct stat by_fd;
	struct stat by_path;

	return fstat(fd, &by_fd) == 0 && lstat(path, &by_path) == 0 && by_fd.st_dev == by_path.st_dev &&
	       by_fd.st_ino == by_path.st_ino;
}

/* Every name is equally long, so nobody reads half of a new one.  Losing it costs nothing. */
void
prefetch_spool_set_last(const PrefetchSpool *spool, const WalName *name)
{
	AUTO_FREE char *path = path_join(spool->directory, LAST);
	AUTO_CLOSE int fd = -1;
	AUTO(Error) ignored = NULL;
	char text[WAL_NAME_SIZE];

	if (name == NULL)
	{
		(void) unlink(path);
		return;
	}
	(void) wal_name_format(name, text);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (fd >= 0)
		ignored = file_write(fd, path, text, strlen(text));
}

bool
prefetch_spool_last(const PrefetchSpool *spool, WalName *ret_name, int64_t *ret_age_ms)
{
	AUTO_FREE char *path = path_join(spool->directory, LAST);
	AUTO_BUF(text, WAL_NAME_SIZE);
	AUTO(Error) error = file_read_all(path, &text);
	struct stat status;

	if (error == NULL)
		error = wal_name_parse(text.size == 0 ? "" : text.data, ret_name);
	if (error != NULL || ret_name->kind != WAL_SEGMENT || stat(path, &status) != 0)
		return false;
	*ret_age_ms = (int64_t) (time(NULL) - status.st_mtime) * 1000;
	return true;
}

/* Is this file whole, ours and the segment of this name?  What it is not, it is no more. */
static bool
is_ready(const PrefetchSpool *spool, const WalName *name, const char *path)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	AUTO(Error) error = NULL;
	uint8_t bytes[WAL_LONG_HEADER_SIZE];
	size_t size = 0;
	struct stat status;
	WalPageHeader header;

	if (fd < 0 && errno == ENOENT)
		return false;
	if (fd < 0 || fstat(fd, &status) != 0)
		error = error_errno("could not open file \"%s\"", path);
	if (error == NULL)
		error = file_read_at(fd, path, 0, bytes, sizeof(bytes), &size);
	if (error == NULL)
		error = wal_page_header_parse(bytes, size, &header);
	if (error == NULL)
		error = wal_page_header_matches(&header, name);
	if (error == NULL && S_ISREG(status.st_mode) && status.st_uid == geteuid() && status.st_nlink == 1 &&
	    (uint64_t) status.st_size == spool->segment_size && header.segment_size == spool->segment_size &&
	    header.system_identifier == spool->system_identifier && time(NULL) - status.st_mtime < VALID_S)
		return true;
	(void) unlink(path);
	return false;
}

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
bool
prefetch_spool_take(const PrefetchSpool *spool, const WalName *name, const char *dest)
{
	AUTO_FREE char *path = file_of(spool, name, "");
	AUTO(Error) error = NULL;
	struct stat status;

	if (!is_ready(spool, name, path) || (lstat(dest, &status) == 0 && !S_ISREG(status.st_mode)))
		return false;
	if (rename(path, dest) == 0)
		return true;
	if (errno != EXDEV)
		return false;
	error = copy_file(path, dest);
	(void) unlink(path);
	return error == NULL;
}

Error *
prefetch_spool_claim(const PrefetchSpool *spool, const WalName *name, int *ret_fd)
{
	AUTO_FREE char *temporary = file_of(spool, name, TEMPORARY);

	return file_open_temporary(temporary, 0600, ret_fd);
}

/* In this order: with the lock the name is still ours. */
void
prefetch_spool_claim_end(const PrefetchSpool *spool, const WalName *name, int fd)
{
	AUTO_FREE char *temporary = file_of(spool, name, TEMPORARY);

	if (fd < 0)
		return;
	(void) unlink(temporary);
	(void) close(fd);
}

off_t
prefetch_spool_progress(const PrefetchSpool *spool, const WalName *name)
{
	AUTO_FREE char *temporary = file_of(spool, name, TEMPORARY);
	struct stat status;

	return stat(temporary, &status) == 0 ? status.st_size : -1;
}

static Error *
get_into(const WalArchive *archive, const WalName *name, Sink *file)
{
	AUTO(Pipe) pipe = pipe_new();

	pipe_add(pipe, file);
	TRY(wal_object_get(archive, name, pipe_as_sink(pipe), NULL));
	return pipe_finish(pipe);
}

PrefetchGot
prefetch_spool_get(const PrefetchSpool *spool, const WalArchive *archive, const WalName *name)
{
	AUTO_FREE char *path = file_of(spool, name, "");
	AUTO(Error) error = NULL;
	AUTO(Sink) file = NULL;

	if (file_exists(path) && is_ready(spool, name, path))
		return PREFETCH_GOT;
	if (!prefetch_spool_has_room(spool))
		return PREFETCH_FAILED;
	error = file_sink_new(path, 0600, &file);
	if (error != NULL)
		return error_is(error, ERR_TRANSIENT) ? PREFETCH_CLAIMED : PREFETCH_FAILED;
	error = get_into(archive, name, MOVE(file));
	return error == NULL ? PREFETCH_GOT : PREFETCH_FAILED;
}

void
prefetch_spool_drop(const PrefetchSpool *spool, const WalName *name)
{
	AUTO_FREE char *path = file_of(spool, name, "");

	(void) unlink(path);
}

/* Of segments; not one that somebody writes: it is locked. */
static void
sweep_segments(const char *directory, const StrList *keep)
{
	AUTO_STRLIST names = {0};
	AUTO(Error) error = dir_list(directory, &names);

	for (size_t i = 0; error == NULL && i < names.count; i++)
	{
		const char *name = names.items[i];
		AUTO_FREE char *path = path_join(directory, name);
		AUTO_CLOSE int fd = -1;

		if (strcmp(name, LOCK) == 0 || strcmp(name, LAST) == 0 || strlist_contains(keep, name))
			continue;
		if (str_ends_with(name, TEMPORARY))
		{
			fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
			if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) != 0)
				continue;
		}
		(void) unlink(path);
	}
}

/* Everything in it, the lock last: without it the rest is nobody's. */
static void
remove_spool(const char *directory)
{
	AUTO_FREE char *last = path_join(directory, LAST);
	AUTO_FREE char *lock = path_join(directory, LOCK);
	const StrList nothing = {0};

	sweep_segments(directory, &nothing);
	(void) unlink(last);
	(void) unlink(lock);
	(void) rmdir(directory);
}

void
prefetch_spool_remove(const PrefetchSpool *spool)
{
	remove_spool(spool->directory);
}

static void
remove_if_vacant(const char *directory)
{
	AUTO_FREE char *path = path_join(directory, LOCK);
	AUTO(Error) error = check_directory(directory);
	AUTO_CLOSE int fd = -1;

	if (error != NULL)
		return;
	error = file_open_temporary(path, 0600, &fd);
	if (error == NULL)
		remove_spool(directory);
}

void
prefetch_spool_vacate(const PrefetchSpool *spool)
{
	remove_if_vacant(spool->directory);
}

/* Of the other spools, those that a killed process left behind: their data directories may be gone. */
void
prefetch_spool_sweep(const PrefetchSpool *spool, const StrList *keep)
{
	AUTO_STRLIST spools = {0};
	AUTO(Error) error = dir_list(spool->parent, &spools);

	for (size_t i = 0; error == NULL && i < spools.count; i++)
	{
		AUTO_FREE char *directory = path_join(spool->parent, spools.items[i]);
		struct stat status;

		if (strcmp(directory, spool->directory) != 0 && stat(directory, &status) == 0 &&
		    time(NULL) - status.st_mtime >= VALID_S)
			remove_if_vacant(directory);
	}
	sweep_segments(spool->directory, keep);
}
