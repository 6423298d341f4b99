/* What an answer of S3 means: one table, by <Code> first and by status second.  Pure. */
#pragma once

#include <stdbool.h>

#include "walship/base/error.h"
#include "walship/http/http.h"

typedef enum S3ErrorClass
{
	S3_DONE,
	S3_NO_ANSWER,   /* the request failed before there was one */
	S3_TRANSIENT,   /* try again */
	S3_THROTTLED,   /* try again, more slowly */
	S3_DAMAGED,     /* what arrived there is not what was sent: try again, but only once */
	S3_ABSENT,      /* certainly no such object */
	S3_TAKEN,       /* a condition was not met: the key is taken, or the object has changed */
	S3_UNSUPPORTED, /* the provider does not know what a header asks for */
	S3_BEYOND,      /* a range that begins behind the object's end */
	S3_NO_UPLOAD,   /* no such multipart upload */
	S3_CLOCK,       /* this machine's clock is wrong */
	S3_REGION,      /* the bucket is in another region */
	S3_DENIED,
	S3_WRONG,   /* a setting that this provider does not take */
	S3_REFUSED, /* does not work now, and not better when asked again at once; like a disk not mounted */
} S3ErrorClass;

typedef struct S3ErrorRule
{
	const char *code; /* NULL: of any answer with the status */
	int status;       /* 0: any */
	S3ErrorClass class;
	const char *hint; /* NULL: none */
} S3ErrorRule;

/* "code" may be NULL: there was none.  Never NULL. */
const S3ErrorRule *s3_error_rule(const char *code, int status);

bool s3_error_is_transient(S3ErrorClass class); /* worth trying again */
ErrorKind s3_error_kind(S3ErrorClass class);

/* "Please reduce your request rate (SlowDown, HTTP 503, request id 1B3...)"; code and message may be NULL. */
Error *s3_error_of(const S3ErrorRule *rule, const char *code, const char *message,
                   const HttpResponse *response) MUST_CHECK;
