/* The decisions of a prefetcher; see walship/archive/prefetch_plan.h. */
#include "walship/ship/prefetch_plan.h"

#include <string.h>

#include "walship/base/mem.h"

#define SIZE_LEAST 2

/* With segments of 1 GB the window holds a few of them, not sixteen. */
#define WINDOW_BYTES_MOST (UINT64_C(1) << 30)

/* So many segments in a row found the window full before it becomes smaller by one. */
#define CALM_LEAST 16

static int
least(int a, int b)
{
	return a < b ? a : b;
}

void
prefetch_plan_init(PrefetchPlan *plan, uint32_t segment_size, int most, int getters)
{
	int room = (int) (WINDOW_BYTES_MOST / segment_size);

	*plan = (PrefetchPlan){.segment_size = segment_size,
	                       .most = least(most, room > SIZE_LEAST ? room : SIZE_LEAST),
	                       .getters = getters,
	                       .size = 1};
}

void
prefetch_plan_release(PrefetchPlan *plan)
{
	timeline_history_free(plan->path);
	free(plan->slots);
}

void
prefetch_plan_set_path(PrefetchPlan *plan, TimelineHistory *path)
{
	timeline_history_free(plan->path);
	plan->path = path;
}

static void
forget(PrefetchPlan *plan, size_t i)
{
	plan->slots[i] = plan->slots[--plan->n_slots];
}

/* Is everything there that was to be there, but for the one that the server has taken now? */
static bool
is_full(const PrefetchPlan *plan, XLogSegNo taken)
{
	for (size_t i = 0; i < plan->n_slots; i++)
		if (plan->slots[i].segno != taken && plan->slots[i].state != SLOT_READY)
			return false;
	return plan->n_slots >= (size_t) plan->size;
}

static void
fit_size(PrefetchPlan *plan, PrefetchTaken how, XLogSegNo taken)
{
	if (how != PREFETCH_READY)
	{
		plan->size = least(2 * plan->size, plan->most);
		plan->calm = 0;
		return;
	}
	plan->calm = is_full(plan, taken) ? plan->calm + 1 : 0;
	if (plan->calm >= CALM_LEAST && plan->size > SIZE_LEAST)
	{
		plan->size--;
		plan->calm = 0;
	}
}

/* Up to here nothing is of interest any more.  True when one of them had failed. */
static bool
forget_failed(PrefetchPlan *plan, XLogSegNo up_to)
{
	bool failed = false;

	for (size_t i = 0; i < plan->n_slots;)
	{
		const PrefetchSlot *slot = &plan->slots[i];

		if (slot->segno > up_to || slot->state == SLOT_GETTING || slot->state == SLOT_READY)
		{
			i++;
			continue;
		}
		failed |= slot->state == SLOT_FAILED;
		forget(plan, i);
	}
	return failed;
}

void
prefetch_plan_server_got(PrefetchPlan *plan, const PrefetchMessage *message, int64_t now_ms)
{
	XLogSegNo segno;
	XLogSegNo end = 0;

	if (!wal_name_segno(&message->got, plan->segment_size, &segno))
		return;
	plan->bounded = message->bounded && wal_name_segno(&message->end, plan->segment_size, &end);
	plan->end = end;

	bool follows = plan->started && segno == plan->at + 1 && now_ms - plan->at_ms < PREFETCH_BACKLOG_MS;

	if (forget_failed(plan, segno))
	{
		plan->held = true;
		plan->size = 1;
	}
	else if (plan->held && follows)
		plan->held = false;
	else if (!plan->held && (!plan->started || segno > plan->at))
		fit_size(plan, message->how, segno);
	plan->started = true;
	plan->at = segno;
	plan->at_ms = now_ms;
}

static WalName
name_on_path(const PrefetchPlan *plan, XLogSegNo segno)
{
	XLogRecPtr last_byte = segment_start(segno + 1, plan->segment_size) - 1;

	return wal_name_of_segment(timeline_history_at(plan->path, last_byte), segno, plan->segment_size);
}

static PrefetchSlot *
find_slot(const PrefetchPlan *plan, const WalName *name)
{
	for (size_t i = 0; i < plan->n_slots; i++)
	{
		PrefetchSlot *slot = &plan->slots[i];

		if (slot->name.timeline == name->timeline && slot->name.log == name->log &&
		    slot->name.seg == name->seg)
			return slot;
	}
	return NULL;
}

static int
count_getting(const PrefetchPlan *plan)
{
	int count = 0;

	for (size_t i = 0; i < plan->n_slots; i++)
		count += plan->slots[i].state == SLOT_GETTING;
	return count;
}

/* The last one that is to be in the window now. */
static XLogSegNo
last_wanted(const PrefetchPlan *plan)
{
	XLogSegNo last = plan->at + (XLogSegNo) plan->size;

	if (plan->bounded && plan->end < last)
		last = plan->end;
	for (size_t i = 0; i < plan->n_slots; i++)
		if (plan->slots[i].state == SLOT_FAILED && plan->slots[i].segno <= last)
			last = plan->slots[i].segno - 1;
	return last;
}

bool
prefetch_plan_next(PrefetchPlan *plan, WalName *ret_name)
{
	if (!plan->started || plan->held || plan->path == NULL || count_getting(plan) >= plan->getters)
		return false;
	for (XLogSegNo segno = plan->at + 1; segno <= last_wanted(plan); segno++)
	{
		WalName name = name_on_path(plan, segno);

		if (find_slot(plan, &name) != NULL)
			continue;
		GROW(plan->slots, plan->n_slots, plan->slots_capacity);
		plan->slots[plan->n_slots++] = (PrefetchSlot){name, segno, SLOT_GETTING};
		*ret_name = name;
		return true;
	}
	return false;
}

void
prefetch_plan_came(PrefetchPlan *plan, const WalName *name, PrefetchGot got)
{
	static const PrefetchSlotState states[] = {
		[PREFETCH_GOT] = SLOT_READY,
		[PREFETCH_ABSENT] = SLOT_FAILED,
		[PREFETCH_CLAIMED] = SLOT_CLAIMED,
		[PREFETCH_FAILED] = SLOT_FAILED,
	};
	PrefetchSlot *slot = find_slot(plan, name);

	if (slot == NULL)
		return;
	slot->state = states[got];
	if (got == PREFETCH_GOT)
		plan->failures = 0;
	else if (got == PREFETCH_FAILED)
		plan->failures++;
	if (slot->segno <= plan->at && slot->state != SLOT_READY)
		forget(plan, (size_t) (slot - plan->slots));
}

bool
prefetch_plan_drop(PrefetchPlan *plan, WalName *ret_name)
{
	for (size_t i = 0; i < plan->n_slots; i++)
	{
		const PrefetchSlot *slot = &plan->slots[i];
		bool ahead = slot->segno > plan->at && slot->segno <= plan->at + (XLogSegNo) plan->most;

		if (slot->state == SLOT_GETTING ||
		    (ahead && name_on_path(plan, slot->segno).timeline == slot->name.timeline))
			continue;
		*ret_name = slot->name;
		forget(plan, i);
		return true;
	}
	return false;
}

void
prefetch_plan_list_wanted(const PrefetchPlan *plan, StrList *names)
{
	char text[WAL_NAME_SIZE];

	for (int i = 1; plan->started && i <= plan->most; i++)
	{
		WalName name = name_on_path(plan, plan->at + (XLogSegNo) i);

		strlist_add(names, wal_name_format(&name, text));
	}
}
