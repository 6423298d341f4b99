/* How much a backlog is compressed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "archive_fixture.h"
#include "walship/archive/timeline_note.h"
#include "walship/base/mem.h"
#include "walship/ship/backlog_rate.h"

#define NOTES_MOST 8
#define BEGIN      "codec brotli\nhurried 1\n"

typedef struct Row
{
	const char *name;
	int64_t making_ms[NOTES_MOST]; /* up to the first 0 */
	int64_t sending_ms[NOTES_MOST];
	bool hurries;
} Row;

static const Row rows[] = {
	{"before anything is known it hurries", {0}, {0}, true},
	{"a near store lets it hurry", {60}, {40}, true},
	{"four at a time on two cores, to a store 20 ms away",
     {110, 120, 90, 95, 105, 100},
     {95, 130, 60, 80, 75, 150},
     true},
	{"10 Mbit/s for four at a time do not",
     {110, 120, 200, 210, 190},
     {11000, 11400, 9900, 9700, 9800},
     false},
	{"as far as it gains", {60}, {240}, true},
	{"a far store does not", {60}, {241}, false},
	{"in between it goes on with it", {36, 36, 36, 36}, {120, 120, 120, 120}, true},
	{"in between it does not begin", {36, 60, 60, 60}, {900, 150, 150, 150}, false},
	{"it begins again where that gains", {36, 60, 60, 60}, {900, 100, 36, 36}, true},
	{"a slow one does not", {50, 50}, {900, 1100}, false},
	{"one late answer among many is no slow store", {60, 60, 60, 60, 60}, {30, 30, 30, 200, 30}, true},
	{"a store that becomes slow is noticed", {60, 60, 60, 60}, {30, 30, 900, 900}, false},
	{"and one that recovers", {60, 60, 60, 60, 60, 60, 60}, {900, 900, 30, 30, 30, 30, 30}, true},
};

static void
a_backlog_is_hurried_while_the_processor_is_what_takes_the_time(void **state)
{
	(void) state;
	for (size_t i = 0; i < lengthof(rows); i++)
	{
		const Row *row = &rows[i];
		BacklogRate rate = {0};

		for (size_t k = 0; k < NOTES_MOST && row->making_ms[k] > 0; k++)
			backlog_rate_add(&rate, backlog_rate_hurries(&rate), row->making_ms[k], row->sending_ms[k]);
		if (backlog_rate_hurries(&rate) != row->hurries)
			fail_msg("%s", row->name);
	}
}

static void
what_is_known_outlives_a_push_and_rubbish_is_not_believed(void **state)
{
	static const char *const rubbish[] = {"",
	                                      "making_ms 7\nsending_ms 5\n",
	                                      BEGIN "making_ms 7\n",
	                                      BEGIN "making_ms 7\nsending_ms ",
	                                      BEGIN "making_ms a\nsending_ms b\n",
	                                      BEGIN "sending_ms 5\nmaking_ms 7\n",
	                                      BEGIN "making_ms -1\nsending_ms 5\n",
	                                      BEGIN "making_ms 99999999999999999999\nsending_ms 5\n",
	                                      "codec brotli\nhurried -\nmaking_ms 7\nsending_ms 5\n"};
	const Place *place = *state;
	const BacklogRate known = {.making_ms = 60, .sending_ms = 900, .hurried = true};
	AUTO_STATE_NOTE note = timeline_note(place->scratch, "backlog-rate", &place->archive, 3);
	WalArchive archive = place->archive;
	BacklogRate rate;

	assert_int_equal(backlog_rate_noted(place->scratch, &place->archive, 3).making_ms, 0);
	assert_ok(backlog_rate_note(place->scratch, &place->archive, 3, &known));
	rate = backlog_rate_noted(place->scratch, &place->archive, 3);
	assert_int_equal(rate.making_ms, known.making_ms);
	assert_int_equal(rate.sending_ms, known.sending_ms);
	assert_true(rate.hurried);

	/* What another codec took tells nothing of this one. */
	archive.compression.codec = CODEC_ZSTD;
	assert_int_equal(backlog_rate_noted(place->scratch, &archive, 3).making_ms, 0);
	assert_int_equal(backlog_rate_noted(place->scratch, &place->archive, 4).making_ms, 0);
	for (size_t i = 0; i < lengthof(rubbish); i++)
	{
		assert_ok(state_note_write(&note, rubbish[i]));
		rate = backlog_rate_noted(place->scratch, &place->archive, 3);
		assert_true(rate.making_ms == 0 && rate.sending_ms == 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_backlog_is_hurried_while_the_processor_is_what_takes_the_time),
		cmocka_unit_test_setup_teardown(what_is_known_outlives_a_push_and_rubbish_is_not_believed, place_make,
	                                    place_destroy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
