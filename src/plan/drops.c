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
#include "walship/plan/drops.h"

#include "walship/base/mem.h"
#include "walship/wal/majors.h"
#include "xact_effects.h"

/* A commit may have as many subtransactions, files and relations as this; what comes after them is not counted. */
#define ITEMS_MAX ((size_t) 1 << 21)

typedef struct Item
{
	WalEventKind kind;
	TransactionId xid;
	uint32_t statistics_kind;
	WalRelation relation;
} Item;

struct DropDetector
{
	bool told; /* since 15 a commit tells which relations it drops */
	DroppedList *list;
	OpenXacts open;

	/* Items of the record that is being read; they count once its own event is there. */
	XLogRecPtr record;
	Item *items;
	size_t n_items;
	size_t capacity;
};

/* What came of a transaction that has committed, as sets. */
typedef struct XactSummary
{
	Relations dropped;      /* files, by the commit record */
	Relations statistics;   /* OIDs of dropped relations, likewise */
	Relations created;      /* files that it made, also before it had an xid */
	Relations new_oids;     /* OIDs of relations that may be new: one for each file that it made */
	Relations kept_files;   /* files that it made with an xid, and did not drop again */
	Relations lost_files;   /* files that were there before, and are gone */
	Relations dropped_oids; /* OIDs of relations that were there before, and are gone */
	size_t swapped;         /* relations that it made and dropped, but whose files are kept */
	size_t new_relations;   /* relations that it made and kept */
} XactSummary;

void
dropped_list_release(DroppedList *list)
{
	for (size_t i = 0; i < list->count; i++)
	{
		free(list->items[i].named_files);
		free(list->items[i].named_objects);
	}
	free(list->items);
	*list = (DroppedList){0};
}

static void
summary_release(XactSummary *summary)
{
	relations_release(&summary->dropped);
	relations_release(&summary->statistics);
	relations_release(&summary->created);
	relations_release(&summary->new_oids);
	relations_release(&summary->kept_files);
	relations_release(&summary->lost_files);
	relations_release(&summary->dropped_oids);
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
collect_items(const DropDetector *detector, XactSummary *summary)
{
	for (size_t i = 0; i < detector->n_items; i++)
	{
		const Item *item = &detector->items[i];

		if (item->kind == WAL_EVENT_DROPPED_FILE)
			relations_add(&summary->dropped, item->relation);
		if (item->kind == WAL_EVENT_DROPPED_STATS && item->statistics_kind == WAL_STATISTICS_RELATION)
			relations_add(&summary->statistics, item->relation);
	}
	relations_sort(&summary->dropped);
	relations_sort(&summary->statistics);
}

static void
count_new(const XactEffects *effects, XactSummary *summary)
{
	Relations locked = {0};

	relations_append(&locked, &effects->locked);
	relations_sort(&locked);
	for (size_t i = 0; i < summary->kept_files.count; i++)
	{
		WalRelation oid = oid_of(summary->kept_files.items[i]);

		if (relations_has(&summary->statistics, oid))
			summary->swapped++;
		else if (relations_has(&locked, oid))
			summary->new_relations++;
	}
	relations_release(&locked);
}

static void
settle(const DropDetector *detector, XactEffects *effects, XactSummary *summary)
{
	collect_items(detector, summary);
	relations_sort(&effects->created);
	add_difference(&effects->created, &summary->dropped, &summary->kept_files);
	relations_append(&summary->created, &effects->created);
	relations_append(&summary->created, &effects->early);
	relations_sort(&summary->created);
	for (size_t i = 0; i < summary->created.count; i++)
		relations_add(&summary->new_oids, oid_of(summary->created.items[i]));
	relations_sort(&summary->new_oids);
	add_difference(&summary->dropped, &summary->created, &summary->lost_files);
	add_difference(&summary->statistics, &summary->new_oids, &summary->dropped_oids);
	count_new(effects, summary);
}

/* A TOAST table and its index are made one right after the other (PostgreSQL: toasting.c, create_toast_table). */
static bool
are_toast_tables(const Relations *oids)
{
	for (size_t i = 0; i + 1 < oids->count; i += 2)
		if (oids->items[i].database != oids->items[i + 1].database ||
		    oids->items[i].number + 1 != oids->items[i + 1].number)
			return false;
	return oids->count % 2 == 0;
}

/* Did tables get new files, and all that is gone are TOAST tables which they need no longer (ALTER TYPE)? */
static bool
only_toast_is_gone(const XactSummary *summary)
{
	return summary->dropped_oids.count <= 2 * summary->swapped &&
	       summary->lost_files.count == summary->kept_files.count + summary->dropped_oids.count &&
	       are_toast_tables(&summary->dropped_oids);
}

/*
 * More files lost than made: some have no successor.  As many, and relations are
 * gone: after a swap those were its TOAST table and indexes, which it replaced;
 * without one, and with new relations, they are what was dropped beside; else the
 * files were truncated or reindexed, and what is gone had none.  Where both a table
 * was swapped and others were created and dropped it may be a drop for all that.
 */
static DroppedKind
classify(bool told, bool cut, const XactSummary *summary)
{
	bool more_lost = summary->lost_files.count > summary->kept_files.count;

	if (!told || (cut && summary->dropped_oids.count == 0))
		return more_lost ? DROPPED_RELATIONS : DROPPED_BY_REWRITE;
	if (summary->dropped_oids.count == 0 || only_toast_is_gone(summary))
		return DROPPED_BY_REWRITE;
	return more_lost || (summary->swapped == 0 && summary->new_relations > 0) ? DROPPED_RELATIONS
	                                                                          : DROPPED_BY_REWRITE;
}

static void
name_files(const Relations *lost, DroppedObjects *dropped)
{
	dropped->files = lost->count;
	dropped->n_named_files = lost->count < DROPPED_NAMED_MAX ? lost->count : DROPPED_NAMED_MAX;
	dropped->named_files = NEW_ARRAY(WalRelation, dropped->n_named_files);
	dropped->database = lost->items[0].database;
	for (size_t i = 0; i < lost->count; i++)
	{
		if (i < dropped->n_named_files)
			dropped->named_files[i] = lost->items[i];
		if (lost->items[i].database != dropped->database)
			dropped->database = 0;
	}
}

static void
name_objects(const Relations *objects, DroppedObjects *dropped)
{
	dropped->objects = objects->count;
	dropped->n_named_objects = objects->count < DROPPED_NAMED_MAX ? objects->count : DROPPED_NAMED_MAX;
	dropped->named_objects = NEW_ARRAY(uint32_t, dropped->n_named_objects);
	for (size_t i = 0; i < dropped->n_named_objects; i++)
		dropped->named_objects[i] = (uint32_t) objects->items[i].number;
}

/* Which relations?  Where the commit does not tell, those that were locked, but for new ones. */
static void
add_objects(const XactEffects *effects, const XactSummary *summary, DroppedObjects *dropped)
{
	Relations old = {0};
	Relations locked = {0};
	Relations objects = {0};

	relations_append(&locked, &effects->locked);
	relations_sort(&locked);
	add_difference(&locked, &summary->new_oids, &old);
	if (dropped->kind == DROPPED_RELATIONS && summary->dropped_oids.count > 0)
		relations_append(&objects, &summary->dropped_oids);
	else
		add_difference(&old, &summary->dropped_oids, &objects);
	name_objects(&objects, dropped);
	relations_release(&old);
	relations_release(&locked);
	relations_release(&objects);
}

static DroppedObjects *
add_dropped(DropDetector *detector, const WalEvent *commit)
{
	DroppedList *list = detector->list;

	GROW(list->items, list->count, list->capacity);

	DroppedObjects *dropped = &list->items[list->count++];

	*dropped = (DroppedObjects){
		.lsn = commit->lsn, .commit_lsn = commit->lsn, .xid = commit->xid, .time = commit->time};
	return dropped;
}

static void
add_database(DropDetector *detector, const XactEffects *effects, const WalEvent *commit)
{
	DroppedObjects *dropped = add_dropped(detector, commit);

	dropped->kind = DROPPED_DATABASE;
	dropped->lsn = effects->dropped_at;
	dropped->database = effects->dropped_database;
}

static void
add_relations(DropDetector *detector, XactEffects *effects, const WalEvent *commit)
{
	XactSummary summary = {0};

	settle(detector, effects, &summary);
	if (summary.lost_files.count > 0)
	{
		DroppedObjects *dropped = add_dropped(detector, commit);

		dropped->locked_lsn = effects->locked_at;
		dropped->cut = commit->end == InvalidXLogRecPtr || detector->n_items == ITEMS_MAX;
		dropped->kind = classify(detector->told, dropped->cut, &summary);
		name_files(&summary.lost_files, dropped);
		add_objects(effects, &summary, dropped);
	}
	summary_release(&summary);
}

static bool
has_dropped_files(const DropDetector *detector)
{
	for (size_t i = 0; i < detector->n_items; i++)
		if (detector->items[i].kind == WAL_EVENT_DROPPED_FILE)
			return true;
	return false;
}

/* From the last subtransaction on, for xacts are taken out of an array in their order. */
static void
take_effects(DropDetector *detector, TransactionId xid, XactEffects *effects)
{
	for (size_t i = detector->n_items; i-- > 0;)
		if (detector->items[i].kind == WAL_EVENT_SUBXACT)
			open_xacts_take(&detector->open, detector->items[i].xid, effects);
	open_xacts_take(&detector->open, xid, effects);
	open_xacts_claim_files(&detector->open, effects);
}

static void
commit(DropDetector *detector, const WalEvent *event)
{
	XactEffects effects = {.xid = event->xid};

	take_effects(detector, event->xid, &effects);
	if (effects.dropped_at != InvalidXLogRecPtr)
		add_database(detector, &effects, event);
	if (has_dropped_files(detector))
		add_relations(detector, &effects, event);
	xact_effects_release(&effects);
}

/* Also of a subtransaction, that is of a ROLLBACK TO SAVEPOINT. */
static void
abort_transaction(DropDetector *detector, TransactionId xid)
{
	XactEffects effects = {.xid = xid};

	open_xacts_take(&detector->open, xid, &effects);
	open_xacts_claim_files(&detector->open, &effects);
	xact_effects_release(&effects);
}

static void
add_lock_items(DropDetector *detector)
{
	for (size_t i = 0; i < detector->n_items; i++)
		if (detector->items[i].kind == WAL_EVENT_LOCK)
			open_xacts_add_locked(&detector->open, detector->items[i].xid, detector->record,
			                      detector->items[i].relation);
}

static void
add_item(DropDetector *detector, const WalEvent *event)
{
	if (event->lsn != detector->record)
		detector->n_items = 0;
	detector->record = event->lsn;
	if (detector->n_items == ITEMS_MAX)
		return;
	GROW(detector->items, detector->n_items, detector->capacity);
	detector->items[detector->n_items++] = (Item){.kind = event->kind,
	                                              .xid = event->xid,
	                                              .statistics_kind = event->statistics_kind,
	                                              .relation = event->relation};
}

static void
add_record(DropDetector *detector, const WalEvent *event)
{
	if (event->lsn != detector->record)
		detector->n_items = 0;
	switch (event->kind)
	{
		case WAL_EVENT_COMMIT:
			commit(detector, event);
			break;
		case WAL_EVENT_ABORT:
			abort_transaction(detector, event->xid);
			break;
		case WAL_EVENT_FILE_CREATED:
			open_xacts_add_created(&detector->open, event->xid, event->relation);
			break;
		case WAL_EVENT_DATABASE_DROPPED:
			/* Without an xid it is the old place of a database that ALTER DATABASE moved (PostgreSQL: movedb). */
			if (event->xid != 0)
				open_xacts_add_dropped_database(&detector->open, event->xid, event->lsn,
				                                event->relation.database);
			break;
		default:
			add_lock_items(detector);
			break;
	}
	detector->n_items = 0;
}

DropDetector *
drop_detector_new(int major, DroppedList *list)
{
	DropDetector *detector = NEW(DropDetector);

	detector->told = pg_major_nearest(major)->dropped_stats_size > 0;
	detector->list = list;
	return detector;
}

void
drop_detector_add(void *context, const WalEvent *event)
{
	DropDetector *detector = context;

	if (wal_event_is_item(event->kind))
		add_item(detector, event);
	else
		add_record(detector, event);
}

void
drop_detector_finish(DropDetector *detector)
{
	for (size_t i = 0; i < detector->open.count; i++)
	{
		const XactEffects *effects = &detector->open.items[i];

		if (effects->dropped_at != InvalidXLogRecPtr)
			add_database(detector, effects, &(WalEvent){.xid = effects->xid, .time = TIME_NONE});
	}
}

void
drop_detector_free(DropDetector *detector)
{
	if (detector == NULL)
		return;
	open_xacts_release(&detector->open);
	free(detector->items);
	free(detector);
}
