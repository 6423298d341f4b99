/*
 * Backups, dumps, trees of files: in each directory objects, and a record that names
 * them with their digests.  In the target the record comes last, when all of it is there.
 */
#include <stdlib.h>
#include <string.h>

#include "copy_steps.h"
#include "walship/archive/layout.h"
#include "walship/archive/lease.h"
#include "walship/archive/read_again.h"
#include "walship/archive/self_sha256.h"
#include "walship/base/json.h"
#include "walship/base/mem.h"

static const struct
{
	const char *folder; /* below "<system-id>/" */
	const char *record;
} kinds[] = {
	[COPY_BACKUPS] = {"base/", "backup.json"},
	[COPY_DUMPS] = {"dump/", "dump.json"},
	[COPY_FILES] = {"files/", "files.json"},
};

/* An object as the record has it. */
typedef struct Named
{
	char *name;
	Digest digest;
	bool needed; /* without it the rest is of no use */
} Named;

/* The objects of one directory, as the listing comes to them. */
typedef struct Set
{
	CopySets kind;
	char *prefix; /* of the keys; NULL: none is open */
	char *id;     /* its last component; of a set of files "<NAME>/<ID>", as leases have it */
	bool wanted;
	const BackupRecord *backup; /* as the catalog has it; NULL: of another kind */
	uint64_t record_size;       /* bytes; 0: it has not been listed */
	bool record_lacks;          /* the target has none */
	bool left_out;              /* removed meanwhile, never finished, damaged, or it cannot be restored */

	/* Once something of it is missing. */
	bool known; /* the record has been read */
	LeaseHold *at_source;
	LeaseHold *at_target;
	Named *named; /* ascending */
	size_t n_named;
	size_t named_capacity;
	StrList elsewhere; /* keys of parts in other sets of files, on which this one builds */
	bool incomplete;   /* a needed one was not sent */
	bool unneeded;     /* another one */
} Set;

static void
set_release(Set *set)
{
	lease_hold_free(set->at_source);
	lease_hold_free(set->at_target);
	for (size_t i = 0; i < set->n_named; i++)
		free(set->named[i].name);
	free(set->named);
	strlist_release(&set->elsewhere);
	free(set->prefix);
	free(set->id);
	*set = (Set){0};
}

static char *
record_key(const Set *set)
{
	return mem_printf("%s%s", set->prefix, kinds[set->kind].record);
}

static void
add_finding(CopyWalk *walk, StoreCopyProblem problem, const char *key, char *reason)
{
	copy_walk_lock(walk);
	copy_add_finding(walk->copy, problem, key, reason);
	copy_walk_unlock(walk);
}

/* What the source lacks of a backup, the catalog knows.  That is nobody's business where the target has it all. */
static Error *
check_source(CopyWalk *walk, Set *set)
{
	AUTO_FREE char *key = record_key(set);
	StoreEntry there;
	Error *error = store_stat(walk->copy->target, key, &there);

	if (!error_is(error, ERR_NOT_FOUND))
		return error;
	error_free(error);
	set->left_out = set->backup->unusable;
	add_finding(walk, STORE_COPY_LACKING, key,
	            mem_printf("the source has not, or not in full, %s%s", set->backup->missing,
	                       set->left_out ? "; so the backup is not copied" : ""));
	return NULL;
}

static Error *
set_open(CopyWalk *walk, Set *set, CopySets kind, const char *key, const char *end)
{
	StoreCopy *copy = walk->copy;

	set->kind = kind;
	set->prefix = mem_strndup(key, (size_t) (end - key));

	const char *folder = strchr(key, '/') + 1;
	const char *id = folder + strlen(kinds[kind].folder);

	set->id = id >= end ? mem_strdup("") : mem_strndup(id, (size_t) (end - 1 - id));
	set->wanted = !strlist_contains(&copy->unwanted, set->prefix + (folder - key));
	if (kind != COPY_BACKUPS)
		return NULL;
	set->backup = copy_record_of(copy, set->id);
	if (set->backup == NULL && walk->sender == NULL && strlist_contains(&copy->catalog->unfinished, set->id))
		copy->unfinished++;
	set->wanted = set->backup != NULL && copy_wants_backup(copy, set->id);
	return set->wanted && set->backup->missing != NULL ? check_source(walk, set) : NULL;
}

/* ---- the record ---- */

static int
compare_names(const void *left, const void *right)
{
	return strcmp(((const Named *) left)->name, ((const Named *) right)->name);
}

/* Is this the last component of a set's name? */
static bool
is_own(const Set *set, const char *id)
{
	const char *slash = strrchr(set->id, '/');

	return strcmp(slash == NULL ? set->id : slash + 1, id) == 0;
}

static void
add_elsewhere(Set *set, const char *id, const char *name)
{
	AUTO_FREE char *own = mem_strndup(set->prefix, strlen(set->prefix) - 1);
	AUTO_FREE char *tree = mem_strndup(own, (size_t) (strrchr(own, '/') - own));
	AUTO_FREE char *key = mem_printf("%s/%s/%s", tree, id, name);

	strlist_add(&set->elsewhere, key);
}

/*
 * Every object of it that has a name, a size and a digest, wherever it stands: so what a
 * newer version adds to records is checked, too.  A backup is restored without its own WAL,
 * from the archive, and without configuration and map.  Parts that an earlier set of files
 * has stored lie there.
 */
static Error *
collect_named(Set *set, const Json *node)
{
	const char *name = json_string_value(json_get(node, "name"));
	const char *part_set = json_string_value(json_get(node, "set"));
	const char *digits = json_string_value(json_get(node, "stored_sha256"));

	if (name != NULL && digits != NULL && json_has(node, "stored_size"))
	{
		Named named = {.needed = !str_equal(part_set, "wal") && !str_equal(json_name(node), "config") &&
		                         !str_equal(json_name(node), "map")};

		if (set->kind == COPY_FILES && part_set != NULL && !is_own(set, part_set))
		{
			add_elsewhere(set, part_set, name);
			return NULL;
		}
		TRY(json_get_uint(node, "stored_size", &named.digest.size));
		if (!hex_decode(digits, named.digest.sha256, SHA256_SIZE))
			return error_new(ERR_CORRUPT, "\"%s\" has no digest", name);
		named.name = mem_strdup(name);
		GROW(set->named, set->n_named, set->named_capacity);
		set->named[set->n_named++] = named;
	}
	for (const Json *item = json_first(node); item != NULL; item = json_next(item))
		if (json_is_object(item) || json_is_array(item))
			TRY(collect_named(set, item));
	return NULL;
}

static Error *
read_record(CopyWalk *walk, Set *set, const char *key)
{
	AUTO_BUF(text, BACKUP_RECORD_MAX);
	AUTO(Json) root = NULL;
	Error *error;
	int reads = 0;

	do
	{
		AUTO(Sink) sink = buf_sink_new(&text);

		buf_clear(&text);
		error = store_get(walk->copy->source, key, 0, STORE_TO_END, sink);
		if (error == NULL)
			error = self_sha256_check(text.data == NULL ? "" : text.data, text.size, "record");
	} while (read_again(walk->copy->source, key, &error, &reads));
	TRY(error);
	TRY(json_parse(text.data, text.size, "record", &root));
	TRY(collect_named(set, root));
	if (set->n_named > 1)
		qsort(set->named, set->n_named, sizeof(Named), compare_names);
	return NULL;
}

/* The lease, then the record: an expire that has not seen the one has removed the other. */
static Error *
set_know(CopyWalk *walk, Set *set)
{
	StoreCopy *copy = walk->copy;
	const BackupRecord *backup = set->backup;
	LeaseOn on = {.kind = "copy",
	              .backup = set->id,
	              .timeline = backup == NULL ? 0 : backup->timeline,
	              .start_lsn = backup == NULL ? InvalidXLogRecPtr : backup->start_lsn};
	AUTO_FREE char *key = record_key(set);

	if (set->known)
		return NULL;
	set->known = true;
	if (walk->sender != NULL)
	{
		set->at_source = lease_hold(copy->source, copy->system_identifier, &on, &copy->notices);
		set->at_target = lease_hold(copy->target, copy->system_identifier, &on, &copy->notices);
	}

	AUTO(Error) error = read_record(walk, set, key);

	set->left_out = error != NULL;
	if (error_is(error, ERR_CORRUPT))
		add_finding(walk, STORE_COPY_DAMAGED, key, mem_strdup(error_message(error)));
	else if (error_is(error, ERR_NOT_FOUND) && walk->sender == NULL)
		copy->unfinished++;
	else if (error_is(error, ERR_NOT_FOUND) && backup != NULL)
		copy->gone++;
	else if (error != NULL && !error_is(error, ERR_NOT_FOUND))
		return MOVE(error);
	return NULL;
}

/* ---- its objects ---- */

static const Named *
find_named(const Set *set, const char *name)
{
	Named wanted = {.name = (char *) name};

	return set->n_named == 0 ? NULL
	                         : bsearch(&wanted, set->named, set->n_named, sizeof(Named), compare_names);
}

static Error *
set_add(CopyWalk *walk, Set *set, const StoreEntry *entry, StoreCursor *target)
{
	const char *name = entry->key + strlen(set->prefix);
	CopyItem item = {.kind = STORE_COPY_PARTS, .key = entry->key, .size = entry->size};
	const Named *named;
	bool lacking;

	TRY(copy_walk_compare(walk, entry, target, &lacking));
	if (strcmp(name, kinds[set->kind].record) == 0)
	{
		set->record_size = entry->size;
		set->record_lacks = lacking;
		return NULL;
	}
	if (!lacking || set->left_out)
		return NULL;
	TRY(set_know(walk, set));
	if (set->left_out)
		return NULL;
	named = find_named(set, name);
	item.digest = named == NULL ? NULL : &named->digest;
	item.ret_failed = named != NULL && named->needed ? &set->incomplete : &set->unneeded;
	copy_walk_lack(walk, &item);
	return NULL;
}

/* What other sets hold of it has come before, for they are older; or it was damaged. */
static Error *
check_elsewhere(CopyWalk *walk, Set *set)
{
	AUTO_FREE char *key = record_key(set);

	for (size_t i = 0; i < set->elsewhere.count && walk->sender != NULL && !set->left_out; i++)
	{
		StoreEntry entry;
		Error *error = store_stat(walk->copy->target, set->elsewhere.items[i], &entry);

		if (!error_is(error, ERR_NOT_FOUND))
		{
			TRY(error);
			continue;
		}
		error_free(error);
		set->left_out = true;
		add_finding(walk, STORE_COPY_LACKING, key,
		            mem_printf("it builds on \"%s\", which could not be copied", set->elsewhere.items[i]));
	}
	return NULL;
}

/* At its end: when all of it has come, the record, which makes it exist. */
static Error *
set_close(CopyWalk *walk, Set *set)
{
	StoreCopy *copy = walk->copy;

	if (set->prefix == NULL || !set->wanted)
		return NULL;
	TRY(copy_walk_wait(walk));
	if (!set->record_lacks || set->left_out || set->incomplete)
		return NULL;
	TRY(set_know(walk, set));
	if (!set->left_out)
		TRY(check_elsewhere(walk, set));
	if (set->left_out)
		return NULL;
	if (walk->sender == NULL && set->backup != NULL)
	{
		if (copy->timeline == 0 || set->backup->start_lsn < copy->start_lsn)
			copy->start_lsn = set->backup->start_lsn;
		if (set->backup->timeline > copy->timeline)
			copy->timeline = set->backup->timeline;
	}

	AUTO_FREE char *key = record_key(set);

	copy_walk_lack(walk, &(CopyItem){.kind = STORE_COPY_RECORDS, .key = key, .size = set->record_size});
	return copy_walk_wait(walk);
}

static Error *
walk_listing(CopyWalk *walk, CopySets kind, Set *set)
{
	StoreCopy *copy = walk->copy;
	AUTO_FREE char *system = layout_system_prefix(copy->system_identifier);
	AUTO_FREE char *prefix = copy->backup == NULL
	                             ? mem_printf("%s%s", system, kinds[kind].folder)
	                             : layout_backup_prefix(copy->system_identifier, copy->backup);
	AUTO(StoreCursor) source = store_cursor_new(copy->source, prefix, LIST_ALL, NULL);
	AUTO(StoreCursor) target = store_cursor_new(copy->target, prefix, LIST_ALL, NULL);

	for (;;)
	{
		const StoreEntry *entry;

		TRY(copy_walk_go_on(walk));
		TRY(store_cursor_next(source, &entry));
		if (entry == NULL)
			return set_close(walk, set);

		const char *end = strrchr(entry->key, '/') + 1;
		size_t length = (size_t) (end - entry->key);

		if (set->prefix == NULL || strlen(set->prefix) != length ||
		    strncmp(set->prefix, entry->key, length) != 0)
		{
			TRY(set_close(walk, set));
			set_release(set);
			TRY(set_open(walk, set, kind, entry->key, end));
		}
		if (set->wanted)
			TRY(set_add(walk, set, entry, target));
	}
}

/* What is under way looks into the set. */
Error *
copy_walk_sets(CopyWalk *walk, CopySets kind)
{
	Set set = {0};
	Error *error = walk_listing(walk, kind, &set);

	if (error != NULL && walk->sender != NULL)
		copy_sender_stop(walk->sender);
	set_release(&set);
	return error;
}
