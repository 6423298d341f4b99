/*
 * Runs of quiet segments shorten a search; they must not change what comes of it.
 * Archives are made at random, by numbers that are the same in every run
 * (WALSHIP_TEST_SEED chooses others), and each is looked at twice: with the runs,
 * and as its indexes would be without them.
 */
#include <assert.h>
#include <inttypes.h>

#include "plan_world.h"
#include "walship/base/mem.h"
#include "walship/base/strs.h"
#include "walship/recovery/search.h"

#define ARCHIVES      600
#define SEGMENTS      40 /* fewer than the indexes that are looked through in vain */
#define LONG_ARCHIVES 25
#define LONG_SEGMENTS 1500 /* "find" does not pass over a few hundred */

static uint64_t random_state;

static uint32_t
random_below(uint32_t limit)
{
	/* xorshift64*: Marsaglia, "Xorshift RNGs", 2003; Vigna's multiplier */
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return (uint32_t) ((random_state * UINT64_C(2685821657736338717)) >> 33) % limit;
}

static bool
one_in(uint32_t n)
{
	return random_below(n) == 0;
}

/* ---- an archive ---- */

/* What happens in a segment, in the order of the WAL: one thing in each part at most. */
static void
add_happenings(unsigned timeline, unsigned segno, unsigned *xid, Buf *text)
{
	unsigned second = segno * 10 + random_below(30); /* clocks are not quite in the order of the WAL */

	if (one_in(5))
		buf_printf(text, "commit %u@%u.2 %u %u\n", timeline, segno, second, (*xid)++);
	if (one_in(40))
		buf_printf(text, "point %u@%u.4 %u p%u\n", timeline, segno, second, segno);
	if (one_in(60))
		buf_printf(text, "parameters %u@%u.5 %u 9\n", timeline, segno, 100 + segno);
	if (one_in(60))
		buf_printf(text, "torn %u@%u.6\n", timeline, segno);
	switch (random_below(24))
	{
		case 0:
			buf_printf(text, "continues %u@%u\n", timeline, segno);
			break;
		case 1:
			buf_printf(text, "long %u@%u %u.2\n", timeline, segno, segno + 1 + random_below(3));
			break;
		case 2:
			buf_printf(text, "commit %u@%u.f %u %u %u.1\n", timeline, segno, second, (*xid)++, segno + 1);
			break;
		case 3:
			buf_printf(text, "hidden %u@%u.f %u %u %u.1\n", timeline, segno, second, (*xid)++, segno + 1);
			break;
		case 4:
			buf_printf(text, "buried %u@%u.d %u %u %u.1\n", timeline, segno, second, (*xid)++, segno + 1);
			break;
		case 5:
			buf_printf(text, "givenup %u@%u\n", timeline, segno);
			break;
		default:
			break;
	}
	if (one_in(15))
		buf_printf(text, "old %u@%u\n", timeline, segno);
	if (one_in(15))
		buf_printf(text, "break %u@%u\n", timeline, segno);
}

/* Most archives have none. */
static void
add_flaw(unsigned timeline, unsigned segno, Buf *text)
{
	static const char *const flaws[] = {"damaged", "unreadable", "foreign", "minimal"};

	if (one_in(3))
		buf_printf(text, "%s %u@%u.8\n", flaws[random_below(lengthof(flaws))], timeline, segno);
}

static void
add_segments(unsigned timeline, unsigned first, unsigned last, unsigned *xid, Buf *text)
{
	unsigned hole = first + 1 + random_below(last - first);

	if (one_in(6) && hole < last)
		buf_printf(text, "tli %u: %u-%u\ntli %u: %u-%u\n", timeline, first, hole - 1, timeline, hole + 1,
		           last);
	else
		buf_printf(text, "tli %u: %u-%u\n", timeline, first, last);
	for (unsigned segno = first; segno <= last; segno++)
		add_happenings(timeline, segno, xid, text);
	add_flaw(timeline, first + random_below(last - first + 1), text);
}

static void
make_archive(Buf *text)
{
	unsigned last = 8 + random_below(SEGMENTS - 8);
	unsigned fork = 4 + random_below(last - 4);
	unsigned xid = 700;

	buf_puts(text, "runs\n");
	add_segments(1, 1, last, &xid, text);
	for (unsigned i = 0; i <= random_below(3); i++)
	{
		unsigned at = 2 + random_below(last - 3);

		buf_printf(text, "backup %c 1@%u.1-%u.6 %u-%u%s\n", (char) ('A' + i), at, at, at * 10, at * 10 + 6,
		           one_in(3)   ? " inside"
		           : one_in(6) ? " standby"
		                       : "");
	}
	if (one_in(3))
	{
		buf_printf(text, "fork 2 1@%u.5\n", fork);
		add_segments(2, fork, fork + 3 + random_below(12), &xid, text);
	}
}

/* ---- what comes of it, as text ---- */

static void
tell_place(const char *what, const WalPlace *place, Buf *into)
{
	buf_printf(into, "%s %u/%" PRIX64 " %" PRId64 " of %u%s\n", what, place->timeline, place->lsn,
	           place->time, place->xid, place->aborted ? " aborted" : "");
}

static void
tell_list(const char *what, const StrList *list, Buf *into)
{
	for (size_t i = 0; i < list->count; i++)
		buf_printf(into, "%s: %s\n", what, list->items[i]);
}

static void
tell_error(const Error *error, Buf *into)
{
	const char *hint = error_get_hint(error);

	buf_printf(into, "refused: %s\n%s\n", error_message(error), hint == NULL ? "" : hint);
}

static void
tell_plan(World *world, const RecoveryRequest *request, Buf *into)
{
	AUTO(RecoveryPlan) plan = NULL;
	AUTO(Error) error = world_plan(world, request, &plan);

	if (error != NULL)
	{
		tell_error(error, into);
		return;
	}
	buf_printf(into,
	           "%s on %u, target %d %" PRIX64 " %" PRId64 " %d, end %" PRIX64 " %s, %" PRIu64
	           " segments, %d\n",
	           plan->backup->id, plan->timeline, (int) plan->target.kind, plan->target.lsn, plan->target.time,
	           plan->target.inclusive, plan->end_lsn, plan->plan_end, plan->segment_count,
	           plan->parameters.max_connections);
	tell_place("stop", &plan->stop, into);
	tell_place("last", &plan->last, into);
	tell_place("next", &plan->next, into);
	tell_list("note", &plan->notes, into);
	tell_list("warning", &plan->warnings, into);
}

static void
tell_plans(World *world, unsigned at, Buf *into)
{
	const RecoveryTarget targets[] = {
		{.kind = TARGET_LATEST, .inclusive = true},
		{.kind = TARGET_TIME, .inclusive = true, .time = SECOND(at * 10)},
		{.kind = TARGET_TIME, .inclusive = true, .time = SECOND(8000)},
		{.kind = TARGET_LSN, .inclusive = true, .lsn = PLACE(at, 3)},
		{.kind = TARGET_XID, .inclusive = true, .xid = 700 + at / 4},
		{.kind = TARGET_BEFORE, .xid = 700 + at / 4},
		{.kind = TARGET_NAME, .inclusive = true, .name = "p9"},
		{.kind = TARGET_IMMEDIATE, .inclusive = true},
	};

	for (size_t i = 0; i < lengthof(targets); i++)
		for (TimeLineID timeline = 0; timeline < 3; timeline++)
			tell_plan(world,
			          &(RecoveryRequest){.target = targets[i], .timeline = timeline, .now = SECOND(9000)},
			          into);
}

static void
tell_windows(World *world, Buf *into)
{
	AUTO(WalFacts) facts = world_facts(world);
	WindowList list;

	assert_ok(plan_windows(&world->catalog, facts, &list));
	for (size_t i = 0; i < list.n_timelines; i++)
	{
		const TimelineWindows *windows = &list.timelines[i];

		buf_printf(into, "timeline %u: %" PRId64 " to %" PRId64 "\n", windows->timeline,
		           windows->first_commit, windows->last_commit);
		for (size_t j = 0; j < windows->n_windows; j++)
			buf_printf(into, "  from %s to %" PRIX64 " %" PRId64 "\n", windows->windows[j].backup->id,
			           windows->windows[j].to_lsn, windows->windows[j].to_time);
	}
	window_list_release(&list);
}

static void
tell_findings(World *world, SearchKind kind, TimeUs since, Buf *into)
{
	AUTO(WalFacts) facts = world_facts(world);
	SearchRequest request = {.kind = kind, .since = since, .until = TIME_NONE, .jobs = 2};
	Findings findings = {0};

	assert_ok(search_run(facts, &world->catalog, &request, &findings));
	buf_printf(into, "find %d since %" PRId64 "\n", (int) kind, since);
	for (size_t i = 0; i < findings.count; i++)
		buf_printf(into, "found %u/%" PRIX64 " %u %" PRId64 " %s\n", findings.items[i].timeline,
		           findings.items[i].lsn, findings.items[i].xid, findings.items[i].time,
		           findings.items[i].name == NULL ? "" : findings.items[i].name);
	tell_list("warning", &findings.warnings, into);
	findings_release(&findings);
}

static void
tell_all(const char *archive, bool quiet, unsigned at, Buf *into, int *indexes)
{
	AUTO(World) world = world_new(archive);

	world->quiet_runs = quiet;
	tell_plans(world, at, into);
	tell_windows(world, into);
	for (SearchKind kind = SEARCH_DROPS; kind <= SEARCH_COMMITS; kind++)
		tell_findings(world, kind, at % 2 == 0 ? TIME_NONE : SECOND(at * 10), into);
	*indexes += world->indexes;
}

static void
quiet_runs_change_no_answer(void **state)
{
	int with = 0;
	int without = 0;

	(void) state;
	for (int i = 0; i < ARCHIVES; i++)
	{
		AUTO_BUF(archive, 256 * 1024);
		AUTO_BUF(short_way, 1024 * 1024);
		AUTO_BUF(long_way, 1024 * 1024);
		unsigned at;

		make_archive(&archive);
		at = 3 + random_below(SEGMENTS);
		tell_all(archive.data, true, at, &short_way, &with);
		tell_all(archive.data, false, at, &long_way, &without);
		if (strcmp(short_way.data, long_way.data) != 0)
			fail_msg("archive %d\n%s\nat %u, with quiet runs:\n%s\nwithout:\n%s", i, archive.data, at,
			         short_way.data, long_way.data);
	}
	print_message("  indexes read: %d, without quiet runs %d\n", with, without);
	assert_true(with < without);
}

/* Where much is passed over: few things happen, and some writers were old. */
static void
make_long_archive(Buf *text)
{
	unsigned xid = 700;

	buf_printf(text, "tli 1: 1-%d\nbackup A 1@2.1-2.6 20-26\n", LONG_SEGMENTS);
	for (unsigned i = 0; i < 3 + random_below(20); i++)
		add_happenings(1, 1 + random_below(LONG_SEGMENTS - 4), &xid, text);
	for (unsigned i = 0; i < random_below(4); i++)
		buf_printf(text, "%s 1@%u.8\n",
		           one_in(3)   ? "damaged"
		           : one_in(2) ? "foreign"
		                       : "old",
		           1 + random_below(LONG_SEGMENTS));
}

static void
tell_all_findings(const char *archive, bool quiet, Buf *into, int *indexes)
{
	AUTO(World) world = world_new(archive);

	world->quiet_runs = quiet;
	for (SearchKind kind = SEARCH_DROPS; kind <= SEARCH_COMMITS; kind++)
		for (unsigned at = 0; at < 2; at++)
			tell_findings(world, kind, at == 0 ? TIME_NONE : SECOND(at * LONG_SEGMENTS * 5), into);
	*indexes += world->indexes;
}

static void
quiet_runs_hide_nothing_from_find(void **state)
{
	int with = 0;
	int without = 0;

	(void) state;
	for (int i = 0; i < LONG_ARCHIVES; i++)
	{
		AUTO_BUF(archive, 256 * 1024);
		AUTO_BUF(short_way, 1024 * 1024);
		AUTO_BUF(long_way, 1024 * 1024);

		make_long_archive(&archive);
		tell_all_findings(archive.data, true, &short_way, &with);
		tell_all_findings(archive.data, false, &long_way, &without);
		if (strcmp(short_way.data, long_way.data) != 0)
			fail_msg("archive %d\n%s\nwith quiet runs:\n%s\nwithout:\n%s", i, archive.data, short_way.data,
			         long_way.data);
	}
	print_message("  indexes read: %d, without quiet runs %d\n", with, without);
	assert_true(with < without / 2);
}

/* ---- how little is read ---- */

/* 20000 segments, the last commit in the third, another thing in the 19000th; "more" before it. */
static void
the_end_of_an_idle_archive_is_found_with_few_indexes(void **state)
{
	static const struct
	{
		const char *name;
		const char *more;
		int plan;
		int windows;
		int find;
	} rows[] = {
		{"one run", "", 8, 100, 8},
		{"a restore point in the middle", "point 1@10000.2 99000 here\n", 10, 100, 10},
		{"the note was lost three times", "break 1@5000\nbreak 1@9000\nbreak 1@15000\n", 14, 100, 14},
		{"one segment of an old writer", "old 1@7000\n", 12, 100, 12},
		{"the last one is of an old writer", "old 1@20000\n", 12, 100, 12},
		{"one that cannot be read in the middle", "unreadable 1@7000\n", 10, 100, 10},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(rows); i++)
	{
		AUTO_FREE char *text = mem_printf("runs\nquiet\ntli 1: 1-20000\nbackup A 1@2.1-2.6 20-26\n"
		                                  "commit 1@3.2 32 700\n%s",
		                                  rows[i].more);
		AUTO(World) plan_world = world_new(text);
		AUTO(World) window_world = world_new(text);
		AUTO(World) find_world = world_new(text);
		AUTO(WalFacts) window_facts = world_facts(window_world);
		AUTO(WalFacts) find_facts = world_facts(find_world);
		RecoveryRequest latest = {.target = {.kind = TARGET_LATEST, .inclusive = true},
		                          .now = SECOND(300000)};
		SearchRequest commits = {.kind = SEARCH_COMMITS, .since = TIME_NONE, .until = TIME_NONE, .jobs = 2};
		AUTO(RecoveryPlan) plan = NULL;
		Findings findings = {0};
		WindowList windows;

		print_message("  %s\n", rows[i].name);
		assert_ok(world_plan(plan_world, &latest, &plan));
		assert_int_equal(plan->last.lsn, PLACE(3, 2));
		assert_int_equal(plan->end_lsn, PLACE(20001, 0));
		assert_in_range(plan_world->indexes, 1, rows[i].plan);
		assert_ok(plan_windows(&window_world->catalog, window_facts, &windows));
		assert_int_equal(windows.timelines[0].last_commit, SECOND(32));
		assert_in_range(window_world->indexes, 1, rows[i].windows);
		assert_ok(search_run(find_facts, &find_world->catalog, &commits, &findings));
		assert_int_equal(findings.count, 1);
		assert_int_equal(findings.ends[0].time, SECOND(32));
		assert_in_range(find_world->indexes, 1, rows[i].find);
		window_list_release(&windows);
		findings_release(&findings);
	}
}

/* Where the writer knew of no quiet runs all is read as before; so is it before a restore. */
static void
without_the_runs_every_index_is_read(void **state)
{
	static const struct
	{
		const char *runs;
		bool every_index;
	} rows[] = {{"runs\n", false}, {"runs\nquiet\n", true}};

	(void) state;
	for (size_t i = 0; i < lengthof(rows); i++)
	{
		AUTO_FREE char *text =
			mem_printf("%stli 1: 1-2000\nbackup A 1@2.1-2.6 20-26\ncommit 1@3.2 32 700\n", rows[i].runs);
		AUTO(World) world = world_new(text);
		RecoveryRequest latest = {.target = {.kind = TARGET_LATEST, .inclusive = true},
		                          .every_index = rows[i].every_index,
		                          .now = SECOND(300000)};
		AUTO(RecoveryPlan) plan = NULL;

		assert_ok(world_plan(world, &latest, &plan));
		assert_int_equal(plan->last.lsn, PLACE(3, 2));
		assert_in_range(world->indexes, 1997, 2000);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(quiet_runs_change_no_answer),
		cmocka_unit_test(quiet_runs_hide_nothing_from_find),
		cmocka_unit_test(the_end_of_an_idle_archive_is_found_with_few_indexes),
		cmocka_unit_test(without_the_runs_every_index_is_read),
	};

	const char *seed = getenv("WALSHIP_TEST_SEED");

	random_state = UINT64_C(20261129);
	if (seed != NULL)
		assert(str_to_uint64(seed, &random_state) && random_state != 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
