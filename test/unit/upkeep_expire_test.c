/*
 * The order of an expire, step by step, in a store of this test's own that can be
 * interrupted between any two requests; and how much it takes for a large archive.
 */
#include <inttypes.h>
#include <sys/resource.h>

#include "scratch.h"
#include "walship/archive/layout.h"
#include "walship/archive/sealed_json.h"
#include "walship/archive/self_sha256.h"
#include "walship/backup/files_record.h"
#include "walship/base/strs.h"
#include "walship/upkeep/expire_backups.h"
#include "walship/upkeep/expire_records.h"

#define SYSTEM_ID    UINT64_C(7300000000000000001)
#define SEGMENT_SIZE (16u * 1024 * 1024)
#define DAY_US       (INT64_C(86400) * 1000000)

/* ---- a store in memory ---- */

typedef struct Object
{
	char *key;
	char *data;
	size_t size;
	TimeUs modified;
} Object;

typedef struct MemoryStore
{
	Store store;
	Object *objects; /* ascending */
	size_t count;
	size_t capacity;
	TimeUs now;
	uint64_t segments; /* so many of timeline 1 are listed, without being objects */
	size_t lists;
	size_t requests;
	size_t removals;

	/* Called before a removal; the store goes on as it left it. */
	void (*before_remove)(struct MemoryStore *store, const char *key);
	size_t cut_after;   /* so many objects are removed; then it cannot be reached; 0: always */
	bool full;          /* until something was removed */
	const char *locked; /* keys that contain this are not removed */
	const char *answer; /* why: a format for the key and a day of May 2027; NULL: the usual */
	int answers;
	int damaged_reads; /* so many reads of evidence (proof/) have a wrong byte on their way */
} MemoryStore;

static size_t
position_of(const MemoryStore *memory, const char *key)
{
	size_t low = 0;
	size_t high = memory->count;

	while (low < high)
	{
		size_t middle = low + (high - low) / 2;

		if (strcmp(memory->objects[middle].key, key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static Object *
find(MemoryStore *memory, const char *key)
{
	size_t position = position_of(memory, key);

	return position < memory->count && strcmp(memory->objects[position].key, key) == 0
	           ? &memory->objects[position]
	           : NULL;
}

static void
set_object(MemoryStore *memory, const char *key, const char *data, size_t size, TimeUs modified)
{
	size_t position = position_of(memory, key);

	GROW(memory->objects, memory->count, memory->capacity);
	memmove(&memory->objects[position + 1], &memory->objects[position],
	        (memory->count++ - position) * sizeof(Object));
	memory->objects[position] = (Object){mem_strdup(key), mem_strndup(data, size), size, modified};
}

static Error *
memory_put(Store *store, const char *key, const Slice *slices, int n_slices, PutMode mode)
{
	MemoryStore *memory = (MemoryStore *) store;

	memory->requests++;
	assert_int_equal(mode, PUT_IF_ABSENT);
	assert_int_equal(n_slices, 1);
	if (find(memory, key) != NULL)
		return error_new(ERR_EXISTS, "\"%s\" is there", key);
	if (memory->full)
		return error_new(ERR_SYSTEM, "no space left on device");
	set_object(memory, key, slices[0].data, slices[0].size, memory->now);
	return NULL;
}

static Error *
memory_get(Store *store, const char *key, uint64_t offset, uint64_t size, Sink *into)
{
	MemoryStore *memory = (MemoryStore *) store;
	const Object *object = find(memory, key);

	(void) offset;
	(void) size;
	__atomic_add_fetch(&memory->requests, 1, __ATOMIC_RELAXED);
	if (object == NULL)
		return error_new(ERR_NOT_FOUND, "\"%s\" is not there", key);
	if (strstr(key, "/proof/") != NULL && memory->damaged_reads > 0)
	{
		memory->damaged_reads--;
		TRY(sink_write(into, "?", 1));
		return sink_write(into, (const char *) object->data + 1, object->size - 1);
	}
	return sink_write(into, object->data, object->size);
}

static Error *
memory_stat(Store *store, const char *key, StoreEntry *ret_entry)
{
	MemoryStore *memory = (MemoryStore *) store;
	const Object *object = find(memory, key);

	memory->requests++;
	if (object == NULL)
		return error_new(ERR_NOT_FOUND, "\"%s\" is not there", key);
	*ret_entry = (StoreEntry){.key = key, .size = object->size, .modified = object->modified};
	return NULL;
}

static Error *
list_segments(const MemoryStore *memory, const char *start_after, StoreListCallback callback, void *context)
{
	for (uint64_t i = 1; i <= memory->segments; i++)
	{
		WalName name = wal_name_of_segment(1, i, SEGMENT_SIZE);
		AUTO_FREE char *key = layout_wal_key(SYSTEM_ID, &name, NULL);

		if (start_after == NULL || strcmp(key, start_after) > 0)
			TRY(callback(context, &(StoreEntry){.key = key, .size = 1000000, .modified = memory->now}));
	}
	return NULL;
}

static Error *
memory_list(Store *store, const char *prefix, ListDepth depth, const char *start_after,
            StoreListCallback callback, void *context)
{
	MemoryStore *memory = (MemoryStore *) store;
	AUTO_FREE char *last_prefix = NULL;

	memory->lists++;
	memory->requests++;
	if (strstr(prefix, "/wal/") != NULL && memory->segments > 0)
		return list_segments(memory, start_after, callback, context);
	for (size_t i = position_of(memory, prefix);
	     i < memory->count && str_starts_with(memory->objects[i].key, prefix); i++)
	{
		const Object *object = &memory->objects[i];
		const char *slash = strchr(object->key + strlen(prefix), '/');
		StoreEntry entry = {.key = object->key, .size = object->size, .modified = object->modified};

		if (start_after != NULL && strcmp(object->key, start_after) <= 0)
			continue;
		if (depth == LIST_LEVEL && slash != NULL)
		{
			AUTO_FREE char *common = mem_strndup(object->key, (size_t) (slash - object->key) + 1);

			if (str_equal(common, last_prefix))
				continue;
			free(last_prefix);
			last_prefix = mem_strdup(common);
			entry = (StoreEntry){.key = last_prefix, .modified = TIME_NONE, .is_prefix = true};
		}
		TRY(callback(context, &entry));
	}
	return NULL;
}

static void
drop(MemoryStore *memory, const char *key)
{
	Object *object = find(memory, key);
	size_t position;

	if (object == NULL)
		return;
	position = (size_t) (object - memory->objects);
	free(object->key);
	free(object->data);
	memmove(object, object + 1, (--memory->count - position) * sizeof(Object));
	memory->removals++;
	memory->full = false;
}

static Error *
memory_remove(Store *store, const char *key)
{
	MemoryStore *memory = (MemoryStore *) store;

	if (memory->before_remove != NULL)
		memory->before_remove(memory, key);
	if (memory->cut_after != 0 && memory->removals >= memory->cut_after)
		return error_new(ERR_TRANSIENT, "the power is gone");
	memory->requests++;
	drop(memory, key);
	return NULL;
}

/* "KEY", "DAY" and "REQUEST" stand for what differs from one object to the next. */
static char *
answer_of(MemoryStore *memory, const char *key)
{
	AUTO_BUF(text, 10000);
	int number = ++memory->answers;

	for (const char *at = memory->answer; *at != '\0';)
		if (str_starts_with(at, "KEY") || str_starts_with(at, "DAY"))
		{
			buf_printf(&text, at[0] == 'K' ? "%s" : "%.0s%02d", key, number);
			at += 3;
		}
		else if (str_starts_with(at, "REQUEST"))
		{
			buf_printf(&text, "tx%d", number * 7919);
			at += strlen("REQUEST");
		}
		else
			buf_putc(&text, *at++);
	return mem_strdup(text.data);
}

static Error *
memory_tidy(Store *store, const char *prefix, TimeUs before, StoreTidied callback, void *context)
{
	AUTO_FREE char *key = mem_printf("%sbase/x/base-0001.tar.br", prefix);

	(void) store;
	callback(context, key, before - 1);
	return NULL;
}

static Error *
memory_remove_many(Store *store, const char *const *keys, size_t count, StoreNotRemoved callback,
                   void *context)
{
	MemoryStore *memory = (MemoryStore *) store;

	memory->requests++;
	assert_in_range(count, 1, 1000);
	for (size_t i = 0; i < count; i++)
	{
		AUTO(Error) locked = error_new(ERR_DENIED, "could not remove \"%s\": locked until 2027", keys[i]);

		if (memory->locked != NULL && strstr(keys[i], memory->locked) != NULL && memory->answer != NULL)
		{
			AUTO_FREE char *text = answer_of(memory, keys[i]);
			AUTO(Error) as_a_store_says = error_new(ERR_DENIED, "%s", text);

			callback(context, keys[i], as_a_store_says);
		}
		else if (memory->locked != NULL && strstr(keys[i], memory->locked) != NULL)
			callback(context, keys[i], locked);
		else
			TRY(memory_remove(store, keys[i]));
	}
	return NULL;
}

static void
memory_free(Store *store)
{
	MemoryStore *memory = (MemoryStore *) store;

	for (size_t i = 0; i < memory->count; i++)
	{
		free(memory->objects[i].key);
		free(memory->objects[i].data);
	}
	free(memory->objects);
	free(memory);
}

static MemoryStore *
memory_new(void)
{
	static const StoreOps ops = {.put = memory_put,
	                             .get = memory_get,
	                             .stat = memory_stat,
	                             .list = memory_list,
	                             .remove = memory_remove,
	                             .remove_many = memory_remove_many,
	                             .tidy = memory_tidy,
	                             .free = memory_free};
	MemoryStore *memory = NEW(MemoryStore);

	memory->store = (Store){.ops = &ops, .url = mem_strdup("memory://"), .identity = mem_strdup("memory")};
	memory->now = clock_now();
	return memory;
}

/* ---- an archive in it ---- */

/* A backup that ended so many hours ago in this segment; returns its id, which the record owns no more: free it. */
static char *
add_backup(MemoryStore *memory, int hours_ago, XLogSegNo segno)
{
	AUTO(BackupRecord) record = backup_record_new();
	AUTO_BUF(text, BACKUP_RECORD_MAX);

	record->stop_time = memory->now - hours_ago * INT64_C(3600) * 1000000;
	record->start_time = record->stop_time - 60000000;
	record->id = layout_backup_id(record->start_time, (uint16_t) segno);
	record->system_identifier = SYSTEM_ID;
	record->server_version = 150020;
	record->segment_size = SEGMENT_SIZE;
	record->timeline = 1;
	record->start_lsn = segment_start(segno, SEGMENT_SIZE) + 40;
	record->stop_lsn = record->start_lsn + 4096;
	record->label = mem_strdup("walship");
	record->wal_inside = true;
	record->codec = mem_strdup("brotli");
	record->manifest_name = mem_strdup("manifest.br");
	record->manifest_stored_size = 4;
	record->parameters = (BackupParameters){100, 8, 10, 0, 64};
	record->walship_version = mem_strdup("0.1.0");
	record->n_parts = 2;
	record->parts = NEW_ARRAY(BackupPart, 2);
	record->parts[0] = (BackupPart){mem_strdup("base-0001.tar.br"), mem_strdup("base"), 1000, 4, {0}};
	record->parts[1] = (BackupPart){mem_strdup("wal-0001.tar.br"), mem_strdup("wal"), 1000, 4, {0}};
	backup_record_print(record, &text);
	self_sha256_append(&text);

	AUTO_FREE char *key = layout_backup_record_key(SYSTEM_ID, record->id);
	AUTO_FREE char *prefix = layout_backup_prefix(SYSTEM_ID, record->id);
	AUTO_FREE char *part = mem_printf("%sbase-0001.tar.br", prefix);
	AUTO_FREE char *wal = mem_printf("%swal-0001.tar.br", prefix);
	AUTO_FREE char *manifest = mem_printf("%smanifest.br", prefix);

	set_object(memory, key, text.data, text.size, record->stop_time);
	set_object(memory, part, "part", 4, record->stop_time);
	set_object(memory, wal, "part", 4, record->stop_time);
	set_object(memory, manifest, "list", 4, record->stop_time);
	return mem_strdup(record->id);
}

static ExpireBackups
expire_of(MemoryStore *memory, const char *policy)
{
	ExpireBackups expire = {.common = {.kind = &expire_of_backups,
	                                   .store = &memory->store,
	                                   .system_identifier = SYSTEM_ID,
	                                   .backup_max_age_ms = INT64_C(8) * 86400 * 1000,
	                                   .force = true,
	                                   .jobs = 1}};

	assert_ok(retention_parse(policy, &expire.common.policy));
	return expire;
}

static Error *
expire_once(MemoryStore *memory, const char *policy)
{
	AUTO_EXPIRE_BACKUPS expire = expire_of(memory, policy);

	TRY(expire_plan(&expire.common));
	return expire_run(&expire.common);
}

static bool
has_record(MemoryStore *memory, const char *id)
{
	AUTO_FREE char *key = layout_backup_record_key(SYSTEM_ID, id);

	return find(memory, key) != NULL;
}

static bool
has_part(MemoryStore *memory, const char *id)
{
	AUTO_FREE char *prefix = layout_backup_prefix(SYSTEM_ID, id);
	AUTO_FREE char *key = mem_printf("%sbase-0001.tar.br", prefix);

	return find(memory, key) != NULL;
}

static const char *victim; /* the backup that a reader begins to read at the worst moment */

static void
lease_before_record_goes(MemoryStore *memory, const char *key)
{
	AUTO_FREE char *record = layout_backup_record_key(SYSTEM_ID, victim);
	static bool done;

	if (strcmp(key, record) != 0 || done)
		return;
	done = true;
	memory->before_remove = NULL;

	static const Notices nobody;
	AUTO(LeaseHold) hold =
		lease_hold(&memory->store, SYSTEM_ID, &(LeaseOn){.kind = "recover", .backup = victim}, &nobody);

	lease_hold_linger(hold, 60);
}

static void
test_a_reader_that_came_just_before_goes_on_reading(void **state)
{
	AUTO(Store) store = &memory_new()->store;
	MemoryStore *memory = (MemoryStore *) store;
	AUTO_FREE char *old = add_backup(memory, 48, 5);
	AUTO_FREE char *new = add_backup(memory, 24, 9);

	(void) state;
	victim = old;
	memory->before_remove = lease_before_record_goes;
	assert_ok(expire_once(memory, "last 1"));
	assert_false(has_record(memory, old));
	assert_true(has_part(memory, old));
	assert_true(has_record(memory, new) && has_part(memory, new));

	/* Once the lease has ended, what is left is an unfinished backup, and goes. */
	memory->now += 61 * INT64_C(1000000);
	for (size_t i = 0; i < memory->count; i++)
		if (strstr(memory->objects[i].key, "/lease/") != NULL)
			memory->objects[i].modified -= DAY_US;
	assert_ok(expire_once(memory, "last 1"));
	assert_false(has_part(memory, old));
}

/* Its name says whose it is: what cannot be read removes nothing. */
static void
test_a_pin_that_is_damaged_or_another_ones_keeps_what_its_name_says(void **state)
{
	static const char *const contents[] = {"{}", "", "another"};

	(void) state;
	for (size_t i = 0; i < lengthof(contents); i++)
	{
		AUTO(Store) store = &memory_new()->store;
		MemoryStore *memory = (MemoryStore *) store;
		AUTO_FREE char *pinned = add_backup(memory, 72, 3);
		AUTO_FREE char *old = add_backup(memory, 48, 5);
		AUTO_FREE char *new = add_backup(memory, 24, 9);
		AUTO_FREE char *key = layout_pin_key(SYSTEM_ID, pinned);
		AUTO_BUF(text, 4096);

		buf_puts(&text, contents[i]);
		if (strcmp(contents[i], "another") == 0)
		{
			buf_clear(&text);
			buf_printf(&text, "{\"format\":1,\"backup\":\"%s\",\"until\":null,\"note\":null}", new);
			self_sha256_append(&text);
		}
		set_object(memory, key, text.data == NULL ? "" : text.data, text.size, memory->now);
		assert_ok(expire_once(memory, "last 1"));
		assert_true(has_record(memory, pinned) && has_part(memory, pinned));
		assert_false(has_record(memory, old));
		assert_true(has_record(memory, new));
	}
}

static void
test_cut_short_anywhere_the_next_run_goes_on(void **state)
{
	size_t whole = 0;

	(void) state;
	for (size_t cut = 0; cut == 0 || cut < whole; cut++)
	{
		AUTO(Store) store = &memory_new()->store;
		MemoryStore *memory = (MemoryStore *) store;
		AUTO_FREE char *first = add_backup(memory, 72, 3);
		AUTO_FREE char *second = add_backup(memory, 48, 5);
		AUTO_FREE char *third = add_backup(memory, 30, 9);

		memory->cut_after = cut;

		Error *error = expire_once(memory, "last 1");

		if (cut == 0)
			whole = memory->removals;

		/* The last thing is its own lease, which ends by itself. */
		assert_true(cut == 0 || cut + 1 == whole ? error == NULL : error_is(error, ERR_TRANSIENT));
		error_free(error);
		assert_true(has_record(memory, third) && has_part(memory, third));

		/* A record is never there without its parts. */
		assert_true(!has_record(memory, first) || has_part(memory, first));
		assert_true(!has_record(memory, second) || has_part(memory, second));
		memory->cut_after = 0;
		assert_ok(expire_once(memory, "last 1"));
		assert_false(has_part(memory, first) || has_part(memory, second) || has_record(memory, second));
		assert_true(has_record(memory, third) && has_part(memory, third));
	}
	assert_true(whole >= 5);
}

static void
test_what_is_locked_is_counted_and_keeps_its_parts(void **state)
{
	AUTO(Store) store = &memory_new()->store;
	MemoryStore *memory = (MemoryStore *) store;
	AUTO_FREE char *old = add_backup(memory, 72, 3);
	AUTO_FREE char *older = add_backup(memory, 96, 2);
	AUTO_FREE char *new = add_backup(memory, 24, 9);
	AUTO_EXPIRE_BACKUPS expire = expire_of(memory, "last 1");

	(void) state;
	memory->locked = old;
	assert_ok(expire_plan(&expire.common));
	assert_ok(expire_run(&expire.common));
	assert_true(has_record(memory, old) && has_part(memory, old));
	assert_false(has_record(memory, older) || has_part(memory, older));
	assert_true(has_record(memory, new));
	assert_int_equal(expire.common.n_stuck, 1);
	assert_int_equal(expire.common.stuck[0].objects, 1);
	assert_non_null(strstr(expire.common.stuck[0].reason, "locked until 2027"));
}

/* A set of the name "up" that ended so many hours ago, with one part of its own and, of the set that it is based on, another. */
static char *
add_set(MemoryStore *memory, int hours_ago, const char *since)
{
	AUTO(FilesRecord) record = files_record_new();
	AUTO_FREE char *part = NULL;
	AUTO_FREE char *list = NULL;

	record->stop_time = memory->now - hours_ago * INT64_C(3600) * 1000000;
	record->start_time = record->stop_time - 60000000;
	record->id = layout_backup_id(record->start_time, 1);
	record->system_identifier = SYSTEM_ID;
	record->name = mem_strdup("up");
	record->since = mem_strdup(since);
	record->codec = mem_strdup("zstd");
	record->walship_version = mem_strdup("0.1.0");
	record->list = (FilesListObject){.name = mem_strdup("list.zst"), .raw_size = 4, .stored_size = 4};
	record->parts = NEW_ARRAY(FilesPart, 2);
	if (since != NULL)
		record->parts[record->n_parts++] =
			(FilesPart){mem_strdup(since), mem_strdup("files-0001.tar.zst"), 4, 4, {0}};
	record->parts[record->n_parts++] =
		(FilesPart){mem_strdup(record->id), mem_strdup("files-0001.tar.zst"), 4, 4, {0}};
	part = mem_printf("%" PRIu64 "/files/up/%s/files-0001.tar.zst", SYSTEM_ID, record->id);
	list = mem_printf("%" PRIu64 "/files/up/%s/list.zst", SYSTEM_ID, record->id);
	set_object(memory, part, "part", 4, record->stop_time);
	set_object(memory, list, "list", 4, record->stop_time);
	assert_ok(files_record_write(&memory->store, record));
	return mem_strdup(record->id);
}

static bool
has_of_set(MemoryStore *memory, const char *id, const char *name)
{
	AUTO_FREE char *key = mem_printf("%" PRIu64 "/files/up/%s/%s", SYSTEM_ID, id, name);

	return find(memory, key) != NULL;
}

static void
test_a_set_whose_record_is_locked_keeps_what_it_needs_of_another(void **state)
{
	AUTO(Store) store = &memory_new()->store;
	MemoryStore *memory = (MemoryStore *) store;
	AUTO_FREE char *old = add_set(memory, 72, NULL);
	AUTO_FREE char *based = add_set(memory, 48, old);
	AUTO_FREE char *new = add_set(memory, 24, NULL);
	AUTO_EXPIRE_RECORDS expire = {.common = {.kind = &expire_of_files,
	                                         .store = store,
	                                         .system_identifier = SYSTEM_ID,
	                                         .force = true,
	                                         .jobs = 1}};
	AUTO_FREE char *locked = mem_printf("%s/files.json", based);

	(void) state;
	assert_ok(retention_parse("last 1", &expire.common.policy));
	memory->locked = locked;
	assert_ok(expire_plan(&expire.common));
	assert_int_equal(expire.groups[0].plan->removed, 2);
	assert_ok(expire_run(&expire.common));
	assert_true(has_of_set(memory, based, "files.json") && has_of_set(memory, based, "files-0001.tar.zst"));
	assert_true(has_of_set(memory, old, "files-0001.tar.zst"));
	assert_true(has_of_set(memory, new, "files.json") && has_of_set(memory, new, "list.zst"));
	assert_int_equal(expire.common.n_stuck, 1);
}

typedef struct LockCase
{
	const char *answer;
	const char *reason;
	const char *first; /* NULL: the answer does not tell */
	const char *last;
} LockCase;

/* Of three objects. */
static const LockCase lock_cases[] = {
	{"Object 'b/KEY' is subject to bucket's retention policy and cannot be deleted, overwritten or archived until "
     "2027-05-DAYT23:15:42.507463461-08:00 (AccessDenied, HTTP 403)",
     "Object 'b/' is subject to bucket's retention policy and cannot be deleted, overwritten or archived "
     "(AccessDenied, HTTP 403)",
     "2027-05-02T07:15:42.507463Z", "2027-05-04T07:15:42.507463Z"},
	{"could not remove \"KEY\": KEY is held until 2027-05-01T00:00:00Z.", "could not remove \"\":  is held.",
     "2027-05-01T00:00:00Z", "2027-05-01T00:00:00Z"},
	{"could not remove \"KEY\": Access Denied (AccessDenied, HTTP 403, request id REQUEST, host id REQUEST)",
     "could not remove \"\": Access Denied (AccessDenied, HTTP 403)", NULL, NULL},
	{"wait until the store is mended, until 9999, until ",
     "wait until the store is mended, until 9999, until ", NULL, NULL},
};

static void
test_until_when_it_is_locked(void **state)
{
	(void) state;
	for (size_t i = 0; i < lengthof(lock_cases); i++)
	{
		const LockCase *row = &lock_cases[i];
		AUTO(Store) store = &memory_new()->store;
		MemoryStore *memory = (MemoryStore *) store;
		free(add_backup(memory, 72, 3));
		free(add_backup(memory, 96, 2));
		free(add_backup(memory, 120, 1));
		free(add_backup(memory, 24, 9));
		AUTO_EXPIRE_BACKUPS expire = expire_of(memory, "last 1");
		char text[TIME_TEXT_SIZE];

		memory->locked = "backup.json";
		memory->answer = row->answer;
		assert_ok(expire_plan(&expire.common));
		assert_ok(expire_run(&expire.common));
		assert_int_equal(expire.common.n_stuck, 1);
		assert_int_equal(expire.common.stuck[0].objects, 3);
		assert_string_equal(expire.common.stuck[0].reason, row->reason);
		assert_int_equal(expire.common.stuck[0].locked_until == TIME_NONE, row->first == NULL);
		assert_int_equal(expire.common.stuck[0].locked_longest == TIME_NONE, row->last == NULL);
		if (row->first == NULL)
			continue;
		assert_string_equal(time_format_utc(expire.common.stuck[0].locked_until, text), row->first);
		assert_string_equal(time_format_utc(expire.common.stuck[0].locked_longest, text), row->last);
	}
}

/* That is when it is needed most. */
static void
test_a_store_that_is_full_is_emptied(void **state)
{
	AUTO(Store) store = &memory_new()->store;
	MemoryStore *memory = (MemoryStore *) store;
	AUTO_FREE char *old = add_backup(memory, 48, 5);
	AUTO_FREE char *new = add_backup(memory, 24, 9);

	(void) state;
	memory->full = true;
	assert_ok(expire_once(memory, "last 1"));
	assert_false(has_record(memory, old) || has_part(memory, old));
	assert_true(has_record(memory, new) && has_part(memory, new));
}

static void
test_uploads_that_never_ended_are_named(void **state)
{
	AUTO(Store) store = &memory_new()->store;
	MemoryStore *memory = (MemoryStore *) store;
	free(add_backup(memory, 72, 3));
	free(add_backup(memory, 24, 9));
	AUTO_EXPIRE_BACKUPS expire = expire_of(memory, "last 1");

	(void) state;
	assert_ok(expire_plan(&expire.common));
	assert_ok(expire_run(&expire.common));
	assert_int_equal(expire.common.removed_uploads.count, 1);
	assert_non_null(strstr(expire.common.removed_uploads.items[0], "/base/x/base-0001.tar.br"));
}

/* What came damaged is read again: three times wrong is what lies there. */
static void
test_one_damaged_read_of_a_small_object_is_not_believed(void **state)
{
	(void) state;
	for (int damaged = 0; damaged <= 3; damaged++)
	{
		AUTO(Store) store = &memory_new()->store;
		MemoryStore *memory = (MemoryStore *) store;
		AUTO_BUF(text, SEALED_JSON_MAX);

		free(add_backup(memory, 72, 3));
		free(add_backup(memory, 24, 9));
		assert_ok(expire_once(memory, "last 1"));
		memory->damaged_reads = damaged;
		for (size_t i = 0; i < memory->count; i++)
			if (strstr(memory->objects[i].key, "/proof/") != NULL)
			{
				Error *error = sealed_text_get(store, memory->objects[i].key, &text);

				assert_true(damaged < 3 ? error == NULL : error_is(error, ERR_CORRUPT));
				assert_true(error == NULL || strstr(error_message(error), memory->objects[i].key) != NULL);
				error_free(error);
				break;
			}
		assert_int_equal(memory->damaged_reads, 0);
	}
}

static void
test_two_at_the_same_time(void **state)
{
	AUTO(Store) store = &memory_new()->store;
	MemoryStore *memory = (MemoryStore *) store;
	AUTO_FREE char *old = add_backup(memory, 72, 3);
	AUTO_FREE char *new = add_backup(memory, 24, 9);
	AUTO_EXPIRE_BACKUPS first = expire_of(memory, "last 1");
	AUTO_EXPIRE_BACKUPS second = expire_of(memory, "last 1");

	(void) state;
	assert_ok(expire_plan(&first.common));
	assert_ok(expire_plan(&second.common));
	assert_ok(expire_run(&first.common));
	assert_ok(expire_run(&second.common));
	assert_false(has_record(memory, old) || has_part(memory, old));
	assert_true(has_record(memory, new) && has_part(memory, new));
}

static void
test_a_clock_that_is_wrong(void **state)
{
	AUTO(Store) store = &memory_new()->store;
	MemoryStore *memory = (MemoryStore *) store;
	AUTO_FREE char *old = add_backup(memory, 72, 3);
	AUTO_FREE char *new = add_backup(memory, 24, 9);
	size_t removals = memory->removals;

	(void) state;
	memory->now += 2 * INT64_C(3600) * 1000000;
	assert_error(expire_once(memory, "last 1"), ERR_EXISTS, "this machine's clock");
	assert_true(has_record(memory, old) && has_record(memory, new));
	assert_int_equal(memory->removals - removals, 1); /* its own lease */
}

/* WALSHIP_TEST_BACKUPS and WALSHIP_TEST_SEGMENTS: 10000 and 2000000 make the figure. */
static void
test_a_large_archive_takes_little(void **state)
{
	AUTO(Store) store = &memory_new()->store;
	MemoryStore *memory = (MemoryStore *) store;
	uint64_t backups = 500;
	uint64_t segments = 100000;
	int64_t began;
	struct rusage usage;

	(void) state;
	if (getenv("WALSHIP_TEST_BACKUPS") != NULL)
		assert_true(str_to_uint64(getenv("WALSHIP_TEST_BACKUPS"), &backups));
	if (getenv("WALSHIP_TEST_SEGMENTS") != NULL)
		assert_true(str_to_uint64(getenv("WALSHIP_TEST_SEGMENTS"), &segments));
	memory->segments = segments;
	for (uint64_t i = 0; i < backups; i++)
		free(add_backup(memory, (int) (24 * (backups - i)), segments * (i + 1) / (backups + 1)));

	AUTO_EXPIRE_BACKUPS expire = expire_of(memory, "window 7d, daily 7, weekly 4, monthly 12, yearly 3");

	began = clock_monotonic_ms();
	memory->requests = 0;
	assert_ok(expire_plan(&expire.common));
	assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
	print_message("%" PRIu64 " backups, %" PRIu64 " segments: planned in %" PRId64
	              " ms, %zu requests, %ld KiB at most; %zu backups and %" PRIu64 " segments would go\n",
	              backups, segments, clock_monotonic_ms() - began, memory->requests, usage.ru_maxrss,
	              expire.plan->removed_backups, expire.plan->removed_segments);
	assert_true(expire.plan->removed_backups > backups / 2 && expire.plan->removed_segments > segments / 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_reader_that_came_just_before_goes_on_reading),
		cmocka_unit_test(test_a_pin_that_is_damaged_or_another_ones_keeps_what_its_name_says),
		cmocka_unit_test(test_cut_short_anywhere_the_next_run_goes_on),
		cmocka_unit_test(test_what_is_locked_is_counted_and_keeps_its_parts),
		cmocka_unit_test(test_a_set_whose_record_is_locked_keeps_what_it_needs_of_another),
		cmocka_unit_test(test_until_when_it_is_locked),
		cmocka_unit_test(test_a_store_that_is_full_is_emptied),
		cmocka_unit_test(test_uploads_that_never_ended_are_named),
		cmocka_unit_test(test_one_damaged_read_of_a_small_object_is_not_believed),
		cmocka_unit_test(test_two_at_the_same_time),
		cmocka_unit_test(test_a_clock_that_is_wrong),
		cmocka_unit_test(test_a_large_archive_takes_little),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
