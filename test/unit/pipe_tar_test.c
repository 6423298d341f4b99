#include <unistd.h>

#include "scratch.h"
#include "walship/base/strs.h"
#include "walship/pipe/tar.h"

#define ARCHIVE_MAX (64u * 1024 * 1024)

/* What a reader was told, as text: "name|type|size|mode|link|<contents' length and sum>;" per entry. */
typedef struct Story
{
	Buf text;
	uint64_t seen;
	uint32_t sum;
	Error *refusal; /* what "begin" answers */
} Story;

static Error *
story_begin(void *context, const TarEntry *entry)
{
	Story *story = context;

	if (story->refusal != NULL)
		return MOVE(story->refusal);
	buf_printf(&story->text, "%s|%c|%llu|%o|%s|", entry->name, "fdl"[entry->type],
	           (unsigned long long) entry -> size, entry -> mode, entry -> link_target);
	story->seen = story->sum = 0;
	return NULL;
}

static Error *
story_data(void *context, const void *data, size_t size)
{
	Story *story = context;
	const uint8_t *bytes = data;

	assert_true(size > 0);
	story->seen += size;
	for (size_t i = 0; i < size; i++)
		story->sum += bytes[i];
	return NULL;
}

static Error *
story_end(void *context)
{
	Story *story = context;

	buf_printf(&story->text, "%llu:%u;", (unsigned long long) story->seen, story->sum);
	return NULL;
}

static const TarHandler story_handler = {.begin = story_begin, .data = story_data, .end = story_end};

static Error *
read_archive(const void *data, size_t size, size_t piece, bool needs_end, Story *story)
{
	AUTO(Pipe) pipe = pipe_new();
	const char *bytes = data;

	pipe_add(pipe, tar_reader_new(&story_handler, story, needs_end, "\"base-0001.tar\""));
	for (size_t at = 0; at < size; at += piece)
		TRY(pipe_write(pipe, bytes + at, size - at < piece ? size - at : piece));
	return pipe_finish(pipe);
}

static void
assert_story(const Buf *archive, size_t piece, const char *expected)
{
	Story story = {0};

	buf_init(&story.text, ARCHIVE_MAX);
	assert_ok(read_archive(archive->data, archive->size, piece, true, &story));
	assert_string_equal(story.text.data == NULL ? "" : story.text.data, expected);
	buf_release(&story.text);
}

static void
assert_corrupt(const Buf *archive, bool needs_end, const char *part)
{
	Story story = {0};

	buf_init(&story.text, ARCHIVE_MAX);
	assert_error(read_archive(archive->data, archive->size, 1000, needs_end, &story), ERR_CORRUPT, part);
	buf_release(&story.text);
}

static void
add_entry(Buf *archive, const TarEntry *entry, const void *contents)
{
	static const uint8_t zeros[TAR_BLOCK_SIZE] = {0};
	uint8_t block[TAR_BLOCK_SIZE];

	assert_ok(tar_header_format(entry, block));
	buf_append(archive, block, sizeof(block));
	if (entry->type == TAR_FILE)
	{
		buf_append(archive, contents, entry->size);
		buf_append(archive, zeros, tar_padding(entry->size));
	}
}

static void
add_end(Buf *archive)
{
	static const uint8_t zeros[TAR_END_SIZE] = {0};

	buf_append(archive, zeros, sizeof(zeros));
}

static void
add_text(Buf *archive, const char *name, const char *text)
{
	TarEntry entry = {.type = TAR_FILE, .size = strlen(text), .mode = 0600, .mtime = 1700000000};

	(void) snprintf(entry.name, sizeof(entry.name), "%s", name);
	add_entry(archive, &entry, text);
}

/* A block with any type, name, link and size, its checksum right. */
static void
add_block(Buf *archive, char flag, const char *name, uint64_t size, const char *prefix)
{
	TarEntry entry = {.type = TAR_FILE, .size = size, .mode = 0600};
	uint8_t block[TAR_BLOCK_SIZE];
	unsigned sum = 0;

	assert_ok(tar_header_format(&entry, block));
	memcpy(block, name, strlen(name));
	block[156] = (uint8_t) flag;
	memcpy(block + 345, prefix, strlen(prefix));
	memset(block + 148, ' ', 8);
	for (size_t i = 0; i < sizeof(block); i++)
		sum += block[i];
	(void) snprintf((char *) block + 148, 8, "%06o", sum);
	buf_append(archive, block, sizeof(block));
}

/* An extension header with its contents. */
static void
add_extension(Buf *archive, char flag, const void *contents, size_t size)
{
	static const uint8_t zeros[TAR_BLOCK_SIZE] = {0};

	add_block(archive, flag, "extension", size, "");
	buf_append(archive, contents, size);
	buf_append(archive, zeros, tar_padding(size));
}

static void
headers_are_read_back_as_they_were_written(void **state)
{
	static const TarEntry entries[] = {
		{.name = "global/pg_control", .type = TAR_FILE, .size = 8192, .mode = 0600, .mtime = 1700000000},
		{.name = "empty", .type = TAR_FILE, .size = 0, .mode = 04755, .mtime = 0},
		{.name = "7 GiB", .type = TAR_FILE, .size = UINT64_C(8589934591), .mode = 0640, .mtime = 1},
		{.name = "8 GiB", .type = TAR_FILE, .size = UINT64_C(8589934592), .mode = 0640, .mtime = 1},
		{.name = "huge", .type = TAR_FILE, .size = INT64_MAX, .mode = 0640, .mtime = INT64_C(99999999999)},
		{.name = "pg_wal", .type = TAR_DIRECTORY, .mode = 0700, .mtime = 1700000000},
		{.name = "pg_tblspc/16385", .type = TAR_SYMLINK, .link_target = "/mnt/fast disk", .mode = 0777},
		{.name = "blank in name", .type = TAR_FILE, .size = 1, .mode = 0},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(entries); i++)
	{
		uint8_t block[TAR_BLOCK_SIZE];
		TarEntry back;

		assert_ok(tar_header_format(&entries[i], block));
		assert_false(tar_block_is_zero(block));
		assert_ok(tar_header_parse(block, &back));
		assert_string_equal(back.name, entries[i].name);
		assert_string_equal(back.link_target, entries[i].link_target);
		assert_int_equal(back.type, entries[i].type);
		assert_int_equal(back.size, entries[i].size);
		assert_int_equal(back.mode, entries[i].mode);
		assert_int_equal(back.mtime, entries[i].mtime);
	}
}

static void
what_does_not_fit_into_a_header_is_refused(void **state)
{
	TarEntry entry = {.type = TAR_FILE};
	uint8_t block[TAR_BLOCK_SIZE];

	(void) state;
	memset(entry.name, 'n', 100);
	assert_ok(tar_header_format(&entry, block));
	entry.type = TAR_DIRECTORY;
	assert_error(tar_header_format(&entry, block), ERR_SYSTEM, "too long");
	entry.name[99] = '\0';
	assert_ok(tar_header_format(&entry, block));
	entry.type = TAR_SYMLINK;
	memset(entry.link_target, 'l', 101);
	assert_error(tar_header_format(&entry, block), ERR_SYSTEM, "too long");
}

static void
an_archive_is_read_the_same_at_every_split(void **state)
{
	static const char expected[] = "a.json|f|5|600||5:532;none|f|0|600||0:0;dir|d|0|700||0:0;"
								   "link|l|0|777|/else|0:0;b.br|f|1025|600||1025:100450;";
	AUTO_BUF(archive, ARCHIVE_MAX);
	AUTO_FREE char *text = mem_zalloc(1026);
	TarEntry directory = {.name = "dir", .type = TAR_DIRECTORY, .mode = 0700};
	TarEntry link = {.name = "link", .type = TAR_SYMLINK, .link_target = "/else", .mode = 0777};

	(void) state;
	memset(text, 'b', 1025);
	add_text(&archive, "a.json", "hello");
	add_text(&archive, "none", "");
	add_entry(&archive, &directory, NULL);
	add_entry(&archive, &link, NULL);
	add_text(&archive, "b.br", text);
	add_end(&archive);
	for (size_t piece = 1; piece <= 1100; piece++)
		assert_story(&archive, piece, expected);
	assert_story(&archive, archive.size, expected);
}

static void
a_cut_archive_is_corrupt_wherever_it_is_cut(void **state)
{
	AUTO_BUF(archive, ARCHIVE_MAX);
	AUTO_BUF(cut, ARCHIVE_MAX);

	(void) state;
	add_text(&archive, "a", "hello");
	add_text(&archive, "b", "");
	add_text(&archive, "c", "world");
	add_end(&archive);
	for (size_t size = 0; size < archive.size; size++)
	{
		/* Without end blocks an archive may only be cut between members, or within its end. */
		bool between = size == 0 || size == 1024 || size == 1536 || size == 2560 || size == 3072;
		Story story = {0};

		buf_append(&cut, archive.data, size);
		assert_corrupt(&cut, true, "\"base-0001.tar\" is cut off");
		buf_init(&story.text, ARCHIVE_MAX);
		if (between)
			assert_ok(read_archive(cut.data, cut.size, 512, false, &story));
		else
			assert_error(read_archive(cut.data, cut.size, 512, false, &story), ERR_CORRUPT, "is cut off");
		buf_release(&story.text);
		buf_release(&cut);
	}
}

typedef struct NameCase
{
	const char *name;
	const char *prefix;
	const char *read_as; /* NULL: refused */
} NameCase;

static const NameCase name_cases[] = {
	{"x", "", "x"},
	{"./x", "", "x"},
	{"././x/y", "", "x/y"},
	{"x", "long/prefix", "long/prefix/x"},
	{"x", "./long", "long/x"},
	{"..x/x..", "", "..x/x.."},
	{"...", "", "..."},
	{"x", "/abs", NULL},
	{"x", "..", NULL},
	{"/etc/passwd", "", NULL},
	{".//etc/passwd", "", NULL},
	{"././/etc/passwd", "", NULL},
	{"..", "", NULL},
	{"../x", "", NULL},
	{"x/..", "", NULL},
	{"x/../y", "", NULL},
	{"./../y", "", NULL},
	{"x//../y", "", NULL},
	{"", "", NULL},
};

static void
names_that_leave_the_directory_are_refused(void **state)
{
	(void) state;
	for (size_t i = 0; i < lengthof(name_cases); i++)
	{
		const NameCase *row = &name_cases[i];
		AUTO_BUF(archive, ARCHIVE_MAX);

		add_block(&archive, '0', row->name, 0, row->prefix);
		add_end(&archive);
		if (row->read_as == NULL)
			assert_corrupt(&archive, true, "\"base-0001.tar\"");
		else
		{
			AUTO_FREE char *expected = mem_printf("%s|f|0|600||0:0;", row->read_as);

			assert_story(&archive, 512, expected);
		}
	}
}

static void
entries_of_other_types_are_refused(void **state)
{
	static const char flags[] = "13468ASMVDXNz\n";

	(void) state;
	for (size_t i = 0; i < sizeof(flags) - 1; i++)
	{
		AUTO_BUF(archive, ARCHIVE_MAX);

		add_block(&archive, flags[i], "device", 0, "");
		add_end(&archive);
		assert_corrupt(&archive, true, "\"device\" in tar archive has type");
	}
}

static void
every_flipped_bit_of_a_header_is_noticed(void **state)
{
	AUTO_BUF(archive, ARCHIVE_MAX);

	(void) state;
	add_text(&archive, "a", "hello");
	add_end(&archive);
	for (size_t bit = 0; bit < 8 * (size_t) TAR_BLOCK_SIZE; bit++)
	{
		/* The checksum's own digits may be written in several ways: blanks for zeros, anything after them. */
		bool in_checksum = bit / 8 >= 148 && bit / 8 < 156;
		Story story = {0};
		Error *error;

		buf_init(&story.text, ARCHIVE_MAX);
		archive.data[bit / 8] = (char) (archive.data[bit / 8] ^ (1 << (bit % 8)));
		error = read_archive(archive.data, archive.size, 1000, true, &story);
		archive.data[bit / 8] = (char) (archive.data[bit / 8] ^ (1 << (bit % 8)));
		if (error == NULL && in_checksum)
			assert_string_equal(story.text.data, "a|f|5|600||5:532;");
		else
			assert_error(error, ERR_CORRUPT, "\"base-0001.tar\"");
		buf_release(&story.text);
	}
}

static void
bytes_after_the_end_are_refused_but_zeros_are_not(void **state)
{
	AUTO_BUF(archive, ARCHIVE_MAX);

	(void) state;
	add_text(&archive, "a", "hello");
	for (int i = 0; i < 20; i++)
		add_end(&archive);
	assert_story(&archive, 700, "a|f|5|600||5:532;");
	add_text(&archive, "b", "hello");
	assert_corrupt(&archive, true, "bytes after its end");
}

/* A store can send them for ever. */
static void
what_says_nothing_has_an_end(void **state)
{
	AUTO_BUF(zeros, 4 * 1024 * 1024);
	AUTO_BUF(extensions, ARCHIVE_MAX);

	(void) state;
	add_text(&zeros, "a", "hello");
	while (zeros.size < 1024 * 1024)
		add_end(&zeros);
	assert_story(&zeros, 100000, "a|f|5|600||5:532;");
	add_end(&zeros);
	add_end(&zeros);
	assert_corrupt(&zeros, true, "blocks of zeros after its end");

	for (int i = 0; i < 17; i++)
		add_extension(&extensions, 'g', "13 path=junk\n", 13);
	assert_corrupt(&extensions, false, "extended headers of one entry");
}

static void
extensions_of_posix_and_gnu_are_understood(void **state)
{
	static const char pax[] = "27 path=deep/name in a pax\n13 comment=x\n10 size=5\n";
	static const char long_name[] = "a name that GNU tar found too long";
	AUTO_BUF(archive, ARCHIVE_MAX);

	(void) state;
	add_extension(&archive, 'g', "13 path=junk\n", 13);
	add_extension(&archive, 'x', pax, sizeof(pax) - 1);
	add_block(&archive, '0', "short", 0, "");
	buf_append(&archive, "hello", 5);
	for (int i = 0; i < 507; i++)
		buf_putc(&archive, '\0');
	add_extension(&archive, 'L', long_name, sizeof(long_name));
	add_extension(&archive, 'K', "a long target", 14);
	add_block(&archive, '2', "short", 0, "");
	add_text(&archive, "plain", "hello");
	add_end(&archive);
	for (size_t piece = 1; piece < 1500; piece += 17)
		assert_story(
			&archive, piece,
			"deep/name in a pax|f|5|600||5:532;a name that GNU tar found too long|l|0|600|a long target|0:0;"
			"plain|f|5|600||5:532;");
}

typedef struct ExtensionCase
{
	const char *name;
	char flag;
	const char *contents;
} ExtensionCase;

static const ExtensionCase extension_cases[] = {
	{"no length", 'x', "path=x\n"},
	{"length too large", 'x', "99 path=x\n"},
	{"length too small", 'x', "3 path=x\n"},
	{"zero length", 'x', "0 path=x\n"},
	{"length beyond all numbers", 'x', "99999999999999999999999 path=x\n"},
	{"no newline", 'x', "9 path=xy"},
	{"no equals sign", 'x', "7 path\n"},
	{"negative size", 'x', "11 size=-5\n"},
	{"empty size", 'x', "8 size=\n"},
	{"size beyond all numbers", 'x', "28 size=9999999999999999999\n"},
	{"absolute path", 'x', "16 path=/etc/xy\n"},
	{"path that leaves", 'x', "15 path=../etc\n"},
	{"sparse file", 'x', "22 GNU.sparse.major=1\n"},
	{"absolute name", 'L', "/etc/x"},
	{"name that leaves", 'L', "a/../../x"},
};

static void
malformed_extensions_are_corrupt(void **state)
{
	AUTO_FREE char *long_name = mem_zalloc(TAR_NAME_MAX + 2);
	AUTO_BUF(archive, ARCHIVE_MAX);

	(void) state;
	for (size_t i = 0; i < lengthof(extension_cases); i++)
	{
		const ExtensionCase *row = &extension_cases[i];

		print_message("  %s\n", row->name);
		buf_clear(&archive);
		add_extension(&archive, row->flag, row->contents, strlen(row->contents));
		add_text(&archive, "a", "hello");
		add_end(&archive);
		assert_corrupt(&archive, true, "\"base-0001.tar\"");
	}

	memset(long_name, 'n', TAR_NAME_MAX + 1);
	buf_clear(&archive);
	add_extension(&archive, 'L', long_name, TAR_NAME_MAX + 1);
	assert_corrupt(&archive, false, "too long");

	buf_clear(&archive);
	add_block(&archive, 'x', "x", 1000000, "");
	assert_corrupt(&archive, false, "extended header of 1000000 bytes");

	buf_clear(&archive);
	add_extension(&archive, 'L', "name", 5);
	add_end(&archive);
	assert_corrupt(&archive, true, "cut off between two members");
}

static void
an_error_of_the_handler_ends_the_reading_with_its_kind(void **state)
{
	AUTO_BUF(archive, ARCHIVE_MAX);
	Story story = {.refusal = error_new(ERR_DENIED, "could not create file \"a\"")};

	(void) state;
	buf_init(&story.text, ARCHIVE_MAX);
	add_text(&archive, "a", "hello");
	assert_error(read_archive(archive.data, archive.size, 512, true, &story), ERR_DENIED,
	             "could not create file");
	buf_release(&story.text);
}

static bool
have_tar(void)
{
	if (system("command -v tar >/dev/null") == 0)
		return true;
	print_message("SKIPPED: the program \"tar\" is not installed\n");
	return false;
}

static void
stock_tar_extracts_what_we_write(void **state)
{
	char *directory = scratch_make();
	AUTO_FREE char *path = path_join(directory, "archive");
	AUTO_FREE char *command = mem_printf(
		"cd %s && tar -xf archive --no-same-owner 2>errors && test ! -s errors && test \"$(cat d/a)\" = hello && "
		"test \"$(stat -c %%a:%%Y d/a)\" = 640:1700000000 && test \"$(stat -c %%a d)\" = 750 && "
		"test \"$(readlink d/l)\" = /else/where && test ! -s d/none",
		directory);
	TarEntry dir = {.name = "d", .type = TAR_DIRECTORY, .mode = 0750};
	TarEntry file = {.name = "d/a", .type = TAR_FILE, .size = 5, .mode = 0640, .mtime = 1700000000};
	TarEntry link = {.name = "d/l", .type = TAR_SYMLINK, .link_target = "/else/where", .mode = 0777};
	AUTO_BUF(archive, ARCHIVE_MAX);

	(void) state;
	add_entry(&archive, &dir, NULL);
	add_entry(&archive, &file, "hello");
	add_entry(&archive, &link, NULL);
	add_text(&archive, "d/none", "");
	add_end(&archive);
	assert_ok(file_replace(path, archive.data, archive.size, 0600));
	if (have_tar())
		assert_int_equal(system(command), 0);
	scratch_remove(directory);
}

static void
what_stock_tar_packs_is_read(void **state)
{
	static const char *const formats[] = {"ustar", "gnu", "oldgnu", "pax"};
	char *directory = scratch_make();
	AUTO_FREE char *deep = mem_printf("%0120d", 7);
	AUTO_FREE char *make = mem_printf(
		"cd %s && mkdir -p in/sub && printf hello >in/sub/%.90s && : >in/none && "
		"ln -s /else in/link && printf x >in/%s && chmod 640 in/none in/0* in/sub/* && chmod 700 in in/sub",
		directory, deep, deep);

	(void) state;
	assert_int_equal(system(make), 0);
	for (size_t i = 0; i < lengthof(formats) && have_tar(); i++)
	{
		AUTO_FREE char *path = path_join(directory, "archive");
		bool ustar = strcmp(formats[i], "ustar") == 0;

		/* ustar has no room for a last component of 120 bytes. */
		AUTO_FREE char *command = mem_printf("cd %s/in && tar -cf ../archive --sort=name --format=%s %s .",
		                                     directory, formats[i], ustar ? "--exclude='./000*'" : "");
		AUTO_FREE char *long_entry = mem_printf("%s|f|1|640||1:120;", deep);
		AUTO_FREE char *expected =
			mem_printf(".|d|0|700||0:0;%slink|l|0|777|/else|0:0;none|f|0|640||0:0;sub|d|0|700||0:0;"
		               "sub/%.90s|f|5|640||5:532;",
		               ustar ? "" : long_entry, deep);
		AUTO_BUF(archive, ARCHIVE_MAX);

		print_message("  %s\n", formats[i]);
		assert_int_equal(system(command), 0);
		assert_ok(file_read_all(path, &archive));
		assert_story(&archive, 777, expected);
	}
	scratch_remove(directory);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers_are_read_back_as_they_were_written),
		cmocka_unit_test(what_does_not_fit_into_a_header_is_refused),
		cmocka_unit_test(an_archive_is_read_the_same_at_every_split),
		cmocka_unit_test(a_cut_archive_is_corrupt_wherever_it_is_cut),
		cmocka_unit_test(names_that_leave_the_directory_are_refused),
		cmocka_unit_test(entries_of_other_types_are_refused),
		cmocka_unit_test(every_flipped_bit_of_a_header_is_noticed),
		cmocka_unit_test(bytes_after_the_end_are_refused_but_zeros_are_not),
		cmocka_unit_test(what_says_nothing_has_an_end),
		cmocka_unit_test(extensions_of_posix_and_gnu_are_understood),
		cmocka_unit_test(malformed_extensions_are_corrupt),
		cmocka_unit_test(an_error_of_the_handler_ends_the_reading_with_its_kind),
		cmocka_unit_test(stock_tar_extracts_what_we_write),
		cmocka_unit_test(what_stock_tar_packs_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
