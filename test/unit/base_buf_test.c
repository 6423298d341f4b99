/* A buffer that grows up to its cap. */
#include "walship/base/buf.h"

#include "scratch.h"

static void
whatever_the_steps_the_bytes_are_there_and_end_with_nul(void **state)
{
	static const size_t steps[] = {1, 3, 255, 256, 257, 5000};
	const size_t size = 20000;
	AUTO_FREE uint8_t *bytes = scratch_bytes(size, 1);

	(void) state;
	for (size_t i = 0; i < lengthof(steps); i++)
	{
		AUTO_BUF(buf, size);

		for (size_t at = 0; at < size; at += steps[i])
		{
			buf_append(&buf, bytes + at, size - at < steps[i] ? size - at : steps[i]);
			assert_int_equal(buf.data[buf.size], 0);
		}
		assert_false(buf.overflowed);
		assert_int_equal(buf.size, size);
		assert_memory_equal(buf.data, bytes, size);
	}
}

static void
what_would_pass_the_cap_is_left_out_and_said(void **state)
{
	static const struct
	{
		const char *name;
		size_t cap;
		size_t first;
		size_t second;
		size_t expected;
		bool overflowed;
	} rows[] = {
		{"nothing fits into nothing", 0, 0, 0, 0, false},
		{"a byte does not fit into nothing", 0, 1, 0, 0, true},
		{"exactly full", 10, 4, 6, 10, false},
		{"one too many", 10, 4, 7, 4, true},
		{"once over, always over", 10, 11, 1, 0, true},
		{"full at the first growth", 256, 256, 0, 256, false},
		{"over after growth", 300, 256, 45, 256, true},
	};
	static const char bytes[512];

	(void) state;
	for (size_t i = 0; i < lengthof(rows); i++)
	{
		AUTO_BUF(buf, rows[i].cap);

		print_message("  %s\n", rows[i].name);
		buf_append(&buf, bytes, rows[i].first);
		buf_append(&buf, bytes, rows[i].second);
		assert_int_equal(buf.size, rows[i].expected);
		assert_int_equal(buf.overflowed, rows[i].overflowed);
	}
}

static void
a_cap_of_all_memory_is_no_trap(void **state)
{
	AUTO_BUF(buf, SIZE_MAX);

	(void) state;
	for (int i = 0; i < 1000; i++)
		buf_puts(&buf, "0123456789");
	assert_int_equal(buf.size, 10000);
	assert_int_equal(strlen(buf.data), 10000);
	buf_append(&buf, buf.data, SIZE_MAX - buf.size);
	assert_true(buf.overflowed);
}

static void
clearing_makes_an_overflowed_buffer_usable_again(void **state)
{
	AUTO_BUF(buf, 4);

	(void) state;
	buf_clear(&buf);
	assert_null(buf.data);
	buf_puts(&buf, "12345");
	assert_true(buf.overflowed);
	buf_clear(&buf);
	assert_false(buf.overflowed);
	buf_printf(&buf, "%03d%c", 7, '!');
	assert_string_equal(buf.data, "007!");
	buf_putc(&buf, 'x');
	assert_true(buf.overflowed);
	assert_string_equal(buf.data, "007!");
}

static void
stolen_contents_are_a_string_and_leave_an_empty_buffer_with_its_cap(void **state)
{
	AUTO_BUF(buf, 8);
	AUTO_FREE char *nothing = buf_steal(&buf);

	(void) state;
	assert_string_equal(nothing, "");
	buf_puts(&buf, "abc");
	AUTO_FREE char *something = buf_steal(&buf);

	assert_string_equal(something, "abc");
	assert_int_equal(buf.size, 0);
	assert_int_equal(buf.cap, 8);
	buf_puts(&buf, "again");
	assert_string_equal(buf.data, "again");
}

static void
an_empty_piece_makes_an_empty_string(void **state)
{
	AUTO_BUF(buf, 8);

	(void) state;
	buf_append(&buf, NULL, 0);
	assert_string_equal(buf.data, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whatever_the_steps_the_bytes_are_there_and_end_with_nul),
		cmocka_unit_test(what_would_pass_the_cap_is_left_out_and_said),
		cmocka_unit_test(a_cap_of_all_memory_is_no_trap),
		cmocka_unit_test(clearing_makes_an_overflowed_buffer_usable_again),
		cmocka_unit_test(stolen_contents_are_a_string_and_leave_an_empty_buffer_with_its_cap),
		cmocka_unit_test(an_empty_piece_makes_an_empty_string),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
