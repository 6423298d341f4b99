/* What the pages of a segment tell without its records. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "wal_builder.h"
#include "walship/wal/pages.h"

#define PAGES (BUILDER_SEGMENT_SIZE / XLOG_BLCKSZ)

typedef enum Rest
{
	REST_ZEROS,
	REST_OLD_SEGMENT,  /* the file was reused */
	REST_OLD_TIMELINE, /* and had the same number */
	REST_OTHER_MAGIC,
	REST_BYTE, /* one that is not zero */
} Rest;

/* A segment of the future whose first "pages" pages are its own. */
static void
build(WalBuilder *builder, size_t pages, Rest rest)
{
	builder->magic = 0xD1F0;
	builder->timeline = 2;
	for (size_t page = 0; page < PAGES; page++)
	{
		builder->at = page * XLOG_BLCKSZ;
		if (page >= pages && (rest == REST_ZEROS || rest == REST_BYTE))
			break;
		if (page >= pages && rest == REST_OTHER_MAGIC)
			builder->magic = 0xD118;
		if (page >= pages && rest == REST_OLD_TIMELINE)
			builder->timeline = 1;
		builder_page(builder, 0);
		if (page >= pages && rest == REST_OLD_SEGMENT)
			builder_le(builder->bytes + page * XLOG_BLCKSZ + 8, BUILDER_START - (PAGES - page) * XLOG_BLCKSZ,
			           8);
	}
	if (rest == REST_BYTE)
		builder->bytes[BUILDER_SEGMENT_SIZE - 1] = 1;
}

static WalPages
feed(const WalBuilder *builder, size_t piece)
{
	WalPageHeader header;
	WalPages pages;

	assert_null(wal_page_header_parse(builder->bytes, BUILDER_SEGMENT_SIZE, &header));
	assert_int_equal(header.major, 0);
	wal_pages_begin(&pages, &header);
	for (size_t at = 0; at < BUILDER_SEGMENT_SIZE; at += piece)
		wal_pages_feed(&pages, builder->bytes + at,
		               BUILDER_SEGMENT_SIZE - at < piece ? BUILDER_SEGMENT_SIZE - at : piece);
	return pages;
}

static void
test_the_last_page_of_the_segment_is_found(void **state)
{
	static const struct
	{
		const char *name;
		size_t pages;
		Rest rest;
		bool blank;
		bool damaged;
	} table[] = {
		{"whole", PAGES, REST_ZEROS, true, false},
		{"switched on the first page", 1, REST_ZEROS, true, false},
		{"switched", 17, REST_ZEROS, true, false},
		{"reused", 17, REST_OLD_SEGMENT, false, false},
		{"reused on a new timeline", 17, REST_OLD_TIMELINE, false, false},
		{"a magic that is damaged", 1, REST_OTHER_MAGIC, false, true},
		{"not quite blank", 17, REST_BYTE, false, false},
	};
	static const size_t pieces[] = {1, 7, 24, 4096, XLOG_BLCKSZ, XLOG_BLCKSZ + 1, BUILDER_SEGMENT_SIZE};

	(void) state;
	for (size_t i = 0; i < lengthof(table); i++)
		for (size_t j = 0; j < lengthof(pieces); j++)
		{
			WalBuilder builder = builder_new(18, 1);

			build(&builder, table[i].pages, table[i].rest);
			WalPages pages = feed(&builder, pieces[j]);

			print_message("%s, by %zu\n", table[i].name, pieces[j]);
			assert_int_equal(pages.end, BUILDER_START + table[i].pages * XLOG_BLCKSZ);
			assert_int_equal(pages.blank, table[i].blank);
			assert_int_equal(pages.is_damaged, table[i].damaged);
			free(builder.bytes);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_last_page_of_the_segment_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
