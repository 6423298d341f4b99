/*
 * files.json: what a set of files is, a tree of directories as it was at one time.
 * Written last, it makes the set exist (docs/format.md).  It names every part that
 * holds something of the set, also those that earlier sets stored.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "walship/age/age.h"
#include "walship/archive/record_list.h"
#include "walship/base/clock.h"
#include "walship/base/crypto.h"
#include "walship/base/error.h"
#include "walship/base/json.h"
#include "walship/base/strs.h"
#include "walship/store/store.h"

#define FILES_NAME_MAX  100
#define FILES_CHAIN_MAX 30 /* so many sets, one upon the other, and then one that stands alone */

typedef struct FilesPart
{
	char *set;  /* the id of the set that stored it */
	char *name; /* "files-0001.tar.br" */
	uint64_t raw_size;
	uint64_t stored_size;
	uint8_t stored_sha256[SHA256_SIZE];
} FilesPart;

typedef struct FilesListObject
{
	char *name; /* "list.br" */
	uint64_t raw_size;
	uint64_t stored_size;
	uint8_t stored_sha256[SHA256_SIZE];
	uint8_t raw_sha256[SHA256_SIZE];
} FilesListObject;

typedef struct FilesRecord
{
	uint64_t system_identifier;
	char *id;
	char *name;
	char *since;       /* the set whose unchanged files were not stored again; NULL: this one stands alone */
	uint32_t chain;    /* so many sets lie below it */
	TimeUs start_time; /* by this machine's clock; what the set holds was read between the two */
	TimeUs stop_time;
	char **directories; /* as they were named; none in an encrypted set */
	size_t n_directories;
	char *codec;
	char recipients[AGE_FINGERPRINTS_SIZE]; /* as of a backup */
	FilesPart *parts;                       /* of earlier sets first, each of them ascending */
	size_t n_parts;
	FilesListObject list;
	uint64_t files;      /* regular files, hard links counted once */
	uint64_t files_size; /* their bytes */
	uint64_t entries;    /* all that can be restored */
	uint64_t new_files;  /* what was stored now */
	uint64_t new_size;
	uint64_t changed; /* while they were read */
	uint64_t missing; /* vanished, or could not be read: not in the set */
	int64_t duration_ms;
	char *walship_version;
} FilesRecord;

FilesRecord *files_record_new(void);
void files_record_free(FilesRecord *record);
AUTO_DEFINE(FilesRecord, files_record_free);

uint64_t files_record_new_stored(const FilesRecord *record); /* bytes of the objects that this set stored */

/* Letters, digits, '.', '_' and '-', not beginning with a '.': it is a part of keys. */
bool files_name_is_valid(const char *name);

void files_record_put(const FilesRecord *record, Json *into);

/* ERR_EXISTS when the key is taken; ERR_SYSTEM when it would be longer than a record may be. */
Error *files_record_write(Store *store, const FilesRecord *record) MUST_CHECK;

/* ERR_NOT_FOUND: there is no such set.  ERR_CORRUPT: what is there is not its record. */
Error *files_record_read(Store *store, uint64_t system_identifier, const char *name, const char *id,
                         FilesRecord **ret_record) MUST_CHECK;

/* What has been stored of files: names, and of a name ids, ascending; also of what has no record. */
Error *files_list_names(Store *store, uint64_t system_identifier, StrList *ret_names) MUST_CHECK;
Error *files_list_ids(Store *store, uint64_t system_identifier, const char *name, StrList *ret_ids)
	MUST_CHECK;

/* All sets of a name, as many at the same time as there are threads; the records are FilesRecords, and the caller's. */
Error *files_sets_read(Store *store, uint64_t system_identifier, const char *name, int threads,
                       RecordList *ret_sets) MUST_CHECK;

/* The newest one that has a record; NULL: there is none. */
Error *files_record_newest(Store *store, uint64_t system_identifier, const char *name,
                           FilesRecord **ret_record) MUST_CHECK;
