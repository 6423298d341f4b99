/* Bech32: five bits to a character, and a checksum that finds every error of up to four characters. */
#include "format.h"

#include <string.h>

#include "walship/base/crypto.h"
#include "walship/base/mem.h"

#define CHECKSUM_LENGTH 6

static const char alphabet[] = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";

/* BIP 173, "Checksum": the polynomial over GF(32). */
static uint32_t
checksum_add(uint32_t checksum, uint8_t value)
{
	static const uint32_t generator[] = {0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3};
	uint32_t top = checksum >> 25;

	checksum = (checksum & 0x1ffffff) << 5 ^ value;
	for (int i = 0; i < 5; i++)
		checksum ^= (top >> i & 1) != 0 ? generator[i] : 0;
	return checksum;
}

static uint32_t
checksum_of_prefix(const char *prefix)
{
	uint32_t checksum = 1;

	for (const char *c = prefix; *c != '\0'; c++)
		checksum = checksum_add(checksum, (uint8_t) (*c >> 5));
	checksum = checksum_add(checksum, 0);
	for (const char *c = prefix; *c != '\0'; c++)
		checksum = checksum_add(checksum, (uint8_t) (*c & 31));
	return checksum;
}

static size_t
data_length(size_t size)
{
	return (size * 8 + 4) / 5;
}

char *
bech32_encode(const char *prefix, const void *bytes, size_t size)
{
	const uint8_t *next = bytes;
	size_t prefix_length = strlen(prefix);
	char *text = mem_alloc(prefix_length + 1 + data_length(size) + CHECKSUM_LENGTH + 1);
	char *out = text + prefix_length;
	uint32_t checksum = checksum_of_prefix(prefix);

	memcpy(text, prefix, prefix_length);
	*out++ = '1';
	for (size_t bit = 0; bit < size * 8; bit += 5)
	{
		uint32_t pair = (uint32_t) next[bit / 8] << 8 | (bit / 8 + 1 < size ? next[bit / 8 + 1] : 0u);
		uint8_t value = (uint8_t) (pair >> (11 - bit % 8) & 31);

		checksum = checksum_add(checksum, value);
		*out++ = alphabet[value];
	}
	for (int i = 0; i < CHECKSUM_LENGTH; i++)
		checksum = checksum_add(checksum, 0);
	checksum ^= 1;
	for (int i = 0; i < CHECKSUM_LENGTH; i++)
		*out++ = alphabet[checksum >> (5 * (CHECKSUM_LENGTH - 1 - i)) & 31];
	*out = '\0';
	return text;
}

static bool
decode_lower(const char *text, const char *prefix, uint8_t *bytes, size_t size)
{
	size_t prefix_length = strlen(prefix);
	size_t length = data_length(size);
	uint32_t checksum = checksum_of_prefix(prefix);
	uint32_t bits = 0;
	int held = 0;

	if (strncmp(text, prefix, prefix_length) != 0 || text[prefix_length] != '1' ||
	    strlen(text) != prefix_length + 1 + length + CHECKSUM_LENGTH)
		return false;
	text += prefix_length + 1;
	for (size_t i = 0; i < length + CHECKSUM_LENGTH; i++)
	{
		const char *found = strchr(alphabet, text[i]);

		if (found == NULL)
			return false;
		checksum = checksum_add(checksum, (uint8_t) (found - alphabet));
		if (i >= length)
			continue;
		bits = bits << 5 | (uint32_t) (found - alphabet);
		held += 5;
		if (held >= 8)
		{
			held -= 8;
			*bytes++ = (uint8_t) (bits >> held);
		}
	}
	return checksum == 1 && (bits & ((1u << held) - 1)) == 0;
}

bool
bech32_decode(const char *text, const char *prefix, void *ret_bytes, size_t size)
{
	size_t length = strlen(text);
	char *lower = mem_alloc(length + 1);
	uint8_t *bytes = mem_alloc(size + 1);
	bool any_lower = false;
	bool any_upper = false;
	bool valid;

	/* All of it in one case, whichever.  Only ASCII letters have a case here. */
	for (size_t i = 0; i <= length; i++)
	{
		bool is_upper = text[i] >= 'A' && text[i] <= 'Z';

		any_upper |= is_upper;
		any_lower |= text[i] >= 'a' && text[i] <= 'z';
		lower[i] = is_upper ? (char) (text[i] - 'A' + 'a') : text[i];
	}
	valid = !(any_lower && any_upper) && decode_lower(lower, prefix, bytes, size);
	if (valid)
		memcpy(ret_bytes, bytes, size);
	secret_clear(lower, length); /* may be a secret key */
	secret_clear(bytes, size);
	free(lower);
	free(bytes);
	return valid;
}
