/* Between the files of a copy: walship/upkeep/copy.h. */
#pragma once

#include <pthread.h>

#include "walship/base/workers.h"
#include "walship/pipe/stages.h"
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
	const Digest
		*digest; /* as a record has it; outlives the sending; NULL: the object tells itself, or nobody does */
	bool *
		ret_failed; /* set when it could not be sent, being damaged, gone or another one there; may be NULL */
} CopyItem;

void copy_sender_init(CopySender *sender, StoreCopy *copy);
void copy_sender_submit(CopySender *sender, const CopyItem *item); /* copies the key */
Error *copy_sender_wait(CopySender *sender) MUST_CHECK;            /* until all have ended */
void copy_sender_stop(CopySender *sender);                         /* until those that run have ended */
void copy_sender_release(CopySender *sender);

/* Takes the reason's ownership. */
void copy_add_finding(StoreCopy *copy, StoreCopyProblem problem, const char *key, char *reason);

/* Are these the same, although they were stored by two writers, as two servers compress differently? */
Error *copy_compare(StoreCopy *copy, const char *key, uint64_t source_size, uint64_t target_size,
                    StoreCopyProblem *ret_problem, char **ret_difference) MUST_CHECK;
