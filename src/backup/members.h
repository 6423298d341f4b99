/*
 * Which members lie in the parts of a backup, in their order: kept while the parts are
 * made, in a spool, since the manifest, which has most of their sizes, comes last.
 * The map is made of it.
 */
#pragma once

#include <stdint.h>

#include "walship/base/error.h"
#include "walship/base/spool.h"
#include "walship/pipe/tar.h"

#define MEMBER_PATH_SIZE (TAR_NAME_MAX + 64)

typedef struct MemberList
{
	Spool *spool; /* NULL before the first one */
	Error *error; /* they could not be kept: there will be no map, and nothing else is lost */
} MemberList;

/* Where it ends just now. */
uint64_t member_list_end(const MemberList *list);

/* A member of a part of this set.  NULL as "spool_directory": nothing is kept. */
void member_list_add(MemberList *list, const char *spool_directory, const char *set, const TarEntry *entry);

/*
 * The member at *at, which moves on to the next one.  Its path is as in the
 * manifest; a directory's ends with a slash, as it may in a tar.
 */
Error *member_list_read(const MemberList *list, uint64_t *at, char ret_path[MEMBER_PATH_SIZE],
                        uint64_t *ret_size) MUST_CHECK;

void member_list_release(MemberList *list);
