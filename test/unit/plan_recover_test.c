/* The recovery planner: small worlds, what is asked, what it must say. */
#include "plan_world.h"

/* "A on 1, stop 3.2, end 1:3": backup, timeline, place of the stop, last segment; "to 9.0" without a bound. */
static void
summarize(const RecoveryPlan *plan, Buf *into)
{
	const WalPlace *stop = &plan->stop;
	WalName end;

	buf_printf(into, "%s on %u", plan->backup->id, plan->timeline);
	if (plan->target.kind == TARGET_LATEST)
		buf_printf(into, ", to %u.%x", (unsigned) (plan->end_lsn / WORLD_SEGMENT),
		           (unsigned) (plan->end_lsn % WORLD_SEGMENT / WORLD_PART));
	else if (plan->target.kind == TARGET_TIME && stop->lsn == InvalidXLogRecPtr)
		buf_printf(into, ", by its time");
	else
		buf_printf(into, ", stop %u.%x", (unsigned) (stop->lsn / WORLD_SEGMENT),
		           (unsigned) (stop->lsn % WORLD_SEGMENT / WORLD_PART));
	if (plan->plan_end[0] != '\0')
	{
		XLogSegNo segno;

		assert_ok(wal_name_parse(plan->plan_end, &end));
		assert_true(wal_name_segno(&end, WORLD_SEGMENT, &segno));
		buf_printf(into, ", end %u:%u", end.timeline, (unsigned) segno);
	}
	if (plan->uses_backup_wal)
		buf_puts(into, ", own WAL");
}

typedef struct PlanRow
{
	const char *name;
	const char *world;
	RecoveryRequest request;
	const char *expected; /* summary, or a part of the refusal */
	const char *hint;     /* a part of the hint, or of a note or warning; NULL: not looked at */
} PlanRow;

#define TIME(n, ...)                                                                                \
	{                                                                                               \
		.target = {.kind = TARGET_TIME, .inclusive = true, .time = SECOND(n)}, .now = SECOND(9000), \
		__VA_ARGS__                                                                                 \
	}
#define LSN(s, p, ...)                                                                     \
	{                                                                                      \
		.target = {.kind = TARGET_LSN, .inclusive = true, .lsn = PLACE(s, p)}, __VA_ARGS__ \
	}
#define XID(n, ...)                                                                \
	{                                                                              \
		.target = {.kind = TARGET_XID, .inclusive = true, .xid = (n)}, __VA_ARGS__ \
	}
#define NAMED(n, ...)                                                                \
	{                                                                                \
		.target = {.kind = TARGET_NAME, .inclusive = true, .name = (n)}, __VA_ARGS__ \
	}
#define KIND(k, ...)                                                                 \
	{                                                                                \
		.target = {.kind = (k), .inclusive = true}, .now = SECOND(9000), __VA_ARGS__ \
	}

/* One timeline, two backups, four commits. */
#define PLAIN                    \
	"tli 1: 1-9\n"               \
	"backup A 1@2.1-2.6 20-26\n" \
	"backup B 1@5.1-5.6 50-56\n" \
	"commit 1@3.2 32 700\n"      \
	"commit 1@4.2 42 701\n"      \
	"commit 1@6.2 62 702\n"      \
	"point 1@6.4 64 here\n"      \
	"commit 1@8.2 82 703\n"

/* A standby was promoted in segment 7; the old primary is gone. */
#define FAILOVER                 \
	"tli 1: 1-6\n"               \
	"partial 1@7\n"              \
	"fork 2 1@7.5\n"             \
	"tli 2: 7-12\n"              \
	"backup A 1@2.1-2.6 20-26\n" \
	"commit 1@3.2 32 700\n"      \
	"commit 1@7.2 72 701\n"      \
	"commit 2@7.8 78 702\n"      \
	"commit 2@9.2 92 703\n"

/* Recovered to 7.5 after timeline 1 had gone on to 9: two branches. */
#define BRANCHES                 \
	"tli 1: 1-9\n"               \
	"fork 2 1@7.5\n"             \
	"tli 2: 7-12\n"              \
	"backup A 1@2.1-2.6 20-26\n" \
	"commit 1@3.2 32 700\n"      \
	"commit 1@7.2 72 701\n"      \
	"commit 1@8.2 82 702\n"      \
	"point 1@8.4 84 both\n"      \
	"commit 1@9.2 92 703\n"      \
	"commit 2@8.2 182 702\n"     \
	"point 2@8.4 184 both\n"     \
	"point 2@8.6 186 second\n"   \
	"commit 2@9.2 192 703\n"

/* Segments 6 and 7 are of a PostgreSQL that is not known. */
#define FOREIGN                  \
	"tli 1: 1-9\n"               \
	"backup A 1@2.1-2.6 20-26\n" \
	"backup B 1@5.1-5.6 50-56\n" \
	"commit 1@3.2 32 700\n"      \
	"commit 1@4.2 42 701\n"      \
	"foreign 1@6\n"              \
	"foreign 1@7\n"              \
	"commit 1@8.2 82 703\n"      \
	"point 1@8.4 84 here\n"

static const PlanRow rows[] = {
	/* WAL that cannot be read, but by the server */
	{"before unknown WAL a time is as always", FOREIGN, TIME(40), "A on 1, stop 4.2, end 1:4", NULL},
	{"a time in unknown WAL is left to the server", FOREIGN, TIME(70), "B on 1, by its time",
     "the first commit or abort later than it"},
	{"a time behind unknown WAL, too: a later commit may lie in it", FOREIGN, TIME(83), "B on 1, by its time",
     "000000010000000000000006 to 000000010000000000000007"},
	{"runs do not hide unknown WAL", FOREIGN "runs\n", TIME(70), "B on 1, by its time", NULL},
	{"--stop-by time is what happens then", FOREIGN, TIME(70, .stop_by = STOP_BY_TIME), "B on 1, by its time",
     "recovery ended before configured recovery target was reached"},
	{"an LSN in unknown WAL is left to the server", FOREIGN, LSN(6, 8), "B on 1, stop 6.8",
     "the first record that starts there or later"},
	{"an LSN behind unknown WAL is found", FOREIGN, LSN(8, 1), "B on 1, stop 8.1, end 1:8",
     "2 of the WAL segments, 000000010000000000000006 to 000000010000000000000007"},
	{"a transaction behind unknown WAL is found", FOREIGN, XID(703), "B on 1, stop 8.2, end 1:8", NULL},
	{"a transaction that is nowhere may be in unknown WAL", FOREIGN, XID(999), "A on 1, stop 0.0",
     "Backup A is the oldest that can be used"},
	{"with another backup, if it is wanted", FOREIGN, XID(999, .backup_id = "B"), "B on 1, stop 0.0", NULL},
	{"a restore point behind unknown WAL is found", FOREIGN, NAMED("here"), "B on 1, stop 8.4, end 1:8",
     NULL},
	{"a restore point that is nowhere may be in unknown WAL", FOREIGN, NAMED("there"), "A on 1, stop 0.0",
     "the first restore point of that name"},
	{"the end of the WAL behind unknown WAL", FOREIGN, KIND(TARGET_LATEST), "B on 1, to 10.0",
     "are of a PostgreSQL that this walship does not know"},
	{"the end of WAL that is unknown", FOREIGN "foreign 1@8\nforeign 1@9\n", KIND(TARGET_LATEST),
     "B on 1, to 10.0", NULL},
	{"a backup in unknown WAL", FOREIGN "foreign 1@5\n", KIND(TARGET_IMMEDIATE), "B on 1, stop 5.6, end 1:5",
     NULL},
	{"unknown WAL does not hide damage", FOREIGN "damaged 1@8.1\n", LSN(9, 1),
     "WAL segment 000000010000000000000008 is damaged", NULL},
	{"unknown WAL does not hide a gap", "tli 1: 1-5\ntli 1: 7-9\nforeign 1@7\nbackup A 1@2.1-2.6 20-26\n",
     TIME(70), "WAL segment 000000010000000000000006 is missing", NULL},
	{"on which timeline a time lies, unknown WAL does not tell", BRANCHES "foreign 2@9\n", TIME(190),
     "lies on 2 timelines that differ", "Choose with --timeline"},
	{"nor for a name", BRANCHES "foreign 2@9\nforeign 1@9\n", NAMED("nowhere"),
     "lies on 2 timelines that differ", "Choose with --timeline"},
	{"but the one that is asked for", BRANCHES "foreign 2@9\n", TIME(190, .timeline = 2),
     "A on 2, by its time", NULL},

	/* times */
	{"a time takes the newest backup before it", PLAIN, TIME(70), "B on 1, stop 8.2, end 1:8", NULL},
	{"a time between two backups takes the older", PLAIN, TIME(40), "A on 1, stop 4.2, end 1:4", NULL},
	{"a time equal to a commit includes it", PLAIN, TIME(62), "B on 1, stop 8.2, end 1:8", NULL},
	{"exclusive: a time equal to a commit stops before it",
     PLAIN,
     {.target = {.kind = TARGET_TIME, .inclusive = false, .time = SECOND(62)}, .now = SECOND(9000)},
     "B on 1, stop 6.2, end 1:6",
     NULL},
	{"a time after the last commit goes to the end", PLAIN, TIME(82), "B on 1, to 10.0, end 1:9",
     "No commit later than 2026-11-20 00:01:22+00 is in the store"},
	{"a time in the future is refused: a mistaken zone or year would bring the accident back", PLAIN,
     TIME(9061), "target time 2026-11-20 02:31:01+00 lies in the future", "use --latest"},
	{"a clock that is a minute ahead is not the future", PLAIN, TIME(9060), "B on 1, to 10.0, end 1:9", NULL},
	{"a time before every backup is refused with the earliest", PLAIN, TIME(10),
     "no backup can be used that ended before target time 2026-11-20 00:00:10+00",
     "The earliest place that can be recovered is the end of backup A: 2026-11-20 00:00:26+00 (LSN 0/2600000)"},
	{"a time inside the only backup is refused", PLAIN, TIME(22), "lies inside backup A",
     "was being taken at that time"},
	{"a time inside a newer backup takes the older", PLAIN, TIME(52), "A on 1, stop 6.2, end 1:6", NULL},
	{"a named backup is used even when it is older", PLAIN, TIME(70, .backup_id = "A"),
     "A on 1, stop 8.2, end 1:8", NULL},
	{"a named backup that is too new is refused", PLAIN, TIME(40, .backup_id = "B"),
     "no backup can be used that ended", "ended at 2026-11-20 00:00:56+00, after the target"},
	{"a backup that does not exist is refused", PLAIN, TIME(70, .backup_id = "C"),
     "backup \"C\" does not exist", "\"B\""},
	{"a timeline that does not exist is refused", PLAIN, TIME(70, .timeline = 5), "timeline 5 does not exist",
     "Known timelines: 1."},
	{"a run is searched for the first later commit", PLAIN "runs\n", TIME(70), "B on 1, stop 8.2, end 1:8",
     NULL},
	{"runs that were broken off are searched one by one", PLAIN "runs\nbreak 1@4\nbreak 1@8\nbreak 1@9\n",
     TIME(70, .backup_id = "A"), "A on 1, stop 8.2, end 1:8", NULL},
	{"a clock that was set back: a late commit before the backup does not count",
     PLAIN "runs\ncommit 1@1.2 500 690\n", TIME(70), "B on 1, stop 8.2, end 1:8", NULL},
	{"a clock that was set back after the backup: its first late commit counts",
     "runs\ntli 1: 1-9\nbackup A 1@2.1-2.6 20-26\ncommit 1@1.2 500 690\ncommit 1@3.2 90 700\n"
     "commit 1@4.2 40 701\ncommit 1@9.2 92 702\n",
     TIME(60), "A on 1, stop 3.2, end 1:3", NULL},
	{"a run does not hide damage", PLAIN "runs\ndamaged 1@7.8\n", TIME(70),
     "WAL segment 000000010000000000000007 is damaged", "Recovery can go up to"},
	{"commit times out of order: the first later one in the WAL stops",
     "tli 1: 1-9\nbackup A 1@2.1-2.6 20-26\ncommit 1@3.2 50 700\ncommit 1@4.2 40 701\ncommit 1@5.2 60 702\n",
     TIME(45), "A on 1, stop 3.2, end 1:3", NULL},
	{"a commit later than the target before the backup's end rejects the backup",
     "tli 1: 1-9\nbackup A 1@1.1-1.6 10-16\nbackup B 1@2.1-2.6 20-26\ncommit 1@2.3 90 700\ncommit 1@5.2 60 702\n",
     TIME(50), "A on 1, stop 2.3, end 1:2", "from before its end"},
	{"backups with page errors are not preferred",
     "tli 1: 1-9\nbackup A 1@2.1-2.6 20-26\nbackup B 1@5.1-5.6 50-56 pages\ncommit 1@8.2 82 703\n", TIME(70),
     "A on 1, stop 8.2, end 1:8", "wrong checksums"},
	{"a backup with page errors is used when it is named",
     "tli 1: 1-9\nbackup B 1@5.1-5.6 50-56 pages\ncommit 1@8.2 82 703\n", TIME(70, .backup_id = "B"),
     "B on 1, stop 8.2, end 1:8", "holds pages with wrong checksums"},
	{"no backup at all", "tli 1: 1-9\n", TIME(70), "there is no backup of database system", "walship backup"},

	/* holes */
	{"a hole before the target is refused with how far it goes",
     "tli 1: 1-5\ntli 1: 8-9\nbackup A 1@2.1-2.6 20-26\ncommit 1@3.2 32 700\ncommit 1@8.2 82 703\n", TIME(70),
     "WAL segments 000000010000000000000006 to 000000010000000000000007 are missing",
     "Recovery can go up to 2026-11-20 00:00:32+00 (LSN 0/5FFFF00): use --target-lsn 0/5FFFF00."},
	{"a hole behind the target does not matter",
     "tli 1: 1-5\ntli 1: 8-9\nbackup A 1@2.1-2.6 20-26\ncommit 1@3.2 32 700\ncommit 1@5.2 52 703\n", TIME(40),
     "A on 1, stop 5.2, end 1:5", NULL},
	{"a hole before the newest backup does not matter",
     "tli 1: 1-3\ntli 1: 5-9\nbackup A 1@2.1-2.6 20-26\nbackup B 1@5.1-5.6 50-56\ncommit 1@8.2 82 703\n",
     TIME(70), "B on 1, stop 8.2, end 1:8", NULL},
	{"a hole within a backup rejects it",
     "tli 1: 1-4\ntli 1: 6-9\nbackup A 1@5.1-6.6 50-56\ncommit 1@8.2 82 703\n", TIME(70),
     "no backup can be used that ended", "which the backup itself needs, is missing"},
	{"a backup fills its own hole",
     "tli 1: 1-4\ntli 1: 7-9\nbackup A 1@5.1-6.6 50-56 inside\ncommit 1@8.2 82 703\n", TIME(70),
     "A on 1, stop 8.2, end 1:8, own WAL", "brings it along"},
	{"a standby's backup fills its last segment only up to its own end",
     "tli 1: 1-5\ntli 1: 7-9\nbackup A 1@5.1-6.6 50-56 inside standby\ncommit 1@8.2 82 703\n", TIME(70),
     "WAL segment 000000010000000000000006 is missing", NULL},
	{"latest does not go over the end of a standby's backup",
     "tli 1: 1-5\ntli 1: 7-9\nbackup A 1@5.1-6.6 50-56 inside standby\n", KIND(TARGET_LATEST),
     "WAL segment 000000010000000000000006 is missing", NULL},
	{"latest: damage far from the end is a barrier",
     "tli 1: 1-300\nbackup A 1@5.1-6.6 50-56\ndamaged 1@50.8\n", KIND(TARGET_LATEST),
     "WAL segment 000000010000000000000032 is damaged", NULL},
	{"latest: an unreadable object far from the end is a barrier",
     "tli 1: 1-300\nbackup A 1@5.1-6.6 50-56\nunreadable 1@50\n", KIND(TARGET_LATEST),
     "WAL segment 000000010000000000000032 is damaged", NULL},
	{"latest: a timeline that went on beyond its archived WAL has a hole",
     "tli 1: 1-6\nfork 2 1@9.5\ntli 2: 9-12\nbackup A 1@2.1-2.6 20-26\n", KIND(TARGET_LATEST, .timeline = 1),
     "WAL segments 000000010000000000000007 to 000000010000000000000008 are missing", NULL},
	{"a time: the same hole", "tli 1: 1-6\nfork 2 1@9.5\ntli 2: 9-12\nbackup A 1@2.1-2.6 20-26\n",
     TIME(70, .timeline = 1), "WAL segments 000000010000000000000007 to 000000010000000000000008 are missing",
     NULL},
	{"a history file alone does not end a parent that has WAL behind the missing segment of the switch",
     "tli 1: 1-6\ntli 1: 8-9\nfork 2 1@7.5\nbackup A 1@2.1-2.6 20-26\n", KIND(TARGET_LATEST, .timeline = 2),
     "WAL segment 000000020000000000000007 is missing", "use --target-lsn 0/6FFFF00"},
	{"a time after the last commit before it: the same",
     "tli 1: 1-6\ntli 1: 8-9\nfork 2 1@7.5\nbackup A 1@2.1-2.6 20-26\n", TIME(70, .timeline = 2),
     "WAL segment 000000020000000000000007 is missing", NULL},
	{"latest: a timeline that was left in the segment that is missing ends there",
     "tli 1: 1-6\nfork 2 1@7.5\ntli 2: 7-12\nbackup A 1@2.1-2.6 20-26\n", KIND(TARGET_LATEST, .timeline = 1),
     "A on 1, to 7.0", NULL},
	{"latest: a partial of the first missing segment is the end", PLAIN "partial 1@10\n", KIND(TARGET_LATEST),
     "B on 1, to 10.0", "00000001000000000000000A.partial"},
	{"latest: a partial further on is behind a hole", PLAIN "partial 1@11\n", KIND(TARGET_LATEST),
     "WAL segment 00000001000000000000000A is missing, and the timeline goes on behind it, for \"key.partial\"",
     "Recovery can go up to"},
	{"latest: a backup file of the first missing segment is the end", PLAIN "label 1@10\n",
     KIND(TARGET_LATEST), "B on 1, to 10.0", NULL},
	{"latest: a backup file further on is behind a hole", PLAIN "label 1@5\nlabel 1@13\npartial 1@10\n",
     KIND(TARGET_LATEST), "00000001000000000000000A to 00000001000000000000000C are missing",
     "Recovery can go up to"},
	{"a time after the last commit: the same", PLAIN "label 1@13\n", TIME(82), "for \"key.backup\" is there",
     NULL},
	{"a time before it does not matter", PLAIN "label 1@13\n", TIME(70), "B on 1, stop 8.2, end 1:8", NULL},
	{"a partial of the timeline that was left does not matter", FAILOVER "partial 1@9\n", KIND(TARGET_LATEST),
     "A on 2, to 13.0", NULL},
	{"an LSN behind damage is refused", PLAIN "damaged 1@7.8\n", LSN(9, 0),
     "WAL segment 000000010000000000000007 is damaged", NULL},
	{"a backup's own copy does not help against a damaged one in the store",
     "tli 1: 1-9\nbackup A 1@5.1-6.6 50-56 inside\ncommit 1@8.2 82 703\ndamaged 1@6.8\n", KIND(TARGET_LATEST),
     "WAL segment 000000010000000000000006 is damaged", NULL},
	{"damaged WAL is a barrier", PLAIN "damaged 1@7.8\n", TIME(70),
     "WAL segment 000000010000000000000007 is damaged", "Recovery can go up to"},
	{"an unreadable object is a barrier", PLAIN "unreadable 1@7\n", TIME(70),
     "WAL segment 000000010000000000000007 is damaged", NULL},

	/* backups that are not all there */
	{"a backup of which objects are missing is passed over, and named",
     PLAIN "backup C 1@7.1-7.2 70-72 gone\n", TIME(75), "B on 1, stop 8.2, end 1:8",
     "backup C (base-0001.tar.br)"},
	{"if it is wanted it is refused", "tli 1: 1-9\nbackup A 1@2.1-2.6 20-26 gone\ncommit 1@8.2 82 700\n",
     TIME(70, .backup_id = "A"), "no backup can be used that ended before",
     "Backup A is not all there: base-0001.tar.br is missing in the store, or cut short."},
	{"one that was restored already is not looked for",
     "tli 1: 1-9\nbackup A 1@2.1-2.6 20-26 gone\ncommit 1@8.2 82 700\n",
     TIME(70, .backup_id = "A", .restored = true), "A on 1, stop 8.2, end 1:8", NULL},

	/* wal_level = minimal: not everything is in the WAL behind it */
	{"a time behind wal_level = minimal is refused", PLAIN "minimal 1@7.8\n", TIME(70),
     "WAL segment 000000010000000000000007 was written with wal_level = minimal from 0/7800000 on",
     "take a new backup"},
	{"with runs, too", PLAIN "runs\nminimal 1@7.8\n", TIME(70), "with wal_level = minimal from 0/7800000 on",
     "use --target-lsn 0/77FFFC0"},
	{"a time before it is reached", PLAIN "minimal 1@7.8\n", TIME(50), "A on 1, stop 6.2, end 1:6", NULL},
	{"in the same segment a place before it is reached", PLAIN "minimal 1@8.8\n", TIME(70),
     "B on 1, stop 8.2, end 1:8", NULL},
	{"in the same segment a place behind it is refused",
     "tli 1: 1-9\nbackup A 1@2.1-2.6 20-26\nminimal 1@8.1\ncommit 1@8.2 82 703\n", TIME(70),
     "with wal_level = minimal from 0/8100000 on", NULL},
	{"an LSN just before it is reached", PLAIN "minimal 1@8.8\n", LSN(8, 7), "B on 1, stop 8.7, end 1:8",
     NULL},
	{"an LSN behind it in its segment is refused", PLAIN "minimal 1@8.8\n", LSN(8, 9),
     "with wal_level = minimal from 0/8800000 on", NULL},
	{"the record itself cannot be replayed", PLAIN "minimal 1@8.8\n", LSN(8, 8),
     "with wal_level = minimal from 0/8800000 on", NULL},
	{"a stop just before it can",
     PLAIN "minimal 1@8.8\n",
     {.target = {.kind = TARGET_LSN, .lsn = PLACE(8, 8)}},
     "B on 1, stop 8.8, end 1:8",
     NULL},
	{"a restore point behind it is refused", PLAIN "minimal 1@7.1\npoint 1@7.4 74 late\n", NAMED("late"),
     "with wal_level = minimal from 0/7100000 on", NULL},
	{"a transaction behind it is refused", PLAIN "minimal 1@7.1\n", XID(703),
     "with wal_level = minimal from 0/7100000 on", NULL},
	{"the end of the WAL behind it is refused", PLAIN "minimal 1@9.8\n", KIND(TARGET_LATEST),
     "with wal_level = minimal from 0/9800000 on", "take a new backup"},
	{"a backup that was taken after it is not touched by it", PLAIN "minimal 1@4.8\n", TIME(70),
     "B on 1, stop 8.2, end 1:8", NULL},
	{"full_page_writes that was off is told", PLAIN "torn 1@6.1\n", TIME(70), "B on 1, stop 8.2, end 1:8",
     "full_page_writes was off on the way, as LSN 0/6100000 says"},
	{"but not of WAL that is not replayed", PLAIN "torn 1@4.1\n", TIME(70), "B on 1, stop 8.2, end 1:8",
     NULL},

	/* LSNs */
	{"an LSN stops in its segment", PLAIN, LSN(6, 2), "B on 1, stop 6.2, end 1:6", NULL},
	{"an LSN before a backup's end takes an older one", PLAIN, LSN(5, 3), "A on 1, stop 5.3, end 1:5", NULL},
	{"an LSN inside the oldest backup is refused", PLAIN, LSN(2, 3), "ended before target LSN 0/2300000",
     "ended at 0/2600000, after the target"},
	{"an LSN beyond the WAL is refused with the last one", PLAIN, LSN(15, 0),
     "no WAL record at or after target LSN 0/F000000", "2026-11-20 00:01:22+00 (LSN 0/9FFFF00)"},
	{"a record that goes on in the next segment needs that one, too",
     PLAIN "continues 1@6\n",
     {.target = {.kind = TARGET_LSN, .inclusive = true, .lsn = PLACE(7, 0) - 256}},
     "B on 1, stop 6.f, end 1:7",
     NULL},
	{"one before it does not", PLAIN "continues 1@6\n", LSN(6, 2), "B on 1, stop 6.2, end 1:6", NULL},
	{"a long record needs every segment up to its end",
     PLAIN "long 1@6 8.2\n",
     {.target = {.kind = TARGET_LSN, .inclusive = true, .lsn = PLACE(7, 0) - 300}},
     "B on 1, stop 6.f, end 1:8",
     NULL},
	{"a place inside a long record is reached by the next one", PLAIN "long 1@6 8.2\n", LSN(7, 2),
     "B on 1, stop 7.2, end 1:8", NULL},
	{"a long record whose end is missing cannot be reached",
     PLAIN "long 1@8 11.2\n",
     {.target = {.kind = TARGET_LSN, .inclusive = true, .lsn = PLACE(9, 0) - 256}},
     "no WAL record at or after",
     "LSN 0/8FFFE00"},
	{"a record that was given up is no place to stop at",
     PLAIN "givenup 1@6\n",
     {.target = {.kind = TARGET_LSN, .inclusive = true, .lsn = PLACE(7, 0) - 256}},
     "B on 1, stop 6.f, end 1:7",
     NULL},
	{"an LSN in a last record whose end is missing is refused",
     PLAIN "continues 1@9\n",
     {.target = {.kind = TARGET_LSN, .inclusive = true, .lsn = PLACE(10, 0) - 300}},
     "no WAL record at or after",
     "LSN 0/9FFFE00"},
	{"an LSN before such a record can be reached", PLAIN "continues 1@9\n", LSN(9, 2),
     "B on 1, stop 9.2, end 1:9", NULL},
	{"an LSN after the last record of a segment needs the next one",
     PLAIN,
     {.target = {.kind = TARGET_LSN, .inclusive = true, .lsn = PLACE(7, 0) - 8}},
     "B on 1, stop 6.f, end 1:7",
     NULL},
	{"an LSN in a hole is refused", "tli 1: 1-5\ntli 1: 8-9\nbackup A 1@2.1-2.6 20-26\n", LSN(6, 2),
     "are missing", "LSN 0/5FFFF00"},
	{"an LSN behind a hole is refused", "tli 1: 1-5\ntli 1: 8-9\nbackup A 1@2.1-2.6 20-26\n", LSN(8, 2),
     "are missing", "LSN 0/5FFFF00"},

	/* transactions and names */
	{"a transaction is found", PLAIN, XID(702), "B on 1, stop 6.2, end 1:6", NULL},
	{"a transaction whose commit goes over two segments' ends needs the last of them",
     PLAIN "commit 1@6.f 65 777 8.1\n", XID(777), "B on 1, stop 6.f, end 1:8", NULL},
	{"a transaction that only the record itself names", PLAIN "hidden 1@6.f 65 777 7.1\n", XID(777),
     "B on 1, stop 6.f, end 1:7", NULL},
	{"a time that such a commit is later than", PLAIN "runs\nhidden 1@6.f 75 777 8.1\n", TIME(70),
     "B on 1, stop 6.f, end 1:8", NULL},
	{"a commit whose end is missing does not count", PLAIN "commit 1@9.f 95 777 10.1\n", XID(777),
     "target transaction 777 is not in the WAL", NULL},
	{"records that are damaged, though the index is not, stop a replay", PLAIN "payload 1@8\n", TIME(70),
     "WAL segment 000000010000000000000008 is damaged", "Recovery can go up to"},
	{"wherever that comes out", PLAIN "runs\npayload 1@6\n", TIME(70),
     "WAL segment 000000010000000000000006 is damaged", NULL},
	{"a transaction before the newest backup takes the older", PLAIN, XID(701), "A on 1, stop 4.2, end 1:4",
     NULL},
	{"an unknown transaction is refused", PLAIN, XID(900), "target transaction 900 is not in the WAL",
     "--latest"},
	{"just before any commit",
     PLAIN,
     {.target = {.kind = TARGET_BEFORE, .xid = 702}},
     "B on 1, stop 6.2, end 1:6",
     NULL},
	{"a commit that is not there",
     PLAIN,
     {.target = {.kind = TARGET_BEFORE, .xid = 900}},
     "target before transaction 900 is not in the WAL",
     "--latest"},
	{"of two timelines' commits with one number one must be said",
     BRANCHES,
     {.target = {.kind = TARGET_BEFORE, .xid = 703}},
     "lies on 2 timelines that differ",
     "--timeline"},
	{"one of a prepared transaction whose record begins long before its segment's end, and names it behind that",
     PLAIN "buried 1@6.d 65 777 7.1\n", XID(777), "B on 1, stop 6.d, end 1:7", NULL},
	{"a restore point is found", PLAIN, NAMED("here"), "B on 1, stop 6.4, end 1:6", NULL},
	{"an unknown restore point is refused", PLAIN, NAMED("there"),
     "restore point \"there\" is not in the WAL", NULL},
	{"a repeated restore point is listed", PLAIN "point 1@7.4 74 here\n", NAMED("here"),
     "restore point \"here\" exists 2 times",
     "LSN 0/6400000 on timeline 1, made at 2026-11-20 00:01:04+00; LSN 0/7400000"},
	{"many restore points in a segment are read from it",
     PLAIN "point 1@6.5 65 a\npoint 1@6.6 65 b\npoint 1@6.7 65 c\npoint 1@6.8 65 d\npoint 1@6.9 65 e\n"
           "point 1@6.a 65 f\npoint 1@6.b 65 g\npoint 1@6.c 65 h\npoint 1@6.d 65 i\n",
     NAMED("i"), "B on 1, stop 6.d, end 1:6", NULL},

	/* ends */
	{"immediate takes the newest backup", PLAIN, KIND(TARGET_IMMEDIATE), "B on 1, stop 5.6, end 1:5", NULL},
	{"immediate with a named backup", PLAIN, KIND(TARGET_IMMEDIATE, .backup_id = "A"),
     "A on 1, stop 2.6, end 1:2", NULL},
	{"latest goes to the end", PLAIN, KIND(TARGET_LATEST), "B on 1, to 10.0", "promotes itself"},
	{"latest with a hole is refused", "tli 1: 1-5\ntli 1: 8-9\nbackup A 1@2.1-2.6 20-26\n",
     KIND(TARGET_LATEST), "are missing", "use --target-lsn 0/5FFFF00"},
	{"backup only needs its WAL inside", PLAIN, KIND(TARGET_BACKUP_ONLY), "no backup can be recovered to",
     "does not hold its own WAL"},
	{"backup only needs no archive", "backup A 1@2.1-2.6 20-26 inside\n", KIND(TARGET_BACKUP_ONLY),
     "A on 1, stop 2.6, end 1:2, own WAL", NULL},
	{"of one that was restored already its own WAL is not looked for here", "backup A 1@2.1-2.6 20-26\n",
     KIND(TARGET_BACKUP_ONLY, .backup_id = "A", .restored = true), "A on 1, stop 2.6, end 1:2, own WAL",
     NULL},
	{"latest without an archive is the backup's end", "backup A 1@2.1-2.6 20-26 inside\n",
     KIND(TARGET_LATEST), "A on 1, to 2.6, own WAL", NULL},

	/* failover */
	{"after a failover an early time lies on the old timeline", FAILOVER, TIME(30),
     "A on 1, stop 3.2, end 1:3", NULL},
	{"the segment of the switch comes from the new timeline", FAILOVER, TIME(60), "A on 2, stop 7.2, end 2:7",
     NULL},
	{"a time between the last old and the first new commit", FAILOVER, TIME(75), "A on 2, stop 7.8, end 2:7",
     NULL},
	{"a time on the new timeline", FAILOVER, TIME(80), "A on 2, stop 9.2, end 2:9", NULL},
	{"latest follows the failover", FAILOVER, KIND(TARGET_LATEST), "A on 2, to 13.0", NULL},
	{"a time after the last commit follows the failover", FAILOVER, TIME(95), "A on 2, to 13.0, end 2:12",
     NULL},
	{"the old timeline can be named; its partial is mentioned", FAILOVER, KIND(TARGET_LATEST, .timeline = 1),
     "A on 1, to 7.0", "000000010000000000000007.partial"},
	{"an LSN after the switch lies on the new timeline", FAILOVER, LSN(7, 8), "A on 2, stop 7.8, end 2:7",
     NULL},
	{"an old copy of the switch's segment without transactions after it is no branch", FAILOVER "tli 1: 7\n",
     KIND(TARGET_LATEST), "A on 2, to 13.0", NULL},
	{"an old copy with a transaction after the switch is a branch",
     FAILOVER "tli 1: 7\ncommit 1@7.9 79 705\n", KIND(TARGET_LATEST), "lies on 2 timelines that differ",
     "timeline 1, ending at"},
	{"a tail that was never archived is not skipped silently",
     "tli 1: 1-4\nfork 2 1@7.5\ntli 2: 7-12\nbackup A 1@2.1-2.6 20-26\ncommit 1@3.2 32 700\ncommit 2@9.2 92 703\n",
     TIME(80),
     "target time 2026-11-20 00:01:20+00 cannot be reached on timeline 2: WAL segments "
     "000000010000000000000005 to 000000010000000000000006 are missing",
     "walship push"},
	{"a missing first segment of the new timeline is a hole",
     "tli 1: 1-7\nfork 2 1@7.5\ntli 2: 8-12\nbackup A 1@2.1-2.6 20-26\ncommit 1@3.2 32 700\ncommit 2@9.2 92 703\n",
     TIME(80, .timeline = 2), "WAL segment 000000020000000000000007 is missing", NULL},
	{"the old copy serves up to the switch",
     "tli 1: 1-7\nfork 2 1@7.5\ntli 2: 8-12\nbackup A 1@2.1-2.6 20-26\ncommit 1@3.2 32 700\ncommit 1@7.2 72 701\n",
     TIME(50, .timeline = 2), "A on 2, stop 7.2, end 1:7", NULL},
	{"a backup needs more of the switch's segment than the old copy has",
     "tli 1: 1-7\nfork 2 1@7.5\ntli 2: 8-12\nbackup A 2@7.6-7.8 76-78\ncommit 2@8.2 82 700\n", TIME(80),
     "no backup can be used", "000000020000000000000007, which the backup itself needs, is missing"},
	{"such a backup with its WAL inside brings it along",
     "tli 1: 1-7\nfork 2 1@7.5\ntli 2: 8-12\nbackup A 2@7.6-7.8 76-78 inside\ncommit 2@8.2 82 700\n",
     TIME(80), "A on 2, stop 8.2, end 2:8, own WAL", "brings it along"},
	{"its end lies on the new timeline",
     "tli 1: 1-7\nfork 2 1@7.5\ntli 2: 8-12\nbackup A 2@7.6-7.8 76-78 inside\n", KIND(TARGET_IMMEDIATE),
     "A on 2, stop 7.8, end 2:7, own WAL", NULL},
	{"a backup that ended before the switch has all in the old copy",
     "tli 1: 1-7\nfork 2 1@7.5\nbackup A 1@7.1-7.3 71-73\ncommit 1@7.4 74 700\n", TIME(73, .timeline = 2),
     "A on 2, stop 7.4, end 1:7", NULL},
	{"a switch at a segment's border",
     "tli 1: 1-6\nfork 2 1@7.0\ntli 2: 7-9\nbackup A 1@2.1-2.6 20-26\ncommit 2@8.2 82 700\n", TIME(70),
     "A on 2, stop 8.2, end 2:8", NULL},
	{"a history file alone goes on from its parent", "tli 1: 1-6\nfork 2 1@7.5\nbackup A 1@2.1-2.6 20-26\n",
     KIND(TARGET_LATEST), "A on 2, to 7.0", NULL},
	{"a backup on the new timeline", FAILOVER "backup B 2@8.1-8.6 81-86\n", TIME(90),
     "B on 2, stop 9.2, end 2:9", NULL},

	{"a newer timeline without its history file is not passed over", PLAIN "tli 2: 9-12\n",
     KIND(TARGET_LATEST), "timeline 2 has WAL in the store, but its history file is missing",
     "Store 00000002.history"},
	{"a time after the last commit does not pass it over either", PLAIN "tli 2: 9-12\n", TIME(85),
     "its history file is missing", NULL},
	{"with the timeline given it does not matter", PLAIN "tli 2: 9-12\n", KIND(TARGET_LATEST, .timeline = 1),
     "B on 1, to 10.0", NULL},

	/* branches */
	{"a time before the fork is no question", BRANCHES, TIME(30), "A on 1, stop 3.2, end 1:3", NULL},
	{"a time before the fork, with its stop before the fork", BRANCHES, TIME(50), "A on 1, stop 7.2, end 1:7",
     NULL},
	{"the same transactions on both branches are no question", BRANCHES, TIME(75),
     "A on 1, stop 8.2, end 1:8", NULL},
	{"a time on both branches is refused with a list", BRANCHES, TIME(85), "lies on 2 timelines that differ",
     "Choose with --timeline, a number or latest: timeline 2, stopping before 2026-11-20 00:03:02+00 (LSN 0/8200000) (its last "
     "commit is "},
	{"a time on both branches with the timeline given", BRANCHES, TIME(85, .timeline = 1),
     "A on 1, stop 9.2, end 1:9", NULL},
	{"the other one given", BRANCHES, TIME(85, .timeline = 2), "A on 2, stop 8.2, end 2:8", NULL},
	{"a time only the newer branch contains", BRANCHES, TIME(185), "A on 2, stop 9.2, end 2:9", NULL},
	{"a time after both branches is refused", BRANCHES, TIME(500), "lies on 2 timelines that differ",
     "ending at"},
	{"latest with two branches is refused", BRANCHES, KIND(TARGET_LATEST),
     "the end of the WAL lies on 2 timelines", "Choose with --timeline"},
	{"latest with the timeline given", BRANCHES, KIND(TARGET_LATEST, .timeline = 1), "A on 1, to 10.0", NULL},
	{"immediate with two branches and one backup is no question", BRANCHES, KIND(TARGET_IMMEDIATE),
     "A on 1, stop 2.6, end 1:2", NULL},
	{"an LSN before the fork", BRANCHES, LSN(6, 1), "A on 1, stop 6.1, end 1:6", NULL},
	{"an LSN on both branches is refused", BRANCHES, LSN(8, 3), "lies on 2 timelines that differ", NULL},
	{"an LSN that one branch has not reached", BRANCHES, LSN(11, 3), "A on 2, stop 11.3, end 2:11", NULL},
	{"a transaction on both branches is refused", BRANCHES, XID(703), "lies on 2 timelines that differ",
     NULL},
	{"a restore point on both branches is listed", BRANCHES, NAMED("both"), "exists 2 times",
     "on timeline 2"},
	{"a restore point with the timeline given", BRANCHES, NAMED("both", .timeline = 1),
     "A on 1, stop 8.4, end 1:8", NULL},
	{"a restore point on one branch", BRANCHES, NAMED("second"), "A on 2, stop 8.6, end 2:8", NULL},
	{"a backup after the fork does not lead to the other branch", BRANCHES "backup B 1@8.1-8.1 80-81\n",
     TIME(85, .timeline = 2), "A on 2, stop 8.2, end 2:8", "after the way to timeline 2 had left timeline 1"},
	{"a backup of the other branch does not lead here", BRANCHES "backup B 2@8.1-8.1 80-81\n",
     TIME(85, .timeline = 1), "A on 1, stop 9.2, end 1:9",
     "is on timeline 2, which does not lead to timeline 1"},
	{"two timelines left at one point",
     "tli 1: 1-7\nfork 2 1@7.5\ntli 2: 7-8\nfork 3 1@7.5\ntli 3: 7-9\n"
     "backup A 1@2.1-2.6 20-26\ncommit 1@3.2 32 700\ncommit 2@7.8 78 701\ncommit 3@7.8 88 701\n",
     TIME(40), "A on 2, stop 7.8, end 2:7", NULL},

	/* standby */
	{"a standby follows the newest timeline", FAILOVER, KIND(TARGET_LATEST, .purpose = PURPOSE_STANDBY),
     "A on 2, to 13.0", NULL},
	{"a standby cannot follow an older branch", BRANCHES,
     KIND(TARGET_LATEST, .purpose = PURPOSE_STANDBY, .timeline = 1),
     "would follow timeline 2, not timeline 1", NULL},
};

static bool
list_has(const StrList *list, const char *part)
{
	for (size_t i = 0; i < list->count; i++)
		if (strstr(list->items[i], part) != NULL)
			return true;
	return false;
}

static bool
plan_says(const RecoveryPlan *plan, const char *part)
{
	for (size_t i = 0; i < plan->n_rejected; i++)
		if (strstr(plan->rejected[i].reason, part) != NULL)
			return true;
	return list_has(&plan->notes, part) || list_has(&plan->warnings, part);
}

static void
check_row(void **state)
{
	const PlanRow *row = *state;
	AUTO(World) world = world_new(row->world);
	AUTO(RecoveryPlan) plan = NULL;
	AUTO(Error) error = NULL;
	AUTO_BUF(said, 4096);
	bool hinted;

	error = world_plan(world, &row->request, &plan);
	if (error != NULL)
	{
		const char *hint = error_get_hint(error) == NULL ? "" : error_get_hint(error);

		assert_true(error_is(error, ERR_NOT_FOUND));
		hinted = row->hint == NULL || strstr(hint, row->hint) != NULL;
		if (strstr(error_message(error), row->expected) == NULL || !hinted)
			fail_msg("%s\nhint: %s", error_message(error), hint);
		return;
	}
	summarize(plan, &said);
	assert_string_equal(said.data, row->expected);
	if (row->hint != NULL && !plan_says(plan, row->hint))
		fail_msg("nothing says \"%s\"", row->hint);
}

/* 20000 segments, a commit in every tenth, and the places where a search could go wrong. */
#define LONG_SEGMENTS 20000

static World *
long_world(const char *more)
{
	AUTO_BUF(text, 64 * 1024);

	buf_printf(&text, "runs\ntli 1: 1-%d\nbackup A 1@2.1-2.6 20-26\n%s", LONG_SEGMENTS, more);
	for (unsigned segno = 3; segno < LONG_SEGMENTS; segno += LONG_SEGMENTS / 200)
		buf_printf(&text, "commit 1@%u.2 %u %u\n", segno, segno * 10, segno + 1000);
	return world_new(text.data);
}

static void
few_indexes_are_read_for_a_time(void **state)
{
	static const struct
	{
		const char *more;
		unsigned second;
		XLogSegNo stop;
		int indexes;
	} cases[] = {
		{"", 35, 103, 250}, /* quiet segments before it are read for the last commit */
		{"", 100000, 10003, 250},
		{"", 199020, 19903, 250},
		{"break 1@5000\nbreak 1@9000\nbreak 1@15000\n", 100000, 10003, 270},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(cases); i++)
	{
		AUTO(World) world = long_world(cases[i].more);
		RecoveryRequest request = TIME(cases[i].second);
		AUTO(RecoveryPlan) plan = NULL;

		request.now = SECOND(300000);
		assert_ok(world_plan(world, &request, &plan));
		assert_int_equal(plan->stop.segno, cases[i].stop);
		assert_in_range(world->indexes, 1, cases[i].indexes);
		assert_int_equal(world->records, 2);
	}
}

/* Where nobody is quiet, it is a binary search and nothing else. */
static void
a_busy_archive_is_searched_in_logarithmic_time(void **state)
{
	AUTO_BUF(text, 64 * 1024);

	(void) state;
	buf_puts(&text, "runs\ntli 1: 1-400\nbackup A 1@2.1-2.6 20-26\n");
	for (unsigned segno = 3; segno <= 400; segno++)
		buf_printf(&text, "commit 1@%u.2 %u %u\n", segno, segno * 10, segno + 1000);
	for (unsigned second = 35; second < 4000; second += 61)
	{
		AUTO(World) world = world_new(text.data);
		RecoveryRequest request = TIME(second);
		AUTO(RecoveryPlan) plan = NULL;

		assert_ok(world_plan(world, &request, &plan));
		assert_int_equal(plan->stop.segno, second / 10 + 1);
		assert_int_equal(plan->last.segno, second / 10);
		assert_in_range(world->indexes, 1, 2 * 9 + 3); /* 2^9 > 400 */
		assert_in_range(world->records, 1, 2);
	}
}

static void
every_index_is_read_before_a_restore(void **state)
{
	AUTO(World) world = long_world("");
	AUTO(World) damaged = long_world("unreadable 1@5000\n");
	RecoveryRequest request = TIME(100000, .every_index = true);
	AUTO(RecoveryPlan) plan = NULL;
	AUTO(RecoveryPlan) none = NULL;
	AUTO(Error) error = NULL;

	(void) state;
	request.now = SECOND(300000);
	assert_ok(world_plan(world, &request, &plan));
	assert_in_range(world->indexes, 9999, 10200);
	error = world_plan(damaged, &request, &none);
	assert_non_null(error);
	assert_non_null(strstr(error_message(error), "000000010000001300000088 is damaged"));
	assert_in_range(damaged->indexes, 9999, 10200);
}

/* Each one that is met makes the plan decide once more: it must not go through all of them. */
static void
little_is_read_where_the_records_of_many_segments_are_damaged(void **state)
{
	static const RecoveryRequest requests[] = {TIME(50), KIND(TARGET_LATEST), XID(760), LSN(60, 0)};

	(void) state;
	for (size_t i = 0; i < lengthof(requests); i++)
	{
		AUTO_BUF(text, 64 * 1024);
		AUTO(RecoveryPlan) plan = NULL;
		AUTO(Error) error = NULL;

		buf_puts(&text, "tli 1: 1-99\nbackup A 1@2.1-2.6 20-26\n");
		for (unsigned segno = 3; segno <= 99; segno++)
			buf_printf(&text, "commit 1@%u.2 %u %u\npayload 1@%u\ncontinues 1@%u\n", segno, segno,
			           700 + segno, segno, segno);

		AUTO(World) world = world_new(text.data);

		error = world_plan(world, &requests[i], &plan);
		assert_true(error_is(error, ERR_NOT_FOUND));
		assert_in_range(world->records, 1, 4);
	}
}

/* Timeline 2 began at 7.5, but where is not known: it may hold the target, or go on where the plan would end. */
static void
a_timeline_whose_history_is_damaged_is_not_passed_over(void **state)
{
	static const struct
	{
		const char *name;
		RecoveryRequest request;
		bool corrupt;
	} damaged[] = {
		{"latest", KIND(TARGET_LATEST), true},
		{"latest on it", KIND(TARGET_LATEST, .timeline = 2), true},
		{"latest on another one", KIND(TARGET_LATEST, .timeline = 1), false},
		{"a time on the timeline before", TIME(50), true},
		{"a time on it alone", TIME(95), true},
		{"a transaction of it", XID(703), true},
		{"an LSN on it", LSN(9, 2), true},
		{"an LSN before it, on a timeline that was named", LSN(3, 4, .timeline = 1), false},
		{"a backup's end", KIND(TARGET_IMMEDIATE), false},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(damaged); i++)
	{
		AUTO(World) world = world_new(FAILOVER);
		CatalogTimeline *timeline = world_timeline(world, 2);
		AUTO(RecoveryPlan) plan = NULL;
		Error *error;

		timeline_history_free(timeline->history);
		timeline->history = timeline_history_root(2);
		timeline->has_history_file = false;
		timeline->history_damage = mem_strdup("one bit");
		print_message("  %s\n", damaged[i].name);
		error = world_plan(world, &damaged[i].request, &plan);
		if (damaged[i].corrupt)
			assert_error(error, ERR_CORRUPT, "the history of timeline 2 is not known: one bit");
		else
			assert_ok(error);
	}
}

static void
reading_stops_soon_after_the_target(void **state)
{
	AUTO(World) world =
		world_new("tli 1: 1-2000\nbackup A 1@2.1-2.6 20-26\ncommit 1@3.2 32 700\ncommit 1@9.2 92 701\n");
	RecoveryRequest request = TIME(50);
	AUTO(RecoveryPlan) plan = NULL;

	(void) state;
	assert_ok(world_plan(world, &request, &plan));
	assert_int_equal(plan->segment_count, 8);
	assert_int_equal(plan->stored_wal_size, 8 * WORLD_SIZE);
	assert_in_range(world->indexes, 8, 20);
	assert_int_equal(world->records, 2); /* of the stop, and of the last commit before it */
}

static void
the_plan_names_stop_and_last_commit(void **state)
{
	AUTO(World) world = world_new(PLAIN "commit 1@8.1 70 704\n");
	RecoveryRequest request = TIME(75);
	AUTO(RecoveryPlan) plan = NULL;

	(void) state;
	/* Events are told in LSN order. */
	WorldEvent last = world->events[world->n_events - 1];
	world->events[world->n_events - 1] = world->events[world->n_events - 2];
	world->events[world->n_events - 2] = last;
	assert_ok(world_plan(world, &request, &plan));
	assert_int_equal(plan->stop.xid, 703);
	assert_int_equal(plan->stop.time, SECOND(82));
	assert_int_equal(plan->next.xid, 703);
	assert_int_equal(plan->next.lsn, plan->stop.lsn);
	assert_int_equal(plan->last.xid, 704);
	assert_int_equal(plan->last.lsn, PLACE(8, 1));
	assert_int_equal(plan->target.kind, TARGET_LSN);
	assert_int_equal(plan->target.lsn, PLACE(8, 1));
	assert_true(plan->target.inclusive);
	assert_int_equal(plan->n_segments, 1);
	assert_int_equal(plan->segments[0].first, 5);
	assert_int_equal(plan->segments[0].last, 8);
}

/* By transaction id; 0: there is none. */
static void
the_transactions_on_both_sides_are_named(void **state)
{
	static const struct
	{
		RecoveryRequest request;
		TransactionId last;
		TransactionId next;
	} cases[] = {
		{TIME(70), 702, 703},
		{TIME(62), 702, 703},
		{TIME(90), 703, 0},
		{TIME(60), 701, 702}, /* 701 lies before the backup's start: it is included all the same */
		{LSN(6, 2), 702, 703},
		{LSN(6, 1), 701, 702},
		{{.target = {.kind = TARGET_LSN, .inclusive = false, .lsn = PLACE(6, 2)}}, 701, 702},
		{{.target = {.kind = TARGET_LSN, .inclusive = true, .lsn = PLACE(6, 2) - 63}}, 702, 703},
		{{.target = {.kind = TARGET_LSN, .inclusive = true, .lsn = PLACE(6, 2) - 64}}, 701, 702},
		{XID(702), 702, 703},
		{{.target = {.kind = TARGET_XID, .inclusive = false, .xid = 703}}, 702, 703},
		{XID(703), 703, 0},
		{NAMED("here"), 702, 703},
		{KIND(TARGET_IMMEDIATE), 701, 702},
		{KIND(TARGET_IMMEDIATE, .backup_id = "A"), 0, 700},
		{KIND(TARGET_LATEST), 703, 0},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(cases); i++)
	{
		AUTO(World) world = world_new(PLAIN "runs\n");
		AUTO(RecoveryPlan) plan = NULL;

		assert_ok(world_plan(world, &cases[i].request, &plan));
		if (plan->last.xid != cases[i].last || plan->next.xid != cases[i].next)
			fail_msg("case %zu: %u and %u", i, plan->last.xid, plan->next.xid);
	}
}

static void
a_record_over_a_segments_end_may_be_the_last_commit(void **state)
{
	static const struct
	{
		const char *more;
		XLogRecPtr last;
	} cases[] = {
		{"", PLACE(5, 2)},
		{"continues 1@5\n", PLACE(5, 2)},
		{"long 1@5 7.1\n", PLACE(5, 2)},
		{"hidden 1@5.f 55 777 6.1\n", PLACE(5, 15)},
		{"hidden 1@6.f 62 777 7.1\n", PLACE(5, 2)},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(cases); i++)
	{
		AUTO_FREE char *text =
			mem_printf("tli 1: 1-9\nbackup A 1@2.1-2.6 20-26\ncommit 1@5.2 52 700\ncommit 1@7.2 72 701\n%s",
		               cases[i].more);
		AUTO(World) world = world_new(text);
		RecoveryRequest request = TIME(60);
		AUTO(RecoveryPlan) plan = NULL;

		assert_ok(world_plan(world, &request, &plan));
		assert_int_equal(plan->target.kind, TARGET_LSN);
		assert_int_equal(plan->target.lsn, cases[i].last);
	}
}

/* Its consistent place lies before its end, and a commit that counts may lie between. */
static void
the_end_of_a_standbys_backup_is_an_lsn(void **state)
{
	AUTO(World)
	world = world_new(
		"tli 1: 1-20\nbackup A 1@2.1-2.6 20-26 standby\ncommit 1@2.5 25 699\ncommit 1@3.2 32 700\n");
	RecoveryRequest request = TIME(30);
	AUTO(RecoveryPlan) plan = NULL;

	(void) state;
	assert_ok(world_plan(world, &request, &plan));
	assert_int_equal(plan->target.kind, TARGET_LSN);
	assert_int_equal(plan->target.lsn, PLACE(2, 6));
	assert_false(plan->target.inclusive);
}

static void
a_time_before_every_commit_after_the_backup_is_the_backups_end(void **state)
{
	AUTO(World) world = world_new("tli 1: 1-20\nbackup A 1@2.1-2.6 20-26\ncommit 1@3.2 32 700\n");
	RecoveryRequest request = TIME(30);
	AUTO(RecoveryPlan) plan = NULL;

	(void) state;
	assert_ok(world_plan(world, &request, &plan));
	assert_int_equal(plan->target.kind, TARGET_IMMEDIATE);
	assert_int_equal(plan->stop.xid, 700);
}

/* A recovery with less than a restarted primary had would never get past the restart. */
static void
the_plan_has_the_highest_parameters_on_the_way(void **state)
{
	static const struct
	{
		const char *more;
		RecoveryRequest request;
		int connections;
		int workers;
	} cases[] = {
		{"", TIME(70), 100, 8},
		{"parameters 1@7.2 500 4\n", TIME(70), 500, 8},
		{"parameters 1@6.a 500 4\nparameters 1@7.2 200 9\n", TIME(70), 500, 9},
		{"parameters 1@4.2 500 4\n", TIME(70), 100, 8},
		{"parameters 1@9.2 500 4\n", TIME(70), 100, 8},
		{"parameters 1@9.2 500 4\n", KIND(TARGET_LATEST), 500, 8},
		{"parameters 1@9.2 500 4\n", KIND(TARGET_LATEST, .purpose = PURPOSE_STANDBY), 500, 8},
		{"parameters 1@9.2 500 4\nunreadable 1@4\n", TIME(82, .purpose = PURPOSE_REJOIN), 500, 8},
		{"parameters 1@5.2 500 4\n", KIND(TARGET_IMMEDIATE), 500, 8},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(cases); i++)
	{
		AUTO_FREE char *text = mem_printf("%s%s", PLAIN, cases[i].more);
		AUTO(World) world = world_new(text);
		AUTO(RecoveryPlan) plan = NULL;

		assert_ok(world_plan(world, &cases[i].request, &plan));
		assert_int_equal(plan->parameters.max_connections, cases[i].connections);
		assert_int_equal(plan->parameters.max_worker_processes, cases[i].workers);
		assert_int_equal(plan->parameters.max_locks_per_transaction, 64);
		assert_int_equal(plan_says(plan, "ALTER SYSTEM RESET"), plan->purpose != PURPOSE_COPY);
	}
}

int
main(void)
{
	struct CMUnitTest tests[lengthof(rows) + 12];
	size_t n_tests = 0;

	/* cmocka keeps the state as a plain pointer; nobody writes through it. */
	for (size_t i = 0; i < lengthof(rows); i++)
	{
		tests[n_tests++] =
			(struct CMUnitTest){rows[i].name, check_row, NULL, NULL, (void *) (uintptr_t) &rows[i]};
	}
	tests[n_tests++] =
		(struct CMUnitTest) cmocka_unit_test(little_is_read_where_the_records_of_many_segments_are_damaged);
	tests[n_tests++] = (struct CMUnitTest) cmocka_unit_test(reading_stops_soon_after_the_target);
	tests[n_tests++] =
		(struct CMUnitTest) cmocka_unit_test(a_timeline_whose_history_is_damaged_is_not_passed_over);
	tests[n_tests++] = (struct CMUnitTest) cmocka_unit_test(the_plan_names_stop_and_last_commit);
	tests[n_tests++] =
		(struct CMUnitTest) cmocka_unit_test(a_time_before_every_commit_after_the_backup_is_the_backups_end);
	tests[n_tests++] = (struct CMUnitTest) cmocka_unit_test(few_indexes_are_read_for_a_time);
	tests[n_tests++] = (struct CMUnitTest) cmocka_unit_test(a_busy_archive_is_searched_in_logarithmic_time);
	tests[n_tests++] = (struct CMUnitTest) cmocka_unit_test(every_index_is_read_before_a_restore);
	tests[n_tests++] = (struct CMUnitTest) cmocka_unit_test(the_transactions_on_both_sides_are_named);
	tests[n_tests++] = (struct CMUnitTest) cmocka_unit_test(the_end_of_a_standbys_backup_is_an_lsn);
	tests[n_tests++] =
		(struct CMUnitTest) cmocka_unit_test(a_record_over_a_segments_end_may_be_the_last_commit);
	tests[n_tests++] = (struct CMUnitTest) cmocka_unit_test(the_plan_has_the_highest_parameters_on_the_way);
	return _cmocka_run_group_tests("plan_recover", tests, n_tests, NULL, NULL);
}
