/* Sizes and durations, as people write them and as they read them. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define SIZE_TEXT_SIZE 32

/* "16777216", "16MB", "16 MiB", "1GB": powers of 1024, as PostgreSQL's settings. */
bool size_parse(const char *text, uint64_t *ret_bytes);

/* "1.2 GiB" */
const char *size_format(uint64_t bytes, char text[SIZE_TEXT_SIZE]);

/* "10s", "500ms", "5min" or "5m", "1h", "2d"; a bare number is seconds. */
bool duration_parse(const char *text, int64_t *ret_ms);

/* "4 min 12 s" */
const char *duration_format(int64_t ms, char text[SIZE_TEXT_SIZE]);
