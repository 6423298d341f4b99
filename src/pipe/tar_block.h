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

/* A header of this type; names that are too long for their fields are cut. */
void tar_block_encode(const TarEntry *entry, char flag, const char *owner, uint8_t ret_block[TAR_BLOCK_SIZE]);

char tar_flag_of(TarType type);

/*
 * Settles type, size and form of the name; ERR_CORRUPT: unknown type, a name that leaves the directory.
 * "everything": as of TarHandler.
 */
Error *tar_entry_settle(char flag, bool everything, TarEntry *entry) MUST_CHECK;

/* Keys of pax records. */
#define PAX_ATTRIBUTE "SCHILY.xattr."
#define PAX_SPARSE    "GNU.sparse."

#define TAR_OCTAL_SIZE_MAX UINT64_C(077777777777) /* eleven digits */
#define TAR_OCTAL_ID_MAX   07777777u              /* seven */
#define TAR_FIELD_NAME_MAX 100
