/*
 * The rest of a large object by several connections at the same time: stores give one of them 50 to 90 MB/s at most,
 * some 10 to 40 (AWS: "Best practices design patterns: optimizing Amazon S3 performance"), and take any number of them.
 *
 * Only connections that nobody else uses read ranges: all readers of a store have, together, as many as it has jobs.
 * So while many objects are read each has one, as without this, and the last ones, or a single one, have all.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "s3_private.h"

#define S3_RANGE_SIZE (8u * 1024 * 1024) /* bytes: a round trip is little beside it */
#define S3_PACE_MS    250                /* for so long it is looked how fast a connection is */

/* How a connection did. */
typedef struct S3Pace
{
	int64_t elapsed_ms;
	int64_t busy_ms; /* of these with what had come, not waiting for more */
	uint64_t bytes;
} S3Pace;

/*
 * Where so many bytes are left, are more connections faster?  They are when it was mostly the connection that was waited
 * for, and when it takes longer than to begin anew.  Where even the first one is very slow it is the link, which
 * they would share; where it is faster than stores let it be, it is the machine.
 */
bool s3_ranges_pay(const S3Pace *pace, uint64_t left);

bool s3_connection_is_free(S3Store *store);

typedef struct S3Ranges S3Ranges;

/*
 * Begins with bytes [begin, end) of the object that has this ETag.  NULL: there is no free connection any more, or the
 * ETag is none that can be relied upon.  The key outlives it.
 */
S3Ranges *s3_ranges_begin(S3Store *store, const char *key, const char *etag, uint64_t begin, uint64_t end);

/* All of them, in order.  ERR_CORRUPT when the object changed meanwhile. */
Error *s3_ranges_read(S3Ranges *ranges, Sink *into) MUST_CHECK;
void s3_ranges_free(S3Ranges *ranges);
