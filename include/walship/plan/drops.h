/*
 * What did transactions do away with?  From the records alone, without the
 * catalog: a commit names the files that go with it, and that is as true of
 * TRUNCATE and VACUUM FULL as of DROP TABLE.  What tells them apart is what
 * else the same transaction did.  Pure: events in, drops out.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "walship/wal/record.h"

#define DROPPED_NAMED_MAX 100 /* files and objects that one of them names; there may be more of them */

typedef enum DroppedKind
{
	DROPPED_RELATIONS, /* relations are gone */
	DROPPED_BY_REWRITE, /* they have new files: TRUNCATE, VACUUM FULL, CLUSTER, REINDEX, REFRESH, ALTER TABLE */
	DROPPED_DATABASE,
} DroppedKind;

/* A commit, or a DROP DATABASE. */
typedef struct DroppedObjects
{
	DroppedKind kind;
	XLogRecPtr
		lsn; /* of the record at which it happens: the commit, or before it, where a database's files go */
	XLogRecPtr commit_lsn;    /* InvalidXLogRecPtr: the database is gone, but its commit is not in the WAL */
	XLogRecPtr locked_lsn;    /* from here on the transaction kept others out; InvalidXLogRecPtr: not known */
	TransactionId xid;        /* top-level */
	TimeUs time;              /* of the commit; TIME_NONE: not known */
	uint32_t database;        /* OID; 0: files of several, or shared ones */
	uint64_t files;           /* files that were there before and are gone */
	uint64_t objects;         /* relations that were dropped, or rewritten */
	WalRelation *named_files; /* owned; the first of them */
	size_t n_named_files;
	uint32_t *named_objects; /* OIDs, ascending; owned; the first of them */
	size_t n_named_objects;
	bool cut; /* the commit's record goes on in WAL that was not seen: there may be more */
} DroppedObjects;

typedef struct DroppedList
{
	DroppedObjects *items; /* in LSN order of their commits; owned */
	size_t count;
	size_t capacity;
} DroppedList;

void dropped_list_release(DroppedList *list);

typedef struct DropDetector DropDetector;

/* "major": of the server that wrote the WAL. */
DropDetector *drop_detector_new(int major, DroppedList *list);

/*
 * A WalEventCallback, of events in LSN order, whose context is the DropDetector.
 * What a transaction did before the first event is not known: a rewrite whose
 * beginning was not seen may be taken for a drop.
 */
void drop_detector_add(void *detector, const WalEvent *event);

/* The databases whose DROP was seen but not its commit, which may just not be archived. */
void drop_detector_finish(DropDetector *detector);
void drop_detector_free(DropDetector *detector);
AUTO_DEFINE(DropDetector, drop_detector_free);
