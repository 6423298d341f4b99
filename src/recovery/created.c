/* Tablespaces that the WAL of a plan makes: which, and where they go. */
#include <inttypes.h>
#include <string.h>

#include "steps.h"
#include "walship/base/dir.h"
#include "walship/base/mem.h"

/* So many segments are read side by side for each of the threads. */
#define SEGMENTS_PER_JOB 2

static Error *
keep_created(Recovery *recovery, const SegmentRecords *records)
{
	for (size_t i = 0; i < records->n_events; i++)
	{
		const WalEvent *event = &records->events[i];

		/* In place, below pg_tblspc: that is the server's own affair. */
		if (event->name == NULL || event->name[0] == '\0')
			continue;
		TRY(tablespace_path_check(event->name, recovery->pgdata));
		GROW(recovery->created, recovery->n_created, recovery->created_capacity);
		recovery->created[recovery->n_created++] = (CreatedTablespace){
			.oid = event->relation.tablespace, .lsn = event->lsn, .path = mem_strdup(event->name)};
	}
	return NULL;
}

static Error *
read_segments(Recovery *recovery, WalFacts *facts, const WalPath *path, SegmentRecords *items, size_t n_items)
{
	Error *error =
		wal_facts_read_records(facts, path, WAL_KIND(WAL_EVENT_TABLESPACE_CREATED), items, n_items);

	for (size_t i = 0; i < n_items; i++)
	{
		if (error == NULL)
			error = keep_created(recovery, &items[i]);
		segment_records_release(&items[i]);
	}
	return error;
}

/* Whose records are read, from the highest down. */
typedef struct Wanted
{
	XLogSegNo *segnos; /* owned */
	size_t count;
	size_t capacity;
} Wanted;

static void
want_if(Wanted *wanted, const SegmentIndex *index)
{
	if (!index->readable || !index->may_create_tablespace)
		return;
	GROW(wanted->segnos, wanted->count, wanted->capacity);
	wanted->segnos[wanted->count++] = index->segno;
}

/*
 * Only the last segment of a chain can have the end of such a record; it may begin
 * in the one before.  Where the store has nothing, the backup's own WAL is used,
 * which is looked through once it is restored.
 */
static void
look_at_indexes(WalFacts *facts, const WalPath *path, XLogSegNo first, XLogSegNo last, Wanted *wanted)
{
	for (XLogSegNo next = last + 1; next > first;)
	{
		const WalPathPiece *piece = wal_path_piece(path, --next);
		const SegmentIndex *index;
		XLogSegNo lowest;

		if (piece == NULL)
			continue;
		lowest = piece->first > first ? piece->first : first;
		index = wal_facts_index(facts, piece->timeline, next, lowest);
		want_if(wanted, index);
		if (!index->readable || !index->chain_tells_tablespaces || index->chain_first >= next ||
		    next == lowest)
			continue;
		want_if(wanted, wal_facts_index(facts, piece->timeline, next - 1, next - 1));
		next = index->chain_first > lowest ? index->chain_first : lowest;
	}
}

static Error *
look_through(Recovery *recovery, WalFacts *facts, const WalPath *path, XLogSegNo first, XLogSegNo last)
{
	size_t at_once = (size_t) recovery->jobs * SEGMENTS_PER_JOB;
	AUTO_FREE SegmentRecords *items = NEW_ARRAY(SegmentRecords, at_once);
	Wanted wanted = {0};
	size_t n_items = 0;
	Error *error;

	look_at_indexes(facts, path, first, last, &wanted);
	error = wal_facts_error(facts);
	for (size_t i = wanted.count; i-- > 0 && error == NULL;)
	{
		items[n_items++] = (SegmentRecords){.segno = wanted.segnos[i]};
		if (n_items < at_once && i > 0)
			continue;
		error = read_segments(recovery, facts, path, items, n_items);
		n_items = 0;
	}
	free(wanted.segnos);
	return error;
}

static XLogSegNo
last_segment(const RecoveryPlan *plan)
{
	if (plan->n_segments > 0)
		return plan->segments[plan->n_segments - 1].last;
	return lsn_segment_before(plan->backup->stop_lsn, plan->segment_size);
}

Error *
created_find(Recovery *recovery, WalFacts *facts)
{
	const RecoveryPlan *plan = recovery->plan;
	AUTO(WalPath) path = wal_path_new(recovery->catalog, catalog_timeline(recovery->catalog, plan->timeline));

	return look_through(recovery, facts, path, lsn_segment(plan->backup->start_lsn, plan->segment_size),
	                    last_segment(plan));
}

/* ---- where they go ---- */

/* Of a copy, beside it.  The caller frees. */
static char *
default_directory(const Recovery *recovery)
{
	return mem_printf("%s-tablespaces", recovery->pgdata);
}

/*
 * Of a copy: by a mapping; else with the backup's tablespace of this OID, for that
 * was made while the backup was; else by the OID of the first one in that path.
 */
static char *
place_in_copy(const Recovery *recovery, const CreatedTablespace *created)
{
	const char *mapped = tablespace_mappings_find(&recovery->mappings, created->path);
	const CreatedTablespace *first = NULL;

	if (mapped != NULL)
		return mem_strdup(mapped);
	for (size_t i = 0; i < recovery->n_created; i++)
	{
		const CreatedTablespace *other = &recovery->created[i];

		if (strcmp(other->path, created->path) != 0)
			continue;
		first = first == NULL ? other : first;
		for (size_t j = 0; j < recovery->n_tablespaces; j++)
			if (recovery->tablespaces[j].oid == other->oid)
				return mem_strdup(recovery->tablespaces[j].path);
	}
	if (recovery->pgdata == NULL)
		return NULL;

	AUTO_FREE char *directory = default_directory(recovery);

	return mem_printf("%s/%" PRIu32, directory, first->oid);
}

void
created_place(Recovery *recovery)
{
	for (size_t i = 0; i < recovery->n_created; i++)
	{
		CreatedTablespace *created = &recovery->created[i];

		created->place = recovery->plan->purpose == PURPOSE_COPY ? place_in_copy(recovery, created)
		                                                         : mem_strdup(created->path);
	}
}

bool
created_has_path(const Recovery *recovery, const char *path)
{
	for (size_t i = 0; i < recovery->n_created; i++)
		if (strcmp(recovery->created[i].path, path) == 0)
			return true;
	return false;
}

void
created_mappings(const Recovery *recovery, TablespaceMappings *mappings)
{
	for (size_t i = 0; i < recovery->mappings.count; i++)
		tablespace_mappings_add(mappings, recovery->mappings.items[i].from, recovery->mappings.items[i].to);
	for (size_t i = 0; i < recovery->n_created; i++)
	{
		const CreatedTablespace *created = &recovery->created[i];

		if (created->place != NULL && tablespace_mappings_find(mappings, created->path) == NULL)
			tablespace_mappings_add(mappings, created->path, created->place);
	}
}

Error *
created_prepare_own_wal(const Recovery *recovery)
{
	bool copy = recovery->plan->purpose == PURPOSE_COPY;
	AUTO_FREE char *directory = path_join(recovery->pgdata, "pg_wal");
	AUTO_FREE char *others = default_directory(recovery);
	AUTO_MAPPINGS mappings = {0};
	AUTO_STRLIST names = {0};
	WalArchive archive = {.store = recovery->store,
	                      .system_identifier = recovery->catalog->system_identifier,
	                      .identities = recovery->identities};
	TablespaceRules rules = {
		.rule = copy ? TABLESPACES_MAPPED : TABLESPACES_EMPTY, .mappings = &mappings, .others = others};

	created_mappings(recovery, &mappings);
	TRY(dir_list(directory, &names));
	for (size_t i = 0; i < names.count; i++)
	{
		AUTO_FREE char *path = path_join(directory, names.items[i]);
		TablespaceSegment segment = {.path = path, .data_directory = recovery->pgdata, .archive = &archive};
		AUTO(Error) other = wal_name_parse(names.items[i], &segment.name);

		if (other == NULL && segment.name.kind == WAL_SEGMENT)
			TRY(tablespaces_prepare(&segment, &rules));
	}
	return NULL;
}
