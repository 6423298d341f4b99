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

/* The end of the WAL, or a hole, as "fetch" tells the server: does a history file leave the timeline behind it? */
static bool
went_on(const World *world, const TimelineHistory *history, XLogSegNo segno)
{
	XLogRecPtr segment_end = segment_start(segno + 1, WORLD_SEGMENT);
	TimeLineID timeline = timeline_history_at(history, segment_end - 1);

	for (size_t i = 0; i < world->catalog.n_timelines; i++)
	{
		const TimelineHistory *newer = world->catalog.timelines[i].history;
		XLogRecPtr end;

		if (newer->timeline != timeline && timeline_history_end_of(newer, timeline, &end) &&
		    end >= segment_end)
			return true;
	}
	return false;
}

static bool
file_behind(const World *world, TimeLineID number, XLogSegNo segno)
{
	const CatalogTimeline *timeline = catalog_timeline(&world->catalog, number);

	for (size_t i = 0; timeline != NULL && i < timeline->n_partials; i++)
		if (timeline->partials[i].segno > segno)
			return true;
	for (size_t i = 0; timeline != NULL && i < timeline->n_backup_files; i++)
		if (timeline->backup_files[i].segno > segno)
			return true;
	return false;
}

static bool
more_behind(const World *world, const TimelineHistory *history, XLogSegNo segno)
{
	for (XLogSegNo next = segno + 1; next <= 2 * SEGMENTS; next++)
	{
		XLogRecPtr limit;

		if (serve(world, history, next, &limit) != 0 && limit > segment_start(next, WORLD_SEGMENT))
			return true;
	}
	return went_on(world, history, segno) ||
	       file_behind(world, timeline_history_at(history, segment_start(segno + 1, WORLD_SEGMENT) - 1),
	                   segno);
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
			return (Replay){.more_behind = more_behind(world, history, segno), .ended_at = segno};
		stop = stop_in(world, timeline, segno, backup->start_lsn, limit, target);
		if (stop != UINT64_MAX)
			return (Replay){.stopped = true, .lsn = stop};
		if (limit != UINT64_MAX && !inside)
			return (Replay){.more_behind = more_behind(world, history, segno), .ended_at = segno};
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
			for (unsigned at = 1; at < 16 && text.size < 60000; at += 1 + below(state, 14))
				if (beyond_switch || at > part)
					buf_printf(&text, "commit %u@%u.%x %u %u\n", timeline, segno, at,
					           100 * timeline + 16 * segno + at + below(state, 4), xid++);
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
	world->rounds = 0;
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
