/* Segments with a damaged record: read twice, then stored or refused. */
#include "archive_fixture.h"

#define NAME    "000000010000000300000000"
#define SEGMENT BUILDER_SEGMENT_SIZE

/*
 * What the disk holds when it is read again, and how often that was.  The real
 * file_forget_cached() lies in a file of its own, which the linker leaves out
 * for this one.
 */
static struct
{
	const uint8_t *then; /* NULL: the same */
	int count;
} again;

void
file_forget_cached(const char *path)
{
	again.count++;
	if (again.then != NULL)
		write_file(path, again.then, SEGMENT);
}

static void
a_damaged_segment_is_read_again(void **state)
{
	static const struct
	{
		const char *name;
		bool damaged;
		bool repaired; /* at the second reading */
		bool strict;
		int readings;
		bool stored;
		bool told;
	} rows[] = {
		{"whole", false, false, false, 1, true, false},
		{"whole, strict", false, false, true, 1, true, false},
		{"damaged", true, false, false, 2, true, true},
		{"damaged, strict", true, false, true, 2, false, false},
		{"a fault of the first reading", true, true, false, 2, true, false},
		{"a fault of the first reading, strict", true, true, true, 2, true, false},
	};
	Place *place = *state;
	WalBuilder builder = builder_new(15, 1);
	AUTO_FREE uint8_t *whole = builder.bytes;
	AUTO_FREE uint8_t *broken = NULL;
	WalName name = wal_name(NAME);

	fill_wal(&builder, 300000);
	XLogRecPtr record = builder_filler(&builder, 900);

	fill_wal(&builder, SEGMENT);
	broken = mem_alloc(SEGMENT);
	memcpy(broken, whole, SEGMENT);
	broken[record - BUILDER_START + 500] ^= 1;

	for (size_t i = 0; i < lengthof(rows); i++)
	{
		AUTO_FREE char *path = write_wal(place, NAME, rows[i].damaged ? broken : whole, SEGMENT);
		AUTO_FREE char *key = layout_wal_key(BUILDER_SYSTEM, &name, NULL);
		PutResult result;
		WalIndex index;
		WalIndex stored;
		Error *error;

		print_message("  %s\n", rows[i].name);
		again.then = rows[i].repaired ? whole : NULL;
		again.count = 0;
		place->archive.refuse_damaged = rows[i].strict;
		error = wal_object_put(&place->archive, path, &name, &result, &index);
		assert_int_equal(again.count, rows[i].readings - 1);
		if (!rows[i].stored)
		{
			assert_error(error, ERR_CORRUPT, "is damaged");
			assert_int_equal(objects_in_store(place), 0);
			continue;
		}
		assert_ok(error);
		assert_int_equal(index.walk.damaged_at, rows[i].told ? record : InvalidXLogRecPtr);
		assert_ok(wal_object_index(place->store, key, &stored));
		assert_int_equal(stored.walk.damaged_at, index.walk.damaged_at);

		AUTO_BUF(back, OBJECT_MAX);
		AUTO(Sink) sink = buf_sink_new(&back);

		assert_ok(wal_object_get(&place->archive, &name, sink, NULL));
		assert_int_equal(back.size, SEGMENT);
		assert_memory_equal(back.data, rows[i].told ? broken : whole, SEGMENT);
		assert_ok(store_remove(place->store, key));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		PLACE_TEST(a_damaged_segment_is_read_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
