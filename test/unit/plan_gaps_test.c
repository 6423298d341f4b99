/* Which missing WAL is a gap, without a retention and with one. */
#include "retain_world.h"
#include "walship/base/retention.h"
#include "walship/plan/gaps.h"

typedef struct Row
{
	const char *name;
	const char *world;
	const char *retention; /* NULL: none */
	int now_days;
	const char *gaps; /* "1:5-6 A, 2:7 A": timeline, segments, and who needs them */
} Row;

/* clang-format off */
static const Row rows[] = {
	{"nothing is missing",
	 "tli 1: 1-9\nbackup A 1@2.1-2.6 20-26 inside", NULL, 0, ""},
	{"a segment is missing",
	 "tli 1: 1-4\ntli 1: 6-9\nbackup A 1@2.1-2.6 20-26 inside", NULL, 0, "1:5 A"},
	{"two gaps",
	 "tli 1: 1-3\ntli 1: 6-7\ntli 1: 9\nbackup A 1@2.1-2.6 20-26 inside", NULL, 0, "1:4-5 A, 1:8 A"},
	{"no backup needs anything before the oldest one",
	 "tli 1: 1\ntli 1: 3-9\nbackup A 1@4.1-4.6 20-26 inside", NULL, 0, ""},
	{"without a backup nothing is needed",
	 "tli 1: 1-3\ntli 1: 5", NULL, 0, ""},
	{"a backup that brings its WAL needs the archive's from its end on",
	 "tli 1: 1-2\ntli 1: 5-9\nbackup A 1@2.1-4.6 20-26 inside", NULL, 0, "1:4 A"},
	{"... also when it ends with a segment",
	 "tli 1: 1-2\ntli 1: 5-9\nbackup A 1@2.1-4.0 20-26 inside", NULL, 0, "1:4 A"},
	{"a backup that does not bring its WAL needs it from the archive",
	 "tli 1: 1-2\ntli 1: 5-9\nbackup A 1@2.1-4.6 20-26", NULL, 0, "1:3-4 A"},
	{"... also when nothing comes behind it",
	 "tli 1: 1-2\nbackup A 1@3.1-4.6 20-26", NULL, 0, "1:3-4 A"},
	{"... also when it is not the oldest backup",
	 "tli 1: 1-6\nbackup A 1@2.1-2.6 20-26 inside\nbackup B 1@6.1-7.6 30-36", NULL, 0, "1:7 B"},
	{"a backup alone needs nothing",
	 "backup A 1@3.1-4.6 20-26 inside\ntli 1: 1", NULL, 0, ""},
	{"all WAL behind the backup is missing, but the end of it",
	 "tli 1: 9\nbackup A 1@3.1-4.6 20-26 inside", NULL, 0, "1:4-8 A"},
	{"the older of two backups needs it",
	 "tli 1: 1-3\ntli 1: 5-9\nbackup A 1@2.1-2.6 20-26 inside\nbackup B 1@6.1-6.6 30-36 inside", NULL, 0, "1:4 A"},
	{"a partial segment tells that there was more",
	 "tli 1: 1-4\npartial 1@6\nbackup A 1@2.1-2.6 20-26 inside", NULL, 0, "1:5 A"},
	{"a gap on the way to two timelines is one",
	 "tli 1: 1-4\ntli 1: 6\nfork 2 1@7.5\ntli 2: 7-9\nbackup A 1@2.1-2.6 20-26 inside", NULL, 0, "1:5 A"},
	{"a gap across a switch is one on each timeline",
	 "tli 1: 1-4\nfork 2 1@7.5\ntli 2: 9\nbackup A 1@2.1-2.6 20-26 inside", NULL, 0, "1:5-6 A, 2:7-8 A"},
	{"a backup of a branch that was left does not need the new one's WAL",
	 "tli 1: 1-9\nfork 2 1@3.5\ntli 2: 3-5\ntli 2: 7\nbackup A 1@6.1-6.6 20-26 inside", NULL, 0, ""},

	{"with a retention: the window's WAL is needed",
	 "tli 1: 1-4\ntli 1: 6-9\nbackup A 1@2.1-2.6 1d-1d1h inside\nmodified 1 9d", "window 30d", 10, "1:5 A"},
	{"... and what lies before it is not",
	 "tli 1: 20-30\nbackup A 1@2.1-2.6 1d-1d1h inside\nbackup B 1@20.1-20.6 40d-40d1h inside\nmodified 1 50d",
	 "window 7d, last 2", 50, ""},
	{"... which without a retention is a gap",
	 "tli 1: 20-30\nbackup A 1@2.1-2.6 1d-1d1h inside\nbackup B 1@20.1-20.6 40d-40d1h inside", NULL, 0, "1:2-19 A"},
	{"the own WAL of a kept backup that does not bring it",
	 "tli 1: 20-30\nbackup A 1@2.1-3.6 1d-1d1h inside\nbackup B 1@10.1-11.6 2d-2d1h\n"
	 "backup C 1@20.1-20.6 40d-40d1h inside\nmodified 1 50d\npin B - for ever", "window 7d", 50, "1:10-11 B"},
	{"a branch without a moment in the window is not promised",
	 "tli 1: 1-5\ntli 1: 7-9\nfork 2 1@4.5\ntli 2: 4-9\nbackup A 1@2.1-2.6 1d-1d1h inside\n"
	 "backup B 2@8.1-8.6 40d-40d1h inside\nmodified 1 3d\nmodified 2 50d", "window 7d", 50, ""},
};
/* clang-format on */

static void
describe(const WalGapList *gaps, Buf *into)
{
	for (size_t i = 0; i < gaps->count; i++)
	{
		const WalRange *range = &gaps->items[i].range;

		buf_printf(into, "%s%u:%u", i > 0 ? ", " : "", range->timeline, (unsigned) range->first);
		if (range->last != range->first)
			buf_printf(into, "-%u", (unsigned) range->last);
		buf_printf(into, " %s", gaps->items[i].needed_by->id);
	}
}

static void
gaps_are_found(void **state)
{
	(void) state;
	for (size_t i = 0; i < lengthof(rows); i++)
	{
		const Row *row = &rows[i];
		AUTO(RetainWorld) world = retain_world_new(row->world);
		AUTO(WalFacts) facts = world_facts(world->world);
		AUTO(RetainPlan) retain = NULL;
		AUTO_WAL_GAPS gaps = {0};
		AUTO_BUF(text, 4096);

		world->request.now = DAY(row->now_days);
		if (row->retention != NULL)
		{
			assert_ok(retention_parse(row->retention, &world->request.policy));
			retain = retain_world_plan(world);
		}
		assert_ok(plan_gaps(&world->world->catalog, retain, facts, &gaps));
		describe(&gaps, &text);
		if (strcmp(text.data == NULL ? "" : text.data, row->gaps) != 0)
		{
			print_message("%s: %s instead of %s\n", row->name, text.data == NULL ? "" : text.data, row->gaps);
			fail();
		}
	}
}

typedef struct KnownRow
{
	const char *name;
	const char *world;
	WalRange gap;
	bool removed_last;     /* the retention does not keep the last backup */
	const char *objection; /* a part of it; NULL: none */
} KnownRow;

/* clang-format off */
static const KnownRow known_rows[] = {
	{"a backup comes behind it",
	 "tli 1: 1-4\ntli 1: 6-9\nbackup A 1@2.1-2.6 20-26 inside\nbackup B 1@7.1-7.6 30-36 inside", {1, 5, 5}, false, NULL},
	{"no backup comes behind it",
	 "tli 1: 1-4\ntli 1: 6-9\nbackup A 1@2.1-2.6 20-26 inside", {1, 5, 5}, false, "no complete backup comes after it"},
	{"the one that comes behind it lacks parts",
	 "tli 1: 1-4\ntli 1: 6-9\nbackup A 1@2.1-2.6 20-26 inside\nbackup B 1@7.1-7.6 30-36 inside gone", {1, 5, 5}, false,
	 "no complete backup"},
	{"the one that comes behind it is not kept",
	 "tli 1: 1-4\ntli 1: 6-9\nbackup A 1@2.1-2.6 20-26 inside\nbackup B 1@7.1-7.6 30-36 inside", {1, 5, 5}, true,
	 "no complete backup"},
	{"the backup ends within it",
	 "tli 1: 1-4\ntli 1: 8-9\nbackup A 1@2.1-2.6 20-26 inside\nbackup B 1@5.1-6.6 30-36 inside", {1, 5, 7}, false,
	 "no complete backup"},
	{"a backup needs it for itself",
	 "tli 1: 1-4\ntli 1: 7-9\nbackup A 1@4.1-6.6 20-26\nbackup B 1@8.1-8.6 30-36 inside", {1, 5, 6}, false,
	 "backup A needs it for itself"},
	{"a branch that was left needs nothing",
	 "tli 1: 1-6\ntli 1: 8-9\nfork 2 1@4.5\ntli 2: 4-9\nbackup A 1@2.1-2.6 20-26 inside", {1, 7, 7}, false, NULL},
	{"the way to the newest timeline leads over it",
	 "tli 1: 1-2\ntli 1: 4\nfork 2 1@4.5\ntli 2: 4-9\nbackup A 1@2.1-2.6 20-26 inside", {1, 3, 3}, false,
	 "no complete backup"},
	{"... and a backup there comes behind it",
	 "tli 1: 1-2\ntli 1: 4\nfork 2 1@4.5\ntli 2: 4-9\nbackup A 1@2.1-2.6 20-26 inside\n"
	 "backup B 2@7.1-7.6 30-36 inside", {1, 3, 3}, false, NULL},
};
/* clang-format on */

static void
what_nothing_needs_may_be_known(void **state)
{
	(void) state;
	for (size_t i = 0; i < lengthof(known_rows); i++)
	{
		const KnownRow *row = &known_rows[i];
		AUTO(RetainWorld) world = retain_world_new(row->world);
		const Catalog *catalog = &world->world->catalog;
		AUTO_FREE bool *kept = NEW_ARRAY(bool, catalog->n_backups);

		for (size_t j = 0; j < catalog->n_backups; j++)
			kept[j] = !row->removed_last || j + 1 < catalog->n_backups;

		AUTO_FREE char *objection = wal_gap_objection(catalog, kept, &row->gap);
		bool as_expected = row->objection == NULL
		                       ? objection == NULL
		                       : objection != NULL && strstr(objection, row->objection) != NULL;

		print_message("  %s\n", row->name);
		if (!as_expected)
			print_message("%s\n", objection == NULL ? "no objection" : objection);
		assert_true(as_expected);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(gaps_are_found),
	                                   cmocka_unit_test(what_nothing_needs_may_be_known)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
