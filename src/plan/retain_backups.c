/* Which backups stay: the rules, one after the other.  Each adds its reason; what has none goes. */
#include <inttypes.h>
#include <string.h>

#include "retain_rules.h"
#include "walship/base/mem.h"

static void reason(RetainItem *item, const char *format, ...) PRINTF_LIKE(2, 3);

static void
reason(RetainItem *item, const char *format, ...)
{
	va_list arguments;

	if (item->reasons.size > 0)
		buf_puts(&item->reasons, ", ");
	va_start(arguments, format);
	buf_vprintf(&item->reasons, format, arguments);
	va_end(arguments);
}

static RetainPath *
path_of(const Retain *retain, TimeLineID timeline)
{
	for (size_t i = 0; i < retain->n_paths; i++)
		if (retain->paths[i].timeline->timeline == timeline)
			return &retain->paths[i];
	return NULL;
}

/* Can it be restored, on its own timeline?  Looked at once, and only for those that a rule would keep. */
static bool
is_complete(const Retain *retain, RetainItem *item)
{
	if (!item->looked)
	{
		const RetainPath *own = path_of(retain, item->backup->timeline);

		item->looked = true;
		item->objection = candidate_objection(&retain->planner, own->path, item->backup);
	}
	return item->objection == NULL;
}

static bool
leads_to(const Retain *retain, const RetainPath *path, RetainItem *item)
{
	AUTO_FREE char *objection = NULL;
	XLogRecPtr end;

	if (path->timeline->timeline == item->backup->timeline)
		return is_complete(retain, item);

	/* Most are on no stretch of it, and need not be looked at. */
	if (!timeline_history_end_of(path->path->history, item->backup->timeline, &end) ||
	    item->backup->stop_lsn > end)
		return false;
	objection = candidate_objection(&retain->planner, path->path, item->backup);
	return objection == NULL;
}

/*
 * The newest that ended before the window, from which every moment in it can be
 * reached.  No older one can reach more of it: its replay has to come through the
 * same WAL.  Without one the oldest of those in the window: then the window begins where that ends.
 */
static RetainItem *
find_start(const Retain *retain, const RetainPath *path)
{
	size_t n_backups = retain->planner.catalog->n_backups;
	size_t n_in_window = 0;

	while (n_in_window < n_backups &&
	       retain->newest_first[n_in_window]->backup->stop_time > retain->window_begin)
		n_in_window++;
	for (size_t i = n_in_window; i < n_backups; i++)
		if (leads_to(retain, path, retain->newest_first[i]))
			return retain->newest_first[i];
	for (size_t i = n_in_window; i-- > 0;)
		if (leads_to(retain, path, retain->newest_first[i]))
			return retain->newest_first[i];
	return NULL;
}

/* Where nobody knows what leads to a timeline, whatever is older may: the newest of it. */
static void
keep_possible_start(Retain *retain, const RetainPath *path)
{
	for (size_t i = 0; i < retain->planner.catalog->n_backups; i++)
	{
		RetainItem *item = retain->newest_first[i];

		if (item->backup->stop_time > retain->window_begin ||
		    item->backup->timeline >= path->timeline->timeline || !is_complete(retain, item))
			continue;
		reason(item, "may lead to timeline %" PRIu32 ", whose history is missing", path->timeline->timeline);
		return;
	}
}

static void
keep_window(Retain *retain)
{
	for (size_t i = 0; i < retain->planner.catalog->n_backups; i++)
	{
		RetainItem *item = &retain->items[i];

		item->in_window = item->backup->stop_time > retain->window_begin;
		if (item->in_window)
			reason(item, "in the window");
	}
	for (size_t i = 0; i < retain->n_paths; i++)
	{
		RetainPath *path = &retain->paths[i];

		if (!path->alive)
			continue;
		path->from = find_start(retain, path);
		path->is_unclear = path->history_is_missing &&
		                   (path->from == NULL || path->from->backup->stop_time > retain->window_begin);
		if (path->is_unclear)
			keep_possible_start(retain, path);
		if (path->from == NULL || path->from->in_window)
			continue;
		path->from->in_window = true;
		reason(path->from, "the window of timeline %" PRIu32 " begins with it", path->timeline->timeline);
	}
}

static void
keep_within(Retain *retain)
{
	TimeUs limit = retain->request->now - retain->request->policy.within_ms * 1000;

	for (size_t i = 0; retain->request->policy.within_ms > 0 && i < retain->planner.catalog->n_backups; i++)
	{
		AUTO_FREE char *within = retention_duration_text(retain->request->policy.within_ms);

		if (retain->items[i].backup->stop_time > limit)
			reason(&retain->items[i], "within %s", within);
	}
}

static void
keep_last(Retain *retain)
{
	uint32_t kept = 0;

	for (size_t i = 0; i < retain->planner.catalog->n_backups && kept < retain->request->policy.last; i++)
		if (is_complete(retain, retain->newest_first[i]))
			reason(retain->newest_first[i], "last %" PRIu32, ++kept);
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

static int64_t
local_time(const Retain *retain, const RetainItem *item)
{
	TimeUs time = item->backup->stop_time;

	if (retain->request->local_times != NULL)
		return retain->request->local_times[item->number];
	return time / 1000000 - (time % 1000000 < 0);
}

/* The newest complete backup of each period that has one, as many periods as asked for. */
static void
keep_calendar(Retain *retain, const char *word, uint32_t wanted, Period (*period_of)(int64_t local))
{
	int64_t done = INT64_MAX; /* number of the period that was filled last */
	uint32_t filled = 0;

	for (size_t i = 0; i < retain->planner.catalog->n_backups && filled < wanted; i++)
	{
		RetainItem *item = retain->newest_first[i];
		Period period = period_of(local_time(retain, item));

		/* ">": where the clocks were put back, a later time may show an earlier day. */
		if (period.number >= done || !is_complete(retain, item))
			continue;
		done = period.number;
		filled++;
		reason(item, "%s %s", word, period.name);
	}
}

static void
keep_pinned(Retain *retain)
{
	const RetainRequest *request = retain->request;
	char until[TIME_TEXT_SIZE];

	for (size_t i = 0; i < retain->planner.catalog->n_backups; i++)
		for (size_t j = 0; j < request->n_pins; j++)
		{
			const RetainPin *pin = &request->pins[j];

			if (strcmp(pin->backup, retain->items[i].backup->id) != 0 ||
			    (pin->until != TIME_NONE && pin->until <= request->now))
				continue;
			reason(&retain->items[i], "pinned%s%s%s%s", pin->until == TIME_NONE ? "" : " until ",
			       pin->until == TIME_NONE ? "" : time_format_utc(pin->until, until),
			       pin->note == NULL ? "" : ": ", pin->note == NULL ? "" : pin->note);
		}
}

static void
keep_leased(Retain *retain)
{
	const RetainRequest *request = retain->request;

	for (size_t i = 0; i < retain->planner.catalog->n_backups; i++)
		for (size_t j = 0; j < request->n_leases; j++)
		{
			const RetainLease *lease = &request->leases[j];

			if (lease->backup == NULL || strcmp(lease->backup, retain->items[i].backup->id) != 0)
				continue;
			retain->items[i].leased = true;
			reason(&retain->items[i], "in use by %s", lease->what);
		}
}

/* Whatever the rules say: one must stay.  And one that cannot be restored yet may wait for its WAL. */
static void
keep_least(Retain *retain)
{
	for (size_t i = 0; i < retain->planner.catalog->n_backups; i++)
	{
		RetainItem *item = retain->newest_first[i];

		if (retain->plan->newest == NULL && is_complete(retain, item))
		{
			retain->plan->newest = item->backup;
			if (item->reasons.size == 0)
				reason(item, "the newest complete backup");
		}
		if (item->reasons.size == 0 && item->backup->stop_time > retain->request->now - RETAIN_GRACE_US &&
		    !is_complete(retain, item))
			reason(item, "not complete, but less than a day old");
		if (retain->plan->newest != NULL && item->backup->stop_time <= retain->request->now - RETAIN_GRACE_US)
			break;
	}
}

static void
conclude(Retain *retain)
{
	RetainPlan *plan = retain->plan;

	plan->n_backups = retain->planner.catalog->n_backups;
	plan->backups = NEW_ARRAY(RetainedBackup, plan->n_backups);
	for (size_t i = 0; i < plan->n_backups; i++)
	{
		RetainItem *item = &retain->items[i];
		bool keep = item->reasons.size > 0;

		if (!keep && item->looked && item->objection != NULL)
			reason(item, "cannot be restored, for it %s", item->objection);
		else if (!keep)
			reason(item, "no rule keeps it");
		else if (item->looked && item->objection != NULL)
			reason(item, "but it %s", item->objection);
		plan->backups[i] = (RetainedBackup){.backup = item->backup,
		                                    .keep = keep,
		                                    .in_window = keep && item->in_window,
		                                    .reason = buf_steal(&item->reasons)};
		if (keep)
			continue;
		plan->removed_backups++;
		plan->freed += backup_record_stored_size(item->backup);
	}
}

void
retain_backups(Retain *retain)
{
	const RetentionPolicy *policy = &retain->request->policy;

	keep_window(retain);
	keep_within(retain);
	keep_last(retain);
	keep_calendar(retain, "daily", policy->daily, period_day);
	keep_calendar(retain, "weekly", policy->weekly, period_week);
	keep_calendar(retain, "monthly", policy->monthly, period_month);
	keep_calendar(retain, "yearly", policy->yearly, period_year);
	keep_pinned(retain);
	keep_leased(retain);
	keep_least(retain);
	conclude(retain);
}
