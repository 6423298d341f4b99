/* Can what is stored from now on be read again? */
#include "check_encryption.h"

#include <string.h>

#include "keys.h"
#include "walship/archive/catalog.h"
#include "walship/archive/layout.h"
#include "walship/archive/readable.h"
#include "walship/archive/wal_object.h"
#include "walship/backup/restore.h"
#include "walship/base/crypto.h"
#include "walship/base/mem.h"
#include "walship/pipe/stages.h"

/* Two chunks and a bit. */
#define PROBE_SIZE (150 * 1024)
#define SEALED_MAX (2 * PROBE_SIZE)

static Error *
encrypt(const AgeRecipients *recipients, const char *probe, Buf *sealed)
{
	AUTO(Pipe) pipe = pipe_new();

	age_add_encoder(pipe, recipients);
	pipe_add(pipe, buf_sink_new(sealed));
	TRY(pipe_write(pipe, probe, PROBE_SIZE));
	return pipe_finish(pipe);
}

static Error *
decrypt(const AgeIdentities *identities, const Buf *sealed, Buf *opened)
{
	AUTO(Pipe) pipe = pipe_new();

	pipe_add(pipe, age_decoder_new(identities, "what was encrypted"));
	pipe_add(pipe, buf_sink_new(opened));
	TRY(pipe_write(pipe, sealed->data, sealed->size));
	return pipe_finish(pipe);
}

static Error *
round_trip(const AgeRecipients *recipients, const AgeIdentities *identities)
{
	AUTO_FREE char *probe = mem_alloc(PROBE_SIZE);
	AUTO_BUF(sealed, SEALED_MAX);
	AUTO_BUF(opened, SEALED_MAX);

	random_bytes(probe, PROBE_SIZE);
	TRY(encrypt(recipients, probe, &sealed));
	if (!age_identities_any(identities))
		return NULL;
	TRY(age_check_identities(identities, age_recipients_fingerprints(recipients),
	                         "what is stored from now on"));
	TRY(decrypt(identities, &sealed, &opened));
	if (opened.size != PROBE_SIZE || memcmp(opened.data, probe, PROBE_SIZE) != 0)
		return error_new(ERR_CORRUPT, "what was encrypted does not decrypt to the same");
	return NULL;
}

static char *
describe(const AgeRecipients *recipients, const AgeIdentities *identities)
{
	if (recipients == NULL && !age_identities_any(identities))
		return mem_strdup("not set up: WAL and backups are stored as they are");
	if (recipients == NULL)
		return mem_strdup("not set up, but there are keys to read what was encrypted");
	if (!age_identities_any(identities))
		return mem_printf("for %s; this host can only encrypt: it has no secret key",
		                  age_recipients_fingerprints(recipients));
	return mem_printf("for %s; encrypted and decrypted again", age_recipients_fingerprints(recipients));
}

Error *
check_encryption(const Settings *settings, char **ret_detail)
{
	AUTO(AgeRecipients) recipients = NULL;
	AUTO(AgeIdentities) identities = NULL;

	TRY(keys_recipients(settings, &recipients));
	TRY(keys_identities(settings, &identities));
	if (recipients != NULL)
		TRY(round_trip(recipients, identities));
	*ret_detail = describe(recipients, identities);
	return NULL;
}

/* Of all stored segments, in the order of timelines and numbers. */
static void
nth_segment(const Catalog *catalog, uint64_t n, TimeLineID *ret_timeline, XLogSegNo *ret_segno)
{
	for (size_t i = 0; i < catalog->n_timelines; i++)
		for (size_t j = 0; j < catalog->timelines[i].n_runs; j++)
		{
			const SegmentRun *run = &catalog->timelines[i].runs[j];
			uint64_t length = run->last - run->first + 1;

			*ret_timeline = catalog->timelines[i].timeline;
			*ret_segno = run->first + n;
			if (n < length)
				return;
			n -= length;
		}
}

static uint64_t
count_segments(const Catalog *catalog)
{
	uint64_t count = 0;

	for (size_t i = 0; i < catalog->n_timelines; i++)
		for (size_t j = 0; j < catalog->timelines[i].n_runs; j++)
			count += catalog->timelines[i].runs[j].last - catalog->timelines[i].runs[j].first + 1;
	return count;
}

static Error *
read_nth_index(Store *store, const Catalog *catalog, uint64_t n, WalIndex *ret_index)
{
	TimeLineID timeline = 0;
	XLogSegNo segno = 0;

	nth_segment(catalog, n, &timeline, &segno);

	WalName name = wal_name_of_segment(timeline, segno, catalog->segment_size);
	AUTO_FREE char *key = layout_wal_key(catalog->system_identifier, &name, NULL);

	return wal_object_index(store, key, ret_index);
}

/* The first one that is encrypted, as if all after it were; "count" when none is.  Damaged ones count as encrypted. */
static Error *
find_first_encrypted(Store *store, const Catalog *catalog, uint64_t count, uint64_t *ret_n)
{
	uint64_t low = 0;
	uint64_t high = count;

	while (low < high)
	{
		uint64_t middle = low + (high - low) / 2;
		WalIndex index;
		AUTO(Error) error = read_nth_index(store, catalog, middle, &index);

		if (error != NULL && !error_is(error, ERR_CORRUPT) && !error_is(error, ERR_NOT_FOUND))
			return MOVE(error);
		if (error != NULL || index.recipients[0] != '\0')
			high = middle;
		else
			low = middle + 1;
	}
	*ret_n = low;
	return NULL;
}

/* What reading would say of all backups and of the newest segment. */
static Error *
check_claims(Store *store, const Catalog *catalog, const AgeIdentities *identities, uint64_t segments)
{
	WalIndex index;
	Error *error = NULL;

	for (size_t i = 0; i < catalog->n_backups && error == NULL; i++)
		error = restore_check_keys(store, catalog->backups[i], identities);
	if (error == NULL && segments > 0)
		error = read_nth_index(store, catalog, segments - 1, &index);
	if (error == NULL && segments > 0)
	{
		AUTO_FREE char *what = mem_printf("WAL segment \"%s\"", index.segment);

		error = readable_check(store, catalog->system_identifier, identities,
		                       &(ReadableClaim){.what = what,
		                                        .recipients = index.recipients,
		                                        .timeline = index.timeline,
		                                        .start_lsn = index.start_lsn,
		                                        .segment_size = index.segment_size});
	}

	/* A key that is not here is no fault: a host that archives needs none. */
	if (!error_is(error, ERR_DENIED))
		return error;
	error_free(error);
	return NULL;
}

/* Up to where is it plain?  By segments, or where there are none, by backups; InvalidXLogRecPtr: nothing is. */
static Error *
find_plain_end(Store *store, const Catalog *catalog, uint64_t segments, XLogRecPtr *ret_end)
{
	uint64_t plain = 0;
	WalIndex last;

	*ret_end = InvalidXLogRecPtr;
	for (size_t i = 0; i < catalog->n_backups; i++)
		if (catalog->backups[i]->recipients[0] == '\0' && catalog->backups[i]->start_lsn >= *ret_end)
			*ret_end = catalog->backups[i]->start_lsn + 1;
	TRY(find_first_encrypted(store, catalog, segments, &plain));
	if (plain == 0)
		return NULL;
	TRY(read_nth_index(store, catalog, plain - 1, &last));
	if (last.end_lsn > *ret_end)
		*ret_end = last.end_lsn;
	return NULL;
}

Error *
check_stored_encryption(const Settings *settings, Store *store, uint64_t system_identifier, char **ret_detail,
                        char **ret_hint)
{
	AUTO(AgeIdentities) identities = NULL;
	AUTO(Catalog) catalog = NULL;
	XLogRecPtr plain_end;
	char lsn[LSN_TEXT_SIZE];

	*ret_detail = *ret_hint = NULL;
	TRY(keys_identities(settings, &identities));
	if (identities == NULL)
		return NULL;
	TRY(catalog_read(store, system_identifier, (int) settings_integer(settings, SETTING_jobs), &catalog));

	uint64_t segments = count_segments(catalog);

	TRY(check_claims(store, catalog, identities, segments));
	TRY(find_plain_end(store, catalog, segments, &plain_end));
	if (plain_end == InvalidXLogRecPtr)
		*ret_detail = mem_strdup("encrypted, as far as was looked at");
	else
		*ret_detail = mem_printf("not encrypted before %s", lsn_format(plain_end, lsn));
	AgePlainRule rule = age_identities_plain(identities);

	if (rule.accept == AGE_PLAIN_BEFORE && plain_end > rule.before)
		*ret_hint = mem_printf("accept_plain ends before that: what is not encrypted in between is refused.");
	else if (rule.accept == AGE_PLAIN_REFUSED && plain_end != InvalidXLogRecPtr)
		*ret_hint =
			mem_printf("accept_plain is off: it is refused. To read it: accept_plain = before %s.", lsn);
	else if (rule.accept == AGE_PLAIN_OLDER && plain_end != InvalidXLogRecPtr)
		*ret_hint =
			mem_printf("Set accept_plain = before %s: the next version refuses what is not encrypted.", lsn);
	return NULL;
}
