/* What is kept and what goes of dumps and trees of files. */
#include <string.h>

#include "scratch.h"
#include "walship/base/buf.h"
#include "walship/base/mem.h"
#include "walship/plan/retain_records.h"

#define DAY_US  (INT64_C(86400) * 1000000)
#define HOUR_US (INT64_C(3600) * 1000000)

/* 2026-11-20 00:00 UTC, a Friday. */
#define EPOCH_US (INT64_C(1795132800) * 1000000)

#define MAX_RECORDS 16
#define STORED_SIZE 10

typedef struct Row
{
	const char *name;
	const char *world; /* "A0.2 B1.2<A C2.2! ": ended on day.hour, goes on from, "!" lacks something */
	const char *policy;
	int64_t now_h; /* hours after the epoch */
	const char *expected;
	const char *reason; /* "A: a part of the reason"; NULL: not looked at */
	const char *pinned; /* one that is, for ever; NULL */
	const char *leased; /* one that is read; NULL */
} Row;

#define NIGHTS "A0.2 B1.2 C2.2 D3.2 E4.2 F5.2 G6.2 H7.2 I8.2"
#define CHAIN  "A0.2 B1.2<A C2.2<B D3.2 E4.2<D F5.2<E"

static const Row rows[] = {
	{"last", NIGHTS, "last 2", 200, "A- B- C- D- E- F- G- H I", "H: last 2", NULL, NULL},
	{"last of more than there are", NIGHTS, "last 99", 200, "A B C D E F G H I", "A: last 9", NULL, NULL},
	{"within", NIGHTS, "within 3d", 200, "A- B- C- D- E- F- G H I", "G: within 3d", NULL, NULL},
	{"within, and nothing is so young", NIGHTS, "within 1h", 300, "A- B- C- D- E- F- G- H- I",
     "I: the newest complete dump", NULL, NULL},
	{"a window keeps the one before it", NIGHTS, "window 3d", 200, "A- B- C- D- E- F G H I",
     "F: the window begins with it", NULL, NULL},
	{"a window that begins before all", NIGHTS, "window 30d", 200, "A B C D E F G H I", "A: in the window",
     NULL, NULL},
	{"a window that begins with a broken one", "A0.2 B1.2! C6.2", "window 3d", 200, "A B- C",
     "B: cannot be restored, for it lacks 1 object", NULL, NULL},
	{"daily", "A0.2 B0.20 C1.2 D1.20", "daily 2", 50, "A- B C- D", "B: daily 2026-11-20", NULL, NULL},
	{"weekly", NIGHTS, "weekly 2", 200, "A- B- C D- E- F- G- H- I", "C: weekly 2026-W47", NULL, NULL},
	{"monthly", "A0.2 B9.2 C10.2 D11.2 E12.2", "monthly 2", 300, "A- B- C D- E", "C: monthly 2026-11", NULL,
     NULL},
	{"yearly", "A0.2 B41.2 C42.2 D43.2", "yearly 2", 1100, "A- B C- D", "B: yearly 2026", NULL, NULL},
	{"a union", NIGHTS, "last 1, weekly 2", 200, "A- B- C D- E- F- G- H- I", "I: last 1, weekly 2026-W48",
     NULL, NULL},
	{"a broken one keeps no place", "A0.2 B1.2 C2.2!", "last 2", 100, "A B C-", "A: last 2", NULL, NULL},
	{"a broken one of today stays", "A0.2 B1.2 C2.2!", "last 2", 55, "A B C",
     "C: not complete, but less than a day old", NULL, NULL},
	{"none can be restored", "A0.2! B1.2!", "last 1", 200, "A- B-", NULL, NULL, NULL},
	{"pinned", NIGHTS, "last 1", 200, "A B- C- D- E- F- G- H- I", "A: pinned", "A", NULL},
	{"leased", NIGHTS, "last 1", 200, "A- B C- D- E- F- G- H- I", "B: in use by a restore", NULL, "B"},
	{"a chain keeps its bases", CHAIN, "last 1", 200, "A- B- C- D E F", "D: \"F\" goes on from it", NULL,
     NULL},
	{"the middle of a chain", CHAIN, "last 4", 200, "A B C D E F", "A: \"C\" goes on from it", NULL, NULL},
	{"a leased part of a chain", CHAIN, "last 1", 200, "A B C- D E F", "A: \"B\" goes on from it", NULL, "B"},
	{"a broken base breaks all of its chain", "A0.2 B1.2 C2.2! D3.2<C E4.2<D", "last 1", 200, "A- B C- D- E-",
     "E: goes on from \"C\", which lacks 1 object", NULL, NULL},
	{"a base that is not there", "A0.2 B1.2<Z", "last 1", 200, "A B-",
     "B: goes on from one that is not there", NULL, NULL},
	{"a chain that bites its tail", "A0.2 B1.2<C C2.2<B", "last 1", 200, "A B- C-",
     "B: goes on from one that is not there", NULL, NULL},
	{"nothing there", "", "last 1", 200, "", NULL, NULL, NULL},
};

typedef struct World
{
	RetainRecord records[MAX_RECORDS];
	char ids[MAX_RECORDS][2];
	size_t count;
} World;

static void
parse_world(const char *text, World *world)
{
	*world = (World){0};
	for (const char *p = text; *p != '\0';)
	{
		RetainRecord *record = &world->records[world->count];
		char *end;

		world->ids[world->count][0] = *p;
		*record = (RetainRecord){
			.id = world->ids[world->count], .base = RETAIN_NO_BASE, .stored_size = STORED_SIZE};
		record->time = EPOCH_US + strtol(p + 1, &end, 10) * DAY_US;
		record->time += strtol(end + 1, &end, 10) * HOUR_US;
		record->local_time = record->time / 1000000;
		p = end;
		if (*p == '<')
		{
			record->base = p[1] == 'Z' ? 99 : (size_t) (p[1] - 'A');
			p += 2;
		}
		if (*p == '!')
		{
			record->objection = "lacks 1 object";
			p++;
		}
		while (*p == ' ')
			p++;
		world->count++;
	}
}

static RetainRecordsPlan *
plan_row(const Row *row, const World *world)
{
	RetainPin pin = {.backup = row->pinned, .until = TIME_NONE};
	RetainLease lease = {.what = "a restore", .backup = row->leased};
	RetainRecordsRequest request = {.noun = "dump",
	                                .now = EPOCH_US + row->now_h * HOUR_US,
	                                .records = world->records,
	                                .n_records = world->count,
	                                .pins = &pin,
	                                .n_pins = row->pinned != NULL,
	                                .leases = &lease,
	                                .n_leases = row->leased != NULL};

	assert_ok(retention_parse(row->policy, &request.policy));
	return plan_retain_records(&request);
}

static char *
verdict(const RetainRecordsPlan *plan)
{
	Buf text;

	buf_init(&text, 256);
	for (size_t i = 0; i < plan->n_records; i++)
		buf_printf(&text, "%s%s%s", i == 0 ? "" : " ", plan->records[i].record->id,
		           plan->records[i].keep ? "" : "-");
	return buf_steal(&text);
}

/* Is all as the row says? */
static bool
is_as_expected(const Row *row, const RetainRecordsPlan *plan)
{
	AUTO_FREE char *got = verdict(plan);
	bool right = strcmp(got, row->expected) == 0;
	uint64_t freed = 0;

	for (size_t i = 0; i < plan->n_records; i++)
	{
		const RetainedRecord *retained = &plan->records[i];

		freed += retained->keep ? 0 : STORED_SIZE;
		right = right && retained->reason[0] != '\0';
		if (row->reason != NULL && row->reason[0] == retained->record->id[0])
			right = right && strstr(retained->reason, row->reason + 3) != NULL;
	}
	if (right && plan->freed == freed)
		return true;
	print_error("%s: \"%s\", expected \"%s\"\n", row->name, got, row->expected);
	for (size_t i = 0; i < plan->n_records; i++)
		print_error("\t%s: %s\n", plan->records[i].record->id, plan->records[i].reason);
	return false;
}

static void
test_what_is_kept(void **state)
{
	size_t failed = 0;

	(void) state;
	for (size_t i = 0; i < lengthof(rows); i++)
	{
		World world;

		parse_world(rows[i].world, &world);

		AUTO(RetainRecordsPlan) plan = plan_row(&rows[i], &world);

		failed += is_as_expected(&rows[i], plan) ? 0 : 1;
	}
	assert_int_equal(failed, 0);
}

typedef struct RefusalRow
{
	const char *name;
	const char *world;
	int64_t now_h;
	int64_t store_now_h;  /* 0: as ours */
	int64_t last_run_h;   /* 0: none is recorded */
	int64_t max_age_days; /* 0: not looked at */
	bool force;
	const char *message; /* a part of it; NULL: it may be carried out */
} RefusalRow;

static const RefusalRow refusal_rows[] = {
	{"a usual run", NIGHTS, 200, 0, 176, 2, false, NULL},
	{"the first run", NIGHTS, 200, 0, 0, 2, false,
     "the first run under this retention: it would remove 6 dumps"},
	{"the first run, forced", NIGHTS, 200, 0, 0, 2, true, NULL},
	{"nothing to remove", "A0.2 B1.2", 30, 0, 0, 2, false, NULL},
	{"a surprise", NIGHTS, 200, 0, 199, 2, false, "6 dumps would be removed, but only 0 came"},
	{"the job is dead", NIGHTS, 300, 0, 250, 2, false, "\"I\", is older than 2d"},
	{"rare ones are meant to be", NIGHTS, 300, 0, 176, 0, false, NULL},
	{"the store's clock", NIGHTS, 200, 210, 176, 2, true, "the store's"},
	{"our clock is behind the newest", NIGHTS, 150, 0, 100, 2, true, "but dump \"I\" ended at"},
	{"none can be restored", "A0.2! B1.2!", 200, 0, 176, 2, true, "there is no complete dump"},
};

static void
test_refusals(void **state)
{
	size_t failed = 0;

	(void) state;
	for (size_t i = 0; i < lengthof(refusal_rows); i++)
	{
		const RefusalRow *row = &refusal_rows[i];
		World world;

		parse_world(row->world, &world);

		RetainRecordsRequest request = {.noun = "dump",
		                                .policy = {.last = 3},
		                                .now = EPOCH_US + row->now_h * HOUR_US,
		                                .records = world.records,
		                                .n_records = world.count};
		RetainGuard guard = {.store_now =
		                         EPOCH_US + (row->store_now_h == 0 ? row->now_h : row->store_now_h) * HOUR_US,
		                     .backup_max_age_ms = row->max_age_days * INT64_C(86400000),
		                     .has_last_run = row->last_run_h != 0,
		                     .last_run = EPOCH_US + row->last_run_h * HOUR_US,
		                     .force = row->force};
		AUTO(RetainRecordsPlan) plan = plan_retain_records(&request);
		AUTO(Error) error = retain_records_refusal(&request, plan, &guard);

		if ((error == NULL) == (row->message == NULL) &&
		    (error == NULL || strstr(error_message(error), row->message) != NULL))
			continue;
		print_error("%s: \"%s\"\n", row->name, error == NULL ? "success" : error_message(error));
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
