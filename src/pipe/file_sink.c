/* Last stage: a file that appears whole, durably and under its own name, or not at all. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/pipe/stages.h"

typedef struct FileSink
{
	Sink sink;
	char *path;
	char *temporary;
	int fd;
	bool renamed;
} FileSink;

/* Renaming over it would replace a link or fail at the very end on a directory. */
static Error *
destination_check(const char *path)
{
	struct stat status;

	if (lstat(path, &status) != 0)
	{
		if (errno == ENOENT)
			return NULL;
		return error_errno("could not look at \"%s\"", path);
	}
	if (!S_ISREG(status.st_mode))
		return error_new(ERR_USAGE, "\"%s\" exists and is not a regular file", path);
	return NULL;
}

static Error *
file_sink_write(Sink *sink, const void *data, size_t size)
{
	FileSink *self = (FileSink *) sink;

	return file_write(self->fd, self->temporary, data, size);
}

static Error *
file_sink_finish(Sink *sink)
{
	FileSink *self = (FileSink *) sink;
	AUTO_FREE char *directory = path_parent(self->path);

	TRY(file_sync(self->fd, self->temporary));
	if (rename(self->temporary, self->path) != 0)
		return error_errno("could not rename \"%s\" to \"%s\"", self->temporary, self->path);
	self->renamed = true;
	TRY(file_close(&self->fd, self->path));
	return dir_sync(directory);
}

/* Removes before it closes: with the lock gone the name may be another process's. */
static void
file_sink_free(Sink *sink)
{
	FileSink *self = (FileSink *) sink;

	if (self->fd >= 0 && !self->renamed)
		(void) unlink(self->temporary);
	if (self->fd >= 0)
		(void) close(self->fd);
	free(self->temporary);
	free(self->path);
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

	self->sink.ops = &file_sink_ops;
	self->path = mem_strdup(path);
	self->temporary = mem_printf("%s.walship-tmp", path);
	self->fd = -1;
	TRY(destination_check(path));
	TRY(file_open_temporary(self->temporary, mode, &self->fd));
	*ret_sink = MOVE(owner);
	return NULL;
}
