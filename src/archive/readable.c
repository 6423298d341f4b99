/* What this host may read; see walship/archive/readable.h. */
#include "walship/archive/readable.h"

#include <string.h>

#include "walship/archive/catalog.h"
#include "walship/archive/layout.h"
#include "walship/archive/wal_object.h"
#include "walship/base/mem.h"

static Error *
refuse(const ReadableClaim *claim)
{
	return error_hint(
		error_new(
			ERR_UNTRUSTED,
			"%s is not encrypted, but this host has keys: whoever can write to the store can have made it",
			claim->what),
		"If the archive began unencrypted, set accept_plain = before LSN; \"walship check\" says which. If it is "
		"not meant to be encrypted, set accept_plain = on.");
}

/* An object that cannot be read may have been encrypted, and damaged to hide that. */
static Error *
look_at_segment(Store *store, uint64_t system_identifier, const ReadableClaim *claim, XLogSegNo segno,
                bool *encrypted)
{
	WalName name = wal_name_of_segment(claim->timeline, segno, claim->segment_size);
	AUTO_FREE char *key = layout_wal_key(system_identifier, &name, NULL);
	WalIndex index;
	AUTO(Error) error = wal_object_index(store, key, &index);

	if (error_is(error, ERR_NOT_FOUND))
		return NULL;
	if (error != NULL && !error_is(error, ERR_CORRUPT))
		return MOVE(error);
	*encrypted |= error != NULL || index.recipients[0] != '\0';
	return NULL;
}

/* A listing is ended by an error. */
static Error *
keep_first_segment(void *context, const StoreEntry *entry)
{
	char **first = context;
	WalName name;

	if (!layout_parse_wal_key(entry->key, &name) || name.kind != WAL_SEGMENT)
		return NULL;
	*first = mem_strdup(entry->key);
	return error_new(ERR_EXISTS, "found");
}

static Error *
look_at_first_segment(Store *store, uint64_t system_identifier, const ReadableClaim *claim, bool *encrypted)
{
	AUTO_FREE char *prefix = layout_wal_prefix(system_identifier);
	AUTO_FREE char *first = NULL;
	AUTO(Error) error = store_list(store, prefix, LIST_ALL, NULL, keep_first_segment, &first);
	WalIndex index;

	if (first == NULL)
		return MOVE(error);
	error_free(error);
	error = wal_object_index(store, first, &index);
	if (error == NULL)
		*encrypted |= index.recipients[0] != '\0' && index.start_lsn <= claim->start_lsn;
	return error_is(error, ERR_CORRUPT) || error_is(error, ERR_NOT_FOUND) ? NULL : MOVE(error);
}

static Error *
look_at_backups(Store *store, uint64_t system_identifier, const ReadableClaim *claim, bool *encrypted)
{
	AUTO_STRLIST ids = {0};

	TRY(catalog_backup_ids(store, system_identifier, &ids));
	for (size_t i = 0; i < ids.count && !*encrypted; i++)
	{
		AUTO(BackupRecord) record = NULL;
		AUTO(Error) error = catalog_read_record(store, system_identifier, ids.items[i], &record);

		if (error != NULL && !error_is(error, ERR_CORRUPT) && !error_is(error, ERR_NOT_FOUND))
			return MOVE(error);
		*encrypted = record != NULL && record->recipients[0] != '\0' && record->start_lsn <= claim->start_lsn;
	}
	return NULL;
}

/* From the cheapest look to the dearest. */
static Error *
find_older_encryption(Store *store, uint64_t system_identifier, const ReadableClaim *claim,
                      bool *ret_encrypted)
{
	XLogSegNo segno = lsn_segment(claim->start_lsn, claim->segment_size);

	*ret_encrypted = false;
	if (segno > 0)
		TRY(look_at_segment(store, system_identifier, claim, segno - 1, ret_encrypted));
	if (!*ret_encrypted)
		TRY(look_at_first_segment(store, system_identifier, claim, ret_encrypted));
	if (!*ret_encrypted)
		TRY(look_at_backups(store, system_identifier, claim, ret_encrypted));
	return NULL;
}

static void
warn(const AgeIdentities *identities, const ReadableClaim *claim)
{
	AgePlainRule rule = age_identities_plain(identities);

	if (age_identities_warn_of_plain(identities))
		notice(
			&rule.notices, LOG_WARNING,
			"Set accept_plain = before LSN (\"walship check\" says which) or on: the next version refuses it. "
			"accept_plain = off refuses it now.",
			"%s is not encrypted, but this host has keys; it is believed, for nothing encrypted lies before it",
			claim->what);
}

Error *
readable_check(Store *store, uint64_t system_identifier, const AgeIdentities *identities,
               const ReadableClaim *claim)
{
	AgePlainRule rule = age_identities_plain(identities);
	bool encrypted_before;

	if (claim->recipients[0] != '\0')
		return age_check_identities(identities, claim->recipients, claim->what);
	switch (rule.accept)
	{
		case AGE_PLAIN_ACCEPTED:
			return NULL;
		case AGE_PLAIN_BEFORE:
			return claim->start_lsn < rule.before ? NULL : refuse(claim);
		case AGE_PLAIN_OLDER:
			TRY(find_older_encryption(store, system_identifier, claim, &encrypted_before));
			if (encrypted_before)
				return refuse(claim);
			warn(identities, claim);
			return NULL;
		case AGE_PLAIN_REFUSED:
			break;
	}
	return refuse(claim);
}
