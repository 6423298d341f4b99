/* The two texts of S3's DeleteObjects.  Pure. */
#pragma once

#include <stddef.h>

#include "walship/base/buf.h"
#include "walship/base/error.h"

#define S3_DELETE_MOST 1000 /* keys in one request */

/* Asks for an answer that names only what could not be removed.  Of every key, "prefix" is the beginning. */
void s3_delete_request(const char *prefix, const char *const *keys, size_t count, Buf *into);

/* What the answer does not say is NULL.  The key is whole, with the prefix. */
typedef Error *(*S3DeleteCallback)(void *context, const char *key, const char *code, const char *message);

/* Calls for every key that was not removed.  ERR_CORRUPT when it is not one whole answer. */
Error *s3_delete_answer(const char *text, size_t size, S3DeleteCallback callback, void *context) MUST_CHECK;
