/* The rules that look at times only; see retain_dated.h. */
#include "retain_dated.h"

#include <inttypes.h>
#include <string.h>

#include "walship/base/mem.h"

#define REASON_MAX 1024

void
dated_init(Dated *dated, const char *id, TimeUs time, int64_t local)
{
	dated->id = id;
	dated->time = time;
	dated->local = local;
	buf_init(&dated->reasons, REASON_MAX);
}

void
dated_release(Dated *dated)
{
	free(dated->objection);
	buf_release(&dated->reasons);
}

static int
compare_newest_first(const void *a, const void *b)
{
	const Dated *left = *(Dated *const *) a;
	const Dated *right = *(Dated *const *) b;

	if (left->time != right->time)
		return left->time > right->time ? -1 : 1;
	return strcmp(right->id, left->id);
}

void
dated_sort(Dated **dated, size_t count)
{
	if (count > 1)
		qsort(dated, count, sizeof(Dated *), compare_newest_first);
}

void
dated_reason(Dated *dated, const char *format, ...)
{
	va_list arguments;

	if (dated->reasons.size > 0)
		buf_puts(&dated->reasons, ", ");
	va_start(arguments, format);
	buf_vprintf(&dated->reasons, format, arguments);
	va_end(arguments);
}

bool
dated_is_complete(const DatedRules *rules, Dated *dated)
{
	if (!dated->looked)
	{
		dated->looked = true;
		dated->objection = rules->objection(rules->context, dated);
	}
	return dated->objection == NULL;
}

static void
keep_within(const DatedRules *rules)
{
	AUTO_FREE char *within = NULL;
	TimeUs limit = rules->now - rules->policy->within_ms * 1000;

	if (rules->policy->within_ms == 0)
		return;
	within = retention_duration_text(rules->policy->within_ms);
	for (size_t i = 0; i < rules->count; i++)
		if (rules->newest_first[i]->time > limit)
			dated_reason(rules->newest_first[i], "within %s", within);
}

static void
keep_last(const DatedRules *rules)
{
	uint32_t kept = 0;

	for (size_t i = 0; i < rules->count && kept < rules->policy->last; i++)
		if (dated_is_complete(rules, rules->newest_first[i]))
			dated_reason(rules->newest_first[i], "last %" PRIu32, ++kept);
}

/* A calendar period: its number grows with time, and its name is for people. */
typedef struct Period
{
	int64_t number;
	char name[32];
} Period;

static int64_t
day_of(int64_t local)
{
	return local / 86400 - (local % 86400 < 0);
}

static Period
period_day(int64_t local)
{
	Period period = {.number = day_of(local)};
	int64_t year;
	int month;
	int day;

	time_date(local, &year, &month, &day);
	(void) snprintf(period.name, sizeof(period.name), "%04" PRId64 "-%02d-%02d", year, month, day);
	return period;
}

/*
 * ISO 8601: a week begins on Monday, and belongs to the year that its Thursday lies in.  Day 0, the first of
 * January 1970, was a Thursday.
 */
static Period
period_week(int64_t local)
{
	int64_t day = day_of(local);
	int64_t monday = day - ((day + 3) % 7 + 7) % 7;
	Period period = {.number = (monday + 3) / 7};
	int64_t year;
	int64_t year_of_first;
	int month;
	int day_of_month;
	int64_t week = 1;

	time_date((monday + 3) * 86400, &year, &month, &day_of_month);
	for (int64_t earlier = monday + 3 - 7;; earlier -= 7, week++)
	{
		time_date(earlier * 86400, &year_of_first, &month, &day_of_month);
		if (year_of_first != year)
			break;
	}
	(void) snprintf(period.name, sizeof(period.name), "%04" PRId64 "-W%02" PRId64, year, week);
	return period;
}

static Period
period_month(int64_t local)
{
	Period period = {0};
	int64_t year;
	int month;
	int day;

	time_date(local, &year, &month, &day);
	period.number = year * 12 + month;
	(void) snprintf(period.name, sizeof(period.name), "%04" PRId64 "-%02d", year, month);
	return period;
}

static Period
period_year(int64_t local)
{
	Period period = {0};
	int month;
	int day;

	time_date(local, &period.number, &month, &day);
	(void) snprintf(period.name, sizeof(period.name), "%04" PRId64, period.number);
	return period;
}

/* The newest complete one of each period that has one, as many periods as asked for. */
static void
keep_calendar(const DatedRules *rules, const char *word, uint32_t wanted, Period (*period_of)(int64_t local))
{
	int64_t done = INT64_MAX; /* number of the period that was filled last */
	uint32_t filled = 0;

	for (size_t i = 0; i < rules->count && filled < wanted; i++)
	{
		Dated *dated = rules->newest_first[i];
		Period period = period_of(dated->local);

		/* ">": where the clocks were put back, a later time may show an earlier day. */
		if (period.number >= done || !dated_is_complete(rules, dated))
			continue;
		done = period.number;
		filled++;
		dated_reason(dated, "%s %s", word, period.name);
	}
}

static void
keep_pinned(const DatedRules *rules)
{
	char until[TIME_TEXT_SIZE];

	for (size_t i = 0; i < rules->count; i++)
		for (size_t j = 0; j < rules->n_pins; j++)
		{
			const RetainPin *pin = &rules->pins[j];

			if (strcmp(pin->backup, rules->newest_first[i]->id) != 0 ||
			    (pin->until != TIME_NONE && pin->until <= rules->now))
				continue;
			dated_reason(rules->newest_first[i], "pinned%s%s%s%s", pin->until == TIME_NONE ? "" : " until ",
			             pin->until == TIME_NONE ? "" : time_format_utc(pin->until, until),
			             pin->note == NULL ? "" : ": ", pin->note == NULL ? "" : pin->note);
		}
}

static void
keep_leased(const DatedRules *rules)
{
	for (size_t i = 0; i < rules->count; i++)
		for (size_t j = 0; j < rules->n_leases; j++)
		{
			const RetainLease *lease = &rules->leases[j];

			if (lease->backup == NULL || strcmp(lease->backup, rules->newest_first[i]->id) != 0)
				continue;
			dated_reason(rules->newest_first[i], "in use by %s", lease->what);
		}
}

void
dated_keep(const DatedRules *rules)
{
	keep_within(rules);
	keep_last(rules);
	keep_calendar(rules, "daily", rules->policy->daily, period_day);
	keep_calendar(rules, "weekly", rules->policy->weekly, period_week);
	keep_calendar(rules, "monthly", rules->policy->monthly, period_month);
	keep_calendar(rules, "yearly", rules->policy->yearly, period_year);
	keep_pinned(rules);
	keep_leased(rules);
}

/* One must stay.  And one that cannot be restored yet may wait for what it lacks. */
const Dated *
dated_keep_least(const DatedRules *rules)
{
	TimeUs recent = rules->now - RETAIN_GRACE_US;
	const Dated *newest = NULL;

	for (size_t i = 0; i < rules->count; i++)
	{
		Dated *dated = rules->newest_first[i];

		if (newest == NULL && dated_is_complete(rules, dated))
		{
			newest = dated;
			if (dated->reasons.size == 0)
				dated_reason(dated, "the newest complete %s", rules->noun);
		}
		if (dated->reasons.size == 0 && dated->time > recent && !dated_is_complete(rules, dated))
			dated_reason(dated, "not complete, but less than a day old");
		if (newest != NULL && dated->time <= recent)
			break;
	}
	return newest;
}

bool
dated_conclude(Dated *dated, char **ret_reason)
{
	bool keep = dated->reasons.size > 0;

	if (!keep && dated->looked && dated->objection != NULL)
		dated_reason(dated, "cannot be restored, for it %s", dated->objection);
	else if (!keep)
		dated_reason(dated, "no rule keeps it");
	else if (dated->looked && dated->objection != NULL)
		dated_reason(dated, "but it %s", dated->objection);
	*ret_reason = buf_steal(&dated->reasons);
	return keep;
}
