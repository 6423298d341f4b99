/* How long recoveries take, now and before. */
#include "scratch.h"
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_trend),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
