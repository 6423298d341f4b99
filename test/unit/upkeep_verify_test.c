/*
 * What integration tests of verify cannot bring about: an expire in the middle of it,
 * what a lease protects while contents are read, and the pure parts.
 */
#include "walship/upkeep/verify.h"

#include "archive_fixture.h"
#include "walship/archive/lease.h"
#include "walship/archive/self_sha256.h"

#define ID_OLD "20261120T023007Z-9f3c"
#define ID_NEW "20261121T023007Z-aaaa"
#define BASE   "7300000000000000001/base/"
#define NAME   "000000010000000300000000"

/* ---- pure parts ---- */

static void
every_finding_has_a_remedy(void **state)
{
	(void) state;
	for (int kind = 0; kind < N_FINDING_KINDS; kind++)
		for (int object = 0; object < N_FINDING_OBJECTS; object++)
		{
			const char *remedy = finding_remedy((FindingKind) kind, (FindingObject) object);

			assert_true(remedy[strlen(remedy) - 1] == '.');
			assert_non_null(finding_kind_text((FindingKind) kind));
			assert_non_null(finding_object_text((FindingObject) object));
		}
	assert_non_null(strstr(finding_remedy(FINDING_MISSING, FINDING_OF_BACKUP), "walship backup"));
	assert_non_null(strstr(finding_remedy(FINDING_ORPHANED, FINDING_OF_BACKUP), "walship expire"));
	assert_non_null(strstr(finding_remedy(FINDING_TRUNCATED, FINDING_OF_MAP), "No recovery needs it"));
	assert_non_null(strstr(finding_remedy(FINDING_CORRUPT, FINDING_OF_HISTORY), "pg_wal"));
}

static size_t
count_chosen(const VerifyChoice *choice, TimeUs modified)
{
	size_t count = 0;

	for (int i = 0; i < 10000; i++)
	{
		AUTO_FREE char *key = mem_printf("7300000000000000001/wal/00000001/%024X.tar", i);

		count += verify_chooses(choice, key, modified);
	}
	return count;
}

static void
objects_are_chosen_by_sample_and_age(void **state)
{
	static const struct
	{
		const char *name;
		VerifyChoice choice;
		TimeUs modified;
		size_t least;
		size_t most; /* of 10,000 */
	} rows[] = {
		{"all", {.newer_than = TIME_NONE}, 100, 10000, 10000},
		{"old enough", {.newer_than = 100}, 100, 10000, 10000},
		{"too old", {.newer_than = 101}, 100, 0, 0},
		{"five per cent", {.sample_ppm = 50000, .seed = 1, .newer_than = TIME_NONE}, 100, 420, 580},
		{"half", {.sample_ppm = 500000, .seed = 7, .newer_than = TIME_NONE}, 100, 4800, 5200},
		{"all of it", {.sample_ppm = 1000000, .newer_than = TIME_NONE}, 100, 10000, 10000},
		{"a thirtieth", {.rotate = 30, .slice = 4, .newer_than = TIME_NONE}, 100, 280, 390},
		{"a thirtieth of what is too old", {.rotate = 30, .slice = 4, .newer_than = 101}, 100, 0, 0},
		{"half of a half",
	     {.sample_ppm = 500000, .seed = 3, .rotate = 2, .newer_than = TIME_NONE},
	     100,
	     2300,
	     2700},
		{"a sample of what is too old", {.sample_ppm = 500000, .newer_than = 101}, 100, 0, 0},
	};
	VerifyChoice one = {.sample_ppm = 500000, .seed = 1, .newer_than = TIME_NONE};
	VerifyChoice two = {.sample_ppm = 500000, .seed = 2, .newer_than = TIME_NONE};
	int same = 0;

	(void) state;
	for (size_t i = 0; i < lengthof(rows); i++)
	{
		size_t count = count_chosen(&rows[i].choice, rows[i].modified);

		print_message("  %s: %zu\n", rows[i].name, count);
		assert_in_range(count, rows[i].least, rows[i].most);
	}
	for (int i = 0; i < 1000; i++)
	{
		AUTO_FREE char *key = mem_printf("key %d", i);

		assert_true(verify_chooses(&one, key, 0) == verify_chooses(&one, key, 0));
		same += verify_chooses(&one, key, 0) == verify_chooses(&two, key, 0);
	}
	assert_in_range(same, 400, 600);
}

static void
every_object_has_its_turn_and_no_other(void **state)
{
	(void) state;
	for (int i = 0; i < 1000; i++)
	{
		AUTO_FREE char *key = mem_printf("key %d", i);
		int turns = 0;

		for (int slice = 0; slice < 7; slice++)
			turns +=
				verify_chooses(&(VerifyChoice){.newer_than = TIME_NONE, .rotate = 7, .slice = slice}, key, 0);
		assert_int_equal(turns, 1);
	}

	/* By the rule of docs/format.md, for other programs. */
	assert_true(verify_chooses(&(VerifyChoice){.newer_than = TIME_NONE, .rotate = 30, .slice = 29},
	                           "7300000000000000001/wal/00000001/000000010000000000000001.tar", 0));
	assert_int_equal(verify_slice_after(NULL, 30), 0);
	assert_int_equal(verify_slice_after(&(VerifyEvidence){.slice = 0}, 30), 1);
	assert_int_equal(verify_slice_after(&(VerifyEvidence){.slice = 28}, 30), 29);
	assert_int_equal(verify_slice_after(&(VerifyEvidence){.slice = 29}, 30), 0);
}

/* ---- a store that something happens to ---- */

typedef struct HookedStore
{
	Store store;
	Store *inner;
	void (*hook)(Store *inner, const char *key); /* before an object is read */
	const char *dead;                            /* keys that contain this are not answered for */
} HookedStore;

static Error *
hooked_put(Store *store, const char *key, const Slice *slices, int n_slices, PutMode mode)
{
	return store_put(((HookedStore *) store)->inner, key, slices, n_slices, mode);
}

static Error *
hooked_get(Store *store, const char *key, uint64_t offset, uint64_t size, Sink *into)
{
	HookedStore *hooked = (HookedStore *) store;

	if (hooked->hook != NULL)
		hooked->hook(hooked->inner, key);
	if (hooked->dead != NULL && strstr(key, hooked->dead) != NULL)
		return error_new(ERR_TRANSIENT, "nobody answers");
	return store_get(hooked->inner, key, offset, size, into);
}

static Error *
hooked_stat(Store *store, const char *key, StoreEntry *ret_entry)
{
	return store_stat(((HookedStore *) store)->inner, key, ret_entry);
}

static Error *
hooked_list(Store *store, const char *prefix, ListDepth depth, const char *start_after,
            StoreListCallback callback, void *context)
{
	HookedStore *hooked = (HookedStore *) store;

	if (hooked->hook != NULL)
		hooked->hook(hooked->inner, prefix);
	return store_list(hooked->inner, prefix, depth, start_after, callback, context);
}

static Error *
hooked_remove(Store *store, const char *key)
{
	return store_remove(((HookedStore *) store)->inner, key);
}

static void
hooked_free(Store *store)
{
	(void) store;
}

static const StoreOps hooked_ops = {.put = hooked_put,
                                    .get = hooked_get,
                                    .stat = hooked_stat,
                                    .list = hooked_list,
                                    .remove = hooked_remove,
                                    .free = hooked_free};

static const char *recipients =
	""; /* of what is encrypted the stored bytes alone are read, for there is no key */

static void
add_backup(const Place *place, const char *id)
{
	AUTO(BackupRecord) record = backup_record_new();
	AUTO_BUF(text, BACKUP_RECORD_MAX);
	AUTO_FREE char *key = layout_backup_record_key(BUILDER_SYSTEM, id);
	AUTO_FREE char *part = mem_printf(BASE "%s/base-0001.tar", id);
	AUTO_FREE char *manifest = mem_printf(BASE "%s/manifest", id);

	*record = (BackupRecord){.id = mem_strdup(id),
	                         .system_identifier = BUILDER_SYSTEM,
	                         .server_version = 150020,
	                         .segment_size = BUILDER_SEGMENT_SIZE,
	                         .timeline = 1,
	                         .start_lsn = BUILDER_START + 40,
	                         .stop_lsn = BUILDER_START + 4096,
	                         .start_time = clock_now() - 2 * INT64_C(86400) * 1000000,
	                         .stop_time = clock_now() - 2 * INT64_C(86400) * 1000000,
	                         .label = mem_strdup("walship"),
	                         .wal_inside = true,
	                         .codec = mem_strdup("none"),
	                         .manifest_name = mem_strdup("manifest"),
	                         .manifest_stored_size = 4,
	                         .manifest_raw_size = 4,
	                         .parameters = {100, 8, 10, 0, 64},
	                         .walship_version = mem_strdup("0.1.0"),
	                         .n_parts = 1,
	                         .parts = NEW_ARRAY(BackupPart, 1)};
	(void) snprintf(record->recipients, sizeof(record->recipients), "%s", recipients);
	sha256_of("list", 4, record->manifest_sha256);
	record->parts[0] = (BackupPart){mem_strdup("base-0001.tar"), mem_strdup("base"), 4, 4, {0}};
	sha256_of("part", 4, record->parts[0].stored_sha256);
	backup_record_print(record, &text);
	self_sha256_append(&text);
	put_raw(place, part, "part", 4);
	put_raw(place, manifest, "list", 4);
	put_raw(place, key, text.data, text.size);
}

static void
add_segment(const Place *place)
{
	WalBuilder builder = builder_new(15, 1);
	WalName name = wal_name(NAME);
	AUTO_FREE char *path = NULL;
	PutResult result;

	fill_wal(&builder, builder.size);
	path = write_wal(place, NAME, builder.bytes, builder.size);
	assert_ok(wal_object_put(&place->archive, path, &name, &result, NULL));
	free(builder.bytes);
}

static Verify
verify_of(HookedStore *hooked, const Place *place)
{
	*hooked =
		(HookedStore){.store = {&hooked_ops, (char *) "hooked://", (char *) "hooked"}, .inner = place->store};
	return (Verify){.store = &hooked->store,
	                .system_identifier = BUILDER_SYSTEM,
	                .jobs = 1,
	                .walship_version = "0.1.0",
	                .choice.newer_than = TIME_NONE};
}

static void
remove_old_backup(Store *inner, const char *key)
{
	static const char *const names[] = {"backup.json", "base-0001.tar", "manifest"};

	/* When all is listed: the records were read before. */
	for (size_t i = 0; i < lengthof(names) && strcmp(key, BASE) == 0; i++)
	{
		AUTO_FREE char *object = mem_printf(BASE ID_OLD "/%s", names[i]);

		assert_ok(store_remove(inner, object));
	}
}

static int base_listings;

static void
remove_after_the_first_listing(Store *inner, const char *key)
{
	if (strcmp(key, BASE) == 0 && ++base_listings == 2)
		remove_old_backup(inner, key);
}

static void
remove_parts_and_then_the_record(Store *inner, const char *key)
{
	if (strcmp(key, BASE) != 0 || ++base_listings != 2)
		return;
	assert_ok(store_remove(inner, BASE ID_OLD "/base-0001.tar"));
}

static void
what_an_expire_removes_meanwhile_is_not_missing(void **state)
{
	const Place *place = *state;
	HookedStore hooked;
	AUTO_VERIFY verify = verify_of(&hooked, place);

	add_backup(place, ID_OLD);
	add_backup(place, ID_NEW);
	add_segment(place);
	base_listings = 0;
	hooked.hook = remove_after_the_first_listing;
	assert_ok(verify_run(&verify));
	assert_true(verify_passed(&verify));
}

static void
what_is_gone_while_the_record_stays_is_missing(void **state)
{
	const Place *place = *state;
	HookedStore hooked;
	AUTO_VERIFY verify = verify_of(&hooked, place);

	add_backup(place, ID_OLD);
	add_backup(place, ID_NEW);
	add_segment(place);
	base_listings = 0;
	hooked.hook = remove_parts_and_then_the_record;
	assert_ok(verify_run(&verify));
	assert_int_equal(verify.findings.count, 1);
	assert_int_equal(verify.findings.items[0].kind, FINDING_MISSING);
	assert_string_equal(verify.findings.items[0].key, BASE ID_OLD "/base-0001.tar");
	assert_string_equal(verify.findings.items[0].backup, ID_OLD);
}

static int leased_reads;

static void
look_for_lease(Store *inner, const char *key)
{
	AUTO_LEASES leases = {0};
	bool part = strstr(key, "/base-0001.tar") != NULL;
	bool segment = strcmp(key, "7300000000000000001/wal/00000001/" NAME ".tar") == 0;

	if (!part && !segment)
		return;
	assert_ok(lease_list_read(inner, BUILDER_SYSTEM, &leases));
	for (size_t i = 0; i < leases.count; i++)
	{
		const Lease *lease = &leases.items[i];

		if (strcmp(lease->kind, "verify") != 0)
			continue;
		if (part && lease->backup != NULL && strstr(key, lease->backup) != NULL)
			leased_reads |= 1;
		if (segment && lease->timeline == 1 && lease->start_lsn == BUILDER_START)
			leased_reads |= 2;
	}
}

static void
what_is_read_is_leased_and_every_fault_is_told(void **state)
{
	const Place *place = *state;
	HookedStore hooked;
	AUTO_VERIFY verify = verify_of(&hooked, place);
	size_t objects;

	add_backup(place, ID_NEW);
	add_segment(place);
	objects = objects_in_store(place);
	hooked.hook = look_for_lease;
	leased_reads = 0;
	verify.deep = true;
	assert_ok(verify_run(&verify));
	assert_int_equal(leased_reads, 3);
	assert_int_equal(objects_in_store(place), objects);

	/* "list" is no manifest, though it is what the record says; the part is read by itself, then. */
	assert_int_equal(verify.findings.count, 1);
	assert_int_equal(verify.findings.items[0].kind, FINDING_CORRUPT);
	assert_int_equal(verify.findings.items[0].object, FINDING_OF_MANIFEST);
	assert_int_equal(verify.reads.segments, 1);
	assert_int_equal(verify.reads.objects, 2);
}

/* ---- one that is broken off ---- */

static int old_reads;

static void
count_old_reads(Store *inner, const char *key)
{
	(void) inner;
	old_reads += strstr(key, ID_OLD "/base-0001.tar") != NULL;
}

/* Of a deep verify of this; *ret_reads: how often the part of the old backup was read. */
static Error *
look_deep(const Place *place, const char *dead, const char *state_dir, VerifyReads *ret_reads,
          uint64_t *ret_found)
{
	HookedStore hooked;
	AUTO_VERIFY verify = verify_of(&hooked, place);
	Error *error;

	verify.deep = true;
	verify.state_dir = state_dir;
	hooked.hook = count_old_reads;
	hooked.dead = dead;
	old_reads = 0;
	error = verify_run(&verify);
	*ret_reads = verify.reads;
	*ret_found = verify.findings.found;
	return error;
}

static void
one_that_is_broken_off_goes_on(void **state)
{
	const Place *place = *state;
	VerifyReads reads;
	uint64_t found;

	recipients = "0011223344556677";
	add_backup(place, ID_OLD);
	add_backup(place, ID_NEW);
	recipients = "";
	add_segment(place);

	assert_error(look_deep(place, ID_NEW "/base-0001", place->scratch, &reads, &found), ERR_TRANSIENT, NULL);
	assert_int_equal(old_reads, 1);
	assert_error(look_deep(place, ".tar", place->scratch, &reads, &found), ERR_TRANSIENT, NULL);
	assert_int_equal(old_reads, 0);

	/* Without that directory nothing is known; with it the rest is read, and counted with what was. */
	assert_ok(look_deep(place, NULL, NULL, &reads, &found));
	assert_int_equal(old_reads, 1);
	assert_ok(look_deep(place, NULL, place->scratch, &reads, &found));
	assert_int_equal(old_reads, 0);
	assert_int_equal(reads.objects, 4);
	assert_int_equal(reads.segments, 1);
	assert_int_equal(found, 0);

	/* It is done: the next one begins at the beginning. */
	assert_ok(look_deep(place, NULL, place->scratch, &reads, &found));
	assert_int_equal(old_reads, 1);
	assert_int_equal(reads.objects, 4);

	/* What is found is found again. */
	put_raw(place, BASE ID_OLD "/base-0001.tar", "pART", 4);
	assert_error(look_deep(place, ID_NEW "/base-0001", place->scratch, &reads, &found), ERR_TRANSIENT, NULL);
	assert_ok(look_deep(place, NULL, place->scratch, &reads, &found));
	assert_int_equal(old_reads, 3);
	assert_int_equal(found, 1);
}

/* ---- small objects ---- */

static char *
sealed(const char *json)
{
	AUTO_BUF(text, 4096);

	buf_puts(&text, json);
	self_sha256_append(&text);
	return mem_strdup(text.data);
}

#define PIN_OF(id) "{\"format\":1,\"backup\":\"" id "\",\"until\":null,\"note\":null}"
#define GAP_OF(first)                                         \
	"{\"format\":1,\"first\":\"" first "\",\"last\":\"" first \
	"\",\"time\":\"2026-11-20T02:30:07Z\",\"note\":null}"
#define LEASE                                                                     \
	"{\"format\":1,\"id\":\"" ID_OLD                                              \
	"\",\"kind\":\"recover\",\"holder\":\"x\",\"backup\":null,\"timeline\":null," \
	"\"start_lsn\":null,\"valid_seconds\":60}"
#define PLACE_OF_FILE "7300000000000000001/wal/00000001/" NAME ".00000028.backup"
#define FILE_OF(lsn)                                                                          \
	"START WAL LOCATION: " lsn " (file " NAME ")\nSTOP WAL LOCATION: 3/138 (file " NAME ")\n" \
	"CHECKPOINT LOCATION: 3/60\nBACKUP METHOD: streamed\nBACKUP FROM: primary\n"              \
	"START TIME: 2026-11-20 02:30:07 UTC\nLABEL: walship\nSTART TIMELINE: 1\n"                \
	"STOP TIME: 2026-11-20 02:30:08 UTC\nSTOP TIMELINE: 1\n"
#define EVIDENCE "7300000000000000001/proof/20261120T023007Z-drill.json"
#define PIN_KEY  "7300000000000000001/pin/" ID_NEW ".json"
#define GAP_KEY  "7300000000000000001/gap/" NAME "-" NAME ".json"
#define HELD_KEY "7300000000000000001/lease/" ID_OLD "-1.json"

/* kind -1: no finding.  "plain": seen without reading contents, too. */
static const struct
{
	const char *name;
	const char *key;
	const char *json; /* sealed; NULL: the text, as it is */
	const char *text;
	int kind;
	FindingObject object;
	bool plain;
} small_rows[] = {
	{"a pin", PIN_KEY, PIN_OF(ID_NEW), NULL, -1, FINDING_OF_PIN, true},
	{"a pin without a seal", PIN_KEY, NULL, PIN_OF(ID_NEW), FINDING_CORRUPT, FINDING_OF_PIN, true},
	{"an empty pin", PIN_KEY, NULL, "", FINDING_CORRUPT, FINDING_OF_PIN, true},
	{"a pin of another backup", PIN_KEY, PIN_OF(ID_OLD), NULL, FINDING_CORRUPT, FINDING_OF_PIN, true},
	{"a pin of a newer version", PIN_KEY, "{\"format\":2}", NULL, FINDING_CORRUPT, FINDING_OF_PIN, true},
	{"a pin of nothing", "7300000000000000001/pin/x.json", PIN_OF("x"), NULL, FINDING_FOREIGN, FINDING_OF_PIN,
     true},
	{"a pin whose backup is gone", "7300000000000000001/pin/" ID_OLD ".json", PIN_OF(ID_OLD), NULL,
     FINDING_MISSING, FINDING_OF_RECORD, true},
	{"a pin that has ended", "7300000000000000001/pin/" ID_OLD ".json",
     "{\"format\":1,\"backup\":\"" ID_OLD "\",\"until\":\"2026-01-01T00:00:00Z\",\"note\":null}", NULL, -1,
     FINDING_OF_RECORD, true},
	{"an acknowledgement", GAP_KEY, GAP_OF(NAME), NULL, -1, FINDING_OF_KNOWN_GAP, true},
	{"an acknowledgement cut off", GAP_KEY, NULL, "{\"format\":1", FINDING_CORRUPT, FINDING_OF_KNOWN_GAP,
     true},
	{"an acknowledgement of another gap", GAP_KEY, GAP_OF("000000010000000300000001"), NULL, FINDING_CORRUPT,
     FINDING_OF_KNOWN_GAP, true},
	{"a lease", HELD_KEY, LEASE, NULL, -1, FINDING_OF_LEASE, true},
	{"a lease without a seal", HELD_KEY, NULL, LEASE, FINDING_CORRUPT, FINDING_OF_LEASE, true},
	{"evidence", EVIDENCE, "{\"format\":1}", NULL, -1, FINDING_OF_EVIDENCE, false},
	{"evidence without a seal", EVIDENCE, NULL, "{\"format\":1}", FINDING_CORRUPT, FINDING_OF_EVIDENCE,
     false},
	{"a backup file", PLACE_OF_FILE, NULL, FILE_OF("3/28"), -1, FINDING_OF_BACKUP_FILE, false},
	{"a backup file of another one", PLACE_OF_FILE, NULL, FILE_OF("3/60"), FINDING_CORRUPT,
     FINDING_OF_BACKUP_FILE, false},
	{"a backup file cut off", PLACE_OF_FILE, NULL,
     "START WAL LOCATION: 3/28 (file " NAME ")\nCHECKPOINT LOCATION: 3/60\n", FINDING_CORRUPT,
     FINDING_OF_BACKUP_FILE, false},
	{"an empty backup file", PLACE_OF_FILE, NULL, "", FINDING_CORRUPT, FINDING_OF_BACKUP_FILE, false},
};

static const Finding *
finding_of(const Verify *verify, FindingObject object)
{
	for (size_t i = 0; i < verify->findings.count; i++)
		if (verify->findings.items[i].object == object)
			return &verify->findings.items[i];
	return NULL;
}

static void
small_objects_are_looked_at(void **state)
{
	const Place *place = *state;

	add_backup(place, ID_NEW);
	add_segment(place);
	for (size_t i = 0; i < lengthof(small_rows); i++)
	{
		AUTO_FREE char *text =
			small_rows[i].json == NULL ? mem_strdup(small_rows[i].text) : sealed(small_rows[i].json);

		print_message("  %s\n", small_rows[i].name);
		put_raw(place, small_rows[i].key, text, strlen(text));
		for (int deep = 0; deep < (small_rows[i].plain ? 1 : 2); deep++)
		{
			HookedStore hooked;
			AUTO_VERIFY verify = verify_of(&hooked, place);
			bool expected = small_rows[i].kind >= 0 && (deep || small_rows[i].plain);
			const Finding *found;

			verify.deep = deep != 0;
			assert_ok(verify_run(&verify));
			found = finding_of(&verify, small_rows[i].object);
			assert_true((found != NULL) == expected);

			/* The manifest of this fixture is none, which deep alone sees. */
			assert_int_equal(verify.findings.count, (size_t) expected + (size_t) deep);
			if (expected)
			{
				assert_int_equal(found->kind, small_rows[i].kind);
				assert_true(found->object == FINDING_OF_RECORD || strcmp(found->key, small_rows[i].key) == 0);
			}
		}
		assert_ok(store_remove(place->store, small_rows[i].key));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_finding_has_a_remedy),
		cmocka_unit_test(objects_are_chosen_by_sample_and_age),
		cmocka_unit_test(every_object_has_its_turn_and_no_other),
		PLACE_TEST(what_an_expire_removes_meanwhile_is_not_missing),
		PLACE_TEST(what_is_gone_while_the_record_stays_is_missing),
		PLACE_TEST(what_is_read_is_leased_and_every_fault_is_told),
		PLACE_TEST(one_that_is_broken_off_goes_on),
		PLACE_TEST(small_objects_are_looked_at),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
