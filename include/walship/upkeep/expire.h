/*
 * Retention carried out: what no rule keeps is removed, and what is in use is not.
 *
 * The order, of everything that has a record: leases and pins are read, then the plan is
 * made (walship/plan/retain.h, retain_records.h); the records of what goes are removed, so
 * that nobody begins to read it; the leases are read again, for somebody may have begun
 * before; then what nobody uses goes.  Cut short anywhere, the next run finds what is left
 * and goes on.
 *
 * What is removed, and by which rules, is the kind's: backups and WAL (expire_backups.h),
 * dumps and sets of files (expire_records.h).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "walship/archive/lease.h"
#include "walship/archive/pin.h"
#include "walship/base/notice.h"
#include "walship/plan/retain.h"

typedef struct ExpireKind ExpireKind;

/* Objects that the store did not remove, for one reason. */
typedef struct ExpireStuck
{
	char *reason;  /* the store's: "Object is WORM protected" */
	char *example; /* a key */
	uint64_t objects;
	TimeUs locked_until;   /* the first of them, as the store says; TIME_NONE: it does not say */
	TimeUs locked_longest; /* the last one */
} ExpireStuck;

/* The first member of what each kind has. */
typedef struct Expire
{
	/* Set by the caller, who keeps what is not said to be owned. */
	const ExpireKind *kind;
	Store *store;
	uint64_t system_identifier;
	RetentionPolicy policy;
	const char *zone;          /* of the calendar; NULL: UTC */
	int64_t backup_max_age_ms; /* of backups; 0: however old the newest is */
	bool force;
	int jobs;
	Notices notices;
	void (*on_objects)(void *context, uint64_t removed); /* NULL: nobody asks */
	void *on_objects_context;

	/* Found by expire_plan(). */
	TimeUs now;
	PinList pins;
	LeaseList leases;
	RetainGuard guard;
	char *policy_text;

	/* Done by expire_run(). */
	bool refused; /* its error says why the plan was not carried out */
	uint64_t removed_objects;
	uint64_t removed_bytes;
	StrList removed_uploads; /* keys of uploads that were begun a day before and more, and never ended */
	ExpireStuck *stuck;
	size_t n_stuck;
	size_t stuck_capacity;

	/* For the kind's decision: the pins; leases in force, and what kept its record although that was to go. */
	RetainPin *retain_pins;
	RetainLease *live;
	size_t n_live;
	StrList lease_texts;
} Expire;

/* Reads everything and decides; touches nothing.  Main thread only, for the calendar. */
Error *expire_plan(Expire *expire) MUST_CHECK;

/* ERR_EXISTS with "refused" set: the plan must not be carried out. */
Error *expire_refusal(Expire *expire) MUST_CHECK;

/* Likewise, having asked the store's clock, too; else it is carried out.  What the store would not remove is no error. */
Error *expire_run(Expire *expire) MUST_CHECK;
