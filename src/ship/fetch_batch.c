/* A few segments ahead within the call, where no process can stay behind; see fetch_batch.h. */
#include "fetch_batch.h"

#include <stdatomic.h>

#include "walship/base/clock.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/base/workers.h"
#include "walship/ship/prefetch_plan.h"

#define BATCH_MOST_MS   2000
#define ROUNDS_PER_CALL 2 /* of as many as are got at the same time */

typedef struct Batch
{
	const PrefetchWindow *window;
	WalArchive archive;
	int64_t deadline_ms;
	atomic_bool over; /* what comes after a segment that could not be got is of no use */
} Batch;

typedef struct Getting
{
	Batch *batch;
	WalName name;
} Getting;

static Error *
get_segment(void *argument)
{
	const Getting *getting = argument;
	Batch *batch = getting->batch;

	if (atomic_load(&batch->over) || clock_monotonic_ms() >= batch->deadline_ms)
		return NULL;
	if (prefetch_get(batch->window, &batch->archive, &getting->name) != PREFETCH_GOT)
		atomic_store(&batch->over, true);
	return NULL;
}

static Error *
get_all(Batch *batch, PrefetchPlan *plan, int threads)
{
	AUTO(Workers) workers = workers_new(threads);
	WalName name;

	while (prefetch_plan_next(plan, &name))
	{
		Getting *getting = NEW(Getting);

		*getting = (Getting){batch, name};
		workers_submit(workers, get_segment, getting, free);
	}
	return workers_wait(workers);
}

Error *
fetch_batch(const FetchSource *source, const PrefetchWindow *window, uint32_t segment_size,
            const PrefetchMessage *message, int64_t limit_ms)
{
	AUTO_FREE char *wal_directory = path_join(source->data_directory, "pg_wal");
	AUTO(Store) store = NULL;
	AUTO_STRLIST wanted = {0};
	int64_t now_ms = clock_monotonic_ms();
	Patience patience = {.attempts = 1, .abort_at_ms = now_ms + BATCH_MOST_MS, .quiet = true};
	int threads = source->jobs;
	int most = source->ahead;
	PrefetchPlan plan;

	if (limit_ms != 0 && limit_ms < patience.abort_at_ms)
		patience.abort_at_ms = limit_ms;
	TRY(store_opener_open(&source->opener, &patience, &store));
	Batch batch = {.window = window,
	               .archive = {.store = store,
	                           .system_identifier = source->system_identifier,
	                           .identities = source->identities},
	               .deadline_ms = patience.abort_at_ms};

	prefetch_plan_init(&plan, segment_size, most, most);
	prefetch_plan_set_path(&plan, prefetch_path(wal_directory, &message->got, segment_size));
	prefetch_plan_server_got(&plan, message, now_ms);
	plan.size = plan.most < ROUNDS_PER_CALL * threads ? plan.most : ROUNDS_PER_CALL * threads;
	prefetch_plan_list_wanted(&plan, &wanted);
	prefetch_sweep(window, &wanted);

	Error *error = get_all(&batch, &plan, threads);

	prefetch_plan_release(&plan);
	return error;
}
