/* The steps of a verify, for verify.c alone, which has their order. */
#pragma once

#include "walship/plan/retain.h"
#include "walship/upkeep/verify.h"
#include "walship/wal/name.h"

/* verify_findings.c */

/* Takes ownership of key, backup and reason; the remedy is set here. */
void verify_add(Verify *verify, Finding finding);
void verify_note(Verify *verify, const char *format, ...) PRINTF_LIKE(2, 3);
void verify_sort_findings(Verify *verify);

/* verify_backups.c */

/* Records, and by one listing of base/ all objects of all backups. */
Error *verify_backups(Verify *verify) MUST_CHECK;

/* Drops what was found of backups whose record has gone meanwhile: an expire removes records first. */
Error *verify_forget_removed(Verify *verify) MUST_CHECK;

/* verify_wal.c */

Error *verify_histories(Verify *verify) MUST_CHECK;
void verify_segment_sizes(Verify *verify);

/* Gaps and windows; segments whose index, read on the way, is not what it must be. */
Error *verify_windows(Verify *verify) MUST_CHECK;

/* What is wrong with this segment, by its index alone: a finding, or nothing. */
Error *verify_index(Verify *verify, TimeLineID timeline, XLogSegNo segno) MUST_CHECK;
