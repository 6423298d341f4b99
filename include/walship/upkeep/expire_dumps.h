/*
 * Retention of dumps, carried out as that of backups (walship/upkeep/expire.h): records
 * first, then, after a second look at the leases, their objects.
 */
#pragma once

#include "walship/archive/dump_record.h"
#include "walship/plan/retain_records.h"
#include "walship/upkeep/expire.h"

/* What a dump without a record left. */
typedef struct DumpLeftover
{
	char *id;
	TimeUs last_modified; /* of its youngest object, by the store's clock */
	uint64_t stored_size;
	bool keep;
	const char *reason; /* static */
} DumpLeftover;

typedef struct ExpireDumps
{
	Expire common; /* set by the caller as there; "policy" is that of dumps */
	DumpList dumps;
	DumpLeftover *leftovers;
	size_t n_leftovers;

	/* For expire_dumps_run() itself. */
	RetainRecord *items;
	char **objections;
	RetainRecordsRequest request;
} ExpireDumps;

/* Reads everything and decides; touches nothing.  Main thread only, for the calendar. */
Error *expire_dumps_plan(ExpireDumps *expire) MUST_CHECK;

/* As expire_refusal() and expire_run(); "common" says what was refused and done. */
Error *expire_dumps_refusal(ExpireDumps *expire) MUST_CHECK;
Error *expire_dumps_run(ExpireDumps *expire) MUST_CHECK;

void expire_dumps_release(ExpireDumps *expire);
#define AUTO_EXPIRE_DUMPS __attribute__((cleanup(expire_dumps_release))) ExpireDumps
