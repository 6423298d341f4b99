/* Base64 by RFC 4648, and the texts that its strict reader refuses. */
#include "format.h"
#include "scratch.h"

/* RFC 4648, section 10. */
static const char *const vectors[][2] = {
	{"", ""},
	{"f", "Zg=="},
	{"fo", "Zm8="},
	{"foo", "Zm9v"},
	{"foob", "Zm9vYg=="},
	{"fooba", "Zm9vYmE="},
	{"foobar", "Zm9vYmFy"},
	{"\xfb\xff", "+/8="},
};

static void
it_is_as_published(void **state)
{
	(void) state;
	for (size_t i = 0; i < lengthof(vectors); i++)
	{
		size_t size = strlen(vectors[i][0]);
		size_t raw_length = strcspn(vectors[i][1], "=");
		char text[BASE64_TEXT_SIZE(6)];
		char raw[BASE64_TEXT_SIZE(6)];
		uint8_t bytes[6];
		size_t decoded = 99;

		base64_encode(vectors[i][0], size, text);
		assert_string_equal(text, vectors[i][1]);
		assert_true(strlen(text) < BASE64_TEXT_SIZE(size));

		age_base64_encode(vectors[i][0], size, raw);
		assert_int_equal(strlen(raw), raw_length);
		assert_memory_equal(raw, vectors[i][1], raw_length);

		assert_true(age_base64_decode(raw, raw_length, bytes, &decoded));
		assert_int_equal(decoded, size);
		assert_memory_equal(bytes, vectors[i][0], size);
	}
}

static void
every_byte_comes_back_at_every_length(void **state)
{
	uint8_t bytes[256];
	uint8_t back[256];
	char text[BASE64_TEXT_SIZE(256)];
	size_t size;

	(void) state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t) (i * 167 + 13);
	for (size_t length = 0; length <= sizeof(bytes); length++)
	{
		age_base64_encode(bytes, length, text);
		assert_true(age_base64_decode(text, strlen(text), back, &size));
		assert_int_equal(size, length);
		assert_memory_equal(back, bytes, length);
	}
}

static void
the_reader_refuses_what_the_writer_does_not_write(void **state)
{
	static const char *const rows[] = {
		"Zg==", "Zm8=", "Z",     "Zm9vY", "Zh", /* bits that are left over, not zero */
		"Zm9",  "Zm 8", "Zm8\n", "Zm-v",  "Zm_v", "Zm\xe9v", "=",
	};

	(void) state;
	for (size_t i = 0; i < lengthof(rows); i++)
	{
		uint8_t bytes[8];
		size_t size;

		if (age_base64_decode(rows[i], strlen(rows[i]), bytes, &size))
			fail_msg("\"%s\" was accepted", rows[i]);
	}
	assert_false(age_base64_decode("Zm\0v", 4, (uint8_t[8]){0}, &(size_t){0}));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_as_published),
		cmocka_unit_test(every_byte_comes_back_at_every_length),
		cmocka_unit_test(the_reader_refuses_what_the_writer_does_not_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
