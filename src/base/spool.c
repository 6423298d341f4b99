/* Bytes in memory, and in an unlinked file once they are many. */
#include "walship/base/spool.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "walship/base/file.h"
#include "walship/base/mem.h"

struct Spool
{
	char *directory;
	char *name;   /* of the file, as in messages */
	char *memory; /* NULL once the bytes are in the file */
	size_t capacity;
	int fd; /* -1 while they are in memory */
	uint64_t size;
};

#define SPOOL_MEMORY_FIRST (64u * 1024)

Spool *
spool_new(const char *directory)
{
	Spool *spool = NEW(Spool);

	spool->directory = mem_strdup(directory);
	spool->name = path_join(directory, ".walship-spool");
	spool->fd = -1;
	return spool;
}

void
spool_free(Spool *spool)
{
	if (spool == NULL)
		return;
	if (spool->fd >= 0)
		(void) close(spool->fd);
	free(spool->memory);
	free(spool->name);
	free(spool->directory);
	free(spool);
}

uint64_t
spool_size(const Spool *spool)
{
	return spool->size;
}

void
spool_clear(Spool *spool)
{
	if (spool->fd >= 0)
		(void) close(spool->fd);
	spool->fd = -1;
	spool->size = 0;
}

/* A file without a name: nothing is left over, whatever becomes of us. */
static Error *
unnamed_file_open(const char *directory, int *ret_fd)
{
	int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	/* EISDIR comes from kernels and file systems that take O_TMPFILE for an attempt to write the directory. */
	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL))
	{
		AUTO_FREE char *name = path_join(directory, ".walship-spool-XXXXXX");

		fd = mkostemp(name, O_CLOEXEC);
		if (fd >= 0)
			(void) unlink(name);
	}
	if (fd < 0)
		return error_errno("could not create temporary file in \"%s\"", directory);
	*ret_fd = fd;
	return NULL;
}

Error *
spool_write(Spool *spool, const void *data, size_t size)
{
	size_t capacity = spool->capacity == 0 ? SPOOL_MEMORY_FIRST : spool->capacity;

	if (size == 0)
		return NULL;
	if (spool->fd < 0 && size > SPOOL_MEMORY_MAX - spool->size)
	{
		AUTO_CLOSE int fd = -1;

		TRY(unnamed_file_open(spool->directory, &fd));
		if (spool->size > 0)
			TRY(file_write(fd, spool->name, spool->memory, (size_t) spool->size));
		free(MOVE(spool->memory));
		spool->capacity = 0;
		spool->fd = fd;
		fd = -1;
	}
	if (spool->fd >= 0)
		TRY(file_write(spool->fd, spool->name, data, size));
	else
	{
		while (capacity < spool->size + size)
			capacity *= 2;
		if (capacity != spool->capacity)
			spool->memory = mem_realloc(spool->memory, capacity);
		spool->capacity = capacity;
		memcpy(spool->memory + spool->size, data, size);
	}
	spool->size += size;
	return NULL;
}

Slice
spool_slice(const Spool *spool)
{
	if (spool->fd >= 0)
		return (Slice){.fd = spool->fd, .size = spool->size};
	return slice_of_memory(spool->memory, (size_t) spool->size);
}

Error *
slice_read(const Slice *slice, uint64_t at, void *data, size_t size, size_t *ret_size)
{
	uint64_t left = at < slice->size ? slice->size - at : 0;
	size_t wanted = left < size ? (size_t) left : size;
	size_t got = wanted;

	assert(slice->data != NULL || slice->fd >= 0 || slice->size == 0);
	if (wanted > 0 && slice->data != NULL)
		memcpy(data, (const char *) slice->data + at, wanted);
	else if (wanted > 0)
		TRY(file_read_at(slice->fd, "temporary file", slice->offset + at, data, wanted, &got));
	if (got < wanted)
		return error_new(ERR_SYSTEM, "could not read temporary file: it ends %zu bytes too early",
		                 wanted - got);
	*ret_size = got;
	return NULL;
}
