/*
 * Small objects of one JSON object with a seal: pins, leases, evidence.  Written
 * once, never again (docs/format.md).
 */
#pragma once

#include "walship/base/error.h"
#include "walship/base/json_fields.h"
#include "walship/store/store.h"

#define SEALED_JSON_MAX (1024 * 1024) /* bytes */

/* ERR_EXISTS when the key is taken. */
Error *sealed_json_put(Store *store, const char *key, const JsonTable *table, const void *object) MUST_CHECK;

/* As json_take(); also ERR_NOT_FOUND.  "object" holds what optional members are when they are missing. */
Error *sealed_json_get(Store *store, const char *key, const JsonTable *table, void *object) MUST_CHECK;

/*
 * The text of an object with a seal, read up to three times until that is right: the
 * network may have done it.  With its cap; ERR_CORRUPT names the object.
 */
Error *sealed_text_get(Store *store, const char *key, Buf *text) MUST_CHECK;
