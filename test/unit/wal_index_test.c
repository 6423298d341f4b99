/* The index of a segment: what it gathers, how it is printed, what is refused when it is read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "walship/wal/index.h"

#define HEX_A "0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a"
#define HEX_B "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b"
#define NOON  INT64_C(1795176000000000) /* 2026-11-20T12:00:00Z */

#define IDENTITY                                                                                     \
	"{\"format\":1,\"segment\":\"000000010000000300000009\",\"system_id\":\"7300000000000000001\","  \
	"\"timeline\":1,\"postgres\":15,\"segment_size\":16777216,\"start_lsn\":\"3/9000000\","          \
	"\"end_lsn\":\"3/A000000\",\"sha256\":\"" HEX_A "\",\"member\":\"000000010000000300000009.br\"," \
	"\"codec\":\"brotli\",\"stored_size\":12345,\"stored_sha256\":\"" HEX_B "\""
#define CHUNKS ",\"chunk_size\":8388608,\"chunks\":[[0,4294967295],[12344,0]]"
#define WALK                                                                                               \
	",\"records\":10,\"first_record\":\"3/9000028\",\"last_record\":\"3/9000100\",\"continues\":false,"    \
	"\"switched\":true,\"wal_end\":\"3/A000000\",\"damaged_at\":\"3/9000200\",\"commits\":2,\"aborts\":1," \
	"\"first_time\":\"2026-11-20T12:00:00.000001Z\",\"last_time\":\"2026-11-20T12:00:00Z\","               \
	"\"min_time\":\"2026-11-20T12:00:00Z\",\"max_time\":\"2026-11-20T12:00:01Z\",\"min_xid\":4294967290,"  \
	"\"max_xid\":5,\"checkpoints\":1,\"parameter_change\":false,\"timeline_switch\":true"
#define CONTINUING                                                                                         \
	",\"records\":1,\"first_record\":\"3/9000028\",\"last_record\":\"3/9000028\",\"continues\":true,"      \
	"\"switched\":false,\"wal_end\":\"3/A000000\",\"commits\":0,\"aborts\":0,\"min_xid\":5,\"max_xid\":9," \
	"\"xid_epoch\":4,\"checkpoints\":1,\"parameter_change\":false,\"timeline_switch\":false"
#define HIGH ",\"time_high\":\"2026-11-20T12:00:02Z\",\"time_high_since\":\"3/6000000\""
#define STILL                                                                                          \
	",\"records\":1,\"first_record\":\"3/9000028\",\"last_record\":\"3/9000028\",\"continues\":false," \
	"\"switched\":true,\"wal_end\":\"3/A000000\",\"commits\":0,\"aborts\":0,\"checkpoints\":1,"        \
	"\"parameter_change\":false,\"timeline_switch\":false"
#define QUIET ",\"time_high\":null,\"time_high_since\":\"3/6000000\",\"quiet_since\":\"3/7000000\""
#define POINTS                                                                                              \
	",\"restore_point_count\":2,\"restore_points\":[{\"name\":\"before \\\"it\\\"\",\"lsn\":\"3/9000100\"," \
	"\"time\":\"2026-11-20T12:00:00Z\"},{\"name\":\"\",\"lsn\":\"3/9000108\",\"time\":null}]"

#define DROPS                                                                                                 \
	",\"files_created\":7,\"drop_count\":2,\"drops\":[{\"lsn\":\"3/9000040\",\"xid\":731,\"time\":"           \
	"\"2026-11-20T12:00:00Z\",\"file_count\":5,\"files\":[\"1663/5/16390\",\"1664/0/4294967295\"]},{\"lsn\":" \
	"\"3/9000080\",\"xid\":0,\"database\":16384}]"
#define PREVIOUS   ",\"previous\":\"" HEX_B "\""
#define NO_CHANGES ",\"tablespaces\":[],\"databases\":[]"
#define CHANGES                                                                                                    \
	",\"tablespace_count\":2,\"tablespaces\":[{\"oid\":16390,\"lsn\":\"3/9000040\",\"created\":true,\"path\":"     \
	"\"/srv/fast\"},{\"oid\":16391,\"lsn\":\"3/9000080\",\"created\":false}],\"database_count\":3,\"databases\":[" \
	"{\"oid\":16400,\"lsn\":\"3/9000040\",\"created\":true,\"tablespace\":1663,\"source\":1},{\"oid\":16401,"      \
	"\"lsn\":\"3/9000048\",\"created\":false}],\"switch_lsn\":\"3/9000100\",\"previous_timeline\":4,"              \
	"\"wal_level_minimal_at\":\"3/9000040\",\"full_page_writes_off_at\":\"3/9000048\""
#define EDGES ",\"head_length\":300,\"head\":\"00ff10\",\"tail\":\"1200\""

static void
assert_parses(const char *text, WalIndex *ret_index)
{
	AUTO(Error) error = wal_index_parse(text, strlen(text), "the index", ret_index);

	if (error != NULL)
		fail_msg("%s", error_message(error));
}

static void
test_what_was_printed_reads_back_the_same(void **state)
{
	static const char *const table[] = {IDENTITY WALK DROPS "}\n",
	                                    IDENTITY CONTINUING EDGES "}\n",
	                                    IDENTITY "}\n",
	                                    IDENTITY WALK "}\n",
	                                    IDENTITY WALK HIGH "}\n",
	                                    IDENTITY WALK HIGH POINTS "}\n",
	                                    IDENTITY CHUNKS PREVIOUS "}\n",
	                                    IDENTITY WALK NO_CHANGES "}\n",
	                                    IDENTITY WALK DROPS CHANGES "}\n",
	                                    IDENTITY STILL QUIET NO_CHANGES "}\n",
	                                    IDENTITY CHUNKS "}\n",
	                                    IDENTITY CHUNKS WALK "}\n"};

	(void) state;
	for (size_t i = 0; i < lengthof(table); i++)
	{
		WalIndex index;
		AUTO_BUF(text, WAL_INDEX_TEXT_MAX);

		assert_parses(table[i], &index);
		wal_index_print(&index, &text);
		assert_string_equal(text.data, table[i]);
	}
}

static void
test_every_member_is_read(void **state)
{
	WalIndex index;

	(void) state;
	assert_parses(IDENTITY WALK HIGH POINTS "}", &index);
	assert_string_equal(index.segment, "000000010000000300000009");
	assert_int_equal(index.system_identifier, UINT64_C(7300000000000000001));
	assert_int_equal(index.start_lsn, UINT64_C(0x309000000));
	assert_int_equal(index.end_lsn, UINT64_C(0x30A000000));
	assert_int_equal(index.sha256[31], 0x0A);
	assert_int_equal(index.stored_sha256[0], 0x0B);
	assert_int_equal(index.stored_size, 12345);
	assert_true(index.walked && index.walk.switched && index.timeline_switch);
	assert_int_equal(index.walk.damaged_at, UINT64_C(0x309000200));
	assert_int_equal(index.first_time, NOON + 1);
	assert_int_equal(index.min_xid, 4294967290);
	assert_int_equal(index.time_high, NOON + 2000000);
	assert_int_equal(index.time_high_since, UINT64_C(0x306000000));
	assert_int_equal(index.n_restore_points, 2);
	assert_string_equal(index.restore_points[0].name, "before \"it\"");
	assert_int_equal(index.restore_points[1].time, TIME_NONE);
}

static void
test_chunks_are_read(void **state)
{
	WalIndex index;

	(void) state;
	assert_parses(IDENTITY CHUNKS "}", &index);
	assert_int_equal(index.chunk_size, 8388608);
	assert_int_equal(index.n_chunks, 2);
	assert_int_equal(index.chunks[0].crc32c, 4294967295);
	assert_int_equal(index.chunks[1].offset, 12344);
}

static void
test_drops_and_edges_are_read(void **state)
{
	WalIndex index;

	(void) state;
	assert_parses(IDENTITY CONTINUING DROPS EDGES "}", &index);
	assert_int_equal(index.n_files_created, 7);
	assert_int_equal(index.n_drops, 2);
	assert_int_equal(index.drops[0].n_files, 5);
	assert_int_equal(index.drops[0].time, NOON);
	assert_memory_equal(&index.drops[0].files[0], (&(WalRelation){1663, 5, 16390}), sizeof(WalRelation));
	assert_int_equal(index.drops[0].files[1].number, 4294967295);
	assert_int_equal(index.drops[0].files[2].number, 0);
	assert_int_equal(index.drops[1].database, 16384);
	assert_int_equal(index.drops[1].time, TIME_NONE);
	assert_int_equal(index.walk.head.length, 300);
	assert_int_equal(index.walk.head.size, 3);
	assert_int_equal(index.walk.head.bytes[1], 0xFF);
	assert_int_equal(index.walk.tail.size, 2);
	assert_int_equal(index.walk.tail.length, 2);
	assert_int_equal(wal_index_full_xid(&index, 9), UINT64_C(0x400000009));
}

static void
test_members_of_later_versions_are_passed_over(void **state)
{
	WalIndex index;

	(void) state;
	assert_parses(IDENTITY ",\"time_high_since\":\"x\",\"head\":[1],\"drops\":{\"a\":null}}", &index);
	assert_false(index.walked);
	assert_int_equal(index.max_time, TIME_NONE);
}

static void replace(Buf *text, const char *from, const char *to);

/* Also where a writer that knows it tells of its records: what crosses a segment's end we could not read. */
static void
test_of_an_unknown_postgres_only_the_segment_is_read(void **state)
{
	static const char *const majors[] = {"\"postgres\":0", "\"postgres\":20"};

	(void) state;
	for (size_t i = 0; i < lengthof(majors); i++)
	{
		AUTO_BUF(text, 0);
		WalIndex index;

		replace(&text, "\"postgres\":15", majors[i]);
		assert_parses(text.data, &index);
		assert_true(wal_index_is_foreign(&index));
		assert_false(index.walked);
		assert_int_equal(index.start_lsn, UINT64_C(0x309000000));
		assert_int_equal(index.max_time, TIME_NONE);
		assert_int_equal(index.n_drops, 0);
		assert_int_equal(index.walk.head.length, 0);
	}
}

/* Replaces the first "from". */
static void
replace_in(Buf *text, const char *whole, const char *from, const char *to)
{
	const char *at = strstr(whole, from);

	assert_non_null(at);
	buf_init(text, 2 * strlen(whole));
	buf_append(text, whole, (size_t) (at - whole));
	buf_puts(text, to);
	buf_puts(text, at + strlen(from));
}

static void
replace(Buf *text, const char *from, const char *to)
{
	replace_in(text, IDENTITY CHUNKS PREVIOUS WALK HIGH ",\"xid_epoch\":4" POINTS DROPS CHANGES EDGES "}",
	           from, to);
}

/* A run of quiet segments in an index that tells of something, or does not tell of all, is none. */
static void
test_a_quiet_run_must_not_contradict_its_last_segment(void **state)
{
	static const struct
	{
		const char *from;
		const char *to;
	} wrong[] = {
		{"3/7000000", "3/7000008"},
		{"3/7000000", "3/A000000"},
		{"3/7000000", "0/0"},
		{"3/7000000", "7000000"},
		{"\"commits\":0", "\"commits\":1"},
		{"\"aborts\":0", "\"aborts\":1"},
		{"\"parameter_change\":false", "\"parameter_change\":true"},
		{"\"timeline_switch\":false", "\"timeline_switch\":true"},
		{"\"wal_end\":\"3/A000000\"", "\"wal_end\":\"3/9F00000\""},
		{NO_CHANGES, CHANGES},
		{NO_CHANGES, DROPS NO_CHANGES},
		{NO_CHANGES, POINTS NO_CHANGES},
		{NO_CHANGES, NO_CHANGES ",\"files_created\":1"},
		{NO_CHANGES, NO_CHANGES ",\"damaged_at\":\"3/9000200\""},
		{"\"continues\":false", "\"continues\":true,\"tail\":\"1200\""},
	};
	static const char whole[] = IDENTITY STILL QUIET NO_CHANGES "}";
	WalIndex index;

	(void) state;
	assert_parses(whole, &index);
	assert_int_equal(index.quiet_since, UINT64_C(0x307000000));
	assert_true(wal_index_is_quiet(&index));
	assert_parses(IDENTITY STILL QUIET "}", &index);
	assert_false(wal_index_is_quiet(&index));
	for (size_t i = 0; i < lengthof(wrong); i++)
	{
		AUTO_BUF(text, 0);

		replace_in(&text, whole, wrong[i].from, wrong[i].to);
		print_message("  %s\n", wrong[i].to);

		AUTO(Error) error = wal_index_parse(text.data, text.size, "the index", &index);

		assert_true(error_is(error, ERR_CORRUPT));
		assert_non_null(strstr(error_message(error), "\"quiet_since\""));
	}
}

static void
test_a_wrong_member_is_named(void **state)
{
	static const struct
	{
		const char *from;
		const char *to;
		const char *says;
	} table[] = {
		{"\"format\":1", "\"format\":2", "format 2"},
		{"\"format\"", "\"other\"", "\"format\""},
		{"000000010000000300000009\"", "00000001.history\"", "\"segment\""},
		{"000000010000000300000009\"", "../x\"", "\"segment\""},
		{"\"7300000000000000001\"", "7300000000000000001", "\"system_id\""},
		{"\"7300000000000000001\"", "\"73000000000000000011\"", "\"system_id\""},
		{"\"timeline\":1", "\"timeline\":2", "\"timeline\""},
		{"\"postgres\":15", "\"postgres\":12", "\"postgres\""},
		{"16777216", "16777215", "\"segment_size\""},
		{"16777216", "1073741824", "\"segment_size\""},
		{"16777216", "4311744512", "\"segment_size\""},
		{"\"3/9000000\"", "\"3/8000000\"", "\"start_lsn\""},
		{"\"3/A000000\"", "\"3/B000000\"", "\"end_lsn\""},
		{HEX_A, "0a", "\"sha256\""},
		{HEX_B, HEX_B "00", "\"stored_sha256\""},
		{"000000010000000300000009.br", "../../x", "\"member\""},
		{"000000010000000300000009.br", "", "\"member\""},
		{"\"brotli\"", "\"\"", "\"codec\""},
		{"\"brotli\"", "\"a codec with a long name\"", "\"codec\""},
		{"12345", "-1", "\"stored_size\""},
		{"\"chunk_size\":8388608", "\"chunk_size\":0", "\"chunk_size\""},
		{"\"chunk_size\":8388608", "\"chunk_size\":8388607", "\"chunk_size\""},
		{"\"chunk_size\":8388608", "\"chunk_size\":16777216", "\"chunk_size\""},
		{"\"chunks\"", "\"pieces\"", "\"chunks\""},
		{"[[0,4294967295],[12344,0]]", "[]", "\"chunk_size\""},
		{"[[0,4294967295],[12344,0]]", "[0,12344]", "\"chunks\""},
		{"[0,4294967295]", "[1,4294967295]", "\"chunks\""},
		{"[0,4294967295]", "[0,4294967296]", "\"chunks\""},
		{"[0,4294967295]", "[0,-1]", "\"chunks\""},
		{"[0,4294967295]", "[0]", "\"chunks\""},
		{"[0,4294967295]", "[0,1,2]", "\"chunks\""},
		{"[12344,0]", "[0,0]", "\"chunks\""},
		{"[12344,0]", "[-1,0]", "\"chunks\""},
		{"[12344,0]", "[12345,0]", "\"chunks\""},
		{"[12344,0]", "[12344,0],[12344,0]", "\"chunk_size\""},
		{"\"3/9000028\"", "\"3/8000028\"", "\"first_record\""},
		{"\"3/9000028\"", "null", "\"first_record\""},
		{"\"last_record\":\"3/9000100\"", "\"last_record\":\"3/9000020\"", "\"first_record\""},
		{"\"wal_end\":\"3/A000000\"", "\"wal_end\":\"3/A000008\"", "\"wal_end\""},
		{"\"3/9000200\"", "\"3/A000000\"", "\"damaged_at\""},
		{"\"switched\":true", "\"switched\":1", "\"switched\""},
		{"\"commits\":2", "\"commits\":1.5", "\"commits\""},
		{"12:00:00.000001Z", "12:00:02Z", "\"first_time\""},
		{"2026-11-20T12:00:01Z", "2026-11-20 12:00:01", "\"max_time\""},
		{"\"max_xid\":5", "\"max_xid\":4294967296", "\"max_xid\""},
		{"\"xid_epoch\":4", "\"xid_epoch\":4294967296", "\"xid_epoch\""},
		{"\"drop_count\":2", "\"drop_count\":3", "\"drop_count\""},
		{"\"drops\":[", "\"drops\":[[],", "\"drops\""},
		{"\"3/9000040\"", "\"3/8000040\"", "\"lsn\""},
		{"\"file_count\":5", "\"file_count\":1", "\"files\""},
		{"\"file_count\":5", "\"file_count\":0", "\"files\""},
		{"\"1663/5/16390\"", "16390", "\"files\""},
		{"1663/5/16390", "1663/5", "\"files\""},
		{"1663/5/16390", "1663/5/16390/1", "\"files\""},
		{"1663/5/16390", "1663//16390", "\"files\""},
		{"1663/5/16390", "1663/5/0", "\"files\""},
		{"4294967295\"]", "4294967296\"]", "\"files\""},
		{"4294967295\"]", "42949672950\"]", "\"files\""},
		{"\"database\":16384", "\"database\":0", "\"database\""},
		{"\"previous\":\"0b", "\"previous\":\"0", "\"previous\""},
		{"\"previous\":\"0b", "\"previous\":\"0x", "\"previous\""},
		{"\"oid\":16390", "\"oid\":0", "\"oid\""},
		{"\"oid\":16390", "\"other\":16390", "\"oid\""},
		{"\"tablespace_count\":2", "\"tablespace_count\":1", "\"tablespaces\""},
		{"\"tablespace_count\":2", "\"other\":1", "\"tablespaces\""},
		{"\"tablespaces\":[", "\"tablespaces\":[[],", "\"tablespaces\""},
		{"\"lsn\":\"3/9000080\",\"created\":false", "\"lsn\":\"3/A000000\",\"created\":false",
	     "\"tablespaces\""},
		{"\"created\":false", "\"created\":0", "\"created\""},
		{"\"databases\":[", "\"others\":[", "\"databases\""},
		{"\"source\":1", "\"source\":-1", "\"source\""},
		{"\"lsn\":\"3/9000048\"", "\"lsn\":\"3/A000048\"", "\"databases\""},
		{"\"switch_lsn\":\"3/9000100\"", "\"switch_lsn\":\"3/A000100\"", "\"switch_lsn\""},
		{"\"previous_timeline\":4", "\"previous_timeline\":0", "\"previous_timeline\""},
		{"minimal_at\":\"3/9000040\"", "minimal_at\":\"2/9000040\"", "\"wal_level_minimal_at\""},
		{"off_at\":\"3/9000048\"", "off_at\":\"2/9000048\"", "\"full_page_writes_off_at\""},
		{"\"head_length\":300", "\"head_length\":2", "\"head_length\""},
		{"\"head_length\":300", "\"other\":300", "\"head_length\""},
		{"00ff10", "00ff1", "\"head\""},
		{"00ff10", "", "\"head\""},
		{"00ff10", "00fg10", "\"head\""},
		{"\"tail\":\"1200\"", "\"tail\":\"1200\"", "\"tail\""}, /* where no record continues */
		{"12:00:02Z", "12:00:00Z", "\"time_high\""},
		{"\"2026-11-20T12:00:02Z\"", "null", "\"time_high\""},
		{"\"time_high\":", "\"other\":", "\"time_high\""},
		{"3/6000000", "3/6000008", "\"time_high_since\""},
		{"3/6000000", "0/0", "\"time_high_since\""},
		{"3/6000000", "3/A000000", "\"time_high_since\""},
		{"\"restore_point_count\":2", "\"restore_point_count\":3", "\"restore_point_count\""},
		{"\"lsn\":\"3/9000108\"", "\"lsn\":\"9000108\"", "\"lsn\""},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(table); i++)
	{
		WalIndex index;
		AUTO_BUF(text, 0);

		replace(&text, table[i].from, table[i].to);
		AUTO(Error) error = wal_index_parse(text.data, text.size, "the index", &index);

		if (error == NULL || strstr(error_message(error), table[i].says) == NULL)
			fail_msg("%s: %s", table[i].to, error == NULL ? "accepted" : error_message(error));
		assert_true(error_is(error, ERR_CORRUPT));
	}
}

static void
test_what_is_no_object_is_refused(void **state)
{
	static const char *const table[] = {"", "[]", "1", IDENTITY, IDENTITY "}x"};

	(void) state;
	for (size_t i = 0; i < lengthof(table); i++)
	{
		WalIndex index;
		AUTO(Error) error = wal_index_parse(table[i], strlen(table[i]), "the index", &index);

		assert_true(error_is(error, ERR_CORRUPT));
		assert_non_null(strstr(error_message(error), "the index"));
	}
}

static void
add(WalIndex *index, WalEventKind kind, TransactionId xid, TimeUs time)
{
	wal_index_add_event(index, &(WalEvent){.kind = kind, .lsn = 1, .xid = xid, .time = time});
}

static void
test_events_are_counted_in(void **state)
{
	WalIndex index;

	(void) state;
	wal_index_init(&index);
	add(&index, WAL_EVENT_COMMIT, 4294967290, NOON);
	add(&index, WAL_EVENT_ABORT, 3, NOON + 5);
	add(&index, WAL_EVENT_COMMIT, 0, TIME_NONE); /* its record goes on in the next segment */
	add(&index, WAL_EVENT_COMMIT, 4294967295, NOON - 7);
	add(&index, WAL_EVENT_OTHER, 9, NOON + 100);
	add(&index, WAL_EVENT_CHECKPOINT, 0, TIME_NONE);
	add(&index, WAL_EVENT_PARAMETER_CHANGE, 0, TIME_NONE);
	assert_false(index.timeline_switch);
	add(&index, WAL_EVENT_END_OF_RECOVERY, 0, TIME_NONE);
	assert_int_equal(index.commits, 3);
	assert_int_equal(index.aborts, 1);
	assert_int_equal(index.first_time, NOON);
	assert_int_equal(index.last_time, NOON - 7);
	assert_int_equal(index.min_time, NOON - 7);
	assert_int_equal(index.max_time, NOON + 5);
	assert_int_equal(index.min_xid, 4294967290);
	assert_int_equal(index.max_xid, 3);
	assert_int_equal(index.checkpoints, 1);
	assert_true(index.parameter_change && index.timeline_switch);
}

static void
test_recipients_are_read_back_and_no_others(void **state)
{
	WalIndex index;
	AUTO_BUF(text, WAL_INDEX_TEXT_MAX);

	(void) state;
	assert_parses(IDENTITY WALK "}", &index);
	assert_string_equal(index.recipients, "");
	wal_index_print(&index, &text);
	assert_null(strstr(text.data, "recipients"));
	assert_parses(IDENTITY WALK ",\"recipients\":[\"age1qqqqqqqqqqqqqqqq\",\"passphrase\"]}", &index);
	assert_string_equal(index.recipients, "age1qqqqqqqqqqqqqqqq, passphrase");
	buf_clear(&text);
	wal_index_print(&index, &text);
	assert_non_null(strstr(text.data, "\"recipients\":[\"age1qqqqqqqqqqqqqqqq\",\"passphrase\"]"));
}

static void
add_dropped(WalIndex *index, XLogRecPtr lsn, uint64_t number)
{
	wal_index_add_event(index, &(WalEvent){.kind = WAL_EVENT_DROPPED_FILE,
	                                       .lsn = lsn,
	                                       .time = TIME_NONE,
	                                       .relation = {1663, 5, number}});
}

static void
test_drops_are_listed_with_their_files(void **state)
{
	WalIndex index;
	WalEvent commit = {.kind = WAL_EVENT_COMMIT, .lsn = 200, .xid = 7, .time = NOON, .dropped_files = 6};

	(void) state;
	wal_index_init(&index);
	add_dropped(&index, 100, 1); /* its commit is damaged: nothing follows */
	for (uint64_t i = 0; i < 6; i++)
		add_dropped(&index, 200, 10 + i);
	wal_index_add_event(&index, &commit);
	add(&index, WAL_EVENT_COMMIT, 8, NOON);
	wal_index_add_event(&index, &(WalEvent){.kind = WAL_EVENT_DATABASE_DROPPED,
	                                        .lsn = 300,
	                                        .xid = 9,
	                                        .time = TIME_NONE,
	                                        .relation.database = 16384});
	commit.lsn = 400; /* its files lie in the next segment, the number is here */
	wal_index_add_event(&index, &commit);
	add(&index, WAL_EVENT_FILE_CREATED, 8, TIME_NONE);
	add(&index, WAL_EVENT_FILE_CREATED, 8, TIME_NONE);

	assert_int_equal(index.n_files_created, 2);
	assert_int_equal(index.n_drops, 3);
	assert_int_equal(index.drops[0].lsn, 200);
	assert_int_equal(index.drops[0].xid, 7);
	assert_int_equal(index.drops[0].n_files, 6);
	assert_int_equal(index.drops[0].files[0].number, 10);
	assert_int_equal(index.drops[0].files[3].number, 13);
	assert_int_equal(index.drops[1].database, 16384);
	assert_int_equal(index.drops[1].xid, 9);
	assert_int_equal(index.drops[2].n_files, 6);
	assert_int_equal(index.drops[2].files[0].number, 0);
}

/* The epoch is that of the highest xid here, not of the checkpoint's next one. */
static void
test_the_epoch_is_told_beside_the_highest_xid(void **state)
{
	static const struct
	{
		const char *name;
		uint64_t next;
		TransactionId max_xid;
		const char *printed;
	} table[] = {
		{"no checkpoint", 0, 731, NULL},
		{"the first epoch", 740, 731, "\"xid_epoch\":0,"},
		{"just below the wrap", UINT64_C(0x300000010), 0xFFFFFFF0, "\"xid_epoch\":2,"},
		{"just above it", UINT64_C(0x2FFFFFFF0), 20, "\"xid_epoch\":3,"},
		{"no transaction", UINT64_C(0x300000010), 0, "\"xid_epoch\":3,"},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(table); i++)
	{
		WalIndex index;
		WalEvent checkpoint = {
			.kind = WAL_EVENT_CHECKPOINT, .time = TIME_NONE, .next_full_xid = table[i].next};
		AUTO_BUF(text, WAL_INDEX_TEXT_MAX);

		print_message("%s\n", table[i].name);
		wal_index_init(&index);
		index.walked = true;
		add(&index, WAL_EVENT_COMMIT, table[i].max_xid, NOON);
		wal_index_add_event(&index, &checkpoint);
		wal_index_print(&index, &text);
		if (table[i].printed == NULL)
			assert_null(strstr(text.data, "xid_epoch"));
		else
			assert_non_null(strstr(text.data, table[i].printed));
	}
}

static void
fill_lists(WalIndex *index)
{
	for (unsigned i = 0; i < 20; i++)
	{
		char name[64] = "";
		WalEvent point = {
			.kind = WAL_EVENT_RESTORE_POINT, .lsn = index->end_lsn - 1, .time = NOON + 1, .name = name};
		WalEvent commit = {.kind = WAL_EVENT_COMMIT,
		                   .lsn = index->end_lsn - 1000 + i,
		                   .xid = 4000000000 + i,
		                   .time = NOON + 1,
		                   .dropped_files = 1000000};

		memset(name, '"', sizeof name - 1);
		wal_index_add_event(index, &point);
		for (int file = 0; file < 9; file++)
			wal_index_add_event(index, &(WalEvent){.kind = WAL_EVENT_DROPPED_FILE,
			                                       .lsn = commit.lsn,
			                                       .relation = {UINT32_MAX, UINT32_MAX, UINT32_MAX}});
		wal_index_add_event(index, &commit);
	}
}

static void
test_changes_are_gathered(void **state)
{
	static const WalEvent events[] = {
		{.kind = WAL_EVENT_TABLESPACE_CREATED, .lsn = 1, .relation.tablespace = 11, .name = "/srv/a"},
		{.kind = WAL_EVENT_TABLESPACE_DROPPED, .lsn = 2, .relation.tablespace = 12},
		{.kind = WAL_EVENT_DATABASE_CREATED,
	     .lsn = 3,
	     .relation = {.database = 21, .tablespace = 1663},
	     .source_database = 1},
		{.kind = WAL_EVENT_DATABASE_CREATED, .lsn = 4, .relation = {.database = 22, .tablespace = 1663}},
		{.kind = WAL_EVENT_DATABASE_DROPPED, .lsn = 5, .relation.database = 21},
		{.kind = WAL_EVENT_TABLESPACE_CREATED, .lsn = 6, .relation.tablespace = 13, .name = "/srv/\xFF"},

		/* What is not known is no such thing. */
		{.kind = WAL_EVENT_FULL_PAGE_WRITES, .lsn = 7, .end = InvalidXLogRecPtr},
		{.kind = WAL_EVENT_PARAMETER_CHANGE, .lsn = 8},
		{.kind = WAL_EVENT_CHECKPOINT, .lsn = 9},
		{.kind = WAL_EVENT_FULL_PAGE_WRITES, .lsn = 10, .end = 11, .full_page_writes = true},
		{.kind = WAL_EVENT_PARAMETER_CHANGE, .lsn = 11, .parameters.max_connections = 100, .wal_level = 1},
		{.kind = WAL_EVENT_CHECKPOINT, .lsn = 12, .next_full_xid = 800, .full_page_writes = true},

		{.kind = WAL_EVENT_FULL_PAGE_WRITES, .lsn = 13, .end = 14},
		{.kind = WAL_EVENT_CHECKPOINT, .lsn = 14, .next_full_xid = 800},
		{.kind = WAL_EVENT_PARAMETER_CHANGE, .lsn = 15, .parameters.max_connections = 100},
		{.kind = WAL_EVENT_CHECKPOINT,
	     .lsn = 16,
	     .next_full_xid = 800,
	     .begins_timeline = true,
	     .previous_timeline = 3},
		{.kind = WAL_EVENT_TABLESPACE_CREATED, .lsn = 17},
		{.kind = WAL_EVENT_DATABASE_DROPPED, .lsn = 18},
	};
	WalIndex index;

	(void) state;
	wal_index_init(&index);
	for (size_t i = 0; i < lengthof(events); i++)
		wal_index_add_event(&index, &events[i]);
	assert_int_equal(index.n_tablespaces, 4);
	assert_memory_equal(&index.tablespaces[0], (&(WalTablespace){11, 1, true, "/srv/a"}),
	                    sizeof(WalTablespace));
	assert_memory_equal(&index.tablespaces[1], (&(WalTablespace){12, 2, false, ""}), sizeof(WalTablespace));
	assert_memory_equal(&index.tablespaces[2], (&(WalTablespace){13, 6, true, ""}), sizeof(WalTablespace));
	assert_int_equal(index.tablespaces[3].oid, 0);
	assert_int_equal(index.n_databases, 4);
	assert_int_equal(index.databases[0].source, 1);
	assert_int_equal(index.databases[0].tablespace, 1663);
	assert_int_equal(index.databases[1].source, 0);
	assert_true(index.databases[1].created && !index.databases[2].created);
	assert_int_equal(index.databases[2].oid, 21);
	assert_int_equal(index.databases[3].oid, 0);
	assert_int_equal(index.full_page_writes_off_at, 13);
	assert_int_equal(index.wal_level_minimal_at, 15);
	assert_int_equal(index.switch_lsn, 16);
	assert_int_equal(index.previous_timeline, 3);
}

static void
fill_changes(WalIndex *index)
{
	index->n_chunks = WAL_INDEX_CHUNKS_MAX;
	index->chunk_size = UINT32_MAX;
	for (size_t i = 0; i < WAL_INDEX_CHUNKS_MAX; i++)
		index->chunks[i] = (WalChunk){.offset = UINT32_MAX, .crc32c = UINT32_MAX};
	index->has_previous = index->tells_changes = true;
	index->n_tablespaces = index->n_databases = 20;
	for (size_t i = 0; i < WAL_INDEX_TABLESPACES_MAX; i++)
	{
		index->tablespaces[i] = (WalTablespace){.oid = UINT32_MAX, .lsn = UINT64_MAX, .created = true};
		memset(index->tablespaces[i].path, '"', WAL_INDEX_PATH_SIZE - 1);
	}
	for (size_t i = 0; i < WAL_INDEX_DATABASES_MAX; i++)
		index->databases[i] = (WalDatabase){UINT32_MAX, UINT64_MAX, true, UINT32_MAX, UINT32_MAX};
	index->switch_lsn = index->wal_level_minimal_at = index->full_page_writes_off_at = UINT64_MAX;
	index->previous_timeline = UINT32_MAX;
}

/* Full lists, long names, each byte of them escaped, long edges. */
static void
test_the_largest_index_keeps_its_bound(void **state)
{
	WalIndex index;
	AUTO_BUF(text, WAL_INDEX_TEXT_MAX);

	(void) state;
	assert_parses(IDENTITY CONTINUING HIGH EDGES "}", &index);
	memset(index.member, 'm', sizeof index.member - 1);
	memset(index.codec, 'c', sizeof index.codec - 1);
	for (int i = 0; i < 16; i++)
		(void) snprintf(index.recipients + strlen(index.recipients), 23, "%sage1aaaaaaaaaaaaaaa%c",
		                i > 0 ? ", " : "", 'a' + i);
	fill_lists(&index);
	fill_changes(&index);
	index.walk.records = index.commits = index.aborts = index.checkpoints = UINT32_MAX;
	index.walk.head.length = UINT32_MAX;
	index.walk.head.size = index.walk.tail.size = WAL_EDGE_MAX;
	index.n_files_created = UINT32_MAX;
	index.known_full_xid = UINT64_MAX;
	wal_index_print(&index, &text);
	assert_false(text.overflowed);
	assert_int_equal(index.n_restore_points, 20);
	assert_non_null(strstr(text.data, "\"restore_point_count\":20"));
	assert_non_null(strstr(text.data, "\"drop_count\":20"));
	print_message("%zu bytes\n", text.size);
}

/*
 * What one read brings: a segment of a busy server with an image of a page at its
 * start, and a drop.  As time_run_join() leaves it, with a signature to come, also
 * in what 0.1.0 reads; with the bytes of its head in what this version reads.
 */
static void
test_a_usual_index_fits_into_one_read(void **state)
{
	const size_t around = 512 + 78 + 300; /* tar header, seal; signer and signature */
	WalIndex index;
	AUTO_BUF(text, WAL_INDEX_SIZE_NORMAL - around);
	AUTO_BUF(longer, WAL_INDEX_READ_SIZE - around);

	(void) state;
	assert_parses(IDENTITY CHUNKS PREVIOUS WALK HIGH DROPS CHANGES "}", &index);
	index.n_chunks = WAL_INDEX_CHUNKS_MAX;
	for (size_t i = 0; i < WAL_INDEX_CHUNKS_MAX; i++)
		index.chunks[i] = (WalChunk){.offset = 10000000, .crc32c = UINT32_MAX};
	index.walk.head.length = 8192;
	wal_index_print(&index, &text);
	assert_false(text.overflowed);
	print_message("%zu bytes\n", text.size);
	index.walk.head.size = WAL_EDGE_MAX;
	wal_index_print(&index, &longer);
	assert_false(longer.overflowed);
}

static void
test_names_of_restore_points_become_valid_utf8(void **state)
{
	static const struct
	{
		const char *name;
		const char *printed;
	} table[] = {
		{"plain", "\"plain\""},
		{"gr\xC3\xBC\xC3\x9F", "\"gr\xC3\xBC\xC3\x9F\""},
		{"\xE2\x82\xAC \xF0\x9F\x90\x98", "\"\xE2\x82\xAC \xF0\x9F\x90\x98\""},
		{"latin \xFC", "\"latin ?\""},
		{"cut \xE2\x82", "\"cut ??\""},
		{"overlong \xC0\xAF", "\"overlong ??\""},
		{"surrogate \xED\xA0\x80", "\"surrogate ???\""},
		{"line\nbreak\x7F", "\"line?break?\""},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(table); i++)
	{
		WalIndex index;
		WalEvent event = {
			.kind = WAL_EVENT_RESTORE_POINT, .lsn = 1, .time = TIME_NONE, .name = table[i].name};
		AUTO_BUF(text, WAL_INDEX_TEXT_MAX);

		assert_parses(IDENTITY WALK "}", &index);
		wal_index_add_event(&index, &event);
		wal_index_print(&index, &text);
		if (strstr(text.data, table[i].printed) == NULL)
			fail_msg("%s", text.data);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_was_printed_reads_back_the_same),
		cmocka_unit_test(test_every_member_is_read),
		cmocka_unit_test(test_members_of_later_versions_are_passed_over),
		cmocka_unit_test(test_of_an_unknown_postgres_only_the_segment_is_read),
		cmocka_unit_test(test_a_wrong_member_is_named),
		cmocka_unit_test(test_a_quiet_run_must_not_contradict_its_last_segment),
		cmocka_unit_test(test_what_is_no_object_is_refused),
		cmocka_unit_test(test_events_are_counted_in),
		cmocka_unit_test(test_recipients_are_read_back_and_no_others),
		cmocka_unit_test(test_chunks_are_read),
		cmocka_unit_test(test_changes_are_gathered),
		cmocka_unit_test(test_drops_and_edges_are_read),
		cmocka_unit_test(test_drops_are_listed_with_their_files),
		cmocka_unit_test(test_the_epoch_is_told_beside_the_highest_xid),
		cmocka_unit_test(test_the_largest_index_keeps_its_bound),
		cmocka_unit_test(test_a_usual_index_fits_into_one_read),
		cmocka_unit_test(test_names_of_restore_points_become_valid_utf8),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
