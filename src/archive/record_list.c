/* Lists records, and reads them; see walship/archive/record_list.h. */
#include "walship/archive/record_list.h"

#include <string.h>

#include "walship/archive/layout.h"
#include "walship/archive/small_reads.h"
#include "walship/base/mem.h"
#include "walship/base/workers.h"

static Error *
add_id(void *ids, const StoreEntry *entry)
{
	if (!entry->is_prefix)
		return NULL;

	AUTO_FREE char *path = mem_strndup(entry->key, strlen(entry->key) - 1);
	const char *slash = strrchr(path, '/');
	const char *id = slash == NULL ? path : slash + 1;

	if (layout_is_backup_id(id))
		strlist_add(ids, id);
	return NULL;
}

Error *
record_list_ids(Store *store, const char *prefix, StrList *ret_ids)
{
	TRY(store_list(store, prefix, LIST_LEVEL, NULL, add_id, ret_ids));
	strlist_sort(ret_ids);
	return NULL;
}

/* One id's record, and what came of reading it. */
typedef struct Reading
{
	RecordRead read;
	const RecordPlace *place;
	const char *id;
	void *record;  /* NULL: there is none, or it cannot be read */
	Error *damage; /* why it cannot; NULL: it can, or there is none */
} Reading;

/* A WorkersJob. */
static Error *
read_one(void *argument)
{
	Reading *reading = argument;
	AUTO(Error) error = reading->read(reading->place, reading->id, &reading->record);

	if (error_is(error, ERR_NOT_FOUND))
		return NULL;
	if (!error_is(error, ERR_CORRUPT))
		return MOVE(error);
	reading->damage = MOVE(error);
	return NULL;
}

Error *
record_list_read(const RecordPlace *place, const char *prefix, int jobs, RecordRead read,
                 RecordList *ret_list)
{
	AUTO(Workers) workers = workers_new(small_reads_at_once(jobs));
	AUTO_STRLIST ids = {0};
	AUTO_FREE Reading *readings = NULL;
	Error *error;

	TRY(record_list_ids(place->store, prefix, &ids));
	readings = NEW_ARRAY(Reading, ids.count);
	for (size_t i = 0; i < ids.count; i++)
	{
		readings[i] = (Reading){.read = read, .place = place, .id = ids.items[i]};
		workers_submit(workers, read_one, &readings[i], NULL);
	}
	error = workers_wait(workers);
	ret_list->records = NEW_ARRAY(void *, ids.count);
	ret_list->reasons = NEW_ARRAY(Error *, ids.count);
	for (size_t i = 0; i < ids.count; i++)
	{
		if (readings[i].record != NULL)
			ret_list->records[ret_list->count++] = readings[i].record;
		else
			strlist_add(readings[i].damage == NULL ? &ret_list->unfinished : &ret_list->damaged,
			            ids.items[i]);
		if (readings[i].damage != NULL)
			ret_list->reasons[ret_list->damaged.count - 1] = readings[i].damage;
	}
	return error;
}

void
record_list_tell(const RecordList *list, StrList *unfinished, StrList *damaged)
{
	for (size_t i = 0; i < list->unfinished.count; i++)
		strlist_add(unfinished, list->unfinished.items[i]);
	for (size_t i = 0; i < list->damaged.count; i++)
	{
		AUTO_FREE char *text = mem_printf("%s: %s", list->damaged.items[i], error_message(list->reasons[i]));

		strlist_add(damaged, text);
	}
}

void
record_list_release(RecordList *list)
{
	for (size_t i = 0; i < list->damaged.count; i++)
		error_free(list->reasons[i]);
	free(list->records);
	free(list->reasons);
	strlist_release(&list->unfinished);
	strlist_release(&list->damaged);
	*list = (RecordList){0};
}
