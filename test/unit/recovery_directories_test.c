/* Directories of a recovery: what is refused, moved aside, brought back, cleared and left alone. */
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scratch.h"
#include "steps.h"

#define MARKER "walship_recover_unfinished"
#define SUFFIX ".before"

/* <scratch>/pg and tablespaces <scratch>/ts1, <scratch>/ts2 */
typedef struct Fixture
{
	char *scratch;
	char *pgdata;
	char *tablespaces[2];
	Recovery run;
} Fixture;

/* What another process does in the instant before this one asks for the lock; once. */
static void (*before_lock)(Fixture *fixture);
static Fixture *locked_fixture;

/* In place of the C library's. */
int
flock(int fd, int operation)
{
	void (*act)(Fixture *) = before_lock;

	before_lock = NULL;
	if (act != NULL)
		act(locked_fixture);
	return (int) syscall(SYS_flock, fd, operation);
}

static Recovery
new_run(const char *pgdata, const char *const *tablespaces, size_t n_tablespaces, bool move_aside)
{
	Recovery run = {.pgdata = mem_strdup(pgdata),
	                .tablespaces = NEW_ARRAY(RestoreTablespace, n_tablespaces),
	                .n_tablespaces = n_tablespaces,
	                .move_aside = move_aside,
	                .suffix = mem_strdup(SUFFIX)};

	for (size_t i = 0; i < n_tablespaces; i++)
	{
		run.tablespaces[i].path = tablespaces[i];
		strlist_add(&run.directories, tablespaces[i]);
	}
	return run;
}

static void
begin_run(Fixture *fixture, size_t n_tablespaces, bool move_aside)
{
	recovery_release(&fixture->run);
	fixture->run =
		new_run(fixture->pgdata, (const char *const *) fixture->tablespaces, n_tablespaces, move_aside);
}

static int
set_up(void **state)
{
	Fixture *fixture = NEW(Fixture);

	fixture->scratch = scratch_make();
	fixture->pgdata = path_join(fixture->scratch, "pg");
	fixture->tablespaces[0] = path_join(fixture->scratch, "ts1");
	fixture->tablespaces[1] = path_join(fixture->scratch, "ts2");
	begin_run(fixture, 2, false);
	*state = fixture;
	return 0;
}

static int
tear_down(void **state)
{
	Fixture *fixture = *state;

	recovery_release(&fixture->run);
	scratch_remove(fixture->scratch);
	free(fixture->pgdata);
	free(fixture->tablespaces[0]);
	free(fixture->tablespaces[1]);
	free(fixture);
	return 0;
}

static void
put(const char *directory, const char *name, const char *text)
{
	AUTO_FREE char *path = path_join(directory, name);
	AUTO_FREE char *parent = path_parent(path);

	assert_ok(dir_make(parent, 0700));
	assert_ok(file_replace(path, text, strlen(text), 0600));
}

/* As a server's data directory says which directories are its tablespaces. */
static void
put_link(const char *pgdata, const char *oid, const char *path)
{
	AUTO_FREE char *links = path_join(pgdata, "pg_tblspc");
	AUTO_FREE char *link = path_join(links, oid);

	assert_ok(dir_make(links, 0700));
	assert_int_equal(symlink(path, link), 0);
}

static bool
has(const char *directory, const char *name)
{
	AUTO_FREE char *path = path_join(directory, name);

	return file_exists(path);
}

static size_t
count(const char *directory)
{
	AUTO_STRLIST names = {0};

	assert_ok(dir_list(directory, &names));
	return names.count;
}

static void
missing_and_empty_directories_are_made_private_and_marked(void **state)
{
	Fixture *fixture = *state;
	struct stat status;

	assert_ok(dir_make(fixture->tablespaces[0], 0755));
	assert_ok(directories_check(&fixture->run));
	assert_false(file_exists(fixture->pgdata));
	assert_ok(directories_prepare(&fixture->run));
	assert_true(has(fixture->pgdata, MARKER));
	assert_int_equal(stat(fixture->tablespaces[0], &status), 0);
	assert_int_equal(status.st_mode & 0777, 0700);
	directories_finish(&fixture->run);
	assert_int_equal(count(fixture->pgdata), 0);
}

static void
what_is_not_empty_is_refused_and_left_alone(void **state)
{
	Fixture *fixture = *state;
	const char *const rows[] = {fixture->pgdata, fixture->tablespaces[0], fixture->tablespaces[1]};

	for (size_t i = 0; i < lengthof(rows); i++)
	{
		put(rows[i], "precious", "x");
		assert_error(directories_check(&fixture->run), ERR_EXISTS, rows[i]);
		assert_error(directories_prepare(&fixture->run), ERR_EXISTS, "is not empty");
		assert_ok(directories_undo(&fixture->run));
		assert_true(has(rows[i], "precious"));
		assert_int_equal(count(fixture->scratch), 1);
		assert_ok(dir_remove_tree(rows[i], false));
	}
}

static void
paths_that_hold_one_another_are_refused(void **state)
{
	static const struct
	{
		const char *name;
		const char *pgdata;
		const char *tablespaces[2];
		bool allowed;
	} rows[] = {
		{"tablespace is the data directory", "/n/pg", {"/n/pg", "/n/b"}, false},
		{"both are one", "/n/pg", {"/n/a", "/n/a"}, false},
		{"tablespace holds the data directory", "/n/a/pg", {"/n/b", "/n/a"}, false},
		{"tablespace holds a later one", "/n/pg", {"/n/a", "/n/a/b"}, false},
		{"tablespace holds an earlier one", "/n/pg", {"/n/a/b", "/n/a"}, false},
		{"everything is below the root", "/n/pg", {"/", "/n/b"}, false},
		{"beside each other", "/n/pg", {"/n/pg2", "/n/p"}, true},
		{"below the data directory", "/n/pg", {"/n/pg/ts", "/n/b"}, true},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(rows); i++)
	{
		AUTO_RECOVERY run = new_run(rows[i].pgdata, rows[i].tablespaces, 2, false);

		print_message("  %s\n", rows[i].name);

		Error *error = directories_check(&run);

		if (rows[i].allowed)
			assert_ok(error);
		else
			assert_error(error, ERR_USAGE, "cannot go into");
	}
}

static void
a_server_keeps_its_directory(void **state)
{
	Fixture *fixture = *state;
	AUTO_FREE char *own_pid = mem_printf("%d\n/x\n", (int) getpid());
	pid_t dead = fork();

	if (dead == 0)
		_exit(0);
	assert_int_equal(waitpid(dead, NULL, 0), dead);

	AUTO_FREE char *dead_pid = mem_printf("%d\n/x\n", (int) dead);
	const struct
	{
		const char *text;
		ErrorKind kind; /* with --move-aside; -1: it may go */
	} rows[] = {{own_pid, ERR_EXISTS},
	            {"", ERR_EXISTS},
	            {"nonsense", ERR_EXISTS},
	            {"0\n", ERR_EXISTS},
	            {dead_pid, (ErrorKind) -1}};

	for (size_t i = 0; i < lengthof(rows); i++)
	{
		put(fixture->pgdata, "postmaster.pid", rows[i].text);
		begin_run(fixture, 0, false);
		assert_error(directories_check(&fixture->run), ERR_EXISTS, fixture->pgdata);
		begin_run(fixture, 0, true);
		if (rows[i].kind == ERR_EXISTS)
			assert_error(directories_prepare(&fixture->run), ERR_EXISTS, "a server is running");
		else
			assert_ok(directories_prepare(&fixture->run));
	}
}

static void
directories_are_moved_aside_and_come_back(void **state)
{
	Fixture *fixture = *state;

	put(fixture->pgdata, "PG_VERSION", "15");
	put_link(fixture->pgdata, "16384", fixture->tablespaces[1]);
	put(fixture->tablespaces[1], "precious", "x");
	begin_run(fixture, 2, true);
	assert_ok(directories_prepare(&fixture->run));
	assert_true(has(fixture->scratch, "pg" SUFFIX "/PG_VERSION"));
	assert_true(has(fixture->scratch, "ts2" SUFFIX "/precious"));
	assert_false(has(fixture->scratch, "ts1" SUFFIX));
	assert_int_equal(fixture->run.moved.count, 2);

	put(fixture->pgdata, "base/1/1249", "new");
	put(fixture->tablespaces[0], "new", "new");
	put(fixture->tablespaces[1], "new", "new");
	assert_ok(directories_undo(&fixture->run));
	assert_true(has(fixture->pgdata, "PG_VERSION"));
	assert_false(has(fixture->pgdata, "base"));
	assert_true(has(fixture->tablespaces[1], "precious"));
	assert_false(has(fixture->tablespaces[1], "new"));
	assert_int_equal(count(fixture->scratch), 2);
}

static void
moving_aside_never_replaces_what_was_moved_before(void **state)
{
	Fixture *fixture = *state;

	put(fixture->scratch, "pg" SUFFIX "/older", "x");
	put(fixture->pgdata, "old", "x");
	begin_run(fixture, 0, true);
	assert_error(directories_prepare(&fixture->run), ERR_SYSTEM, "could not rename");
	assert_ok(directories_undo(&fixture->run));
	assert_true(has(fixture->scratch, "pg" SUFFIX "/older"));
	assert_true(has(fixture->pgdata, "old"));
}

/* As after kill -9: everything stays as it lies. */
static void
leave_interrupted(Fixture *fixture, size_t n_tablespaces)
{
	begin_run(fixture, n_tablespaces, false);
	assert_ok(directories_prepare(&fixture->run));
	put(fixture->pgdata, "base/1/1249", "half");
	put(fixture->pgdata, "global/pg_control.walship-restore", "half");
	for (size_t i = 0; i < n_tablespaces; i++)
		put(fixture->tablespaces[i], "PG_15_202209061/5/16384", "half");
}

static void
leftovers_of_an_interrupted_run_are_cleared(void **state)
{
	Fixture *fixture = *state;

	leave_interrupted(fixture, 2);
	put(fixture->tablespaces[0], "lost+found/x", "not ours");
	put(fixture->pgdata, "lost+found/x", "not ours");
	begin_run(fixture, 1, false);
	assert_ok(directories_check(&fixture->run));
	assert_ok(directories_prepare(&fixture->run));
	assert_false(has(fixture->pgdata, "base"));
	assert_true(has(fixture->pgdata, "lost+found/x"));
	assert_true(has(fixture->pgdata, MARKER));
	assert_int_equal(count(fixture->tablespaces[0]), 1);
	assert_int_equal(count(fixture->tablespaces[1]), 0);
}

static void
a_foreign_directory_is_never_cleared_beside_leftovers(void **state)
{
	Fixture *fixture = *state;

	leave_interrupted(fixture, 1);
	put(fixture->tablespaces[1], "precious", "x");
	begin_run(fixture, 2, false);
	assert_error(directories_check(&fixture->run), ERR_EXISTS, fixture->tablespaces[1]);
	assert_error(directories_prepare(&fixture->run), ERR_EXISTS, "is not empty");
	assert_ok(directories_undo(&fixture->run));
	assert_true(has(fixture->tablespaces[1], "precious"));

	begin_run(fixture, 2, true);
	assert_error(directories_prepare(&fixture->run), ERR_EXISTS, "has no link to it");
	assert_ok(directories_undo(&fixture->run));
	assert_true(has(fixture->tablespaces[1], "precious"));
}

static void
a_tablespace_is_moved_aside_only_with_the_data_directory_that_links_to_it(void **state)
{
	Fixture *fixture = *state;
	AUTO_FREE char *way = path_join(fixture->scratch, "way");
	const struct
	{
		const char *name;
		const char *link; /* in pg_tblspc; NULL: none */
		bool allowed;
	} rows[] = {
		{"no data directory", NULL, false},
		{"a link to another tablespace", fixture->tablespaces[1], false},
		{"a link to this one", fixture->tablespaces[0], true},
		{"a link that leads there", way, true},
	};

	assert_int_equal(symlink("ts1", way), 0);
	put(fixture->tablespaces[0], "precious", "x");
	for (size_t i = 0; i < lengthof(rows); i++)
	{
		print_message("  %s\n", rows[i].name);
		if (rows[i].link != NULL)
			put_link(fixture->pgdata, "16384", rows[i].link);
		begin_run(fixture, 1, true);
		if (rows[i].allowed)
			assert_ok(directories_check(&fixture->run));
		else
			assert_error(directories_prepare(&fixture->run), ERR_EXISTS, "has no link to it");
		assert_true(has(fixture->tablespaces[0], "precious"));
		if (rows[i].link != NULL)
			assert_ok(dir_remove_tree(fixture->pgdata, false));
	}
}

static void
links_in_leftovers_are_removed_and_not_followed(void **state)
{
	Fixture *fixture = *state;
	AUTO_FREE char *foreign = path_join(fixture->scratch, "foreign");
	AUTO_FREE char *link = path_join(fixture->pgdata, "pg_wal");

	put(foreign, "precious", "x");
	leave_interrupted(fixture, 0);
	assert_int_equal(symlink(foreign, link), 0);
	begin_run(fixture, 0, false);
	assert_ok(directories_prepare(&fixture->run));
	assert_false(file_exists(link));
	assert_true(has(foreign, "precious"));
}

static void
a_run_that_is_under_way_is_left_alone(void **state)
{
	Fixture *fixture = *state;
	AUTO_RECOVERY second = new_run(fixture->pgdata, NULL, 0, false);

	leave_interrupted(fixture, 0); /* and its lock is still held */
	assert_error(directories_prepare(&second), ERR_EXISTS, "another recovery is running");
	assert_ok(directories_undo(&second));
	assert_true(has(fixture->pgdata, "base/1/1249"));
	assert_true(has(fixture->pgdata, MARKER));
}

/* The last steps of the run that holds the lock, which is then killed: its marker stays. */
static void
complete_and_die(Fixture *fixture)
{
	AUTO_FREE char *waiting = path_join(fixture->pgdata, "global/pg_control.walship-restore");
	AUTO_FREE char *control = path_join(fixture->pgdata, "global/pg_control");

	assert_ok(file_rename_durably(waiting, control));
	directories_unlock(&fixture->run);
}

static void
a_directory_that_becomes_complete_before_the_lock_is_had_is_not_cleared(void **state)
{
	Fixture *fixture = *state;
	AUTO_RECOVERY second = new_run(fixture->pgdata, NULL, 0, false);

	leave_interrupted(fixture, 0);
	locked_fixture = fixture;
	before_lock = complete_and_die;
	assert_error(directories_prepare(&second), ERR_EXISTS, "is not empty");
	assert_ok(directories_undo(&second));
	assert_true(has(fixture->pgdata, "base/1/1249"));
	assert_true(has(fixture->pgdata, "global/pg_control"));
}

static void
with_move_aside_it_is_kept_and_the_new_one_locked(void **state)
{
	Fixture *fixture = *state;
	AUTO_RECOVERY second = new_run(fixture->pgdata, NULL, 0, true);
	AUTO_RECOVERY third = new_run(fixture->pgdata, NULL, 0, false);

	leave_interrupted(fixture, 0);
	locked_fixture = fixture;
	before_lock = complete_and_die;
	assert_ok(directories_prepare(&second));
	assert_true(has(fixture->scratch, "pg" SUFFIX "/base/1/1249"));
	assert_error(directories_prepare(&third), ERR_EXISTS, "another recovery is running");
}

/* Another run that moves the directory aside, makes a new one, and is at work in it. */
static void
move_and_begin(Fixture *fixture)
{
	begin_run(fixture, 0, true);
	assert_ok(directories_prepare(&fixture->run));
	put(fixture->pgdata, "base/1/1249", "half");
}

static void
a_directory_that_was_moved_before_the_lock_is_had_is_another_runs(void **state)
{
	Fixture *fixture = *state;
	AUTO_RECOVERY second = new_run(fixture->pgdata, NULL, 0, true);

	free(second.suffix);
	second.suffix = mem_strdup(".later");
	put(fixture->pgdata, "old", "x");
	locked_fixture = fixture;
	before_lock = move_and_begin;
	assert_error(directories_prepare(&second), ERR_EXISTS, "another recovery is running");
	assert_ok(directories_undo(&second));
	assert_true(has(fixture->pgdata, "base/1/1249"));
	assert_true(has(fixture->scratch, "pg" SUFFIX "/old"));
}

static void
undo_removes_what_was_made_and_keeps_what_was_there_empty(void **state)
{
	Fixture *fixture = *state;
	AUTO_FREE char *deep = path_join(fixture->scratch, "a/b/pg");

	assert_ok(dir_make(fixture->tablespaces[0], 0700));
	free(fixture->run.pgdata);
	fixture->run.pgdata = mem_strdup(deep);
	assert_ok(directories_prepare(&fixture->run));
	put(deep, "base/1/1249", "half");
	assert_ok(directories_undo(&fixture->run));
	assert_int_equal(count(fixture->scratch), 1);
	assert_int_equal(count(fixture->tablespaces[0]), 0);
}

static void
a_marker_that_cannot_be_read_clears_nothing(void **state)
{
	Fixture *fixture = *state;

	leave_interrupted(fixture, 1);
	put(fixture->pgdata, MARKER, "{\"tablespaces\": [");
	begin_run(fixture, 1, false);
	assert_error(directories_prepare(&fixture->run), ERR_CORRUPT, MARKER);
	assert_true(has(fixture->pgdata, "base/1/1249"));
}

#define DIRECTORY_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		DIRECTORY_TEST(missing_and_empty_directories_are_made_private_and_marked),
		DIRECTORY_TEST(what_is_not_empty_is_refused_and_left_alone),
		DIRECTORY_TEST(paths_that_hold_one_another_are_refused),
		DIRECTORY_TEST(a_server_keeps_its_directory),
		DIRECTORY_TEST(directories_are_moved_aside_and_come_back),
		DIRECTORY_TEST(moving_aside_never_replaces_what_was_moved_before),
		DIRECTORY_TEST(leftovers_of_an_interrupted_run_are_cleared),
		DIRECTORY_TEST(a_foreign_directory_is_never_cleared_beside_leftovers),
		DIRECTORY_TEST(a_tablespace_is_moved_aside_only_with_the_data_directory_that_links_to_it),
		DIRECTORY_TEST(links_in_leftovers_are_removed_and_not_followed),
		DIRECTORY_TEST(a_run_that_is_under_way_is_left_alone),
		DIRECTORY_TEST(a_directory_that_becomes_complete_before_the_lock_is_had_is_not_cleared),
		DIRECTORY_TEST(with_move_aside_it_is_kept_and_the_new_one_locked),
		DIRECTORY_TEST(a_directory_that_was_moved_before_the_lock_is_had_is_another_runs),
		DIRECTORY_TEST(undo_removes_what_was_made_and_keeps_what_was_there_empty),
		DIRECTORY_TEST(a_marker_that_cannot_be_read_clears_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
