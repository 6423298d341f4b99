/* Last stage: a file that appears whole, durably and under its own name, or not at all. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/pipe/stages.h"

/*
 * The disk begins with each megabyte while the next one comes, or else the fsync waits for all of it (a segment: 12 ms).
 * Like pg_flush_data() of PostgreSQL (fd.c).
 */
#define BEGIN_SYNC_EVERY ((uint64_t) 1024 * 1024)

typedef struct FileSink
{
	Sink sink;
	TemporaryFile file;
	uint64_t size; /* written so far */
	uint64_t begun;
} FileSink;

static Error *
file_sink_write(Sink *sink, const void *data, size_t size)
{
	FileSink *self = (FileSink *) sink;

	TRY(file_write(self->file.fd, self->file.temporary, data, size));
	self->size += size;
	if (self->size - self->begun >= BEGIN_SYNC_EVERY)
	{
		file_begin_sync(self->file.fd, self->begun, self->size - self->begun);
		self->begun = self->size;
	}
	return NULL;
}

static Error *
file_sink_finish(Sink *sink)
{
	FileSink *self = (FileSink *) sink;

	return temporary_file_rename(&self->file, true);
}

static void
file_sink_free(Sink *sink)
{
	FileSink *self = (FileSink *) sink;

	temporary_file_release(&self->file);
	free(self);
}

static const SinkOps file_sink_ops = {
	.write = file_sink_write,
	.finish = file_sink_finish,
	.free = file_sink_free,
};

Error *
file_sink_new(const char *path, mode_t mode, Sink **ret_sink)
{
	FileSink *self = NEW(FileSink);
	AUTO(Sink) owner = &self->sink;
	struct stat status;

	self->sink.ops = &file_sink_ops;

	/* Renaming over it would replace a link, or fail at the very end on a directory. */
	if (lstat(path, &status) != 0)
	{
		if (errno != ENOENT)
			return error_errno("could not look at \"%s\"", path);
	}
	else if (!S_ISREG(status.st_mode))
		return error_new(ERR_USAGE, "\"%s\" exists and is not a regular file", path);
	TRY(temporary_file_open(path, mode, &self->file));
	*ret_sink = MOVE(owner);
	return NULL;
}
