/*
 * Time zones, as libc knows them.  libc has one zone per process, in the variable
 * TZ, and takes a misspelt name for UTC: so a name is validated here before libc
 * sees it, and TZ is set only around a question to libc, and then restored.
 *
 * Only the main thread may ask, for another could read the environment meanwhile;
 * except for UTC and offsets, which need no libc.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "walship/base/error.h"

typedef struct Zone Zone;

/*
 * "local"; "UTC", "GMT" or "Z"; an offset such as "+01" or "-03:30"; or a full
 * name of the tz database.  Abbreviations such as CEST are refused, for several
 * zones share most of them, and so does PostgreSQL in recovery_target_time.
 */
Error *zone_open(const char *name, Zone **ret_zone) MUST_CHECK;
void zone_free(Zone *zone);
AUTO_DEFINE(Zone, zone_free);

/* The seconds east of UTC of "UTC" and its like, and of an offset; false for all others. */
bool zone_parse_fixed(const char *text, int32_t *ret_offset);

/* Seconds east of UTC at this moment (seconds since 1970 UTC). */
int32_t zone_offset(const Zone *zone, int64_t moment);

/*
 * The moments at which the zone's clocks show "local" (seconds since 1970, read
 * as if it were UTC), earliest first: none when a clock change skips it, two
 * when one repeats it.
 */
int zone_moments(const Zone *zone, int64_t local, int64_t ret_moments[2]);
