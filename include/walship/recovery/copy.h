/*
 * A copy that runs: restored, started, brought to its target, moved on to a later
 * one, ended.  A command and a drill do the same.
 */
#pragma once

#include "walship/recovery/recover.h"
#include "walship/recovery/server.h"

typedef struct CopyOptions
{
	const char *programs;  /* directory of PostgreSQL's programs; NULL: where they usually are */
	const char *libraries; /* that the server may load at its start; "": none */
	uint64_t wal_max; /* bytes of WAL on this machine at a time, unless it is kept; 0: as there is room */
	int port;         /* of this machine's loopback, too; 0: a Unix socket only */
	bool kept;
	NetworkFence fence;
} CopyOptions;

/* Sets server->note by plan and options; before anything is restored: ERR_SYSTEM when there are no programs for it. */
Error *copy_prepare(const Recovery *recovery, const CopyOptions *options, PrivateServer *server) MUST_CHECK;

/*
 * Once recovery_run() is done: brings the WAL along, so that the server needs no store.  What does
 * not fit comes while it is replayed: then server->window is set, and the recovery must last as long.
 */
Error *copy_stage_wal(const Recovery *recovery, uint64_t wal_max, PrivateServer *server) MUST_CHECK;

/* Starts it and waits for the target; after an error it does not run. */
Error *copy_start(PrivateServer *server, ServerProgress *ret_progress) MUST_CHECK;

/*
 * For a copy that pauses at its target: which backup and timeline it is of, for
 * the plan to a later one.  ERR_USAGE when it is none, or has been promoted.
 */
Error *copy_prepare_forward(Recovery *recovery, PrivateServer *server) MUST_CHECK;

/*
 * Once there is a plan.  ERR_NOT_FOUND with recovery->unreachable: the copy is
 * beyond that target already, and a server does not go back; given a time, it would
 * say nothing and stay where it is.
 */
Error *copy_check_forward(Recovery *recovery, const PrivateServer *server) MUST_CHECK;
Error *copy_forward(Recovery *recovery, PrivateServer *server, ServerProgress *ret_progress) MUST_CHECK;

/* Ends it; "remove": with its directory and what it has in those of its tablespaces. */
Error *copy_stop(const char *pgdata, bool remove) MUST_CHECK;
