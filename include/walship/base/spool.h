/*
 * Bytes kept until their whole is known: in memory up to SPOOL_MEMORY_MAX, then
 * in an unlinked temporary file.
 */
#pragma once

#include <stdint.h>

#include "walship/base/error.h"

#define SPOOL_MEMORY_MAX (32u * 1024 * 1024)

typedef struct Spool Spool;

/* A run of bytes, in memory (data != NULL) or in a file. */
typedef struct Slice
{
	const void *data;
	int fd;
	uint64_t offset; /* in the file */
	uint64_t size;
} Slice;

/* "directory" is where the temporary file goes, should there be one. */
Spool *spool_new(const char *directory);
Error *spool_write(Spool *spool, const void *data, size_t size) MUST_CHECK;
void spool_clear(Spool *spool); /* empty again */
uint64_t spool_size(const Spool *spool);

/* The contents as one slice, valid until the next write or spool_free(). */
Slice spool_slice(const Spool *spool);

void spool_free(Spool *spool);
AUTO_DEFINE(Spool, spool_free);

static inline Slice
slice_of_memory(const void *data, size_t size)
{
	return (Slice){.data = data, .fd = -1, .size = size};
}

/* Copies up to "size" bytes from position "at" of the slice; *ret_size is 0 at its end. */
Error *slice_read(const Slice *slice, uint64_t at, void *data, size_t size, size_t *ret_size) MUST_CHECK;
