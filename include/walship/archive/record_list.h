/*
 * Records of one kind, as they lie in the store: <prefix><ID>/<record>.  A record is
 * written last, so an id without one is of something unfinished.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "walship/base/error.h"
#include "walship/base/strs.h"
#include "walship/store/store.h"

typedef struct RecordList
{
	void *
		*records; /* ascending by id; each is the caller's, also when the list could not be read to its end */
	size_t count;
	StrList unfinished; /* ids without a record */
	StrList damaged;    /* ids of records that cannot be read */
	Error **reasons;    /* why, of each of these */
} RecordList;

/* Whose records. */
typedef struct RecordPlace
{
	Store *store;
	uint64_t system_identifier;
	const char *name; /* of a tree of files */
} RecordPlace;

/* What reads the record of an id, in any thread: ERR_NOT_FOUND and ERR_CORRUPT are said in the list. */
typedef Error *(*RecordRead)(const RecordPlace *place, const char *id, void **ret_record);

/* Ids of what lies below a prefix, ascending. */
Error *record_list_ids(Store *store, const char *prefix, StrList *ret_ids) MUST_CHECK;

/* The records of all these, small_reads_at_once(jobs) at a time: a year of them must not be 365 round trips. */
Error *record_list_read(const RecordPlace *place, const char *prefix, int jobs, RecordRead read,
                        RecordList *ret_list) MUST_CHECK;

/* For people: adds the unfinished ids, and "<id>: <why>" of damaged records. */
void record_list_tell(const RecordList *list, StrList *unfinished, StrList *damaged);
void record_list_release(RecordList *list);
#define AUTO_RECORD_LIST __attribute__((cleanup(record_list_release))) RecordList
