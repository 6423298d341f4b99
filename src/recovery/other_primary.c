/* A server that goes live where another one still archives would be a second on the same WAL. */
#include "steps.h"
#include "walship/archive/layout.h"
#include "walship/base/mem.h"

/* The newest segment that the catalog knows of a timeline, and one that is newer. */
typedef struct Newer
{
	TimeLineID timeline;
	XLogSegNo known; /* 0: none */
	uint32_t segment_size;
	char *name; /* owned; NULL: there is none */
} Newer;

static Error *
look_at_key(void *context, const StoreEntry *entry)
{
	Newer *newer = context;
	WalName name;
	XLogSegNo segno;
	char text[WAL_NAME_SIZE];

	if (newer->name != NULL || !layout_parse_wal_key(entry->key, &name) || name.kind != WAL_SEGMENT ||
	    !wal_name_segno(&name, newer->segment_size, &segno))
		return NULL;
	if (name.timeline == newer->timeline && segno <= newer->known)
		return NULL;
	newer->name = mem_strdup(wal_name_format(&name, text));
	return NULL;
}

/* Of the last timeline also those that did not exist: a listing goes on over them. */
static Error *
look_at_timeline(const Recovery *recovery, const CatalogTimeline *timeline, bool last, Newer *newer)
{
	uint64_t system = recovery->catalog->system_identifier;
	AUTO_FREE char *own = layout_timeline_prefix(system, timeline->timeline);
	AUTO_FREE char *prefix = last ? layout_wal_prefix(system) : mem_strdup(own);
	AUTO_FREE char *after = NULL;

	*newer = (Newer){.timeline = timeline->timeline, .segment_size = recovery->catalog->segment_size};
	if (timeline->n_runs > 0)
	{
		newer->known = timeline->runs[timeline->n_runs - 1].last;

		WalName name = wal_name_of_segment(timeline->timeline, newer->known, newer->segment_size);

		after = layout_wal_key(system, &name, NULL);
	}
	return store_list(recovery->store, prefix, LIST_ALL, after != NULL ? after : own, look_at_key, newer);
}

Error *
other_primary_check(const Recovery *recovery)
{
	const Catalog *catalog = recovery->catalog;
	AUTO_FREE char *found = NULL;

	if (recovery->plan->purpose != PURPOSE_REJOIN)
		return NULL;
	for (size_t i = 0; i < catalog->n_timelines && found == NULL; i++)
	{
		Newer newer;
		Error *error =
			look_at_timeline(recovery, &catalog->timelines[i], i + 1 == catalog->n_timelines, &newer);

		found = newer.name;
		TRY(error);
	}
	if (found == NULL)
		return NULL;
	return error_hint(
		error_new(ERR_EXISTS,
	              "a server still archives into store \"%s\": WAL segment \"%s\" has arrived in the meantime",
	              store_url(recovery->store), found),
		"Stop the old server for good before another one takes its place, then run this again. For a copy to "
		"look at beside it: --copy.");
}
