/*
 * Tells drops from rewrites.  What the records of a transaction show, tried on 13, 15 and 18:
 * - Whatever gives a relation a new file creates it (XLOG_SMGR_CREATE) and drops
 *   the old one at its commit, one for one.
 * - VACUUM FULL, CLUSTER, REPACK (19), REFRESH and ALTER TABLE write the new heap as a
 *   relation of its own, swap the files and drop that relation with the old file
 *   (PostgreSQL: cluster.c, finish_heap_swap).  So since 15 its OID is among the
 *   dropped statistics while its file stays.  TOAST tables and indexes may be
 *   replaced on the way: their old OIDs are among the dropped, too.
 * - A new relation's first file is named after its OID, and it is locked.
 * - Views, partitioned and temporary tables have statistics, but no files in the WAL.
 */
#include "walship/plan/find.h"

#include "footprints.h"
#include "walship/base/mem.h"
#include "walship/wal/majors.h"

/* A commit may have as many subtransactions, files and relations as this; what comes after them is not counted. */
#define ITEMS_MAX ((size_t) 1 << 21)

typedef struct Item
{
	WalEventKind kind;
	TransactionId xid;
	uint32_t statistics_kind;
	WalRelation relation;
} Item;

struct LossWatch
{
	bool told; /* since 15 a commit tells which relations it drops */
	LossList *list;
	Footprints open;

	/* Items of the record that is being read; they count once its own event is there. */
	XLogRecPtr record;
	Item *items;
	size_t n_items;
	size_t capacity;
};

/* What came of a transaction that has committed, as sets. */
typedef struct Deed
{
	Relations dropped;    /* files, by the commit record */
	Relations statistics; /* OIDs of dropped relations, likewise */
	Relations created;    /* files that it made, also before it had an xid */
	Relations born;       /* OIDs of relations that may be new: one for each file that it made */
	Relations kept;       /* files that it made with an xid, and did not drop again */
	Relations lost;       /* files that were there before, and are gone */
	Relations gone;       /* OIDs of relations that were there before, and are gone */
	size_t swapped;       /* relations that it made and dropped, but whose files are kept */
	size_t made;          /* relations that it made and kept */
} Deed;

void
loss_list_release(LossList *list)
{
	for (size_t i = 0; i < list->count; i++)
	{
		free(list->items[i].named_files);
		free(list->items[i].named_objects);
	}
	free(list->items);
	*list = (LossList){0};
}

static void
deed_release(Deed *deed)
{
	relations_release(&deed->dropped);
	relations_release(&deed->statistics);
	relations_release(&deed->created);
	relations_release(&deed->born);
	relations_release(&deed->kept);
	relations_release(&deed->lost);
	relations_release(&deed->gone);
}

static WalRelation
oid_of(WalRelation file)
{
	return (WalRelation){.database = file.database, .number = file.number};
}

static void
add_difference(const Relations *from, const Relations *without, Relations *into)
{
	for (size_t i = 0; i < from->count; i++)
		if (!relations_has(without, from->items[i]))
			relations_add(into, from->items[i]);
}

static void
collect_items(const LossWatch *watch, Deed *deed)
{
	for (size_t i = 0; i < watch->n_items; i++)
	{
		const Item *item = &watch->items[i];

		if (item->kind == WAL_EVENT_DROPPED_FILE)
			relations_add(&deed->dropped, item->relation);
		if (item->kind == WAL_EVENT_DROPPED_STATS && item->statistics_kind == WAL_STATISTICS_RELATION)
			relations_add(&deed->statistics, item->relation);
	}
	relations_sort(&deed->dropped);
	relations_sort(&deed->statistics);
}

static void
count_made(const Footprint *footprint, Deed *deed)
{
	Relations locked = {0};

	relations_append(&locked, &footprint->locked);
	relations_sort(&locked);
	for (size_t i = 0; i < deed->kept.count; i++)
	{
		WalRelation oid = oid_of(deed->kept.items[i]);

		if (relations_has(&deed->statistics, oid))
			deed->swapped++;
		else if (relations_has(&locked, oid))
			deed->made++;
	}
	relations_release(&locked);
}

static void
settle(const LossWatch *watch, Footprint *footprint, Deed *deed)
{
	collect_items(watch, deed);
	relations_sort(&footprint->created);
	add_difference(&footprint->created, &deed->dropped, &deed->kept);
	relations_append(&deed->created, &footprint->created);
	relations_append(&deed->created, &footprint->early);
	relations_sort(&deed->created);
	for (size_t i = 0; i < deed->created.count; i++)
		relations_add(&deed->born, oid_of(deed->created.items[i]));
	relations_sort(&deed->born);
	add_difference(&deed->dropped, &deed->created, &deed->lost);
	add_difference(&deed->statistics, &deed->born, &deed->gone);
	count_made(footprint, deed);
}

/*
 * More files lost than made: some have no successor.  As many, and relations are
 * gone: after a swap those were its TOAST table and indexes, which it replaced;
 * without one, and with new relations, they are what was dropped beside; else the
 * files were truncated or reindexed, and what is gone had none.  Where both a table
 * was swapped and others were created and dropped it may be a drop for all that.
 */
static LossKind
classify(bool told, bool cut, const Deed *deed)
{
	bool more_lost = deed->lost.count > deed->kept.count;

	if (!told || (cut && deed->gone.count == 0))
		return more_lost ? LOSS_DROP : LOSS_REWRITE;
	if (deed->gone.count == 0)
		return LOSS_REWRITE;
	return more_lost || (deed->swapped == 0 && deed->made > 0) ? LOSS_DROP : LOSS_REWRITE;
}

static void
name_files(const Relations *lost, Loss *loss)
{
	loss->files = lost->count;
	loss->n_named_files = lost->count < LOSS_NAMED_MAX ? lost->count : LOSS_NAMED_MAX;
	loss->named_files = NEW_ARRAY(WalRelation, loss->n_named_files);
	loss->database = lost->items[0].database;
	for (size_t i = 0; i < lost->count; i++)
	{
		if (i < loss->n_named_files)
			loss->named_files[i] = lost->items[i];
		if (lost->items[i].database != loss->database)
			loss->database = 0;
	}
}

static void
name_objects(const Relations *objects, Loss *loss)
{
	loss->objects = objects->count;
	loss->n_named_objects = objects->count < LOSS_NAMED_MAX ? objects->count : LOSS_NAMED_MAX;
	loss->named_objects = NEW_ARRAY(uint32_t, loss->n_named_objects);
	for (size_t i = 0; i < loss->n_named_objects; i++)
		loss->named_objects[i] = (uint32_t) objects->items[i].number;
}

/* Which relations?  Where the commit does not tell, those that were locked, but for new ones. */
static void
add_objects(const Footprint *footprint, const Deed *deed, Loss *loss)
{
	Relations old = {0};
	Relations locked = {0};
	Relations objects = {0};

	relations_append(&locked, &footprint->locked);
	relations_sort(&locked);
	add_difference(&locked, &deed->born, &old);
	if (loss->kind == LOSS_DROP && deed->gone.count > 0)
		relations_append(&objects, &deed->gone);
	else
		add_difference(&old, &deed->gone, &objects);
	name_objects(&objects, loss);
	relations_release(&old);
	relations_release(&locked);
	relations_release(&objects);
}

static Loss *
add_loss(LossWatch *watch, const WalEvent *commit)
{
	LossList *list = watch->list;

	GROW(list->items, list->count, list->capacity);

	Loss *loss = &list->items[list->count++];

	*loss = (Loss){.lsn = commit->lsn, .commit_lsn = commit->lsn, .xid = commit->xid, .time = commit->time};
	return loss;
}

static void
add_database(LossWatch *watch, const Footprint *footprint, const WalEvent *commit)
{
	Loss *loss = add_loss(watch, commit);

	loss->kind = LOSS_DATABASE;
	loss->lsn = footprint->dropped_at;
	loss->database = footprint->dropped_database;
}

static void
add_relations(LossWatch *watch, Footprint *footprint, const WalEvent *commit)
{
	Deed deed = {0};

	settle(watch, footprint, &deed);
	if (deed.lost.count > 0)
	{
		Loss *loss = add_loss(watch, commit);

		loss->locked_lsn = footprint->locked_at;
		loss->cut = commit->end == InvalidXLogRecPtr || watch->n_items == ITEMS_MAX;
		loss->kind = classify(watch->told, loss->cut, &deed);
		name_files(&deed.lost, loss);
		add_objects(footprint, &deed, loss);
	}
	deed_release(&deed);
}

static bool
has_dropped_files(const LossWatch *watch)
{
	for (size_t i = 0; i < watch->n_items; i++)
		if (watch->items[i].kind == WAL_EVENT_DROPPED_FILE)
			return true;
	return false;
}

/* From the last subtransaction on, for footprints are taken out of an array in their order. */
static void
take_footprint(LossWatch *watch, TransactionId xid, Footprint *footprint)
{
	for (size_t i = watch->n_items; i-- > 0;)
		if (watch->items[i].kind == WAL_EVENT_SUBXACT)
			footprints_take(&watch->open, watch->items[i].xid, footprint);
	footprints_take(&watch->open, xid, footprint);
	footprints_claim_strays(&watch->open, footprint);
}

static void
commit(LossWatch *watch, const WalEvent *event)
{
	Footprint footprint = {.xid = event->xid};

	take_footprint(watch, event->xid, &footprint);
	if (footprint.dropped_at != InvalidXLogRecPtr)
		add_database(watch, &footprint, event);
	if (has_dropped_files(watch))
		add_relations(watch, &footprint, event);
	footprint_release(&footprint);
}

/* Also of a subtransaction, that is of a ROLLBACK TO SAVEPOINT. */
static void
abort_transaction(LossWatch *watch, TransactionId xid)
{
	Footprint footprint = {.xid = xid};

	footprints_take(&watch->open, xid, &footprint);
	footprints_claim_strays(&watch->open, &footprint);
	footprint_release(&footprint);
}

static void
add_lock_items(LossWatch *watch)
{
	for (size_t i = 0; i < watch->n_items; i++)
		if (watch->items[i].kind == WAL_EVENT_LOCK)
			footprints_add_locked(&watch->open, watch->items[i].xid, watch->record, watch->items[i].relation);
}

static void
add_item(LossWatch *watch, const WalEvent *event)
{
	if (event->lsn != watch->record)
		watch->n_items = 0;
	watch->record = event->lsn;
	if (watch->n_items == ITEMS_MAX)
		return;
	GROW(watch->items, watch->n_items, watch->capacity);
	watch->items[watch->n_items++] = (Item){.kind = event->kind,
	                                        .xid = event->xid,
	                                        .statistics_kind = event->statistics_kind,
	                                        .relation = event->relation};
}

static void
add_record(LossWatch *watch, const WalEvent *event)
{
	if (event->lsn != watch->record)
		watch->n_items = 0;
	switch (event->kind)
	{
		case WAL_EVENT_COMMIT:
			commit(watch, event);
			break;
		case WAL_EVENT_ABORT:
			abort_transaction(watch, event->xid);
			break;
		case WAL_EVENT_FILE_CREATED:
			footprints_add_created(&watch->open, event->xid, event->relation);
			break;
		case WAL_EVENT_DATABASE_DROPPED:
			/* Without an xid it is the old place of a database that ALTER DATABASE moved (PostgreSQL: movedb). */
			if (event->xid != 0)
				footprints_add_dropped_database(&watch->open, event->xid, event->lsn,
				                                event->relation.database);
			break;
		default:
			add_lock_items(watch);
			break;
	}
	watch->n_items = 0;
}

LossWatch *
loss_watch_new(int major, LossList *list)
{
	LossWatch *watch = NEW(LossWatch);

	watch->told = pg_major_nearest(major)->dropped_stats_size > 0;
	watch->list = list;
	return watch;
}

void
loss_watch_add(void *context, const WalEvent *event)
{
	LossWatch *watch = context;

	if (wal_event_is_item(event->kind))
		add_item(watch, event);
	else
		add_record(watch, event);
}

void
loss_watch_finish(LossWatch *watch)
{
	for (size_t i = 0; i < watch->open.count; i++)
	{
		const Footprint *footprint = &watch->open.items[i];

		if (footprint->dropped_at != InvalidXLogRecPtr)
			add_database(watch, footprint, &(WalEvent){.xid = footprint->xid, .time = TIME_NONE});
	}
}

void
loss_watch_free(LossWatch *watch)
{
	if (watch == NULL)
		return;
	footprints_release(&watch->open);
	free(watch->items);
	free(watch);
}
