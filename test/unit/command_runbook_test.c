/* The runbook of a cluster: text and page from facts, whatever is in them, and with none. */
#include "print_runbook.h"

#include "scratch.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/base/strs.h"

#define NOW     INT64_C(1795132800000000) /* 2026-11-20 00:00:00 UTC */
#define HOUR    (INT64_C(3600) * 1000000)
#define PAGE    (1024 * 1024)
#define HOSTILE "<script>alert('x')</script>\"&\n\x1b[31m\xff`|</pre>"

/* Debian, a bucket, keys, a tablespace, a second store, a drill. */
static void
make(RunbookFacts *facts)
{
	*facts = (RunbookFacts){.now = NOW,
	                        .host = mem_strdup("db1"),
	                        .version = mem_strdup("1.2.3"),
	                        .program = mem_strdup("/usr/local/bin/walship"),
	                        .flags = mem_strdup(" --config='/etc/walship/walship.conf' --cluster='billing'"
	                                            " --system=7300000000000000001"),
	                        .cluster = mem_strdup("billing"),
	                        .settings_file = mem_strdup("/etc/walship/walship.conf"),
	                        .settings_digest = mem_strdup("0123456789abcdef"),
	                        .state_dir = mem_strdup("/var/lib/walship"),
	                        .store = mem_strdup("s3://bucket/billing"),
	                        .endpoint = mem_strdup("https://s3.example.com"),
	                        .key_id = mem_strdup("AKIAEXAMPLE"),
	                        .second_store = mem_strdup("offsite"),
	                        .recipients = mem_strdup("age19hvyg3c9u59xgumu"),
	                        .keys = mem_strdup("age19hvyg3c9u59xgumu"),
	                        .identity_file = mem_strdup("/etc/walship/key.txt"),
	                        .rto_target_ms = INT64_C(3600) * 1000,
	                        .rpo_target_ms = INT64_C(900) * 1000,
	                        .system_identifier = UINT64_C(7300000000000000001),
	                        .major = 15,
	                        .pgdata = mem_strdup("/var/lib/postgresql/15/main"),
	                        .config_file = mem_strdup("/etc/postgresql/15/main/postgresql.conf"),
	                        .libraries = mem_strdup("pg_stat_statements"),
	                        .backup = mem_strdup("20261119T020000Z-9f3c"),
	                        .backup_time = NOW - 22 * HOUR,
	                        .backup_size = UINT64_C(5) << 30,
	                        .backup_has_config = true,
	                        .drilled = true,
	                        .drill_passed = true,
	                        .drill_time = NOW - 40 * HOUR,
	                        .drill_ms = 252000,
	                        .drill_rpo_ms = 41000};
	facts->flags_to_copy = mem_strdup(facts->flags);
	strlist_add(&facts->tablespaces, "/srv/ts 1");
}

/* With environment WALSHIP_NEW_GOLDEN=1 the file is written instead. */
static void
compare(const char *name, const Buf *made)
{
	AUTO_FREE char *path = mem_printf(TEST_DATA_DIR "/output/%s", name);
	AUTO_BUF(golden, PAGE);

	assert_false(made->overflowed);
	if (getenv("WALSHIP_NEW_GOLDEN") != NULL)
		assert_null(file_replace(path, made->data, made->size, 0644));
	assert_null(file_read_all(path, &golden));
	assert_string_equal(made->data, golden.data);
}

static size_t
count_of(const char *text, const char *part)
{
	size_t count = 0;

	for (const char *at = strstr(text, part); at != NULL; at = strstr(at + strlen(part), part))
		count++;
	return count;
}

static void
print(const RunbookFacts *facts, void (*how)(const Runbook *, Buf *), Buf *into)
{
	AUTO_RUNBOOK runbook = {0};

	runbook_write(facts, &runbook);
	how(&runbook, into);
}

static void
test_a_cluster_as_text_and_as_a_page(void **state)
{
	AUTO_RUNBOOK_FACTS facts = {0};
	AUTO_BUF(text, PAGE);
	AUTO_BUF(page, PAGE);

	make(&facts);
	print(&facts, print_runbook_text, &text);
	print(&facts, print_runbook_html, &page);
	compare("runbook.md", &text);
	compare("runbook.html", &page);
	(void) state;
}

/* Every chapter, and nothing that is only known of a cluster. */
static void
test_without_facts_it_is_the_template(void **state)
{
	AUTO_BUF(text, PAGE);
	AUTO_BUF(real, PAGE);
	AUTO_RUNBOOK_FACTS facts = {0};

	print(&(RunbookFacts){0}, print_runbook_text, &text);
	make(&facts);
	print(&facts, print_runbook_text, &real);
	assert_int_equal(count_of(text.data, "\n## "), count_of(real.data, "\n## "));
	assert_int_equal(count_of(text.data, "   walship "), count_of(real.data, "   /usr/local/bin/walship "));
	assert_null(strstr(text.data, "Not known"));
	assert_null(strstr(text.data, "Made by"));
	(void) state;
}

static void
test_what_could_not_be_found_out_is_said(void **state)
{
	AUTO_RUNBOOK_FACTS facts = {.now = NOW, .store = mem_strdup("file:///srv/walship")};
	AUTO_BUF(text, PAGE);

	strlist_add(&facts.unknown, "the store: it is not mounted");
	print(&facts, print_runbook_text, &text);
	assert_non_null(strstr(text.data, "**Not known:** the store: it is not mounted"));
	assert_non_null(strstr(text.data, "**Not known:** the data directory"));
	assert_non_null(strstr(text.data, "there is no drill to be read"));
	assert_non_null(strstr(text.data, "There is no second store"));
	assert_non_null(strstr(text.data, "Nothing is encrypted"));
	assert_null(strstr(text.data, "--store="));
	(void) state;
}

static void
test_a_key_that_is_elsewhere_and_a_drill_that_failed_stand_out(void **state)
{
	AUTO_RUNBOOK_FACTS facts = {0};
	AUTO_BUF(text, PAGE);

	make(&facts);
	free(MOVE(facts.keys));
	free(MOVE(facts.identity_file));
	facts.drill_passed = false;
	print(&facts, print_runbook_text, &text);
	assert_non_null(strstr(text.data, "**which is not on this machine**"));
	assert_non_null(strstr(text.data, "**it did not pass**"));
	(void) state;
}

static void
test_where_the_configuration_lies_in_the_data_directory(void **state)
{
	AUTO_RUNBOOK_FACTS facts = {0};
	AUTO_BUF(text, PAGE);

	make(&facts);
	free(facts.config_file);
	free(facts.pgdata);
	facts.pgdata = mem_strdup("/srv/pg data");
	facts.config_file = mem_strdup("/srv/pg data/postgresql.conf");
	print(&facts, print_runbook_text, &text);
	assert_null(strstr(text.data, "PostgreSQL's configuration |"));
	assert_non_null(strstr(text.data, "pg_ctl -D '/srv/pg data' stop"));
	assert_non_null(strstr(
		text.data, "--pgdata /srv/walship-copy --tablespace-map '/srv/ts 1=/srv/walship-copy-tablespace-1'"));
	(void) state;
}

static void
test_what_others_wrote_is_text(void **state)
{
	AUTO_RUNBOOK_FACTS facts = {0};
	AUTO_BUF(text, PAGE);
	AUTO_BUF(page, PAGE);
	static const char *const tags[] = {"ol", "li", "pre", "table", "tr", "td", "p", "code", "b"};

	make(&facts);
	strlist_add(&facts.tablespaces, "/srv/" HOSTILE "$(reboot)");
	strlist_add(&facts.unknown, HOSTILE);
	print(&facts, print_runbook_text, &text);
	print(&facts, print_runbook_html, &page);
	assert_null(strchr(text.data, '\x1b'));
	assert_null(strstr(page.data, "<script"));
	assert_non_null(strstr(text.data, "--tablespace-map '/srv/"));
	for (size_t i = 0; i < lengthof(tags); i++)
	{
		AUTO_FREE char *open = mem_printf("<%s>", tags[i]);
		AUTO_FREE char *close = mem_printf("</%s>", tags[i]);

		assert_int_equal(count_of(page.data, open), count_of(page.data, close));
	}
	(void) state;
}

static void
test_nothing_is_loaded_from_anywhere(void **state)
{
	static const char *const loads[] = {" src=", " href=", "url(", "@import", "<link", "<iframe"};
	AUTO_RUNBOOK_FACTS facts = {0};
	AUTO_BUF(page, PAGE);

	make(&facts);
	print(&facts, print_runbook_html, &page);
	assert_non_null(strstr(page.data, "default-src 'none'"));
	for (size_t i = 0; i < lengthof(loads); i++)
		assert_null(strstr(page.data, loads[i]));
	(void) state;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_cluster_as_text_and_as_a_page),
		cmocka_unit_test(test_without_facts_it_is_the_template),
		cmocka_unit_test(test_what_could_not_be_found_out_is_said),
		cmocka_unit_test(test_a_key_that_is_elsewhere_and_a_drill_that_failed_stand_out),
		cmocka_unit_test(test_where_the_configuration_lies_in_the_data_directory),
		cmocka_unit_test(test_what_others_wrote_is_text),
		cmocka_unit_test(test_nothing_is_loaded_from_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
