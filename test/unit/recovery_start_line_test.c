/* The line that starts what was restored. */
#include "scratch.h"
#include "walship/base/buf.h"
#include "walship/base/strs.h"
#include "walship/recovery/start_line.h"

static void
write_text(const char *directory, const char *name, const char *text)
{
	AUTO_FREE char *path = path_join(directory, name);
	AUTO_FREE char *parent = path_parent(path);

	assert_ok(dir_make(parent, 0700));
	assert_ok(file_replace(path, text, strlen(text), 0600));
}

/* A machine as a directory. */
static StartPlaces
places_in(const char *scratch, char *paths[3])
{
	paths[0] = path_join(scratch, "lib");
	paths[1] = path_join(scratch, "etc");
	paths[2] = path_join(scratch, "run");
	return (StartPlaces){paths[0], paths[1], paths[2]};
}

static void
assert_line(const char *scratch, bool beside, const char *own_options, const char *expected)
{
	char *paths[3];
	StartPlaces places = places_in(scratch, paths);
	AUTO_FREE char *pgdata = path_join(scratch, "copy");
	AUTO_BUF(text, 64 * 1024);
	AUTO_START_LINE line = {0};

	start_line_make(pgdata, 15, beside, own_options, &places, &line);

	/* '@' is the scratch directory. */
	for (const char *at = line.command; *at != '\0'; at++)
		if (str_starts_with(at, scratch))
		{
			buf_putc(&text, '@');
			at += strlen(scratch) - 1;
		}
		else
			buf_putc(&text, *at);
	assert_string_equal(text.data, expected);
	for (size_t i = 0; i < lengthof(paths); i++)
		free(paths[i]);
}

static void
a_directory_with_its_settings_is_started_by_the_programs_of_its_major(void **state)
{
	write_text(*state, "lib/15/bin/pg_ctl", "");
	write_text(*state, "copy/postgresql.conf", "port = 5432\n");
	assert_line(*state, false, NULL, "@/lib/15/bin/pg_ctl -D @/copy -l @/copy.log start");
	assert_line(*state, true, NULL, "@/lib/15/bin/pg_ctl -D @/copy -l @/copy.log -o '-p 5433' start");
	write_text(*state, "run/.s.PGSQL.5433", "");
	assert_line(*state, true, NULL, "@/lib/15/bin/pg_ctl -D @/copy -l @/copy.log -o '-p 5434' start");
}

static void
settings_that_lie_elsewhere_are_named_and_do_not_lead_to_the_old_server(void **state)
{
	write_text(*state, "lib/15/bin/pg_ctl", "");
	write_text(*state, "etc/15/main/postgresql.conf", "data_directory = '/var/lib/postgresql/15/main'\n");
	write_text(*state, "copy/PG_VERSION", "15\n");
	assert_line(*state, true, NULL,
	            "@/lib/15/bin/pg_ctl -D @/copy -l @/copy.log -o '-p 5433 -c "
	            "config_file=@/etc/15/main/postgresql.conf -c data_directory=@/copy -c "
	            "external_pid_file=@/copy/external.pid' start");

	/* Whose would it be? */
	write_text(*state, "etc/15/other/postgresql.conf", "data_directory = '/var/lib/postgresql/15/other'\n");
	assert_line(*state, true, NULL, "@/lib/15/bin/pg_ctl -D @/copy -l @/copy.log -o '-p 5433' start");
}

static void
the_directory_of_a_debian_cluster_is_started_as_that(void **state)
{
	AUTO_FREE char *text = mem_printf("data_directory = '%s/copy'\n", (char *) *state);

	write_text(*state, "etc/15/main/postgresql.conf", "data_directory = '/elsewhere'\n");
	write_text(*state, "etc/15/second/postgresql.conf", text);
	assert_line(*state, false, NULL, "pg_ctlcluster 15 second start");
}

static void
what_the_restored_settings_need_is_quoted_twice(void **state)
{
	write_text(*state, "copy/postgresql.conf", "");
	write_text(*state, "lib/15/bin/pg_ctl", "");
	assert_line(*state, false, "-c 'a=/b c'",
	            "@/lib/15/bin/pg_ctl -D @/copy -l @/copy.log -o '-c '\\''a=/b c'\\''' start");
}

static void
a_directory_without_any_settings_is_told_so(void **state)
{
	char *paths[3];
	StartPlaces places = places_in(*state, paths);
	AUTO_START_LINE line = {0};

	start_line_make("/no/such place", 15, false, NULL, &places, &line);
	assert_true(line.no_settings);
	assert_true(str_ends_with(line.command, "pg_ctl -D '/no/such place' -l '/no/such place.log' start"));
	for (size_t i = 0; i < lengthof(paths); i++)
		free(paths[i]);
}

static int
set_up(void **state)
{
	*state = scratch_make();
	return 0;
}

static int
tear_down(void **state)
{
	scratch_remove(*state);
	return 0;
}

#define IN_SCRATCH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		IN_SCRATCH(a_directory_with_its_settings_is_started_by_the_programs_of_its_major),
		IN_SCRATCH(settings_that_lie_elsewhere_are_named_and_do_not_lead_to_the_old_server),
		IN_SCRATCH(the_directory_of_a_debian_cluster_is_started_as_that),
		IN_SCRATCH(what_the_restored_settings_need_is_quoted_twice),
		IN_SCRATCH(a_directory_without_any_settings_is_told_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
