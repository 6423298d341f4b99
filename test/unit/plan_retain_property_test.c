/*
 * Retention and recovery must agree: whatever a policy promises is recovered by the
 * recovery planner from what is left.  Archives are made at random, by numbers that
 * are the same in every run; WALSHIP_TEST_SEED chooses others.
 */
#include <assert.h>

#include "retain_world.h"
#include "walship/base/strs.h"

#define ARCHIVES         400
#define SEGMENTS_PER_DAY 3
#define DAY_S            INT64_C(86400)
#define PATHS_MAX        12

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

/* ---- an archive that grows, day by day ---- */

/* A server that archives on a timeline. */
typedef struct Writer
{
	TimeLineID timeline;
	unsigned segno; /* the next one */
	bool alive;
} Writer;

typedef struct Sim
{
	RetainWorld *world;
	Writer writers[PATHS_MAX];
	size_t n_writers;
	TimeLineID newest_timeline;
	unsigned xid;
	unsigned backups;
} Sim;

static void
add_segment(Sim *sim, TimeLineID number, unsigned segno, int64_t second)
{
	CatalogTimeline *timeline = world_timeline(sim->world->world, number);
	SegmentRun *last = timeline->n_runs == 0 ? NULL : &timeline->runs[timeline->n_runs - 1];

	timeline->last_modified = SECOND(second) + 1000000;
	if (last == NULL || last->last + 1 != segno)
	{
		world_add_run(sim->world->world, number, segno, segno);
		return;
	}
	last->last++;
	last->stored_size += WORLD_SIZE;
	last->sizes = mem_realloc(last->sizes, (last->last - last->first + 1) * sizeof(*last->sizes));
	last->sizes[last->last - last->first] = WORLD_SIZE;
}

static void
add_backup(Sim *sim, const Writer *writer, int64_t second)
{
	char line[160];
	unsigned long from = (unsigned long) second;
	bool inside = !one_in(4);

	(void) snprintf(line, sizeof(line), "backup B%04u %u@%u.1-%u.6 %lu-%lu%s%s%s", sim->backups++,
	                writer->timeline, writer->segno, writer->segno + (inside && one_in(2) ? 0 : 1), from,
	                from + 1 + random_below(7200), inside ? " inside" : "", one_in(20) ? " pages" : "",
	                one_in(10) ? " standby" : "");
	world_add_line(sim->world->world, line);
}

static void
fork_timeline(Sim *sim, Writer *parent)
{
	bool back = one_in(2) && parent->segno > 8;
	unsigned segno = back ? parent->segno - 1 - random_below(6) : parent->segno;
	unsigned part = random_below(15);
	char line[64];
	XLogRecPtr begin = 0;

	/* Not before the parent itself began. */
	(void) timeline_history_begin_of(world_timeline(sim->world->world, parent->timeline)->history,
	                                 parent->timeline, &begin);
	if (sim->n_writers == PATHS_MAX || PLACE(segno, part) <= begin + WORLD_SEGMENT)
		return;
	sim->newest_timeline++;
	(void) snprintf(line, sizeof(line), "fork %u %u@%u.%x", sim->newest_timeline, parent->timeline, segno,
	                part);
	world_add_line(sim->world->world, line);
	if (!back && one_in(2))
		world_add_partial(sim->world->world, parent->timeline, segno);
	sim->writers[sim->n_writers++] =
		(Writer){.timeline = sim->newest_timeline, .segno = segno, .alive = true};
	parent->alive = back && one_in(3); /* the old primary may go on beside a copy */
}

static void
live_a_day(Sim *sim, int64_t day)
{
	World *world = sim->world->world;
	int64_t second = day * DAY_S;
	size_t n_writers = sim->n_writers;

	for (size_t i = 0; i < n_writers; i++)
	{
		Writer *writer = &sim->writers[i];

		if (!writer->alive)
			continue;
		if (!one_in(6))
			add_backup(sim, writer, second + 7200);
		for (unsigned j = 0; j < SEGMENTS_PER_DAY; j++, writer->segno++)
		{
			if (!one_in(80))
				add_segment(sim, writer->timeline, writer->segno, second + 3600 * (8 + 4 * (int64_t) j));
			if (j == 1 && world->n_events < lengthof(world->events) - 8)
				world_add_event(world, WAL_EVENT_COMMIT, writer->timeline, PLACE(writer->segno, 15),
				                (unsigned) (second + 3600 * 12), ++sim->xid, "");
		}
		if (one_in(25))
			fork_timeline(sim, writer);
	}
	for (size_t i = 0, alive = 0; i < sim->n_writers; i++)
	{
		alive += sim->writers[i].alive;
		if (i + 1 == sim->n_writers && alive == 0)
			sim->writers[i].alive = true;
	}
}

static void
sim_begin(Sim *sim)
{
	*sim = (Sim){.world = retain_world_new("runs\n"), .newest_timeline = 1, .xid = 700};
	sim->writers[sim->n_writers++] = (Writer){.timeline = 1, .segno = 10, .alive = true};
	(void) world_timeline(sim->world->world, 1);
}

static void
random_policy(RetentionPolicy *policy)
{
	*policy = (RetentionPolicy){0};
	if (!one_in(3))
		policy->window_ms = (1 + random_below(20 * 24)) * INT64_C(3600000);
	if (one_in(4))
		policy->within_ms = (1 + random_below(20)) * DAY_S * 1000;
	policy->last = one_in(3) ? 1 + random_below(5) : 0;
	policy->daily = one_in(3) ? 1 + random_below(8) : 0;
	policy->weekly = one_in(3) ? 1 + random_below(5) : 0;
	policy->monthly = one_in(3) ? 1 + random_below(5) : 0;
	policy->yearly = one_in(4) ? 1 : 0;
	if (memcmp(policy, &(RetentionPolicy){0}, sizeof(*policy)) == 0)
		policy->last = 1;
}

/* ---- carrying a plan out ---- */

static bool
removed_by(const RetainPlan *plan, TimeLineID timeline, XLogSegNo segno)
{
	for (size_t i = 0; i < plan->n_wal; i++)
		if (plan->wal[i].range.timeline == timeline && segno >= plan->wal[i].range.first &&
		    segno <= plan->wal[i].range.last)
			return !plan->wal[i].keep;
	return false;
}

static void
remove_wal(World *world, const RetainPlan *plan)
{
	Catalog *catalog = &world->catalog;

	for (size_t i = 0; i < catalog->n_timelines; i++)
	{
		CatalogTimeline *timeline = &catalog->timelines[i];
		SegmentRun *runs = timeline->runs;
		size_t n_runs = timeline->n_runs;

		timeline->runs = NULL;
		timeline->n_runs = 0;
		for (size_t j = 0; j < n_runs; j++)
		{
			XLogSegNo first = runs[j].first;

			for (XLogSegNo segno = first; segno <= runs[j].last; segno++)
			{
				if (removed_by(plan, timeline->timeline, segno))
				{
					if (segno > first)
						world_add_run(world, timeline->timeline, first, segno - 1);
					first = segno + 1;
				}
			}
			if (first <= runs[j].last)
				world_add_run(world, timeline->timeline, first, runs[j].last);
			free(runs[j].sizes);
		}
		free(runs);
	}
}

static void
remove_files(World *world, const RetainPlan *plan)
{
	for (size_t i = 0; i < world->catalog.n_timelines; i++)
	{
		CatalogTimeline *timeline = &world->catalog.timelines[i];
		size_t kept = 0;

		for (size_t j = 0; j < timeline->n_partials; j++)
		{
			bool keep = true;

			for (size_t k = 0; k < plan->n_files; k++)
				if (plan->files[k].file == &timeline->partials[j])
					keep = plan->files[k].keep;
			if (keep)
				timeline->partials[kept++] = timeline->partials[j];
			else
				free(timeline->partials[j].key);
		}
		timeline->n_partials = kept;
	}
}

/* What expire would do with it. */
static void
carry_out(World *world, const RetainPlan *plan)
{
	Catalog *catalog = &world->catalog;
	size_t kept = 0;

	remove_files(world, plan);
	remove_wal(world, plan);
	for (size_t i = 0; i < plan->n_backups; i++)
	{
		if (plan->backups[i].keep)
			catalog->backups[kept++] = catalog->backups[i];
		else
			backup_record_free(catalog->backups[i]);
	}
	catalog->n_backups = kept;
}

/* ---- what must hold ---- */

/* Where a recovery of this kind stops; InvalidXLogRecPtr: it cannot be done. */
static XLogRecPtr
stop_of(World *world, RecoveryRequest request)
{
	AUTO(RecoveryPlan) plan = NULL;
	Error *error = world_plan(world, &request, &plan);

	if (error != NULL)
	{
		assert_true(error_is(error, ERR_NOT_FOUND));
		error_free(error);
		return InvalidXLogRecPtr;
	}
	if (request.target.kind == TARGET_TIME)
		return plan->stop.lsn != InvalidXLogRecPtr ? plan->stop.lsn : 1;
	return request.target.kind == TARGET_LATEST ? plan->end_lsn : plan->backup->stop_lsn;
}

static bool
is_promised(const RetainPlan *plan, TimeLineID timeline)
{
	for (size_t i = 0; i < plan->n_branches; i++)
		if (plan->branches[i].timeline == timeline)
			return true;
	return false;
}

/* A question to the recovery planner, and its answer before the plan was carried out. */
typedef struct Question
{
	RecoveryRequest request;
	XLogRecPtr stop;
	char backup[16];
} Question;

#define QUESTIONS_MAX 1024

static void
ask(World *world, Question *questions, size_t *n_questions, RecoveryRequest request)
{
	Question *question = &questions[*n_questions];

	if (*n_questions == QUESTIONS_MAX)
		return;
	*question = (Question){.request = request};
	if (request.backup_id != NULL)
	{
		(void) snprintf(question->backup, sizeof(question->backup), "%s", request.backup_id);
		question->request.backup_id = question->backup;
	}
	question->stop = stop_of(world, question->request);
	*n_questions += question->stop != InvalidXLogRecPtr ? 1 : 0;
}

/* Every commit in the window and the end of every branch that has one; every backup that stays. */
static size_t
ask_everything(Sim *sim, const RetainPlan *plan, Question *questions)
{
	World *world = sim->world->world;
	TimeUs now = sim->world->request.now;
	size_t n_questions = 0;

	for (size_t i = 0; i < world->catalog.n_timelines; i++)
	{
		TimeLineID number = world->catalog.timelines[i].timeline;

		if (!is_promised(plan, number))
			continue;
		ask(world, questions, &n_questions,
		    (RecoveryRequest){.target = {.kind = TARGET_LATEST}, .timeline = number, .now = now});
		if (sim->world->request.policy.window_ms > 0)
			ask(world, questions, &n_questions,
			    (RecoveryRequest){
					.target = {.kind = TARGET_TIME, .inclusive = true, .time = plan->window_begin},
					.timeline = number,
					.now = now});
		for (size_t j = 0; j < world->n_events; j++)
			if (world->events[j].event.time >= plan->window_begin && one_in(4))
				ask(world, questions, &n_questions,
				    (RecoveryRequest){.target = {.kind = TARGET_TIME,
				                                 .inclusive = true,
				                                 .time = world->events[j].event.time},
				                      .timeline = number,
				                      .now = now});
	}
	for (size_t i = 0; i < plan->n_backups; i++)
		if (plan->backups[i].keep)
			ask(world, questions, &n_questions,
			    (RecoveryRequest){.target = {.kind = TARGET_IMMEDIATE},
			                      .backup_id = plan->backups[i].backup->id,
			                      .timeline = plan->backups[i].backup->timeline,
			                      .now = now});
	return n_questions;
}

static void
check_reasons(const RetainPlan *plan)
{
	for (size_t i = 0; i < plan->n_backups; i++)
		assert_true(plan->backups[i].reason[0] != '\0');
	for (size_t i = 0; i < plan->n_wal; i++)
		assert_true(plan->wal[i].reason[0] != '\0');
	assert_true(plan->newest == NULL || plan->n_backups > 0);
}

static size_t
removals(const RetainPlan *plan)
{
	size_t count = plan->removed_backups + plan->removed_segments;

	for (size_t i = 0; i < plan->n_files; i++)
		count += plan->files[i].keep ? 0 : 1;
	return count;
}

/* Plans, carries out, and asks again; returns how many promises were looked at. */
static size_t
expire_and_check(Sim *sim)
{
	static Question questions[QUESTIONS_MAX];
	AUTO(RetainPlan) plan = retain_world_plan(sim->world);
	size_t n_questions = ask_everything(sim, plan, questions);

	check_reasons(plan);
	carry_out(sim->world->world, plan);
	for (size_t i = 0; i < n_questions; i++)
	{
		char time[TIME_TEXT_SIZE];
		XLogRecPtr stop = stop_of(sim->world->world, questions[i].request);

		if (stop != questions[i].stop)
			print_error("kind %d, timeline %u, time %s, backup %s: %lX instead of %lX\n",
			            (int) questions[i].request.target.kind, questions[i].request.timeline,
			            time_format_utc(questions[i].request.target.time, time), questions[i].backup,
			            (unsigned long) stop, (unsigned long) questions[i].stop);
		assert_true(stop == questions[i].stop);
	}

	AUTO(RetainPlan) again = retain_world_plan(sim->world);

	assert_int_equal(removals(again), 0);
	return n_questions;
}

static void
add_pins(Sim *sim)
{
	RetainRequest *request = &sim->world->request;
	const Catalog *catalog = &sim->world->world->catalog;

	request->n_pins = 0;
	for (size_t i = 0; i < catalog->n_backups && request->n_pins < lengthof(sim->world->pins); i++)
		if (one_in(12))
		{
			sim->world->n_texts = request->n_pins;
			sim->world->pins[request->n_pins++] =
				(RetainPin){retain_keep_text(sim->world, catalog->backups[i]->id),
			                one_in(2) ? TIME_NONE : request->now + (int64_t) random_below(100) - 50, NULL};
		}
}

static void
test_what_is_promised_is_recovered(void **state)
{
	size_t promises = 0;

	(void) state;
	for (int i = 0; i < ARCHIVES; i++)
	{
		Sim sim;
		int64_t days = 2 + random_below(60);

		sim_begin(&sim);
		for (int64_t day = 0; day < days; day++)
			live_a_day(&sim, day);
		sim.world->request.now = SECOND(days * DAY_S + random_below(3 * 86400));
		random_policy(&sim.world->request.policy);
		add_pins(&sim);
		promises += expire_and_check(&sim);
		retain_world_free(sim.world);
	}
	assert_true(promises > 10 * ARCHIVES);
}

/* Two years, a backup each night, expire each morning; jobs that fail for days, failovers, lost segments. */
static void
test_two_years_of_nights(void **state)
{
	Sim sim;
	TimeUs last_run = 0;
	int64_t broken_until = 0;
	size_t refused = 0;
	size_t most = 0;

	(void) state;
	sim_begin(&sim);
	assert_ok(
		retention_parse("window 7d, daily 7, weekly 4, monthly 12, yearly 3", &sim.world->request.policy));
	for (int64_t day = 0; day < 730; day++)
	{
		World *world = sim.world->world;
		RetainGuard guard = {.store_now = TIME_NONE,
		                     .backup_max_age_ms = 8 * DAY_S * 1000,
		                     .has_last_run = last_run != 0,
		                     .last_run = last_run};
		unsigned backups = sim.backups;

		live_a_day(&sim, day);
		if (one_in(90))
			broken_until = day + 3 + random_below(20);
		while (day < broken_until && sim.backups > backups && world->catalog.n_backups > 0)
		{
			backup_record_free(world->catalog.backups[--world->catalog.n_backups]);
			sim.backups--;
		}
		while (world->n_events > 60)
			memmove(world->events, world->events + 1, --world->n_events * sizeof(world->events[0]));
		sim.world->request.now = SECOND((day + 1) * DAY_S);

		AUTO(WalFacts) facts = world_facts(world);
		AUTO(RetainPlan) plan = NULL;
		Error *refusal;

		assert_ok(plan_retain(&world->catalog, &sim.world->request, facts, &plan));
		refusal = retain_refusal(&world->catalog, &sim.world->request, plan, &guard);
		if (refusal != NULL)
		{
			/* Only a dead job, and an archive without a backup yet, may stop it: nobody is ever asked for --force. */
			if (strstr(error_get_hint(refusal), "--force") != NULL)
				fail_msg("day %d: %s", (int) day, error_message(refusal));
			error_free(refusal);
			refused++;
			continue;
		}
		last_run = sim.world->request.now;
		if (day % 5 == 0)
			(void) expire_and_check(&sim);
		else
			carry_out(world, plan);
		if (world->catalog.n_backups > most)
			most = world->catalog.n_backups;
	}
	assert_true(refused < 200);
	assert_in_range(most, 15, 60);
	retain_world_free(sim.world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_promised_is_recovered),
		cmocka_unit_test(test_two_years_of_nights),
	};
	const char *seed = getenv("WALSHIP_TEST_SEED");

	random_state = UINT64_C(20261129);
	if (seed != NULL)
		assert(str_to_uint64(seed, &random_state) && random_state != 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
