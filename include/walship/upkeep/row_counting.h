/*
 * Counting the rows of tables on a live server, so that there is one place in the WAL
 * at which these are the numbers, exactly.
 *
 * An insert position asked for in the transaction that counts is not that place:
 * commits stand in the WAL for a moment before others can see them, and not in the
 * same order.  So for a moment nobody may write: with the tables locked in SHARE mode
 * a snapshot is taken in each database, then the position, then the locks are given
 * up; counting goes on in the snapshots.  What waits for a lock makes others wait, so a
 * lock that does not come within 100 ms (after 20 s: 500 ms) is given up, and asked for again later.
 *
 * On a standby nobody writes but the replay, which is paused for that moment instead.
 */
#pragma once

#include "walship/archive/row_counts.h"
#include "walship/base/strs.h"

/*
 * "all", or names with commas between them, each as "table", "schema.table" or
 * "database.schema.table".  An empty list means all.
 */
Error *table_names_parse(const char *text, StrList *ret_names) MUST_CHECK;

/* True of an empty list, too, without setting *ret_index. */
bool table_names_match(const StrList *names, const char *database, const char *schema, const char *table,
                       size_t *ret_index);

/* What kept the numbers still. */
typedef enum RowCountingBy
{
	COUNTED_LOCKED, /* the tables were locked */
	COUNTED_PAUSED, /* the replay of a standby was paused */
	COUNTED_NOW,    /* nothing: in a snapshot of each database */
} RowCountingBy;

typedef struct RowCounting
{
	RowCountingBy by;
	int64_t held_ms; /* so long others may have waited, or was the replay paused */
} RowCounting;

/* "their tables were locked for 5 ms"; the caller frees. */
char *row_counting_text(const RowCounting *counting);

/*
 * By ordinary sessions, two in each database with such tables: permanent ones that are no system
 * catalogs.  The role must be allowed to lock them: it owns them or is superuser.  "exact": at one place;
 * else whatever there is, without any lock, and ret_counts->lsn is only where the server was.
 *
 * ERR_USAGE: no such table.  ERR_EXISTS: not the server of "system_identifier".
 * ERR_TRANSIENT: somebody writes to a table for too long.
 */
Error *row_counting_run(const char *conninfo, uint64_t system_identifier, const StrList *names, bool exact,
                        RowCounts *ret_counts, RowCounting *ret_counting) MUST_CHECK;

/*
 * Sees to it that the WAL goes on behind that place, and that it is archived soon: an idle server
 * would write no record there at which a recovery could stop.  What the role may not do is left.
 */
Error *row_counting_end_segment(const char *conninfo) MUST_CHECK;
