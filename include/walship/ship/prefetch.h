/*
 * Getting segments ahead of a recovery.  They wait in a directory of their own below
 * state_dir, the spool: whole, checked and durable, under their own names.  One
 * process, which a fetch starts and nobody waits for, puts them there; each fetch
 * takes one out.
 *
 * A spool belongs to one data directory, database system and store: its name is a
 * digest of them.  Everything in it may be lost at any time, and costs a request
 * then.  In it are
 *     <SEGMENT>               ready to be taken
 *     <SEGMENT>.walship-tmp   being got; locked by whoever gets it, so that nobody else does
 *     last                    the segment that the server got last: fetch writes it, the process follows
 *     lock                    held by the process as long as it lives
 *
 * The process keeps the next segments in the spool, on the timelines along which the
 * server goes.  It does not get over anything: behind a segment that it cannot get,
 * be it the archive's end or a failure, it looks for nothing, and when the server has
 * come there, it leaves.  What follows then is fetch's to find out and to say, and the
 * next fetch that had to get a segment itself starts another one.
 */
#pragma once

#include "walship/ship/fetch.h"

/*
 * The process; it inherits the lock, which tells it that it was a fetch that started it.
 * "plan_end" is the last segment that is wanted, or NULL.  Returns when
 * nobody asks for a while, the recovery is over, or there is nothing left to get; the
 * spool is removed then.
 */
Error *prefetch_run(const FetchSource *source, const WalName *plan_end) MUST_CHECK;
