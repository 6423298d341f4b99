/* Base64 of RFC 4648, section 4: padded with "=", and "raw", without. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of text, with the NUL. */
#define BASE64_TEXT_SIZE(size)     (((size) + 2) / 3 * 4 + 1)
#define BASE64_RAW_TEXT_SIZE(size) (((size) *4 + 2) / 3 + 1)

void base64_encode(const void *bytes, size_t size, char *ret_text);

void base64_raw_encode(const void *bytes, size_t size, char *ret_text);

/*
 * The bytes that "length" characters stand for; there is room for length * 3 / 4.
 * False for other characters, padding, an impossible length, and a text that is
 * not the one that base64_raw_encode() makes of the bytes.
 */
bool base64_raw_decode(const char *text, size_t length, uint8_t *ret_bytes, size_t *ret_size);
