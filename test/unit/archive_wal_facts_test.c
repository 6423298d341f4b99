/* What is asked for is read once, side by side where more is going to be asked. */
#include "plan_world.h"

#define SEGMENTS 5000

static World *
long_world(void)
{
	return world_new("tli 1: 1-5000\ncommit 1@3.2 32 700\n");
}

static void
what_was_asked_for_is_not_read_again(void **state)
{
	AUTO(World) world = long_world();
	AUTO(WalFacts) facts = world_facts(world);
	AUTO(WalPath) path = wal_path_new(&world->catalog, world_timeline(world, 1));

	(void) state;
	for (int i = 0; i < 3; i++)
	{
		assert_int_equal(wal_facts_index(facts, 1, 3, 3)->transactions, 1);
		assert_int_equal(wal_facts_records(facts, path, 3)->events[0].xid, 700);
	}
	assert_int_equal(world->indexes, 1);
	assert_int_equal(world->records, 1);
}

/* Who goes on gets more at once; who stops early has read little. */
static void
the_more_are_asked_for_the_more_are_read_at_once(void **state)
{
	for (int up = 0; up < 2; up++)
	{
		AUTO(World) world = long_world();
		AUTO(WalFacts) facts = world_facts(world);

		for (XLogSegNo i = 0; i < SEGMENTS; i++)
		{
			XLogSegNo segno = up ? 1 + i : SEGMENTS - i;

			assert_int_equal(wal_facts_index(facts, 1, segno, up ? SEGMENTS : 1)->segno, segno);
			assert_in_range(world->indexes, i + 1, 2 * (i + 1));
		}
		assert_int_equal(world->indexes, SEGMENTS);
		assert_in_range(world->rounds, 1, 14);
	}
	(void) state;
}

static void
no_more_is_read_than_will_be_asked_for(void **state)
{
	AUTO(World) world = long_world();
	AUTO(WalFacts) facts = world_facts(world);

	(void) state;
	for (XLogSegNo segno = 100; segno > 90; segno--)
		assert_non_null(wal_facts_index(facts, 1, segno, 91));
	assert_int_equal(world->indexes, 10);
}

static void
what_is_expected_comes_with_the_next(void **state)
{
	AUTO(World) world = long_world();
	AUTO(WalFacts) facts = world_facts(world);

	(void) state;
	assert_non_null(wal_facts_index(facts, 1, 40, 40));
	for (XLogSegNo segno = 10; segno < 100; segno += 10)
		wal_facts_expect(facts, 1, segno);
	wal_facts_expect(facts, 1, 10);
	assert_int_equal(world->indexes, 1);
	assert_non_null(wal_facts_index(facts, 1, 5, 5));
	assert_int_equal(world->indexes, 10);
	assert_int_equal(world->rounds, 2);
	assert_non_null(wal_facts_index(facts, 1, 90, 90));
	assert_int_equal(world->rounds, 2);
}

static Error *
fail_to_read_indexes(WalSource *source, SegmentIndex *const *items, size_t n_items)
{
	World *world = ((WorldSource *) source)->world;

	if (world->indexes > 2)
		return error_new(ERR_TRANSIENT, "away");
	return world_read_indexes(source, items, n_items);
}

static void
after_a_failure_nothing_is_asked_for_any_more(void **state)
{
	static const WalSourceOps ops = {fail_to_read_indexes, world_read_records, world_source_free};
	AUTO(World) world = long_world();
	WorldSource *source = NEW(WorldSource);

	(void) state;
	*source = (WorldSource){.source.ops = &ops, .world = world};

	AUTO(WalFacts) facts = wal_facts_new(&source->source);
	AUTO(WalPath) path = wal_path_new(&world->catalog, world_timeline(world, 1));

	for (XLogSegNo segno = 1; segno <= 3; segno++)
		assert_true(wal_facts_index(facts, 1, segno, segno)->readable);
	assert_ok(wal_facts_error(facts));
	for (XLogSegNo segno = 4; segno <= 10; segno++)
		assert_false(wal_facts_index(facts, 1, segno, segno)->readable);
	assert_false(wal_facts_records(facts, path, 3)->readable);
	assert_int_equal(world->indexes, 3);
	assert_int_equal(world->records, 0);
	assert_error(wal_facts_error(facts), ERR_TRANSIENT, "away");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_asked_for_is_not_read_again),
		cmocka_unit_test(the_more_are_asked_for_the_more_are_read_at_once),
		cmocka_unit_test(no_more_is_read_than_will_be_asked_for),
		cmocka_unit_test(what_is_expected_comes_with_the_next),
		cmocka_unit_test(after_a_failure_nothing_is_asked_for_any_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
