/* A ring of jobs; see walship/base/ordered.h. */
#include "walship/base/ordered.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "walship/base/mem.h"

typedef struct Slot
{
	Ordered *ring;
	void *job; /* NULL: free, or given back */
	Error *error;
	atomic_bool stop;
	bool ran;
	bool ended; /* guarded by the ring's mutex, as are "error" and "ran" until then */
} Slot;

struct Ordered
{
	Workers *workers;
	OrderedOps ops;
	pthread_mutex_t mutex;
	pthread_cond_t oldest_ended;
	bool failed; /* guarded by the mutex, too */
	int depth;
	int first; /* the oldest job's slot */
	int count;
	Slot slots[];
};

Ordered *
ordered_new(Workers *workers, int depth, const OrderedOps *ops)
{
	Ordered *ring = mem_zalloc(sizeof(Ordered) + (size_t) depth * sizeof(Slot));

	assert(depth > 0);
	ring->workers = workers;
	ring->ops = *ops;
	ring->depth = depth;
	(void) pthread_mutex_init(&ring->mutex, NULL);
	(void) pthread_cond_init(&ring->oldest_ended, NULL);
	for (int i = 0; i < depth; i++)
		ring->slots[i].ring = ring;
	return ring;
}

bool
ordered_is_full(const Ordered *ring)
{
	return ring->count == ring->depth;
}

bool
ordered_is_empty(const Ordered *ring)
{
	return ring->count == 0;
}

/* The slot of the job that was submitted so many jobs after the oldest one. */
static Slot *
slot_after(Ordered *ring, int distance)
{
	return &ring->slots[(ring->first + distance) % ring->depth];
}

static int
distance_of(const Ordered *ring, const Slot *slot)
{
	int number = (int) (slot - ring->slots);

	return (number - ring->first + ring->depth) % ring->depth;
}

/* With the mutex held. */
static void
stop_from(Ordered *ring, int distance)
{
	for (int i = distance; i < ring->count; i++)
		atomic_store(&slot_after(ring, i)->stop, true);
}

/* A WorkersJob.  The pool is also others': it must not learn of failures. */
static Error *
run_slot(void *argument)
{
	Slot *slot = argument;
	Ordered *ring = slot->ring;
	Error *error;

	if (atomic_load(&slot->stop))
		return NULL;
	error = ring->ops.run(slot->job, &slot->stop);

	(void) pthread_mutex_lock(&ring->mutex);
	slot->ran = true;
	slot->error = error;
	if (error != NULL)
	{
		ring->failed = true;
		stop_from(ring, distance_of(ring, slot) + 1);
	}
	(void) pthread_mutex_unlock(&ring->mutex);
	return NULL;
}

/* Also of a job that the pool has skipped. */
static void
end_slot(void *argument)
{
	Slot *slot = argument;
	Ordered *ring = slot->ring;

	(void) pthread_mutex_lock(&ring->mutex);
	slot->ended = true;
	if (distance_of(ring, slot) == 0)
		(void) pthread_cond_signal(&ring->oldest_ended);
	(void) pthread_mutex_unlock(&ring->mutex);
}

void
ordered_submit(Ordered *ring, void *job)
{
	(void) pthread_mutex_lock(&ring->mutex);
	assert(ring->count < ring->depth);

	Slot *slot = slot_after(ring, ring->count++);

	slot->job = job;
	slot->ran = slot->ended = false;
	atomic_store(&slot->stop, ring->failed);
	(void) pthread_mutex_unlock(&ring->mutex);
	workers_submit(ring->workers, run_slot, slot, end_slot);
}

static Slot *
wait_for_oldest(Ordered *ring)
{
	(void) pthread_mutex_lock(&ring->mutex);
	assert(ring->count > 0);

	Slot *slot = slot_after(ring, 0);

	while (!slot->ended)
		(void) pthread_cond_wait(&ring->oldest_ended, &ring->mutex);
	ring->first = (ring->first + 1) % ring->depth;
	ring->count--;
	(void) pthread_mutex_unlock(&ring->mutex);
	return slot;
}

Error *
ordered_take(Ordered *ring, void **ret_job)
{
	Slot *slot = wait_for_oldest(ring);
	void *job = MOVE(slot->job);
	Error *error = MOVE(slot->error);

	if (error == NULL && !slot->ran)
		error = error_new(ERR_CANCELLED, "work was given up");
	if (error != NULL)
		ring->ops.free(job);
	else
		*ret_job = job;
	return error;
}

void
ordered_free(Ordered *ring)
{
	if (ring == NULL)
		return;
	(void) pthread_mutex_lock(&ring->mutex);
	stop_from(ring, 0);
	(void) pthread_mutex_unlock(&ring->mutex);
	while (ring->count > 0)
	{
		Slot *slot = wait_for_oldest(ring);

		ring->ops.free(slot->job);
		error_free(slot->error);
	}
	(void) pthread_cond_destroy(&ring->oldest_ended);
	(void) pthread_mutex_destroy(&ring->mutex);
	free(ring);
}
