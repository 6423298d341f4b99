/* What a verify finds is brought back, one object after the other; see walship/upkeep/heal.h. */
#include "walship/upkeep/heal.h"

#include <stdlib.h>
#include <string.h>

#include "heal_steps.h"
#include "walship/archive/history_file.h"
#include "walship/archive/layout.h"
#include "walship/archive/lease.h"
#include "walship/base/cancel.h"
#include "walship/base/mem.h"
#include "walship/wal/label.h"

/* A record that was brought back names objects that nobody missed before, or has read: then it is looked once more. */
#define ROUNDS_MOST 4

#define HISTORY_MAX (1024 * 1024)

void
heal_release(Heal *heal)
{
	for (size_t i = 0; i < heal->n_failures; i++)
	{
		free(heal->failures[i].key);
		free(heal->failures[i].reason);
	}
	free(heal->failures);
	strlist_release(&heal->healed);
	verify_release(&heal->verify);
	*heal = (Heal){0};
}

void
heal_add_failure(Heal *heal, const char *key, char *reason)
{
	for (size_t i = 0; i < heal->n_failures; i++)
		if (strcmp(heal->failures[i].key, key) == 0)
		{
			free(reason);
			return;
		}
	GROW(heal->failures, heal->n_failures, heal->failures_capacity);
	heal->failures[heal->n_failures++] = (HealFailure){mem_strdup(key), reason};
}

bool
heal_has_none(Heal *heal, const char *key, const char *which, Error **error)
{
	if (!error_is(*error, ERR_NOT_FOUND) && !error_is(*error, ERR_CORRUPT))
		return false;
	heal_add_failure(
		heal, key,
		mem_printf("store \"%s\" has none %s: %s", store_url(heal->other), which, error_message(*error)));
	error_free(*error);
	*error = NULL;
	return true;
}

static StoreCopy
transfer_of(const Heal *heal, Store *from, Store *to)
{
	return (StoreCopy){.source = from,
	                   .target = to,
	                   .system_identifier = heal->system_identifier,
	                   .jobs = 1,
	                   .spool_directory = heal->spool_directory,
	                   .on_bytes = heal->on_bytes,
	                   .on_bytes_context = heal->on_bytes_context,
	                   .notices = heal->notices};
}

Error *
heal_bring(Heal *heal, CopyItem *item, bool replace)
{
	StoreCopy transfer = transfer_of(heal, heal->other, heal->store);
	StoreCopy look = transfer_of(heal, heal->store, NULL);
	StoreEntry there;
	Error *error = NULL;

	if (replace)
	{
		error = copy_check_object(&look, item);
		if (error == NULL)
			return NULL;
		if (!error_is(error, ERR_CORRUPT))
			return error;
		error_free(error);
	}
	error = store_stat(heal->other, item->key, &there);
	if (error == NULL && heal->dry_run)
	{
		strlist_add(&heal->healed, item->key);
		return NULL;
	}
	item->size = there.size;
	item->mode = replace ? PUT_REPLACE : PUT_IF_ABSENT;
	if (error == NULL)
		error = copy_send_object(&transfer, item);

	/* Somebody else has brought it, or pushed it late. */
	if (error_is(error, ERR_EXISTS))
	{
		error_free(error);
		return NULL;
	}
	if (heal_has_none(heal, item->key, "that is whole", &error))
		return NULL;
	if (error == NULL)
		strlist_add(&heal->healed, item->key);
	return error_context(error, "could not bring back \"%s\"", item->key);
}

/* ---- WAL ---- */

static Error *
heal_segments(Heal *heal, const Finding *finding)
{
	uint32_t segment_size = heal->verify.catalog->segment_size;
	bool replace = finding->kind != FINDING_GAP && finding->kind != FINDING_MISSING;

	if (finding->object == FINDING_OF_PARTIAL)
		return heal_bring(heal, &(CopyItem){.kind = STORE_COPY_WAL, .key = finding->key}, replace);
	for (XLogSegNo segno = finding->wal.first; segno <= finding->wal.last; segno++)
	{
		WalName name = wal_name_of_segment(finding->wal.timeline, segno, segment_size);
		AUTO_FREE char *key = layout_wal_key(heal->system_identifier, &name, NULL);

		TRY(cancel_check());
		TRY(heal_bring(heal, &(CopyItem){.kind = STORE_COPY_WAL, .key = key}, replace));
	}
	return NULL;
}

static Error *
read_text(Store *store, const char *key, Buf *text)
{
	AUTO(Sink) sink = buf_sink_new(text);

	return store_get(store, key, 0, STORE_TO_END, sink);
}

/* *ret_put: it had other contents, or none. */
static Error *
put_text(Heal *heal, const char *key, const Buf *text)
{
	AUTO_BUF(ours, HISTORY_MAX);
	Error *error = read_text(heal->store, key, &ours);
	bool absent = error_is(error, ERR_NOT_FOUND);
	Slice slice = slice_of_memory(text->data, text->size);

	if (absent || error_is(error, ERR_CORRUPT))
	{
		error_free(error);
		error = NULL;
	}
	TRY(error);
	if (!absent && ours.size == text->size && memcmp(ours.data, text->data, text->size) == 0)
		return NULL;
	strlist_add(&heal->healed, key);
	return heal->dry_run ? NULL
	                     : store_put(heal->store, key, &slice, 1, absent ? PUT_IF_ABSENT : PUT_REPLACE);
}

/*
 * File and digest together, for which of the two is damaged nobody can tell.  The WAL
 * has a say: another store may have the history of another promotion to this timeline.
 */
static Error *
heal_history(Heal *heal, const Finding *finding)
{
	TimeLineID timeline = finding->wal.timeline;
	WalArchive archive = {.store = heal->store, .system_identifier = heal->system_identifier};
	AUTO_FREE char *digest_key = layout_history_digest_key(heal->system_identifier, timeline);
	AUTO(TimelineHistory) history = NULL;
	AUTO_BUF(text, HISTORY_MAX);
	AUTO_BUF(digest, HISTORY_MAX);
	bool has_digest = false;
	Error *error =
		history_text_get(heal->other, heal->system_identifier, timeline, &text, &history, &has_digest);

	if (error == NULL)
		error = history_check_wal(&archive, history, heal->verify.catalog->segment_size);
	if (error == NULL && has_digest)
		error = read_text(heal->other, digest_key, &digest);
	if (heal_has_none(heal, finding->key, "to be believed", &error))
		return NULL;
	TRY(error);
	TRY(put_text(heal, finding->key, &text));
	return has_digest ? put_text(heal, digest_key, &digest) : NULL;
}

static Error *
heal_backup_file(Heal *heal, const Finding *finding)
{
	AUTO_BUF(text, HISTORY_MAX);
	XLogRecPtr start;
	Error *error = read_text(heal->other, finding->key, &text);

	if (error == NULL)
		error = backup_file_parse(text.data, text.size, &start);
	if (heal_has_none(heal, finding->key, "that is whole", &error))
		return NULL;
	TRY(error);
	return put_text(heal, finding->key, &text);
}

/* ---- backups ---- */

static Error *
heal_record(Heal *heal, const Finding *finding)
{
	AUTO(BackupRecord) record = NULL;
	Error *error = catalog_read_record(heal->other, heal->system_identifier, finding->backup, &record);

	if (heal_has_none(heal, finding->key, "that is whole", &error))
		return NULL;
	TRY(error);

	/* A record of another backup has a seal that fits, too: so it is not asked once more whether it is damaged. */
	CopyItem item = {
		.kind = STORE_COPY_RECORDS, .key = finding->key, .foreign = finding->kind == FINDING_FOREIGN};

	return heal_bring(heal, &item, true);
}

/* As this store's own record has it, and not the other one's. */
static bool
find_digest(const BackupRecord *record, const char *name, Digest *ret_digest)
{
	const struct
	{
		const char *name;
		const uint8_t *sha256;
		uint64_t size;
	} others[] = {{record->manifest_name, record->manifest_sha256, record->manifest_stored_size},
	              {record->config.name, record->config.stored_sha256, record->config.stored_size},
	              {record->map.name, record->map.stored_sha256, record->map.stored_size}};

	for (size_t i = 0; i < record->n_parts; i++)
		if (strcmp(record->parts[i].name, name) == 0)
		{
			ret_digest->size = record->parts[i].stored_size;
			memcpy(ret_digest->sha256, record->parts[i].stored_sha256, SHA256_SIZE);
			return true;
		}
	for (size_t i = 0; i < lengthof(others); i++)
		if (str_equal(others[i].name, name))
		{
			ret_digest->size = others[i].size;
			memcpy(ret_digest->sha256, others[i].sha256, SHA256_SIZE);
			return true;
		}
	return false;
}

static Error *
heal_object_of(Heal *heal, const Finding *finding, const BackupRecord *record)
{
	Digest digest;

	if (!find_digest(record, strrchr(finding->key, '/') + 1, &digest))
		return NULL;
	return heal_bring(heal, &(CopyItem){.kind = STORE_COPY_PARTS, .key = finding->key, .digest = &digest},
	                  finding->kind != FINDING_MISSING);
}

/*
 * What belongs to a backup: the lease, then the record.  When that is gone, an expire has
 * removed the backup since it was looked at, and nothing of it may come back.
 */
static Error *
heal_for_backup(Heal *heal, const Finding *finding)
{
	LeaseOn on = {.kind = "heal", .backup = finding->backup};
	AUTO(BackupRecord) record = NULL;
	AUTO(LeaseHold) hold = NULL;
	Error *error;

	if (!heal->dry_run)
		hold = lease_hold(heal->store, heal->system_identifier, &on, &heal->notices);
	error = catalog_read_record(heal->store, heal->system_identifier, finding->backup, &record);
	if (error_is(error, ERR_NOT_FOUND))
	{
		error_free(error);
		return NULL;
	}
	TRY(error);
	return finding->object == FINDING_OF_SEGMENT ? heal_segments(heal, finding)
	                                             : heal_object_of(heal, finding, record);
}

static Error *
heal_finding(Heal *heal, const Finding *finding)
{
	if (finding->kind != FINDING_MISSING && finding->kind != FINDING_TRUNCATED &&
	    finding->kind != FINDING_CORRUPT && finding->kind != FINDING_FOREIGN && finding->kind != FINDING_GAP)
		return NULL;
	switch (finding->object)
	{
		case FINDING_OF_SEGMENT:
		case FINDING_OF_PARTIAL:
			return finding->backup == NULL ? heal_segments(heal, finding) : heal_for_backup(heal, finding);
		case FINDING_OF_HISTORY:
			return heal_history(heal, finding);
		case FINDING_OF_RECORD:
			return heal_record(heal, finding);
		case FINDING_OF_PART:
		case FINDING_OF_MANIFEST:
		case FINDING_OF_CONFIG:
		case FINDING_OF_MAP:
			return heal_for_backup(heal, finding);
		case FINDING_OF_DUMP:
		case FINDING_OF_FILES:
			return heal_named(heal, finding);
		case FINDING_OF_BACKUP_FILE:
			return heal_backup_file(heal, finding);
		case FINDING_OF_PIN:
			return finding->kind != FINDING_CORRUPT
			           ? NULL
			           : heal_bring(
							 heal, &(CopyItem){.kind = STORE_COPY_PINS, .key = finding->key, .foreign = true},
							 true);
		case FINDING_OF_BACKUP:
		case FINDING_OF_KNOWN_GAP:
		case FINDING_OF_LEASE:
		case FINDING_OF_EVIDENCE:
			break;
	}
	return NULL;
}

static bool
is_record(const Finding *finding)
{
	return finding->object == FINDING_OF_RECORD || heal_is_named_record(finding);
}

/* What comes from the other store is checked on its way, and needs not be read once more. */
static Error *
look(Heal *heal, bool deep)
{
	verify_release(&heal->verify);
	heal->verify = (Verify){.store = heal->store,
	                        .system_identifier = heal->system_identifier,
	                        .identities = heal->identities,
	                        .retention = heal->retention,
	                        .zone = heal->zone,
	                        .jobs = heal->jobs,
	                        .notices = heal->notices,
	                        .deep = deep,
	                        .choice = {.newer_than = TIME_NONE},
	                        .on_bytes = heal->on_bytes,
	                        .on_bytes_context = heal->on_bytes_context};
	return verify_run(&heal->verify);
}

Error *
heal_run(Heal *heal)
{
	bool deep = heal->deep;
	size_t healed;
	int round = 0;

	do
	{
		healed = heal->healed.count;
		TRY(look(heal, deep));
		deep = false;
		for (size_t i = 0; i < heal->verify.findings.count; i++)
		{
			TRY(cancel_check());
			TRY(heal_finding(heal, &heal->verify.findings.items[i]));
			deep = deep || (heal->deep && is_record(&heal->verify.findings.items[i]));
		}
	} while (heal->healed.count > healed && !heal->dry_run && ++round < ROUNDS_MOST);
	return NULL;
}
