/* What transactions that have not ended did, as far as it tells a drop from a rewrite. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "walship/wal/record.h"

typedef struct Relations
{
	WalRelation *items; /* owned */
	size_t count;
	size_t capacity;
} Relations;

void relations_add(Relations *relations, WalRelation relation);
void relations_append(Relations *relations, const Relations *more);
void relations_sort(Relations *relations);                            /* and each only once */
bool relations_has(const Relations *relations, WalRelation relation); /* which must be sorted */
void relations_release(Relations *relations);

/* Of one transaction, or subtransaction. */
typedef struct XactEffects
{
	TransactionId xid;
	Relations created; /* files */
	Relations early; /* files created before the transaction had an xid; filled by open_xacts_claim_files() */
	Relations locked;      /* OIDs, in the order of the WAL; every checkpoint repeats those that are held */
	XLogRecPtr locked_at;  /* the first of these locks; InvalidXLogRecPtr: none was seen */
	XLogRecPtr dropped_at; /* DROP DATABASE: its record; else InvalidXLogRecPtr */
	uint32_t dropped_database;
} XactEffects;

void xact_effects_release(XactEffects *effects);

typedef struct OpenXacts
{
	XactEffects *items; /* ascending by xid; owned */
	size_t count;
	size_t capacity;
	Relations
		unassigned_files; /* files created without an xid, by transactions that have not ended; the newest */
} OpenXacts;

void open_xacts_add_created(OpenXacts *xacts, TransactionId xid, WalRelation file);
void open_xacts_add_locked(OpenXacts *xacts, TransactionId xid, XLogRecPtr lsn, WalRelation object);
void open_xacts_add_dropped_database(OpenXacts *xacts, TransactionId xid, XLogRecPtr lsn, uint32_t database);

/* Takes the transaction's effects out and adds them to "into". */
void open_xacts_take(OpenXacts *xacts, TransactionId xid, XactEffects *into);

/*
 * Gives it those of the unassigned files whose relation it has locked.  CREATE INDEX makes
 * the file before it has an xid, but no relation comes into being unlocked.
 */
void open_xacts_claim_files(OpenXacts *xacts, XactEffects *effects);
void open_xacts_release(OpenXacts *xacts);
