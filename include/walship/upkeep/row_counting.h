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

/*
 * By ordinary sessions, two in each database with such tables: permanent ones that are no system
 * catalogs.  The role must be allowed to lock them: it owns them or is superuser.
 *
 * ERR_USAGE: a standby, no such table.  ERR_EXISTS: not the server of "system_identifier".
 * ERR_TRANSIENT: somebody writes to a table for too long.  "*ret_locked_ms": how long others may have waited.
 */
Error *row_counting_run(const char *conninfo, uint64_t system_identifier, const StrList *names,
                        RowCounts *ret_counts, int64_t *ret_locked_ms) MUST_CHECK;

/*
 * Sees to it that the WAL goes on behind that place, and that it is archived soon: an idle server
 * would write no record there at which a recovery could stop.  What the role may not do is left.
 */
Error *row_counting_end_segment(const char *conninfo) MUST_CHECK;
