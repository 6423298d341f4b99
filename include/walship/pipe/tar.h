/*
 * tar, as PostgreSQL and POSIX have it (ustar; PostgreSQL: port/tar.c).  Writing
 * is formatting header blocks; reading is a last stage that calls back.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "walship/base/buf.h"
#include "walship/base/clock.h"
#include "walship/pipe/sink.h"

#define TAR_BLOCK_SIZE 512
#define TAR_NAME_MAX   1024 /* longest name a reader accepts, with prefix or extensions */

typedef enum TarType
{
	TAR_FILE,
	TAR_DIRECTORY,
	TAR_SYMLINK,
} TarType;

typedef struct TarEntry
{
	char name[TAR_NAME_MAX + 1];
	char link_target[TAR_NAME_MAX + 1];
	TarType type;
	uint64_t size; /* 0 for all but files */
	uint32_t mode; /* permission bits */
	int64_t mtime; /* seconds since 1970 */
} TarEntry;

/* Name and link target up to 100 bytes (else ERR_USAGE); sizes from 8 GiB in base-256. */
Error *tar_header_format(const TarEntry *entry, uint8_t ret_block[TAR_BLOCK_SIZE]) MUST_CHECK;

/*
 * ERR_CORRUPT: wrong checksum, an unknown type, a name that leaves the
 * directory ("/x", "a/../b").  Where a symbolic link points to is not looked at.
 */
Error *tar_header_parse(const uint8_t block[TAR_BLOCK_SIZE], TarEntry *ret_entry) MUST_CHECK;

bool tar_block_is_zero(const uint8_t block[TAR_BLOCK_SIZE]);

/* Bytes of padding after a member of this size. */
static inline uint32_t
tar_padding(uint64_t size)
{
	return (uint32_t) ((TAR_BLOCK_SIZE - size % TAR_BLOCK_SIZE) % TAR_BLOCK_SIZE);
}

/* The two blocks of zeros at the end of an archive. */
#define TAR_END_SIZE (2 * TAR_BLOCK_SIZE)

/* Called in the order of the archive; "begin" and "end" once per entry, "data" for files with contents. */
typedef struct TarHandler
{
	Error *(*begin)(void *context, const TarEntry *entry);
	Error *(*data)(void *context, const void *data, size_t size);
	Error *(*end)(void *context);
} TarHandler;

/*
 * Last stage.  "what" names the archive in errors.  Long names and sizes in the
 * extensions of POSIX (pax) and GNU tar are understood.  finish fails with
 * ERR_CORRUPT on a cut member; "needs_end": also when the end blocks are missing
 * (PostgreSQL 13 and 14 send archives without them).
 */
Sink *tar_reader_new(const TarHandler *handler, void *context, bool needs_end, const char *what);
