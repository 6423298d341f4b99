/* Header blocks as the reader needs them: with the types that describe another entry. */
#pragma once

#include "walship/pipe/tar.h"

typedef struct TarBlock
{
	TarEntry entry; /* name not yet checked; size and type only meaningful together with "flag" */
	char flag;      /* POSIX: typeflag */
} TarBlock;

#define TAR_FLAG_PAX        'x' /* POSIX: records for the next entry */
#define TAR_FLAG_PAX_GLOBAL 'g'
#define TAR_FLAG_GNU_NAME   'L' /* GNU: the next entry's name */
#define TAR_FLAG_GNU_LINK   'K' /* GNU: the next entry's link target */

/* ERR_CORRUPT: no header, wrong checksum, a number out of range. */
Error *tar_block_decode(const uint8_t block[TAR_BLOCK_SIZE], TarBlock *ret_block) MUST_CHECK;

/* Settles type, size and form of the name; ERR_CORRUPT: unknown type, a name that leaves the directory. */
Error *tar_entry_settle(char flag, TarEntry *entry) MUST_CHECK;
