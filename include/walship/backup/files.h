/*
 * Trees of files that no database holds, into the store and back: uploads, volumes,
 * /etc.  A set is what the trees held at one time, as tar archives that every tar
 * reads (docs/format.md).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "walship/age/age.h"
#include "walship/archive/lease.h"
#include "walship/backup/files_record.h"
#include "walship/base/error.h"
#include "walship/base/notice.h"
#include "walship/base/strs.h"
#include "walship/pipe/codec.h"
#include "walship/pipe/tar.h"
#include "walship/store/store.h"

typedef struct FilesTakeOptions
{
	Store *store;
	uint64_t system_identifier;
	const char *name;
	const StrList *directories;
	const StrList *excludes; /* see files_walk.h */
	bool one_file_system;

	/*
	 * What has not changed since this set is not stored again.  NULL: since the newest one,
	 * unless "full", and unless FILES_CHAIN_MAX sets lie one upon the other.
	 */
	const char *since;
	bool full;

	Compression compression;
	const AgeRecipients *recipients; /* NULL: nothing is encrypted */
	const AgeIdentities
		*identities;       /* to read the list of the set before, where "state_dir" lacks it; may be NULL */
	uint64_t part_size;    /* raw bytes after which a new part begins */
	const char *state_dir; /* keeps the list for the next set, and what is too much for memory */
	int jobs;              /* files that are read at the same time */
	const char *walship_version;

	Notices notices;
	void (*progress)(void *context, uint64_t done); /* bytes looked at; in the caller's thread; may be NULL */
	void *context;
} FilesTakeOptions;

/*
 * The record tells what changed meanwhile or could not be read, which is no error: it is
 * told, too.  After an error nothing is left in the store, as far as it can be removed.
 */
Error *files_take(const FilesTakeOptions *options, FilesRecord **ret_record) MUST_CHECK;

/*
 * A set to read, by its id or, NULL, the newest one: ERR_NOT_FOUND when there is none.
 * Under a lease, so that no expire removes it meanwhile.
 */
Error *files_choose(Store *store, uint64_t system_identifier, const char *name, const char *id,
                    const Notices *notices, LeaseHold **ret_lease, FilesRecord **ret_record) MUST_CHECK;

typedef struct FilesRestoreOptions
{
	Store *store;
	const FilesRecord *record;
	const AgeIdentities *identities; /* may be NULL */
	const char *into; /* a directory that is empty, or is made; NULL: nowhere, all is only read and checked */
	const StrList *only; /* paths: those and what is below them; empty: all */
	const char *spool_directory;
	int jobs; /* parts at a time */
	Notices notices;
	void (*on_total)(void *context, uint64_t bytes); /* once, of files; may be NULL */
	void (*on_bytes)(void *context, uint64_t bytes); /* from several threads; may be NULL */
	void *context;
} FilesRestoreOptions;

typedef struct FilesRestored
{
	uint64_t entries;
	uint64_t files;
	uint64_t size;
	uint64_t parts;      /* that were read */
	uint64_t incomplete; /* attributes or devices that this user or this file system cannot have: told */
	bool owners_left;    /* to this user: only root gives files away */
} FilesRestored;

/*
 * Nothing is written outside "into", whatever the store says.  ERR_EXISTS: it is not
 * empty; ERR_NOT_FOUND: a path of "only" is not in the set; ERR_CORRUPT, ERR_DENIED,
 * ERR_UNTRUSTED as of backups.
 */
Error *files_restore(const FilesRestoreOptions *options, FilesRestored *ret_restored) MUST_CHECK;

/* What the list of a set says of a path. */
typedef struct FilesEntry
{
	char *path; /* without its first '/' */
	TarType type;
	uint64_t size; /* of a regular file */
	uint32_t mode;
	uint32_t uid;
	uint32_t gid;
	int64_t mtime;
	uint32_t mtime_ns;
	int64_t ctime;
	uint32_t ctime_ns;
	uint64_t inode; /* 0: the next set must not take the file for unchanged */
	char *target;   /* of a hard link: the path of the file */
	char *part;     /* "<ID>/files-0001.tar.br"; NULL: it is not in the set */
	char *problem;  /* why not, or why it may not be as it was at any one time; NULL: none */
} FilesEntry;

/* Each entry of a set, in the order of the walk; also those that are not in it.  Of the options "into", "only" and the callbacks are not looked at. */
typedef Error *(*FilesEntryCallback)(void *context, const FilesEntry *entry);
Error *files_list_entries(const FilesRestoreOptions *options, FilesEntryCallback callback, void *context)
	MUST_CHECK;

/* A line of the list, as docs/format.md has it. */
void files_entry_put(const FilesEntry *entry, Json *into);
