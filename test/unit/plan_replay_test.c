/*
 * The planner against a replay: in random worlds, what a server would do with
 * the chosen backup and timeline must end where the plan says; and what the planner
 * refuses, no replay may reach.
 */
#include "plan_world.h"

#define WORLDS   400
#define ASKED    12
#define SEGMENTS 14

typedef struct Replay
{
	bool stopped;
	XLogRecPtr lsn;     /* of the record at which it stopped */
	bool more_behind;   /* it ended, but the path has WAL further on */
	XLogSegNo ended_at; /* the first segment that it did not get */
} Replay;

static unsigned
below(uint64_t *state, unsigned n)
{
	return (unsigned) (scratch_random(state) >> 33) % n;
}

/* Timeline "position" of the path; n_ancestors is its own. */
static TimeLineID
timeline_at(const TimelineHistory *history, size_t position)
{
	return position == history->n_ancestors ? history->timeline : history->ancestors[position].timeline;
}

static XLogRecPtr
begin_at(const TimelineHistory *history, size_t position)
{
	return position == 0 ? 0 : history->ancestors[position - 1].switch_lsn;
}

/* PostgreSQL: XLogFileReadAnyTLI().  "limit": bytes from there on are another timeline's. */
static TimeLineID
serve(const World *world, const TimelineHistory *history, XLogSegNo segno, XLogRecPtr *ret_limit)
{
	*ret_limit = UINT64_MAX;
	for (size_t i = history->n_ancestors + 1; i-- > 0;)
	{
		XLogRecPtr begin = begin_at(history, i);

		if (segno < begin / WORLD_SEGMENT)
			continue;
		if (catalog_has_segment(&world->catalog, timeline_at(history, i), segno))
			return timeline_at(history, i);
		if (begin < *ret_limit)
			*ret_limit = begin;
	}
	return 0;
}

static bool
any_above(const CatalogFile *files, size_t n_files, XLogSegNo segno)
{
	for (size_t i = 0; i < n_files; i++)
		if (files[i].segno > segno)
			return true;
	return false;
}

/* Asked for a segment that is not there: is it the end of the WAL, or a hole (walship/archive/holes.h)? */
static bool
fetch_tells_of_hole(const World *world, TimeLineID number, XLogSegNo segno)
{
	const CatalogTimeline *timeline = catalog_timeline(&world->catalog, number);
	XLogRecPtr end;

	for (XLogSegNo above = segno + 1; above <= 3 * SEGMENTS; above++)
		if (catalog_has_segment(&world->catalog, number, above))
			return true;
	if (timeline != NULL && (any_above(timeline->partials, timeline->n_partials, segno) ||
	                         any_above(timeline->backup_files, timeline->n_backup_files, segno)))
		return true;
	for (size_t i = 0; i < world->catalog.n_timelines; i++)
	{
		const CatalogTimeline *newer = &world->catalog.timelines[i];

		if (newer->timeline != number && timeline_history_end_of(newer->history, number, &end) &&
		    end >= segment_start(segno + 1, WORLD_SEGMENT))
			return true;
	}
	return false;
}

/* The server asks for the segment on every timeline that has begun, down to the one it has read last. */
static bool
more_behind(const World *world, const TimelineHistory *history, TimeLineID read_last, XLogSegNo segno)
{
	for (size_t i = history->n_ancestors + 1; i-- > 0;)
	{
		TimeLineID timeline = timeline_at(history, i);

		if (segno < begin_at(history, i) / WORLD_SEGMENT)
			continue;
		if (timeline < read_last)
			break;
		if (!catalog_has_segment(&world->catalog, timeline, segno) &&
		    fetch_tells_of_hole(world, timeline, segno))
			return true;
	}
	return false;
}

static bool
stops(const RecoveryTarget *target, const WalEvent *event)
{
	if (target->kind == TARGET_XID)
		return event->xid == target->xid;
	return target->inclusive ? event->time > target->time : event->time >= target->time;
}

/* The first record in this segment that stops the replay; the events are not sorted. */
static XLogRecPtr
stop_in(World *world, TimeLineID timeline, XLogSegNo segno, XLogRecPtr from, XLogRecPtr limit,
        const RecoveryTarget *target)
{
	const TimelineHistory *history = world_timeline(world, timeline)->history;
	XLogRecPtr found = UINT64_MAX;

	for (size_t i = 0; i < world->n_events; i++)
	{
		const WorldEvent *event = &world->events[i];
		XLogRecPtr lsn = event->event.lsn;

		if (lsn / WORLD_SEGMENT == segno && timeline_history_at(history, lsn) == event->timeline &&
		    lsn >= from && lsn < limit && lsn < found && stops(target, &event->event))
			found = lsn;
	}
	return found;
}

static Replay
replay(World *world, const TimelineHistory *history, const BackupRecord *backup, const RecoveryTarget *target)
{
	TimeLineID read_last = backup->timeline;

	for (XLogSegNo segno = backup->start_lsn / WORLD_SEGMENT;; segno++)
	{
		bool inside = backup->wal_inside && segno <= (backup->stop_lsn - 1) / WORLD_SEGMENT;
		XLogRecPtr limit;
		TimeLineID timeline = serve(world, history, segno, &limit);
		XLogRecPtr stop;

		/* An older timeline's copy of a segment that is wholly the new one's is no WAL of this path. */
		if (timeline != 0 && limit <= segment_start(segno, WORLD_SEGMENT))
			timeline = 0;
		if (timeline == 0 && inside)
			continue;
		if (timeline == 0)
			return (Replay){.more_behind = more_behind(world, history, read_last, segno), .ended_at = segno};
		read_last = timeline;
		stop = stop_in(world, timeline, segno, backup->start_lsn, limit, target);
		if (stop != UINT64_MAX)
			return (Replay){.stopped = true, .lsn = stop};
		if (limit != UINT64_MAX && !inside)
			return (Replay){.more_behind = more_behind(world, history, read_last, segno), .ended_at = segno};
	}
}

/* Timelines with holes, backups with and without their WAL, commits whose times are not quite in order. */
static World *
random_world(uint64_t *state)
{
	AUTO_BUF(text, 64 * 1024);
	unsigned timelines = 1 + below(state, 3);
	unsigned begins[5] = {0, 1};
	unsigned xid = 700;
	unsigned clock = 0; /* by how much it is wrong */

	if (below(state, 3) != 0)
		buf_puts(&text, "runs\n");

	for (unsigned timeline = 1; timeline <= timelines; timeline++)
	{
		unsigned parent = timeline == 1 ? 0 : 1 + below(state, timeline - 1);
		unsigned part = below(state, 16);

		if (timeline > 1)
		{
			begins[timeline] = begins[parent] + 1 + below(state, 5);
			buf_printf(&text, "fork %u %u@%u.%x\n", timeline, parent, begins[timeline], part);
		}
		for (unsigned segno = begins[timeline]; segno < begins[timeline] + 3 + below(state, 6); segno++)
		{
			bool beyond_switch = timeline == 1 || segno > begins[timeline];

			if (below(state, 12) != 0)
				buf_printf(&text, "tli %u: %u\n", timeline, segno);
			if (below(state, 16) == 0)
				buf_printf(&text, "break %u@%u\n", timeline, segno);
			if (below(state, 10) == 0)
				clock = below(state, 3) * 60;
			for (unsigned at = 1; at < 16 && text.size < 60000; at += 1 + below(state, 14))
				if (beyond_switch || at > part)
					buf_printf(&text, "commit %u@%u.%x %u %u\n", timeline, segno, at,
					           100 * timeline + 16 * segno + at + below(state, 4) + clock, xid++);
		}
		if (below(state, 4) == 0)
			buf_printf(&text, "%s %u@%u\n", below(state, 2) == 0 ? "partial" : "label", timeline,
			           begins[timeline] + below(state, 10));
		if (timeline == 1 || below(state, 2) == 0)
		{
			unsigned segno = begins[timeline] + (timeline > 1 && part > 1) + below(state, 3);

			buf_printf(&text, "backup B%u %u@%u.2-%u.%x %u-%u%s\n", timeline, timeline, segno,
			           segno + below(state, 2), 3 + below(state, 12), 100 * timeline + 16 * segno + 2,
			           100 * timeline + 16 * segno + 20, below(state, 2) == 0 ? " inside" : "");
		}
	}
	return world_new(text.data);
}

static bool
is_candidate(const World *world, const TimelineHistory *history, const BackupRecord *backup,
             const RecoveryTarget *target)
{
	XLogRecPtr end;
	XLogRecPtr limit;

	if (!timeline_history_end_of(history, backup->timeline, &end) || backup->stop_lsn > end ||
	    (target->kind == TARGET_TIME && backup->stop_time > target->time))
		return false;
	for (XLogSegNo segno = backup->start_lsn / WORLD_SEGMENT; segno <= (backup->stop_lsn - 1) / WORLD_SEGMENT;
	     segno++)
		if (!backup->wal_inside && (serve(world, history, segno, &limit) == 0 || limit < backup->stop_lsn))
			return false;
	return true;
}

/* The last commit before "bound", or the first from there on, in what the path serves; UINT64_MAX: none. */
static XLogRecPtr
commit_near(World *world, const TimelineHistory *history, XLogRecPtr bound, bool before, XLogSegNo from)
{
	XLogRecPtr found = UINT64_MAX;

	for (size_t i = 0; i < world->n_events; i++)
	{
		const WorldEvent *event = &world->events[i];
		XLogRecPtr lsn = event->event.lsn;
		XLogRecPtr limit;
		TimeLineID timeline = serve(world, history, lsn / WORLD_SEGMENT, &limit);

		if (timeline == 0 || lsn >= limit || lsn / WORLD_SEGMENT < from ||
		    !world_event_is_in(world, event, timeline, lsn / WORLD_SEGMENT) || (lsn < bound) != before)
			continue;
		if (found == UINT64_MAX || (before ? lsn > found : lsn < found))
			found = lsn;
	}
	return found;
}

static void
check_named(World *world, const RecoveryPlan *plan, const RecoveryTarget *target)
{
	bool through = target->kind == TARGET_XID && target->inclusive;
	XLogRecPtr bound = plan->stop.lsn + through;
	XLogSegNo start = plan->backup->start_lsn / WORLD_SEGMENT;
	XLogRecPtr last = commit_near(world, plan->history, bound, true, start);
	XLogRecPtr next = commit_near(world, plan->history, bound, false, start);

	if (last != UINT64_MAX)
		assert_int_equal(plan->last.lsn, last);
	if (plan->next.lsn != InvalidXLogRecPtr)
		assert_int_equal(plan->next.lsn, next);
	if (target->kind == TARGET_TIME)
		assert_int_equal(plan->next.lsn, plan->stop.lsn);
}

static void
check_plan(World *world, const RecoveryPlan *plan, const RecoveryTarget *target)
{
	Replay real = replay(world, plan->history, plan->backup, target);

	assert_true(is_candidate(world, plan->history, plan->backup, target));
	if (plan->target.kind == TARGET_LATEST)
	{
		assert_false(real.stopped);
		assert_false(real.more_behind);
		return;
	}
	assert_true(real.stopped);
	assert_int_equal(real.lsn, plan->stop.lsn);
	assert_true(real.lsn >= plan->backup->stop_lsn);
	check_named(world, plan, target);
}

/* With the timeline given there is no question of which one: nothing may be reachable. */
static void
check_refusal(World *world, const RecoveryRequest *request)
{
	const TimelineHistory *history = world_timeline(world, request->timeline)->history;

	for (size_t i = 0; i < world->catalog.n_backups; i++)
	{
		const BackupRecord *backup = world->catalog.backups[i];
		Replay real = replay(world, history, backup, &request->target);

		if (!is_candidate(world, history, backup, &request->target))
			continue;
		assert_false(real.stopped && real.lsn >= backup->stop_lsn);
		assert_false(request->target.kind == TARGET_TIME && !real.stopped && !real.more_behind);
	}
}

static void
ask(World *world, uint64_t *state, unsigned counts[2])
{
	RecoveryRequest request = {.target = {.kind = below(state, 3) == 0 ? TARGET_XID : TARGET_TIME,
	                                      .inclusive = below(state, 2) == 0,
	                                      .time = SECOND(100 + below(state, 500)),
	                                      .xid = 700 + below(state, 60)},
	                           .timeline = below(state, 2) *
	                                       (1 + below(state, (unsigned) world->catalog.n_timelines)),
	                           .now = SECOND(9000)};
	AUTO(RecoveryPlan) plan = NULL;
	AUTO(Error) error = NULL;

	if (request.timeline != 0)
		request.timeline = world->catalog.timelines[request.timeline - 1].timeline;
	error = world_plan(world, &request, &plan);
	counts[error == NULL]++;
	if (error == NULL)
		check_plan(world, plan, &request.target);
	else if (request.timeline != 0)
		check_refusal(world, &request);
}

static void
plans_end_where_a_replay_ends(void **state)
{
	uint64_t random = 20261120;
	unsigned counts[2] = {0, 0};

	(void) state;
	for (int i = 0; i < WORLDS; i++)
	{
		AUTO(World) world = random_world(&random);

		for (int j = 0; j < ASKED; j++)
			ask(world, &random, counts);
	}
	print_message("%u refused, %u planned\n", counts[0], counts[1]);
	assert_true(counts[0] > WORLDS && counts[1] > WORLDS);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(plans_end_where_a_replay_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
