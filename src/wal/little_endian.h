/* Numbers as x86-64 and arm64 servers write them, read on any machine and at any alignment. */
#pragma once

#include <stdint.h>

static inline uint16_t
le16(const uint8_t *bytes)
{
	return (uint16_t) (bytes[0] | bytes[1] << 8);
}

static inline uint32_t
le32(const uint8_t *bytes)
{
	return (uint32_t) le16(bytes) | (uint32_t) le16(bytes + 2) << 16;
}

static inline uint64_t
le64(const uint8_t *bytes)
{
	return (uint64_t) le32(bytes) | (uint64_t) le32(bytes + 4) << 32;
}
