/*
 * Retention of what needs no WAL: dumps, and sets of files, for each name by itself.  The
 * order is that of walship/upkeep/expire.h.
 *
 * What the record of another set needs of a set of files stays, with or without the
 * rules; and while somebody stores or reads files of a name nothing of that name goes.
 */
#pragma once

#include "walship/plan/retain_records.h"
#include "walship/upkeep/expire.h"

extern const ExpireKind expire_of_dumps;
extern const ExpireKind expire_of_files;

/* What lies in the store without a record. */
typedef struct ExpireLeftover
{
	char *id;
	TimeUs last_modified; /* of its youngest object, by the store's clock */
	uint64_t stored_size;
	bool keep;
	const char *reason;
} ExpireLeftover;

/* An object that a record needs; of sets of files several may need the same. */
typedef struct ExpireNeed
{
	size_t record; /* by its number */
	char *id;      /* below which it lies */
	char *name;
	uint64_t stored_size;
	bool there; /* in full */
} ExpireNeed;

/* All dumps, or all sets of files of one name. */
typedef struct ExpireGroup
{
	char *name;   /* NULL: of dumps */
	char *prefix; /* of its keys */

	RetainRecord *records; /* ascending; id and objection are owned */
	size_t n_records;
	size_t records_capacity;
	ExpireNeed *needs;
	size_t n_needs;
	size_t needs_capacity;
	RetainRecordsPlan *plan;

	ExpireLeftover *leftovers;
	size_t n_leftovers;
	size_t leftovers_capacity;
	char *untouched; /* why nothing of it goes; NULL: it may */
} ExpireGroup;

typedef struct ExpireRecords
{
	Expire common;       /* its kind is one of those above */
	ExpireGroup *groups; /* ascending by name; of dumps always one */
	size_t n_groups;
	size_t groups_capacity;
	StrList damaged; /* "<id>: <why>" of dumps */
} ExpireRecords;

void expire_records_release(ExpireRecords *expire);
#define AUTO_EXPIRE_RECORDS __attribute__((cleanup(expire_records_release))) ExpireRecords
