/*
 * Time zones, read from the tz database's files (RFC 8536) instead of by libc:
 * libc knows one zone per process, changes it for all threads at once and takes
 * a misspelt name for UTC.
 */
#pragma once

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

/* Seconds east of UTC at this moment (seconds since 1970 UTC). */
int32_t zone_offset(const Zone *zone, int64_t moment);

/*
 * The moments at which the zone's clocks show "local" (seconds since 1970, read
 * as if it were UTC), earliest first: none when a clock change skips it, two
 * when one repeats it.
 */
int zone_moments(const Zone *zone, int64_t local, int64_t ret_moments[2]);

/* From the bytes of a tz file, and from a POSIX TZ rule ("CET-1CEST,M3.5.0,M10.5.0/3"). */
Error *zone_from_file(const char *name, const void *data, size_t size, Zone **ret_zone) MUST_CHECK;
Error *zone_from_rule(const char *rule, Zone **ret_zone) MUST_CHECK;
