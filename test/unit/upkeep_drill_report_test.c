/* Evidence of drills: in the store, and how long recoveries take, now and before. */
#include "archive_fixture.h"
#include "walship/upkeep/drill.h"

#define REPORTS_MAX 16

static void
test_trend(void **state)
{
	/* Recovery times, in the order of the drills; negative: it failed. */
	static const struct
	{
		int64_t times[REPORTS_MAX];
		size_t count;
		int64_t last; /* 0: none */
		size_t compared;
		int64_t median;
	} cases[] = {
		{{0}, 0, 0, 0, 0},
		{{-5}, 1, 0, 0, 0},
		{{7}, 1, 7, 0, 0},
		{{5, 7}, 2, 7, 1, 5},
		{{5, 8, 7}, 3, 7, 2, 6},
		{{9, 1, 5, 7}, 4, 7, 3, 5},
		{{5, 7, -100}, 3, 7, 1, 5},
		{{5, -100, 7}, 3, 7, 1, 5},
		{{1000, 1, 1, 1, 1, 1, 9, 9, 9, 9, 9, 3}, 12, 3, 10, 5},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(cases); i++)
	{
		DrillReport reports[REPORTS_MAX] = {0};
		DrillTrend trend;

		for (size_t j = 0; j < cases[i].count; j++)
			reports[j] =
				(DrillReport){.passed = cases[i].times[j] > 0,
			                  .total_ms = cases[i].times[j] > 0 ? cases[i].times[j] : -cases[i].times[j]};
		trend = drill_trend(reports, cases[i].count);
		assert_int_equal(trend.last == NULL ? 0 : trend.last->total_ms, cases[i].last);
		assert_int_equal(trend.compared, cases[i].compared);
		assert_int_equal(trend.median_ms, cases[i].median);
	}
}

static DrillReport
some_report(int64_t total_ms)
{
	DrillReport report = {.time = INT64_C(1764410528000000),
	                      .system_identifier = BUILDER_SYSTEM,
	                      .walship_version = mem_strdup("1"),
	                      .backup = mem_strdup("20261129T000000Z-abcd"),
	                      .server_version = 150020,
	                      .timeline = 1,
	                      .target = mem_strdup("the end of the WAL"),
	                      .planned_time = TIME_NONE,
	                      .total_ms = total_ms,
	                      .passed = true};

	report.checks[DRILL_SQL].outcome = DRILL_FAILED;
	strlist_add(&report.checks[DRILL_SQL].findings, "false.sql");
	return report;
}

static void
test_drills_of_one_second_do_not_meet(void **state)
{
	Place *place = *state;
	Notices nobody = {0};
	AUTO_DRILL_HISTORY history = {0};

	for (int i = 0; i < 3; i++)
	{
		DrillReport report = some_report(1000 + i);
		TimeUs begun = report.time;

		assert_ok(drill_report_store(&report, place->store));
		assert_int_equal(report.time, begun + i * 1000000);
		drill_report_release(&report);
	}
	assert_ok(drill_history_read(place->store, BUILDER_SYSTEM, NULL, 2, &nobody, &history));
	assert_int_equal(history.count, 3);
	for (int i = 0; i < 3; i++)
	{
		assert_int_equal(history.reports[i].total_ms, 1000 + i);
		assert_int_equal(history.reports[i].checks[DRILL_SQL].outcome, DRILL_FAILED);
		assert_string_equal(history.reports[i].checks[DRILL_SQL].findings.items[0], "false.sql");
	}
}

static void
test_a_drill_of_a_dump_is_told_from_one_of_a_backup(void **state)
{
	Place *place = *state;
	Notices nobody = {0};
	DrillReport report = some_report(1000);
	AUTO_DRILL_HISTORY history = {0};
	DrillTrend trend;

	assert_ok(drill_report_store(&report, place->store));
	free(report.backup);
	report.backup = NULL;
	report.dump = mem_strdup("20261129T000000Z-cdef");
	report.schema_only = true;

	/* Of the same second, under a name of its own. */
	assert_ok(drill_report_store(&report, place->store));
	assert_int_equal(report.time, INT64_C(1764410528000000));
	report.time += 1000000;
	assert_ok(drill_report_store(&report, place->store));
	drill_report_release(&report);
	assert_ok(drill_history_read(place->store, BUILDER_SYSTEM, NULL, 2, &nobody, &history));
	assert_int_equal(history.count, 3);
	assert_string_equal(history.reports[0].dump, "20261129T000000Z-cdef");
	assert_null(history.reports[0].backup);
	assert_true(history.reports[0].schema_only);
	assert_null(history.reports[1].dump);
	assert_string_equal(history.reports[1].backup, "20261129T000000Z-abcd");
	trend = drill_trend(history.reports, history.count);
	assert_ptr_equal(trend.last, &history.reports[2]);
	assert_int_equal(trend.compared, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_trend),
		cmocka_unit_test_setup_teardown(test_drills_of_one_second_do_not_meet, place_make, place_destroy),
		cmocka_unit_test_setup_teardown(test_a_drill_of_a_dump_is_told_from_one_of_a_backup, place_make,
	                                    place_destroy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
