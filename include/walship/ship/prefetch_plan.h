/*
 * What a prefetcher does next: values in, values out.  The window begins small,
 * doubles whenever the server had to wait, and shrinks again while the server
 * finds everything ready.  Behind a segment that could not be got, be it the
 * archive's end or a failure, nothing is looked for: that is left to fetch, until
 * the server has got over it and two more segments follow each other quickly.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "walship/ship/prefetch.h"

/* Two segments that the server got within this time are a backlog; further apart, it follows an archive that grows. */
#define PREFETCH_BACKLOG_MS 10000

typedef enum PrefetchSlotState
{
	SLOT_GETTING,
	SLOT_READY,
	SLOT_CLAIMED, /* fetch gets it itself */
	SLOT_FAILED,  /* nor will anything after it be got */
} PrefetchSlotState;

typedef struct PrefetchSlot
{
	WalName name;
	XLogSegNo segno;
	PrefetchSlotState state;
} PrefetchSlot;

typedef struct PrefetchPlan
{
	uint32_t segment_size;
	int most;    /* segments in the window */
	int getters; /* at the same time */

	TimelineHistory *path; /* along which the server goes; owned */
	bool started;
	XLogSegNo at; /* what the server got last */
	int64_t at_ms;
	bool bounded;
	XLogSegNo end; /* when bounded: the last one that is wanted */

	int size; /* of the window, now */
	int calm; /* how often running it was full */
	bool held;
	int failures; /* running */

	PrefetchSlot *slots; /* owned */
	size_t n_slots;
	size_t slots_capacity;
} PrefetchPlan;

/* "most" is bounded by what so many segments take on disk, too. */
void prefetch_plan_init(PrefetchPlan *plan, uint32_t segment_size, int most, int getters);
void prefetch_plan_release(PrefetchPlan *plan);

/* Takes the path over. */
void prefetch_plan_set_path(PrefetchPlan *plan, TimelineHistory *path);

/* Fetch told how far the server is.  "now_ms" is monotonic. */
void prefetch_plan_server_got(PrefetchPlan *plan, const PrefetchMessage *message, int64_t now_ms);

/* The next segment to get; it counts as being got from here on.  False when there is none now. */
bool prefetch_plan_next(PrefetchPlan *plan, WalName *ret_name);

void prefetch_plan_came(PrefetchPlan *plan, const WalName *name, PrefetchGot got);

/* A segment in the window that the server will not ask for any more; it is forgotten here.  False when there is none. */
bool prefetch_plan_drop(PrefetchPlan *plan, WalName *ret_name);

/* What of an earlier window may still be asked for: the caller releases. */
void prefetch_plan_list_wanted(const PrefetchPlan *plan, StrList *names);
