#include "scratch.h"
#include "walship/base/spool.h"

static void
read_back(const Slice *slice, const uint8_t *expected, size_t size)
{
	AUTO_FREE uint8_t *got = mem_alloc(size + 1);
	size_t n = 0;
	size_t piece;

	for (uint64_t at = 0;; at += piece)
	{
		assert_ok(slice_read(slice, at, got + n, size - n < 77777 ? size - n + 1 : 77777, &piece));
		if (piece == 0)
			break;
		n += piece;
	}
	assert_int_equal(n, size);
	assert_memory_equal(got, expected, size);
}

typedef struct SpoolCase
{
	const char *name;
	size_t size;
	size_t step;
	bool in_file;
} SpoolCase;

static const SpoolCase spool_cases[] = {
	{"nothing", 0, 1, false},
	{"one byte", 1, 1, false},
	{"small writes", 100000, 7, false},
	{"exactly the memory", SPOOL_MEMORY_MAX, 1000003, false},
	{"exactly the memory in one write", SPOOL_MEMORY_MAX, SPOOL_MEMORY_MAX, false},
	{"one byte more", SPOOL_MEMORY_MAX + 1, 1000003, true},
	{"one byte more in one write", SPOOL_MEMORY_MAX + 1, SPOOL_MEMORY_MAX + 1, true},
	{"much more", SPOOL_MEMORY_MAX + 5000000, 65536, true},
};

static void
what_was_written_is_read_back_from_memory_and_from_the_file(void **state)
{
	char *directory = scratch_make();

	(void) state;
	for (size_t i = 0; i < lengthof(spool_cases); i++)
	{
		const SpoolCase *row = &spool_cases[i];
		AUTO(Spool) spool = spool_new(directory);
		AUTO_FREE uint8_t *bytes = scratch_bytes(row->size, i);

		for (size_t at = 0; at < row->size; at += row->step)
			assert_ok(
				spool_write(spool, bytes + at, row->size - at < row->step ? row->size - at : row->step));
		assert_int_equal(spool_size(spool), row->size);

		Slice slice = spool_slice(spool);

		print_message("  %s\n", row->name);
		assert_int_equal(slice.data == NULL && row->size > 0, row->in_file);
		read_back(&slice, bytes, row->size);
	}
	scratch_remove(directory);
}

static void
the_file_has_no_name(void **state)
{
	char *directory = scratch_make();
	AUTO(Spool) spool = spool_new(directory);
	AUTO_FREE uint8_t *bytes = scratch_bytes(SPOOL_MEMORY_MAX, 1);
	AUTO_STRLIST names = {0};

	(void) state;
	assert_ok(spool_write(spool, bytes, SPOOL_MEMORY_MAX));
	assert_ok(spool_write(spool, bytes, 1));
	assert_ok(dir_list(directory, &names));
	assert_int_equal(names.count, 0);
	scratch_remove(directory);
}

static void
a_missing_directory_matters_only_when_memory_does_not_suffice(void **state)
{
	AUTO(Spool) spool = spool_new("/nonexistent/walship");
	AUTO_FREE uint8_t *bytes = scratch_bytes(SPOOL_MEMORY_MAX, 1);

	(void) state;
	assert_ok(spool_write(spool, bytes, SPOOL_MEMORY_MAX));
	assert_error(spool_write(spool, bytes, 1), ERR_SYSTEM, "\"/nonexistent/walship\"");
}

static void
a_slice_of_a_file_that_is_too_short_is_an_error(void **state)
{
	char *directory = scratch_make();
	AUTO_FREE char *path = path_join(directory, "short");
	AUTO_CLOSE int fd = -1;
	char buffer[16];
	size_t got;

	(void) state;
	assert_ok(file_replace(path, "0123456789", 10, 0600));
	assert_ok(file_open_read(path, &fd, NULL));

	Slice whole = {.fd = fd, .offset = 2, .size = 8};
	Slice beyond = {.fd = fd, .offset = 2, .size = 9};

	read_back(&whole, (const uint8_t *) "23456789", 8);
	assert_error(slice_read(&beyond, 0, buffer, sizeof(buffer), &got), ERR_SYSTEM, "too early");
	scratch_remove(directory);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_written_is_read_back_from_memory_and_from_the_file),
		cmocka_unit_test(the_file_has_no_name),
		cmocka_unit_test(a_missing_directory_matters_only_when_memory_does_not_suffice),
		cmocka_unit_test(a_slice_of_a_file_that_is_too_short_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
