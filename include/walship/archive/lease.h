/*
 * lease/<id>-<n>.json: somebody reads or writes here now, so nothing of it may be
 * removed.  A reader writes its lease, then reads the record; who removes lists the
 * leases, removes the record, lists the leases again, and removes the rest.
 *
 * Nothing is rewritten: a renewal is the object with the next n.  A lease ends so
 * long after its last object came into the store, by the store's clock: a holder
 * that was killed does not keep anything for long, and its clock does not matter.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "walship/base/clock.h"
#include "walship/base/error.h"
#include "walship/base/notice.h"
#include "walship/store/store.h"
#include "walship/wal/lsn.h"

#define LEASE_VALID_S  3600  /* without a renewal; there is one three times as often */
#define LEASE_LINGER_S 86400 /* of a recovery that is done: the server still replays */

typedef struct Lease
{
	char *id;
	char *kind;           /* "recover", "backup", "expire", ... */
	char *holder;         /* "host db2, process 4711" */
	char *backup;         /* NULL: none */
	TimeLineID timeline;  /* 0: no WAL */
	XLogRecPtr start_lsn; /* of the WAL of the way to "timeline" from here on */
	int64_t valid_s;

	/* Of one that was read: */
	int number;    /* of its last object */
	TimeUs came;   /* when that came into the store */
	TimeUs until;  /* by the store's clock */
	bool readable; /* false: nothing is known but id, number and times; until a day after it came */
} Lease;

typedef struct LeaseList
{
	Lease *items;
	size_t count;
	size_t capacity;
} LeaseList;

void lease_list_release(LeaseList *leases);
#define AUTO_LEASES __attribute__((cleanup(lease_list_release))) LeaseList

/* All of them, also those that have ended. */
Error *lease_list_read(Store *store, uint64_t system_identifier, LeaseList *ret_leases) MUST_CHECK;

/* Removes all objects of a lease, and where the store has a second one there, too. */
Error *lease_remove(Store *store, uint64_t system_identifier, const Lease *lease) MUST_CHECK;

/* What a lease is on; nothing of it is owned. */
typedef struct LeaseOn
{
	const char *id; /* of lease_new_id(), noted where somebody finds it after a kill; NULL: any */
	const char *kind;
	const char *backup;
	TimeLineID timeline;
	XLogRecPtr start_lsn;
} LeaseOn;

char *lease_new_id(void); /* the caller frees */

/* A lease of this process, renewed by a thread of its own until it is given up. */
typedef struct LeaseHold LeaseHold;

/*
 * Where the store has a second one behind it, from which is read what the first lacks, there
 * is another one of the same id there: an expire of the second store asks there.
 *
 * One that cannot be written is no error, for credentials may be allowed to read only: it
 * is warned of.
 */
LeaseHold *lease_hold(Store *store, uint64_t system_identifier, const LeaseOn *on, const Notices *notices);

/* When its first object came, by the store's clock; TIME_NONE: it could not be written. */
TimeUs lease_hold_came(const LeaseHold *hold);
const char *lease_hold_id(const LeaseHold *hold);

/* From now on it holds for so long after its holder: it is not removed by lease_hold_free(). */
void lease_hold_linger(LeaseHold *hold, int64_t valid_s);

/* Ends it.  NULL is nothing. */
void lease_hold_free(LeaseHold *hold);
AUTO_DEFINE(LeaseHold, lease_hold_free);
