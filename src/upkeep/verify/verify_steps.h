/* The steps of a verify, for verify.c alone, which has their order. */
#pragma once

#include <pthread.h>

#include "walship/base/workers.h"
#include "walship/pipe/codec.h"
#include "walship/pipe/stages.h"
#include "walship/plan/retain.h"
#include "walship/upkeep/verify.h"
#include "walship/wal/name.h"

/* verify_findings.c */

/* Takes ownership of key, backup and reason; the remedy is set here. */
void verify_add(Verify *verify, Finding finding);
void verify_note(Verify *verify, const char *format, ...) PRINTF_LIKE(2, 3);
void verify_sort_findings(Verify *verify);
void verify_drop_findings(Verify *verify, bool (*drop)(void *context, const Finding *finding), void *context);

/* verify_backups.c */

/* Records, and by one listing of base/ all objects of all backups. */
Error *verify_backups(Verify *verify) MUST_CHECK;

/* Is there a backup at all? */
void verify_expect_backup(Verify *verify);

/* Drops what was found of backups whose record has gone meanwhile: an expire removes records first. */
Error *verify_forget_removed(Verify *verify) MUST_CHECK;

/* verify_wal.c */

Error *verify_histories(Verify *verify) MUST_CHECK;
void verify_segment_sizes(Verify *verify);

/* Gaps and windows; segments whose index, read on the way, is not what it must be. */
Error *verify_windows(Verify *verify) MUST_CHECK;

/* What is wrong with this segment, by its index alone?  Nothing: *ret_found is false. */
Error *verify_index(const Verify *verify, TimeLineID timeline, XLogSegNo segno, Finding *ret_finding,
                    bool *ret_found) MUST_CHECK;

/* A finding of a segment; takes ownership of the reason. */
Finding verify_segment_finding(const Verify *verify, FindingKind kind, TimeLineID timeline, XLogSegNo segno,
                               char *reason);

/* verify_known.c */

/* Findings in gaps that are acknowledged do not count. */
Error *verify_apply_known(Verify *verify) MUST_CHECK;

/* verify_evidence.c */

/* With choice.rotate: the part that comes after the one that was read last. */
Error *verify_choose_slice(Verify *verify) MUST_CHECK;

/* verify_deep.c */

/* A deep verify: several threads add to the one Verify. */
typedef struct DeepVerify
{
	Verify *verify;
	pthread_mutex_t mutex; /* over findings and reads */
} DeepVerify;

/* Reads what is chosen.  What is not there any more is left to the lists, which come after it. */
Error *verify_deep(Verify *verify) MUST_CHECK;
void deep_add(DeepVerify *deep, Finding finding);

/* One object was read: of a backup, or a segment. */
void deep_count(DeepVerify *deep, bool segment, uint64_t stored_size, bool locked);
void deep_count_bytes(void *deep, uint64_t bytes); /* for on_bytes */

/* verify_place.c: a plain deep verify that was broken off goes on */

void verify_find_place(Verify *verify);
bool verify_was_read(const VerifyChoice *choice, const char *key, TimeUs modified);

/* All up to this key was read; "all_below": and what it is the beginning of. */
void deep_note_place(DeepVerify *deep, const char *key, bool all_below);
void verify_forget_place(const Verify *verify);

/* verify_stored.c */

/* An object that is read by itself. */
typedef struct StoredObjectLook
{
	DeepVerify *deep;
	FindingObject object;
	char *key;
	char *owner; /* the finding's "backup" */
	Codec codec;
	bool encrypted;
	bool locked; /* only the stored bytes are hashed */
	uint64_t raw_size;
	Digest stored;
} StoredObjectLook;

/* As a job; of the look copies are made. */
void deep_submit_stored(Workers *workers, const StoredObjectLook *look);

/* verify_named.c: dumps and sets of files */

Error *verify_named(Verify *verify) MUST_CHECK;
Error *verify_deep_named(DeepVerify *deep) MUST_CHECK;

/* verify_small.c: pins, acknowledged gaps, leases; deep: evidence and backup history files, too */

Error *verify_small(Verify *verify) MUST_CHECK;
Error *verify_deep_small(DeepVerify *deep) MUST_CHECK;

/* verify_deep_wal.c */

Error *verify_deep_wal(DeepVerify *deep) MUST_CHECK;
