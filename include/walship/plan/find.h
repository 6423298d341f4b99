/*
 * What did transactions do away with?  From the records alone, without the
 * catalog: a commit names the files that go with it, and that is as true of
 * TRUNCATE and VACUUM FULL as of DROP TABLE.  What tells them apart is what
 * else the same transaction did.  Pure: events in, losses out.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "walship/wal/record.h"

#define LOSS_NAMED_MAX 100 /* files and objects that a loss names; there may be more of them */

typedef enum LossKind
{
	LOSS_DROP,    /* relations are gone */
	LOSS_REWRITE, /* they have new files: TRUNCATE, VACUUM FULL, CLUSTER, REINDEX, REFRESH, ALTER TABLE */
	LOSS_DATABASE,
} LossKind;

/* A commit, or a DROP DATABASE. */
typedef struct Loss
{
	LossKind kind;
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
} Loss;

typedef struct LossList
{
	Loss *items; /* in LSN order of their commits; owned */
	size_t count;
	size_t capacity;
} LossList;

void loss_list_release(LossList *list);

typedef struct LossWatch LossWatch;

/* "major": of the server that wrote the WAL. */
LossWatch *loss_watch_new(int major, LossList *list);

/*
 * A WalEventCallback, of events in LSN order, whose context is the LossWatch.
 * What a transaction did before the first event is not known: a rewrite whose
 * beginning was not seen may be taken for a drop.
 */
void loss_watch_add(void *watch, const WalEvent *event);

/* The databases whose DROP was seen but not its commit, which may just not be archived. */
void loss_watch_finish(LossWatch *watch);
void loss_watch_free(LossWatch *watch);
AUTO_DEFINE(LossWatch, loss_watch_free);
