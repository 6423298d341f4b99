/*
 * The caller's store, opened when it is needed.  A store has one patience for all
 * that is asked of it, and what moves WAL needs several: for the file that the
 * server waits for, and for those that nobody has asked for yet.  Opening is also
 * what fails while a directory is not mounted, and is tried again then.
 */
#pragma once

#include "walship/base/error.h"
#include "walship/base/patience.h"
#include "walship/store/store.h"

typedef struct StoreOpener
{
	Error *(*open)(const void *context, const Patience *patience, Store **ret_store);
	const void *context;
} StoreOpener;

static inline Error *MUST_CHECK
store_opener_open(const StoreOpener *opener, const Patience *patience, Store **ret_store)
{
	return opener->open(opener->context, patience, ret_store);
}
