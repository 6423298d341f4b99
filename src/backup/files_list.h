/*
 * The list of a set: a line of JSON for each entry, in the order of the walk, after
 * one for the set (docs/format.md).  It decides what is restored, from which part,
 * and what the next set need not store again.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "walship/backup/files.h"
#include "walship/base/buf.h"
#include "walship/base/error.h"
#include "walship/base/spool.h"
#include "walship/pipe/tar.h"

void files_entry_release(FilesEntry *entry);
#define AUTO_FILES_ENTRY __attribute__((cleanup(files_entry_release))) FilesEntry

/*
 * The order of the walk: what is in a directory follows it at once, names in byte
 * order.  So '/' comes before every other byte.  <0, 0, >0
 */
int files_path_compare(const char *a, const char *b);

/* Relative, no component empty, "." or "..", and no longer than a tar reader takes. */
bool files_path_is_safe(const char *path);

Error *files_list_begin(Spool *list, const char *name, const char *id) MUST_CHECK;
Error *files_list_add(Spool *list, const FilesEntry *entry) MUST_CHECK;

/* Reads a list from its beginning. */
typedef struct FilesListReader
{
	const Slice *list; /* not owned */
	const char *what;  /* names it in errors; not owned */
	uint64_t at;
	Buf buffer;
	size_t used; /* of the buffer */
	char *last;  /* path of the entry before */
} FilesListReader;

/* ERR_CORRUPT: it is not the list of this set. */
Error *files_list_open(FilesListReader *reader, const Slice *list, const char *what, const char *name,
                       const char *id) MUST_CHECK;

/* *ret_entry holds nothing before; at the end its path stays NULL.  ERR_CORRUPT: no entry, or out of order. */
Error *files_list_next(FilesListReader *reader, FilesEntry *ret_entry) MUST_CHECK;
void files_list_close(FilesListReader *reader);
