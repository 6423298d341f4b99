/*
 * What of a set of files is to be restored: entries of its list, and which part holds
 * each.  A hard link that was asked for without its file becomes that file.
 */
#pragma once

#include <stdatomic.h>

#include "files_list.h"
#include "files_place.h"
#include "walship/backup/files.h"
#include "walship/backup/files_record.h"

/* An entry that is to be restored. */
typedef struct Wanted
{
	char *path;        /* in the set */
	char *as;          /* where it goes, when that is another path; else NULL */
	char *target;      /* of a hard link, whose bytes lie under another path */
	FilesFacts *facts; /* of a directory: for the end */
	uint64_t size;
	uint32_t part; /* its number in the record */
	TarType type;
	bool linked; /* a link's own member is not needed: it is made from the file */
	atomic_bool seen;
} Wanted;

typedef struct FilesWanted
{
	const FilesRecord *record;
	Wanted *items; /* in the order of the list */
	size_t count;
	size_t capacity;
	size_t **of_part; /* numbers of items, ascending, for each part; hard links are not read */
	size_t *n_of_part;
} FilesWanted;

/*
 * "only": paths, of which everything below comes, too; empty: all.  ERR_NOT_FOUND, when one of them is not in the set.
 * To be released also after an error.
 */
Error *files_wanted_choose(FilesWanted *wanted, const FilesRecord *record, const Slice *list,
                           const StrList *only) MUST_CHECK;
void files_wanted_release(FilesWanted *wanted);

Wanted *files_wanted_find(const FilesWanted *wanted, const char *path); /* NULL: it is not wanted */
const char *files_wanted_destination(const Wanted *wanted);
