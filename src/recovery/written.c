/* See written.h: open addressing, full at three quarters. */
#include "written.h"

#include <stdlib.h>

#include "walship/base/mem.h"

static WalWritten *
slot_of(const Written *written, TransactionId xid)
{
	size_t at = (size_t) (xid * UINT64_C(0x9E3779B97F4A7C15) >> 32) & (written->n_slots - 1);

	while (written->slots[at].xid != 0 && written->slots[at].xid != xid)
		at = (at + 1) & (written->n_slots - 1);
	return &written->slots[at];
}

static void
make_room(Written *written)
{
	Written wider = {.n_slots = written->n_slots == 0 ? 1024 : 2 * written->n_slots, .count = written->count};

	if (written->count * 4 < written->n_slots * 3)
		return;
	wider.slots = NEW_ARRAY(WalWritten, wider.n_slots);
	for (size_t i = 0; i < written->n_slots; i++)
		if (written->slots[i].xid != 0)
			*slot_of(&wider, written->slots[i].xid) = written->slots[i];
	free(written->slots);
	*written = wider;
}

void
written_add(Written *written, const WalWritten *more)
{
	WalWritten *slot;

	make_room(written);
	slot = slot_of(written, more->xid);
	written->count += slot->xid == 0;
	slot->xid = more->xid;
	slot->records += more->records;
	slot->bytes += more->bytes;
}

void
written_sum(const Written *written, TransactionId xid, WalWritten *sum)
{
	const WalWritten *slot = written->n_slots == 0 ? NULL : slot_of(written, xid);

	if (slot == NULL || slot->xid == 0)
		return;
	sum->records += slot->records;
	sum->bytes += slot->bytes;
}

void
written_release(Written *written)
{
	free(written->slots);
	*written = (Written){0};
}
