/* Contents of backups: every object is read, and every file checked against the manifest. */
#include <string.h>

#include "verify_steps.h"
#include "walship/archive/layout.h"
#include "walship/archive/lease.h"
#include "walship/backup/restore.h"
#include "walship/base/mem.h"
#include "walship/base/workers.h"

void
deep_add(DeepVerify *deep, Finding finding)
{
	(void) pthread_mutex_lock(&deep->mutex);
	verify_add(deep->verify, finding);
	(void) pthread_mutex_unlock(&deep->mutex);
}

void
deep_count(DeepVerify *deep, bool segment, uint64_t stored_size, bool locked)
{
	VerifyReads *reads = &deep->verify->reads;

	(void) pthread_mutex_lock(&deep->mutex);
	reads->objects += !segment;
	reads->segments += segment;
	reads->stored_size += stored_size;
	reads->locked += locked;
	(void) pthread_mutex_unlock(&deep->mutex);
}

void
deep_count_bytes(void *context, uint64_t bytes)
{
	const Verify *verify = ((DeepVerify *) context)->verify;

	if (verify->on_bytes != NULL)
		verify->on_bytes(verify->on_bytes_context, bytes);
}

/* One backup that is read. */
typedef struct BackupLook
{
	DeepVerify *deep;
	const BackupRecord *record;
	char *prefix;
	Codec codec;
	bool locked; /* there is no key for it, or it is not to be believed: its stored bytes alone are hashed */
	bool again;  /* for the second time: only the suspects */
	StrList suspects; /* names of objects that were not what they should be when they were read once */
	StrList faulty;   /* ... and when they were read again */
} BackupLook;

static void
look_release(BackupLook *look)
{
	free(look->prefix);
	strlist_release(&look->suspects);
	strlist_release(&look->faulty);
}

#define AUTO_LOOK __attribute__((cleanup(look_release))) BackupLook

static bool
is_chosen(const BackupLook *look, const char *name)
{
	AUTO_FREE char *key = mem_printf("%s%s", look->prefix, name);

	return verify_chooses(&look->deep->verify->choice, key, look->record->stop_time);
}

static void
add_fault(const BackupLook *look, FindingObject object, const char *name, const char *reason)
{
	deep_add(look->deep, (Finding){.kind = FINDING_CORRUPT,
	                               .object = object,
	                               .key = mem_printf("%s%s", look->prefix, name),
	                               .backup = mem_strdup(look->record->id),
	                               .reason = mem_strdup(reason)});
}

static void
submit_object(Workers *workers, BackupLook *look, FindingObject object, const char *name, uint64_t raw_size,
              uint64_t stored_size, const uint8_t *sha256)
{
	if (name == NULL || !is_chosen(look, name))
		return;

	AUTO_FREE char *key = mem_printf("%s%s", look->prefix, name);
	StoredObjectLook stored = {.deep = look->deep,
	                           .object = object,
	                           .key = key,
	                           .owner = look->record->id,
	                           .codec = look->codec,
	                           .encrypted = look->record->recipients[0] != '\0',
	                           .locked = look->locked,
	                           .raw_size = raw_size,
	                           .stored.size = stored_size};

	memcpy(stored.stored.sha256, sha256, SHA256_SIZE);
	deep_submit_stored(workers, &stored);
}

/* "by_itself": also parts and the manifest, which else are read together. */
static Error *
read_objects(BackupLook *look, bool by_itself)
{
	const BackupRecord *record = look->record;
	AUTO(Workers) workers = workers_new(look->deep->verify->jobs);

	for (size_t i = 0; i < record->n_parts && by_itself; i++)
		submit_object(workers, look, FINDING_OF_PART, record->parts[i].name, record->parts[i].raw_size,
		              record->parts[i].stored_size, record->parts[i].stored_sha256);
	if (by_itself)
		submit_object(workers, look, FINDING_OF_MANIFEST, record->manifest_name, record->manifest_raw_size,
		              record->manifest_stored_size, record->manifest_sha256);
	submit_object(workers, look, FINDING_OF_CONFIG, record->config.name, record->config.raw_size,
	              record->config.stored_size, record->config.stored_sha256);
	submit_object(workers, look, FINDING_OF_MAP, record->map.name, record->map.raw_size,
	              record->map.stored_size, record->map.stored_sha256);
	return workers_wait(workers);
}

/* ---- parts with their manifest ---- */

static bool
is_wanted(void *context, const char *name)
{
	const BackupLook *look = context;
	bool has_read_parts = !strlist_contains(&look->suspects, look->record->manifest_name);

	return look->again && has_read_parts ? strlist_contains(&look->suspects, name) : is_chosen(look, name);
}

/* The network may have done it: what is read twice with a fault has it. */
static void
note_fault(void *context, const char *name, const Error *error)
{
	BackupLook *look = context;
	const BackupRecord *record = look->record;

	if (name == NULL)
	{
		add_fault(look, FINDING_OF_BACKUP, "", error_message(error));
		return;
	}
	if (look->again)
		add_fault(look, str_equal(name, record->manifest_name) ? FINDING_OF_MANIFEST : FINDING_OF_PART, name,
		          error_message(error));
	(void) pthread_mutex_lock(&look->deep->mutex);
	strlist_add(look->again ? &look->faulty : &look->suspects, name);
	(void) pthread_mutex_unlock(&look->deep->mutex);
}

static Error *
read_by_manifest(BackupLook *look)
{
	const BackupRecord *record = look->record;
	const Verify *verify = look->deep->verify;
	AUTO_FREE RestoreTablespace *tablespaces = NEW_ARRAY(RestoreTablespace, record->n_tablespaces);
	bool all = verify->choice.sample_ppm == 0 && verify->choice.rotate == 0;
	RestoreOptions options = {.store = verify->store,
	                          .record = record,
	                          .identities = verify->identities,
	                          .tablespaces = tablespaces,
	                          .n_tablespaces = record->n_tablespaces,
	                          .with_wal = true,
	                          .jobs = verify->jobs,
	                          .on_bytes = deep_count_bytes,
	                          .on_bytes_context = look->deep,
	                          .on_fault = note_fault,
	                          .wanted = all ? NULL : is_wanted,
	                          .context = look};

	for (size_t i = 0; i < record->n_tablespaces; i++)
		tablespaces[i].oid = record->tablespaces[i].oid;
	TRY(restore_backup(&options));
	if (look->suspects.count == 0)
		return NULL;
	look->again = true;
	options.wanted = is_wanted;
	return restore_backup(&options);
}

static void
count_parts(const BackupLook *look)
{
	const BackupRecord *record = look->record;

	deep_count(look->deep, false, record->manifest_stored_size, false);
	for (size_t i = 0; i < record->n_parts; i++)
		if (is_chosen(look, record->parts[i].name))
			deep_count(look->deep, false, record->parts[i].stored_size, false);
}

/* Without its manifest each part is still what the record says, or not. */
static Error *
read_whole(BackupLook *look)
{
	Error *error = read_by_manifest(look);

	if (error_is(error, ERR_CORRUPT))
	{
		add_fault(look, FINDING_OF_BACKUP, "", error_message(error));
		error_free(error);
		return NULL;
	}
	TRY(error);
	if (strlist_contains(&look->faulty, look->record->manifest_name))
		return read_objects(look, true);
	count_parts(look);
	return read_objects(look, false);
}

static bool
chooses_any(const BackupLook *look)
{
	const BackupRecord *record = look->record;
	bool any = is_chosen(look, record->manifest_name) ||
	           (record->config.name != NULL && is_chosen(look, record->config.name)) ||
	           (record->map.name != NULL && is_chosen(look, record->map.name));

	for (size_t i = 0; i < record->n_parts && !any; i++)
		any = is_chosen(look, record->parts[i].name);
	return any;
}

/* The lease first, then the record: as everybody who reads for long. */
static Error *
read_backup(DeepVerify *deep, const BackupRecord *record)
{
	const Verify *verify = deep->verify;
	AUTO_LOOK look = {.deep = deep,
	                  .record = record,
	                  .prefix = layout_backup_prefix(verify->system_identifier, record->id)};
	AUTO_FREE char *key = layout_backup_record_key(verify->system_identifier, record->id);
	StoreEntry entry;

	if (!chooses_any(&look))
		return NULL;

	AUTO(LeaseHold) lease = lease_hold(verify->store, verify->system_identifier,
	                                   &(LeaseOn){.kind = "verify", .backup = record->id}, &verify->notices);
	AUTO(Error) gone = store_stat(verify->store, key, &entry);

	(void) lease; /* held until the return */

	if (gone != NULL)
		return error_is(gone, ERR_NOT_FOUND) ? NULL : MOVE(gone);

	/* Whether that is a fault the lists say. */
	AUTO(Error) locked = restore_check_keys(verify->store, record, verify->identities);

	if (locked != NULL && !error_is(locked, ERR_DENIED) && !error_is(locked, ERR_UNTRUSTED))
		return MOVE(locked);
	look.locked = locked != NULL || !codec_from_name(record->codec, &look.codec);
	TRY(look.locked ? read_objects(&look, true) : read_whole(&look));
	deep_note_place(deep, look.prefix, true);
	return NULL;
}

Error *
verify_deep(Verify *verify)
{
	const Catalog *catalog = verify->catalog;
	DeepVerify deep = {.verify = verify};
	Error *error = NULL;

	mem_must(pthread_mutex_init(&deep.mutex, NULL) == 0);
	for (size_t i = 0; i < catalog->n_backups && error == NULL; i++)
		if (verify->backup == NULL || str_equal(catalog->backups[i]->id, verify->backup))
			error = read_backup(&deep, catalog->backups[i]);

	/* In the order of the keys, by which a run that was broken off goes on: base/, dump/, files/, wal/. */
	if (error == NULL && verify->backup == NULL)
		error = verify_deep_named(&deep);
	if (error == NULL)
		error = verify_deep_wal(&deep);
	if (error == NULL && verify->backup == NULL)
		error = verify_deep_small(&deep);
	(void) pthread_mutex_destroy(&deep.mutex);
	return error;
}
