/*
 * An age file: as it comes (first byte even), or one of our own that was changed (odd): at a place, by a mask, and cut.
 * What is changed does not decrypt, and what passes is a beginning of what was encrypted.
 */
#include <string.h>

#include "fuzz.h"
#include "walship/age/age.h"
#include "walship/base/mem.h"
#include "walship/pipe/stages.h"

#define OUTPUT_MAX (8u * 1024 * 1024)
#define CHUNK      (64u * 1024)

/* Of the vectors in test/data/age_testkit, so that they make a corpus. */
#define SECRET_TEXT "AGE-SECRET-KEY-1EGTZVFFV20835NWYV6270LXYVK2VKNX2MMDKWYKLMGR48UAWX40Q2P2LM0"

static AgeIdentities *
the_identities(void)
{
	AgeIdentities *identities = age_identities_new();

	must(age_identities_add(identities, SECRET_TEXT, strlen(SECRET_TEXT), "the key") == NULL);
	return identities;
}

static bool
decrypts(const AgeIdentities *identities, const uint8_t *data, size_t size, size_t step, Buf *into)
{
	AUTO(Pipe) pipe = pipe_new();
	Error *error = NULL;

	pipe_add(pipe, age_decoder_new(identities, "the file"));
	pipe_add(pipe, buf_sink_new(into));
	for (size_t at = 0; at < size && error == NULL; at += step)
		error = pipe_write(pipe, data + at, size - at < step ? size - at : step);
	if (error == NULL)
		error = pipe_finish(pipe);
	must(error == NULL || error_is(error, ERR_CORRUPT) || error_is(error, ERR_DENIED));

	bool decrypted = error == NULL;

	error_free(error);
	return decrypted;
}

/* The same verdict whatever the steps. */
static void
read_as_it_is(const AgeIdentities *identities, const uint8_t *data, size_t size)
{
	AUTO_BUF(whole, OUTPUT_MAX);
	AUTO_BUF(bytes, OUTPUT_MAX);

	must(decrypts(identities, data, size, size + 1, &whole) == decrypts(identities, data, size, 3, &bytes));
	must(whole.size == bytes.size && (whole.size == 0 || memcmp(whole.data, bytes.data, whole.size) == 0));
}

static void
encrypt(const AgeIdentities *identities, const Buf *plain, Buf *into)
{
	AUTO(AgeRecipients) recipients = age_recipients_new();
	AUTO(Pipe) pipe = pipe_new();
	const char *text = age_identities_public(identities, 0);

	must(age_recipients_add(recipients, text, strlen(text), "the key") == NULL);
	age_add_encoder(pipe, recipients);
	pipe_add(pipe, buf_sink_new(into));
	must(pipe_write(pipe, plain->data, plain->size) == NULL && pipe_finish(pipe) == NULL);
}

/* Six bytes say what is changed; the rest, repeated up to some chunks, is what was encrypted. */
static void
read_changed(const AgeIdentities *identities, const uint8_t *data, size_t size)
{
	AUTO_BUF(plain, OUTPUT_MAX);
	AUTO_BUF(sealed, OUTPUT_MAX);
	AUTO_BUF(opened, OUTPUT_MAX);
	size_t at = data[0] | (size_t) data[1] << 8 | (size_t) (data[2] & 3) << 16;
	size_t cut = data[4] | (size_t) data[5] << 8;

	for (size_t times = 1 + data[2] / 4; times > 0 && plain.size < 3 * CHUNK; times--)
		buf_append(&plain, data + 6, size - 6);
	if (plain.size == 0)
		buf_puts(&plain, "x");
	encrypt(identities, &plain, &sealed);

	at %= sealed.size;
	cut %= sealed.size;
	sealed.data[at] ^= (char) data[3];

	bool unchanged = cut == 0 && data[3] == 0;

	must(decrypts(identities, (const uint8_t *) sealed.data, sealed.size - cut, 1 + at, &opened) ==
	     unchanged);
	must(opened.size <= plain.size && (unchanged ? opened.size == plain.size : opened.size % CHUNK == 0));
	must(opened.size == 0 || memcmp(opened.data, plain.data, opened.size) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(AgeIdentities) identities = NULL;

	if (size == 0)
		return 0;
	identities = the_identities();
	if (data[0] % 2 == 0)
		read_as_it_is(identities, data + 1, size - 1);
	else if (size > 7)
		read_changed(identities, data + 1, size - 1);
	return 0;
}
