/*
 * The setting "files_retention" carried out: sets of files that no rule keeps are
 * removed, for each name by itself.  The order is that of an expire
 * (walship/upkeep/expire.h): leases, records, leases again, parts.
 *
 * While somebody stores or reads files of a name nothing of that name goes.  What the
 * record of another set needs of a set stays, with or without the rules.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "walship/backup/files_record.h"
#include "walship/base/notice.h"
#include "walship/plan/retain_records.h"

/* What lies below files/<NAME>/<ID>/ without a record. */
typedef struct ExpireLeftover
{
	char *id;
	TimeUs last_modified;
	uint64_t stored_size;
	bool keep;
	const char *reason;
} ExpireLeftover;

/* All sets of a name. */
typedef struct ExpireTree
{
	char *name;
	FilesRecord **records; /* ascending */
	size_t n_records;
	RetainRecord *items; /* of each record */
	char **objections;   /* of each record; NULL: none */
	RetainRecordsPlan *plan;
	ExpireLeftover *leftovers;
	size_t n_leftovers;
	char *untouched; /* why nothing of this name goes; NULL: it may */
} ExpireTree;

typedef struct ExpireFiles
{
	/* Set by the caller, who keeps them. */
	Store *store;
	uint64_t system_identifier;
	RetentionPolicy policy;
	const char *zone; /* of the calendar; NULL: UTC */
	bool force;
	Notices notices;
	void (*on_objects)(void *context, uint64_t removed); /* NULL: nobody asks */
	void *on_objects_context;

	/* Found by expire_files_plan(). */
	TimeUs now;
	ExpireTree *trees; /* ascending by name */
	size_t n_trees;
	char *policy_text;
	RetainGuard guard;

	/* Done by expire_files_run(). */
	bool refused;
	uint64_t removed_objects;
	uint64_t removed_bytes;
	uint64_t stuck_objects;
	char *stuck_reason; /* of the first one; NULL: none */
} ExpireFiles;

/* Reads everything and decides; touches nothing.  Main thread only, for the calendar. */
Error *expire_files_plan(ExpireFiles *expire) MUST_CHECK;

/* ERR_EXISTS with "refused" set: the plan must not be carried out. */
Error *expire_files_refusal(ExpireFiles *expire) MUST_CHECK;

/* What the store would not remove is no error. */
Error *expire_files_run(ExpireFiles *expire) MUST_CHECK;

void expire_files_release(ExpireFiles *expire);
#define AUTO_EXPIRE_FILES __attribute__((cleanup(expire_files_release))) ExpireFiles
