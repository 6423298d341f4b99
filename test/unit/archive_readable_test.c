/* What claims not to be encrypted, where this host has keys. */
#include "walship/archive/readable.h"

#include <string.h>

#include "archive_fixture.h"
#include "walship/archive/backup_record.h"
#include "walship/archive/self_sha256.h"
#include "walship/wal/index.h"

#define SEGMENT (16u * 1024 * 1024)
#define KEYS    "age1aaaaaaaaaaaaaaaa"

/* An object of nothing but its index: no more is read. */
static void
put_segment(const Place *place, TimeLineID timeline, XLogSegNo segno, const char *recipients)
{
	WalName name = wal_name_of_segment(timeline, segno, SEGMENT);
	AUTO_FREE char *key = layout_wal_key(BUILDER_SYSTEM, &name, NULL);
	AUTO_BUF(text, WAL_OBJECT_INDEX_MAX);
	AUTO_BUF(object, OBJECT_MAX);
	WalIndex index = {.system_identifier = BUILDER_SYSTEM,
	                  .timeline = timeline,
	                  .major = 15,
	                  .segment_size = SEGMENT,
	                  .start_lsn = segment_start(segno, SEGMENT),
	                  .end_lsn = segment_start(segno + 1, SEGMENT),
	                  .stored_size = 1};
	TarEntry entry = {.type = TAR_FILE, .mode = 0600};
	uint8_t header[TAR_BLOCK_SIZE];

	(void) wal_name_format(&name, index.segment);
	(void) snprintf(index.member, sizeof(index.member), "%s.br%s", index.segment,
	                *recipients != '\0' ? ".age" : "");
	(void) snprintf(index.codec, sizeof(index.codec), "brotli");
	(void) snprintf(index.recipients, sizeof(index.recipients), "%s", recipients);
	index.first_time = index.last_time = index.min_time = index.max_time = index.time_high = TIME_NONE;
	wal_index_print(&index, &text);
	self_sha256_append(&text);
	(void) snprintf(entry.name, sizeof(entry.name), "%s.json", index.segment);
	entry.size = text.size;
	assert_ok(tar_header_format(&entry, header));
	buf_append(&object, header, sizeof(header));
	buf_append(&object, text.data, text.size);
	put_raw(place, key, object.data, object.size);
}

static void
put_damaged(const Place *place, XLogSegNo segno)
{
	WalName name = wal_name_of_segment(1, segno, SEGMENT);
	AUTO_FREE char *key = layout_wal_key(BUILDER_SYSTEM, &name, NULL);

	put_raw(place, key, "nothing", 7);
}

static void
put_backup(const Place *place, const char *id, XLogRecPtr start, const char *recipients)
{
	AUTO(BackupRecord) record = backup_record_new();
	AUTO_FREE char *key = layout_backup_record_key(BUILDER_SYSTEM, id);
	AUTO_BUF(text, BACKUP_RECORD_MAX);

	record->id = mem_strdup(id);
	record->system_identifier = BUILDER_SYSTEM;
	record->server_version = 150020;
	record->segment_size = SEGMENT;
	record->timeline = 1;
	record->start_lsn = start;
	record->stop_lsn = start + 0x100;
	record->start_time = INT64_C(1795141807000000);
	record->stop_time = INT64_C(1795141907000000);
	record->label = mem_strdup("walship");
	record->codec = mem_strdup("brotli");
	(void) snprintf(record->recipients, sizeof(record->recipients), "%s", recipients);
	record->parts = NEW_ARRAY(BackupPart, 1);
	record->parts[record->n_parts++] = (BackupPart){
		.name = mem_strdup("base-0001.tar.br"), .set = mem_strdup("base"), .raw_size = 3, .stored_size = 2};
	record->manifest_name = mem_strdup("manifest.br");
	record->parameters = (BackupParameters){100, 8, 10, 0, 64};
	record->walship_version = mem_strdup("0.1.0");
	backup_record_print(record, &text);
	self_sha256_append(&text);
	put_raw(place, key, text.data, text.size);
}

static void
count_warning(void *context, LogLevel level, const char *message, const char *hint)
{
	(void) message;
	assert_int_equal(level, LOG_WARNING);
	assert_non_null(strstr(hint, "accept_plain = before LSN"));
	++*(int *) context;
}

static Error *
claim(const Place *place, const AgeIdentities *identities, const char *recipients, TimeLineID timeline,
      XLogRecPtr start)
{
	return readable_check(place->store, BUILDER_SYSTEM, identities,
	                      &(ReadableClaim){.what = "it",
	                                       .recipients = recipients,
	                                       .timeline = timeline,
	                                       .start_lsn = start,
	                                       .segment_size = SEGMENT});
}

/* With a rule for what is not encrypted; counts warnings. */
static AgeIdentities *
host(AgePlain accept, XLogRecPtr before, int *warnings)
{
	AgeIdentities *identities = age_identities_new();

	*warnings = 0;
	age_identities_set_plain(
		identities,
		&(AgePlainRule){.accept = accept, .before = before, .notices = {count_warning, warnings}});
	return identities;
}

static void
settings_decide_whatever_the_store_says(void **state)
{
	static const struct
	{
		AgePlain accept;
		XLogRecPtr before;
		bool believed;
	} rows[] = {
		{AGE_PLAIN_ACCEPTED, 0, true},           {AGE_PLAIN_REFUSED, 0, false},
		{AGE_PLAIN_BEFORE, 10 * SEGMENT, false}, {AGE_PLAIN_BEFORE, 10 * SEGMENT + 1, true},
		{AGE_PLAIN_BEFORE, 9 * SEGMENT, false},
	};
	const Place *place = *state;
	int warnings;

	put_segment(place, 1, 1, KEYS);
	for (size_t i = 0; i < lengthof(rows); i++)
	{
		AUTO(AgeIdentities) identities = host(rows[i].accept, rows[i].before, &warnings);

		print_message("  row %zu\n", i);
		if (rows[i].believed)
			assert_ok(claim(place, identities, "", 1, 10 * SEGMENT));
		else
			assert_error(claim(place, identities, "", 1, 10 * SEGMENT), ERR_UNTRUSTED, "it is not encrypted");
		assert_int_equal(warnings, 0);
	}
	assert_ok(claim(place, NULL, "", 1, 10 * SEGMENT));
	assert_error(claim(place, NULL, KEYS, 1, 10 * SEGMENT), ERR_DENIED, KEYS);
}

typedef struct Mixed
{
	const char *name;
	const char
		*segments; /* of timeline 1, from number 5 on: 'p' plain, 'e' encrypted, 'd' damaged, '-' missing */
	TimeLineID timeline; /* of the claim */
	XLogRecPtr start;
	bool believed;
} Mixed;

static const Mixed mixed[] = {
	{"nothing is there", "", 1, 7 * SEGMENT, true},
	{"everything is plain", "ppp", 1, 7 * SEGMENT, true},
	{"it began plain, and this is from then", "pppee", 1, 7 * SEGMENT, true},
	{"likewise the first", "pppee", 1, 5 * SEGMENT, true},
	{"the last before the change", "pppee", 1, 7 * SEGMENT, true},
	{"the first after it", "pppee", 1, 8 * SEGMENT + 40, true},
	{"behind an encrypted one", "ppppe-", 1, 10 * SEGMENT, false},
	{"a backup behind an encrypted one", "ppppe-", 1, 10 * SEGMENT + 40, false},
	{"everything is encrypted", "eeee-", 1, 9 * SEGMENT, false},
	{"in the middle", "ee-ee", 1, 7 * SEGMENT, false},
	{"far behind, with a gap", "e", 1, 100 * SEGMENT, false},
	{"before everything", "e", 1, 4 * SEGMENT, true},
	{"on another timeline, later", "eee", 9, 30 * SEGMENT, false},
	{"on another timeline, from before", "eee", 9, 2 * SEGMENT, true},
	{"behind a damaged one", "pd-", 1, 7 * SEGMENT, false},
	{"the first is damaged", "dpp", 1, 7 * SEGMENT, true},
};

static void
what_is_older_than_all_that_is_encrypted_is_believed_with_one_warning(void **state)
{
	Place *place = *state;
	int warnings;

	for (size_t i = 0; i < lengthof(mixed); i++)
	{
		const Mixed *row = &mixed[i];
		AUTO(AgeIdentities) identities = host(AGE_PLAIN_OLDER, 0, &warnings);

		print_message("  %s\n", row->name);
		for (size_t j = 0; row->segments[j] != '\0'; j++)
		{
			if (row->segments[j] == 'd')
				put_damaged(place, 5 + j);
			else if (row->segments[j] != '-')
				put_segment(place, 1, 5 + j, row->segments[j] == 'e' ? KEYS : "");
		}
		for (int j = 0; j < 2; j++)
		{
			if (row->believed)
				assert_ok(claim(place, identities, "", row->timeline, row->start));
			else
				assert_error(claim(place, identities, "", row->timeline, row->start), ERR_UNTRUSTED,
				             "whoever can write to the store");
		}
		assert_int_equal(warnings, row->believed ? 1 : 0);
		for (XLogSegNo segno = 5; segno < 15; segno++)
		{
			WalName name = wal_name_of_segment(1, segno, SEGMENT);
			AUTO_FREE char *key = layout_wal_key(BUILDER_SYSTEM, &name, NULL);

			assert_ok(store_remove(place->store, key));
		}
	}
}

static void
an_encrypted_backup_says_that_encryption_had_begun(void **state)
{
	const Place *place = *state;
	int warnings;
	AUTO(AgeIdentities) identities = host(AGE_PLAIN_OLDER, 0, &warnings);

	put_backup(place, "20261119T023007Z-9f3c", 20 * SEGMENT + 40, "");
	put_backup(place, "20261120T023007Z-9f3c", 30 * SEGMENT + 40, KEYS);
	assert_ok(claim(place, identities, "", 1, 20 * SEGMENT + 40));
	assert_error(claim(place, identities, "", 1, 40 * SEGMENT + 40), ERR_UNTRUSTED, "is not encrypted");

	/* With an id that comes before all others. */
	put_backup(place, "20001120T023007Z-9f3c", 50 * SEGMENT + 40, "");
	assert_error(claim(place, identities, "", 1, 50 * SEGMENT + 40), ERR_UNTRUSTED, "is not encrypted");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		PLACE_TEST(settings_decide_whatever_the_store_says),
		PLACE_TEST(what_is_older_than_all_that_is_encrypted_is_believed_with_one_warning),
		PLACE_TEST(an_encrypted_backup_says_that_encryption_had_begun),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
