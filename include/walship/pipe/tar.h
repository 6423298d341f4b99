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
#define TAR_NAME_MAX \
	4096 /* longest name a reader accepts, with prefix or extensions: Linux has no longer paths */

typedef enum TarType
{
	TAR_FILE,
	TAR_DIRECTORY,
	TAR_SYMLINK,

	/* Only where they are asked for: see TarHandler.everything. */
	TAR_LINK, /* another name of the file that "link_target" names */
	TAR_FIFO,
	TAR_CHARACTER_DEVICE,
	TAR_BLOCK_DEVICE,
} TarType;

/* An extended attribute; the name as the kernel has it: "user.comment", "system.posix_acl_access". */
typedef struct TarAttribute
{
	char *name;
	void *value;
	size_t size;
} TarAttribute;

typedef struct TarEntry
{
	char name[TAR_NAME_MAX + 1];
	char link_target[TAR_NAME_MAX + 1];
	TarType type;
	uint64_t size; /* 0 for all but files */
	uint32_t mode; /* permission bits */
	int64_t mtime; /* seconds since 1970 */

	/* What tar_header_format() leaves out. */
	uint32_t mtime_ns; /* added to mtime */
	uint32_t uid;
	uint32_t gid;
	uint32_t device_major;
	uint32_t device_minor;
	bool sparse;                    /* the contents are a TarExtents map and what is no hole */
	uint64_t sparse_size;           /* of the file that comes of it */
	const TarAttribute *attributes; /* not owned; of a reader: until the entry's end */
	size_t n_attributes;
} TarEntry;

/* Name and link target up to 100 bytes (else ERR_USAGE); sizes from 8 GiB in base-256. */
Error *tar_header_format(const TarEntry *entry, uint8_t ret_block[TAR_BLOCK_SIZE]) MUST_CHECK;

#define TAR_EXTENSION_MAX (1024u * 1024) /* one pax header: what is written, and what is read */

/*
 * All blocks in front of the contents: pax records for what a ustar header does not
 * hold (docs/format.md), then the header.  Owners are numbers, without names.
 * ERR_SYSTEM when the records are longer than TAR_EXTENSION_MAX.
 */
Error *tar_entry_append(const TarEntry *entry, Buf *into) MUST_CHECK;

/* Where a sparse file has contents: ascending, not touching. */
typedef struct TarExtent
{
	uint64_t offset;
	uint64_t size;
} TarExtent;

typedef struct TarExtents
{
	TarExtent *items; /* owned */
	size_t count;
	size_t capacity;
} TarExtents;

void tar_extents_add(TarExtents *extents, uint64_t offset, uint64_t size);
void tar_extents_release(TarExtents *extents);
#define AUTO_TAR_EXTENTS __attribute__((cleanup(tar_extents_release))) TarExtents

#define TAR_EXTENTS_MAX 65536 /* what is written, and what is read */

/* The map in front of a sparse file's contents, format 1.0 of GNU tar, filled up to whole blocks. */
void tar_extents_print(const TarExtents *extents, uint64_t file_size, Buf *into);

/* The contents of a sparse entry as they come, map and all, taken apart. */
typedef struct TarSparseReader
{
	uint64_t file_size;
	uint64_t map_read; /* bytes */
	uint64_t numbers;  /* of the map, read so far; the first one says how many extents follow */
	uint64_t number;   /* the one being read */
	int digits;
	bool has_map;
	TarExtents extents;
	size_t current; /* extent */
	uint64_t current_done;
} TarSparseReader;

/* A run of the file's bytes. */
typedef Error *(*TarSparseCallback)(void *context, uint64_t offset, const void *data, size_t size);

void tar_sparse_begin(TarSparseReader *reader, uint64_t file_size);
Error *tar_sparse_take(TarSparseReader *reader, const void *data, size_t size, TarSparseCallback callback,
                       void *context) MUST_CHECK;
Error *tar_sparse_end(const TarSparseReader *reader) MUST_CHECK; /* ERR_CORRUPT: contents are missing */
void tar_sparse_release(TarSparseReader *reader);

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

	/*
	 * Also links, FIFOs, devices, sparse files (format 1.0 of GNU tar), owners, nanoseconds
	 * and extended attributes.  Otherwise the first four are ERR_CORRUPT, the others are not looked at.
	 */
	bool everything;
} TarHandler;

/*
 * Last stage.  "what" names the archive in errors.  Long names and sizes in the
 * extensions of POSIX (pax) and GNU tar are understood.  finish fails with
 * ERR_CORRUPT on a cut member; "needs_end": also when the end blocks are missing
 * (PostgreSQL 13 and 14 send archives without them).
 */
Sink *tar_reader_new(const TarHandler *handler, void *context, bool needs_end, const char *what);
