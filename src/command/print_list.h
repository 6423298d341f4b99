/* What "walship list" shows, for people and for programs. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "walship/archive/catalog.h"
#include "walship/archive/pin.h"
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
	bool *refused;             /* of each backup: not encrypted, and not believed; NULL: none */
	PinList pins;
	WindowList windows; /* one per timeline, in the catalog's order */
	StrList warnings;   /* sentences about clocks */
	Leftover *leftovers;
	size_t n_leftovers;
	TimeUs now;   /* from which ages are counted */
	bool verbose; /* all backups, not only the newest ones */
} Listing;

uint64_t listing_segments(const CatalogTimeline *timeline);
uint64_t listing_wal_size(const CatalogTimeline *timeline); /* stored bytes */
uint64_t listing_replay_size(const RecoveryWindow *window); /* from its newest backup to its end */
bool listing_can_open(const Listing *listing,
                      const BackupRecord *backup); /* is there a key, if it needs one? */
bool listing_is_refused(const Listing *listing, size_t backup);

void print_list_text(const Listing *listing, FILE *into);
void print_list_json(const Listing *listing, FILE *into); /* docs/json.md */
