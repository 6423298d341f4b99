/* Versions of PostgreSQL: what is new for us, and what is too old for anybody. */
#include "check_postgres.h"

#include <inttypes.h>
#include <string.h>

#include "walship/archive/catalog.h"
#include "walship/archive/layout.h"
#include "walship/archive/wal_object.h"
#include "walship/base/mem.h"
#include "walship/wal/majors.h"

#define DAY_LENGTH 10 /* "2026-11-12" */

static char *
unread_hint(void)
{
	return mem_printf(
		"Its WAL is stored and fetched, and a recovery can replay it, to its end, an LSN, a time or a "
		"name; \"find\" and --before-drop find nothing in it. Use a walship that knows it: this one "
		"knows PostgreSQL %d to %d.",
		pg_major_oldest()->major, pg_major_newest()->major);
}

VersionNote
check_postgres_server(const PgControl *control, TimeUs now)
{
	const PgMajor *major = pg_major(control->major);
	char today[TIME_TEXT_SIZE];

	if (major == NULL)
		return (VersionNote){mem_printf("pg_control has version %" PRIu32 ", catalog version %" PRIu32
		                                ": a PostgreSQL that walship " WALSHIP_VERSION " does not know",
		                                control->control_version, control->catalog_version),
		                     unread_hint()};
	if (strncmp(time_format_utc(now, today), major->supported_until, DAY_LENGTH) > 0)
		return (VersionNote){mem_printf("PostgreSQL %d has had no minor releases since %s", major->major,
		                                major->supported_until),
		                     mem_strdup("Its own makers no longer support it. Upgrade the server.")};
	return (VersionNote){
		mem_printf("PostgreSQL %d, supported until %s", major->major, major->supported_until), NULL};
}

/* Of the newest timeline that has any. */
static const SegmentRun *
newest_run(const Catalog *catalog, TimeLineID *ret_timeline)
{
	for (size_t i = catalog->n_timelines; i-- > 0;)
	{
		const CatalogTimeline *timeline = &catalog->timelines[i];

		*ret_timeline = timeline->timeline;
		if (timeline->n_runs > 0)
			return &timeline->runs[timeline->n_runs - 1];
	}
	return NULL;
}

Error *
check_postgres_wal(Store *store, uint64_t system_identifier, int jobs, VersionNote *ret_note)
{
	AUTO(Catalog) catalog = NULL;
	AUTO_FREE char *key = NULL;
	char text[WAL_NAME_SIZE];
	const SegmentRun *run;
	TimeLineID timeline;
	WalName name;
	WalIndex index;

	*ret_note = (VersionNote){NULL, NULL};
	TRY(catalog_read(store, system_identifier, jobs, &catalog));
	run = newest_run(catalog, &timeline);
	if (run == NULL)
		return NULL;
	name = wal_name_of_segment(timeline, run->last, catalog->segment_size);
	key = layout_wal_key(system_identifier, &name, NULL);
	TRY(wal_object_index(store, key, &index));
	(void) wal_name_format(&name, text);
	if (wal_index_is_foreign(&index))
		*ret_note = (VersionNote){
			mem_printf("the newest, %s, is of a PostgreSQL that walship " WALSHIP_VERSION " does not know",
		               text),
			unread_hint()};
	else
		*ret_note = (VersionNote){mem_printf("the newest, %s, is of PostgreSQL %d", text, index.major), NULL};
	return NULL;
}
