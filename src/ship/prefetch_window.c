/* The window as a directory: where it is, whose it is, and how it is kept clean; see walship/archive/prefetch.h. */
#include "prefetch_window.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <time.h>

#include "walship/base/crypto.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/pipe/stages.h"

#define DIGEST_BYTES 8

/* The rest is for the server, whose pg_wal may lie on the same disk. */
#define FREE_SHARE 4

Error *
prefetch_window_new(const PrefetchPlace *place, PrefetchWindow **ret_window)
{
	AUTO_FREE char *identity = NULL;
	uint8_t digest[SHA256_SIZE];
	char hex[2 * DIGEST_BYTES + 1];
	struct stat status;

	if (stat(place->data_directory, &status) != 0)
		return error_errno("could not look at \"%s\"", place->data_directory);
	identity = mem_printf("%s\n%" PRIu64 "\n%" PRIu32 "\n%s\n%ju:%ju", place->store, place->system_identifier,
	                      place->segment_size, place->data_directory, (uintmax_t) status.st_dev,
	                      (uintmax_t) status.st_ino);
	sha256_of(identity, strlen(identity), digest);
	hex_encode(digest, DIGEST_BYTES, hex);

	PrefetchWindow *window = NEW(PrefetchWindow);

	window->parent = path_join(place->state_dir, "prefetch");
	window->directory = path_join(window->parent, hex);
	window->system_identifier = place->system_identifier;
	window->segment_size = place->segment_size;
	*ret_window = window;
	return NULL;
}

void
prefetch_window_free(PrefetchWindow *window)
{
	if (window == NULL)
		return;
	free(window->parent);
	free(window->directory);
	free(window);
}

const char *
prefetch_window_directory(const PrefetchWindow *window)
{
	return window->directory;
}

char *
prefetch_file(const PrefetchWindow *window, const WalName *name)
{
	char text[WAL_NAME_SIZE];

	return path_join(window->directory, wal_name_format(name, text));
}

char *
prefetch_temporary(const PrefetchWindow *window, const WalName *name)
{
	char text[WAL_NAME_SIZE];

	return mem_printf("%s/%s" PREFETCH_TEMPORARY, window->directory, wal_name_format(name, text));
}

Error *
prefetch_directory_check(const char *path)
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
	return prefetch_directory_check(path);
}

Error *
prefetch_window_make(const PrefetchWindow *window)
{
	TRY(make_directory(window->parent));
	return make_directory(window->directory);
}

bool
prefetch_is_ready(const PrefetchWindow *window, const WalName *name, const char *path)
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
	    (uint64_t) status.st_size == window->segment_size && header.segment_size == window->segment_size &&
	    header.system_identifier == window->system_identifier &&
	    time(NULL) - status.st_mtime < PREFETCH_VALID_S)
		return true;
	(void) unlink(path);
	return false;
}

bool
prefetch_has_room(const PrefetchWindow *window)
{
	struct statvfs status;

	return statvfs(window->directory, &status) == 0 &&
	       (uint64_t) status.f_bavail * status.f_frsize >= (uint64_t) FREE_SHARE * window->segment_size;
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
prefetch_get(const PrefetchWindow *window, const WalArchive *archive, const WalName *name)
{
	AUTO_FREE char *path = prefetch_file(window, name);
	AUTO(Error) error = NULL;
	AUTO(Sink) file = NULL;

	if (file_exists(path) && prefetch_is_ready(window, name, path))
		return PREFETCH_GOT;
	if (!prefetch_has_room(window))
		return PREFETCH_FAILED;
	error = file_sink_new(path, 0600, &file);
	if (error != NULL)
		return error_is(error, ERR_TRANSIENT) ? PREFETCH_CLAIMED : PREFETCH_FAILED;
	error = get_into(archive, name, MOVE(file));
	if (error_is(error, ERR_NOT_FOUND))
		return PREFETCH_ABSENT;
	return error == NULL ? PREFETCH_GOT : PREFETCH_FAILED;
}

void
prefetch_drop(const PrefetchWindow *window, const WalName *name)
{
	AUTO_FREE char *path = prefetch_file(window, name);

	(void) unlink(path);
}

/* Not one that somebody writes: it is locked. */
static void
remove_leftover(const char *path)
{
	AUTO_CLOSE int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
		(void) unlink(path);
}

static bool
is_furniture(const char *name)
{
	return strcmp(name, PREFETCH_LOCK) == 0 || strcmp(name, PREFETCH_REQUESTS) == 0 ||
	       strcmp(name, PREFETCH_LAST) == 0;
}

static void
sweep_files(const char *directory, const StrList *keep)
{
	AUTO_STRLIST names = {0};
	AUTO(Error) error = dir_list(directory, &names);

	for (size_t i = 0; error == NULL && i < names.count; i++)
	{
		AUTO_FREE char *path = path_join(directory, names.items[i]);

		if (str_ends_with(names.items[i], PREFETCH_TEMPORARY))
			remove_leftover(path);
		else if (!is_furniture(names.items[i]) && !strlist_contains(keep, names.items[i]))
			(void) unlink(path);
	}
}

/* Everything in it; what holds no lock is nobody's. */
static void
remove_directory(const char *directory)
{
	static const char *const furniture[] = {PREFETCH_REQUESTS, PREFETCH_LAST, PREFETCH_LOCK};
	const StrList nothing = {0};

	sweep_files(directory, &nothing);
	for (size_t i = 0; i < lengthof(furniture); i++)
	{
		AUTO_FREE char *path = path_join(directory, furniture[i]);

		(void) unlink(path);
	}
	(void) rmdir(directory);
}

void
prefetch_window_remove(const PrefetchWindow *window)
{
	remove_directory(window->directory);
}

static void
remove_if_vacant(const char *directory)
{
	AUTO_FREE char *path = path_join(directory, PREFETCH_LOCK);
	AUTO(Error) error = prefetch_directory_check(directory);
	AUTO_CLOSE int fd = -1;

	if (error != NULL)
		return;
	error = file_open_temporary(path, 0600, &fd);
	if (error == NULL)
		remove_directory(directory);
}

void
prefetch_window_vacate(const PrefetchWindow *window)
{
	remove_if_vacant(window->directory);
}

/* A window that a killed prefetcher left behind; its data directory may be gone. */
static bool
is_old(const char *directory)
{
	struct stat status;

	return stat(directory, &status) == 0 && time(NULL) - status.st_mtime >= PREFETCH_VALID_S;
}

void
prefetch_sweep(const PrefetchWindow *window, const StrList *keep)
{
	AUTO_STRLIST windows = {0};
	AUTO(Error) error = dir_list(window->parent, &windows);

	for (size_t i = 0; error == NULL && i < windows.count; i++)
	{
		AUTO_FREE char *directory = path_join(window->parent, windows.items[i]);

		if (strcmp(directory, window->directory) != 0 && is_old(directory))
			remove_if_vacant(directory);
	}
	sweep_files(window->directory, keep);
}
