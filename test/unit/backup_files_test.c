/* Sets of files: the order of paths, the list, and owners, which only root can see. */
#include <fcntl.h>
#include <sys/stat.h>

#include "files_list.h"
#include "files_place.h"
#include "files_walk.h"
#include "scratch.h"

static void
paths_are_in_the_order_of_the_walk(void **state)
{
	static const char *const ordered[] = {"a",  "a/b",  "a/b/c", "a/b!", "a/c",
	                                      "a!", "a!/x", "ab",    "b",    "\xff"};

	(void) state;
	for (size_t i = 0; i < lengthof(ordered); i++)
		for (size_t j = 0; j < lengthof(ordered); j++)
		{
			int order = files_path_compare(ordered[i], ordered[j]);

			assert_int_equal(order < 0 ? -1 : order > 0, i < j ? -1 : i > j);
		}
}

static void
a_path_that_leads_elsewhere_is_not_safe(void **state)
{
	static const char *const safe[] = {"a", "a/b", "...", "a/..b", "..a", "a/.b", "a b", "a\n", "\xff"};
	static const char *const unsafe[] = {"",    "/",   "/a",    "a/",   "a//b", ".",     "..",
	                                     "./a", "a/.", "a/./b", "../a", "a/..", "a/../b"};
	AUTO_FREE char *longest = mem_zalloc(TAR_NAME_MAX + 2);

	(void) state;
	for (size_t i = 0; i < lengthof(safe); i++)
		assert_true(files_path_is_safe(safe[i]));
	for (size_t i = 0; i < lengthof(unsafe); i++)
		assert_false(files_path_is_safe(unsafe[i]));
	memset(longest, 'a', TAR_NAME_MAX);
	assert_true(files_path_is_safe(longest));
	longest[TAR_NAME_MAX] = 'a';
	assert_false(files_path_is_safe(longest));
}

static void
assert_same_text(const char *a, const char *b)
{
	assert_true((a == NULL) == (b == NULL));
	if (a != NULL)
		assert_string_equal(a, b);
}

static void
the_list_is_read_as_it_was_written(void **state)
{
	char path[] = "a\n\xff\"\\", target[] = "t\x01", part[] = "20261120T023007Z-9f3c/files-0001.tar",
		 problem[] = "why";
	char other[] = "b";
	const FilesEntry entries[] = {
		{.path = path,
	     .type = TAR_LINK,
	     .size = UINT64_C(1) << 50,
	     .mode = 07777,
	     .uid = UINT32_MAX,
	     .gid = 5,
	     .mtime = -7,
	     .mtime_ns = 999999999,
	     .ctime = INT64_C(1) << 40,
	     .ctime_ns = 1,
	     .inode = UINT64_C(1) << 52,
	     .target = target,
	     .part = part,
	     .problem = problem},
		{.path = other, .type = TAR_DIRECTORY},
	};
	AUTO(Spool) list = spool_new("/nowhere");
	FilesListReader reader;

	(void) state;
	assert_ok(files_list_begin(list, "name", "id"));
	for (size_t i = 0; i < lengthof(entries); i++)
		assert_ok(files_list_add(list, &entries[i]));

	Slice slice = spool_slice(list);

	assert_ok(files_list_open(&reader, &slice, "list", "name", "id"));
	for (size_t i = 0; i < lengthof(entries); i++)
	{
		AUTO_FILES_ENTRY found = {0};

		assert_ok(files_list_next(&reader, &found));
		assert_string_equal(found.path, entries[i].path);
		assert_int_equal(found.type, entries[i].type);
		assert_int_equal(found.size, entries[i].size);
		assert_int_equal(found.mode, entries[i].mode);
		assert_int_equal(found.uid, entries[i].uid);
		assert_int_equal(found.gid, entries[i].gid);
		assert_int_equal(found.mtime, entries[i].mtime);
		assert_int_equal(found.mtime_ns, entries[i].mtime_ns);
		assert_int_equal(found.ctime, entries[i].ctime);
		assert_int_equal(found.ctime_ns, entries[i].ctime_ns);
		assert_int_equal(found.inode, entries[i].inode);
		assert_same_text(found.target, entries[i].target);
		assert_same_text(found.part, entries[i].part);
		assert_same_text(found.problem, entries[i].problem);
	}

	AUTO_FILES_ENTRY end = {0};

	assert_ok(files_list_next(&reader, &end));
	assert_null(end.path);
	files_list_close(&reader);
	assert_error(files_list_open(&reader, &slice, "list", "name", "another"), ERR_CORRUPT, "another set");
	files_list_close(&reader);
}

typedef struct Damaged
{
	const char *name;
	const char *text;
	const char *says;
} Damaged;

#define HEAD "{\"format\":1,\"name\":\"n\",\"id\":\"i\"}\n"

static const Damaged damaged[] = {
	{"empty", "", "it is empty"},
	{"no JSON", "x\n", "first line"},
	{"a newer format", "{\"format\":2,\"name\":\"n\",\"id\":\"i\"}\n", "format version 2"},
	{"cut", HEAD "{\"path\":\"a\"", "cut off"},
	{"no path", HEAD "{\"type\":\"file\",\"mtime\":0,\"ctime\":0}\n", "path"},
	{"leads out", HEAD "{\"path\":\"../a\",\"type\":\"file\",\"mtime\":0,\"ctime\":0}\n", "leads out"},
	{"a NUL in it", HEAD "{\"path\":{\"hex\":\"2f00\"},\"type\":\"file\",\"mtime\":0,\"ctime\":0}\n", NULL},
	{"link without a target",
     HEAD "{\"path\":\"a\",\"type\":\"link\",\"mtime\":0,\"ctime\":0,\"part\":\"p\"}\n", "leads out"},
	{"unknown type", HEAD "{\"path\":\"a\",\"type\":\"door\",\"mtime\":0,\"ctime\":0}\n", "type"},
	{"out of order",
     HEAD
     "{\"path\":\"b\",\"type\":\"file\",\"mtime\":0,\"ctime\":0}\n{\"path\":\"a\",\"type\":\"file\",\"mtime\":0,\"ctime\":0}\n",
     "out of order"},
	{"twice",
     HEAD
     "{\"path\":\"b\",\"type\":\"file\",\"mtime\":0,\"ctime\":0}\n{\"path\":\"b\",\"type\":\"file\",\"mtime\":0,\"ctime\":0}\n",
     "out of order"},
};

static Error *
read_all(const Slice *slice)
{
	FilesListReader reader;
	Error *error = files_list_open(&reader, slice, "list", "n", "i");

	for (bool ended = false; error == NULL && !ended;)
	{
		AUTO_FILES_ENTRY entry = {0};

		error = files_list_next(&reader, &entry);
		ended = entry.path == NULL;
	}
	files_list_close(&reader);
	return error;
}

static void
a_damaged_list_is_refused(void **state)
{
	(void) state;
	for (size_t i = 0; i < lengthof(damaged); i++)
	{
		Slice slice = slice_of_memory(damaged[i].text, strlen(damaged[i].text));

		print_message("%s\n", damaged[i].name);
		assert_error(read_all(&slice), ERR_CORRUPT, damaged[i].says);
	}

	AUTO_BUF(text, 1024 * 1024);

	buf_puts(&text, HEAD);
	while (text.size < 400000)
		buf_putc(&text, ' ');

	Slice slice = slice_of_memory(text.data, text.size);

	assert_error(read_all(&slice), ERR_CORRUPT, "a line of more than");
}

static void
roots_are_absolute_and_lie_beside_each_other(void **state)
{
	AUTO_FREE char *top = mem_strdup(*state);
	AUTO_FREE char *below = path_join(top, "a/b");
	AUTO_FREE char *odd = mem_printf("%s//a/./b/", top);
	AUTO_FREE char *up = mem_printf("%s/a/b/../../c", top);
	AUTO_FREE char *c = path_join(top, "c");
	AUTO_FREE char *a = path_join(top, "a");
	AUTO_STRLIST named = {0};
	AUTO_STRLIST roots = {0};
	AUTO_STRLIST none = {0};

	assert_ok(dir_make(below, 0700));
	assert_ok(dir_make(c, 0700));
	strlist_add(&named, up);
	strlist_add(&named, odd);
	assert_ok(files_roots(&named, &roots));
	assert_int_equal(roots.count, 2);
	assert_string_equal(roots.items[0], below);
	assert_string_equal(roots.items[1], c);
	strlist_add(&named, a);
	assert_error(files_roots(&named, &none), ERR_USAGE, "named, too");
}

/* Of an ordinary user nothing can be given away: test/integration runs as one. */
static void
root_restores_owners_and_devices(void **state)
{
	static const char only_of_root[] = "this is for root alone";
	AUTO_FREE char *into = path_join(*state, "into");
	AUTO_FREE char *file = path_join(into, "f");
	FilesPlace place = {.path = into, .fd = -1};
	FilesParent parent = {.fd = -1};
	TarEntry entry = {
		.type = TAR_FILE, .mode = 06711, .uid = 1234, .gid = 3000000, .mtime = 5, .mtime_ns = 6};
	FilesFacts *facts = files_facts_new(&entry);
	char *left_out = NULL;
	const char *leaf;
	struct stat status;

	if (geteuid() != 0)
	{
		files_facts_free(facts);
		print_message("%s\n", only_of_root);
		skip();
	}
	assert_ok(files_place_open(into, &place.fd));
	assert_ok(files_parent_find(&place, &parent, "f", &leaf));

	AUTO_CLOSE int fd = openat(parent.fd, leaf, O_CREAT | O_WRONLY | O_EXCL | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_ok(files_facts_apply(facts, fd, "f", &left_out));
	assert_null(left_out);
	assert_int_equal(stat(file, &status), 0);
	assert_int_equal(status.st_uid, 1234);
	assert_int_equal(status.st_gid, 3000000);
	assert_int_equal(status.st_mode & 07777, 06711);
	assert_int_equal(status.st_mtim.tv_sec, 5);
	assert_int_equal(status.st_mtim.tv_nsec, 6);
	files_facts_free(facts);
	files_parent_close(&parent);
	(void) close(place.fd);
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_are_in_the_order_of_the_walk),
		cmocka_unit_test(a_path_that_leads_elsewhere_is_not_safe),
		cmocka_unit_test(the_list_is_read_as_it_was_written),
		cmocka_unit_test(a_damaged_list_is_refused),
		cmocka_unit_test_setup_teardown(roots_are_absolute_and_lie_beside_each_other, set_up, tear_down),
		cmocka_unit_test_setup_teardown(root_restores_owners_and_devices, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
