/*
 * Who we are for S3: settings, then the AWS_* variables, then the profile files
 * of the AWS tools.
 */
#pragma once

#include "walship/base/clock.h"
#include "walship/base/error.h"
#include "walship/store/s3_store.h"

typedef struct S3Credentials
{
	char *access_key_id;
	char *secret_access_key;
	char *session_token; /* NULL: none */
	TimeUs ends;         /* of temporary ones; TIME_NONE: nobody says */
	char *region;        /* of the environment or the profile; NULL: none */
	char *endpoint;      /* likewise */
} S3Credentials;

/* Without any credentials: ERR_DENIED, with the remedy as hint. */
Error *s3_creds_find(const S3Options *options, S3Credentials *ret_credentials) MUST_CHECK;
void s3_creds_release(S3Credentials *credentials);
