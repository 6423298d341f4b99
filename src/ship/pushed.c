/* Notes of segments that were pushed ahead; see walship/archive/pushed.h. */
#include "walship/ship/pushed.h"

#include <inttypes.h>
#include <string.h>

#include "walship/base/crc32c.h"
#include "walship/base/mem.h"
#include "walship/base/state_note.h"

#define KIND "pushed-"

/*
 * How long a file must have been left alone.  The kernel's time for files moves
 * in steps of up to 10 ms, that of some file systems in seconds (FAT: two).
 */
#define SETTLED_US        (100 * INT64_C(1000))
#define SETTLED_COARSE_US (3 * INT64_C(1000000))

struct PushedNote
{
	char *path; /* what is noted */
	struct stat status;
	StateNote note;
	TemporaryFile file;
};

static int64_t
nanoseconds(const struct timespec *time)
{
	return (int64_t) time->tv_sec * 1000000000 + time->tv_nsec;
}

/*
 * Several clusters may share a state_dir, copies with one system identifier
 * among them: the digest of the store and of the file's directory keeps their
 * notes apart.  It proves nothing; the binding does, to the very file.
 */
static StateNote
note_of(const char *state_dir, const WalArchive *archive, const char *path, const WalName *name,
        const struct stat *status)
{
	const char *identity = store_identity(archive->store);
	AUTO_FREE char *directory = path_parent(path);
	struct stat parent = {0};
	char text[WAL_NAME_SIZE];
	uint32_t crc = crc32c(0, identity, strlen(identity));

	(void) wal_name_format(name, text);
	(void) stat(directory, &parent);
	crc = crc32c(crc, &parent.st_dev, sizeof(parent.st_dev));
	crc = crc32c(crc, &parent.st_ino, sizeof(parent.st_ino));
	return (StateNote){
		.directory = state_dir,
		.name = mem_printf(KIND "%" PRIu64 "-%08" PRIx32 "-%s", archive->system_identifier, crc, text),
		.binding = mem_printf("pushed\nstore %s\nsegment %" PRIu64 " %s\n"
	                          "file %ju:%ju %jd modified %" PRId64 " changed %" PRId64 "\n",
	                          identity, archive->system_identifier, text, (uintmax_t) status->st_dev,
	                          (uintmax_t) status->st_ino, (intmax_t) status->st_size,
	                          nanoseconds(&status->st_mtim), nanoseconds(&status->st_ctim)),
		.valid_ms = PUSHED_VALID_MS};
}

bool
pushed_is_noted(const char *state_dir, const WalArchive *archive, const char *path, const WalName *name)
{
	AUTO_STATE_NOTE note = {0};
	AUTO_BUF(digest, STATE_NOTE_SIZE_MAX);
	struct stat status;

	if (stat(path, &status) != 0 || !S_ISREG(status.st_mode))
		return false;
	note = note_of(state_dir, archive, path, name, &status);
	return state_note_read(&note, &digest);
}

void
pushed_forget(const char *state_dir, const WalArchive *archive, const char *path, const WalName *name)
{
	AUTO_STATE_NOTE note = note_of(state_dir, archive, path, name, &(struct stat){0});

	error_free(state_note_remove(&note));
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

Error *
pushed_begin(const char *state_dir, const WalArchive *archive, const char *path, const WalName *name,
             PushedNote **ret_note)
{
	AUTO(PushedNote) note = NEW(PushedNote);

	if (stat(path, &note->status) != 0)
		return error_errno("could not look at file \"%s\"", path);
	if (!has_settled(&note->status))
		return error_new(ERR_TRANSIENT, "file \"%s\" was changed just now", path);
	note->path = mem_strdup(path);
	note->note = note_of(state_dir, archive, path, name, &note->status);
	TRY(state_note_begin(&note->note, &note->file));
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

Error *
pushed_commit(PushedNote *note, const uint8_t sha256[SHA256_SIZE])
{
	char hex[SHA256_TEXT_SIZE];
	AUTO_FREE char *text = NULL;
	struct stat status;

	if (stat(note->path, &status) != 0 || !is_unchanged(&note->status, &status))
		return error_new(ERR_TRANSIENT, "file \"%s\" was changed while it was stored", note->path);

	/* The digest is for whoever looks. */
	hex_encode(sha256, SHA256_SIZE, hex);
	text = mem_printf("sha256 %s\n", hex);
	return state_note_commit(&note->note, &note->file, text);
}

void
pushed_free(PushedNote *note)
{
	if (note == NULL)
		return;
	temporary_file_release(&note->file);
	state_note_release(&note->note);
	free(note->path);
	free(note);
}

void
pushed_sweep(const char *state_dir)
{
	state_note_sweep(state_dir, KIND, PUSHED_VALID_MS);
}
