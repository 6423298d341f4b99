/* Files, directories and paths, on a real file system. */
#include "walship/base/file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "scratch.h"

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

static void
assert_file_holds(const char *path, const char *expected)
{
	AUTO_BUF(text, 1024);

	assert_ok(file_read_all(path, &text));
	assert_string_equal(text.data, expected);
}

static void
replacing_leaves_the_new_contents_the_mode_and_nothing_else(void **state)
{
	const char *directory = *state;
	AUTO_FREE char *path = path_join(directory, "conf");
	AUTO_FREE char *leftover = path_join(directory, "conf.walship-tmp");
	AUTO_STRLIST names = {0};
	AUTO_CLOSE int fd = open(leftover, O_WRONLY | O_CREAT, 0666);
	struct stat status;
	mode_t mask = umask(077);

	assert_int_equal(write(fd, "much longer than what comes", 27), 27);
	assert_ok(file_replace(path, "old", 3, 0640));
	assert_file_holds(path, "old");
	assert_ok(file_replace(path, "new one", 7, 0644));
	(void) umask(mask);
	assert_file_holds(path, "new one");
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0644);
	assert_ok(dir_list(directory, &names));
	assert_int_equal(names.count, 1);
}

static void
replacing_a_link_replaces_the_link_and_follows_none(void **state)
{
	const char *directory = *state;
	AUTO_FREE char *target = path_join(directory, "target");
	AUTO_FREE char *path = path_join(directory, "link");
	AUTO_FREE char *temporary = path_join(directory, "other.walship-tmp");
	AUTO_FREE char *other = path_join(directory, "other");

	assert_ok(file_replace(target, "kept", 4, 0600));
	assert_int_equal(symlink("target", path), 0);
	assert_ok(file_replace(path, "x", 1, 0600));
	assert_file_holds(target, "kept");
	assert_file_holds(path, "x");

	assert_int_equal(symlink("target", temporary), 0);
	assert_error(file_replace(other, "x", 1, 0600), ERR_SYSTEM, "could not create");
	assert_file_holds(target, "kept");
}

static void
a_replacement_that_fails_leaves_the_old_and_no_temporary_file(void **state)
{
	const char *directory = *state;
	AUTO_FREE char *path = path_join(directory, "is-a-directory");
	AUTO_FREE char *missing = path_join(directory, "no/such/file");
	AUTO_STRLIST names = {0};

	assert_ok(dir_make(path, 0700));
	assert_error(file_replace(path, "x", 1, 0600), ERR_SYSTEM, "could not rename");
	assert_error(file_replace(missing, "x", 1, 0600), ERR_SYSTEM, "could not create");
	assert_ok(dir_list(directory, &names));
	assert_int_equal(names.count, 1);
}

static void
two_writers_of_one_file_do_not_mix(void **state)
{
	AUTO_FREE char *path = path_join(*state, "note");
	AUTO_FREE char *temporary = path_join(*state, "note.walship-tmp");
	AUTO_CLOSE int fd = -1;

	assert_ok(file_open_temporary(temporary, 0600, &fd));
	assert_error(file_replace(path, "x", 1, 0600), ERR_TRANSIENT, "another process");
	assert_true(file_exists(temporary));
	(void) close(fd);
	fd = -1;
	assert_ok(file_replace(path, "x", 1, 0600));
	assert_false(file_exists(temporary));
}

static void
what_is_opened_is_a_regular_file(void **state)
{
	AUTO_FREE char *fifo = path_join(*state, "fifo");
	AUTO_FREE char *dangling = path_join(*state, "dangling");
	AUTO_FREE char *below_file = path_join(*state, "file/x");
	AUTO_FREE char *file = path_join(*state, "file");
	int fd = -1;

	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_int_equal(symlink("nowhere", dangling), 0);
	assert_ok(file_replace(file, "", 0, 0600));
	assert_error(file_open_read(fifo, &fd, NULL), ERR_USAGE, "not a regular file");
	assert_error(file_open_read(*state, &fd, NULL), ERR_USAGE, "not a regular file");
	assert_error(file_open_read(dangling, &fd, NULL), ERR_NOT_FOUND, "does not exist");
	assert_error(file_open_read("", &fd, NULL), ERR_NOT_FOUND, "does not exist");
	assert_error(file_open_read(below_file, &fd, NULL), ERR_SYSTEM, "could not open");
	assert_int_equal(fd, -1);
}

static void
whole_files_are_read_up_to_the_cap(void **state)
{
	static const size_t sizes[] = {0, 1, 16383, 16384, 16385, 40000};
	AUTO_FREE char *path = path_join(*state, "file");

	for (size_t i = 0; i < lengthof(sizes); i++)
	{
		AUTO_FREE uint8_t *bytes = scratch_bytes(sizes[i], i);
		AUTO_BUF(whole, sizes[i]);

		assert_ok(file_replace(path, bytes, sizes[i], 0600));
		assert_ok(file_read_all(path, &whole));
		assert_int_equal(whole.size, sizes[i]);
		assert_memory_equal(whole.data, bytes, sizes[i]);
		if (sizes[i] > 0)
		{
			AUTO_BUF(small, sizes[i] - 1);

			assert_error(file_read_all(path, &small), ERR_CORRUPT, "longer than");
		}
	}
}

static void
reading_at_a_place_stops_at_the_end(void **state)
{
	AUTO_FREE char *path = path_join(*state, "file");
	AUTO_CLOSE int fd = -1;
	char bytes[8];
	size_t size;

	assert_ok(file_replace(path, "0123456789", 10, 0600));
	assert_ok(file_open_read(path, &fd, NULL));
	assert_ok(file_read_at(fd, path, 2, bytes, 8, &size));
	assert_int_equal(size, 8);
	assert_memory_equal(bytes, "23456789", 8);
	assert_ok(file_read_at(fd, path, 7, bytes, 8, &size));
	assert_int_equal(size, 3);
	assert_ok(file_read_at(fd, path, 11, bytes, 8, &size));
	assert_int_equal(size, 0);
}

static void
writing_to_a_full_disk_or_a_closed_file_is_told(void **state)
{
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	int closed = dup(full);

	(void) state;
	assert_error(file_write(full, "/dev/full", "x", 1), ERR_SYSTEM, "No space left");
	assert_ok(file_close(&full, "/dev/full"));
	assert_int_equal(full, -1);
	(void) close(closed);
	assert_error(file_close(&closed, "x"), ERR_SYSTEM, "could not close");
}

static void
a_missing_file_is_removed_already(void **state)
{
	AUTO_FREE char *path = path_join(*state, "file");

	assert_ok(file_remove(path));
	assert_ok(file_replace(path, "", 0, 0600));
	assert_ok(file_remove(path));
	assert_false(file_exists(path));
	assert_error(file_remove(*state), ERR_SYSTEM, "could not remove");
}

static void
directories_are_made_with_their_parents(void **state)
{
	static const char *const rows[] = {"a", "b/c/d", "e//f", "g/h/", "i//", "b/c/d"};
	AUTO_FREE char *file = path_join(*state, "file");
	AUTO_FREE char *below = path_join(*state, "file/x");
	AUTO_FREE char *dangling = path_join(*state, "dangling");
	AUTO_FREE char *loop = path_join(*state, "dangling/x");

	for (size_t i = 0; i < lengthof(rows); i++)
	{
		AUTO_FREE char *path = path_join(*state, rows[i]);
		struct stat status;

		assert_ok(dir_make(path, 0750));
		assert_int_equal(stat(path, &status), 0);
		assert_true(S_ISDIR(status.st_mode));
	}
	assert_ok(dir_make("/", 0700));
	assert_ok(dir_make(".", 0700));
	assert_error(dir_make("", 0700), ERR_SYSTEM, "could not create");
	assert_ok(file_replace(file, "", 0, 0600));
	assert_error(dir_make(file, 0700), ERR_SYSTEM, "is not a directory");
	assert_error(dir_make(below, 0700), ERR_SYSTEM, NULL);
	assert_int_equal(symlink("nowhere", dangling), 0);
	assert_error(dir_make(dangling, 0700), ERR_SYSTEM, "could not create");
	assert_error(dir_make(loop, 0700), ERR_SYSTEM, "could not create");
}

static void
a_listing_is_sorted_and_a_missing_directory_certain(void **state)
{
	static const char *const files[] = {"b", "a", ".hidden", "B"};
	AUTO_FREE char *missing = path_join(*state, "missing");
	AUTO_FREE char *file = path_join(*state, "a");
	AUTO_STRLIST names = {0};

	for (size_t i = 0; i < lengthof(files); i++)
	{
		AUTO_FREE char *path = path_join(*state, files[i]);

		assert_ok(file_replace(path, "", 0, 0600));
	}
	strlist_add(&names, "before");
	assert_error(dir_list(missing, &names), ERR_NOT_FOUND, "does not exist");
	assert_error(dir_list(file, &names), ERR_SYSTEM, "could not open");
	assert_int_equal(names.count, 1);
	assert_ok(dir_list(*state, &names));
	assert_int_equal(names.count, 5);
	assert_string_equal(names.items[1], ".hidden");
	assert_string_equal(names.items[2], "B");
	assert_string_equal(names.items[4], "b");
}

/* <scratch>/outside/kept, and <scratch>/tree with links to it. */
static char *
make_tree(const char *scratch)
{
	AUTO_FREE char *outside = path_join(scratch, "outside");
	AUTO_FREE char *kept = path_join(outside, "kept");
	AUTO_FREE char *deep = path_join(scratch, "tree/a/b/c");
	AUTO_FREE char *file = path_join(deep, "file");
	AUTO_FREE char *link = path_join(scratch, "tree/a/link");
	AUTO_FREE char *file_link = path_join(scratch, "tree/link");
	AUTO_FREE char *fifo = path_join(scratch, "tree/fifo");

	assert_ok(dir_make(outside, 0700));
	assert_ok(file_replace(kept, "x", 1, 0600));
	assert_ok(dir_make(deep, 0700));
	assert_ok(file_replace(file, "x", 1, 0600));
	assert_int_equal(symlink(outside, link), 0);
	assert_int_equal(symlink(kept, file_link), 0);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	return path_join(scratch, "tree");
}

static void
a_tree_is_removed_and_what_its_links_lead_to_is_not(void **state)
{
	AUTO_FREE char *tree = make_tree(*state);
	AUTO_FREE char *kept = path_join(*state, "outside/kept");
	AUTO_STRLIST names = {0};

	assert_ok(dir_remove_tree(tree, true));
	assert_ok(dir_list(tree, &names));
	assert_int_equal(names.count, 0);
	assert_ok(dir_remove_tree(tree, false));
	assert_false(file_exists(tree));
	assert_true(file_exists(kept));
	assert_error(dir_remove_tree(tree, false), ERR_NOT_FOUND, NULL);
}

static void
a_link_to_a_tree_is_emptied_only_when_it_stays(void **state)
{
	AUTO_FREE char *tree = make_tree(*state);
	AUTO_FREE char *link = path_join(*state, "link");
	AUTO_FREE char *inner = path_join(tree, "a/b/c/file");

	assert_int_equal(symlink("tree", link), 0);
	assert_error(dir_remove_tree(link, false), ERR_SYSTEM, "symbolic link");
	assert_true(file_exists(inner));
	assert_ok(dir_remove_tree(link, true));
	assert_false(file_exists(inner));
	assert_true(file_exists(link));
}

static void
a_tree_without_end_is_refused(void **state)
{
	AUTO_BUF(deep, 4096);
	AUTO_FREE char *tree = path_join(*state, "tree");

	buf_puts(&deep, tree);
	for (int i = 0; i < 63; i++)
		buf_puts(&deep, "/d");
	assert_ok(dir_make(deep.data, 0700));
	buf_puts(&deep, "/d");
	assert_ok(dir_make(deep.data, 0700));
	assert_error(dir_remove_tree(tree, false), ERR_SYSTEM, "nested too deeply");
	assert_int_equal(rmdir(deep.data), 0);
	assert_ok(dir_remove_tree(tree, false));
}

static void
paths_are_taken_apart_and_joined(void **state)
{
	static const struct
	{
		const char *path;
		const char *parent;
		const char *leaf;
		const char *joined; /* with "x" */
	} rows[] = {
		{"", ".", "", "x"},
		{"/", "/", "", "/x"},
		{"//", "/", "", "//x"},
		{"a", ".", "a", "a/x"},
		{"a/", ".", "", "a/x"},
		{"/a", "/", "a", "/a/x"},
		{"/a/", "/", "", "/a/x"},
		{"//a", "/", "a", "//a/x"},
		{"a/b", "a", "b", "a/b/x"},
		{"a//b", "a", "b", "a//b/x"},
		{"a/b/", "a", "", "a/b/x"},
		{"/a/b", "/a", "b", "/a/b/x"},
		{"/a//b//", "/a", "", "/a//b//x"},
		{"..", ".", "..", "../x"},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(rows); i++)
	{
		AUTO_FREE char *parent = path_parent(rows[i].path);
		AUTO_FREE char *joined = path_join(rows[i].path, "x");

		print_message("  \"%s\"\n", rows[i].path);
		assert_string_equal(parent, rows[i].parent);
		assert_string_equal(path_leaf(rows[i].path), rows[i].leaf);
		assert_string_equal(joined, rows[i].joined);
	}
}

static void
relative_paths_begin_at_the_working_directory(void **state)
{
	AUTO_FREE char *here = getcwd(NULL, 0);
	AUTO_FREE char *expected = path_join(here, "a/b");
	AUTO_FREE char *relative = path_absolute("a/b");
	AUTO_FREE char *absolute = path_absolute("/a/../b");

	(void) state;
	assert_string_equal(relative, expected);
	assert_string_equal(absolute, "/a/../b");
}

#define FILE_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

static void
a_directory_holds_what_lies_in_it_by_whatever_name(void **state)
{
	char *scratch = scratch_make();
	AUTO_FREE char *inner = path_join(scratch, "a/b");
	AUTO_FREE char *outer = path_join(scratch, "a");
	AUTO_FREE char *beside = path_join(scratch, "ab");
	AUTO_FREE char *link = path_join(scratch, "link");
	AUTO_FREE char *by_link = path_join(link, "not/there/yet");
	AUTO_FREE char *nowhere = path_join(scratch, "nowhere");
	const struct
	{
		const char *directory;
		const char *path;
		bool holds;
	} cases[] = {
		{outer, inner, true},    {outer, outer, true},    {inner, outer, false},    {outer, beside, false},
		{outer, by_link, true},  {inner, by_link, true},  {link, inner, true},      {"/", inner, true},
		{nowhere, inner, false}, {inner, nowhere, false}, {scratch, nowhere, true},
	};

	(void) state;
	assert_ok(dir_make(inner, 0700));
	assert_ok(dir_make(beside, 0700));
	assert_int_equal(symlink(inner, link), 0);
	for (size_t i = 0; i < lengthof(cases); i++)
	{
		bool holds;

		assert_ok(dir_holds(cases[i].directory, cases[i].path, &holds));
		if (holds != cases[i].holds)
			fail_msg("%s, %s", cases[i].directory, cases[i].path);
	}
	scratch_remove(scratch);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		FILE_TEST(replacing_leaves_the_new_contents_the_mode_and_nothing_else),
		FILE_TEST(replacing_a_link_replaces_the_link_and_follows_none),
		FILE_TEST(a_replacement_that_fails_leaves_the_old_and_no_temporary_file),
		FILE_TEST(two_writers_of_one_file_do_not_mix),
		FILE_TEST(what_is_opened_is_a_regular_file),
		FILE_TEST(whole_files_are_read_up_to_the_cap),
		FILE_TEST(reading_at_a_place_stops_at_the_end),
		cmocka_unit_test(writing_to_a_full_disk_or_a_closed_file_is_told),
		FILE_TEST(a_missing_file_is_removed_already),
		FILE_TEST(directories_are_made_with_their_parents),
		FILE_TEST(a_listing_is_sorted_and_a_missing_directory_certain),
		FILE_TEST(a_tree_is_removed_and_what_its_links_lead_to_is_not),
		FILE_TEST(a_link_to_a_tree_is_emptied_only_when_it_stays),
		FILE_TEST(a_tree_without_end_is_refused),
		cmocka_unit_test(paths_are_taken_apart_and_joined),
		cmocka_unit_test(relative_paths_begin_at_the_working_directory),
		cmocka_unit_test(a_directory_holds_what_lies_in_it_by_whatever_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
