/*
 * What is kept and what goes of records that stand for themselves, dumps and trees
 * of files, by the same retention lines as backups ("dump_retention",
 * "files_retention").  Pure.
 *
 * A window means here: all that ended in it, and the newest complete one that
 * ended before it, so that there is a state for each of its moments.  One that can
 * only be read together with an older one (its base) keeps that, too.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "walship/base/clock.h"
#include "walship/base/error.h"
#include "walship/base/retention.h"
#include "walship/plan/retain.h"

#define RETAIN_NO_BASE SIZE_MAX

typedef struct RetainRecord
{
	const char *id;
	TimeUs time;           /* when it ended */
	int64_t local_time;    /* what the calendar's clocks showed then, in seconds */
	size_t base;           /* the record without which it cannot be read, by its number; RETAIN_NO_BASE */
	const char *objection; /* why it cannot be restored: "lacks 2 objects"; NULL: it can */
	uint64_t stored_size;  /* bytes */
} RetainRecord;

/* Records of one kind: all dumps, or all of one tree. */
typedef struct RetainRecordsRequest
{
	const char *noun; /* "dump": for reasons and refusals */
	RetentionPolicy policy;
	TimeUs now;
	const RetainRecord *records; /* in any order */
	size_t n_records;
	const RetainPin *pins;
	size_t n_pins;
	const RetainLease *leases; /* live ones only; their WAL is not looked at */
	size_t n_leases;
} RetainRecordsRequest;

typedef struct RetainedRecord
{
	const RetainRecord *record; /* the request's */
	bool keep;
	char *reason; /* "daily 2026-08-21"; "no rule keeps it" */
} RetainedRecord;

typedef struct RetainRecordsPlan
{
	RetainedRecord *records; /* in the request's order */
	size_t n_records;
	const RetainRecord *newest; /* the newest complete one; NULL: there is none */
	size_t removed;
	uint64_t freed; /* bytes */
} RetainRecordsPlan;

RetainRecordsPlan *plan_retain_records(const RetainRecordsRequest *request);
void retain_records_plan_free(RetainRecordsPlan *plan);
AUTO_DEFINE(RetainRecordsPlan, retain_records_plan_free);

/* As retain_refusal(), which see.  A guard's "backup_max_age_ms" of 0: however old the newest is. */
Error *retain_records_refusal(const RetainRecordsRequest *request, const RetainRecordsPlan *plan,
                              const RetainGuard *guard) MUST_CHECK;
