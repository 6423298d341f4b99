/* Which segments lead to a timeline. */
#include "plan_world.h"

typedef struct PathRow
{
	const char *name;
	const char *world;
	TimeLineID timeline;
	const char *expected; /* timeline/segments, "<" up to where an old copy counts; what is missing */
} PathRow;

static const PathRow rows[] = {
	{"one timeline is one piece", "tli 1: 1-9\n", 1, "1/1-9"},
	{"a timeline begins with what led to it", "tli 1: 1-6\nfork 2 1@7.5\ntli 2: 7-9\n", 2, "1/1-6 2/7-9"},
	{"the newer copy of a segment counts", "tli 1: 1-9\nfork 2 1@7.5\ntli 2: 7-9\n", 2, "1/1-6 2/7-9"},
	{"the path to an older timeline has nothing of the newer", "tli 1: 1-9\nfork 2 1@7.5\ntli 2: 7-9\n", 1,
     "1/1-9"},
	{"where the new copy is missing the old one counts up to the switch",
     "tli 1: 1-7\nfork 2 1@7.5\ntli 2: 8-9\n", 2, "1/1-6 1/7<7.5 2/8-9"},
	{"what is missing", "tli 1: 1-3\ntli 1: 6-9\n", 1, "1/1-3 1/6-9 missing 4-5"},
	{"what is missing before the fork", "tli 1: 1-3\ntli 1: 6-7\nfork 2 1@8.5\ntli 2: 8-9\n", 2,
     "1/1-3 1/6-7 2/8-9 missing 4-5"},
	{"a timeline of which only the history file is there", "tli 1: 1-3\nfork 2 1@2.5\n", 2, "1/1 1/2<2.5"},
};

static void
append_piece(const WalPathPiece *piece, Buf *into)
{
	buf_printf(into, "%s%u/%u", into->size == 0 ? "" : " ", piece->timeline, (unsigned) piece->first);
	if (piece->last > piece->first)
		buf_printf(into, "-%u", (unsigned) piece->last);
	if (piece->until != UINT64_MAX)
		buf_printf(into, "<%u.%x", (unsigned) (piece->until / WORLD_SEGMENT),
		           (unsigned) (piece->until % WORLD_SEGMENT / WORLD_PART));
}

static void
check_row(void **state)
{
	const PathRow *row = *state;
	AUTO(World) world = world_new(row->world);
	AUTO(WalPath) path = wal_path_new(&world->catalog, world_timeline(world, row->timeline));
	AUTO_BUF(said, 4096);
	XLogSegNo from;
	XLogSegNo next;

	for (size_t i = 0; i < path->n_pieces; i++)
		append_piece(&path->pieces[i], &said);
	assert_true(wal_path_next(path, 0, &from));
	for (from = wal_path_first_missing(path, from); wal_path_next(path, from, &next);
	     from = wal_path_first_missing(path, next))
		buf_printf(&said, " missing %u-%u", (unsigned) from, (unsigned) next - 1);
	assert_string_equal(said.data, row->expected);
}

int
main(void)
{
	struct CMUnitTest tests[lengthof(rows)];

	for (size_t i = 0; i < lengthof(rows); i++)
		tests[i] = (struct CMUnitTest){
			.name = rows[i].name, .test_func = check_row, .initial_state = (void *) &rows[i]};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
