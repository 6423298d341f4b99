/* Reads indexes and records from a store; see walship/archive/wal_reader.h. */
#include "walship/archive/wal_reader.h"

#include <string.h>

#include "walship/archive/layout.h"
#include "walship/archive/read_again.h"
#include "walship/archive/remembered_indexes.h"
#include "walship/archive/small_reads.h"
#include "walship/archive/wal_object.h"
#include "walship/base/cancel.h"
#include "walship/base/mem.h"
#include "walship/base/workers.h"

typedef struct WalReader
{
	WalSource source;
	WalArchive archive;
	uint32_t segment_size;
	Workers *workers;       /* of whole segments: one decoder for each */
	Workers *index_workers; /* of indexes: they only wait */

	RememberedIndexes *remembered; /* NULL: nothing is */

	/* Recipients change seldom: one copy of each text serves all segments.  Filled by the caller's thread alone. */
	char **recipients;
	size_t n_recipients;
	size_t recipients_capacity;
} WalReader;

/* A damaged object is a fact, too; an unreachable store is none. */
static Error *
judge(Error *error, bool *ret_readable)
{
	*ret_readable = error == NULL;
	if (!error_is(error, ERR_CORRUPT) && !error_is(error, ERR_NOT_FOUND))
		return error;
	error_free(error);
	return NULL;
}

static Error *
read_index(const WalReader *reader, TimeLineID timeline, XLogSegNo segno, WalIndex *ret_index)
{
	WalName name = wal_name_of_segment(timeline, segno, reader->segment_size);
	AUTO_FREE char *key = layout_wal_key(reader->archive.system_identifier, &name, NULL);

	return wal_object_index(reader->archive.store, key, ret_index);
}

/* ---- indexes ---- */

typedef struct IndexJob
{
	const WalReader *reader;
	SegmentIndex *segment;
	char recipients[WAL_INDEX_RECIPIENTS_SIZE];
} IndexJob;

static Error *
run_index_job(void *argument)
{
	IndexJob *job = argument;
	bool readable;
	WalIndex index;

	TRY(cancel_check());
	TRY(judge(read_index(job->reader, job->segment->timeline, job->segment->segno, &index), &readable));
	if (!readable)
		return NULL;
	segment_index_fill(job->segment, &index);
	memcpy(job->recipients, index.recipients, sizeof(job->recipients));
	return NULL;
}

static const char *
keep_recipients(WalReader *reader, const char *recipients)
{
	for (size_t i = 0; i < reader->n_recipients; i++)
		if (strcmp(reader->recipients[i], recipients) == 0)
			return reader->recipients[i];
	GROW(reader->recipients, reader->n_recipients, reader->recipients_capacity);
	return reader->recipients[reader->n_recipients++] = mem_strdup(recipients);
}

static bool
is_remembered(WalReader *reader, SegmentIndex *segment)
{
	char recipients[WAL_INDEX_RECIPIENTS_SIZE];

	if (reader->remembered == NULL || !remembered_indexes_find(reader->remembered, segment, recipients))
		return false;
	segment->recipients = keep_recipients(reader, recipients);
	return true;
}

static Error *
reader_read_indexes(WalSource *source, SegmentIndex *const *items, size_t n_items)
{
	WalReader *reader = (WalReader *) source;
	AUTO_FREE IndexJob *jobs = NEW_ARRAY(IndexJob, n_items);
	size_t n_jobs = 0;

	for (size_t i = 0; i < n_items; i++)
		if (!is_remembered(reader, items[i]))
			jobs[n_jobs++] = (IndexJob){.reader = reader, .segment = items[i]};
	if (n_jobs == 1)
		TRY(run_index_job(&jobs[0]));
	else
	{
		for (size_t i = 0; i < n_jobs; i++)
			workers_submit(reader->index_workers, run_index_job, &jobs[i], NULL);
		TRY(workers_wait(reader->index_workers));
	}
	for (size_t i = 0; i < n_jobs; i++)
	{
		jobs[i].segment->recipients = keep_recipients(reader, jobs[i].recipients);
		if (reader->remembered != NULL)
			remembered_indexes_add(reader->remembered, jobs[i].segment);
	}
	return NULL;
}

/* ---- records ---- */

typedef struct RecordsJob
{
	const WalReader *reader;
	const WalPath *path;
	WalKinds kinds;
	XLogRecPtr until; /* records from here on are not of this path */
	SegmentRecords *records;
	WalWalker *walker;
	bool passes_over; /* the segments behind it that cannot be read: not before they were read again */
} RecordsJob;

static void
keep_event(void *context, const WalEvent *event)
{
	RecordsJob *job = context;

	if (event->lsn < job->until)
		segment_records_add(job->records, job->kinds, event);
}

/* Hands a segment to the walker; its first piece holds the whole page header. */
typedef struct WalkSink
{
	Sink sink;
	RecordsJob *job;
} WalkSink;

static Error *
walk_sink_write(Sink *sink, const void *data, size_t size)
{
	RecordsJob *job = ((WalkSink *) sink)->job;

	if (job->walker == NULL)
	{
		WalPageHeader header;

		TRY(wal_page_header_parse(data, size, &header));
		if (header.major == 0)
			return error_new(ERR_CORRUPT, "WAL is of another PostgreSQL than its index says");
		job->walker = wal_walker_new(&header, keep_event, job);
	}
	wal_walker_feed(job->walker, data, size);
	return NULL;
}

static Error *
walk_segment(RecordsJob *job, TimeLineID timeline, XLogSegNo segno)
{
	static const SinkOps ops = {.write = walk_sink_write};
	WalkSink walk = {.sink.ops = &ops, .job = job};
	WalName name = wal_name_of_segment(timeline, segno, job->reader->segment_size);

	return wal_object_get(&job->reader->archive, &name, &walk.sink, NULL);
}

/*
 * The record that is open at the segment's end, so far as the path has its end.
 * Mostly the next index keeps all of it; of an encrypted segment it keeps nothing,
 * and of a long record too little: then the segments themselves are read, as many
 * as the record crosses.  An end that is damaged is as good as none: no server can
 * replay the record.  One of a PostgreSQL that is not known cannot be read.
 */
static Error *
read_open_record(RecordsJob *job)
{
	for (XLogSegNo segno = job->records->segno + 1; wal_walker_is_open(job->walker); segno++)
	{
		const WalPathPiece *piece = wal_path_piece(job->path, segno);
		bool readable;

		if (piece == NULL)
			return NULL;
		if (segno == job->records->segno + 1)
		{
			WalIndex index;

			TRY(judge(read_index(job->reader, piece->timeline, segno, &index), &readable));
			if (!readable || wal_index_is_foreign(&index))
				return NULL;
			if (!wal_walker_needs_more(job->walker, &index.walk.head))
			{
				wal_walker_continue(job->walker, &index.walk.head);
				return NULL;
			}
		}
		wal_walker_enter_next(job->walker);

		Error *error = walk_segment(job, piece->timeline, segno);

		if (error_is(error, ERR_CORRUPT) && !job->passes_over)
			return error;
		TRY(judge(error, &readable));
		if (!readable)
			return NULL;
	}
	return NULL;
}

static Error *
read_records(RecordsJob *job)
{
	const WalPathPiece *piece = wal_path_piece(job->path, job->records->segno);
	XLogRecPtr open_end;
	WalWalkResult result;

	job->until = piece->until;
	TRY(walk_segment(job, piece->timeline, job->records->segno));
	open_end = wal_walker_open_end(job->walker);
	TRY(read_open_record(job));
	wal_walker_finish(job->walker, &result);
	if (job->records->last_end == InvalidXLogRecPtr)
		job->records->last_end = open_end;
	return NULL;
}

static Error *
read_anew(RecordsJob *job)
{
	Error *error;

	segment_records_release(job->records);
	*job->records = (SegmentRecords){.segno = job->records->segno};
	error = read_records(job);
	wal_walker_free(MOVE(job->walker));
	return error;
}

static Error *
run_records_job(void *argument)
{
	RecordsJob *job = argument;
	const WalReader *reader = job->reader;
	const WalPathPiece *piece = wal_path_piece(job->path, job->records->segno);
	WalName name = wal_name_of_segment(piece->timeline, job->records->segno, reader->segment_size);
	AUTO_FREE char *key = layout_wal_key(reader->archive.system_identifier, &name, NULL);
	Error *error = cancel_check();
	int reads = 0;

	if (error != NULL)
		return error;
	do
		error = read_anew(job);
	while (read_again(reader->archive.store, key, &error, &reads));
	if (error_is(error, ERR_CORRUPT))
	{
		error_free(error);
		job->passes_over = true;
		error = read_anew(job);
	}
	error = judge(error, &job->records->readable);
	if (!job->records->readable)
		segment_records_release(job->records);
	return error;
}

static Error *
reader_read_records(WalSource *source, const WalPath *path, WalKinds kinds, SegmentRecords *items,
                    size_t n_items)
{
	WalReader *reader = (WalReader *) source;
	AUTO_FREE RecordsJob *jobs = NEW_ARRAY(RecordsJob, n_items);

	for (size_t i = 0; i < n_items; i++)
		jobs[i] = (RecordsJob){.reader = reader, .path = path, .kinds = kinds, .records = &items[i]};
	if (n_items == 1)
		return run_records_job(&jobs[0]);
	for (size_t i = 0; i < n_items; i++)
		workers_submit(reader->workers, run_records_job, &jobs[i], NULL);
	return workers_wait(reader->workers);
}

/* ---- as a source ---- */

static void
reader_free(WalSource *source)
{
	WalReader *reader = (WalReader *) source;

	workers_free(reader->workers);
	workers_free(reader->index_workers);
	if (reader->remembered != NULL)
		remembered_indexes_keep(reader->remembered);
	remembered_indexes_free(reader->remembered);
	for (size_t i = 0; i < reader->n_recipients; i++)
		free(reader->recipients[i]);
	free(reader->recipients);
	free(reader);
}

WalSource *
wal_reader_new(Store *store, const Catalog *catalog, const AgeIdentities *identities, int jobs)
{
	static const WalSourceOps ops = {
		.read_indexes = reader_read_indexes, .read_records = reader_read_records, .free = reader_free};
	WalReader *reader = NEW(WalReader);

	reader->source.ops = &ops;
	reader->archive = (WalArchive){
		.store = store, .system_identifier = catalog->system_identifier, .identities = identities};
	reader->segment_size = catalog->segment_size;
	reader->workers = workers_new(jobs);
	reader->index_workers = workers_new(small_reads_at_once(jobs));
	return &reader->source;
}

WalFacts *
wal_reader_facts(Store *store, const Catalog *catalog, const AgeIdentities *identities, int jobs)
{
	return wal_facts_new(wal_reader_new(store, catalog, identities, jobs));
}

WalFacts *
wal_reader_facts_kept(Store *store, const Catalog *catalog, const AgeIdentities *identities, int jobs,
                      const char *state_dir)
{
	WalSource *source = wal_reader_new(store, catalog, identities, jobs);

	if (state_dir != NULL)
		((WalReader *) source)->remembered = remembered_indexes_new(state_dir, store, catalog);
	return wal_facts_new(source);
}
