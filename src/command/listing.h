/* What "walship list" shows, for people and for programs. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "walship/archive/catalog.h"
#include "walship/base/buf.h"
#include "walship/plan/recover.h"
#include "walship/plan/windows.h"

/* Of a backup that was never completed. */
typedef struct Leftover
{
	const char *id; /* the catalog's */
	uint64_t size;
	uint64_t objects;
} Leftover;

typedef struct Listing
{
	Catalog *catalog;
	AgeIdentities *identities; /* NULL: nothing can be decrypted */
	WindowList windows;        /* one per timeline, in the catalog's order */
	Leftover *leftovers;
	size_t n_leftovers;
} Listing;

void listing_print_text(const Listing *listing, Buf *into);
void listing_print_json(const Listing *listing, Buf *into);

/* Is there a key for it, if it is encrypted? */
bool listing_can_open(const Listing *listing, const BackupRecord *backup);

/* Stored bytes and numbers, summed up. */
uint64_t listing_backup_size(const BackupRecord *backup);
uint64_t listing_raw_size(const BackupRecord *backup); /* of its tar files */
uint64_t listing_wal_size(const CatalogTimeline *timeline);
uint64_t listing_replay_size(const RecoveryWindow *window); /* from its newest backup to its end */
uint64_t listing_segments(const CatalogTimeline *timeline);
