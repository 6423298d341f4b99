/*
 * What is kept, or goes, by its time: the rules that backups, dumps and trees of
 * files have in common.  Each adds its reason to what it keeps; what has none goes.
 * Nothing of it leaves the folder.
 */
#pragma once

#include "walship/base/buf.h"
#include "walship/plan/retain.h"

typedef struct Dated
{
	const char *id;
	TimeUs time;     /* when it ended */
	int64_t local;   /* what the calendar's clocks showed then, in seconds */
	bool looked;     /* at "objection" */
	char *objection; /* why it cannot be restored; NULL: it can */
	Buf reasons;     /* why it stays, ", " between two */
} Dated;

typedef struct DatedRules
{
	const char *noun; /* "backup" */
	const RetentionPolicy *policy;
	TimeUs now;
	const RetainPin *pins;
	size_t n_pins;
	const RetainLease *leases;
	size_t n_leases;
	Dated **newest_first; /* by dated_sort() */
	size_t count;

	/* Asked for once, and only of those that a rule would keep.  The result is freed by dated_release(). */
	char *(*objection)(void *context, const Dated *dated);
	void *context;
} DatedRules;

void dated_init(Dated *dated, const char *id, TimeUs time, int64_t local);
void dated_release(Dated *dated);

void dated_sort(Dated **dated, size_t count);

void dated_reason(Dated *dated, const char *format, ...) PRINTF_LIKE(2, 3);
bool dated_is_complete(const DatedRules *rules, Dated *dated);

/* within, last and the calendar; pins; leases. */
void dated_keep(const DatedRules *rules);

/* Whatever the rules say: the newest that can be restored stays, and is returned; NULL: there is none. */
const Dated *dated_keep_least(const DatedRules *rules);

/* Does it stay?  The reason is the caller's. */
bool dated_conclude(Dated *dated, char **ret_reason);
