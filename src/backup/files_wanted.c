/* What of a set is to be restored; see files_wanted.h. */
#include "files_wanted.h"

#include <stdlib.h>
#include <string.h>

#include "walship/base/mem.h"

void
files_wanted_release(FilesWanted *wanted)
{
	for (size_t i = 0; i < wanted->count; i++)
	{
		free(wanted->items[i].path);
		free(wanted->items[i].as);
		free(wanted->items[i].target);
		files_facts_free(wanted->items[i].facts);
	}
	free(wanted->items);
	for (size_t i = 0; wanted->of_part != NULL && i < wanted->record->n_parts; i++)
		free(wanted->of_part[i]);
	free(wanted->of_part);
	free(wanted->n_of_part);
}

const char *
files_wanted_destination(const Wanted *wanted)
{
	return wanted->as != NULL ? wanted->as : wanted->path;
}

/* Is it one of the paths, or below one?  "only" has no '/' at its begin and end. */
static bool
is_asked_for(const StrList *only, const char *path, size_t *ret_which)
{
	for (size_t i = 0; i < only->count; i++)
	{
		size_t length = strlen(only->items[i]);

		if (length == 0 ||
		    (strncmp(path, only->items[i], length) == 0 && (path[length] == '/' || path[length] == '\0')))
		{
			*ret_which = i;
			return true;
		}
	}
	return false;
}

static Error *
number_of_part(const FilesRecord *record, const char *part, uint32_t *number)
{
	for (size_t tried = 0; tried < record->n_parts; tried++)
	{
		/* Neighbours mostly lie in the same part. */
		size_t i = (*number + tried) % record->n_parts;
		size_t length = strlen(record->parts[i].set);

		if (strncmp(part, record->parts[i].set, length) == 0 && part[length] == '/' &&
		    strcmp(part + length + 1, record->parts[i].name) == 0)
		{
			*number = (uint32_t) i;
			return NULL;
		}
	}
	return error_new(ERR_CORRUPT, "part \"%s\" of its list is not in its record", part);
}

static Error *
want(FilesWanted *wanted, FilesEntry *entry, uint32_t *part)
{
	TRY(number_of_part(wanted->record, entry->part, part));
	GROW(wanted->items, wanted->count, wanted->capacity);

	Wanted *item = &wanted->items[wanted->count++];

	*item = (Wanted){.path = MOVE(entry->path),
	                 .target = entry->type == TAR_LINK ? MOVE(entry->target) : NULL,
	                 .size = entry->size,
	                 .part = *part,
	                 .type = entry->type};
	atomic_init(&item->seen, false);
	return NULL;
}

typedef Error *(*EntryCallback)(FilesWanted *wanted, FilesEntry *entry, void *context);

static Error *
each_entry(FilesWanted *wanted, const Slice *list, EntryCallback callback, void *context)
{
	AUTO_FREE char *what = mem_printf("list of set \"%s\"", wanted->record->id);
	FilesListReader reader;
	Error *error = files_list_open(&reader, list, what, wanted->record->name, wanted->record->id);

	for (bool ended = false; error == NULL && !ended;)
	{
		AUTO_FILES_ENTRY entry = {0};

		error = files_list_next(&reader, &entry);
		ended = error == NULL && entry.path == NULL;
		if (error == NULL && !ended)
			error = callback(wanted, &entry, context);
	}
	files_list_close(&reader);
	return error;
}

typedef struct Selection
{
	const StrList *only;
	bool *found; /* for each of "only" */
	uint32_t part;
} Selection;

/* EntryCallback */
static Error *
select_entry(FilesWanted *wanted, FilesEntry *entry, void *context)
{
	Selection *selection = context;
	size_t which = 0;

	if (selection->only->count > 0 && !is_asked_for(selection->only, entry->path, &which))
		return NULL;
	if (selection->only->count > 0)
		selection->found[which] = true;
	return entry->part == NULL ? NULL : want(wanted, entry, &selection->part);
}

static int
compare_wanted(const void *a, const void *b)
{
	return files_path_compare(((const Wanted *) a)->path, ((const Wanted *) b)->path);
}

Wanted *
files_wanted_find(const FilesWanted *wanted, const char *path)
{
	Wanted key = {.path = (char *) path};

	return wanted->count == 0 ? NULL
	                          : bsearch(&key, wanted->items, wanted->count, sizeof(key), compare_wanted);
}

/* A hard link that was asked for, to a file that was not. */
typedef struct LooseLink
{
	size_t number;      /* of the wanted one */
	const char *target; /* its own */
} LooseLink;

typedef struct LooseLinks
{
	LooseLink *items; /* in the order of the walk, by their targets */
	size_t count;
	size_t next;
	uint32_t part;
} LooseLinks;

static int
compare_loose(const void *a, const void *b)
{
	const LooseLink *left = a;
	const LooseLink *right = b;
	int order = files_path_compare(left->target, right->target);

	return order != 0 ? order : left->number < right->number ? -1 : 1;
}

/* EntryCallback: the first of a file's links becomes the file, the others links to that. */
static Error *
select_target(FilesWanted *wanted, FilesEntry *entry, void *context)
{
	LooseLinks *links = context;
	char *first = NULL;

	while (links->next < links->count &&
	       files_path_compare(links->items[links->next].target, entry->path) < 0)
		links->next++;
	for (; links->next < links->count && strcmp(links->items[links->next].target, entry->path) == 0;
	     links->next++)
	{
		Wanted *link = &wanted->items[links->items[links->next].number];

		if (entry->part == NULL || entry->type != TAR_FILE)
			return error_new(ERR_CORRUPT, "the file that \"%s\" is a hard link to is not in the set",
			                 link->path);
		if (first == NULL)
		{
			TRY(number_of_part(wanted->record, entry->part, &links->part));
			first = link->path;
			link->as = first;
			link->path = mem_strdup(entry->path);
			link->type = TAR_FILE;
			link->part = links->part;
			link->size = entry->size;
		}
		else
		{
			free(link->target);
			link->target = mem_strdup(first);
		}
	}
	return NULL;
}

/* What was a link goes by the file's path then, so the order is made anew. */
static Error *
find_targets(FilesWanted *wanted, const Slice *list)
{
	LooseLinks links = {.items = NEW_ARRAY(LooseLink, wanted->count + 1)};
	Error *error = NULL;

	for (size_t i = 0; i < wanted->count; i++)
		if (wanted->items[i].type == TAR_LINK && files_wanted_find(wanted, wanted->items[i].target) == NULL)
			links.items[links.count++] = (LooseLink){i, wanted->items[i].target};
	if (links.count > 0)
	{
		qsort(links.items, links.count, sizeof(*links.items), compare_loose);
		error = each_entry(wanted, list, select_target, &links);
		qsort(wanted->items, wanted->count, sizeof(*wanted->items), compare_wanted);
	}
	free(links.items);
	return error;
}

/* Numbers of the wanted, part by part.  Hard links are not read: the list says what they are. */
static void
sort_by_part(FilesWanted *wanted)
{
	size_t n_parts = wanted->record->n_parts;

	wanted->of_part = NEW_ARRAY(size_t *, n_parts + 1);
	wanted->n_of_part = NEW_ARRAY(size_t, n_parts + 1);
	for (size_t i = 0; i < wanted->count; i++)
		if (wanted->items[i].type != TAR_LINK)
			wanted->n_of_part[wanted->items[i].part]++;
	for (size_t i = 0; i < n_parts; i++)
	{
		wanted->of_part[i] = NEW_ARRAY(size_t, wanted->n_of_part[i] + 1);
		wanted->n_of_part[i] = 0;
	}
	for (size_t i = 0; i < wanted->count; i++)
	{
		const Wanted *item = &wanted->items[i];

		if (item->type != TAR_LINK)
			wanted->of_part[item->part][wanted->n_of_part[item->part]++] = i;
	}
}

Error *
files_wanted_choose(FilesWanted *wanted, const FilesRecord *record, const Slice *list, const StrList *asked)
{
	AUTO_STRLIST only = {0};
	AUTO_FREE bool *found = NEW_ARRAY(bool, asked->count + 1);
	Selection selection = {.only = &only, .found = found};

	wanted->record = record;
	for (size_t i = 0; i < asked->count; i++)
	{
		const char *path = asked->items[i] + strspn(asked->items[i], "/");
		size_t length = strlen(path);

		while (length > 0 && path[length - 1] == '/')
			length--;

		AUTO_FREE char *trimmed = mem_strndup(path, length);

		strlist_add(&only, trimmed);
	}
	TRY(each_entry(wanted, list, select_entry, &selection));
	for (size_t i = 0; i < only.count; i++)
		if (!found[i])
			return error_hint(error_new(ERR_NOT_FOUND, "path \"%s\" is not in set \"%s\" of files \"%s\"",
			                            asked->items[i], wanted->record->id, wanted->record->name),
			                  "\"walship files --list %s %s\" shows what is.", wanted->record->name,
			                  wanted->record->id);
	TRY(find_targets(wanted, list));
	sort_by_part(wanted);
	return NULL;
}
