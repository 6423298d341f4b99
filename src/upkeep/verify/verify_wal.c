/* WAL: history files, sizes, gaps, and what the indexes that were read tell. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "verify_steps.h"
#include "walship/archive/layout.h"
#include "walship/archive/pin.h"
#include "walship/archive/wal_object.h"
#include "walship/archive/wal_reader.h"
#include "walship/base/mem.h"
#include "walship/pipe/tar.h"
#include "walship/plan/gaps.h"
#include "walship/upkeep/expire_backups.h"

#define DIGEST_SUFFIX ".history.sha256"

/* Two headers, an index, and the end of the archive. */
#define OBJECT_LEAST (3 * TAR_BLOCK_SIZE + TAR_END_SIZE)

/* ---- history files ---- */

static bool
has_contents(const Catalog *catalog, const CatalogTimeline *timeline)
{
	bool has = timeline->n_runs > 0 || timeline->n_partials > 0;

	for (size_t i = 0; i < catalog->n_backups && !has; i++)
		has = catalog->backups[i]->timeline == timeline->timeline;
	return has;
}

static void
add_history(Verify *verify, FindingKind kind, TimeLineID timeline, const char *reason)
{
	WalName name = {.kind = WAL_HISTORY, .timeline = timeline};

	verify_add(verify, (Finding){.kind = kind,
	                             .object = FINDING_OF_HISTORY,
	                             .key = layout_wal_key(verify->system_identifier, &name, NULL),
	                             .wal.timeline = timeline,
	                             .reason = mem_strdup(reason)});
}

Error *
verify_histories(Verify *verify)
{
	const Catalog *catalog = verify->catalog;
	AUTO_FREE char *prefix = layout_wal_prefix(verify->system_identifier);
	AUTO_STRLIST digests = {0};

	TRY(store_list_keys(verify->store, prefix, DIGEST_SUFFIX, &digests));
	for (size_t i = 0; i < catalog->n_timelines; i++)
	{
		const CatalogTimeline *timeline = &catalog->timelines[i];
		AUTO_FREE char *digest = layout_history_digest_key(verify->system_identifier, timeline->timeline);
		bool has_digest = strlist_contains(&digests, digest);

		verify->counts.histories += timeline->has_history_file;
		if (timeline->history_damage != NULL)
			add_history(verify, FINDING_CORRUPT, timeline->timeline, timeline->history_damage);
		else if (!timeline->has_history_file && timeline->timeline > 1 &&
		         (has_digest || has_contents(catalog, timeline)))
			add_history(verify, FINDING_MISSING, timeline->timeline,
			            has_digest ? "its digest is there, and the file is not"
			                       : "its timeline has WAL or a backup, and the file that says where it "
			                         "began is not there");
		else if (timeline->has_history_file && !has_digest)
			verify_note(verify,
			            "%08" PRIX32
			            ".history has no digest: it was checked against the WAL. The next push of a "
			            "server that has the file writes one",
			            timeline->timeline);
	}
	return NULL;
}

/* ---- segments ---- */

Finding
verify_segment_finding(const Verify *verify, FindingKind kind, TimeLineID timeline, XLogSegNo segno,
                       char *reason)
{
	WalName name = wal_name_of_segment(timeline, segno, verify->catalog->segment_size);

	return (Finding){.kind = kind,
	                 .object = FINDING_OF_SEGMENT,
	                 .key = layout_wal_key(verify->system_identifier, &name, NULL),
	                 .wal = {timeline, segno, segno},
	                 .reason = reason};
}

/* An archive of tar has whole blocks. */
static bool
has_whole_blocks(uint64_t size)
{
	return size >= OBJECT_LEAST && size % TAR_BLOCK_SIZE == 0;
}

void
verify_segment_sizes(Verify *verify)
{
	const Catalog *catalog = verify->catalog;

	for (size_t i = 0; i < catalog->n_timelines; i++)
	{
		const CatalogTimeline *timeline = &catalog->timelines[i];

		for (size_t j = 0; j < timeline->n_runs; j++)
		{
			const SegmentRun *run = &timeline->runs[j];

			verify->counts.stored_size += run->stored_size;
			verify->counts.segments += run->last - run->first + 1;
			for (XLogSegNo segno = run->first; segno <= run->last; segno++)
			{
				uint32_t size = run->sizes[segno - run->first];

				if (size != UINT32_MAX && !has_whole_blocks(size))
					verify_add(
						verify,
						verify_segment_finding(
							verify, FINDING_TRUNCATED, timeline->timeline, segno,
							mem_printf("it has %" PRIu32 " bytes, which is no whole tar archive", size)));
			}
		}
		for (size_t j = 0; j < timeline->n_partials; j++)
		{
			const CatalogFile *partial = &timeline->partials[j];

			verify->counts.stored_size += partial->stored_size;
			if (!has_whole_blocks(partial->stored_size))
				verify_add(verify, (Finding){.kind = FINDING_TRUNCATED,
				                             .object = FINDING_OF_PARTIAL,
				                             .key = mem_strdup(partial->key),
				                             .wal = {timeline->timeline, partial->segno, partial->segno},
				                             .reason = mem_printf("it has %" PRIu64
				                                                  " bytes, which is no whole tar archive",
				                                                  partial->stored_size)});
		}
	}
}

Error *
verify_index(const Verify *verify, TimeLineID timeline, XLogSegNo segno, Finding *ret_finding,
             bool *ret_found)
{
	WalName name = wal_name_of_segment(timeline, segno, verify->catalog->segment_size);
	AUTO_FREE char *key = layout_wal_key(verify->system_identifier, &name, NULL);
	char text[WAL_NAME_SIZE];
	char lsn[LSN_TEXT_SIZE];
	FindingKind kind = FINDING_CORRUPT;
	char *reason = NULL;
	WalIndex index;
	AUTO(Error) error = wal_object_index(verify->store, key, &index);

	*ret_found = false;
	if (error_is(error, ERR_NOT_FOUND))
		return NULL; /* an expire removed it after the listing */
	if (error_is(error, ERR_CORRUPT))
		reason = mem_strdup(error_message(error));
	else if (error != NULL)
		return MOVE(error);
	else if (!str_equal(index.segment, wal_name_format(&name, text)) ||
	         index.system_identifier != verify->system_identifier)
	{
		kind = FINDING_FOREIGN;
		reason = mem_printf("it holds segment %s of database system %" PRIu64, index.segment,
		                    index.system_identifier);
	}
	else if (index.walk.damaged_at != InvalidXLogRecPtr)
		reason = mem_printf("the WAL record at %s was damaged already when the server archived it",
		                    lsn_format(index.walk.damaged_at, lsn));
	*ret_found = reason != NULL;
	if (*ret_found)
		*ret_finding = verify_segment_finding(verify, kind, timeline, segno, reason);
	return NULL;
}

/* ---- gaps and windows ---- */

/* A source that remembers which segments are not what they should be. */
typedef struct WatchedSource
{
	WalSource source;
	WalSource *inner;
	WalRange *suspects;
	size_t n_suspects;
	size_t capacity;
} WatchedSource;

static Error *
watched_read_indexes(WalSource *source, SegmentIndex *const *items, size_t n_items)
{
	WatchedSource *watched = (WatchedSource *) source;

	TRY(watched->inner->ops->read_indexes(watched->inner, items, n_items));
	for (size_t i = 0; i < n_items; i++)
	{
		if (!items[i]->foreign && (!items[i]->readable || items[i]->damaged))
		{
			GROW(watched->suspects, watched->n_suspects, watched->capacity);
			watched->suspects[watched->n_suspects++] =
				(WalRange){items[i]->timeline, items[i]->segno, items[i]->segno};
		}
	}
	return NULL;
}

static Error *
watched_read_records(WalSource *source, const WalPath *path, WalKinds wal_kinds, SegmentRecords *items,
                     size_t n_items)
{
	WatchedSource *watched = (WatchedSource *) source;

	return watched->inner->ops->read_records(watched->inner, path, wal_kinds, items, n_items);
}

/* It is freed with the facts; the suspects are the caller's. */
static void
watched_free(WalSource *source)
{
	WatchedSource *watched = (WatchedSource *) source;

	watched->inner->ops->free(watched->inner);
}

static const WalSourceOps watched_ops = {
	.read_indexes = watched_read_indexes, .read_records = watched_read_records, .free = watched_free};

/* By the setting, or by what the last expire went by: what that removed is not missing. */
static Error *
plan_retention(Verify *verify, WalFacts *facts, RetainPlan **ret_plan)
{
	const Catalog *catalog = verify->catalog;
	AUTO_FREE int64_t *local_times = NEW_ARRAY(int64_t, catalog->n_backups);
	AUTO_FREE RetainPin *retain_pins = NULL;
	AUTO_PINS pins = {0};
	RetainRequest request = {.now = verify->now, .local_times = local_times};
	bool has_policy = verify->retention != NULL;

	if (has_policy)
		request.policy = *verify->retention;
	else
		TRY(expire_last_policy(verify->store, verify->system_identifier, &request.policy, &has_policy));
	if (!has_policy)
		return NULL;
	for (size_t i = 0; i < catalog->n_backups; i++)
		TRY(time_local(catalog->backups[i]->stop_time, verify->zone == NULL ? "UTC" : verify->zone,
		               &local_times[i]));
	TRY(pin_list_read(verify->store, verify->system_identifier, &pins));
	retain_pins = NEW_ARRAY(RetainPin, pins.count);
	for (size_t i = 0; i < pins.count; i++)
		retain_pins[i] = (RetainPin){pins.items[i].backup, pins.items[i].until, pins.items[i].note};
	request.pins = retain_pins;
	request.n_pins = pins.count;
	TRY(plan_retain(catalog, &request, facts, ret_plan));
	verify->kept = NEW_ARRAY(bool, catalog->n_backups);
	for (size_t i = 0; i < catalog->n_backups; i++)
		verify->kept[i] = (*ret_plan)->backups[i].keep;
	return NULL;
}

static void
add_gaps(Verify *verify, const WalGapList *gaps)
{
	for (size_t i = 0; i < gaps->count; i++)
	{
		const WalGap *gap = &gaps->items[i];
		WalName name =
			wal_name_of_segment(gap->range.timeline, gap->range.first, verify->catalog->segment_size);
		uint64_t count = gap->range.last - gap->range.first + 1;

		verify_add(verify, (Finding){.kind = FINDING_GAP,
		                             .object = FINDING_OF_SEGMENT,
		                             .key = layout_wal_key(verify->system_identifier, &name, NULL),
		                             .backup = mem_strdup(gap->needed_by->id),
		                             .wal = gap->range,
		                             .reason = mem_printf(
										 "%" PRIu64 " %s, and recoveries from this backup need %s", count,
										 count == 1 ? "segment is missing" : "segments are missing",
										 count == 1 ? "it" : "them")});
	}
}

static Error *
find_gaps_and_windows(Verify *verify, WalFacts *facts)
{
	AUTO(RetainPlan) retain = NULL;
	AUTO_WAL_GAPS gaps = {0};

	TRY(plan_retention(verify, facts, &retain));
	TRY(plan_gaps(verify->catalog, retain, facts, &gaps));
	add_gaps(verify, &gaps);
	return plan_windows(verify->catalog, facts, &verify->windows);
}

Error *
verify_windows(Verify *verify)
{
	WatchedSource watched = {.source.ops = &watched_ops};
	WalFacts *facts;
	Error *error;

	watched.inner = wal_reader_new(verify->store, verify->catalog, NULL, verify->jobs);
	facts = wal_facts_new(&watched.source);
	error = find_gaps_and_windows(verify, facts);
	wal_facts_free(facts);
	for (size_t i = 0; i < watched.n_suspects && error == NULL; i++)
	{
		Finding finding;
		bool found = false;

		error =
			verify_index(verify, watched.suspects[i].timeline, watched.suspects[i].first, &finding, &found);
		if (found)
			verify_add(verify, finding);
	}
	free(watched.suspects);
	return error;
}
