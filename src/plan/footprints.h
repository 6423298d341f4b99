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
typedef struct Footprint
{
	TransactionId xid;
	Relations created; /* files */
	Relations
		early; /* files created before the transaction had an xid; filled by footprints_claim_strays() */
	Relations locked;      /* OIDs, in the order of the WAL; every checkpoint repeats those that are held */
	XLogRecPtr locked_at;  /* the first of these locks; InvalidXLogRecPtr: none was seen */
	XLogRecPtr dropped_at; /* DROP DATABASE: its record; else InvalidXLogRecPtr */
	uint32_t dropped_database;
} Footprint;

void footprint_release(Footprint *footprint);

typedef struct Footprints
{
	Footprint *items; /* ascending by xid; owned */
	size_t count;
	size_t capacity;
	Relations strays; /* files created without an xid, by transactions that have not ended; the newest */
} Footprints;

void footprints_add_created(Footprints *footprints, TransactionId xid, WalRelation file);
void footprints_add_locked(Footprints *footprints, TransactionId xid, XLogRecPtr lsn, WalRelation object);
void footprints_add_dropped_database(Footprints *footprints, TransactionId xid, XLogRecPtr lsn,
                                     uint32_t database);

/* Takes the transaction's footprint out and adds it to "into". */
void footprints_take(Footprints *footprints, TransactionId xid, Footprint *into);

/*
 * Gives it those of the strays whose relation it has locked.  CREATE INDEX makes
 * the file before it has an xid, but no relation comes into being unlocked.
 */
void footprints_claim_strays(Footprints *footprints, Footprint *footprint);
void footprints_release(Footprints *footprints);
