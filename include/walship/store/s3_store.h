/*
 * A bucket of S3, or of anything that speaks its protocol, as a store.  What
 * the providers differ in is found out by itself, and kept in the state
 * directory (docs/providers.md).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "walship/base/notice.h"
#include "walship/base/patience.h"
#include "walship/store/store.h"

typedef enum S3PathStyle
{
	S3_PATH_STYLE_AUTO, /* the bucket is a part of the host name at AWS, of the path elsewhere */
	S3_PATH_STYLE_ON,
	S3_PATH_STYLE_OFF,
} S3PathStyle;

/* Texts may be NULL where nothing else is said.  They stay the caller's, and must outlive the store. */
typedef struct S3Options
{
	const char *url;      /* s3://bucket/prefix; required */
	const char *endpoint; /* NULL: $AWS_ENDPOINT_URL_S3, $AWS_ENDPOINT_URL, else AWS */
	const char *region;   /* NULL: $AWS_REGION, the profile's, what was learned, else us-east-1 */
	S3PathStyle path_style;
	const char *ca_file;       /* NULL: the system's certificates */
	const char *access_key_id; /* NULL: $AWS_*, then the profile */
	const char *secret_access_key;
	const char *session_token;
	char *const *environment; /* environ */
	const char *storage_class;
	const char *sse; /* "AES256" or "aws:kms" */
	const char *sse_kms_key_id;
	const char *state_dir; /* NULL: nothing is kept */
	const char *user_agent;
	int jobs; /* parts of one object that are sent at the same time */

	bool keeps_certificate; /* for store_access() */

	Patience patience; /* of every verb; connect_ms and stall_ms are required */
	Notices notices;   /* retries, corrected settings; once each, as warnings unless the patience is quiet */
} S3Options;

/* Sends nothing. */
Error *s3_store_open(const S3Options *options, Store **ret_store) MUST_CHECK;
