/* Bech32 by the vectors of BIP 173 and the examples of the age specification. */
#include "format.h"

#include "scratch.h"
#include "walship/base/strs.h"

static void
it_is_as_published(void **state)
{
	static const struct
	{
		const char *text;
		const char *prefix;
		size_t size;
		const char *hex;
	} rows[] = {
		{"A12UEL5L", "a", 0, ""},
		{"a12uel5l", "a", 0, ""},
		{"an83characterlonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio1tt5tgs",
	     "an83characterlonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio", 0, ""},
		{"abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw", "abcdef", 20,
	     "00443214c74254b635cf84653a56d7c675be77df"},
		{"split1checkupstagehandshakeupstreamerranterredcaperred2y9e3w", "split", 30,
	     "c5f38b70305f519bf66d85fb6cf03058f3dde463ecd7918f2dc743918f2d"},
		{"?1ezyfcl", "?", 0, ""},
		{"AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX", "age-secret-key-", 32,
	     "4242424242424242424242424242424242424242424242424242424242424242"},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(rows); i++)
	{
		uint8_t bytes[32];
		char hex[65];
		AUTO_FREE char *text = NULL;

		assert_true(bech32_decode(rows[i].text, rows[i].prefix, bytes, rows[i].size));
		hex_encode(bytes, rows[i].size, hex);
		assert_string_equal(hex, rows[i].hex);

		text = bech32_encode(rows[i].prefix, bytes, rows[i].size);
		assert_int_equal(strcasecmp(text, rows[i].text), 0);
	}
}

static void
what_is_not_bech32_is_refused(void **state)
{
	static const struct
	{
		const char *name;
		const char *text;
		const char *prefix;
		size_t size;
	} rows[] = {
		{"both cases", "A12uEL5L", "a", 0},
		{"checksum over an upper-case prefix", "A1G7SGD8", "a", 0},
		{"a character outside the alphabet", "x1b4n0q5v", "x", 0},
		{"a checksum that is too short", "li1dgmt3", "li", 0},
		{"a character outside the alphabet in the checksum", "de1lg7wt\xff", "de", 0},
		{"no separator", "pzry9x0s0muk", "pzry9x0s0muk", 0},
		{"nothing", "", "a", 0},
		{"another prefix", "a12uel5l", "b", 0},
		{"a longer prefix", "a12uel5l", "a1", 0},
		{"another length", "abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw", "abcdef", 19},
		{"one character changed", "abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7qmqqqxw", "abcdef", 20},
		{"two characters swapped", "abcdef1qpzry9x8gf2tvdw0s3jn54khce6mu7almqqqxw", "abcdef", 20},
		{"a blank at the end", "abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw ", "abcdef", 20},
		{"padding that is not zero", "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73epp9g8nq", "age",
	     32},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(rows); i++)
	{
		uint8_t bytes[32];

		if (bech32_decode(rows[i].text, rows[i].prefix, bytes, rows[i].size))
			fail_msg("accepted: %s", rows[i].name);
	}
}

static void
every_length_comes_back(void **state)
{
	uint8_t bytes[70];
	uint8_t back[70];

	(void) state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t) (255 - i * 7);
	for (size_t size = 0; size <= sizeof(bytes); size++)
	{
		AUTO_FREE char *text = bech32_encode("age", bytes, size);

		assert_true(bech32_decode(text, "age", back, size));
		assert_memory_equal(back, bytes, size);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_as_published),
		cmocka_unit_test(what_is_not_bech32_is_refused),
		cmocka_unit_test(every_length_comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
