/* Digests and CRC-32C by published vectors, and both ways of computing the CRC. */
#include "walship/base/crypto.h"

#include "crc32c_impl.h"
#include "scratch.h"
#include "walship/base/crc32c.h"
#include "walship/base/strs.h"

static void
assert_digest(const uint8_t digest[SHA256_SIZE], const char *expected)
{
	char text[SHA256_TEXT_SIZE];

	hex_encode(digest, SHA256_SIZE, text);
	assert_string_equal(text, expected);
}

/* FIPS 180-4 and its example values. */
static void
sha256_is_as_published(void **state)
{
	static const struct
	{
		const char *text;
		const char *digest;
	} rows[] = {
		{"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
		{"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
		{"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
	     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(rows); i++)
	{
		uint8_t digest[SHA256_SIZE];

		sha256_of(rows[i].text, strlen(rows[i].text), digest);
		assert_digest(digest, rows[i].digest);
	}
}

static void
sha256_of_a_million_bytes_whatever_the_pieces(void **state)
{
	static const size_t pieces[] = {1, 63, 64, 65, 100000, 1000000};
	const size_t size = 1000000;
	AUTO_FREE char *bytes = mem_alloc(size);

	(void) state;
	memset(bytes, 'a', size);
	for (size_t i = 0; i < lengthof(pieces); i++)
	{
		AUTO(Sha256) sha = sha256_new();
		uint8_t digest[SHA256_SIZE];

		for (size_t at = 0; at < size; at += pieces[i])
			sha256_update(sha, bytes + at, size - at < pieces[i] ? size - at : pieces[i]);
		sha256_final(sha, digest);
		assert_digest(digest, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
	}
}

/* RFC 3720, appendix B.4, and the check value of the catalogue of CRCs. */
static void
crc32c_is_as_published(void **state)
{
	uint8_t zeros[32] = {0};
	uint8_t ones[32];
	uint8_t up[32];
	uint8_t down[32];

	(void) state;
	for (int i = 0; i < 32; i++)
	{
		ones[i] = 0xFF;
		up[i] = (uint8_t) i;
		down[i] = (uint8_t) (31 - i);
	}
	assert_int_equal(crc32c(0, "", 0), 0);
	assert_int_equal(crc32c(0, "123456789", 9), 0xE3069283);
	assert_int_equal(crc32c(0, zeros, 32), 0x8A9136AA);
	assert_int_equal(crc32c(0, ones, 32), 0x62A8AB43);
	assert_int_equal(crc32c(0, up, 32), 0x46DD794E);
	assert_int_equal(crc32c(0, down, 32), 0x113FDB5C);
}

static void
crc32c_goes_on_where_it_stopped(void **state)
{
	const size_t size = 1000;
	AUTO_FREE uint8_t *bytes = scratch_bytes(size, 3);
	uint32_t whole = crc32c(0, bytes, size);

	(void) state;
	for (size_t cut = 0; cut <= size; cut++)
		assert_int_equal(crc32c(crc32c(0, bytes, cut), bytes + cut, size - cut), whole);
}

static uint32_t
crc_bit_by_bit(uint32_t crc, const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
	{
		crc ^= data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ UINT32_C(0x82F63B78) : crc >> 1;
	}
	return crc;
}

static void
tables_instruction_and_definition_agree(void **state)
{
	const size_t size = 10000; /* three lanes of three times, and a rest */
	AUTO_FREE uint8_t *bytes = scratch_bytes(size, 4);
	uint64_t seed = 5;

	(void) state;
	if (!crc32c_has_instruction())
		print_message("  no instruction on this machine: only the tables are compared\n");
	for (int i = 0; i < 3000; i++)
	{
		size_t at = scratch_random(&seed) % size;
		size_t length = scratch_random(&seed) % (i < 1000 ? 33 : size);
		uint32_t begin = (uint32_t) scratch_random(&seed);

		if (length > size - at)
			length = size - at;

		uint32_t expected = crc_bit_by_bit(begin, bytes + at, length);

		assert_int_equal(crc32c_by_tables(begin, bytes + at, length), expected);
		if (crc32c_has_instruction())
			assert_int_equal(crc32c_by_instruction(begin, bytes + at, length), expected);
	}
}

static void
random_bytes_fill_everything_and_differ(void **state)
{
	uint8_t bytes[2][1000];
	size_t zeros = 0;

	(void) state;
	memset(bytes, 0, sizeof(bytes));
	random_bytes(bytes[0], sizeof(bytes[0]));
	random_bytes(bytes[1], sizeof(bytes[1]));
	random_bytes(NULL, 0);
	assert_memory_not_equal(bytes[0], bytes[1], sizeof(bytes[0]));
	for (size_t i = 0; i < sizeof(bytes[0]); i++)
		zeros += bytes[0][i] == 0;
	assert_in_range(zeros, 0, 50);
}

/* RFC 4231, test cases 1, 2 and 6 (a key that is longer than a block). */
static void
hmac_sha256_is_as_published(void **state)
{
	static const char long_key[] = "Test Using Larger Than Block-Size Key - Hash Key First";
	uint8_t key[131];
	uint8_t mac[SHA256_SIZE];

	(void) state;
	memset(key, 0x0b, sizeof(key));
	hmac_sha256(key, 20, "Hi There", 8, mac);
	assert_digest(mac, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
	hmac_sha256("Jefe", 4, "what do ya want for nothing?", 28, mac);
	assert_digest(mac, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	memset(key, 0xaa, sizeof(key));
	hmac_sha256(key, sizeof(key), long_key, strlen(long_key), mac);
	assert_digest(mac, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

/* RFC 1321, in pieces of every size. */
static void
md5_is_as_published(void **state)
{
	static const char text[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

	(void) state;
	for (size_t piece = 1; piece < sizeof(text); piece++)
	{
		AUTO(Md5) md5 = md5_new();
		uint8_t digest[MD5_SIZE];
		char hex[2 * MD5_SIZE + 1];

		if (md5 == NULL)
			skip(); /* this machine's policy has no MD5 */
		for (size_t at = 0; at < sizeof(text) - 1; at += piece)
			md5_update(md5, text + at, sizeof(text) - 1 - at < piece ? sizeof(text) - 1 - at : piece);
		md5_final(md5, digest);
		hex_encode(digest, sizeof(digest), hex);
		assert_string_equal(hex, "d174ab98d277d9f5a5611c2c9f419d9f");
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sha256_is_as_published),
		cmocka_unit_test(hmac_sha256_is_as_published),
		cmocka_unit_test(md5_is_as_published),
		cmocka_unit_test(sha256_of_a_million_bytes_whatever_the_pieces),
		cmocka_unit_test(crc32c_is_as_published),
		cmocka_unit_test(crc32c_goes_on_where_it_stopped),
		cmocka_unit_test(tables_instruction_and_definition_agree),
		cmocka_unit_test(random_bytes_fill_everything_and_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
