/* Through both stores' listings, side by side; see copy_steps.h. */
#include <string.h>

#include "copy_steps.h"
#include "walship/archive/layout.h"
#include "walship/base/cancel.h"
#include "walship/base/mem.h"

#define DIFFERS_MOST 1000 /* objects: then it is no accident */

void
copy_walk_lock(const CopyWalk *walk)
{
	if (walk->sender != NULL)
		(void) pthread_mutex_lock(&walk->sender->mutex);
}

void
copy_walk_unlock(const CopyWalk *walk)
{
	if (walk->sender != NULL)
		(void) pthread_mutex_unlock(&walk->sender->mutex);
}

/* True in *ret_lacking: the target has none of this key.  Another one there is a finding. */
Error *
copy_walk_compare(CopyWalk *walk, const StoreEntry *entry, StoreCursor *target, bool *ret_lacking)
{
	StoreCopy *copy = walk->copy;
	AUTO_FREE char *difference = NULL;
	StoreCopyProblem problem;
	const StoreEntry *there;

	TRY(store_cursor_seek(target, entry->key, &there));
	*ret_lacking = there == NULL;
	if (there == NULL)
		return NULL;
	TRY(copy_compare(copy, entry->key, entry->size, there->size, &problem, &difference));
	copy_walk_lock(walk);
	if (difference != NULL)
		copy_add_finding(copy, problem, entry->key, MOVE(difference));
	if (walk->sender == NULL)
	{
		copy->present.objects++;
		copy->present.size += entry->size;
	}
	copy_walk_unlock(walk);
	if (copy->n_findings < DIFFERS_MOST)
		return NULL;
	return error_hint(
		error_new(ERR_EXISTS, "%d objects in store \"%s\" differ from those in \"%s\"", DIFFERS_MOST,
	              store_url(copy->target), store_url(copy->source)),
		"Two database systems with one identifier, such as a clone and its origin, need a store each.");
}

void
copy_walk_lack(CopyWalk *walk, const CopyItem *item)
{
	StoreCopyCount *count = &walk->copy->lacking[item->kind];

	if (walk->sender != NULL)
	{
		copy_sender_submit(walk->sender, item);
		return;
	}
	count->objects++;
	count->size += item->size;
}

/* Those under way must have come before what relies on them. */
Error *
copy_walk_wait(CopyWalk *walk)
{
	return walk->sender == NULL ? NULL : copy_sender_wait(walk->sender);
}

Error *
copy_walk_go_on(CopyWalk *walk)
{
	TRY(cancel_check());
	if (walk->sender != NULL && workers_failed(walk->sender->workers))
		return copy_sender_wait(walk->sender);
	return NULL;
}

/* The order of the keys is that of time on a timeline, and a history file comes before its timeline. */
Error *
copy_walk_wal(CopyWalk *walk)
{
	StoreCopy *copy = walk->copy;
	AUTO_FREE char *prefix = layout_wal_prefix(copy->system_identifier);
	AUTO(StoreCursor) source = store_cursor_new(copy->source, prefix, LIST_ALL, NULL);
	AUTO(StoreCursor) target = store_cursor_new(copy->target, prefix, LIST_ALL, NULL);

	for (;;)
	{
		const StoreEntry *entry;
		bool lacking;

		TRY(copy_walk_go_on(walk));
		TRY(store_cursor_next(source, &entry));
		if (entry == NULL)
			return copy_walk_wait(walk);
		if (!copy_wants_wal(copy, entry->key))
			continue;
		TRY(copy_walk_compare(walk, entry, target, &lacking));

		/* A digest that comes before its file would keep another one from being stored (docs/format.md). */
		if (lacking && str_ends_with(entry->key, ".history.sha256"))
			TRY(copy_walk_wait(walk));
		if (lacking)
			copy_walk_lack(walk, &(CopyItem){.kind = STORE_COPY_WAL, .key = entry->key, .size = entry->size});
	}
}

/* The target's own pin of a backup stands, whatever it says. */
Error *
copy_walk_pins(CopyWalk *walk)
{
	StoreCopy *copy = walk->copy;
	AUTO_FREE char *prefix = layout_pin_prefix(copy->system_identifier);
	AUTO(StoreCursor) source = store_cursor_new(copy->source, prefix, LIST_ALL, NULL);
	AUTO(StoreCursor) target = store_cursor_new(copy->target, prefix, LIST_ALL, NULL);

	for (;;)
	{
		const StoreEntry *entry;
		const StoreEntry *there;

		TRY(copy_walk_go_on(walk));
		TRY(store_cursor_next(source, &entry));
		if (entry == NULL)
			return copy_walk_wait(walk);

		const char *name = entry->key + strlen(prefix);
		AUTO_FREE char *id = mem_strndup(name, strcspn(name, "."));

		if (!copy_wants_backup(copy, id) || copy_record_of(copy, id) == NULL)
			continue;
		TRY(store_cursor_seek(target, entry->key, &there));
		if (there == NULL)
			copy_walk_lack(walk,
			               &(CopyItem){.kind = STORE_COPY_PINS, .key = entry->key, .size = entry->size});
	}
}
