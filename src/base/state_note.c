/* Notes in the state directory; see walship/base/state_note.h. */
#include "walship/base/state_note.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "walship/base/clock.h"
#include "walship/base/crc32c.h"
#include "walship/base/mem.h"

#define FIRST_LINE "walship note 1\n"

/* "crc32c 89abcdef\n" */
#define CHECKSUM_SIZE 16

void
state_note_release(StateNote *note)
{
	free(note->name);
	free(note->binding);
}

static void
checksum_line(const char *text, size_t size, char ret_line[CHECKSUM_SIZE + 1])
{
	(void) snprintf(ret_line, CHECKSUM_SIZE + 1, "crc32c %08" PRIx32 "\n", crc32c(0, text, size));
}

static bool
is_fresh(int64_t age_ms, int64_t valid_ms)
{
	return age_ms >= 0 && age_ms < valid_ms;
}

/*
 * Both clocks: neither a step of the one nor a restart of the machine, which begins
 * the other anew, prolongs a note.
 */
static bool
parse(const StateNote *note, const char *text, size_t size, Buf *contents)
{
	AUTO_FREE char *head = mem_printf(FIRST_LINE "%s", note->binding);
	size_t head_size = strlen(head);
	char checksum[CHECKSUM_SIZE + 1];
	int64_t written_ms;
	int64_t monotonic_ms;
	int length = 0;

	if (size < head_size + CHECKSUM_SIZE || memcmp(text, head, head_size) != 0)
		return false;
	checksum_line(text, size - CHECKSUM_SIZE, checksum);
	if (memcmp(text + size - CHECKSUM_SIZE, checksum, CHECKSUM_SIZE) != 0)
		return false;
	if (sscanf(text + head_size, "written %20" SCNd64 " %20" SCNd64 "%n", &written_ms, &monotonic_ms,
	           &length) != 2 ||
	    text[head_size + (size_t) length] != '\n')
		return false;
	if (note->valid_ms != 0 && (!is_fresh(clock_now() / 1000 - written_ms, note->valid_ms) ||
	                            !is_fresh(clock_monotonic_ms() - monotonic_ms, note->valid_ms)))
		return false;
	head_size += (size_t) length + 1;
	buf_append(contents, text + head_size, size - head_size - CHECKSUM_SIZE);
	return !contents->overflowed;
}

static Error *
read_trusted(const char *path, char text[STATE_NOTE_SIZE_MAX + 1], size_t *ret_size)
{
	AUTO_CLOSE int fd = -1;

	TRY(file_open_trusted(path, &fd));
	TRY(file_read_at(fd, path, 0, text, STATE_NOTE_SIZE_MAX, ret_size));
	text[*ret_size] = '\0';
	return NULL;
}

bool
state_note_read(const StateNote *note, Buf *contents)
{
	AUTO_FREE char *path = path_join(note->directory, note->name);
	AUTO(Error) error = NULL;
	char text[STATE_NOTE_SIZE_MAX + 1];
	size_t size = 0;

	error = read_trusted(path, text, &size);
	return error == NULL && parse(note, text, size, contents);
}

/* For this user alone: some hold bytes of a row. */
static Error *
open_file(const StateNote *note, TemporaryFile *ret_file)
{
	AUTO_FREE char *path = path_join(note->directory, note->name);

	return temporary_file_open(path, 0600, ret_file);
}

Error *
state_note_begin(const StateNote *note, TemporaryFile *ret_file)
{
	AUTO_TEMPORARY_FILE file = {0};

	TRY(open_file(note, &file));

	/* Where the file system cannot promise room, it is found out at the end. */
	int number = posix_fallocate(file.fd, 0, STATE_NOTE_SIZE_MAX);

	if (number != 0 && number != EOPNOTSUPP && number != EINVAL)
	{
		errno = number;
		return error_errno("could not write file \"%s\"", file.temporary);
	}
	*ret_file = file;
	file = (TemporaryFile){0};
	return NULL;
}

Error *
state_note_commit(const StateNote *note, TemporaryFile *file, const char *contents)
{
	AUTO_BUF(text, STATE_NOTE_SIZE_MAX);
	char checksum[CHECKSUM_SIZE + 1];

	buf_printf(&text, FIRST_LINE "%swritten %" PRId64 " %" PRId64 "\n%s", note->binding, clock_now() / 1000,
	           clock_monotonic_ms(), contents);
	checksum_line(text.data, text.size, checksum);
	buf_puts(&text, checksum);
	if (text.overflowed)
		return error_new(ERR_USAGE, "what note \"%s\" is bound to is too long", note->name);
	TRY(file_write(file->fd, file->temporary, text.data, text.size));
	if (ftruncate(file->fd, (off_t) text.size) != 0)
		return error_errno("could not write file \"%s\"", file->temporary);
	return temporary_file_rename(file, false);
}

Error *
state_note_write(const StateNote *note, const char *contents)
{
	AUTO_TEMPORARY_FILE file = {0};

	TRY(open_file(note, &file));
	return state_note_commit(note, &file, contents);
}

Error *
state_note_remove(const StateNote *note)
{
	AUTO_FREE char *path = path_join(note->directory, note->name);

	return file_remove(path);
}

void
state_note_sweep(const char *directory, const char *kind, int64_t valid_ms)
{
	AUTO_STRLIST names = {0};
	AUTO(Error) error = dir_list(directory, &names);

	for (size_t i = 0; error == NULL && i < names.count; i++)
	{
		AUTO_FREE char *path = NULL;
		struct stat status;

		if (!str_starts_with(names.items[i], kind))
			continue;
		path = path_join(directory, names.items[i]);
		if (lstat(path, &status) == 0 && S_ISREG(status.st_mode) &&
		    !is_fresh(clock_now() / 1000 - status.st_mtim.tv_sec * INT64_C(1000), valid_ms))
			(void) unlink(path);
	}
}
