/* Base64, written and read strictly. */
#include "walship/base/base64.h"

#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void
base64_raw_encode(const void *bytes, size_t size, char *ret_text)
{
	const uint8_t *next = bytes;
	uint32_t bits = 0;
	int held = 0; /* bits that are not written yet */

	for (size_t i = 0; i < size; i++)
	{
		bits = bits << 8 | next[i];
		for (held += 8; held >= 6; held -= 6)
			*ret_text++ = alphabet[bits >> (held - 6) & 63];
	}
	if (held > 0)
		*ret_text++ = alphabet[bits << (6 - held) & 63];
	*ret_text = '\0';
}

void
base64_encode(const void *bytes, size_t size, char *ret_text)
{
	base64_raw_encode(bytes, size, ret_text);

	size_t length = strlen(ret_text);

	while (length % 4 != 0)
		ret_text[length++] = '=';
	ret_text[length] = '\0';
}

/* -1 for what is no digit. */
static int
digit_of(char c)
{
	const char *found = c != '\0' ? strchr(alphabet, c) : NULL;

	return found != NULL ? (int) (found - alphabet) : -1;
}

bool
base64_raw_decode(const char *text, size_t length, uint8_t *ret_bytes, size_t *ret_size)
{
	uint32_t bits = 0;
	int held = 0;
	size_t size = 0;

	if (length % 4 == 1)
		return false;
	for (size_t i = 0; i < length; i++)
	{
		int digit = digit_of(text[i]);

		if (digit < 0)
			return false;
		bits = bits << 6 | (uint32_t) digit;
		held += 6;
		if (held >= 8)
		{
			held -= 8;
			ret_bytes[size++] = (uint8_t) (bits >> held);
		}
	}
	*ret_size = size;
	return (bits & ((1u << held) - 1)) == 0; /* bits that stand for nothing: two texts would mean the same */
}
