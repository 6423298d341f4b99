/* The checks of a drill; drill.c has their order, drill_report.c what they found. */
#pragma once

#include "walship/upkeep/drill.h"

#define DRILL_REPORT_MAX (4 * 1024 * 1024) /* bytes */

/* Kinds of evidence.  A drill of a dump says nothing about backups, so whoever looks for those must not meet it. */
#define DRILL_OF_BACKUP "drill"
#define DRILL_OF_DUMP   "drill-dump"

/* As drill_report_put() made it, or that of an older version; release it also after an error. */
Error *drill_report_take(const Json *json, DrillReport *report) MUST_CHECK;

/* A sentence about why it failed. */
void drill_finding(DrillReport *report, DrillLevel level, const char *format, ...) PRINTF_LIKE(3, 4);
void drill_note(DrillReport *report, DrillLevel level, const char *format, ...) PRINTF_LIKE(3, 4);

/* An error as a finding, NULL then; what is no word about the backup, but kept the drill from being made, is returned. */
Error *drill_take_error(DrillReport *report, DrillLevel level, Error *error) MUST_CHECK;

/* Its time and outcome, once everything it has found is there; false: it failed. */
bool drill_close_level(DrillReport *report, DrillLevel level, int64_t begin_ms);

/* Of the restored directory, by the server that runs there: DRILL_CONFIGURED. */
Error *drill_check_configuration(PrivateServer *server, DrillReport *report) MUST_CHECK;

/* Every database: DRILL_DATABASES, DRILL_TABLES, DRILL_COUNTS (NULL: not asked for), DRILL_STRUCTURE. */
Error *drill_check_databases(PrivateServer *server, DrillCounts *counts, DrillReport *report) MUST_CHECK;

/* Of the recovered server; nothing is owned. */
typedef struct CountedTable
{
	uint32_t database_oid;
	uint32_t relation_oid;
	const char *database;
	const char *schema;
	const char *name;
	uint64_t rows;
} CountedTable;

/* Both do nothing but note that without counts. */
void drill_compare_count(DrillCounts *counts, const CountedTable *table, DrillReport *report);
void drill_close_counts(DrillCounts *counts, DrillReport *report);

/* What the server that was backed up says at the drill's begin of what it has committed. */
typedef struct LiveServer
{
	bool answered;
	bool standby;
	uint64_t next_xid; /* with its epoch: all that ended were before it */
	uint64_t committed;
	char *reason; /* why it did not answer */
} LiveServer;

/* That it does not answer is no error. */
Error *drill_ask_live(const char *conninfo, uint64_t system_identifier, LiveServer *live) MUST_CHECK;
void live_server_release(LiveServer *live);
#define AUTO_LIVE __attribute__((cleanup(live_server_release))) LiveServer

/* DRILL_RECENT, of a drill to the end of the WAL; with the rpo_target_ms of the report. */
Error *drill_check_recent(const RecoveryPlan *plan, const LiveServer *live, PrivateServer *server,
                          DrillReport *report) MUST_CHECK;

/* The files of the directory: DRILL_SQL. */
Error *drill_check_sql(PrivateServer *server, const char *directory, DrillReport *report) MUST_CHECK;

/* By PostgreSQL's own programs: DRILL_DUMP of the running server, DRILL_PAGES of one that has ended in order. */
Error *drill_check_dump(const PrivateServer *server, DrillReport *report) MUST_CHECK;
Error *drill_check_pages(const PrivateServer *server, DrillReport *report) MUST_CHECK;
