/*
 * What is to be kept, as people write it in the settings "retention",
 * "dump_retention" and "files_retention":
 *
 *	window 7d, within 30d, last 3, daily 7, weekly 4, monthly 12, yearly 3
 *
 * any of them, in any order.  Each keeps what it names, so together they keep the
 * union.  What that means for backups and WAL is decided in walship/plan/retain.h.
 */
#pragma once

#include <stdint.h>

#include "walship/base/error.h"

/* Of what is not asked for: 0. */
typedef struct RetentionPolicy
{
	int64_t window_ms; /* every moment back to so long ago */
	int64_t within_ms; /* every backup that is younger */
	uint32_t
		last; /* so many backups, the newest ones; and of so many days, weeks, ... that have one, its newest */
	uint32_t daily;
	uint32_t weekly;
	uint32_t monthly;
	uint32_t yearly;
} RetentionPolicy;

/* ERR_USAGE names the word that is not understood, and the nearest one. */
Error *retention_parse(const char *text, RetentionPolicy *ret_policy) MUST_CHECK;

/* The one form of it: in the order above, times in the largest unit that divides them.  The caller frees. */
char *retention_text(const RetentionPolicy *policy);

/* "7d": a duration in that form.  The caller frees. */
char *retention_duration_text(int64_t ms);

/* For the settings: the text in its one form. */
Error *retention_canonical(const char *text, char **ret_text) MUST_CHECK;
