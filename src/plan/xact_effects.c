/* What transactions did; see xact_effects.h. */
#include "xact_effects.h"

#include <string.h>

#include "walship/base/mem.h"

/* A transaction can lock or create more than this, but then counting files no longer matters to anybody. */
#define RELATIONS_MAX        ((size_t) 1 << 20)
#define UNASSIGNED_FILES_MAX 1024

void
relations_add(Relations *relations, WalRelation relation)
{
	if (relations->count == RELATIONS_MAX)
		return;
	GROW(relations->items, relations->count, relations->capacity);
	relations->items[relations->count++] = relation;
}

void
relations_append(Relations *relations, const Relations *more)
{
	for (size_t i = 0; i < more->count; i++)
		relations_add(relations, more->items[i]);
}

static int
compare(const void *left, const void *right)
{
	const WalRelation *a = left;
	const WalRelation *b = right;

	if (a->tablespace != b->tablespace)
		return a->tablespace < b->tablespace ? -1 : 1;
	if (a->database != b->database)
		return a->database < b->database ? -1 : 1;
	if (a->number != b->number)
		return a->number < b->number ? -1 : 1;
	return 0;
}

void
relations_sort(Relations *relations)
{
	size_t kept = 0;

	if (relations->count > 1)
		qsort(relations->items, relations->count, sizeof(*relations->items), compare);
	for (size_t i = 0; i < relations->count; i++)
		if (kept == 0 || compare(&relations->items[kept - 1], &relations->items[i]) != 0)
			relations->items[kept++] = relations->items[i];
	relations->count = kept;
}

bool
relations_has(const Relations *relations, WalRelation relation)
{
	return relations->count > 0 &&
	       bsearch(&relation, relations->items, relations->count, sizeof(relation), compare) != NULL;
}

void
relations_release(Relations *relations)
{
	free(relations->items);
	*relations = (Relations){0};
}

void
xact_effects_release(XactEffects *effects)
{
	relations_release(&effects->created);
	relations_release(&effects->early);
	relations_release(&effects->locked);
}

/* Where the transaction is, or would have to be. */
static size_t
position_of(const OpenXacts *xacts, TransactionId xid)
{
	size_t low = 0;
	size_t high = xacts->count;

	while (low < high)
	{
		size_t middle = low + (high - low) / 2;

		if (xacts->items[middle].xid < xid)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static XactEffects *
effects_of(OpenXacts *xacts, TransactionId xid)
{
	size_t position = position_of(xacts, xid);

	if (position < xacts->count && xacts->items[position].xid == xid)
		return &xacts->items[position];
	GROW(xacts->items, xacts->count, xacts->capacity);

	XactEffects *effects = &xacts->items[position];

	memmove(effects + 1, effects, (xacts->count - position) * sizeof(*effects));
	xacts->count++;
	*effects = (XactEffects){.xid = xid};
	return effects;
}

/* What stays here for long was left behind by a crash. */
static void
add_unassigned_file(Relations *unassigned_files, WalRelation file)
{
	if (unassigned_files->count == UNASSIGNED_FILES_MAX)
		memmove(unassigned_files->items, unassigned_files->items + 1,
		        --unassigned_files->count * sizeof(file));
	relations_add(unassigned_files, file);
}

void
open_xacts_add_created(OpenXacts *xacts, TransactionId xid, WalRelation file)
{
	if (xid == 0)
		add_unassigned_file(&xacts->unassigned_files, file);
	else
		relations_add(&effects_of(xacts, xid)->created, file);
}

void
open_xacts_add_locked(OpenXacts *xacts, TransactionId xid, XLogRecPtr lsn, WalRelation object)
{
	if (xid == 0)
		return;

	XactEffects *effects = effects_of(xacts, xid);

	relations_add(&effects->locked, object);
	if (effects->locked_at == InvalidXLogRecPtr)
		effects->locked_at = lsn;
}

void
open_xacts_add_dropped_database(OpenXacts *xacts, TransactionId xid, XLogRecPtr lsn, uint32_t database)
{
	XactEffects *effects = effects_of(xacts, xid);

	effects->dropped_at = lsn;
	effects->dropped_database = database;
}

void
open_xacts_take(OpenXacts *xacts, TransactionId xid, XactEffects *into)
{
	size_t position = position_of(xacts, xid);

	if (position == xacts->count || xacts->items[position].xid != xid)
		return;

	XactEffects taken = xacts->items[position];
	XactEffects *place = &xacts->items[position];

	relations_append(&into->created, &taken.created);
	relations_append(&into->locked, &taken.locked);
	if (into->locked_at == InvalidXLogRecPtr ||
	    (taken.locked_at != InvalidXLogRecPtr && taken.locked_at < into->locked_at))
		into->locked_at = taken.locked_at;
	if (taken.dropped_at != InvalidXLogRecPtr)
	{
		into->dropped_at = taken.dropped_at;
		into->dropped_database = taken.dropped_database;
	}
	xact_effects_release(&taken);
	xacts->count--;
	memmove(place, place + 1, (xacts->count - position) * sizeof(*place));
}

/* A relation's first file is named after its OID (PostgreSQL: heap.c, heap_create). */
static bool
has_locked(const XactEffects *effects, WalRelation file)
{
	for (size_t i = 0; i < effects->locked.count; i++)
		if (effects->locked.items[i].number == file.number &&
		    effects->locked.items[i].database == file.database)
			return true;
	return false;
}

void
open_xacts_claim_files(OpenXacts *xacts, XactEffects *effects)
{
	Relations *unassigned_files = &xacts->unassigned_files;
	size_t kept = 0;

	for (size_t i = 0; i < unassigned_files->count; i++)
		if (has_locked(effects, unassigned_files->items[i]))
			relations_add(&effects->early, unassigned_files->items[i]);
		else
			unassigned_files->items[kept++] = unassigned_files->items[i];
	unassigned_files->count = kept;
}

void
open_xacts_release(OpenXacts *xacts)
{
	for (size_t i = 0; i < xacts->count; i++)
		xact_effects_release(&xacts->items[i]);
	free(xacts->items);
	relations_release(&xacts->unassigned_files);
}
