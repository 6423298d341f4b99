/* What a prefetcher gets next: the window's size, timelines, the plan's end, and where it stops. */
#include "walship/ship/prefetch_plan.h"

#include "scratch.h"

#define MB 0x100000u

typedef struct World
{
	PrefetchPlan plan;
	int64_t now_ms;
} World;

static WalName
segment(TimeLineID timeline, XLogSegNo segno)
{
	return wal_name_of_segment(timeline, segno, MB);
}

static void
world_init(World *world, int most, int getters)
{
	world->now_ms = 1000;
	prefetch_plan_init(&world->plan, MB, most, getters);
	prefetch_plan_set_path(&world->plan, timeline_history_root(1));
}

static void
server_got(World *world, XLogSegNo segno, PrefetchTaken how)
{
	PrefetchMessage message = {.got = segment(1, segno), .how = how};

	prefetch_plan_server_got(&world->plan, &message, world->now_ms);
}

/* Everything that is begun now, as "5 6 7", of any timeline but 1 as "2/5". */
static const char *
begun(World *world)
{
	static char text[256];
	size_t size = 0;
	WalName name;

	text[0] = '\0';
	while (prefetch_plan_next(&world->plan, &name))
	{
		XLogSegNo segno = 0;

		assert_true(wal_name_segno(&name, MB, &segno));
		if (name.timeline != 1)
			size += (size_t) snprintf(text + size, sizeof(text) - size, "%u/", name.timeline);
		size += (size_t) snprintf(text + size, sizeof(text) - size, "%d ", (int) segno);
	}
	if (size > 0)
		text[size - 1] = '\0';
	return text;
}

static void
came(World *world, XLogSegNo segno, PrefetchGot got)
{
	WalName name = segment(1, segno);

	prefetch_plan_came(&world->plan, &name, got);
}

static int
dropped(World *world)
{
	WalName name;
	int count = 0;

	while (prefetch_plan_drop(&world->plan, &name))
		count++;
	return count;
}

static void
nothing_is_got_before_the_server_got_something(void **state)
{
	World world;

	(void) state;
	world_init(&world, 16, 4);
	assert_string_equal(begun(&world), "");
	prefetch_plan_release(&world.plan);
}

static void
the_window_begins_with_two_and_doubles_while_the_server_waits(void **state)
{
	World world;

	(void) state;
	world_init(&world, 10, 100);
	server_got(&world, 5, PREFETCH_MISSED);
	assert_string_equal(begun(&world), "6 7");
	came(&world, 6, PREFETCH_GOT);
	server_got(&world, 6, PREFETCH_WAITED);
	assert_string_equal(begun(&world), "8 9 10");
	server_got(&world, 7, PREFETCH_WAITED);
	assert_string_equal(begun(&world), "11 12 13 14 15");
	server_got(&world, 8, PREFETCH_MISSED);
	assert_string_equal(begun(&world), "16 17 18"); /* ten ahead, and no more */
	prefetch_plan_release(&world.plan);
}

static void
only_so_many_are_got_at_the_same_time(void **state)
{
	World world;

	(void) state;
	world_init(&world, 16, 1);
	server_got(&world, 5, PREFETCH_MISSED);
	assert_string_equal(begun(&world), "6");
	came(&world, 6, PREFETCH_GOT);
	assert_string_equal(begun(&world), "7");
	prefetch_plan_release(&world.plan);
}

static void
large_segments_make_a_small_window(void **state)
{
	PrefetchPlan plan;

	(void) state;
	prefetch_plan_init(&plan, 64 * MB, 100, 4);
	assert_int_equal(plan.most, 16);
	prefetch_plan_init(&plan, 1024 * MB, 100, 4);
	assert_int_equal(plan.most, 2);
}

static void
a_server_that_always_finds_it_full_makes_the_window_smaller_but_not_below_two(void **state)
{
	World world;

	(void) state;
	world_init(&world, 16, 100);
	server_got(&world, 1, PREFETCH_MISSED);
	server_got(&world, 2, PREFETCH_MISSED);
	server_got(&world, 3, PREFETCH_MISSED);
	assert_int_equal(world.plan.size, 8);
	for (XLogSegNo segno = 4; segno < 400; segno++)
	{
		(void) begun(&world);
		for (XLogSegNo ahead = segno; ahead < segno + 16; ahead++)
			came(&world, ahead, PREFETCH_GOT);
		(void) dropped(&world);
		server_got(&world, segno, PREFETCH_READY);
	}
	assert_int_equal(world.plan.size, 2);
	prefetch_plan_release(&world.plan);
}

static void
behind_what_cannot_be_got_nothing_is_looked_for(void **state)
{
	static const PrefetchGot ends[] = {PREFETCH_ABSENT, PREFETCH_FAILED};

	(void) state;
	for (size_t i = 0; i < lengthof(ends); i++)
	{
		World world;

		world_init(&world, 16, 2);
		server_got(&world, 5, PREFETCH_MISSED);
		assert_string_equal(begun(&world), "6 7");
		came(&world, 6, PREFETCH_GOT);
		came(&world, 7, ends[i]);
		assert_string_equal(begun(&world), "");
		server_got(&world, 6, PREFETCH_WAITED);
		assert_string_equal(begun(&world), "");

		/* The server got over it; only when the next one follows quickly is it a backlog. */
		server_got(&world, 7, PREFETCH_MISSED);
		assert_string_equal(begun(&world), "");
		world.now_ms += PREFETCH_BACKLOG_MS;
		server_got(&world, 8, PREFETCH_MISSED);
		assert_string_equal(begun(&world), "");
		world.now_ms += PREFETCH_BACKLOG_MS - 1;
		server_got(&world, 9, PREFETCH_MISSED);
		assert_string_equal(begun(&world), "10");
		prefetch_plan_release(&world.plan);
	}
}

static void
what_fetch_gets_itself_is_left_to_it_and_is_no_end(void **state)
{
	World world;

	(void) state;
	world_init(&world, 16, 4);
	server_got(&world, 5, PREFETCH_MISSED);
	assert_string_equal(begun(&world), "6 7");
	came(&world, 6, PREFETCH_CLAIMED);
	came(&world, 7, PREFETCH_GOT);
	assert_string_equal(begun(&world), "");
	server_got(&world, 6, PREFETCH_MISSED);
	assert_string_equal(begun(&world), "8 9 10");
	prefetch_plan_release(&world.plan);
}

static void
beyond_the_plans_end_nothing_is_wanted(void **state)
{
	World world;
	PrefetchMessage message = {
		.got = segment(1, 5), .how = PREFETCH_MISSED, .bounded = true, .end = segment(1, 6)};

	(void) state;
	world_init(&world, 16, 4);
	prefetch_plan_server_got(&world.plan, &message, world.now_ms);
	assert_string_equal(begun(&world), "6");
	message.got = segment(1, 9);
	prefetch_plan_server_got(&world.plan, &message, world.now_ms);
	assert_string_equal(begun(&world), "");
	prefetch_plan_release(&world.plan);
}

static void
it_goes_over_to_the_new_timeline_with_the_segment_of_the_switch(void **state)
{
	static const char text[] = "1\t0/680000\tx\n2\t0/800000\tx\n";
	TimelineHistory *history;
	World world;

	(void) state;
	assert_ok(timeline_history_parse(3, text, sizeof(text) - 1, "00000003.history", &history));
	world_init(&world, 16, 16);
	server_got(&world, 3, PREFETCH_MISSED);
	assert_string_equal(begun(&world), "4 5");
	came(&world, 4, PREFETCH_GOT);
	came(&world, 5, PREFETCH_GOT);
	prefetch_plan_set_path(&world.plan, history);
	assert_int_equal(dropped(&world), 0);
	server_got(&world, 4, PREFETCH_WAITED);
	server_got(&world, 5, PREFETCH_WAITED);
	assert_string_equal(begun(&world), "2/6 2/7 3/8 3/9 3/10 3/11 3/12 3/13");
	prefetch_plan_release(&world.plan);
}

static void
what_the_server_passed_or_will_not_come_to_is_dropped(void **state)
{
	TimelineHistory *history;
	World world;

	(void) state;
	assert_ok(timeline_history_parse(2, "1\t0/680000\tx\n", 13, "00000002.history", &history));
	world_init(&world, 4, 4);
	server_got(&world, 4, PREFETCH_MISSED);
	server_got(&world, 5, PREFETCH_MISSED);
	assert_string_equal(begun(&world), "6 7 8 9");
	for (XLogSegNo segno = 6; segno <= 9; segno++)
		came(&world, segno, PREFETCH_GOT);
	server_got(&world, 7, PREFETCH_READY);
	assert_int_equal(dropped(&world), 2);
	prefetch_plan_set_path(&world.plan, history);
	assert_int_equal(dropped(&world), 2);
	assert_string_equal(begun(&world), "2/8 2/9 2/10 2/11");
	prefetch_plan_release(&world.plan);
}

static void
messages_are_read_as_they_are_written(void **state)
{
	static const PrefetchMessage messages[] = {
		{.got = {.timeline = 2, .log = 3, .seg = 4}, .how = PREFETCH_READY},
		{.got = {.timeline = 2, .log = 3, .seg = 0xAB}, .how = PREFETCH_WAITED},
		{.got = {.timeline = 9, .log = 0xFFFFFFFF, .seg = 4},
	     .how = PREFETCH_MISSED,
	     .bounded = true,
	     .end = {.timeline = 9, .log = 0xFFFFFFFF, .seg = 7}},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(messages); i++)
	{
		AUTO_FREE char *text = prefetch_message_format(&messages[i]);
		PrefetchMessage read;

		assert_int_equal(text[strlen(text) - 1], '\n');
		text[strlen(text) - 1] = '\0';
		assert_true(prefetch_message_parse(text, &read));
		assert_memory_equal(&read.got, &messages[i].got, sizeof(read.got));
		assert_int_equal(read.how, messages[i].how);
		assert_int_equal(read.bounded, messages[i].bounded);
		if (read.bounded)
			assert_memory_equal(&read.end, &messages[i].end, sizeof(read.end));
	}
}

static void
other_lines_are_no_messages(void **state)
{
	static const char *const lines[] = {
		"",
		"R",
		"R ",
		"R 000000020000000300000004",
		"X 000000020000000300000004 -",
		"R 00000002000000030000000 -",
		"R 000000020000000300000004 ",
		"R 000000020000000300000004 --",
		"R 00000002.history -",
		"R 000000020000000300000004 00000002.history",
		"R  000000020000000300000004 -",
	};

	(void) state;
	for (size_t i = 0; i < lengthof(lines); i++)
	{
		PrefetchMessage message;

		if (prefetch_message_parse(lines[i], &message))
			fail_msg("\"%s\" is taken for a message", lines[i]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_got_before_the_server_got_something),
		cmocka_unit_test(the_window_begins_with_two_and_doubles_while_the_server_waits),
		cmocka_unit_test(only_so_many_are_got_at_the_same_time),
		cmocka_unit_test(large_segments_make_a_small_window),
		cmocka_unit_test(a_server_that_always_finds_it_full_makes_the_window_smaller_but_not_below_two),
		cmocka_unit_test(behind_what_cannot_be_got_nothing_is_looked_for),
		cmocka_unit_test(what_fetch_gets_itself_is_left_to_it_and_is_no_end),
		cmocka_unit_test(beyond_the_plans_end_nothing_is_wanted),
		cmocka_unit_test(it_goes_over_to_the_new_timeline_with_the_segment_of_the_switch),
		cmocka_unit_test(what_the_server_passed_or_will_not_come_to_is_dropped),
		cmocka_unit_test(messages_are_read_as_they_are_written),
		cmocka_unit_test(other_lines_are_no_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
