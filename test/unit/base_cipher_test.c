/* Key agreement, key derivation and authenticated encryption by the vectors of their RFCs. */
#include "walship/base/crypto.h"

#include "scratch.h"
#include "walship/base/strs.h"

static void
from_hex(const char *hex, void *ret_bytes)
{
	assert_true(hex_decode(hex, ret_bytes, strlen(hex) / 2));
}

static void
assert_hex(const void *bytes, size_t size, const char *expected)
{
	char text[2 * 256 + 1];

	hex_encode(bytes, size, text);
	assert_string_equal(text, expected);
}

/* RFC 7748, sections 5.2 and 6.1. */
static void
x25519_is_as_published(void **state)
{
	static const struct
	{
		const char *scalar;
		const char *point;
		const char *shared;
	} rows[] = {
		{"a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
	     "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
	     "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"},
		{"4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
	     "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
	     "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957"},
		{"77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
	     "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
	     "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"},
	};

	(void) state;
	assert_true(cipher_available());
	for (size_t i = 0; i < lengthof(rows); i++)
	{
		SecretKey scalar;
		SecretKey shared;
		uint8_t point[X25519_SIZE];

		from_hex(rows[i].scalar, scalar.bytes);
		from_hex(rows[i].point, point);
		assert_true(x25519_shared(&scalar, point, &shared));
		assert_hex(shared.bytes, sizeof(shared.bytes), rows[i].shared);
	}
}

static void
x25519_public_keys_are_as_published(void **state)
{
	SecretKey alice;
	uint8_t public_key[X25519_SIZE];

	(void) state;
	from_hex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a", alice.bytes);
	x25519_public(&alice, public_key);
	assert_hex(public_key, sizeof(public_key),
	           "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
}

/* The points of small order on curve and twist (cr.yp.to/ecdh.html), also with the bit that is ignored. */
static void
points_of_low_order_give_no_secret(void **state)
{
	static const char *const points[] = {
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
		"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"0000000000000000000000000000000000000000000000000000000000000080",
		"0100000000000000000000000000000000000000000000000000000000000080",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	};
	SecretKey scalar;

	(void) state;
	from_hex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4", scalar.bytes);
	for (size_t i = 0; i < lengthof(points); i++)
	{
		uint8_t point[X25519_SIZE];
		SecretKey shared;

		from_hex(points[i], point);
		if (x25519_shared(&scalar, point, &shared))
			fail_msg("accepted: %s", points[i]);
	}
}

/* RFC 5869, appendix A: test cases 1 and 3, whose "info" is text or empty. */
static void
hkdf_sha256_is_as_published(void **state)
{
	uint8_t key[22];
	uint8_t salt[13];
	uint8_t out[42];

	(void) state;
	memset(key, 0x0b, sizeof(key));
	from_hex("000102030405060708090a0b0c", salt);
	hkdf_sha256(key, sizeof(key), salt, sizeof(salt), "\xf0\xf1\xf2\xf3\xf4\xf5\xf6\xf7\xf8\xf9", out, 42);
	assert_hex(out, 42,
	           "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
	hkdf_sha256(key, sizeof(key), "", 0, "", out, 42);
	assert_hex(out, 42,
	           "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
}

/* RFC 7914, section 12; scrypt's first 32 bytes do not depend on how many are asked for. */
static void
scrypt_is_as_published(void **state)
{
	SecretKey key;

	(void) state;
	assert_true(scrypt_derive("pleaseletmein", "SodiumChloride", strlen("SodiumChloride"), 14, &key));
	assert_hex(key.bytes, sizeof(key.bytes),
	           "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2");
}

/* RFC 8439, section 2.8.2. Its tag covers additional data, which are not offered here; ours are in age_stream_test. */
static void
the_cipher_is_as_published(void **state)
{
	static const char plain[] =
		"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
		"sunscreen would be it.";
	SecretKey bytes;
	uint8_t nonce[AEAD_NONCE_SIZE];
	uint8_t sealed[sizeof(plain) - 1 + AEAD_TAG_SIZE];

	(void) state;
	from_hex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f", bytes.bytes);
	from_hex("070000004041424344454647", nonce);

	AUTO(Aead) aead = aead_new(&bytes);

	aead_seal(aead, nonce, plain, sizeof(plain) - 1, sealed);
	assert_hex(
		sealed, sizeof(plain) - 1,
		"d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b"
		"1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc"
		"3ff4def08e4b7a9de576d26586cec64b6116");
}

static void
only_what_was_sealed_opens(void **state)
{
	SecretKey key = {{1, 2, 3}};
	SecretKey other_key = {{1, 2, 4}};
	const uint8_t nonce[AEAD_NONCE_SIZE] = {7};
	const uint8_t other_nonce[AEAD_NONCE_SIZE] = {8};
	AUTO(Aead) aead = aead_new(&key);
	AUTO(Aead) other = aead_new(&other_key);

	(void) state;
	for (size_t size = 0; size < 70; size += 23)
	{
		uint8_t plain[70] = {9, 8, 7};
		uint8_t sealed[70 + AEAD_TAG_SIZE];
		uint8_t opened[70];

		aead_seal(aead, nonce, plain, size, sealed);
		assert_true(aead_open(aead, nonce, sealed, size + AEAD_TAG_SIZE, opened));
		assert_memory_equal(opened, plain, size);
		assert_false(aead_open(aead, other_nonce, sealed, size + AEAD_TAG_SIZE, opened));
		assert_false(aead_open(other, nonce, sealed, size + AEAD_TAG_SIZE, opened));
		for (size_t i = 0; i < size + AEAD_TAG_SIZE; i++)
		{
			memset(opened, 0xEE, sizeof(opened));
			sealed[i] ^= 0x10;
			assert_false(aead_open(aead, nonce, sealed, size + AEAD_TAG_SIZE, opened));
			sealed[i] ^= 0x10;
			for (size_t at = 0; at < size; at++)
				assert_int_equal(opened[at], 0); /* not a byte of what failed */
		}
		assert_true(aead_open(aead, nonce, sealed, size + AEAD_TAG_SIZE, opened));
	}
}

static void
secrets_are_cleared_and_compared_whole(void **state)
{
	uint8_t secret[40];

	(void) state;
	memset(secret, 0x5A, sizeof(secret));
	secret_clear(secret + 1, 38);
	assert_int_equal(secret[0], 0x5A);
	assert_int_equal(secret[39], 0x5A);
	for (size_t i = 1; i < 39; i++)
		assert_int_equal(secret[i], 0);
	assert_true(secret_equal("abc", "abc", 3));
	assert_false(secret_equal("abc", "abd", 3));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(x25519_is_as_published),
		cmocka_unit_test(x25519_public_keys_are_as_published),
		cmocka_unit_test(points_of_low_order_give_no_secret),
		cmocka_unit_test(hkdf_sha256_is_as_published),
		cmocka_unit_test(scrypt_is_as_published),
		cmocka_unit_test(the_cipher_is_as_published),
		cmocka_unit_test(only_what_was_sealed_opens),
		cmocka_unit_test(secrets_are_cleared_and_compared_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
