/* Pages for people and objects for programs: tables, plans, the list. */
#include "plan_world.h"
#include "print_find.h"
#include "print_list.h"
#include "print_plan.h"
#include "table.h"

/* What is printed into it is "*ret_text" once it is closed.  The caller frees. */
static FILE *
memory_stream(char **ret_text)
{
	static size_t size;

	return open_memstream(ret_text, &size);
}

static void
columns_are_aligned_and_lines_have_no_blanks_at_their_end(void **state)
{
	AUTO(Table) table = table_new("name|>size|note");
	AUTO_FREE char *text = NULL;
	FILE *into = memory_stream(&text);

	(void) state;
	table_cell(table, "%s", "a");
	table_cell(table, "%d", 12345);
	table_cell(table, "%s", "first");
	table_cell(table, "%s", "longer");
	table_cell(table, "%d", 1);
	table_cell(table, "%s", "");
	assert_int_equal(table_rows(table), 2);
	table_print(table, "> ", into);
	(void) fclose(into);
	assert_string_equal(text, "> name     size  note\n"
	                          "> a       12345  first\n"
	                          "> longer      1\n");
}

static void
what_is_not_known_is_a_dash(void **state)
{
	AUTO(Table) table = table_new("time|LSN");
	AUTO_FREE char *text = NULL;
	FILE *into = memory_stream(&text);

	(void) state;
	table_time(table, TIME_NONE);
	table_lsn(table, InvalidXLogRecPtr);
	table_time(table, SECOND(0));
	table_lsn(table, PLACE(3, 1));
	table_print(table, "", into);
	(void) fclose(into);
	assert_string_equal(text, "time                    LSN\n"
	                          "-                       -\n"
	                          "2026-11-20 00:00:00+00  0/3100000\n");
}

static RecoveryPlan *
plan_of(World *world, const RecoveryRequest *request)
{
	RecoveryPlan *plan;

	assert_ok(world_plan(world, request, &plan));
	return plan;
}

static void
a_plan_fits_on_a_page(void **state)
{
	AUTO(World) world = world_new("tli 1: 1-6\nfork 2 1@7.5\ntli 2: 7-9\nbackup A 1@2.1-2.6 20-26\n"
	                              "backup B 2@8.1-8.6 81-86\ncommit 1@3.2 32 700\ncommit 2@7.8 78 701\n");
	RecoveryRequest request = {.target = {.kind = TARGET_TIME, .inclusive = true, .time = SECOND(40)},
	                           .now = SECOND(9000)};
	AUTO(RecoveryPlan) plan = plan_of(world, &request);
	DiskSpace space = {.path = "/srv/copy", .needed = 1024 * 1024, .available = UINT64_C(10) << 30};
	PlanReport report = {.plan = plan,
	                     .zone = "Europe/Berlin",
	                     .spaces = &space,
	                     .n_spaces = 1,
	                     .settings = "a = '1'\nb = ''\n"};
	AUTO_FREE char *text = NULL;
	FILE *into = memory_stream(&text);

	(void) state;
	print_plan_text(&report, into);
	(void) fclose(into);
	assert_string_equal(text,
	                    "Brings back everything up to 2026-11-20 01:00:32+01 (xid 700), but not xid 701.\n"
	                    "  target         time 2026-11-20 01:00:40+01 (2026-11-20 00:00:40+00)\n"
	                    "  last included  xid 700, 2026-11-20 01:00:32+01, LSN 0/3200000\n"
	                    "  first excluded xid 701, 2026-11-20 01:01:18+01, LSN 0/7800000\n"
	                    "  stops          after the record at LSN 0/3200000\n"
	                    "  backup         A, PostgreSQL 15: 0 B to fetch, 0 B on disk in 0 files\n"
	                    "  ended          2026-11-20 01:00:26+01, LSN 0/2600000\n"
	                    "  timeline       2\n"
	                    "  WAL            6 segments, 5.9 KiB to fetch\n"
	                    "                 000000010000000000000002 to 000000010000000000000006\n"
	                    "                 000000020000000000000007\n"
	                    "  replay         about 3.0 s: 96.0 MiB of WAL at an assumed 32.0 MiB/s\n"
	                    "  disk           1.0 MiB needed, 10.0 GiB free for \"/srv/copy\"\n"
	                    "  purpose        a copy to look at: it does not archive\n"
	                    "  then           pause\n"
	                    "  not used       B: ended at 2026-11-20 00:01:26+00, after the target\n");
}

/* They are many, and push the plan off the screen; programs get them always. */
static void
the_settings_are_shown_to_who_asks_for_them(void **state)
{
	AUTO(World) world = world_new("tli 1: 1-6\nbackup A 1@2.1-2.6 20-26\ncommit 1@3.2 32 700\n");
	RecoveryRequest request = {.target = {.kind = TARGET_XID, .inclusive = true, .xid = 700}};
	AUTO(RecoveryPlan) plan = plan_of(world, &request);
	PlanReport report = {.plan = plan, .settings = "a = '1'\nb = ''\n", .verbose = true};
	AUTO_FREE char *text = NULL;
	AUTO_FREE char *json = NULL;
	FILE *into = memory_stream(&text);

	(void) state;
	print_plan_text(&report, into);
	(void) fclose(into);
	assert_true(str_ends_with(text, "Settings, in postgresql.auto.conf\n  a = '1'\n  b = ''\n"));
	report.verbose = false;
	into = memory_stream(&json);
	print_plan_json(&report, into);
	(void) fclose(into);
	assert_non_null(strstr(json, "\"settings\""));
}

static void
on_a_terminal_sentences_are_broken_between_words(void **state)
{
	AUTO(World) world = world_new("tli 1: 1-6\nbackup A 1@2.1-2.6 20-26\ncommit 1@3.2 32 700\n");
	RecoveryRequest request = {.target = {.kind = TARGET_XID, .inclusive = true, .xid = 700}};
	AUTO(RecoveryPlan) plan = plan_of(world, &request);
	PlanReport report = {.plan = plan, .columns = 40};
	AUTO_FREE char *text = NULL;
	FILE *into = memory_stream(&text);

	(void) state;
	strlist_add(&plan->notes, "a few words, and then /a/path/that/is/longer/than/a/line and more");
	print_plan_text(&report, into);
	(void) fclose(into);
	assert_non_null(strstr(text, "  note           a few words, and then\n"
	                             "                 /a/path/that/is/longer/than/a/line\n"
	                             "                 and more\n"));
}

static void
a_plan_is_one_object(void **state)
{
	AUTO(World) world = world_new("tli 1: 1-6\nbackup A 1@2.1-2.6 20-26\ncommit 1@3.2 32 700\n");
	RecoveryRequest request = {.target = {.kind = TARGET_XID, .inclusive = true, .xid = 700}};
	AUTO(RecoveryPlan) plan = plan_of(world, &request);
	PlanReport report = {.plan = plan};
	AUTO_FREE char *printed = NULL;
	FILE *into = memory_stream(&printed);
	AUTO(Json) object = NULL;
	const char *text;
	int64_t number;

	(void) state;
	print_plan_json(&report, into);
	(void) fclose(into);
	assert_ok(json_parse(printed, strlen(printed), "plan", &object));
	assert_ok(json_get_string(json_get(object, "stop"), "lsn", &text));
	assert_string_equal(text, "0/3200000");
	assert_ok(json_get_int(json_get(object, "target"), "xid", &number));
	assert_int_equal(number, 700);
	assert_ok(json_get_string(json_get(object, "wal"), "plan_end", &text));
	assert_string_equal(text, "000000010000000000000003");
	assert_false(json_has(object, "end_lsn"));
}

static void
read_windows(World *world, WindowList *list)
{
	AUTO(WalFacts) facts = world_facts(world);

	assert_ok(plan_windows(&world->catalog, facts, list));
}

/* The caller frees. */
static void
listing_text(World *world, Listing *listing, char **ret_text)
{
	FILE *into = memory_stream(ret_text);

	listing->catalog = &world->catalog;
	listing->now = SECOND(7200);
	read_windows(world, &listing->windows);
	print_list_text(listing, into);
	(void) fclose(into);
	window_list_release(&listing->windows);
}

static void
the_list_names_windows_gaps_partials_and_leftovers(void **state)
{
	AUTO(World) world = world_new("tli 1: 1-3\ntli 1: 5-6\npartial 1@7\nbackup A 1@2.1-2.6 20-26\n"
	                              "backup B 1@5.1-5.6 50-56 pages\ncommit 1@3.2 32 700\n");
	Leftover leftover = {.id = "20261120T023007Z-9f3c", .size = 2048, .objects = 3};
	Listing listing = {.leftovers = &leftover, .n_leftovers = 1};
	AUTO_FREE char *text = NULL;

	(void) state;
	strlist_add(&world->catalog.damaged, "20261119T000000Z-0001: not JSON");
	listing_text(world, &listing, &text);
	assert_non_null(strstr(text, "PAGE ERRORS"));
	assert_non_null(strstr(text, "(every segment is there, and was whole when it was pushed"));
	assert_non_null(strstr(text, "2026-11-20 00:00:26+00  2026-11-20 00:00:32+00  0/4000000  A\n"));
	assert_non_null(
		strstr(text, "GAP on the way to timeline 1: 1 segment is missing, 000000010000000000000004\n"));
	assert_non_null(strstr(text, "Partial segment: 000000010000000000000007.partial, 1000 B stored\n"));
	assert_non_null(strstr(text, "Unfinished backup: 20261120T023007Z-9f3c, 2.0 KiB in 3 objects."));
	assert_non_null(strstr(text, "DAMAGED 20261119T000000Z-0001: not JSON\n"));
	assert_null(strstr(text, " \n"));
}

/* From when, how fresh, how many gaps; and nothing wider than a terminal. */
static void
the_first_two_lines_of_the_list_are_the_answer(void **state)
{
	AUTO(World) world =
		world_new("tli 1: 1-3\ntli 1: 5-6\nfork 2 1@6.5\ntli 2: 6-8\nfork 3 2@8.5\ntli 3: 8-9\n"
	              "backup A 1@2.1-2.6 20-26\nbackup B 1@5.1-5.6 50-56\n"
	              "commit 1@3.2 32 700\ncommit 3@9.2 92 701\n");
	Listing listing = {0};
	AUTO_FREE char *text = NULL;

	(void) state;
	listing_text(world, &listing, &text);
	assert_true(str_starts_with(text,
	                            "Any moment from 2026-11-20 00:00:56+00 to 2026-11-20 00:01:32+00 "
	                            "(118 min ago), timeline 3.\n"
	                            "Newest backup 119 min ago; replay from there to the end takes about 2.4 s; "
	                            "1 GAP.\n"));
	assert_non_null(strstr(text, "live, left 2 at 0/8500000\n"));
	for (const char *line = text; *line != '\0'; line += strcspn(line, "\n") + 1)
		assert_true(strcspn(line, "\n") <= 100);
}

/* Every timeline has to go over it; it is one segment. */
static void
a_gap_that_many_timelines_share_is_printed_once(void **state)
{
	AUTO(World) world =
		world_new("tli 1: 1-3\ntli 1: 5-6\nfork 2 1@6.5\ntli 2: 6-8\nfork 3 2@8.5\ntli 3: 8-9\n"
	              "backup A 1@2.1-2.6 20-26\n");
	Listing listing = {0};
	AUTO_FREE char *text = NULL;
	const char *gap;

	(void) state;
	listing_text(world, &listing, &text);
	gap = strstr(text, "GAP on the way");
	assert_non_null(gap);
	assert_true(str_starts_with(
		gap, "GAP on the way to timeline 1, 2, 3: 1 segment is missing, 000000010000000000000004\n"));
	assert_null(strstr(gap + 1, "GAP on the way"));
}

static void
of_many_backups_the_newest_ten_are_listed(void **state)
{
	AUTO_BUF(story, 64 * 1024);
	Listing few = {0};
	Listing all = {.verbose = true};

	(void) state;
	buf_puts(&story, "tli 1: 1-30\n");
	for (int i = 0; i < 14; i++)
		buf_printf(&story, "backup %c 1@%d.1-%d.6 %d0-%d6\n", 'A' + i, i + 2, i + 2, i + 2, i + 2);

	AUTO(World) world = world_new(story.data);
	AUTO_FREE char *short_text = NULL;
	AUTO_FREE char *long_text = NULL;

	listing_text(world, &few, &short_text);
	listing_text(world, &all, &long_text);
	assert_non_null(strstr(short_text, "and 4 older ones: --verbose\n"));
	assert_null(strstr(short_text, "\nD  "));
	assert_non_null(strstr(short_text, "\nE  "));
	assert_non_null(strstr(long_text, "\nA  "));
	assert_null(strstr(long_text, "--verbose"));
}

static void
an_age_is_told_by_its_larger_unit(void **state)
{
	static const struct
	{
		int64_t seconds;
		const char *expected;
	} cases[] = {
		{0, "just now"},         {1, "1 s ago"},         {119, "119 s ago"},
		{120, "2 min ago"},      {7199, "119 min ago"},  {7200, "2 h ago"},
		{47 * 3600, "47 h ago"}, {48 * 3600, "2 d ago"}, {400 * 86400, "400 d ago"},
		{-180, "in 3 min"},
	};
	char text[AGE_TEXT_SIZE];

	(void) state;
	for (size_t i = 0; i < lengthof(cases); i++)
		assert_string_equal(age_format(SECOND(0), SECOND(cases[i].seconds), text), cases[i].expected);
}

static void
an_empty_list_says_so(void **state)
{
	AUTO(World) world = world_new("");
	Listing listing = {0};
	AUTO_FREE char *text = NULL;
	AUTO_FREE char *json = NULL;
	FILE *json_into = memory_stream(&json);

	(void) state;
	listing_text(world, &listing, &text);
	read_windows(world, &listing.windows);
	print_list_json(&listing, json_into);
	(void) fclose(json_into);
	window_list_release(&listing.windows);
	assert_string_equal(text, "Nothing can be recovered. There is no backup.\nNo gaps.\n"
	                          "Database system 7300000000000000001: 0 backups (0 B), WAL (0 B).\n");
	assert_non_null(strstr(json, "\"system\""));
}

/* Where 14,000 newer backups are passed over, the plan was cut at 1 MiB, and its warnings with it. */
static void
thousands_of_rejected_backups_do_not_hide_the_plan(void **state)
{
	const size_t count = 14000;
	AUTO(World) world = world_new("tli 1: 1-6\nbackup A 1@2.1-2.6 20-26\ncommit 1@3.2 32 700\n");
	RecoveryRequest request = {.target = {.kind = TARGET_XID, .inclusive = true, .xid = 700}};
	AUTO(RecoveryPlan) plan = plan_of(world, &request);
	PlanReport report = {.plan = plan, .settings = "a = '1'\n", .verbose = true};
	AUTO_FREE char *text = NULL;
	AUTO_FREE char *json = NULL;
	FILE *into = memory_stream(&text);
	AUTO(Json) object = NULL;
	size_t rejected = 0;

	(void) state;
	assert_int_equal(plan->n_rejected, 0);
	free(plan->rejected);
	plan->rejected = NEW_ARRAY(RejectedBackup, count);
	for (; plan->n_rejected < count; plan->n_rejected++)
		plan->rejected[plan->n_rejected] =
			(RejectedBackup){mem_printf("20261120T023007Z-%04zx", plan->n_rejected),
		                     mem_strdup("ended at 2026-11-20 02:30:07+00, after the target")};
	strlist_add(&plan->warnings, "look");
	print_plan_text(&report, into);
	(void) fclose(into);
	assert_true(strlen(text) < 4096);
	assert_non_null(strstr(text, "  not used       20261120T023007Z-0000: ended at"));
	assert_non_null(strstr(text, "Z-0009: "));
	assert_null(strstr(text, "Z-000a: "));
	assert_non_null(strstr(text, "                 and 13990 more; --json lists them all\n"));
	assert_non_null(strstr(text, "  WARNING        look\n"));
	assert_true(str_ends_with(text, "Settings, in postgresql.auto.conf\n  a = '1'\n"));

	into = memory_stream(&json);
	print_plan_json(&report, into);
	(void) fclose(into);
	assert_ok(json_parse(json, strlen(json), "plan", &object));
	for (const Json *item = json_first(json_get(object, "rejected")); item != NULL; item = json_next(item))
		rejected++;
	assert_int_equal(rejected, count);
	assert_true(json_has(object, "settings"));
}

/* Objects for programs are contracts: byte for byte as version 0.1.0 printed them. */
static void
assert_output(const char *name, const char *text)
{
	AUTO_FREE char *path = mem_printf("%s/output/%s", TEST_DATA_DIR, name);
	AUTO_BUF(expected, 64 * 1024);

	assert_ok(file_read_all(path, &expected));
	assert_string_equal(text, expected.data);
}

/* Two timelines, backups with and without a note and a key, a gap, a partial, leftovers and damage. */
static void
the_list_keeps_its_bytes(void **state)
{
	AUTO(World) world = world_new("tli 1: 1-3\ntli 1: 5-6\nfork 2 1@6.5\ntli 2: 6-8\npartial 1@7\n"
	                              "backup A 1@2.1-2.6 20-26\nbackup B 1@5.1-5.6 50-56 pages inside standby\n"
	                              "commit 1@3.2 32 700\ncommit 2@7.2 72 701\n");
	Leftover leftover = {.id = "20261120T023007Z-9f3c", .size = 2048, .objects = 3};
	Listing listing = {.catalog = &world->catalog, .leftovers = &leftover, .n_leftovers = 1};
	BackupRecord *backup = world->catalog.backups[1];
	AUTO_FREE char *text = NULL;
	FILE *into = memory_stream(&text);

	(void) state;
	strlist_add(&world->catalog.damaged, "20261119T000000Z-0001: not JSON");
	backup->label = mem_strdup("it's");
	backup->note = mem_strdup("vor dem \"gro\xC3\x9F"
	                          "en\" Umbau\n");
	backup->duration_ms = 4321;
	backup->files = 3;
	backup->files_size = 1 << 20;
	backup->manifest_stored_size = 50;
	backup->parts = NEW_ARRAY(BackupPart, 1);
	backup->parts[backup->n_parts++] = (BackupPart){
		.name = mem_strdup("p"), .set = mem_strdup("base"), .raw_size = 1000, .stored_size = 100};
	(void) snprintf(backup->recipients, sizeof(backup->recipients), "age1aaaaaaaaaaaaaaaa, passphrase");
	read_windows(world, &listing.windows);
	print_list_json(&listing, into);
	window_list_release(&listing.windows);
	(void) fclose(into);
	assert_output("list.json", text);
}

static void
plan_into(World *world, const RecoveryRequest *request, const PlanReport *form, FILE *into)
{
	AUTO(RecoveryPlan) plan = plan_of(world, request);
	PlanReport report = *form;

	report.plan = plan;
	print_plan_json(&report, into);
}

static void
plans_keep_their_bytes(void **state)
{
	AUTO(World) world = world_new("tli 1: 1-6\nfork 2 1@7.5\ntli 2: 7-9\nbackup A 1@2.1-2.6 20-26\n"
	                              "backup B 2@8.1-8.6 81-86\ncommit 1@3.2 32 700\ncommit 2@7.8 78 701\n"
	                              "point 1@4.4 44 before\n");
	static const RecoveryTarget targets[] = {
		{.kind = TARGET_TIME, .inclusive = true, .time = SECOND(40)},
		{.kind = TARGET_XID, .xid = 701},
		{.kind = TARGET_NAME, .inclusive = true, .name = "before"},
		{.kind = TARGET_LSN, .lsn = PLACE(4, 1)},
		{.kind = TARGET_BEFORE, .inclusive = true, .lsn = PLACE(4, 1), .xid = 9},
		{.kind = TARGET_IMMEDIATE, .inclusive = true},
		{.kind = TARGET_LATEST, .inclusive = true},
	};
	DiskSpace spaces[] = {{.path = "/srv/copy", .needed = 1024 * 1024, .available = UINT64_C(10) << 30},
	                      {.path = "/srv/b", .needed = 1}};
	char path[] = "/srv/live \xFC";
	char place[] = "/srv/copy-tablespaces/16400";
	const CreatedTablespace created[] = {{.oid = 16400, .lsn = PLACE(3, 1), .path = path, .place = place},
	                                     {.oid = 16401, .lsn = PLACE(3, 2), .path = place}};
	AUTO_FREE char *text = NULL;
	FILE *into = memory_stream(&text);

	(void) state;
	for (size_t i = 0; i < lengthof(targets); i++)
	{
		RecoveryRequest request = {
			.target = targets[i], .now = SECOND(9000), .purpose = i % 2, .action = i % 3};

		plan_into(world, &request,
		          i % 2 == 0 ? &(PlanReport){.spaces = spaces,
		                                     .n_spaces = 2,
		                                     .created = created,
		                                     .n_created = 2,
		                                     .settings = "a = '1'\nb = ''\n"}
		                     : &(PlanReport){.spaces = NULL},
		          into);
	}
	(void) fclose(into);
	assert_output("plan.json", text);
}

static void
what_was_found_keeps_its_bytes(void **state)
{
	AUTO(World) world = world_new("tli 1: 1-6\nfork 2 1@7.5\ntli 2: 7-9\n");
	WalRelation files[] = {{1663, 5, 16390}, {1664, 0, UINT64_C(4294967295)}};
	uint32_t objects[] = {16385, 4294967295};
	char point[] = "it's \"this\"";
	char odd[] = "not ?";
	Finding drops[] = {
		{.timeline = 1,
	     .lsn = PLACE(3, 1),
	     .xid = 700,
	     .time = SECOND(3),
	     .dropped = {.kind = DROPPED_RELATIONS,
	                 .commit_lsn = PLACE(3, 1),
	                 .database = 5,
	                 .files = 7,
	                 .objects = 2,
	                 .named_files = files,
	                 .n_named_files = 2,
	                 .named_objects = objects,
	                 .n_named_objects = 2,
	                 .cut = true}},
		{.timeline = 2,
	     .lsn = PLACE(8, 1),
	     .xid = 701,
	     .time = TIME_NONE,
	     .dropped = {.kind = DROPPED_DATABASE, .database = 16384}},
		{.timeline = 2,
	     .lsn = PLACE(8, 2),
	     .xid = 702,
	     .time = SECOND(8),
	     .dropped = {.kind = DROPPED_BY_REWRITE,
	                 .commit_lsn = PLACE(8, 2),
	                 .files = 1,
	                 .named_files = files,
	                 .n_named_files = 1}},
	};
	Finding points[] = {{.timeline = 1, .lsn = PLACE(3, 1), .time = SECOND(3), .name = point},
	                    {.timeline = 1, .lsn = PLACE(3, 2), .time = SECOND(4), .name = odd}};
	Finding commits[] = {
		{.timeline = 1, .lsn = PLACE(3, 1), .time = SECOND(3), .xid = 700, .written = {700, 12, 3456}}};
	WalEnd ends[] = {{.timeline = 1, .lsn = PLACE(7, 5), .time = TIME_NONE},
	                 {.timeline = 2, .lsn = PLACE(10, 0), .time = SECOND(8)}};
	char sentence[] = "segment 5 could not be read";
	char *warnings[] = {sentence};
	const struct
	{
		SearchRequest request;
		Findings findings;
	} rows[] = {
		{{.kind = SEARCH_DROPS, .since = SECOND(1), .until = TIME_NONE},
	     {.items = drops,
	      .count = lengthof(drops),
	      .ends = ends,
	      .n_ends = lengthof(ends),
	      .rewrites = 4,
	      .warnings = {.items = warnings, .count = 1}}},
		{{.kind = SEARCH_RESTORE_POINTS, .since = TIME_NONE, .until = SECOND(9)},
	     {.items = points, .count = 2}},
		{{.kind = SEARCH_COMMITS, .since = TIME_NONE, .until = TIME_NONE}, {.items = commits, .count = 1}},
		{{.kind = SEARCH_REWRITES, .since = TIME_NONE, .until = TIME_NONE}, {.count = 0}},
	};
	AUTO_FREE char *text = NULL;
	FILE *into = memory_stream(&text);

	(void) state;
	for (size_t i = 0; i < lengthof(rows); i++)
		print_find_json(&(FindReport){.catalog = &world->catalog,
		                              .request = &rows[i].request,
		                              .findings = &rows[i].findings,
		                              .flags = i == 0 ? " --store='x'" : ""},
		                into);
	(void) fclose(into);
	assert_output("find.json", text);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(columns_are_aligned_and_lines_have_no_blanks_at_their_end),
		cmocka_unit_test(what_is_not_known_is_a_dash),
		cmocka_unit_test(a_plan_fits_on_a_page),
		cmocka_unit_test(the_settings_are_shown_to_who_asks_for_them),
		cmocka_unit_test(on_a_terminal_sentences_are_broken_between_words),
		cmocka_unit_test(a_plan_is_one_object),
		cmocka_unit_test(the_list_names_windows_gaps_partials_and_leftovers),
		cmocka_unit_test(the_first_two_lines_of_the_list_are_the_answer),
		cmocka_unit_test(a_gap_that_many_timelines_share_is_printed_once),
		cmocka_unit_test(of_many_backups_the_newest_ten_are_listed),
		cmocka_unit_test(an_age_is_told_by_its_larger_unit),
		cmocka_unit_test(an_empty_list_says_so),
		cmocka_unit_test(thousands_of_rejected_backups_do_not_hide_the_plan),
		cmocka_unit_test(the_list_keeps_its_bytes),
		cmocka_unit_test(plans_keep_their_bytes),
		cmocka_unit_test(what_was_found_keeps_its_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
