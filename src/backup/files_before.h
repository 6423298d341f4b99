/* The set before, for one that stores only what has changed since. */
#pragma once

#include "files_list.h"
#include "walship/backup/files.h"

typedef struct FilesBefore
{
	FilesRecord *record; /* NULL: there is none to build upon */
	Spool *list;
	Slice slice;
	FilesListReader reader;
	FilesEntry next; /* of the list; no path: it is at its end */
	bool *used;      /* parts of the record that the new set needs */
} FilesBefore;

/*
 * Looks for it.  Why there is none, where there might be one, is told; ERR_USAGE, ERR_NOT_FOUND:
 * the one that "since" names cannot be built upon.
 */
Error *files_before_open(const FilesTakeOptions *options, FilesBefore *ret_before) MUST_CHECK;

/* What it has of this path; in the order of the walk.  Its part is one that is in the store. */
Error *files_before_find(FilesBefore *before, const char *path, FilesEntry *ret_entry) MUST_CHECK;

/* This part belongs to the new set, too. */
void files_before_use(FilesBefore *before, const char *part);
void files_before_close(FilesBefore *before);

/* Keeps the list in "state_dir" for the next set; a failure is told, and no harm. */
void files_before_keep(const FilesTakeOptions *options, const FilesRecord *record, const Slice *list);

/* The list of a set out of the store, checked. */
Error *files_list_fetch(Store *store, const FilesRecord *record, const AgeIdentities *identities, Spool *into)
	MUST_CHECK;

/* May it be read here, and with the keys at hand? */
Error *files_check_readable(const FilesRecord *record, const AgeIdentities *identities) MUST_CHECK;
