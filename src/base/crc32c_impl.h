/* The implementations of CRC-32C, each by itself: for crc32c.c and for the test that compares them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Without the inversions before and after that belong to the CRC's definition. */
uint32_t crc32c_by_tables(uint32_t crc, const uint8_t *data, size_t size);

/* Only where crc32c_has_instruction(). */
uint32_t crc32c_by_instruction(uint32_t crc, const uint8_t *data, size_t size);
bool crc32c_has_instruction(void);
