/*
 * What is missing or damaged in a store is brought back from another one: exactly what
 * a verify finds there (walship/upkeep/verify.h), so nothing comes back that an expire
 * has removed, however much of that the other store still has.
 *
 * "Objects never change" holds for whole ones.  One that fails its checks, once more
 * when it is read just before, is replaced in one write: a reader gets the old one or
 * the new one, never none, and a run that is killed leaves the one or the other.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "walship/upkeep/copy.h"
#include "walship/upkeep/verify.h"

typedef struct HealFailure
{
	char *key;
	char *reason;
} HealFailure;

typedef struct Heal
{
	/* Set by the caller, who keeps what is not said to be owned. */
	Store *store; /* in which things are missing or damaged */
	Store *other; /* from which they come */
	uint64_t system_identifier;
	const AgeIdentities *identities;  /* as of a verify */
	const RetentionPolicy *retention; /* likewise */
	const char *zone;
	int jobs;
	bool deep;    /* read everything to find what is damaged */
	bool dry_run; /* only look what could be brought back */
	const char *spool_directory;
	void (*on_bytes)(void *context, uint64_t bytes); /* as of a verify and a copy; may be NULL */
	void *on_bytes_context;
	Notices notices;

	/* Done; owned. */
	StrList healed;        /* keys; of a dry run what would be */
	HealFailure *failures; /* what the other store has not, or not whole, either */
	size_t n_failures;
	size_t failures_capacity;
	Verify verify; /* the last look: what it finds is still so */
} Heal;

/* Main thread only, for the calendar.  What could not be brought back is no error. */
Error *heal_run(Heal *heal) MUST_CHECK;
void heal_release(Heal *heal);
#define AUTO_HEAL __attribute__((cleanup(heal_release))) Heal
