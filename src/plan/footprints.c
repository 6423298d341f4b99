/* What transactions did; see footprints.h. */
#include "footprints.h"

#include <string.h>

#include "walship/base/mem.h"

/* A transaction can lock or create more than this, but then counting files no longer matters to anybody. */
#define RELATIONS_MAX ((size_t) 1 << 20)
#define STRAYS_MAX    1024

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
footprint_release(Footprint *footprint)
{
	relations_release(&footprint->created);
	relations_release(&footprint->early);
	relations_release(&footprint->locked);
}

/* Where the transaction is, or would have to be. */
static size_t
position_of(const Footprints *footprints, TransactionId xid)
{
	size_t low = 0;
	size_t high = footprints->count;

	while (low < high)
	{
		size_t middle = low + (high - low) / 2;

		if (footprints->items[middle].xid < xid)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static Footprint *
footprint_of(Footprints *footprints, TransactionId xid)
{
	size_t position = position_of(footprints, xid);

	if (position < footprints->count && footprints->items[position].xid == xid)
		return &footprints->items[position];
	GROW(footprints->items, footprints->count, footprints->capacity);

	Footprint *footprint = &footprints->items[position];

	memmove(footprint + 1, footprint, (footprints->count - position) * sizeof(*footprint));
	footprints->count++;
	*footprint = (Footprint){.xid = xid};
	return footprint;
}

/* What stays here for long was left behind by a crash. */
static void
add_stray(Relations *strays, WalRelation file)
{
	if (strays->count == STRAYS_MAX)
		memmove(strays->items, strays->items + 1, --strays->count * sizeof(file));
	relations_add(strays, file);
}

void
footprints_add_created(Footprints *footprints, TransactionId xid, WalRelation file)
{
	if (xid == 0)
		add_stray(&footprints->strays, file);
	else
		relations_add(&footprint_of(footprints, xid)->created, file);
}

void
footprints_add_locked(Footprints *footprints, TransactionId xid, XLogRecPtr lsn, WalRelation object)
{
	if (xid == 0)
		return;

	Footprint *footprint = footprint_of(footprints, xid);

	relations_add(&footprint->locked, object);
	if (footprint->locked_at == InvalidXLogRecPtr)
		footprint->locked_at = lsn;
}

void
footprints_add_dropped_database(Footprints *footprints, TransactionId xid, XLogRecPtr lsn, uint32_t database)
{
	Footprint *footprint = footprint_of(footprints, xid);

	footprint->dropped_at = lsn;
	footprint->dropped_database = database;
}

void
footprints_take(Footprints *footprints, TransactionId xid, Footprint *into)
{
	size_t position = position_of(footprints, xid);

	if (position == footprints->count || footprints->items[position].xid != xid)
		return;

	Footprint taken = footprints->items[position];
	Footprint *place = &footprints->items[position];

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
	footprint_release(&taken);
	footprints->count--;
	memmove(place, place + 1, (footprints->count - position) * sizeof(*place));
}

/* A relation's first file is named after its OID (PostgreSQL: heap.c, heap_create). */
static bool
has_locked(const Footprint *footprint, WalRelation file)
{
	for (size_t i = 0; i < footprint->locked.count; i++)
		if (footprint->locked.items[i].number == file.number &&
		    footprint->locked.items[i].database == file.database)
			return true;
	return false;
}

void
footprints_claim_strays(Footprints *footprints, Footprint *footprint)
{
	Relations *strays = &footprints->strays;
	size_t kept = 0;

	for (size_t i = 0; i < strays->count; i++)
		if (has_locked(footprint, strays->items[i]))
			relations_add(&footprint->early, strays->items[i]);
		else
			strays->items[kept++] = strays->items[i];
	strays->count = kept;
}

void
footprints_release(Footprints *footprints)
{
	for (size_t i = 0; i < footprints->count; i++)
		footprint_release(&footprints->items[i]);
	free(footprints->items);
	relations_release(&footprints->strays);
}
