/*
 * A store behind which there is a second one, with copies of its objects.  What is
 * written and removed is so in the first alone.  An object is read from the first;
 * where that has none, or what it gave was damaged (store_distrust()), from the second.
 * A listing has what either of them has.
 *
 * "Not there" is said when both say so.  So who asks for what the first has not needs
 * the second: when that cannot be reached, its error is the answer.
 */
#pragma once

#include "walship/base/notice.h"
#include "walship/store/store.h"

/* The second store: opened when it is first needed, and tried again after a failure. */
typedef struct SecondStoreOpener
{
	Error *(*open)(void *context, Store **ret_store);
	void (*free)(void *context); /* with the store; may be NULL */
	void *context;
} SecondStoreOpener;

/* The first becomes the new store's.  "url": of the second, as in messages.  Damage is warned of. */
Store *second_store_new(Store *first, const char *url, const SecondStoreOpener *opener,
                        const Notices *notices);
