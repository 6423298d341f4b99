/*
 * The bridge between a pipe and a pool: jobs run side by side and are taken in
 * the order in which they were submitted.  A ring of bounded depth, used by one
 * thread at a time; the pool may serve any number of rings.
 *
 *		if (ordered_is_full(ring))
 *			TRY(ordered_take(ring, &oldest));
 *		ordered_submit(ring, job);
 *
 * When a job fails, those submitted after it are told to stop, or skipped if
 * they have not begun; those before it go on.  So ordered_take() gives back the
 * failure with the lowest number, whatever the timing.  Then the ring is of no
 * more use and is freed.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include "walship/base/error.h"
#include "walship/base/workers.h"

typedef struct Ordered Ordered;

/* Runs in the pool.  "stop" turns true once the result is not wanted: long jobs look, and leave early. */
typedef Error *(*OrderedRun)(void *job, const atomic_bool *stop);

typedef struct OrderedOps
{
	OrderedRun run;
	void (*free)(void *job); /* of jobs that the ring still owns when they failed or it is freed */
} OrderedOps;

/* The pool is not owned, and outlives the ring. */
Ordered *ordered_new(Workers *workers, int depth, const OrderedOps *ops);

bool ordered_is_full(const Ordered *ordered);
bool ordered_is_empty(const Ordered *ordered);

/* The ring owns the job from here on.  Not when it is full. */
void ordered_submit(Ordered *ordered, void *job);

/* Waits for the oldest job; it is the caller's again, unless it failed.  Not when the ring is empty. */
Error *ordered_take(Ordered *ordered, void **ret_job) MUST_CHECK;

/* Tells all jobs to stop and waits for those that run. */
void ordered_free(Ordered *ordered);
AUTO_DEFINE(Ordered, ordered_free);
