/* Entries with all that a file has: written, and read back. */
#include "walship/pipe/tar.h"

#include "scratch.h"

#define ARCHIVE_MAX (64u * 1024 * 1024)

typedef struct Story
{
	TarEntry entry; /* the last one */
	TarAttribute attributes[4];
	Buf contents;
	int entries;
	int ends;
} Story;

static Error *
story_begin(void *context, const TarEntry *entry)
{
	Story *story = context;

	story->entry = *entry;
	story->entries++;
	assert_true(entry->n_attributes <= lengthof(story->attributes));
	for (size_t i = 0; i < entry->n_attributes; i++)
	{
		const TarAttribute *from = &entry->attributes[i];

		story->attributes[i] = (TarAttribute){mem_strdup(from->name), mem_alloc(from->size + 1), from->size};
		memcpy(story->attributes[i].value, from->value, from->size);
	}
	return NULL;
}

static Error *
story_data(void *context, const void *data, size_t size)
{
	Story *story = context;

	buf_append(&story->contents, data, size);
	return NULL;
}

static Error *
story_end(void *context)
{
	Story *story = context;

	story->ends++;
	return NULL;
}

static void
story_release(Story *story)
{
	for (size_t i = 0; i < lengthof(story->attributes); i++)
	{
		free(story->attributes[i].name);
		free(story->attributes[i].value);
	}
	buf_release(&story->contents);
}

static Error *
read_archive(const Buf *archive, bool everything, size_t piece, Story *story)
{
	const TarHandler handler = {
		.begin = story_begin, .data = story_data, .end = story_end, .everything = everything};
	AUTO(Pipe) pipe = pipe_new();

	*story = (Story){0};
	buf_init(&story->contents, ARCHIVE_MAX);
	pipe_add(pipe, tar_reader_new(&handler, story, false, "archive"));
	for (size_t at = 0; at < archive->size; at += piece)
		TRY(pipe_write(pipe, archive->data + at, archive->size - at < piece ? archive->size - at : piece));
	return pipe_finish(pipe);
}

typedef struct Case
{
	const char *name;
	TarEntry entry;
} Case;

static const Case cases[] = {
	{"plain", {.name = "a", .type = TAR_FILE, .mode = 0640, .uid = 1, .gid = 2, .mtime = 3}},
	{"nanoseconds", {.name = "a", .type = TAR_FILE, .mtime = 3, .mtime_ns = 40}},
	{"before 1970", {.name = "a", .type = TAR_FILE, .mtime = -2, .mtime_ns = 500000000}},
	{"a whole second before 1970", {.name = "a", .type = TAR_FILE, .mtime = -7}},
	{"half a second before 1970", {.name = "a", .type = TAR_FILE, .mtime = -1, .mtime_ns = 500000000}},
	{"far away", {.name = "a", .type = TAR_FILE, .mtime = INT64_C(1) << 40}},
	{"large owners", {.name = "a", .type = TAR_DIRECTORY, .uid = UINT32_MAX, .gid = 4000000000}},
	{"set-user-ID", {.name = "a", .type = TAR_FILE, .mode = 07755}},
	{"name that is not UTF-8", {.name = "a/\xff\xfe", .type = TAR_FILE}},
	{"name with a line feed", {.name = "a\nb", .type = TAR_FILE}},
	{"hard link", {.name = "b", .type = TAR_LINK, .link_target = "a"}},
	{"symbolic link to anywhere", {.name = "b", .type = TAR_SYMLINK, .link_target = "/../etc"}},
	{"FIFO", {.name = "b", .type = TAR_FIFO}},
	{"device", {.name = "b", .type = TAR_CHARACTER_DEVICE, .device_major = 1, .device_minor = 3}},
	{"block device", {.name = "b", .type = TAR_BLOCK_DEVICE, .device_major = 259, .device_minor = 70000}},
};

static void
assert_same_entry(const TarEntry *expected, const TarEntry *found)
{
	assert_string_equal(found->name, expected->name);
	assert_string_equal(found->link_target, expected->link_target);
	assert_int_equal(found->type, expected->type);
	assert_int_equal(found->mode, expected->mode);
	assert_int_equal(found->uid, expected->uid);
	assert_int_equal(found->gid, expected->gid);
	assert_int_equal(found->mtime, expected->mtime);
	assert_int_equal(found->mtime_ns, expected->mtime_ns);
	assert_int_equal(found->device_major, expected->device_major);
	assert_int_equal(found->device_minor, expected->device_minor);
	assert_int_equal(found->sparse, expected->sparse);
	assert_int_equal(found->sparse_size, expected->sparse_size);
	assert_int_equal(found->size, expected->size);
}

static void
what_was_written_is_read(void **state)
{
	(void) state;
	for (size_t i = 0; i < lengthof(cases); i++)
	{
		AUTO_BUF(archive, ARCHIVE_MAX);
		Story story;

		print_message("%s\n", cases[i].name);
		assert_ok(tar_entry_append(&cases[i].entry, &archive));
		assert_int_equal(archive.size % TAR_BLOCK_SIZE, 0);
		assert_ok(read_archive(&archive, true, 7, &story));
		assert_int_equal(story.entries, 1);
		assert_int_equal(story.ends, 1);
		assert_same_entry(&cases[i].entry, &story.entry);
		story_release(&story);
	}
}

static void
names_of_any_length_are_kept(void **state)
{
	static const TarType types[] = {TAR_FILE, TAR_DIRECTORY, TAR_SYMLINK, TAR_LINK};

	(void) state;
	for (size_t length = 90; length <= TAR_NAME_MAX; length += length < 110 ? 1 : 997)
		for (size_t i = 0; i < lengthof(types); i++)
		{
			AUTO_FREE TarEntry *entry = NEW(TarEntry);
			AUTO_BUF(archive, ARCHIVE_MAX);
			Story story;

			entry->type = types[i];
			memset(entry->name, 'n', length);
			if (types[i] == TAR_SYMLINK || types[i] == TAR_LINK)
				memset(entry->link_target, 't', length);
			assert_ok(tar_entry_append(entry, &archive));
			assert_ok(read_archive(&archive, true, 4096, &story));
			assert_same_entry(entry, &story.entry);
			story_release(&story);
		}
}

static void
attributes_are_kept_byte_for_byte(void **state)
{
	char value[] = "with\0NUL,\n= and \xff";
	uint8_t acl[] = {2, 0, 0,   0, 1, 0, 6,    0, 255, 255, 255, 255, 2,   0,
	                 5, 0, 210, 4, 0, 0, 0x20, 0, 4,   0,   255, 255, 255, 255};
	char name[] = "user.a=b%3Dc";
	char acl_name[] = "system.posix_acl_access";
	const TarAttribute attributes[] = {{name, value, sizeof(value)}, {acl_name, acl, sizeof(acl)}};
	TarEntry entry = {.name = "a", .type = TAR_FILE, .attributes = attributes, .n_attributes = 2};
	AUTO_BUF(archive, ARCHIVE_MAX);
	Story story;

	(void) state;
	assert_ok(tar_entry_append(&entry, &archive));
	assert_non_null(memmem(archive.data, archive.size, "SCHILY.xattr.user.a%3Db%253Dc=with", 34));
	assert_non_null(
		memmem(archive.data, archive.size, "SCHILY.acl.access=user::rw-,user:1234:r-x,other::r--\n", 53));
	assert_ok(read_archive(&archive, true, 512, &story));
	assert_int_equal(story.entry.n_attributes, 2);
	for (size_t i = 0; i < 2; i++)
	{
		assert_string_equal(story.attributes[i].name, attributes[i].name);
		assert_int_equal(story.attributes[i].size, attributes[i].size);
		assert_memory_equal(story.attributes[i].value, attributes[i].value, attributes[i].size);
	}
	story_release(&story);
}

static void
attributes_of_more_than_a_megabyte_are_refused(void **state)
{
	AUTO_FREE char *value = mem_zalloc(TAR_EXTENSION_MAX);
	char name[] = "user.long";
	const TarAttribute attribute = {name, value, TAR_EXTENSION_MAX};
	TarEntry entry = {.name = "a", .type = TAR_FILE, .attributes = &attribute, .n_attributes = 1};
	AUTO_BUF(archive, ARCHIVE_MAX);

	(void) state;
	assert_error(tar_entry_append(&entry, &archive), ERR_SYSTEM, "longer than");
}

/* Of a backup they have no place: only who asks gets them. */
static void
others_still_refuse_what_they_do_not_expect(void **state)
{
	static const TarEntry entries[] = {
		{.name = "b", .type = TAR_LINK, .link_target = "a"},
		{.name = "b", .type = TAR_FIFO},
		{.name = "b", .type = TAR_BLOCK_DEVICE},
		{.name = "b", .type = TAR_FILE, .sparse = true, .sparse_size = 10},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(entries); i++)
	{
		AUTO_BUF(archive, ARCHIVE_MAX);
		Story story;

		assert_ok(tar_entry_append(&entries[i], &archive));
		assert_error(read_archive(&archive, false, 512, &story), ERR_CORRUPT, "not supported");
		story_release(&story);
	}
}

static void
a_hard_link_may_not_lead_out(void **state)
{
	static const char *const targets[] = {"/etc/passwd", "../x", "a/../../x", ".//etc/passwd"};

	(void) state;
	for (size_t i = 0; i < lengthof(targets); i++)
	{
		TarEntry entry = {.name = "b", .type = TAR_LINK};
		AUTO_BUF(archive, ARCHIVE_MAX);
		Story story;

		(void) snprintf(entry.link_target, sizeof(entry.link_target), "%s", targets[i]);
		assert_ok(tar_entry_append(&entry, &archive));
		assert_error(read_archive(&archive, true, 512, &story), ERR_CORRUPT, "in tar archive");
		story_release(&story);
	}
}

/* A file of holes, put together by the callback. */
typedef struct Sparse
{
	uint8_t bytes[4096];
	uint64_t written;
} Sparse;

static Error *
sparse_write(void *context, uint64_t offset, const void *data, size_t size)
{
	Sparse *sparse = context;

	assert_true(offset + size <= sizeof(sparse->bytes));
	memcpy(sparse->bytes + offset, data, size);
	sparse->written += size;
	return NULL;
}

static Error *
read_sparse(const Buf *contents, uint64_t file_size, size_t piece, Sparse *sparse)
{
	TarSparseReader reader;
	Error *error = NULL;

	*sparse = (Sparse){0};
	tar_sparse_begin(&reader, file_size);
	for (size_t at = 0; at < contents->size && error == NULL; at += piece)
		error =
			tar_sparse_take(&reader, contents->data + at,
		                    contents->size - at < piece ? contents->size - at : piece, sparse_write, sparse);
	if (error == NULL)
		error = tar_sparse_end(&reader);
	tar_sparse_release(&reader);
	return error;
}

static void
sparse_files_come_back_in_pieces_of_any_size(void **state)
{
	static const size_t pieces[] = {1, 3, 511, 512, 513, 100000};
	AUTO_FREE uint8_t *bytes = scratch_bytes(1000, 5);

	(void) state;
	for (size_t i = 0; i < lengthof(pieces); i++)
		for (int with_end = 0; with_end < 2; with_end++)
		{
			AUTO_TAR_EXTENTS extents = {0};
			AUTO_BUF(contents, ARCHIVE_MAX);
			Sparse sparse;

			tar_extents_add(&extents, 0, 100);
			tar_extents_add(&extents, 1000, 400);
			tar_extents_add(&extents, with_end ? 3596 : 2000, 500);
			tar_extents_print(&extents, sizeof(sparse.bytes), &contents);
			assert_int_equal(contents.size, 512);
			buf_append(&contents, bytes, 1000);
			assert_ok(read_sparse(&contents, sizeof(sparse.bytes), pieces[i], &sparse));
			assert_int_equal(sparse.written, 1000);
			assert_memory_equal(sparse.bytes, bytes, 100);
			assert_int_equal(sparse.bytes[100], 0);
			assert_memory_equal(sparse.bytes + 1000, bytes + 100, 400);
			assert_memory_equal(sparse.bytes + (with_end ? 3596 : 2000), bytes + 500, 500);
		}
}

typedef struct Hostile
{
	const char *name;
	const char *map; /* filled up to a block */
	size_t contents;
	const char *says;
} Hostile;

static const Hostile hostile[] = {
	{"no number", "x\n", 0, "malformed map"},
	{"empty line", "\n", 0, "malformed map"},
	{"too many", "99999999\n", 0, "extents"},
	{"a number without end", "1111111111111111111111\n", 0, "malformed map"},
	{"beyond the end", "1\n4000\n100\n", 100, "beyond its end"},
	{"begins beyond the end", "1\n5000\n0\n", 0, "out of order"},
	{"overlapping", "2\n0\n100\n50\n10\n", 110, "out of order"},
	{"backwards", "2\n200\n100\n0\n10\n", 110, "out of order"},
	{"a size that wraps around", "1\n10\n9223372036854775807\n", 0, "malformed map"},
	{"a size that is too large", "1\n10\n922337203685477580\n", 0, "beyond its end"},
	{"more contents", "1\n0\n10\n", 11, "more contents"},
	{"fewer contents", "1\n0\n10\n", 9, "fewer contents"},
	{"no contents", "1\n0\n10\n", 0, "fewer contents"},
	{"cut map", "2\n0\n10\n", 0, "not filled up"},
};

static void
hostile_maps_are_refused(void **state)
{
	static const char zeros[TAR_BLOCK_SIZE];

	(void) state;
	for (size_t i = 0; i < lengthof(hostile); i++)
	{
		AUTO_BUF(contents, ARCHIVE_MAX);
		Sparse sparse;
		AUTO_FREE uint8_t *bytes = scratch_bytes(hostile[i].contents, 3);

		print_message("%s\n", hostile[i].name);
		buf_puts(&contents, hostile[i].map);
		buf_append(&contents, zeros, tar_padding(contents.size));
		buf_append(&contents, bytes, hostile[i].contents);
		if (strcmp(hostile[i].says, "not filled up") == 0)
			assert_error(read_sparse(&contents, sizeof(sparse.bytes), 512, &sparse), ERR_CORRUPT,
			             "sparse file");
		else
			assert_error(read_sparse(&contents, sizeof(sparse.bytes), 512, &sparse), ERR_CORRUPT,
			             hostile[i].says);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_written_is_read),
		cmocka_unit_test(names_of_any_length_are_kept),
		cmocka_unit_test(attributes_are_kept_byte_for_byte),
		cmocka_unit_test(attributes_of_more_than_a_megabyte_are_refused),
		cmocka_unit_test(others_still_refuse_what_they_do_not_expect),
		cmocka_unit_test(a_hard_link_may_not_lead_out),
		cmocka_unit_test(sparse_files_come_back_in_pieces_of_any_size),
		cmocka_unit_test(hostile_maps_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
