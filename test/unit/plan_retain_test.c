/* What is kept and what goes, in small archives: see retain_world.h for how they are written. */
#include "retain_world.h"

typedef struct RetainRow
{
	const char *name;
	const char *world;
	const char *policy;
	int64_t now;          /* seconds after the epoch of the worlds */
	const char *expected; /* backups, "-" behind those that go; then the WAL that goes */
	const char *
		reason; /* "A: a part of the reason" of backup, leftover ("*X") or WAL ("1@7"); NULL: not looked at */
	const char *zone; /* of the calendar; NULL: UTC */
} RetainRow;

#define AT(days, hours) (INT64_C(86400) * (days) + INT64_C(3600) * (hours))

/* A backup every night at two, ten segments a day; the WAL goes on to the ninth evening. */
#define NIGHTS                                \
	"tli 1: 1-99\n"                           \
	"modified 1 9d20h\n"                      \
	"backup A 1@11.1-11.6 1d2h-1d3h inside\n" \
	"backup B 1@21.1-21.6 2d2h-2d3h inside\n" \
	"backup C 1@31.1-31.6 3d2h-3d3h inside\n" \
	"backup D 1@41.1-41.6 4d2h-4d3h inside\n" \
	"backup E 1@51.1-51.6 5d2h-5d3h inside\n" \
	"backup F 1@61.1-61.6 6d2h-6d3h inside\n" \
	"backup G 1@71.1-71.6 7d2h-7d3h inside\n" \
	"backup H 1@81.1-81.6 8d2h-8d3h inside\n" \
	"backup I 1@91.1-91.6 9d2h-9d3h inside\n"

/* The same, but the archive has the only copy of the backups' WAL. */
#define BARE_NIGHTS                    \
	"tli 1: 1-99\n"                    \
	"modified 1 9d20h\n"               \
	"backup A 1@11.1-12.6 1d2h-1d3h\n" \
	"backup B 1@21.1-22.6 2d2h-2d3h\n" \
	"backup C 1@31.1-32.6 3d2h-3d3h\n" \
	"backup D 1@41.1-42.6 4d2h-4d3h\n"

/* A standby was promoted in segment 45; the old primary is gone. */
#define FAILOVER                              \
	"tli 1: 1-44\n"                           \
	"modified 1 4d12h\n"                      \
	"partial 1@45\n"                          \
	"fork 2 1@45.5\n"                         \
	"tli 2: 45-99\n"                          \
	"modified 2 9d20h\n"                      \
	"backup A 1@11.1-11.6 1d2h-1d3h inside\n" \
	"backup B 1@21.1-21.6 2d2h-2d3h inside\n" \
	"backup C 1@41.1-41.6 4d2h-4d3h inside\n" \
	"backup D 2@61.1-61.6 6d2h-6d3h inside\n" \
	"backup E 2@91.1-91.6 9d2h-9d3h inside\n"

/* Recovered to 45.5 after timeline 1 had gone on to 69: a branch that was given up on the sixth day. */
#define DEAD_BRANCH                           \
	"tli 1: 1-69\n"                           \
	"modified 1 6d20h\n"                      \
	"fork 2 1@45.5\n"                         \
	"tli 2: 45-99\n"                          \
	"modified 2 9d20h\n"                      \
	"backup A 1@11.1-11.6 1d2h-1d3h inside\n" \
	"backup B 1@41.1-41.6 4d2h-4d3h inside\n" \
	"backup C 1@61.1-61.6 6d2h-6d3h inside\n" \
	"backup D 2@81.1-81.6 8d2h-8d3h inside\n" \
	"backup E 2@91.1-91.6 9d2h-9d3h inside\n"

/* One backup in each of these months and years, among others. */
#define YEARS                                     \
	"tli 1: 1-99\n"                               \
	"modified 1 780d\n"                           \
	"backup A 1@11.1-11.6 0d2h-0d3h inside\n"     \
	"backup B 1@12.1-12.6 10d2h-10d3h inside\n"   \
	"backup C 1@13.1-13.6 11d2h-11d3h inside\n"   \
	"backup D 1@14.1-14.6 41d2h-41d3h inside\n"   \
	"backup E 1@15.1-15.6 42d2h-42d3h inside\n"   \
	"backup F 1@16.1-16.6 44d2h-44d3h inside\n"   \
	"backup G 1@17.1-17.6 45d2h-45d3h inside\n"   \
	"backup H 1@18.1-18.6 466d2h-466d3h inside\n" \
	"backup I 1@19.1-19.6 467d2h-467d3h inside\n" \
	"backup J 1@20.1-20.6 779d2h-779d3h inside\n"

/* Segments 55 to 57 are missing. */
#define NIGHTS_WITH_GAP                       \
	"tli 1: 1-54\n"                           \
	"tli 1: 58-99\n"                          \
	"modified 1 9d20h\n"                      \
	"backup A 1@11.1-11.6 1d2h-1d3h inside\n" \
	"backup B 1@21.1-21.6 2d2h-2d3h inside\n" \
	"backup C 1@31.1-31.6 3d2h-3d3h inside\n" \
	"backup D 1@41.1-41.6 4d2h-4d3h inside\n" \
	"backup E 1@51.1-51.6 5d2h-5d3h inside\n" \
	"backup F 1@61.1-61.6 6d2h-6d3h inside\n" \
	"backup G 1@71.1-71.6 7d2h-7d3h inside\n" \
	"backup H 1@81.1-81.6 8d2h-8d3h inside\n" \
	"backup I 1@91.1-91.6 9d2h-9d3h inside\n"

/* Three in a night. */
#define ZONES                                   \
	"tli 1: 1-99\n"                             \
	"modified 1 3d\n"                           \
	"backup A 1@11.1-11.6 0d2h-0d3h inside\n"   \
	"backup B 1@21.1-21.6 0d15h-0d16h inside\n" \
	"backup C 1@31.1-31.6 1d13h-1d14h inside\n"

/* On 31 October 2027, day 345, Berlin's clocks go back from three to two. */
#define AUTUMN                                      \
	"tli 1: 1-99\n"                                 \
	"modified 1 346d\n"                             \
	"backup A 1@11.1-11.6 344d21h-344d22h inside\n" \
	"backup B 1@21.1-21.6 345d0h-345d1h inside\n"   \
	"backup C 1@31.1-31.6 345d21h-345d22h inside\n"

/* On 28 March 2027, day 128, they go forward. */
#define SPRING                                      \
	"tli 1: 1-99\n"                                 \
	"modified 1 129d\n"                             \
	"backup A 1@11.1-11.6 127d21h-127d22h inside\n" \
	"backup B 1@21.1-21.6 127d21h-127d22h inside\n" \
	"backup C 1@31.1-31.6 128d21h-128d21h inside\n"

/* On 7 November 2027, day 352, Havana's go back from one to midnight. */
#define HAVANA                                    \
	"tli 1: 1-99\n"                               \
	"modified 1 353d\n"                           \
	"backup A 1@11.1-11.6 351d3h-351d3h inside\n" \
	"backup B 1@21.1-21.6 352d3h-352d3h inside\n" \
	"backup C 1@31.1-31.6 352d5h-352d6h inside\n"

static const RetainRow rows[] = {
	/* last */
	{"last 1", NIGHTS, "last 1", AT(9, 20), "A- B- C- D- E- F- G- H- I | 1:1-90", "I: last 1", NULL},
	{"last 3", NIGHTS, "last 3", AT(9, 20), "A- B- C- D- E- F- G H I | 1:1-90", "G: last 3", NULL},
	{"last of more than there are", NIGHTS, "last 100", AT(9, 20), "A B C D E F G H I | 1:1-90", "A: last 9",
     NULL},
	{"WAL between backups that are kept only for themselves goes", NIGHTS, "last 3", AT(9, 20),
     "A- B- C- D- E- F- G H I | 1:1-90", "1@75: before the window", NULL},

	/* window */
	{"a window of a day", NIGHTS, "window 1d", AT(9, 20), "A- B- C- D- E- F- G- H I | 1:1-80",
     "H: the window of timeline 1 begins with it", NULL},
	{"in the window everything stays", NIGHTS, "window 3d", AT(9, 20), "A- B- C- D- E- F G H I | 1:1-60",
     "H: in the window", NULL},
	{"a window of a week", NIGHTS, "window 7d", AT(9, 20), "A- B C D E F G H I | 1:1-20",
     "A: no rule keeps it", NULL},
	{"a window that is longer than the archive", NIGHTS, "window 30d", AT(9, 20),
     "A B C D E F G H I | 1:1-10", "A: in the window", NULL},
	{"a backup that ends with the window's beginning begins it", NIGHTS, "window 24h", AT(9, 3),
     "A- B- C- D- E- F- G- H I | 1:1-80", "H: begins with it", NULL},
	{"one that ends a second later does not", NIGHTS, "window 24h", AT(9, 3) - 1,
     "A- B- C- D- E- F- G H I | 1:1-70", "G: begins with it", NULL},
	{"a backup that began before the window, but ended in it, does not", NIGHTS, "window 18h",
     AT(9, 20) - 1800, "A- B- C- D- E- F- G- H I | 1:1-80", "H: begins with it", NULL},
	{"hours", NIGHTS, "window 12h", AT(9, 20), "A- B- C- D- E- F- G- H- I | 1:1-90", "I: begins with it",
     NULL},
	{"without a window the newest backup leads to now", NIGHTS, "daily 1", AT(9, 20),
     "A- B- C- D- E- F- G- H- I | 1:1-90", "I: begins with it", NULL},

	/* within */
	{"within", NIGHTS, "within 2d", AT(9, 20), "A- B- C- D- E- F- G- H I | 1:1-90", "H: within 2d", NULL},
	{"within keeps backups, not moments", NIGHTS, "within 30d", AT(9, 20), "A B C D E F G H I | 1:1-90",
     "A: within 30d", NULL},
	{"exactly so old is not younger", NIGHTS, "within 24h", AT(9, 3), "A- B- C- D- E- F- G- H- I | 1:1-90",
     NULL, NULL},
	{"within and window together", NIGHTS, "window 1d, within 4d", AT(9, 20),
     "A- B- C- D- E- F G H I | 1:1-80", "F: within 4d", NULL},

	/* calendars */
	{"daily", NIGHTS, "daily 3", AT(9, 20), "A- B- C- D- E- F- G H I | 1:1-90", "G: daily 2026-11-27", NULL},
	{"weeks begin on Monday", NIGHTS, "weekly 2", AT(9, 20), "A- B C- D- E- F- G- H- I | 1:1-90",
     "B: weekly 2026-W47", NULL},
	{"the newest of each week", YEARS, "weekly 3", AT(780, 0), "A- B- C- D- E- F- G H- I J | 1:1-19", NULL,
     NULL},
	{"29 February is a day of its own", YEARS, "daily 3", AT(780, 0), "A- B- C- D- E- F- G- H I J | 1:1-19",
     "H: daily 2028-02-29", NULL},
	{"months without backups take no place", YEARS, "monthly 3", AT(780, 0),
     "A- B- C- D- E- F- G- H I J | 1:1-19", "I: monthly 2028-03", NULL},
	{"the newest of a month", YEARS, "monthly 6", AT(780, 0), "A- B C- D E- F- G H I J | 1:1-19",
     "B: monthly 2026-11", NULL},
	{"years", YEARS, "yearly 2", AT(780, 0), "A- B- C- D- E- F- G- H- I J | 1:1-19", NULL, NULL},
	{"the newest of a year", YEARS, "yearly 9", AT(780, 0), "A- B- C- D E- F- G H- I J | 1:1-19", NULL, NULL},
	{"the first of January may belong to the old year's last week", YEARS, "weekly 20", AT(780, 0),
     "A B- C D- E- F G H- I J | 1:1-19", "F: weekly 2026-W53", NULL},
	{"rules are a union", NIGHTS, "last 2, daily 4, weekly 2", AT(9, 20), "A- B C- D- E- F G H I | 1:1-90",
     "I: last 1, daily 2026-11-29, weekly 2026-W48", NULL},
	{"a rule does not take another one's place", NIGHTS, "last 1, daily 1", AT(9, 20),
     "A- B- C- D- E- F- G- H- I | 1:1-90", NULL, NULL},
	{"window and calendar", NIGHTS, "window 1d, weekly 2", AT(9, 20), "A- B C- D- E- F- G- H I | 1:1-80",
     NULL, NULL},

	/* WAL that only the archive has */
	{"a backup without its WAL keeps its range", BARE_NIGHTS, "last 2", AT(4, 20),
     "A- B- C D | 1:1-30 1:33-40", "1@31: backup C needs it", NULL},
	{"such ranges are islands", BARE_NIGHTS, "last 4", AT(4, 20), "A B C D | 1:1-10 1:13-20 1:23-30 1:33-40",
     "1@15: before the window", NULL},
	{"in the window they are part of it", BARE_NIGHTS, "window 2d", AT(4, 20), "A- B C D | 1:1-20",
     "1@31: the window of timeline 1, from backup B on", NULL},
	{"a standby's backup keeps its range, too: what it brings ends in the middle",
     NIGHTS "backup S 1@5.1-6.6 0d2h-0d3h inside standby\n", "yearly 1, last 10", AT(9, 20),
     "A B C D E F G H I S | 1:1-4 1:7-90", NULL, NULL},
	{"a backup that lacks its WAL takes no place", NIGHTS "backup X 1@101.1-102.6 9d4h-9d5h\n", "last 1",
     AT(9, 20), "A- B- C- D- E- F- G- H- I X | 1:1-90", "X: not complete, but less than a day old", NULL},
	{"and goes when it is a day old", NIGHTS "backup X 1@101.1-102.6 9d4h-9d5h\n", "last 1", AT(10, 20),
     "A- B- C- D- E- F- G- H- I X- | 1:1-90", "X: WAL segment", NULL},
	{"in the window it may stay", NIGHTS "backup X 1@101.1-102.6 9d4h-9d5h\n", "window 5d", AT(9, 20),
     "A- B- C- D E F G H I X | 1:1-40", "X: in the window", NULL},
	{"a backup with damaged pages takes no place", NIGHTS "backup X 1@95.1-95.6 9d4h-9d5h inside pages\n",
     "last 1", AT(11, 0), "A- B- C- D- E- F- G- H- I X- | 1:1-90", "X: wrong checksums", NULL},
	{"nor does one whose WAL is damaged in the archive",
     NIGHTS "damaged 1@91.3\nbackup X 1@91.1-92.6 9d4h-9d5h inside\n", "last 1", AT(11, 0),
     "A- B- C- D- E- F- G- H- I X- | 1:1-90", "X: is damaged", NULL},
	{"the window does not begin with a backup that cannot be restored",
     NIGHTS "backup X 1@83.1-84.6 8d4h-8d5h inside pages\n", "window 24h", AT(9, 20),
     "A- B- C- D- E- F- G- H I X- | 1:1-80", "H: begins with it", NULL},
	{"one without its WAL is none either",
     "tli 1: 1-30\ntli 1: 33-99\nmodified 1 4d20h\n"
     "backup A 1@11.1-12.6 1d2h-1d3h\nbackup B 1@31.1-32.6 3d2h-3d3h\nbackup C 1@41.1-42.6 4d2h-4d3h\n",
     "window 24h", AT(4, 20), "A B- C | 1:1-10", "A: begins with it", NULL},

	/* branches */
	{"the way to a new timeline", FAILOVER, "window 6d", AT(9, 20), "A- B C D E | 1:1-20",
     "B: timeline 1 begins with it", NULL},
	{"over the switch, with the segment and the partial", FAILOVER, "window 4d", AT(9, 20),
     "A- B- C D E | 1:1-40", "1@41: the window of timeline 2, from backup C on", NULL},
	{"behind the switch the old timeline goes", FAILOVER, "window 3d", AT(9, 20),
     "A- B- C- D E | 1:1-44 2:45-60 1@45", "1@44: on no way to a moment in the window", NULL},
	{"a branch that was given up goes with its last moment", DEAD_BRANCH, "window 2d", AT(9, 20),
     "A- B C- D E | 1:1-40 1:46-69", "1@60: on no way", NULL},
	{"as long as it has one, it stays", DEAD_BRANCH, "window 4d", AT(9, 20), "A- B C D E | 1:1-40",
     "C: in the window", NULL},
	{"its newest backup before the window leads to its end", DEAD_BRANCH, "window 73h", AT(9, 20),
     "A- B C D E | 1:1-40 1:46-60", "C: the window of timeline 1 begins with it", NULL},
	{"a backup of a dead branch does not begin the window of a live one", DEAD_BRANCH, "window 42h",
     AT(9, 20), "A- B C- D E | 1:1-40 1:46-69", "B: the window of timeline 2 begins with it", NULL},
	{"a day's last backup may be a dead branch's, and keeps itself", DEAD_BRANCH, "window 1d, daily 4",
     AT(9, 20), "A- B C D E | 1:1-69 2:45-80", "C: daily 2026-11-26", NULL},
	{"WAL does not go by its position",
     "tli 1: 1-900\nmodified 1 2d\nfork 2 1@45.5\ntli 2: 45-99\nmodified 2 9d20h\n"
     "backup A 1@41.1-41.6 1d2h-1d3h inside\nbackup B 2@91.1-91.6 9d2h-9d3h inside\n",
     "window 1h", AT(9, 20), "A- B | 1:1-900 2:45-90", NULL, NULL},
	{"two branches that both go on", DEAD_BRANCH "modified 1 9d19h\n", "window 1d", AT(9, 20),
     "A- B- C D E | 1:1-60 2:45-80", "C: the window of timeline 1 begins with it", NULL},
	{"of a branch without a time of its own the last commit tells it",
     DEAD_BRANCH "modified 1 0\ncommit 1@69.8 6d10h 700\n", "window 1d", AT(9, 20),
     "A- B- C- D E | 1:1-69 2:45-80", NULL, NULL},
	{"and without a commit nothing: it stays",
     "tli 1: 1-69\nfork 2 1@45.5\ntli 2: 45-99\nmodified 2 9d20h\n"
     "backup A 1@11.1-11.6 1d2h-1d3h inside\nbackup B 2@81.1-81.6 8d2h-8d3h inside\n",
     "window 1d", AT(9, 20), "A B | 1:1-10 2:45-80", "A: timeline 1 begins with it", NULL},
	{"the newest timeline is alive however quiet it is", NIGHTS "modified 1 9d4h\n", "window 1d", AT(30, 0),
     "A- B- C- D- E- F- G- H- I | 1:1-90", "I: timeline 1 begins with it", NULL},
	{"a timeline of which there is only the history is no branch", NIGHTS "fork 2 1@98.5\n", "last 1",
     AT(9, 20), "A- B- C- D- E- F- G- H- I | 1:1-90", NULL, NULL},
	{"grandparents are on the way",
     "tli 1: 1-20\nmodified 1 2d\nfork 2 1@20.5\ntli 2: 20-30\nmodified 2 3d\nfork 3 2@30.5\ntli 3: 30-99\nmodified 3 9d\n"
     "backup A 1@11.1-11.6 1d2h-1d3h inside\nbackup B 3@91.1-91.6 9d2h-9d3h inside\n",
     "window 3d", AT(9, 20), "A B | 1:1-10", "2@25: the window of timeline 3, from backup A on", NULL},
	{"what a grandparent did after it was left goes",
     "tli 1: 1-50\nmodified 1 2d\nfork 2 1@20.5\ntli 2: 20-30\nmodified 2 3d\nfork 3 2@30.5\ntli 3: 30-99\nmodified 3 9d\n"
     "backup A 1@11.1-11.6 1d2h-1d3h inside\nbackup B 3@91.1-91.6 9d2h-9d3h inside\n",
     "window 3d", AT(9, 20), "A B | 1:1-10 1:21-50", "1@30: on no way", NULL},
	{"where a history is missing, nothing below is given up",
     "tli 1: 1-44\nmodified 1 4d12h\ntli 2: 45-99\nmodified 2 9d20h\nbackup A 1@11.1-11.6 1d2h-1d3h inside\n"
     "backup B 2@91.1-91.6 9d2h-9d3h inside\n",
     "window 1d", AT(9, 20), "A B |", "1@20: the history of timeline 2 is missing", NULL},
	{"unless the window begins behind it",
     "tli 1: 1-44\nmodified 1 4d12h\ntli 2: 45-99\nmodified 2 9d20h\nbackup A 1@11.1-11.6 1d2h-1d3h inside\n"
     "backup B 2@91.1-91.6 9d2h-9d3h inside\n",
     "window 1h", AT(9, 20), "A- B | 1:1-44 2:45-90", NULL, NULL},
	{"a branch to which no backup leads stays",
     "tli 1: 1-99\nmodified 1 9d20h\nbackup A 1@100.1-101.6 9d2h-9d3h\n", "window 1d", AT(9, 20), "A |",
     "1@1: no complete backup leads to timeline 1", NULL},

	/* gaps */
	{"a gap in the window changes nothing", NIGHTS_WITH_GAP, "window 7d", AT(9, 20),
     "A- B C D E F G H I | 1:1-20", NULL, NULL},
	{"a gap before the window changes nothing either", NIGHTS_WITH_GAP, "window 2d", AT(9, 20),
     "A- B- C- D- E- F- G H I | 1:1-54 1:58-70", "G: begins with it", NULL},

	/* pins */
	{"a pin keeps a backup", NIGHTS "pin B -\n", "last 1", AT(9, 20), "A- B C- D- E- F- G- H- I | 1:1-90",
     "B: pinned", NULL},
	{"with a note", NIGHTS "pin B - audit\n", "last 1", AT(9, 20), "A- B C- D- E- F- G- H- I | 1:1-90",
     "B: pinned: audit", NULL},
	{"until a time", NIGHTS "pin B 12d\n", "last 1", AT(9, 20), "A- B C- D- E- F- G- H- I | 1:1-90",
     "B: pinned until 2026-12-02T00:00:00Z", NULL},
	{"and no longer", NIGHTS "pin B 9d20h\n", "last 1", AT(9, 20), "A- B- C- D- E- F- G- H- I | 1:1-90", NULL,
     NULL},
	{"of two pins the longer one counts", NIGHTS "pin B 9d\npin B 12d\n", "last 1", AT(9, 20),
     "A- B C- D- E- F- G- H- I | 1:1-90", "B: until 2026-12-02", NULL},
	{"a pin keeps the backup's own WAL", BARE_NIGHTS "pin A -\n", "last 1", AT(4, 20),
     "A B- C- D | 1:1-10 1:13-40", "1@11: backup A needs it", NULL},
	{"a pin keeps no window", NIGHTS "pin B -\n", "window 1d", AT(9, 20), "A- B C- D- E- F- G- H I | 1:1-80",
     NULL, NULL},
	{"a pin of what is not there", NIGHTS "pin Z -\n", "last 1", AT(9, 20),
     "A- B- C- D- E- F- G- H- I | 1:1-90", NULL, NULL},
	{"a pin keeps also what cannot be restored",
     NIGHTS "pin X -\nbackup X 1@95.1-95.6 0d4h-0d5h inside pages\n", "last 1", AT(9, 20),
     "A- B- C- D- E- F- G- H- I X | 1:1-90", "X: pinned", NULL},

	/* leases */
	{"a lease keeps its backup and the WAL behind it", NIGHTS "lease C 1@31.1\n", "last 1", AT(9, 20),
     "A- B- C D- E- F- G- H- I | 1:1-30", "C: in use by a recovery", NULL},
	{"a lease on WAL alone", NIGHTS "lease - 1@75.0\n", "last 1", AT(9, 20),
     "A- B- C- D- E- F- G- H- I | 1:1-74", "1@80: in use by a recovery", NULL},
	{"a lease follows its timeline", DEAD_BRANCH "lease C 1@61.1\n", "window 1h", AT(9, 20),
     "A- B- C D- E | 1:1-60 2:45-90", "1@69: in use by", NULL},
	{"over a switch", DEAD_BRANCH "lease B 2@41.1\n", "window 1h", AT(9, 20), "A- B C- D- E | 1:1-40 1:46-69",
     NULL, NULL},
	{"a lease on a timeline that is not there", NIGHTS "lease - 7@75.0\n", "last 1", AT(9, 20),
     "A- B- C- D- E- F- G- H- I | 1:1-90", NULL, NULL},

	/* leftovers */
	{"an unfinished backup goes after a day", NIGHTS "unfinished X 8d19h\n", "last 9", AT(9, 20),
     "A B C D E F G H I *X- | 1:1-90", "*X: never finished", NULL},
	{"one that still grows stays", NIGHTS "unfinished X 8d21h\n", "last 9", AT(9, 20),
     "A B C D E F G H I *X | 1:1-90", "*X: less than a day", NULL},
	{"a lease keeps it", NIGHTS "unfinished X 1d\nlease X 1@95.0\n", "last 9", AT(9, 20),
     "A B C D E F G H I *X | 1:1-90", "*X: in use by", NULL},
	{"a pin does not", NIGHTS "unfinished X 1d\npin X -\n", "last 9", AT(9, 20),
     "A B C D E F G H I *X- | 1:1-90", NULL, NULL},

	/* files beside the segments */
	{"partials and backup files go with their segment",
     NIGHTS "partial 1@5\nlabel 1@11\nlabel 1@91\npartial 1@99\n", "last 1", AT(9, 20),
     "A- B- C- D- E- F- G- H- I | 1:1-90 1@5 1@11", NULL, NULL},
	{"also where the segment itself is not there",
     "tli 1: 50-99\nmodified 1 9d20h\npartial 1@5\n"
     "backup I 1@91.1-91.6 9d2h-9d3h inside\n",
     "last 1", AT(9, 20), "I | 1:50-90 1@5", NULL, NULL},
	{"a partial at the switch is on the way", FAILOVER, "window 4d", AT(9, 20), "A- B- C D E | 1:1-40", NULL,
     NULL},

	/* never everything */
	{"the newest complete backup stays, whatever the rules say",
     "tli 1: 1-99\nmodified 1 9d\nfork 2 1@50.5\ntli 2: 50-60\nmodified 2 9d20h\nbackup A 1@81.1-82.6 1d2h-1d3h inside\n",
     "within 1h", AT(9, 20), "A | 1:51-80", NULL, NULL},
	{"of a dead branch, too",
     "tli 1: 1-99\nmodified 1 2d\nfork 2 1@50.5\ntli 2: 50-60\nmodified 2 9d20h\nbackup A 1@81.1-82.6 1d2h-1d3h inside\n",
     "within 1h", AT(9, 20), "A | 1:51-99", "A: the newest complete backup", NULL},
	{"an archive without a backup", "tli 1: 1-99\nmodified 1 9d\n", "last 1", AT(9, 20), " |",
     "1@5: no complete backup leads to timeline 1", NULL},
	{"an empty archive", "", "last 1", AT(9, 20), " |", NULL, NULL},
	{"backups alone", "backup A 1@11.1-11.6 1d2h-1d3h inside\nbackup B 1@21.1-21.6 2d2h-2d3h inside\n",
     "last 1", AT(9, 20), "A- B |", NULL, NULL},

	/* clocks */
	{"days are the zone's: in Tokyo these are two", ZONES, "daily 2", AT(3, 0), "A B- C | 1:1-30",
     "A: daily 2026-11-20", "Asia/Tokyo"},
	{"in UTC one", ZONES, "daily 2", AT(3, 0), "A- B C | 1:1-30", NULL, NULL},
	{"west of it", ZONES, "daily 3", AT(3, 0), "A B C | 1:1-30", "A: daily 2026-11-19", "America/New_York"},
	{"a day of 25 hours is one", AUTUMN, "daily 1", AT(346, 0), "A- B- C | 1:1-30", "C: daily 2027-10-31",
     "Europe/Berlin"},
	{"a day of 23 hours, too", SPRING, "daily 2", AT(129, 0), "A- B C | 1:1-30", "B: daily 2027-03-27",
     "Europe/Berlin"},
	{"where the clocks go back over midnight no day counts twice", HAVANA, "daily 3", AT(353, 0),
     "A B C | 1:1-30", "B: daily 2027-11-06", "America/Havana"},
	{"two backups of the same second", NIGHTS "backup J 1@92.1-92.6 9d2h-9d3h inside\n", "last 1", AT(9, 20),
     "A- B- C- D- E- F- G- H- I- J | 1:1-91", NULL, NULL},
	{"a backup of the future is the newest", NIGHTS "backup J 1@92.1-92.6 9d22h-9d23h inside\n", "last 1",
     AT(9, 20), "A- B- C- D- E- F- G- H- I J | 1:1-90", "J: in the window, last 1", NULL},
};

static char *
summary(const RetainPlan *plan)
{
	Buf text;

	buf_init(&text, 1 << 16);
	for (size_t i = 0; i < plan->n_backups; i++)
		buf_printf(&text, "%s%s%s", i == 0 ? "" : " ", plan->backups[i].backup->id,
		           plan->backups[i].keep ? "" : "-");
	for (size_t i = 0; i < plan->n_leftovers; i++)
		buf_printf(&text, " *%s%s", plan->leftovers[i].unfinished->id, plan->leftovers[i].keep ? "" : "-");
	buf_puts(&text, " |");
	for (size_t i = 0; i < plan->n_wal; i++)
		if (!plan->wal[i].keep)
			buf_printf(&text, " %u:%u-%u", plan->wal[i].range.timeline, (unsigned) plan->wal[i].range.first,
			           (unsigned) plan->wal[i].range.last);
	for (size_t i = 0; i < plan->n_files; i++)
		if (!plan->files[i].keep)
			buf_printf(&text, " %u@%u", plan->files[i].timeline, (unsigned) plan->files[i].file->segno);
	return buf_steal(&text);
}

/* The reason of "A", "*X" or "1@7". */
static const char *
reason_of(const RetainPlan *plan, const char *what)
{
	unsigned timeline;
	unsigned segno;

	for (size_t i = 0; i < plan->n_backups; i++)
		if (strcmp(plan->backups[i].backup->id, what) == 0)
			return plan->backups[i].reason;
	for (size_t i = 0; i < plan->n_leftovers; i++)
		if (what[0] == '*' && strcmp(plan->leftovers[i].unfinished->id, what + 1) == 0)
			return plan->leftovers[i].reason;
	for (size_t i = 0; i < plan->n_wal && sscanf(what, "%u@%u", &timeline, &segno) == 2; i++)
		if (plan->wal[i].range.timeline == timeline && plan->wal[i].range.first <= segno &&
		    plan->wal[i].range.last >= segno)
			return plan->wal[i].reason;
	return "";
}

static int64_t *
local_times(const World *world, const char *zone)
{
	int64_t *times = NEW_ARRAY(int64_t, world->catalog.n_backups);

	for (size_t i = 0; i < world->catalog.n_backups; i++)
		assert_ok(time_local(world->catalog.backups[i]->stop_time, zone == NULL ? "UTC" : zone, &times[i]));
	return times;
}

static bool
row_holds(const RetainRow *row)
{
	AUTO(RetainWorld) world = retain_world_new(row->world);
	AUTO_FREE int64_t *times = local_times(world->world, row->zone);
	AUTO(RetainPlan) plan = NULL;
	AUTO_FREE char *text = NULL;
	char what[32];
	const char *colon;

	assert_ok(retention_parse(row->policy, &world->request.policy));
	world->request.now = SECOND(row->now);
	world->request.local_times = times;
	plan = retain_world_plan(world);
	text = summary(plan);
	if (strcmp(text, row->expected) != 0)
	{
		print_error("%s: got \"%s\" instead of \"%s\"\n", row->name, text, row->expected);
		return false;
	}
	if (row->reason == NULL)
		return true;
	colon = strchr(row->reason, ':');
	(void) snprintf(what, sizeof(what), "%.*s", (int) (colon - row->reason), row->reason);
	if (strstr(reason_of(plan, what), colon + 2) != NULL)
		return true;
	print_error("%s: \"%s\" has the reason \"%s\"\n", row->name, what, reason_of(plan, what));
	return false;
}

static void
test_what_is_kept(void **state)
{
	size_t failed = 0;

	(void) state;
	for (size_t i = 0; i < lengthof(rows); i++)
		failed += row_holds(&rows[i]) ? 0 : 1;
	assert_int_equal(failed, 0);
}

typedef struct RefusalRow
{
	const char *name;
	const char *world;
	const char *policy;
	int64_t now;
	struct
	{
		int64_t store_now;    /* 0: not asked */
		int64_t max_age_days; /* 0: 8 */
		bool has_no_last_run;
		bool force;
		size_t unfinished_removals;
	} guard;
	const char *message; /* a part of it; NULL: it may be carried out */
	const char *hint;
} RefusalRow;

static const RefusalRow refusal_rows[] = {
	{"a run like the last one", NIGHTS, "window 7d", AT(9, 20), {0}, NULL, NULL},
	{"the first run",
     NIGHTS,
     "window 7d",
     AT(9, 20),
     {.has_no_last_run = true},
     "remove 1 backups and 20 WAL segments",
     "expire --force"},
	{"the first run, with --force",
     NIGHTS,
     "window 7d",
     AT(9, 20),
     {.has_no_last_run = true, .force = true},
     NULL,
     NULL},
	{"the first run has nothing to remove",
     "tli 1: 11-99\nmodified 1 9d20h\nbackup A 1@11.1-11.6 9d2h-9d3h inside\n",
     "last 1",
     AT(9, 20),
     {.has_no_last_run = true},
     NULL,
     NULL},
	{"more than came",
     NIGHTS,
     "last 1",
     AT(9, 20),
     {0},
     "8 backups would be removed, but only 1 came",
     "--force"},
	{"more than came, with --force", NIGHTS, "last 1", AT(9, 20), {.force = true}, NULL, NULL},
	{"more than came, after a run that was killed",
     NIGHTS,
     "last 1",
     AT(9, 20),
     {.unfinished_removals = 8},
     NULL,
     NULL},
	{"no backup in the last days",
     NIGHTS,
     "last 1",
     AT(18, 0),
     {.force = true},
     "\"I\", is older than 8d",
     "backup_max_age"},
	{"no backup in the last days, and only WAL to remove",
     NIGHTS,
     "within 300d, window 300d",
     AT(1, 2) + INT64_C(86400) * 60,
     {0},
     "is older than 8d",
     NULL},
	{"a limit that allows it", NIGHTS, "last 5", AT(18, 0), {.max_age_days = 9}, NULL, NULL},
	{"no complete backup",
     "tli 1: 1-9\nmodified 1 9d\nbackup A 1@2.1-2.6 1d-1d1h inside pages\n",
     "last 1",
     AT(9, 20),
     {.force = true},
     "there is no complete backup",
     "walship backup"},
	{"a clock before the store's",
     NIGHTS,
     "window 7d",
     AT(9, 20),
     {.store_now = (AT(9, 22)), .force = true},
     "this machine's clock says 2026-11-29T20:00:00Z, the store's 2026-11-29T22:00:00Z",
     "Set it right"},
	{"a clock behind the store's",
     NIGHTS,
     "window 7d",
     AT(9, 20),
     {.store_now = (AT(9, 18))},
     "this machine's clock says",
     "Set it right"},
	{"a clock that differs a little",
     NIGHTS,
     "window 7d",
     AT(9, 20),
     {.store_now = (AT(9, 20) + 3600)},
     NULL,
     NULL},
	{"a clock before the newest backup",
     NIGHTS,
     "window 7d",
     AT(9, 1),
     {0},
     "but backup \"I\" ended at",
     "Set it right"},
};

static void
test_refusals(void **state)
{
	size_t failed = 0;

	(void) state;
	for (size_t i = 0; i < lengthof(refusal_rows); i++)
	{
		const RefusalRow *row = &refusal_rows[i];
		AUTO(RetainWorld) world = retain_world_new(row->world);
		AUTO(RetainPlan) plan = NULL;
		AUTO(Error) error = NULL;

		assert_ok(retention_parse(row->policy, &world->request.policy));
		world->request.now = SECOND(row->now);
		plan = retain_world_plan(world);

		RetainGuard guard = {
			.store_now = row->guard.store_now == 0 ? TIME_NONE : SECOND(row->guard.store_now),
			.backup_max_age_ms =
				(row->guard.max_age_days == 0 ? 8 : row->guard.max_age_days) * INT64_C(86400000),
			.has_last_run = !row->guard.has_no_last_run,
			.last_run = SECOND(AT(8, 20)),
			.unfinished_removals = row->guard.unfinished_removals,
			.force = row->guard.force,
		};

		error = retain_refusal(&world->world->catalog, &world->request, plan, &guard);
		if ((error == NULL) == (row->message == NULL) &&
		    (error == NULL || (strstr(error_message(error), row->message) != NULL &&
		                       (row->hint == NULL || strstr(error_get_hint(error), row->hint) != NULL))))
			continue;
		print_error("%s: \"%s\", hint \"%s\"\n", row->name, error == NULL ? "success" : error_message(error),
		            error == NULL ? "" : error_get_hint(error));
		failed++;
	}
	assert_int_equal(failed, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_kept),
		cmocka_unit_test(test_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
