/* Which segments a search looks through, and which it needs besides. */
#include "plan_world.h"
#include "walship/plan/find_ways.h"

typedef struct WayRow
{
	const char *name;
	const char *world;
	TimeLineID timeline;
	const char
		*expected; /* per way: its timeline, what is read for its beginning in brackets, its own; gaps */
} WayRow;

static const WayRow rows[] = {
	{"one timeline is one way", "tli 1: 1-9\n", 0, "1: 1/1-9\n"},
	{"a timeline begins with what led to it", "tli 1: 1-6\nfork 2 1@7.5\ntli 2: 7-9\n", 0,
     "1: 1/1-6\n2: [1/1-6] 2/7-9\n"},
	{"but not all of it", "tli 1: 1-100\nfork 2 1@100.5\ntli 2: 100-102\n", 0,
     "1: 1/1-100\n2: [1/36-99] 2/100-102\n"},
	{"the way to a timeline is all that led to it", "tli 1: 1-9\nfork 2 1@7.5\ntli 2: 7-9\n", 2,
     "2: 1/1-6 2/7-9\n"},
	{"the way to an older timeline has nothing of the newer", "tli 1: 1-9\nfork 2 1@7.5\ntli 2: 7-9\n", 1,
     "1: 1/1-9\n"},
	{"where the new copy is missing the old one counts up to the switch",
     "tli 1: 1-7\nfork 2 1@7.5\ntli 2: 8-9\n", 2, "2: 1/1-6 1/7<7.5 2/8-9\n"},
	{"a gap is told", "tli 1: 1-3\ntli 1: 6-9\n", 0, "1: 1/1-3 1/6-9\ngap 1/4-5\n"},
	{"a gap before what is looked through is not", "tli 1: 1-3\ntli 1: 6-7\nfork 2 1@8.5\ntli 2: 8-9\n", 2,
     "2: 1/1-3 1/6-7 2/8-9\ngap 1/4-5\n"},
	{"an unknown timeline has no way", "tli 1: 1-3\n", 5, ""},
	{"a timeline without WAL neither", "tli 1: 1-3\nfork 2 1@2.5\n", 0, "1: 1/1-3\n"},
};

static bool
goes_on(const FindWay *way, size_t i)
{
	const FindSegment *before = &way->segments[i - 1];
	const FindSegment *segment = &way->segments[i];

	return before->timeline == segment->timeline && before->segno + 1 == segment->segno &&
	       before->until == segment->until;
}

static size_t
append_range(const FindWay *way, size_t from, size_t limit, Buf *into)
{
	size_t to = from + 1;
	const FindSegment *first = &way->segments[from];

	while (to < limit && goes_on(way, to))
		to++;
	buf_printf(into, "%u/%u", first->timeline, (unsigned) first->segno);
	if (to - from > 1)
		buf_printf(into, "-%u", (unsigned) way->segments[to - 1].segno);
	if (first->until != UINT64_MAX)
		buf_printf(into, "<%u.%x", (unsigned) (first->until / WORLD_SEGMENT),
		           (unsigned) (first->until % WORLD_SEGMENT / WORLD_PART));
	return to;
}

static void
append_way(const FindWay *way, Buf *into)
{
	buf_printf(into, "%u:", way->history->timeline);
	for (size_t i = 0; i < way->first;)
	{
		buf_puts(into, i == 0 ? " [" : " ");
		i = append_range(way, i, way->first, into);
		buf_puts(into, i == way->first ? "]" : "");
	}
	for (size_t i = way->first; i < way->n_segments;)
	{
		buf_putc(into, ' ');
		i = append_range(way, i, way->n_segments, into);
	}
	buf_putc(into, '\n');
}

static void
check_row(void **state)
{
	const WayRow *row = *state;
	AUTO(World) world = world_new(row->world);
	AUTO_BUF(said, 4096);
	FindWays ways;

	find_ways(&world->catalog, row->timeline, &ways);
	buf_puts(&said, "");
	for (size_t i = 0; i < ways.count; i++)
		append_way(&ways.items[i], &said);
	for (size_t i = 0; i < ways.n_gaps; i++)
		buf_printf(&said, "gap %u/%u-%u\n", ways.gaps[i].timeline, (unsigned) ways.gaps[i].first,
		           (unsigned) ways.gaps[i].last);
	find_ways_release(&ways);
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
