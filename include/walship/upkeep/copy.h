/*
 * The objects of one database system, from one store into another.  Objects are
 * never changed, so both are listed, and what the target lacks is sent: WAL first,
 * the oldest before the others, then pins, then backups, dumps and trees of files, of each
 * its objects and last its record.  Cut short anywhere, the next run sends what is still missing; two at
 * the same time send the same.
 *
 * What passes is checked as far as it can be without a key: segments by their index,
 * a backup's objects by its record, records and pins by their seals, history files by
 * their digests.  What is damaged at the source is named and not sent, and a backup
 * that would lack a part of it gets no record in the target.  Leases and evidence
 * (proof/) are about one store, and stay there.
 *
 * Beside an expire: of the source, leases keep what is being sent; of the target,
 * too, what has come.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "walship/archive/catalog.h"
#include "walship/archive/pin.h"
#include "walship/base/notice.h"
#include "walship/base/retention.h"
#include "walship/plan/retain.h"

typedef enum StoreCopyKind
{
	STORE_COPY_WAL,     /* segments, history files and what else lies below wal/ */
	STORE_COPY_PARTS,   /* objects of a backup, a dump, a tree of files: all but the record */
	STORE_COPY_RECORDS, /* of these */
	STORE_COPY_PINS,
	N_STORE_COPY_KINDS,
} StoreCopyKind;

typedef struct StoreCopyCount
{
	uint64_t objects;
	uint64_t size; /* bytes */
} StoreCopyCount;

typedef enum StoreCopyProblem
{
	STORE_COPY_DAMAGED, /* at the source: fails its checks */
	STORE_COPY_LACKING, /* at the source: an object that a backup's record names is not there */
	STORE_COPY_DIFFERS, /* in the target: another object has this key */
} StoreCopyProblem;

typedef struct StoreCopyFinding
{
	StoreCopyProblem problem;
	char *key;
	char *reason;
} StoreCopyFinding;

typedef struct StoreCopy
{
	/* Set by the caller, who keeps what is not said to be owned. */
	Store *source;
	Store *target;
	uint64_t system_identifier;
	const char *backup;     /* only this one, and the WAL that it does not bring along; NULL: all */
	bool has_policy;        /* else everything */
	RetentionPolicy policy; /* only what an expire under this one would keep at the source, pins among it */
	const RetentionPolicy *dump_policy;  /* likewise of dumps; NULL: all of them */
	const RetentionPolicy *files_policy; /* and of sets of files */
	const char *zone;                    /* of its calendar; NULL: UTC */
	int jobs;
	const char *spool_directory;                     /* for segments of more than SPOOL_MEMORY_MAX */
	void (*on_bytes)(void *context, uint64_t bytes); /* sent; by several threads; may be NULL */
	void *on_bytes_context;
	Notices notices;

	/* Found: what the target lacks, and what it has. */
	StoreCopyCount lacking[N_STORE_COPY_KINDS];
	StoreCopyCount present;
	uint64_t unfinished; /* backups without a record at the source: not for the target */

	/* Done. */
	StoreCopyCount sent[N_STORE_COPY_KINDS];
	uint64_t gone; /* objects that were removed at the source meanwhile */

	/* By both. */
	StoreCopyFinding *findings; /* owned */
	size_t n_findings;
	size_t findings_capacity;

	/* For store_copy_run() itself; owned. */
	Catalog *catalog;
	RetainPlan *plan;
	StrList unwanted; /* "dump/<ID>/", "files/<NAME>/<ID>/": what these policies do not keep */
	int64_t *local_times;
	RetainPin *pins;
	PinList pin_list;
	TimeLineID timeline; /* of the WAL that backups need which the target lacks; 0: there are none */
	XLogRecPtr start_lsn;
} StoreCopy;

/*
 * Lists both and compares; touches nothing.  ERR_NOT_FOUND: there is no such backup.
 * Main thread only, for the calendar.
 */
Error *store_copy_plan(StoreCopy *copy) MUST_CHECK;

/*
 * Sends what is missing, after store_copy_plan().  What is damaged or differs keeps it
 * from nothing else, and is no error: it is among the findings.  ERR_EXISTS: so much
 * differs that the target is another database system's.
 */
Error *store_copy_run(StoreCopy *copy) MUST_CHECK;

bool store_copy_found(const StoreCopy *copy, StoreCopyProblem problem);

void store_copy_release(StoreCopy *copy);
#define AUTO_STORE_COPY __attribute__((cleanup(store_copy_release))) StoreCopy
