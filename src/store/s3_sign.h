/*
 * AWS Signature Version 4 as S3 wants it: paths are encoded once and never
 * normalised.  Pure: time and credentials come in.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "walship/base/buf.h"
#include "walship/base/clock.h"
#include "walship/base/crypto.h"

#define S3_DATE_SIZE      17 /* "20130524T000000Z" */
#define S3_SIGN_TEXT_MAX  (64u * 1024)
#define S3_EMPTY_SHA256   "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define S3_SIGNED_REGIONS 64 /* longest name of a region, with its end */

/* A name and a value: of a query, of headers. */
typedef struct S3Pair
{
	char *name;
	char *value;
} S3Pair;

typedef struct S3Pairs
{
	S3Pair *items; /* owned, like their texts */
	size_t count;
	size_t capacity;
} S3Pairs;

void s3_pairs_add(S3Pairs *pairs, const char *name, const char *value); /* copies */
void s3_pairs_set(S3Pairs *pairs, const char *name,
                  const char *value); /* in the place of one that is there */
void s3_pairs_release(S3Pairs *pairs);

#define AUTO_PAIRS __attribute__((cleanup(s3_pairs_release))) S3Pairs

typedef struct S3SignRequest
{
	const char *method;
	const char *path;       /* encoded, from '/' on */
	const S3Pairs *query;   /* not encoded */
	const S3Pairs *headers; /* all of them are signed; "host" and "x-amz-date" must be among them */
	const char *payload;    /* hexadecimal SHA-256 of the body */
	const char *date;       /* as in x-amz-date */
	const char *region;
} S3SignRequest;

/* The key depends on day and region only: worth keeping. */
typedef struct S3SigningKey
{
	uint8_t key[SHA256_SIZE];
	char day[9]; /* "20130524"; empty: none was made yet */
	char region[S3_SIGNED_REGIONS];
} S3SigningKey;

/* Percent-encodes everything but A-Z a-z 0-9 - . _ ~ and, when "path", '/'. */
void s3_encode(const char *text, bool path, Buf *into);

/* Encoded and sorted, without '?': for the signature and, because the same bytes must be sent, for the URL. */
void s3_sign_query(const S3Pairs *query, Buf *into);

/* *ret_names (owned by the caller) is "host;x-amz-date". */
void s3_sign_canonical(const S3SignRequest *request, Buf *into, Buf *names);

void s3_sign_date(TimeUs time, char date[S3_DATE_SIZE]);
void s3_sign_key(const char *secret, const char *date, const char *region, S3SigningKey *ret_key);
bool s3_sign_key_fits(const S3SigningKey *key, const char *date, const char *region);

/* The value of the header "authorization". */
void s3_sign(const S3SignRequest *request, const char *access_key_id, const S3SigningKey *key, Buf *into);
