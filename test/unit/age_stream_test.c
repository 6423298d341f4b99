/*
 * The age stages against themselves: every size, every split, every changed bit.  Against the program age and the
 * community's vectors: test/integration/test_age.py.
 */
#include "walship/age/age.h"

#include "format.h"
#include "scratch.h"
#include "walship/pipe/stages.h"

#define OUTPUT_MAX  (4u * 1024 * 1024)
#define HEADER_SIZE 168 /* with one public key */
#define PASSPHRASE  "six words drawn at random"

/* The examples of c2sp.org/age. */
#define PUBLIC_TEXT "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"
#define SECRET_TEXT "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"

typedef struct Pair
{
	AgeRecipients *recipients;
	AgeIdentities *identities;
} Pair;

static Error *
add_recipients(AgeRecipients *recipients, const char *text)
{
	return age_recipients_add(recipients, text, strlen(text), "the text");
}

static Error *
add_identities(AgeIdentities *identities, const char *text)
{
	return age_identities_add(identities, text, strlen(text), "the file");
}

static Pair
pair_of_a_key(void)
{
	Pair pair = {age_recipients_new(), age_identities_new()};

	assert_null(add_recipients(pair.recipients, PUBLIC_TEXT));
	assert_null(add_identities(pair.identities, SECRET_TEXT));
	return pair;
}

static void
pair_release(Pair *pair)
{
	age_recipients_free(pair->recipients);
	age_identities_free(pair->identities);
}

#define AUTO_PAIR __attribute__((cleanup(pair_release))) Pair

static void
write_in_steps(Pipe *pipe, const void *data, size_t size, size_t step, Error **ret_error)
{
	for (size_t at = 0; at < size && *ret_error == NULL; at += step)
		*ret_error = pipe_write(pipe, (const char *) data + at, size - at < step ? size - at : step);
}

static void
encrypt(const AgeRecipients *recipients, const void *data, size_t size, size_t step, Buf *into)
{
	AUTO(Pipe) pipe = pipe_new();
	Error *error = NULL;

	age_add_encoder(pipe, recipients);
	pipe_add(pipe, buf_sink_new(into));
	write_in_steps(pipe, data, size, step, &error);
	assert_null(error);
	assert_null(pipe_finish(pipe));
}

static Error *
decrypt(const AgeIdentities *identities, const void *data, size_t size, size_t step, Buf *into)
{
	AUTO(Pipe) pipe = pipe_new();
	Error *error = NULL;

	pipe_add(pipe, age_decoder_new(identities, "the object"));
	pipe_add(pipe, buf_sink_new(into));
	write_in_steps(pipe, data, size, step, &error);
	return error != NULL ? error : pipe_finish(pipe);
}

static void
every_size_comes_back_whatever_the_steps(void **state)
{
	static const size_t sizes[] = {0,
	                               1,
	                               AGE_CHUNK_SIZE - 1,
	                               AGE_CHUNK_SIZE,
	                               AGE_CHUNK_SIZE + 1,
	                               3 * AGE_CHUNK_SIZE,
	                               3 * AGE_CHUNK_SIZE + 7};
	static const size_t steps[] = {1, 1000, AGE_CHUNK_SIZE, AGE_CHUNK_SIZE + AEAD_TAG_SIZE, OUTPUT_MAX};
	AUTO_PAIR pair = pair_of_a_key();
	AUTO_FREE uint8_t *plain = mem_alloc(sizes[lengthof(sizes) - 1]);

	(void) state;
	for (size_t i = 0; i < sizes[lengthof(sizes) - 1]; i++)
		plain[i] = (uint8_t) (i * 31 + i / 251);
	for (size_t i = 0; i < lengthof(sizes); i++)
	{
		for (size_t j = 0; j < lengthof(steps); j++)
		{
			AUTO_BUF(sealed, OUTPUT_MAX);
			AUTO_BUF(opened, OUTPUT_MAX);
			size_t chunks = sizes[i] == 0 ? 1 : (sizes[i] + AGE_CHUNK_SIZE - 1) / AGE_CHUNK_SIZE;

			encrypt(pair.recipients, plain, sizes[i], steps[j], &sealed);
			assert_int_equal(sealed.size, HEADER_SIZE + AGE_NONCE_SIZE + sizes[i] + chunks * AEAD_TAG_SIZE);
			assert_null(
				decrypt(pair.identities, sealed.data, sealed.size, steps[lengthof(steps) - 1 - j], &opened));
			assert_int_equal(opened.size, sizes[i]);
			assert_memory_equal(opened.size > 0 ? opened.data : "", plain, sizes[i]);
		}
	}
}

static void
the_same_bytes_are_never_encrypted_alike(void **state)
{
	AUTO_PAIR pair = pair_of_a_key();
	AUTO_BUF(one, OUTPUT_MAX);
	AUTO_BUF(two, OUTPUT_MAX);

	(void) state;
	encrypt(pair.recipients, "abc", 3, 3, &one);
	encrypt(pair.recipients, "abc", 3, 3, &two);
	assert_int_equal(one.size, two.size);
	assert_memory_not_equal(one.data, two.data, one.size);
	assert_memory_not_equal(one.data + one.size - 19, two.data + two.size - 19, 19);
}

static void
no_bit_of_a_file_can_be_changed(void **state)
{
	AUTO_PAIR pair = pair_of_a_key();
	AUTO_BUF(sealed, OUTPUT_MAX);

	(void) state;
	encrypt(pair.recipients, "WAL", 3, 3, &sealed);
	for (size_t bit = 0; bit < sealed.size * 8; bit++)
	{
		AUTO_BUF(opened, OUTPUT_MAX);

		sealed.data[bit / 8] ^= (char) (1 << bit % 8);

		Error *error = decrypt(pair.identities, sealed.data, sealed.size, OUTPUT_MAX, &opened);

		sealed.data[bit / 8] ^= (char) (1 << bit % 8);
		if (error == NULL)
			fail_msg("bit %zu may be changed", bit);
		if (!error_is(error, ERR_CORRUPT) && !error_is(error, ERR_DENIED))
			fail_msg("bit %zu: %s", bit, error_message(error));
		assert_int_equal(opened.size, 0);
		error_free(error);
	}
}

static void
a_file_that_is_cut_off_is_noticed_at_every_length(void **state)
{
	AUTO_PAIR pair = pair_of_a_key();
	AUTO_BUF(sealed, OUTPUT_MAX);
	AUTO_FREE char *plain = mem_zalloc(2 * AGE_CHUNK_SIZE);

	(void) state;
	encrypt(pair.recipients, plain, 2 * AGE_CHUNK_SIZE, OUTPUT_MAX, &sealed);
	for (size_t size = 0; size < sealed.size; size += size < 400 || size > sealed.size - 40 ? 1 : 997)
	{
		AUTO_BUF(opened, OUTPUT_MAX);
		Error *error = decrypt(pair.identities, sealed.data, size, OUTPUT_MAX, &opened);

		if (!error_is(error, ERR_CORRUPT))
			fail_msg("cut to %zu bytes: %s", size, error == NULL ? "accepted" : error_message(error));
		assert_true(opened.size % AGE_CHUNK_SIZE == 0);
		error_free(error);
	}
}

/* Offsets of the chunks of a file of three. */
typedef struct Chunks
{
	size_t start;
	size_t size;
} Chunks;

static void
chunks_have_their_places(void **state)
{
	static const struct
	{
		const char *name;
		int order[5]; /* -1 ends it */
		const char *message;
		size_t released; /* whole chunks before the wrong one */
	} rows[] = {
		{"as they are", {0, 1, 2, -1}, NULL, 3},
		{"without the last", {0, 1, -1}, "it is cut off after chunk 2", 1},
		{"without the second", {0, 2, -1}, "chunk 2 was changed, or is cut off", 1},
		{"the last one alone", {2, -1}, "chunk 1 was changed, or is cut off", 0},
		{"first and second swapped", {1, 0, 2, -1}, "chunk 1 was changed, or is not in its place", 0},
		{"the second one twice", {0, 1, 1, 2, -1}, "chunk 3 was changed, or is not in its place", 2},
		{"the last one twice", {0, 1, 2, 2, -1}, "bytes follow its last chunk", 2},
		{"nothing", {-1}, "it is cut off in chunk 1", 0},
	};
	AUTO_PAIR pair = pair_of_a_key();
	AUTO_BUF(sealed, OUTPUT_MAX);
	AUTO_FREE char *plain = mem_zalloc(3 * AGE_CHUNK_SIZE);
	size_t chunk = AGE_CHUNK_SIZE + AEAD_TAG_SIZE;

	(void) state;
	encrypt(pair.recipients, plain, 3 * AGE_CHUNK_SIZE, OUTPUT_MAX, &sealed);
	for (size_t i = 0; i < lengthof(rows); i++)
	{
		AUTO_BUF(made, OUTPUT_MAX);
		AUTO_BUF(opened, OUTPUT_MAX);
		size_t start = sealed.size - 3 * chunk;

		buf_append(&made, sealed.data, start);
		for (const int *next = rows[i].order; *next >= 0; next++)
			buf_append(&made, sealed.data + start + (size_t) *next * chunk, chunk);

		AUTO(Error) error = decrypt(pair.identities, made.data, made.size, 1000, &opened);

		assert_int_equal(opened.size, rows[i].released * AGE_CHUNK_SIZE);
		if (rows[i].message == NULL)
			assert_null(error);
		else if (error == NULL || strstr(error_message(error), rows[i].message) == NULL)
			fail_msg("%s: %s", rows[i].name, error == NULL ? "accepted" : error_message(error));
	}
}

/* What a header may look like; "%s" is the line of a good stanza's body. */
static void
a_malformed_header_is_refused_with_its_reason(void **state)
{
#define V1   "age-encryption.org/v1\n"
#define X    "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n"
#define BODY "hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE\n"
#define MAC  "--- WyJp9F/9FOZh7gJdheq2WIJcwHgYc8NIVh3ddwhrcNg\n"
#define SALT "rF0/NwblUHHTpgQgRpe5CQ"
	static const struct
	{
		const char *header;
		const char *message;
	} rows[] = {
		{"", "it does not begin with"},
		{"PK\x03\x04", "it does not begin with"},
		{"\n", "it does not begin with"},
		{"-----BEGIN AGE ENCRYPTED FILE-----\n", "ASCII armor"},
		{"age-encryption.org/v2\n" X BODY MAC, "version of age that is not known"},
		{"age-encryption.org/v1\r\n" X BODY MAC, "version of age that is not known"},
		{V1 MAC, "names no recipient"},
		{V1 X BODY, "cut off in its header"},
		{V1 X BODY "---\n", "its last line is not"},
		{V1 X BODY "--- WyJp9F\n", "its last line is not"},
		{V1 "-> \n" BODY MAC, "stanza 1 has an empty argument"},
		{V1 "->\n" BODY MAC, "stanza 1 has no arguments"},
		{V1 "->X25519\n" BODY MAC, "stanza 1 does not begin with"},
		{V1 "-> a  b\n" BODY MAC, "stanza 1 has an empty argument"},
		{V1 "-> a\tb\n" BODY MAC, "stanza 1 has a character"},
		{V1 X BODY "-> grease\n=\n" MAC, "the body of stanza 2 is not canonical base64"},
		{V1 X "hjab=\n" MAC, "the body of stanza 1 is not canonical base64"},
		{V1 X "AAAA\n" MAC, "the body of stanza 1 has 3 bytes instead of 32"},
		{V1 X MAC, "stanza 1 is not canonical base64"},
		{V1 "-> X25519\n" BODY MAC, "stanza 1 (X25519) has 1 arguments instead of 2"},
		{V1 "-> X25519 AAAA\n" BODY MAC, "the share of stanza 1 (X25519)"},
		{V1 "-> scrypt " SALT " 10\n" BODY X BODY MAC, "(scrypt) is not alone"},
		{V1 "-> scrypt " SALT " 010\n" BODY MAC, "the work factor of stanza 1 (scrypt) is not a number"},
		{V1 "-> scrypt " SALT " 21\n" BODY MAC, "the work factor of stanza 1 (scrypt) is above 20"},
		{V1 "-> scrypt " SALT " 99999999999999999999\n" BODY MAC, "is above 20"},
		{V1 "-> scrypt AAAA 10\n" BODY MAC, "the salt of stanza 1"},
		{V1 "nonsense\n" MAC, "a line is neither a stanza nor the last one"},
	};
	AUTO_PAIR pair = pair_of_a_key();

	(void) state;
	for (size_t i = 0; i < lengthof(rows); i++)
	{
		AUTO_BUF(opened, OUTPUT_MAX);
		AUTO(Error)
		error = decrypt(pair.identities, rows[i].header, strlen(rows[i].header), 1 + i % 7, &opened);

		if (!error_is(error, ERR_CORRUPT) || strstr(error_message(error), rows[i].message) == NULL)
			fail_msg("row %zu: %s instead of \"%s\"", i, error == NULL ? "accepted" : error_message(error),
			         rows[i].message);
	}
}

static void
append_many(Buf *into, const char *text, size_t times)
{
	for (size_t i = 0; i < times; i++)
		buf_puts(into, text);
}

static void
a_header_has_limits(void **state)
{
	AUTO_PAIR pair = pair_of_a_key();

	(void) state;
	for (int kind = 0; kind < 3; kind++)
	{
		static const char *const messages[] = {"more than 256 stanzas", "a line of more than 8192 bytes",
		                                       "more than 131072 bytes"};
		AUTO_BUF(text, OUTPUT_MAX);
		AUTO_BUF(opened, OUTPUT_MAX);

		buf_puts(&text, V1);
		if (kind == 0)
			append_many(&text, "-> g\n\n", 257);
		else if (kind == 1)
			append_many(&text, "-> gggggg", 1000);
		else
			append_many(&text, X BODY, 2000);
		buf_puts(&text, MAC);

		AUTO(Error) error = decrypt(pair.identities, text.data, text.size, 777, &opened);

		assert_true(error_is(error, ERR_CORRUPT));
		assert_non_null(strstr(error_message(error), messages[kind]));
	}
}

static void
stanzas_of_other_kinds_are_left_alone(void **state)
{
	AUTO_PAIR pair = pair_of_a_key();
	AUTO_AGE_FILE_KEY key = {{1, 2, 3}};
	AUTO_AGE_HEADER header = {0};
	AUTO_BUF(printed, OUTPUT_MAX);
	AUTO_BUF(text, OUTPUT_MAX);
	AUTO_AGE_HEADER parsed = {0};
	AUTO_AGE_FILE_KEY unwrapped;

	(void) state;
	assert_null(age_wrap(pair.recipients, &key, &header));
	age_header_print(&header, &key, &printed);
	buf_puts(&text, V1 "-> grease-x a b c d\n\n-> ssh-ed25519 AA BB\n" BODY);
	buf_puts(&text, printed.data + strlen(V1));
	assert_null(age_header_parse(text.data, text.size, &parsed));
	assert_int_equal(parsed.n_stanzas, 3);
	assert_null(age_unwrap(pair.identities, &parsed, &unwrapped));
	assert_memory_equal(unwrapped.bytes, key.bytes, sizeof(key.bytes));
	assert_false(
		age_header_is_authentic(&parsed, text.data, &unwrapped)); /* they were put in without the key */
}

static void
one_of_several_keys_is_enough(void **state)
{
	AUTO(AgeRecipients) recipients = age_recipients_new();
	char *secrets[AGE_RECIPIENTS_MAX];
	AUTO_BUF(sealed, OUTPUT_MAX);

	(void) state;
	for (int i = 0; i < AGE_RECIPIENTS_MAX; i++)
	{
		AUTO_FREE char *public_key = NULL;

		age_generate(&secrets[i], &public_key);
		assert_null(add_recipients(recipients, public_key));
	}
	encrypt(recipients, "abc", 3, 3, &sealed);
	for (int i = 0; i < AGE_RECIPIENTS_MAX; i++)
	{
		AUTO(AgeIdentities) identities = age_identities_new();
		AUTO_BUF(opened, OUTPUT_MAX);

		assert_null(add_identities(identities, SECRET_TEXT)); /* one that does not fit comes first */
		assert_null(add_identities(identities, secrets[i]));
		assert_null(decrypt(identities, sealed.data, sealed.size, 10, &opened));
		assert_string_equal(opened.data, "abc");
		assert_true(age_identities_open(identities, age_recipients_fingerprints(recipients)));
		secret_free(secrets[i]);
	}
}

static void
a_wrong_key_is_denied_and_says_for_whom(void **state)
{
	AUTO_PAIR pair = pair_of_a_key();
	AUTO(AgeIdentities) none = age_identities_new();
	AUTO(AgeIdentities) others = age_identities_new();
	AUTO_FREE char *secret = NULL;
	AUTO_FREE char *public_key = NULL;
	AUTO_BUF(sealed, OUTPUT_MAX);

	(void) state;
	age_generate(&secret, &public_key);
	assert_null(add_identities(others, secret));
	encrypt(pair.recipients, "abc", 3, 3, &sealed);

	const AgeIdentities *wrong[] = {none, others};

	for (size_t i = 0; i < lengthof(wrong); i++)
	{
		AUTO_BUF(opened, OUTPUT_MAX);
		AUTO(Error) error = decrypt(wrong[i], sealed.data, sealed.size, 10, &opened);
		AUTO(Error) before = age_check_identities(wrong[i], "age1zvkyg2lqzraa2lnj", "object \"x\"");

		assert_true(error_is(error, ERR_DENIED));
		assert_true(error_is(before, ERR_DENIED));
		assert_non_null(strstr(error_message(before), "object \"x\" is encrypted for age1zvkyg2lqzraa2lnj"));
		assert_int_equal(opened.size, 0);
	}
	assert_null(age_check_identities(pair.identities, "age1aaaaaaaaaaaaaaaa, age1zvkyg2lqzraa2lnj", "it"));
	assert_null(age_check_identities(NULL, "", "it"));

	AUTO(Error) nothing = age_check_identities(NULL, "passphrase", "it");

	assert_true(error_is(nothing, ERR_DENIED));
	assert_non_null(strstr(error_message(nothing), "with a passphrase"));
}

static void
a_passphrase_encrypts_alone(void **state)
{
	AUTO(AgeRecipients) recipients = age_recipients_new();
	AUTO(AgeIdentities) identities = age_identities_new();
	AUTO(AgeIdentities) others = age_identities_new();
	AUTO_BUF(sealed, OUTPUT_MAX);
	AUTO_BUF(opened, OUTPUT_MAX);
	AUTO_BUF(unopened, OUTPUT_MAX);

	(void) state;
	assert_null(age_recipients_set_passphrase(recipients, PASSPHRASE));
	assert_string_equal(age_recipients_fingerprints(recipients), "passphrase");
	encrypt(recipients, "abc", 3, 1, &sealed);

	age_identities_set_passphrase(identities, PASSPHRASE);
	assert_true(age_identities_open(identities, "passphrase"));
	assert_null(decrypt(identities, sealed.data, sealed.size, 10, &opened));
	assert_string_equal(opened.data, "abc");

	age_identities_set_passphrase(others, PASSPHRASE "s");

	AUTO(Error) error = decrypt(others, sealed.data, sealed.size, 10, &unopened);

	assert_true(error_is(error, ERR_DENIED));
	assert_non_null(strstr(error_message(error), "the passphrase is not the one"));
}

static void
recipients_are_read_as_people_write_them(void **state)
{
	AUTO(AgeRecipients) recipients = age_recipients_new();

	(void) state;
	assert_null(
		add_recipients(recipients, "# ours\r\n  " PUBLIC_TEXT ",\t" PUBLIC_TEXT "\n\n#" PUBLIC_TEXT "\n"));
	assert_int_equal(age_recipients_count(recipients), 1);
	assert_string_equal(age_recipients_fingerprints(recipients), "age1zvkyg2lqzraa2lnj");
	assert_null(add_recipients(recipients, "# only a comment"));
	assert_null(add_recipients(recipients, ""));
	assert_int_equal(age_recipients_count(recipients), 1);
}

static void
what_is_no_recipient_is_refused(void **state)
{
	static const struct
	{
		const char *text;
		const char *message;
	} rows[] = {
		{"hunter2hunter2", "the text, line 1: not a public key of age"},
		{"\n" SECRET_TEXT, "the text, line 2: that is a secret key"},
		{"ssh-ed25519 AAAA", "line 1: SSH keys are not supported"},
		{"age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwk",
	     "is not a public key of age (X25519)"},
		{"age1zvkyg2lqzraa2lnj", "is not a public key of age (X25519)"},
		{"AGE1ZVKYG2LQZRAA2LNJVQEJ32NKUU0UES2S82HZRYE869XEEXVN73EQUNUJWJ", "not a public key of age"},
		{"age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq5cu47z", "is no key"},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(rows); i++)
	{
		AUTO(AgeRecipients) recipients = age_recipients_new();
		AUTO(Error) error = add_recipients(recipients, rows[i].text);

		if (!error_is(error, ERR_USAGE) || strstr(error_message(error), rows[i].message) == NULL)
			fail_msg("row %zu: %s", i, error == NULL ? "accepted" : error_message(error));
		assert_null(strstr(error_message(error), "GFPYY"));
		assert_null(strstr(error_message(error), "hunter2"));
	}
}

static void
what_is_no_identity_is_refused_and_never_quoted(void **state)
{
	static const struct
	{
		const char *text;
		const char *message;
	} rows[] = {
		{"", "the file holds no key"},
		{"# created\n# public key: " PUBLIC_TEXT "\n", "the file holds no key"},
		{"# x\n" PUBLIC_TEXT "\n", "the file, line 2: that is a public key"},
		{"age-encryption.org/v1\n-> scrypt", "the file, line 1: the file is encrypted itself"},
		{"-----BEGIN OPENSSH PRIVATE KEY-----\n", "are not supported"},
		{SECRET_TEXT "\nAGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYY\n", "the file, line 2: not a secret key"},
		{"GFPYYSJZGFPYY\n", "the file, line 1: not a secret key"},
		{"age-secret-key-1gfpyysjzgfpyysjzgfpyysjzgfpyysjzgfpyysjzgfpyysjzgfpq4egaex",
	     "line 1: not a secret key"},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(rows); i++)
	{
		AUTO(AgeIdentities) identities = age_identities_new();
		AUTO(Error) error = add_identities(identities, rows[i].text);

		if (!error_is(error, ERR_USAGE) || strstr(error_message(error), rows[i].message) == NULL)
			fail_msg("row %zu: %s", i, error == NULL ? "accepted" : error_message(error));
		assert_null(strstr(error_message(error), "GFPYY"));
		assert_null(strstr(error_message(error), "gfpyy"));
	}
}

static void
an_identity_file_may_hold_several_keys_and_comments(void **state)
{
	AUTO(AgeIdentities) identities = age_identities_new();
	AUTO_FREE char *secret = NULL;
	AUTO_FREE char *public_key = NULL;
	AUTO_FREE char *text = NULL;

	(void) state;
	age_generate(&secret, &public_key);
	text = mem_printf("# created: 2026-11-21\r\n# public key: x\r\n%s\r\n\n%s", SECRET_TEXT, secret);
	assert_null(add_identities(identities, text));
	assert_int_equal(age_identities_count(identities), 2);
	assert_string_equal(age_identities_public(identities, 0), PUBLIC_TEXT);
	assert_string_equal(age_identities_public(identities, 1), public_key);
}

static void
there_may_be_so_many_recipients_and_no_more(void **state)
{
	AUTO(AgeRecipients) recipients = age_recipients_new();
	Error *error = NULL;

	(void) state;
	for (int i = 0; i <= AGE_RECIPIENTS_MAX; i++)
	{
		AUTO_FREE char *secret = NULL;
		AUTO_FREE char *public_key = NULL;

		assert_null(error);
		age_generate(&secret, &public_key);
		error = add_recipients(recipients, public_key);
	}
	assert_true(error_is(error, ERR_USAGE));
	assert_int_equal(strlen(age_recipients_fingerprints(recipients)) + 1, AGE_FINGERPRINTS_SIZE - 2);
	error_free(error);
}

static void
keys_and_a_passphrase_are_not_mixed(void **state)
{
	AUTO_PAIR pair = pair_of_a_key();
	AUTO(AgeRecipients) recipients = age_recipients_new();
	AUTO(Error) both = age_recipients_set_passphrase(pair.recipients, PASSPHRASE);
	AUTO(Error) shorter = age_recipients_set_passphrase(recipients, "hunter2");

	(void) state;
	assert_true(error_is(both, ERR_USAGE));
	assert_true(error_is(shorter, ERR_USAGE));
	assert_null(strstr(error_message(shorter), "hunter2"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_size_comes_back_whatever_the_steps),
		cmocka_unit_test(the_same_bytes_are_never_encrypted_alike),
		cmocka_unit_test(no_bit_of_a_file_can_be_changed),
		cmocka_unit_test(a_file_that_is_cut_off_is_noticed_at_every_length),
		cmocka_unit_test(chunks_have_their_places),
		cmocka_unit_test(a_malformed_header_is_refused_with_its_reason),
		cmocka_unit_test(a_header_has_limits),
		cmocka_unit_test(stanzas_of_other_kinds_are_left_alone),
		cmocka_unit_test(one_of_several_keys_is_enough),
		cmocka_unit_test(a_wrong_key_is_denied_and_says_for_whom),
		cmocka_unit_test(a_passphrase_encrypts_alone),
		cmocka_unit_test(recipients_are_read_as_people_write_them),
		cmocka_unit_test(what_is_no_recipient_is_refused),
		cmocka_unit_test(what_is_no_identity_is_refused_and_never_quoted),
		cmocka_unit_test(an_identity_file_may_hold_several_keys_and_comments),
		cmocka_unit_test(there_may_be_so_many_recipients_and_no_more),
		cmocka_unit_test(keys_and_a_passphrase_are_not_mixed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
