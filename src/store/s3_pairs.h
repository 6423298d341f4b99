/* Names and values: of a query, of headers. */
#pragma once

#include <stddef.h>

#include "walship/base/attributes.h"

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
void s3_pairs_add_all(S3Pairs *pairs, const S3Pairs *others);
void s3_pairs_release(S3Pairs *pairs);

#define AUTO_PAIRS __attribute__((cleanup(s3_pairs_release))) S3Pairs
