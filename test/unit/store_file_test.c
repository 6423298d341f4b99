/* What only the directory store promises: its marker, its temporary files, its permissions. */
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "file_store_private.h"
#include "scratch.h"
#include "walship/base/strs.h"
#include "walship/pipe/stages.h"

typedef struct Place
{
	char *directory;
	Store *store;
} Place;

static int
place_make(void **state)
{
	Place *place = NEW(Place);

	place->directory = scratch_make();
	assert_ok(file_store_create(place->directory));
	assert_ok(file_store_open(place->directory, &place->store));
	*state = place;
	return 0;
}

static int
place_destroy(void **state)
{
	Place *place = *state;

	store_free(place->store);
	scratch_remove(place->directory);
	free(place);
	return 0;
}

static Error *
put_text(Store *store, const char *key, const char *text, PutMode mode)
{
	Slice slice = slice_of_memory(text, strlen(text));

	return store_put(store, key, &slice, 1, mode);
}

static Error *
get_into(Store *store, const char *key, Buf *buf)
{
	AUTO(Sink) sink = buf_sink_new(buf);

	return store_get(store, key, 0, STORE_TO_END, sink);
}

static Error *
collect(void *context, const StoreEntry *entry)
{
	strlist_add(context, entry->key);
	return NULL;
}

/* Everything below the store's directory by find(1), sorted, separated by blanks. */
static void
assert_tree(const Place *place, const char *expected)
{
	AUTO_FREE char *command =
		mem_printf("cd '%s' && find . -mindepth 1 | sort | tr '\\n' ' '", place->directory);
	FILE *output = popen(command, "r");
	char text[4096];
	size_t size;

	assert_non_null(output);
	size = fread(text, 1, sizeof(text) - 1, output);
	text[size] = '\0';
	assert_int_equal(pclose(output), 0);
	assert_string_equal(text, expected);
}

static void
remove_marker(const Place *place)
{
	AUTO_FREE char *marker = path_join(place->directory, FILE_STORE_MARKER);

	assert_int_equal(unlink(marker), 0);
}

static void
without_its_marker_nothing_is_said_to_be_absent_and_nothing_is_written(void **state)
{
	Place *place = *state;
	Store *store = place->store;
	Store *again;
	StoreEntry entry;
	Sink *writer;
	AUTO_STRLIST keys = {0};
	AUTO_BUF(buf, 100);

	remove_marker(place);
	assert_error(get_into(store, "a/b", &buf), ERR_TRANSIENT, "walship-store.json");
	assert_error(store_stat(store, "a/b", &entry), ERR_TRANSIENT, place->directory);
	assert_error(store_list(store, "", LIST_ALL, NULL, collect, &keys), ERR_TRANSIENT, NULL);
	assert_error(store_list(store, "a/b", LIST_LEVEL, NULL, collect, &keys), ERR_TRANSIENT, NULL);
	assert_error(put_text(store, "a/b", "x", PUT_IF_ABSENT), ERR_TRANSIENT, NULL);
	assert_error(put_text(store, "a/b", "x", PUT_REPLACE), ERR_TRANSIENT, NULL);
	assert_error(store_writer(store, "a/b", &writer), ERR_TRANSIENT, NULL);
	assert_error(store_remove(store, "a/b"), ERR_TRANSIENT, NULL);
	assert_error(file_store_open(place->directory, &again), ERR_TRANSIENT, NULL);
	assert_tree(place, "");
}

static void
a_marker_that_goes_during_an_operation_is_noticed_before_absence_is_told(void **state)
{
	Place *place = *state;
	AUTO_CLOSE int root = -1;
	int directory;

	assert_ok(file_store_open_root((FileStore *) place->store, &root));
	assert_error(file_store_open_parent((FileStore *) place->store, root, "a/b", &directory), ERR_NOT_FOUND,
	             NULL);
	remove_marker(place);
	assert_error(file_store_open_parent((FileStore *) place->store, root, "a/b", &directory), ERR_TRANSIENT,
	             NULL);
}

static void
a_missing_root_is_transient_and_has_a_hint(void **state)
{
	Store *store;
	Error *error = file_store_open("/nonexistent/walship", &store);

	(void) state;
	assert_non_null(
		strstr(error_get_hint(error), "Is it mounted? A new store is made by \"walship check --create\"."));
	assert_error(error, ERR_TRANSIENT, "\"/nonexistent/walship\" does not exist");
}

static void
creating_makes_directories_and_marker_and_is_repeatable(void **state)
{
	Place *place = *state;
	AUTO_FREE char *directory = path_join(place->directory, "new/deep/store");
	AUTO(Store) store = NULL;

	assert_ok(file_store_create(directory));
	assert_ok(file_store_create(directory));
	assert_ok(file_store_open(directory, &store));
	assert_ok(put_text(store, "a", "x", PUT_IF_ABSENT));
	assert_true(str_starts_with(store_url(store), "file:///"));
}

static void
creating_refuses_a_directory_with_other_things(void **state)
{
	Place *place = *state;
	AUTO_FREE char *old_store = path_join(place->directory, "7123456789012345678");
	AUTO_FREE char *lost = path_join(place->directory, "lost+found");
	AUTO_FREE char *stranger = path_join(place->directory, "photos");

	remove_marker(place);
	assert_int_equal(mkdir(old_store, 0700), 0);
	assert_int_equal(mkdir(lost, 0700), 0);
	assert_ok(file_store_create(place->directory));
	remove_marker(place);
	assert_int_equal(mkdir(stranger, 0700), 0);
	assert_error(file_store_create(place->directory), ERR_EXISTS, "\"photos\"");
}

static void
a_marker_that_is_not_understood_is_refused(void **state)
{
	static const struct
	{
		const char *text;
		const char *message;
	} cases[] = {
		{"", "walship-store.json"},
		{"{", "walship-store.json"},
		{"{}", "format"},
		{"{\"format\": 2, \"created_by\": \"walship\"}", "has format 2 instead of 1"},
	};
	Place *place = *state;
	AUTO_FREE char *marker = path_join(place->directory, FILE_STORE_MARKER);
	Store *store;

	for (size_t i = 0; i < lengthof(cases); i++)
	{
		assert_ok(file_replace(marker, cases[i].text, strlen(cases[i].text), 0600));
		assert_error(file_store_open(place->directory, &store), ERR_CORRUPT, cases[i].message);
	}
}

static void
the_marker_is_no_object(void **state)
{
	Place *place = *state;
	AUTO_STRLIST keys = {0};

	assert_error(put_text(place->store, FILE_STORE_MARKER, "x", PUT_REPLACE), ERR_USAGE, "marks the store");
	assert_error(store_remove(place->store, FILE_STORE_MARKER), ERR_USAGE, "marks the store");
	assert_ok(store_list(place->store, "", LIST_ALL, NULL, collect, &keys));
	assert_int_equal(keys.count, 0);
}

/* What the file system can do, from most to least. */
static const struct
{
	const char *name;
	bool unnamed;
	bool links;
} abilities[] = {
	{"unnamed files", true, true},
	{"hard links", false, true},
	{"exclusive rename", false, false},
};

static void
every_way_of_writing_keeps_the_promises_and_leaves_nothing_over(void **state)
{
	Place *place = *state;
	FileStore *store = (FileStore *) place->store;

	for (size_t i = 0; i < lengthof(abilities); i++)
	{
		AUTO_BUF(buf, 100);
		AUTO(Pipe) pipe = pipe_new();
		Sink *writer;

		print_message("  %s\n", abilities[i].name);
		store->try_unnamed = abilities[i].unnamed;
		store->try_links = abilities[i].links;
		assert_ok(put_text(place->store, "a/b", "first", PUT_IF_ABSENT));
		assert_error(put_text(place->store, "a/b", "second", PUT_IF_ABSENT), ERR_EXISTS, "exists already");
		assert_ok(get_into(place->store, "a/b", &buf));
		assert_string_equal(buf.data, "first");
		assert_ok(put_text(place->store, "a/b", "third", PUT_REPLACE));

		/* The key is taken while the writer is at work. */
		assert_ok(store_writer(place->store, "a/c", &writer));
		pipe_add(pipe, writer);
		assert_ok(pipe_write(pipe, "loser", 5));
		assert_ok(put_text(place->store, "a/c", "winner", PUT_IF_ABSENT));
		assert_error(pipe_finish(pipe), ERR_EXISTS, "a/c");
		pipe_free(MOVE(pipe));
		buf_clear(&buf);
		assert_ok(get_into(place->store, "a/c", &buf));
		assert_string_equal(buf.data, "winner");
		assert_error(store_writer(place->store, "a/c", &writer), ERR_EXISTS, "a/c");

		assert_ok(store_writer(place->store, "a/d", &writer));
		assert_ok(sink_write(writer, "abandoned", 9));
		sink_free(writer);
		assert_tree(place, "./a ./a/b ./a/c ./walship-store.json ");
		assert_ok(store_remove(place->store, "a/b"));
		assert_ok(store_remove(place->store, "a/c"));
		assert_tree(place, "./walship-store.json ");
	}
}

static void
the_directory_of_an_unnamed_file_may_be_removed_while_it_is_written(void **state)
{
	Place *place = *state;
	AUTO_FREE char *directory = path_join(place->directory, "a/b");
	AUTO_FREE char *outer = path_join(place->directory, "a");
	AUTO(Pipe) pipe = pipe_new();
	Sink *writer;

	assert_ok(store_writer(place->store, "a/b/c", &writer));
	pipe_add(pipe, writer);
	assert_ok(pipe_write(pipe, "x", 1));
	if (rmdir(directory) != 0)
	{
		print_message("SKIPPED: this file system has no unnamed files\n");
		skip();
	}
	assert_int_equal(rmdir(outer), 0);
	assert_ok(pipe_finish(pipe));
	assert_tree(place, "./a ./a/b ./a/b/c ./walship-store.json ");
}

static void
kill_a_writer_of(Place *place, const char *key)
{
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0)
	{
		Sink *writer = NULL;

		error_free(store_writer(place->store, key, &writer));
		if (writer != NULL)
			error_free(sink_write(writer, "some bytes", 10));
		(void) raise(SIGKILL);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
}

static void
a_killed_writer_leaves_nothing_or_what_is_named_as_leftover(void **state)
{
	Place *place = *state;
	AUTO_STRLIST keys = {0};
	AUTO_STRLIST leftovers = {0};
	Sink *living;

	kill_a_writer_of(place, "base/x/part");
	assert_tree(place, "./base ./base/x ./walship-store.json ");

	((FileStore *) place->store)->try_unnamed = false;
	kill_a_writer_of(place, "base/x/part");
	assert_ok(store_writer(place->store, "base/x/other", &living));
	assert_ok(file_store_list_leftovers(place->store, collect, &leftovers));
	assert_int_equal(leftovers.count, 1);
	assert_true(str_starts_with(leftovers.items[0], "base/x/" FILE_STORE_TEMPORARY));
	sink_free(living);

	/* They are no objects, and their directory holds none. */
	assert_ok(store_list(place->store, "", LIST_ALL, NULL, collect, &keys));
	assert_ok(store_list(place->store, "", LIST_LEVEL, NULL, collect, &keys));
	assert_int_equal(keys.count, 0);
	assert_ok(put_text(place->store, "base/x/part", "again", PUT_IF_ABSENT));
}

static void
foreign_names_are_not_listed(void **state)
{
	static const char *const names[] = {".hidden", "with blank", "umlaut-\xc3\xa4", "tilde~"};
	Place *place = *state;
	AUTO_STRLIST keys = {0};
	AUTO_FREE char *fifo = path_join(place->directory, "fifo");

	for (size_t i = 0; i < lengthof(names); i++)
	{
		AUTO_FREE char *path = path_join(place->directory, names[i]);

		assert_ok(file_replace(path, "x", 1, 0600));
	}
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_ok(put_text(place->store, "mine", "x", PUT_IF_ABSENT));
	assert_ok(store_list(place->store, "", LIST_ALL, NULL, collect, &keys));
	assert_int_equal(keys.count, 1);
	assert_string_equal(keys.items[0], "mine");
}

static void
links_below_the_root_are_errors_and_never_absence(void **state)
{
	Place *place = *state;
	AUTO_FREE char *elsewhere = scratch_make();
	AUTO_FREE char *link = path_join(place->directory, "away");
	AUTO_STRLIST keys = {0};
	AUTO_BUF(buf, 100);

	assert_int_equal(symlink(elsewhere, link), 0);
	assert_error(put_text(place->store, "away/x", "x", PUT_IF_ABSENT), ERR_SYSTEM, "is a symbolic link");
	assert_error(get_into(place->store, "away/x", &buf), ERR_SYSTEM, "is a symbolic link");
	assert_error(get_into(place->store, "away", &buf), ERR_SYSTEM, "is a symbolic link");
	assert_error(store_list(place->store, "", LIST_ALL, NULL, collect, &keys), ERR_SYSTEM,
	             "is a symbolic link");
	assert_ok(store_list(place->store, "other/", LIST_ALL, NULL, collect, &keys));
	assert_int_equal(rmdir(elsewhere), 0);
}

static void
the_root_may_be_a_link(void **state)
{
	Place *place = *state;
	AUTO_FREE char *link = mem_printf("%s-link", place->directory);
	AUTO(Store) store = NULL;

	assert_int_equal(symlink(place->directory, link), 0);
	assert_ok(file_store_open(link, &store));
	assert_ok(put_text(store, "a/b", "x", PUT_IF_ABSENT));
	assert_tree(place, "./a ./a/b ./walship-store.json ");
	assert_int_equal(unlink(link), 0);
}

static void
a_file_in_the_way_of_a_directory_is_named(void **state)
{
	Place *place = *state;

	assert_ok(put_text(place->store, "a/b", "x", PUT_IF_ABSENT));
	assert_error(put_text(place->store, "a/b/c", "x", PUT_IF_ABSENT), ERR_SYSTEM, "a file is in its place");
	assert_error(put_text(place->store, "a", "x", PUT_IF_ABSENT), ERR_EXISTS, "exists already");
	assert_error(put_text(place->store, "a", "x", PUT_REPLACE), ERR_SYSTEM, "Is a directory");
	assert_tree(place, "./a ./a/b ./walship-store.json ");
}

static void
files_and_directories_have_the_documented_permissions(void **state)
{
	Place *place = *state;
	AUTO_FREE char *file = path_join(place->directory, "a/b");
	AUTO_FREE char *directory = path_join(place->directory, "a");
	mode_t mask = umask(027);

	for (size_t i = 0; i < lengthof(abilities); i++)
	{
		struct stat status;

		((FileStore *) place->store)->try_unnamed = abilities[i].unnamed;
		((FileStore *) place->store)->try_links = abilities[i].links;
		assert_ok(put_text(place->store, "a/b", "x", i == 1 ? PUT_REPLACE : PUT_IF_ABSENT));
		assert_int_equal(stat(file, &status), 0);
		assert_int_equal(status.st_mode & 07777, 0640);
		assert_int_equal(stat(directory, &status), 0);
		assert_int_equal(status.st_mode & 07777, 0750);
		assert_ok(store_remove(place->store, "a/b"));
	}
	(void) umask(mask);
}

/* The sticky bit says that nobody has made sure yet; whoever comes by does, and takes it away. */
static void
a_directory_whose_maker_was_killed_is_settled_by_the_next_put(void **state)
{
	static const struct
	{
		mode_t before;
		mode_t after;
	} modes[] = {{01750, 0750}, {0750, 0750}, {02750, 02750}, {03750, 02750}};
	Place *place = *state;
	AUTO_FREE char *directory = path_join(place->directory, "a");

	assert_ok(put_text(place->store, "a/b/first", "x", PUT_IF_ABSENT));
	for (size_t i = 0; i < lengthof(modes); i++)
	{
		AUTO_FREE char *key = mem_printf("a/b/%zu", i);
		struct stat status;

		assert_int_equal(chmod(directory, modes[i].before), 0);
		assert_ok(put_text(place->store, key, "x", PUT_IF_ABSENT));
		assert_int_equal(stat(directory, &status), 0);
		assert_int_equal(status.st_mode & 07777, modes[i].after);
	}
}

static void
below_a_groups_directory_all_are_the_groups(void **state)
{
	Place *place = *state;
	AUTO_FREE char *directory = path_join(place->directory, "a/b");
	struct stat status;

	assert_int_equal(chmod(place->directory, 02750), 0);
	assert_ok(put_text(place->store, "a/b/c", "x", PUT_IF_ABSENT));
	assert_int_equal(stat(directory, &status), 0);
	assert_int_equal(status.st_mode & 07777, 02750);
}

#define SOMEONE_ELSE 65534

/* Error of each operation, done by someone who may not. */
typedef struct Denied
{
	Error *get;
	Error *stat;
	Error *put;
	Error *open;
} Denied;

static Denied
try_everything(const Place *place)
{
	Denied denied;
	AUTO_BUF(buf, 100);
	StoreEntry entry;
	AUTO(Store) store = NULL;

	denied.get = get_into(place->store, "a/secret", &buf);
	denied.stat = store_stat(place->store, "closed/absent", &entry);
	denied.put = put_text(place->store, "closed/new", "x", PUT_IF_ABSENT);
	denied.open = file_store_open(place->directory, &store);
	return denied;
}

static void
what_is_not_permitted_is_denied_and_not_absent(void **state)
{
	static const struct
	{
		const char *path;
		mode_t mode;
	} modes[] = {{"a/secret", 0}, {"a", 0755}, {"closed", 0}, {FILE_STORE_MARKER, 0}, {"", 0755}};
	Place *place = *state;
	uid_t user = geteuid();
	AUTO_FREE char *closed = path_join(place->directory, "closed");
	Denied denied;

	assert_ok(put_text(place->store, "a/secret", "x", PUT_IF_ABSENT));
	assert_ok(put_text(place->store, "closed/there", "x", PUT_IF_ABSENT));
	for (size_t i = 0; i < lengthof(modes); i++)
	{
		AUTO_FREE char *path = path_join(place->directory, modes[i].path);

		assert_int_equal(chmod(path, modes[i].mode), 0);
	}
	assert_int_equal(user == 0 ? seteuid(SOMEONE_ELSE) : 0, 0);
	denied = try_everything(place);
	assert_int_equal(user == 0 ? seteuid(0) : 0, 0);
	assert_int_equal(chmod(closed, 0700), 0);
	assert_error(denied.get, ERR_DENIED, "a/secret\": Permission denied");
	assert_error(denied.stat, ERR_DENIED, "closed");
	assert_error(denied.put, ERR_DENIED, "closed");
	assert_error(denied.open, ERR_DENIED, FILE_STORE_MARKER);
}

/* In a mount namespace of its own; exits with what happened. */
static void
fill_a_small_disk(const char *mount_point)
{
	AUTO_FREE char *directory = path_join(mount_point, "store");
	AUTO_FREE uint8_t *bytes = scratch_bytes(900000, 1);
	Slice slice = slice_of_memory(bytes, 900000);
	AUTO(Store) store = NULL;
	AUTO_STRLIST leftovers = {0};

	if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount("walship", mount_point, "tmpfs", 0, "size=1m") != 0)
		_exit(77);
	error_free(file_store_create(directory));
	error_free(file_store_open(directory, &store));
	for (size_t i = 0; i < lengthof(abilities); i++)
	{
		AUTO(Error) first = NULL;
		AUTO(Error) second = NULL;

		((FileStore *) store)->try_unnamed = abilities[i].unnamed;
		((FileStore *) store)->try_links = abilities[i].links;
		first = store_put(store, "a/first", &slice, 1, PUT_IF_ABSENT);
		second = store_put(store, "a/second", &slice, 1, PUT_IF_ABSENT);
		if (first != NULL || !error_is(second, ERR_SYSTEM) || error_get_hint(second) == NULL ||
		    strstr(error_message(second), "a/second\": No space left on device") == NULL)
			_exit(1);
		error_free(file_store_list_leftovers(store, collect, &leftovers));
		error_free(store_remove(store, "a/first"));
	}
	_exit(leftovers.count == 0 ? 0 : 2);
}

static void
a_full_disk_is_told_with_a_hint_and_leaves_nothing_over(void **state)
{
	Place *place = *state;
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0)
		fill_a_small_disk(place->directory);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
	{
		print_message("SKIPPED: mounting a small tmpfs is not permitted\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, place_make, place_destroy)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(without_its_marker_nothing_is_said_to_be_absent_and_nothing_is_written),
		TEST(a_marker_that_goes_during_an_operation_is_noticed_before_absence_is_told),
		TEST(a_missing_root_is_transient_and_has_a_hint),
		TEST(creating_makes_directories_and_marker_and_is_repeatable),
		TEST(creating_refuses_a_directory_with_other_things),
		TEST(a_marker_that_is_not_understood_is_refused),
		TEST(the_marker_is_no_object),
		TEST(every_way_of_writing_keeps_the_promises_and_leaves_nothing_over),
		TEST(the_directory_of_an_unnamed_file_may_be_removed_while_it_is_written),
		TEST(a_killed_writer_leaves_nothing_or_what_is_named_as_leftover),
		TEST(foreign_names_are_not_listed),
		TEST(links_below_the_root_are_errors_and_never_absence),
		TEST(the_root_may_be_a_link),
		TEST(a_file_in_the_way_of_a_directory_is_named),
		TEST(files_and_directories_have_the_documented_permissions),
		TEST(a_directory_whose_maker_was_killed_is_settled_by_the_next_put),
		TEST(below_a_groups_directory_all_are_the_groups),
		TEST(what_is_not_permitted_is_denied_and_not_absent),
		TEST(a_full_disk_is_told_with_a_hint_and_leaves_nothing_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
