/* See search_way.h. */
#include "search_way.h"

#include "walship/base/mem.h"

/* So many indexes or segments are read before the next step, for each of the threads. */
#define INDEXES_PER_JOB  16
#define SEGMENTS_PER_JOB 2

void
search_warn(Search *search, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	AUTO_FREE char *text = mem_vprintf(format, arguments);
	va_end(arguments);
	if (!strlist_contains(&search->findings->warnings, text))
		strlist_add(&search->findings->warnings, text);
}

static bool
looks_for_losses(const Search *search)
{
	return search->request->kind <= SEARCH_LOSSES;
}

static bool
is_in_range(const SearchRequest *request, TimeUs time)
{
	if (time == TIME_NONE)
		return true;
	return (request->since == TIME_NONE || time >= request->since) &&
	       (request->until == TIME_NONE || time <= request->until);
}

/* Are all commits and aborts of the segment out of range? */
static bool
is_out_of_range(const SearchRequest *request, const SegmentDigest *digest)
{
	if (digest->max_time == TIME_NONE)
		return false;
	return (request->since != TIME_NONE && digest->max_time < request->since) ||
	       (request->until != TIME_NONE && digest->min_time > request->until);
}

static bool
has_something(const Search *search, const SegmentDigest *digest)
{
	switch (search->request->kind)
	{
		case SEARCH_DROPS:
		case SEARCH_REWRITES:
		case SEARCH_LOSSES:
			return digest->drops > 0 || digest->files_created > 0 || digest->crosses;
		case SEARCH_COMMITS:
			return digest->commits > 0 || digest->crosses;
		case SEARCH_RESTORE_POINTS:
			return digest->restore_points > 0 || digest->crosses;
	}
	return false;
}

/*
 * How many segments below this one hold nothing of late enough a time?  Their
 * indexes need not be read: its run tells.
 */
static size_t
quiet_below(const Search *search, const FindWay *way, size_t position, const SegmentDigest *digest)
{
	size_t below = 0;

	if (search->request->since == TIME_NONE || search->request->kind == SEARCH_RESTORE_POINTS ||
	    !digest->readable || (digest->time_high != TIME_NONE && digest->time_high >= search->request->since))
		return 0;
	while (below < position &&
	       way->segments[position - below - 1].timeline == way->segments[position].timeline &&
	       way->segments[position - below - 1].segno >= digest->run_first)
		below++;
	return below;
}

static void
warn_of_damage(Search *search, const SegmentRead *read)
{
	char name[WAL_NAME_SIZE];

	(void) wal_segment_name(read->where->timeline, read->where->segno, search->catalog->segment_size, name);
	if (!read->digest.readable)
		search_warn(search, "WAL segment %s cannot be read: what happened in it is not listed.", name);
	else if (read->digest.damaged)
		search_warn(search, "A record in WAL segment %s is damaged: what comes after it is not listed.",
		            name);
}

static bool
made_or_dropped_files(const SegmentDigest *digest)
{
	return digest->readable && (digest->files_created > 0 || digest->drops > 0 || digest->crosses);
}

/*
 * What transactions did before the segments that are looked through: a drop is
 * told from a rewrite by the files that were made, maybe long before the commit,
 * and a database's files go before its commit.  So before each of them some more
 * are read, also where they lie between two.
 */
static Error *
look_before(Search *search, const FindWay *way, SegmentRead *reads, size_t lowest)
{
	size_t from = lowest > FIND_BEFORE_MAX ? lowest - FIND_BEFORE_MAX : 0;
	size_t since_wanted = FIND_BEFORE_MAX;

	for (size_t i = from; i < lowest; i++)
		if (!reads[i].digest.known)
			workers_submit(search->workers, segment_read_index, &reads[i], NULL);
	TRY(workers_wait(search->workers));
	for (size_t i = way->n_segments; i-- > from;)
	{
		since_wanted = reads[i].wanted ? 0 : since_wanted + 1;
		reads[i].wanted |= since_wanted <= FIND_BEFORE_MAX && made_or_dropped_files(&reads[i].digest);
	}
	return NULL;
}

/* What "from" and all above it say; returns the lowest that is wanted. */
static void
judge_indexes(Search *search, SegmentRead *reads, size_t from, size_t to, size_t *lowest)
{
	for (size_t i = to; i-- > from;)
	{
		SegmentRead *read = &reads[i];

		warn_of_damage(search, read);
		read->wanted = read->digest.readable && has_something(search, &read->digest) &&
		               !is_out_of_range(search->request, &read->digest);
		if (read->wanted)
			*lowest = i;
	}
}

/* From the newest down to the way's first, and then, where it matters, some more. */
static Error *
look_at_indexes(Search *search, const FindWay *way, SegmentRead *reads)
{
	size_t batch = (size_t) search->request->jobs * INDEXES_PER_JOB;
	size_t lowest = way->n_segments;

	for (size_t next = way->n_segments; next > way->first;)
	{
		size_t from = next - way->first > batch ? next - batch : way->first;

		for (size_t i = from; i < next; i++)
			workers_submit(search->workers, segment_read_index, &reads[i], NULL);
		TRY(workers_wait(search->workers));
		judge_indexes(search, reads, from, next, &lowest);
		next = from - quiet_below(search, way, from, &reads[from].digest);
		if (next < way->first)
			next = way->first;
	}
	if (!looks_for_losses(search) || lowest == way->n_segments)
		return NULL;
	return look_before(search, way, reads, lowest);
}

/* ---- the segments ---- */

static bool
wants_loss(WalEventKind kind)
{
	switch (kind)
	{
		case WAL_EVENT_COMMIT:
		case WAL_EVENT_ABORT:
		case WAL_EVENT_RESTORE_POINT:
		case WAL_EVENT_FILE_CREATED:
		case WAL_EVENT_DATABASE_DROPPED:
			return true;
		default:
			return wal_event_is_item(kind);
	}
}

static bool
wants_commit(WalEventKind kind)
{
	return kind == WAL_EVENT_COMMIT;
}

static bool
wants_restore_point(WalEventKind kind)
{
	return kind == WAL_EVENT_RESTORE_POINT;
}

SearchWants
search_wants(SearchKind kind)
{
	switch (kind)
	{
		case SEARCH_COMMITS:
			return wants_commit;
		case SEARCH_RESTORE_POINTS:
			return wants_restore_point;
		default:
			return wants_loss;
	}
}

static Error *
add_finding(Search *search, const FindWay *way, Finding finding)
{
	Findings *findings = search->findings;

	if (findings->count == FINDINGS_MAX)
		return error_hint(error_new(ERR_USAGE, "more than %d were found", FINDINGS_MAX),
		                  "Narrow the search with --since, --until or --timeline.");
	finding.timeline = timeline_history_at(way->history, finding.lsn);
	GROW(findings->items, findings->count, findings->capacity);
	findings->items[findings->count++] = finding;
	return NULL;
}

static Error *
add_listed_points(Search *search, const FindWay *way, const SegmentRead *read)
{
	for (size_t i = 0; i < read->digest.restore_points; i++)
	{
		const WalRestorePoint *point = &read->digest.listed_points[i];

		if (point->lsn < read->where->until && is_in_range(search->request, point->time))
			TRY(add_finding(
				search, way,
				(Finding){.lsn = point->lsn, .time = point->time, .name = str_printable(point->name)}));
	}
	return NULL;
}

/* Of commits and restore points each event is a finding. */
static Error *
add_events(Search *search, const FindWay *way, SegmentRead *read)
{
	for (size_t i = 0; i < read->n_events; i++)
	{
		SeenEvent *event = &read->events[i];

		if (is_in_range(search->request, event->time))
			TRY(add_finding(
				search, way,
				(Finding){
					.lsn = event->lsn, .xid = event->xid, .time = event->time, .name = MOVE(event->name)}));
	}
	return NULL;
}

static void
watch_events(const SegmentRead *read, LossWatch *watch)
{
	for (size_t i = 0; i < read->n_events; i++)
	{
		const SeenEvent *event = &read->events[i];

		loss_watch_add(watch, &(WalEvent){.kind = event->kind,
		                                  .lsn = event->lsn,
		                                  .end = event->cut ? InvalidXLogRecPtr : event->lsn + 1,
		                                  .xid = event->xid,
		                                  .time = event->time,
		                                  .relation = event->relation,
		                                  .statistics_kind = event->statistics_kind});
	}
}

static Error *
take_segment(Search *search, const FindWay *way, SegmentRead *read, LossWatch *watch)
{
	Error *error = NULL;

	if (looks_for_losses(search))
		watch_events(read, watch);
	else if (search->request->kind == SEARCH_RESTORE_POINTS && read->digest.listed_points != NULL)
		error = add_listed_points(search, way, read);
	else
		error = add_events(search, way, read);
	segment_read_drop_events(read);
	return error;
}

static bool
is_needed_whole(const Search *search, const SegmentRead *read)
{
	return read->wanted && (search->request->kind != SEARCH_RESTORE_POINTS || read->digest.crosses ||
	                        read->digest.listed_points == NULL);
}

/* As many as a batch may have, from "from" on; returns where the next begins. */
static Error *
read_batch(Search *search, SegmentRead *reads, size_t from, size_t count, size_t *ret_to)
{
	size_t batch = (size_t) search->request->jobs * SEGMENTS_PER_JOB;
	size_t to = from;

	for (size_t submitted = 0; to < count && submitted < batch; to++)
	{
		if (!is_needed_whole(search, &reads[to]))
			continue;
		workers_submit(search->workers, segment_read_events, &reads[to], NULL);
		submitted++;
	}
	*ret_to = to;
	return workers_wait(search->workers);
}

/* In the order of the WAL, though read side by side. */
static Error *
look_into_segments(Search *search, const FindWay *way, SegmentRead *reads, LossWatch *watch)
{
	for (size_t next = 0; next < way->n_segments;)
	{
		size_t from = next;

		TRY(read_batch(search, reads, from, way->n_segments, &next));
		for (size_t i = from; i < next; i++)
			if (reads[i].wanted)
				TRY(take_segment(search, way, &reads[i], watch));
	}
	return NULL;
}

/* ---- the way as a whole ---- */

static bool
is_asked_for(const Search *search, const Loss *loss)
{
	return search->request->kind == SEARCH_LOSSES ||
	       (loss->kind == LOSS_REWRITE) == (search->request->kind == SEARCH_REWRITES);
}

/* Those that happened in the way's own part, in time. */
static Error *
add_losses(Search *search, const FindWay *way, LossList *losses)
{
	XLogRecPtr begin = segment_start(way->segments[way->first].segno, search->catalog->segment_size);

	for (size_t i = 0; i < losses->count; i++)
	{
		Loss *loss = &losses->items[i];

		if (loss->lsn < begin || !is_in_range(search->request, loss->time))
			continue;
		if (!is_asked_for(search, loss))
		{
			search->findings->rewrites += loss->kind == LOSS_REWRITE;
			continue;
		}
		TRY(add_finding(search, way,
		                (Finding){.lsn = loss->lsn, .xid = loss->xid, .time = loss->time, .loss = *loss}));
		loss->named_files = NULL;
		loss->named_objects = NULL;
	}
	return NULL;
}

static void
begin_reads(const Search *search, const FindWay *way, SegmentRead *reads)
{
	for (size_t i = 0; i < way->n_segments; i++)
	{
		reads[i].source = &search->source;
		reads[i].where = &way->segments[i];
	}
}

static int
major_of(const FindWay *way, const SegmentRead *reads)
{
	for (size_t i = way->n_segments; i-- > 0;)
		if (reads[i].digest.known && reads[i].digest.readable)
			return reads[i].digest.major;
	return 0;
}

static Error *
search_reads(Search *search, const FindWay *way, SegmentRead *reads)
{
	LossList losses = {0};
	Error *error = look_at_indexes(search, way, reads);

	if (error == NULL)
	{
		AUTO(LossWatch) watch = loss_watch_new(major_of(way, reads), &losses);

		error = look_into_segments(search, way, reads, watch);
		loss_watch_finish(watch);
	}
	if (error == NULL && way->n_segments > 0)
		error = add_losses(search, way, &losses);
	loss_list_release(&losses);
	return error;
}

Error *
search_way(Search *search, const FindWay *way)
{
	AUTO_FREE SegmentRead *reads = NEW_ARRAY(SegmentRead, way->n_segments);
	Error *error;

	begin_reads(search, way, reads);
	error = search_reads(search, way, reads);
	for (size_t i = 0; i < way->n_segments; i++)
		segment_read_release(&reads[i]);
	return error;
}
