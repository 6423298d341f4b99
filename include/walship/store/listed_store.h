/*
 * A store as one listing showed it: who asks for many listings below one prefix has
 * them from memory, all of the same moment and for the requests of one.  Everything
 * but listings is the other store's own.
 */
#pragma once

#include "walship/store/store.h"

/* "store" must outlive it.  Some 100 bytes of memory for each object below the prefix. */
Error *listed_store_new(Store *store, const char *prefix, Store **ret_store) MUST_CHECK;
