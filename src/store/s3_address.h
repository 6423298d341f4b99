/* Where a bucket is, and how its requests are addressed.  Pure. */
#pragma once

#include <stdbool.h>

#include "walship/base/buf.h"
#include "walship/base/error.h"
#include "walship/store/s3_store.h"

typedef struct S3Address
{
	char *scheme;
	char *host; /* with ":port" when that is not the scheme's own; NULL: AWS, by region */
	char *bucket;
	char *prefix; /* "" or with a final '/' */
	bool path_style;
} S3Address;

/* "endpoint" may be NULL: AWS. */
Error *s3_address_parse(const char *url, const char *endpoint, S3PathStyle style, S3Address *ret_address)
	MUST_CHECK;
void s3_address_release(S3Address *address);

/* The value of the header "host", and the encoded path.  "key" is below the prefix; NULL: the bucket. */
void s3_address_host(const S3Address *address, const char *region, Buf *into);
void s3_address_path(const S3Address *address, const char *key, Buf *into);

/* Letters, digits, '-' and '_': it becomes a part of the host name and of the signature. */
bool s3_region_is_valid(const char *region);

/* What is known of this endpoint without asking it. */
typedef enum S3Conditional
{
	S3_CONDITIONAL_UNKNOWN,
	S3_CONDITIONAL_HONOURED, /* 412 for a key that is taken */
	S3_CONDITIONAL_REFUSED,  /* 501 */
	S3_CONDITIONAL_IGNORED,  /* overwrites all the same */
} S3Conditional;

S3Conditional s3_address_preset(const S3Address *address);
