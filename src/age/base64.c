/* Base64 as the age format has it: without padding, and read strictly. */
#include <string.h>

#include "format.h"

void
age_base64_encode(const void *bytes, size_t size, char *ret_text)
{
	base64_encode(bytes, size, ret_text);
	ret_text[strcspn(ret_text, "=")] = '\0';
}

bool
age_base64_decode(const char *text, size_t length, uint8_t *ret_bytes, size_t *ret_size)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint32_t bits = 0;
	int held = 0;
	size_t size = 0;

	if (length % 4 == 1)
		return false;
	for (size_t i = 0; i < length; i++)
	{
		const char *digit = text[i] == '\0' ? NULL : strchr(alphabet, text[i]);

		if (digit == NULL)
			return false;
		bits = bits << 6 | (uint32_t) (digit - alphabet);
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
