/* Between the files of a copy: walship/upkeep/copy.h. */
#pragma once

#include <pthread.h>

#include "walship/base/workers.h"
#include "walship/pipe/stages.h"
#include "walship/store/cursor.h"
#include "walship/upkeep/copy.h"

/* Objects on their way, by as many threads as there are jobs. */
typedef struct CopySender
{
	StoreCopy *copy;
	Workers *workers;
	pthread_mutex_t mutex; /* over what follows, and the counts and findings of the copy */
	pthread_cond_t wake;
	bool stop;   /* those that have not begun do not begin */
	int waiting; /* jobs that were submitted and have not ended: bounded */
} CopySender;

/* One object that the target lacks. */
typedef struct CopyItem
{
	StoreCopyKind kind;
	const char *key;
	uint64_t size;
	const Digest *digest; /* as a record has it; outlives it; NULL: the object tells itself, or nobody does */
	PutMode mode;         /* PUT_REPLACE: in place of a damaged one, in one write */
	bool foreign;         /* what is there is whole, and belongs elsewhere */
	bool *ret_failed;     /* set when it could not be sent: damaged, gone, another one there; may be NULL */
} CopyItem;

void copy_sender_init(CopySender *sender, StoreCopy *copy);
void copy_sender_submit(CopySender *sender, const CopyItem *item); /* copies the key */
Error *copy_sender_wait(CopySender *sender) MUST_CHECK;            /* until all have ended */
void copy_sender_stop(CopySender *sender);                         /* until those that run have ended */
void copy_sender_release(CopySender *sender);

/*
 * One object from the copy's source to its target.  ERR_NOT_FOUND, ERR_CORRUPT: of the
 * source's, read three times; ERR_EXISTS: the target has one.
 */
Error *copy_send_object(StoreCopy *copy, const CopyItem *item) MUST_CHECK;

/* Is the source's whole, as far as a sending would tell? */
Error *copy_check_object(StoreCopy *copy, const CopyItem *item) MUST_CHECK;

/* Takes the reason's ownership. */
void copy_add_finding(StoreCopy *copy, StoreCopyProblem problem, const char *key, char *reason);

/* Are these the same, although they were stored by two writers, as two servers compress differently? */
Error *copy_compare(StoreCopy *copy, const char *key, uint64_t source_size, uint64_t target_size,
                    StoreCopyProblem *ret_problem, char **ret_difference) MUST_CHECK;

/* Through both stores, prefix by prefix. */
typedef struct CopyWalk
{
	StoreCopy *copy;
	CopySender *sender; /* NULL: it is only looked what is missing */
} CopyWalk;

/* What is to be copied. */
bool copy_wants_backup(const StoreCopy *copy, const char *id);
bool copy_wants_wal(const StoreCopy *copy, const char *key);
const BackupRecord *copy_record_of(const StoreCopy *copy,
                                   const char *id); /* NULL: it has none that can be read */

/* Over counts and findings. */
void copy_walk_lock(const CopyWalk *walk);
void copy_walk_unlock(const CopyWalk *walk);

/* *ret_lacking: the target has none of this key.  Another one there is a finding. */
Error *copy_walk_compare(CopyWalk *walk, const StoreEntry *entry, StoreCursor *target, bool *ret_lacking)
	MUST_CHECK;

/* The target has not this one: it is counted, or sent. */
void copy_walk_lack(CopyWalk *walk, const CopyItem *item);

/* Those under way must have come before what relies on them. */
Error *copy_walk_wait(CopyWalk *walk) MUST_CHECK;

/* Between two objects: cancelled, or has one failed? */
Error *copy_walk_go_on(CopyWalk *walk) MUST_CHECK;

Error *copy_walk_wal(CopyWalk *walk) MUST_CHECK;
Error *copy_walk_pins(CopyWalk *walk) MUST_CHECK;

/* Objects that a record in their directory holds together, and makes exist. */
typedef enum CopySets
{
	COPY_BACKUPS,
	COPY_DUMPS,
	COPY_FILES,
} CopySets;

Error *copy_walk_sets(CopyWalk *walk, CopySets sets) MUST_CHECK;
