/*
 * Named objects: the one interface to a directory, S3 and what may follow.  A
 * Store is immutable and shared by all threads.
 *
 * A key is '/'-separated, relative, made of [A-Za-z0-9._-] components of which
 * none begins with '.'; at most STORE_KEY_MAX bytes, STORE_KEY_PART_MAX each.
 * Objects appear whole or not at all, and what has been acknowledged is durable.
 * "Not there" (ERR_NOT_FOUND) is said only when that is certain; an unmounted
 * directory is ERR_TRANSIENT.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "walship/base/buf.h"
#include "walship/base/clock.h"
#include "walship/base/error.h"
#include "walship/base/spool.h"
#include "walship/base/strs.h"
#include "walship/pipe/sink.h"

#define STORE_KEY_MAX      1024 /* as in S3 */
#define STORE_KEY_PART_MAX 255  /* as in file systems */

/*
 * One permanent object beside the archive, never removed: credentials may be allowed to
 * add only.  By it, and by no object of the archive, it is found out what a store does.
 */
#define STORE_PROBE_KEY  "walship-check.json"
#define STORE_PROBE_TEXT "{\"format\": 1, \"purpose\": \"walship check writes this once and keeps it\"}\n"

typedef struct Store Store;

typedef enum PutMode
{
	PUT_IF_ABSENT, /* ERR_EXISTS when the key is taken, whatever lies there */
	PUT_REPLACE,
} PutMode;

typedef struct StoreEntry
{
	const char *key; /* full key; of a common prefix: with its final '/' */
	uint64_t size;   /* 0 for a common prefix */
	TimeUs modified; /* TIME_NONE for a common prefix */
	bool is_prefix;  /* everything below it is summed up in this entry */
} StoreEntry;

/* Return an error to end the listing with it. */
typedef Error *(*StoreListCallback)(void *context, const StoreEntry *entry);

typedef enum ListDepth
{
	LIST_ALL,   /* every object whose key begins with the prefix */
	LIST_LEVEL, /* up to the next '/': deeper ones appear as common prefixes */
} ListDepth;

#define STORE_TO_END UINT64_MAX

/* Of an object that is not known to be removed, and why.  The error stays the store's. */
typedef void (*StoreNotRemoved)(void *context, const char *key, const Error *error);

/* Of what was removed that a writer left behind: the object that it was to be, and when it began.  May be NULL. */
typedef void (*StoreTidied)(void *context, const char *key, TimeUs began);

/* What lets this process in, and until when. */
typedef struct StoreAccess
{
	char *certificate; /* of the server, in PEM; NULL: none was seen, or there is none */
	bool is_temporary; /* the credentials end by themselves */
	TimeUs ends;       /* of temporary ones: TIME_NONE: nobody says when */
} StoreAccess;

/*
 * For implementations.  Keys and prefixes arrive checked; store_free() frees url
 * and identity.  The last six may be NULL: a store that leaves nothing behind, that
 * has no request for many objects, that has no use for a hint, that has one copy of all (two), that lets everybody in.
 */
typedef struct StoreOps
{
	Error *(*put)(Store *store, const char *key, const Slice *slices, int n_slices, PutMode mode);
	Error *(*get)(Store *store, const char *key, uint64_t offset, uint64_t size, Sink *into);
	Error *(*stat)(Store *store, const char *key, StoreEntry *ret_entry);
	Error *(*list)(Store *store, const char *prefix, ListDepth depth, const char *start_after,
	               StoreListCallback callback, void *context);
	Error *(*remove)(Store *store, const char *key);
	Error *(*writer)(Store *store, const char *key, Sink **ret_sink);
	void (*free)(Store *store);
	Error *(*probe)(Store *store, Buf *report);
	Error *(*tidy)(Store *store, const char *prefix, TimeUs before, StoreTidied callback, void *context);
	Error *(*remove_many)(Store *store, const char *const *keys, size_t count, StoreNotRemoved callback,
	                      void *context);
	void (*expect_put)(Store *store, const char *key);
	bool (*distrust)(Store *store, const char *key);
	Error *(*second)(Store *store, Store **ret_second);
	void (*access)(Store *store, StoreAccess *ret_access);
} StoreOps;

struct Store
{
	const StoreOps *ops;
	char *url;      /* as in messages: no secret */
	char *identity; /* see store_identity() */
};

/* The slices, one after the other, are the object; any size. */
Error *store_put(Store *store, const char *key, const Slice *slices, int n_slices, PutMode mode) MUST_CHECK;

/*
 * This object is about to be put, by this process, once: what has to come before it
 * may be done in the meantime.  No promise, and nothing fails.
 */
void store_expect_put(Store *store, const char *key);

/* Writes bytes [offset, offset + size) into "into", fewer at the object's end; does not finish it. */
Error *store_get(Store *store, const char *key, uint64_t offset, uint64_t size, Sink *into) MUST_CHECK;

/* ret_entry->key stays the caller's own string. */
Error *store_stat(Store *store, const char *key, StoreEntry *ret_entry) MUST_CHECK;

/*
 * In byte order of the keys.  "start_after" (may be NULL): only entries whose key
 * is after this one, so that a listing goes on where another one stopped.  A
 * common prefix stands for at least one object.  No match is success.
 */
Error *store_list(Store *store, const char *prefix, ListDepth depth, const char *start_after,
                  StoreListCallback callback, void *context) MUST_CHECK;

/* Of the objects directly below a prefix, those whose keys end so. */
Error *store_list_keys(Store *store, const char *prefix, const char *suffix, StrList *ret_keys) MUST_CHECK;

/* A missing object is success.  Works, briefly, also after a cancellation: to tidy up. */
Error *store_remove(Store *store, const char *key) MUST_CHECK;

/*
 * The same for any number of objects, in as few requests as the store can, and
 * in no certain order.  The callback is told of every key that is not known to
 * be removed, once.  An object that cannot be removed does not keep it from the
 * others, and alone is no error: one is returned when it gave up, for no other
 * key would have fared better (cancelled meanwhile, no answer, denied at large);
 * the callback has then been told of the keys that were not tried, too.
 */
Error *store_remove_many(Store *store, const char *const *keys, size_t count, StoreNotRemoved callback,
                         void *context) MUST_CHECK;

/*
 * Last stage that makes the object by finish.  For keys that no one else uses:
 * a taken key is ERR_EXISTS on stores that can tell.
 */
Error *store_writer(Store *store, const char *key, Sink **ret_sink) MUST_CHECK;

/*
 * Proves that the store can be written to by writing STORE_PROBE_TEXT to
 * STORE_PROBE_KEY, where it may be already, finds out what the store can do,
 * remembers that, and appends it to "report" in words (nothing, where there is
 * nothing to find out).
 */
Error *store_probe(Store *store, Buf *report) MUST_CHECK;

/*
 * Removes what writers below the prefix left behind that began before this time
 * and neither finished nor were freed: it costs money and shows in no listing.
 */
Error *store_tidy(Store *store, const char *prefix, TimeUs before) MUST_CHECK;

/* Likewise; the callback is told of each. */
Error *store_tidy_and_tell(Store *store, const char *prefix, TimeUs before, StoreTidied callback,
                           void *context) MUST_CHECK;

/*
 * For what is read because the store said that it is there (ERR_EXISTS): that it is
 * "not there" then is a contradiction, and no certain absence: ERR_TRANSIENT.  Everything
 * else passes.  Takes and returns ownership.
 */
Error *store_said_there(Error *error, const char *key) MUST_CHECK;

/*
 * What came under this key failed its checks.  True: the next time it is read it comes
 * from elsewhere, where another copy is; so it is worth while to read it again.
 */
bool store_distrust(Store *store, const char *key);
bool store_has_copies(const Store *store); /* may that ever be true? */

/* Where the other copies lie, which stays this store's; NULL: there are none.  Another process may remove there, too. */
Error *store_second(Store *store, Store **ret_second) MUST_CHECK;

/* As far as it is known after the requests that were made: it makes none. */
void store_access(Store *store, StoreAccess *ret_access);
void store_access_release(StoreAccess *access);
#define AUTO_STORE_ACCESS __attribute__((cleanup(store_access_release))) StoreAccess

const char *store_url(const Store *store);

/* That of a store in a directory, as it was named; NULL: it lies elsewhere. */
const char *store_directory_path(const Store *store);

/* One line that names the very place: what has this identity, now or later, holds the same objects. */
const char *store_identity(const Store *store);

void store_free(Store *store);
AUTO_DEFINE(Store, store_free);

/* ERR_USAGE when the key is not of the form above. */
Error *store_check_key(const char *key) MUST_CHECK;

/* Whether this can be what stands between two '/' of a key. */
bool store_key_part_is_valid(const char *part, size_t length);
