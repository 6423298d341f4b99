/* Notes of segments that were pushed ahead; see walship/archive/pushed.h. */
#include "walship/ship/pushed.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "walship/base/crc32c.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"

#define NOTE_PREFIX   "pushed-"
#define NOTE_SIZE_MAX 8192
#define TEMPORARY     ".walship-tmp"

/*
 * How long a file must have been left alone.  The kernel's time for files moves
 * in steps of up to 10 ms, that of some file systems in seconds (FAT: two).
 */
#define SETTLED_US        (100 * INT64_C(1000))
#define SETTLED_COARSE_US (3 * INT64_C(1000000))

struct PushedNote
{
	char *file; /* what is noted */
	char *head; /* see head_of() */
	char *path;
	char *temporary;
	struct stat status;
	int fd; /* of the temporary file; -1: there is none */
};

/*
 * Several clusters may share a state_dir, copies with one system identifier
 * among them: the digest keeps their notes apart.  It proves nothing; the head does.
 */
static char *
note_path(const char *state_dir, const WalArchive *archive, const char *file, const WalName *name)
{
	AUTO_FREE char *directory = path_parent(file);
	struct stat status = {0};
	char text[WAL_NAME_SIZE];
	uint32_t crc;

	(void) stat(directory, &status);
	crc = crc32c(0, store_identity(archive->store), strlen(store_identity(archive->store)));
	crc = crc32c(crc, &status.st_dev, sizeof(status.st_dev));
	crc = crc32c(crc, &status.st_ino, sizeof(status.st_ino));
	return mem_printf("%s/" NOTE_PREFIX "%" PRIu64 "-%08" PRIx32 "-%s", state_dir, archive->system_identifier,
	                  crc, wal_name_format(name, text));
}

static int64_t
nanoseconds(const struct timespec *time)
{
	return (int64_t) time->tv_sec * 1000000000 + time->tv_nsec;
}

/* All that must be equal. */
static char *
head_of(const WalArchive *archive, const WalName *name, const struct stat *status)
{
	char text[WAL_NAME_SIZE];

	return mem_printf("walship pushed 1\n"
	                  "store %s\n"
	                  "segment %" PRIu64 " %s\n"
	                  "file %ju:%ju %jd modified %" PRId64 " changed %" PRId64 "\n",
	                  store_identity(archive->store), archive->system_identifier, wal_name_format(name, text),
	                  (uintmax_t) status->st_dev, (uintmax_t) status->st_ino, (intmax_t) status->st_size,
	                  nanoseconds(&status->st_mtim), nanoseconds(&status->st_ctim));
}

static bool
is_fresh(int64_t age_ms)
{
	return age_ms >= 0 && age_ms < PUSHED_VALID_MS;
}

/*
 * The rest: the digest, for whoever looks, and when it was written by both
 * clocks, so that neither a step of the one nor a restart, which begins the
 * other anew, prolongs a note.
 */
static char *
tail_of(const char *sha256, int64_t written_ms, int64_t monotonic_ms)
{
	return mem_printf("sha256 %s\nwritten %" PRId64 " %" PRId64 "\n", sha256, written_ms, monotonic_ms);
}

static bool
tail_is_valid(const char *tail)
{
	AUTO_FREE char *whole = NULL;
	char sha256[SHA256_TEXT_SIZE];
	int64_t written_ms;
	int64_t monotonic_ms;

	if (sscanf(tail, "sha256 %64[0-9a-f] written %20" SCNd64 " %20" SCNd64, sha256, &written_ms,
	           &monotonic_ms) != 3)
		return false;

	/* Of a note that was torn, the end is missing. */
	whole = tail_of(sha256, written_ms, monotonic_ms);
	return str_equal(tail, whole) && is_fresh(clock_now() / 1000 - written_ms) &&
	       is_fresh(clock_monotonic_ms() - monotonic_ms);
}

/* In a directory that others may write to, a note of theirs says nothing. */
static Error *
read_trusted(const char *path, Buf *text)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat status;
	char bytes[NOTE_SIZE_MAX];
	size_t size;

	if (fd < 0 || fstat(fd, &status) != 0)
		return error_errno("could not open file \"%s\"", path);
	if (!S_ISREG(status.st_mode) || status.st_uid != geteuid() || (status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return error_new(ERR_DENIED, "file \"%s\" may be another user's work", path);
	TRY(file_read_at(fd, path, 0, bytes, sizeof(bytes), &size));
	buf_append(text, bytes, size);
	return NULL;
}

bool
pushed_is_noted(const char *state_dir, const WalArchive *archive, const char *path, const WalName *name)
{
	AUTO_FREE char *note = note_path(state_dir, archive, path, name);
	AUTO_FREE char *head = NULL;
	AUTO_BUF(text, NOTE_SIZE_MAX);
	AUTO(Error) error = read_trusted(note, &text);
	struct stat status;

	if (error != NULL || text.size == 0 || stat(path, &status) != 0 || !S_ISREG(status.st_mode))
		return false;
	head = head_of(archive, name, &status);
	return str_starts_with(text.data, head) && tail_is_valid(text.data + strlen(head));
}

void
pushed_forget(const char *state_dir, const WalArchive *archive, const char *path, const WalName *name)
{
	AUTO_FREE char *note = note_path(state_dir, archive, path, name);

	error_free(file_remove(note));
}

static bool
has_settled(const struct stat *status)
{
	int64_t modified_ns = nanoseconds(&status->st_mtim);
	int64_t changed_ns = nanoseconds(&status->st_ctim);
	int64_t newest_us = (modified_ns > changed_ns ? modified_ns : changed_ns) / 1000;
	bool coarse = changed_ns % 1000000000 == 0;

	return clock_now() - newest_us >= (coarse ? SETTLED_COARSE_US : SETTLED_US);
}

/* Room on the disk for the whole note; where the file system cannot promise that, it is found out at the end. */
static Error *
reserve(PushedNote *note)
{
	TRY(file_open_temporary(note->temporary, 0600, &note->fd));

	int result = posix_fallocate(note->fd, 0, NOTE_SIZE_MAX);

	if (result == 0 || result == EOPNOTSUPP || result == EINVAL)
		return NULL;
	errno = result;
	return error_errno("could not write file \"%s\"", note->temporary);
}

Error *
pushed_begin(const char *state_dir, const WalArchive *archive, const char *path, const WalName *name,
             PushedNote **ret_note)
{
	AUTO(PushedNote) note = NEW(PushedNote);

	note->fd = -1;
	if (stat(path, &note->status) != 0)
		return error_errno("could not look at file \"%s\"", path);
	if (!has_settled(&note->status))
		return error_new(ERR_TRANSIENT, "file \"%s\" was changed just now", path);
	note->file = mem_strdup(path);
	note->head = head_of(archive, name, &note->status);
	note->path = note_path(state_dir, archive, path, name);
	note->temporary = mem_printf("%s" TEMPORARY, note->path);
	TRY(reserve(note));
	*ret_note = MOVE(note);
	return NULL;
}

static bool
is_unchanged(const struct stat *before, const struct stat *after)
{
	return before->st_dev == after->st_dev && before->st_ino == after->st_ino &&
	       before->st_size == after->st_size &&
	       nanoseconds(&before->st_mtim) == nanoseconds(&after->st_mtim) &&
	       nanoseconds(&before->st_ctim) == nanoseconds(&after->st_ctim);
}

static Error *
write_note(PushedNote *note, const uint8_t sha256[SHA256_SIZE])
{
	AUTO_BUF(text, NOTE_SIZE_MAX);
	AUTO_FREE char *tail = NULL;
	char hex[SHA256_TEXT_SIZE];

	hex_encode(sha256, SHA256_SIZE, hex);
	tail = tail_of(hex, clock_now() / 1000, clock_monotonic_ms());
	buf_printf(&text, "%s%s", note->head, tail);
	if (text.overflowed)
		return error_new(ERR_USAGE, "the name of the store is too long for a note");
	TRY(file_write(note->fd, note->temporary, text.data, text.size));
	if (ftruncate(note->fd, (off_t) text.size) != 0)
		return error_errno("could not write file \"%s\"", note->temporary);
	return NULL;
}

Error *
pushed_commit(PushedNote *note, const uint8_t sha256[SHA256_SIZE])
{
	struct stat status;

	if (stat(note->file, &status) != 0 || !is_unchanged(&note->status, &status))
		return error_new(ERR_TRANSIENT, "file \"%s\" was changed while it was stored", note->file);
	TRY(write_note(note, sha256));
	if (rename(note->temporary, note->path) != 0)
		return error_errno("could not rename \"%s\" to \"%s\"", note->temporary, note->path);
	(void) close(note->fd);
	note->fd = -1;
	return NULL;
}

void
pushed_free(PushedNote *note)
{
	if (note == NULL)
		return;
	if (note->fd >= 0)
	{
		/* In this order: with the lock the name is still ours. */
		(void) unlink(note->temporary);
		(void) close(note->fd);
	}
	free(note->file);
	free(note->head);
	free(note->path);
	free(note->temporary);
	free(note);
}

void
pushed_sweep(const char *state_dir)
{
	AUTO_STRLIST names = {0};
	AUTO(Error) error = dir_list(state_dir, &names);

	for (size_t i = 0; error == NULL && i < names.count; i++)
	{
		AUTO_FREE char *path = NULL;
		struct stat status;

		if (!str_starts_with(names.items[i], NOTE_PREFIX))
			continue;
		path = path_join(state_dir, names.items[i]);
		if (lstat(path, &status) == 0 && S_ISREG(status.st_mode) &&
		    !is_fresh(clock_now() / 1000 - nanoseconds(&status.st_mtim) / 1000000))
			(void) unlink(path);
	}
}
