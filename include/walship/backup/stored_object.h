/*
 * One object on its way into the store: raw bytes in; compressed, encrypted,
 * digested and written.  What is freed before it is finished does not come to be.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "walship/age/age.h"
#include "walship/base/error.h"
#include "walship/pipe/codec.h"
#include "walship/pipe/stages.h"
#include "walship/store/store.h"

typedef struct StoredObject StoredObject;

/* "recipients": NULL encrypts nothing.  Store, recipients and the pool of the compression outlive the object. */
Error *stored_object_open(Store *store, const char *key, const Compression *compression,
                          const AgeRecipients *recipients, StoredObject **ret_object) MUST_CHECK;
Error *stored_object_write(StoredObject *object, const void *data, size_t size) MUST_CHECK;
uint64_t stored_object_raw_size(const StoredObject *object); /* bytes written so far */

/* Size and digest are those of the bytes in the store.  It may be finished by another thread than the one that wrote. */
Error *stored_object_finish(StoredObject *object, Digest *ret_stored) MUST_CHECK;

/* Where its chunks begin, once it is finished; the caller's from here on.  Empty when it was made as one stream. */
ChunkList stored_object_take_chunks(StoredObject *object);
void stored_object_free(StoredObject *object);
AUTO_DEFINE(StoredObject, stored_object_free);
