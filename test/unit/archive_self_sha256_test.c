/* Seals: what was printed is recognised, and every flipped bit is noticed. */
#include "scratch.h"

#include <string.h>

#include "walship/archive/self_sha256.h"
#include "walship/base/json.h"

static void
a_sealed_object_is_recognised_and_stays_json(void **state)
{
	static const char *const texts[] = {"{\"a\":1}\n", "{\n\t\"a\":\t\"}\",\n\t\"b\":\t[1]\n}\n"};

	(void) state;
	for (size_t i = 0; i < lengthof(texts); i++)
	{
		AUTO_BUF(text, 1024);
		AUTO(Json) json = NULL;
		const char *seal;

		buf_puts(&text, texts[i]);
		self_sha256_append(&text);
		assert_in_range(text.size, strlen(texts[i]), strlen(texts[i]) + SELF_SHA256_TEXT_SIZE);
		assert_ok(self_sha256_check(text.data, text.size, "it"));
		assert_ok(json_parse(text.data, text.size, "it", &json));
		assert_ok(json_get_string(json, "seal", &seal));
		assert_int_equal(strlen(seal), 64);
	}
}

static void
every_flipped_bit_before_the_end_is_noticed(void **state)
{
	AUTO_BUF(text, 1024);

	(void) state;
	buf_puts(&text, "{\"timeline\":1,\"stop_lsn\":\"0/6000100\"}\n");
	self_sha256_append(&text);
	for (size_t i = 0; i < (text.size - 1) * 8; i++)
	{
		text.data[i / 8] ^= (char) (1 << i % 8);
		assert_error(self_sha256_check(text.data, text.size, "it"), ERR_CORRUPT, "it ");
		text.data[i / 8] ^= (char) (1 << i % 8);
	}
}

static void
what_is_cut_short_or_has_no_seal_is_refused(void **state)
{
	AUTO_BUF(text, 1024);

	(void) state;
	buf_puts(&text, "{\"a\":1}\n");
	assert_error(self_sha256_check(text.data, text.size, "it"), ERR_CORRUPT, "no seal");
	self_sha256_append(&text);
	for (size_t size = 0; size < text.size - 1; size++)
		assert_error(self_sha256_check(text.data, size, "it"), ERR_CORRUPT, "it has no seal");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sealed_object_is_recognised_and_stays_json),
		cmocka_unit_test(every_flipped_bit_before_the_end_is_noticed),
		cmocka_unit_test(what_is_cut_short_or_has_no_seal_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
