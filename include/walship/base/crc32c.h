/*
 * CRC-32C (Castagnoli), as PostgreSQL uses it in WAL records, pg_control and
 * backup manifests.  Continue with the value of the call before; start with 0.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

uint32_t crc32c(uint32_t crc, const void *data, size_t size);
