/* Contents of WAL: every segment is decoded, hashed, and its records walked. */
#include <inttypes.h>
#include <string.h>

#include "verify_steps.h"
#include "walship/archive/layout.h"
#include "walship/archive/lease.h"
#include "walship/archive/read_again.h"
#include "walship/archive/wal_object.h"
#include "walship/base/mem.h"
#include "walship/base/workers.h"
#include "walship/pipe/stages.h"

#define BATCH 256 /* jobs that wait at a time; then the place is noted */

/* A segment or partial that was listed and chosen. */
typedef struct WalTarget
{
	TimeLineID timeline;
	XLogSegNo segno;
	char *partial; /* key of a partial; NULL: a segment */
} WalTarget;

typedef struct TargetList
{
	const Verify *verify;
	WalTarget *items; /* by timeline */
	size_t count;
	size_t capacity;
} TargetList;

static void
target_list_release(TargetList *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i].partial);
	free(list->items);
}

static char *
key_of(const Verify *verify, const WalTarget *target)
{
	WalName name = wal_name_of_segment(target->timeline, target->segno, verify->catalog->segment_size);

	return target->partial != NULL ? mem_strdup(target->partial)
	                               : layout_wal_key(verify->system_identifier, &name, NULL);
}

/* ---- one segment ---- */

typedef struct WalJob
{
	DeepVerify *deep;
	const WalTarget *target;
} WalJob;

/* What is made of a segment's bytes. */
typedef struct Walk
{
	bool begun;
	WalWalker *walker; /* NULL: records are not read, of a partial or of a PostgreSQL that is not known */
	WalIndex found;
	Digest raw;
} Walk;

static Error *
feed(void *context, const void *data, size_t size)
{
	Walk *walk = context;
	WalPageHeader header;

	/* Its first piece holds the whole page header. */
	if (!walk->begun)
	{
		walk->begun = true;
		TRY(wal_page_header_parse(data, size, &header));
		if (header.major != 0)
			walk->walker = wal_walker_new(&header, wal_index_add_event, &walk->found);
	}
	if (walk->walker != NULL)
		wal_walker_feed(walk->walker, data, size);
	return NULL;
}

/* Whole it is, by its digests; is it WAL, too, and where its writer saw it? */
static Error *
check_walk(Walk *walk, const WalIndex *index)
{
	char lsn[LSN_TEXT_SIZE];

	if (memcmp(walk->raw.sha256, index->sha256, SHA256_SIZE) != 0)
		return error_new(ERR_CORRUPT, "the segment is not the one whose digest its index has");
	if (walk->walker == NULL || !index->walked)
		return NULL;
	wal_walker_finish(walk->walker, &walk->found.walk);
	if (walk->found.walk.damaged_at != InvalidXLogRecPtr && index->walk.damaged_at == InvalidXLogRecPtr)
		return error_new(ERR_CORRUPT, "the WAL record at %s is damaged, and its index does not say so",
		                 lsn_format(walk->found.walk.damaged_at, lsn));
	return NULL;
}

static Error *
read_segment(const WalJob *job, const char *key, const WalName *name, bool stored_only, WalIndex *ret_index)
{
	const Verify *verify = job->deep->verify;
	WalArchive archive = {.store = verify->store,
	                      .system_identifier = verify->system_identifier,
	                      .identities = verify->identities,
	                      .stored_only = stored_only};
	Walk *walk = NEW(Walk);
	AUTO(Pipe) pipe = pipe_new();

	pipe_add(pipe, digest_stage_new(&walk->raw));
	pipe_add(pipe, callback_stage_new(feed, walk));
	wal_index_init(&walk->found);

	Error *error = wal_object_get_key(&archive, key, name, pipe_as_sink(pipe), ret_index);

	if (error == NULL)
		error = pipe_finish(pipe);
	if (error == NULL && !stored_only)
		error = check_walk(walk, ret_index);
	wal_walker_free(walk->walker);
	free(walk);
	return error;
}

static Error *
read_well(const WalJob *job, const char *key, const WalName *name, bool stored_only, WalIndex *ret_index)
{
	Error *error;
	int reads = 0;

	do
		error = read_segment(job, key, name, stored_only, ret_index);
	while (read_again(job->deep->verify->store, key, &error, &reads));
	return error;
}

static Finding
finding_of(const WalJob *job, FindingKind kind, const char *key, const char *reason)
{
	const WalTarget *target = job->target;
	Finding finding =
		verify_segment_finding(job->deep->verify, kind, target->timeline, target->segno, mem_strdup(reason));

	if (target->partial != NULL)
	{
		finding.object = FINDING_OF_PARTIAL;
		free(finding.key);
		finding.key = mem_strdup(key);
	}
	return finding;
}

/* Its index tells it more exactly, where that is what is wrong. */
static Error *
tell_damage(const WalJob *job, const char *key, const Error *damage)
{
	const WalTarget *target = job->target;
	Finding finding;
	bool found = false;

	if (target->partial == NULL)
		TRY(verify_index(job->deep->verify, target->timeline, target->segno, &finding, &found));
	deep_add(job->deep, found ? finding : finding_of(job, FINDING_CORRUPT, key, error_message(damage)));
	return NULL;
}

/* Where it may not be read, it can still be hashed.  On a host without any key that is no fault. */
static Error *
tell_locked(const WalJob *job, const char *key, const WalName *name, const Error *locked, WalIndex *ret_index)
{
	bool denied = error_is(locked, ERR_DENIED);

	TRY(read_well(job, key, name, true, ret_index));
	if (!denied || age_identities_any(job->deep->verify->identities))
		deep_add(job->deep, finding_of(job, denied ? FINDING_UNREADABLE_KEY : FINDING_UNTRUSTED, key,
		                               error_message(locked)));
	return NULL;
}

/* What is not there any more is for the lists to tell. */
static Error *
run_job(void *argument)
{
	const WalJob *job = argument;
	const WalTarget *target = job->target;
	WalName name =
		wal_name_of_segment(target->timeline, target->segno, job->deep->verify->catalog->segment_size);
	AUTO_FREE char *key = NULL;
	WalIndex *index = NEW(WalIndex);
	bool is_locked = false;

	name.kind = target->partial == NULL ? WAL_SEGMENT : WAL_PARTIAL;
	key = key_of(job->deep->verify, target);

	AUTO(Error) error = read_well(job, key, &name, false, index);

	if (error_is(error, ERR_DENIED) || error_is(error, ERR_UNTRUSTED))
	{
		Error *locked = error;

		is_locked = true;
		error = tell_locked(job, key, &name, locked, index);
		error_free(locked);
	}
	if (error == NULL)
	{
		deep_count(job->deep, true, index->stored_size, is_locked);
		deep_count_bytes(job->deep, index->segment_size);
		if (target->partial == NULL && index->walk.damaged_at != InvalidXLogRecPtr)
		{
			Finding finding;
			bool found;

			error = verify_index(job->deep->verify, target->timeline, target->segno, &finding, &found);
			if (found)
				deep_add(job->deep, finding);
		}
	}
	free(index);
	if (error_is(error, ERR_NOT_FOUND))
		return NULL;
	if (error != NULL && !error_is(error, ERR_CORRUPT))
		return MOVE(error);
	return error == NULL ? NULL : tell_damage(job, key, error);
}

/* ---- all of them ---- */

static Error *
add_target(void *context, const StoreEntry *entry)
{
	TargetList *list = context;
	const Verify *verify = list->verify;
	WalTarget target = {0};
	WalName name;

	if (entry->is_prefix || !layout_parse_wal_key(entry->key, &name) ||
	    (name.kind != WAL_SEGMENT && name.kind != WAL_PARTIAL) ||
	    !wal_name_segno(&name, verify->catalog->segment_size, &target.segno) ||
	    !verify_chooses(&verify->choice, entry->key, entry->modified))
		return NULL;
	target.timeline = name.timeline;
	if (name.kind == WAL_PARTIAL)
		target.partial = mem_strdup(entry->key);
	GROW(list->items, list->count, list->capacity);
	list->items[list->count++] = target;
	return NULL;
}

static Error *
read_targets(DeepVerify *deep, const WalTarget *targets, size_t count)
{
	AUTO(Workers) workers = workers_new(deep->verify->jobs);

	for (size_t begin = 0; begin < count; begin += BATCH)
	{
		for (size_t i = begin; i < count && i < begin + BATCH; i++)
		{
			WalJob *job = NEW(WalJob);

			*job = (WalJob){deep, &targets[i]};
			workers_submit(workers, run_job, job, free);
		}
		TRY(workers_wait(workers));

		AUTO_FREE char *key =
			key_of(deep->verify, &targets[(begin + BATCH < count ? begin + BATCH : count) - 1]);

		deep_note_place(deep, key, false);
	}
	return NULL;
}

/* Everything of one timeline, which a lease keeps meanwhile. */
static Error *
read_timeline(DeepVerify *deep, const WalTarget *targets, size_t count)
{
	const Verify *verify = deep->verify;
	AUTO(LeaseHold) lease =
		lease_hold(verify->store, verify->system_identifier,
	               &(LeaseOn){.kind = "verify",
	                          .timeline = targets[0].timeline,
	                          .start_lsn = segment_start(targets[0].segno, verify->catalog->segment_size)},
	               &verify->notices);

	(void) lease; /* held until the return */

	return read_targets(deep, targets, count);
}

/* One backup alone needs WAL of the archive only where it does not bring it along. */
static bool
is_needed(const Verify *verify, const WalTarget *target)
{
	for (size_t i = 0; i < verify->catalog->n_backups; i++)
	{
		const BackupRecord *backup = verify->catalog->backups[i];

		if (verify->backup == NULL)
			break;
		if (str_equal(backup->id, verify->backup))
			return !backup->wal_inside && target->partial == NULL && target->timeline == backup->timeline &&
			       target->segno >= lsn_segment(backup->start_lsn, backup->segment_size) &&
			       target->segno <= lsn_segment_before(backup->stop_lsn, backup->segment_size);
	}
	return true;
}

Error *
verify_deep_wal(DeepVerify *deep)
{
	const Verify *verify = deep->verify;
	AUTO_FREE char *prefix = layout_wal_prefix(verify->system_identifier);
	TargetList list __attribute__((cleanup(target_list_release))) = {.verify = verify};
	size_t kept = 0;

	if (verify->catalog->segment_size == 0)
		return NULL;
	TRY(store_list(verify->store, prefix, LIST_ALL, NULL, add_target, &list));
	for (size_t i = 0; i < list.count; i++)
	{
		if (is_needed(verify, &list.items[i]))
			list.items[kept++] = list.items[i];
		else
			free(list.items[i].partial);
	}
	list.count = kept;
	for (size_t first = 0, next; first < list.count; first = next)
	{
		for (next = first; next < list.count && list.items[next].timeline == list.items[first].timeline;)
			next++;
		TRY(read_timeline(deep, &list.items[first], next - first));
	}
	return NULL;
}
