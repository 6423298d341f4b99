/*
 * A server that walship starts itself, in a directory that it has restored: for a
 * copy to look at, which is kept, and for a drill, whose server does not outlive
 * it, even when it is killed.  It sees the settings of
 * walship/recovery/server_settings.h, WAL that was staged before, a Unix socket and,
 * where the kernel allows that, no network.
 *
 * What belongs to it lies in <data directory>/walship_server:
 *     postgresql.conf, pg_hba.conf, pg_ident.conf    nothing of the backup's
 *     wal/                                           staged WAL
 *     log                                            what it said
 *     server.json                                    where and how it was started
 * As long as any of its processes lives, the data directory is locked (flock), in
 * whatever namespace they are.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "walship/base/clock.h"
#include "walship/base/error.h"
#include "walship/base/strs.h"
#include "walship/pg/server.h"
#include "walship/recovery/wal_window.h"
#include "walship/wal/lsn.h"

typedef enum NetworkFence
{
	FENCE_AUTO,    /* where the kernel allows it */
	FENCE_REQUIRE, /* or no server */
	FENCE_OFF,
} NetworkFence;

/* server.json: what a later command must know of it. */
typedef struct ServerNote
{
	char *sockets; /* directory of its Unix socket */
	uint64_t port;
	bool listens; /* on localhost, too */
	bool no_network;
	int major;
	char *programs;  /* directory of PostgreSQL's programs */
	char *libraries; /* that are loaded at its start */
	char *backup;    /* id of the backup that it was made of */
	TimeLineID timeline;
	XLogRecPtr
		stop_lsn; /* the record at which its recovery stops; InvalidXLogRecPtr: at the end of the WAL */
	StrList tablespaces; /* their directories */
} ServerNote;

void server_note_release(ServerNote *note);
#define AUTO_NOTE __attribute__((cleanup(server_note_release))) ServerNote

/* ERR_USAGE when no server of ours was started in this directory. */
Error *server_note_read(const char *pgdata, ServerNote *ret_note) MUST_CHECK;

typedef struct PrivateServer
{
	const char *pgdata; /* absolute; the caller's */
	ServerNote note;
	bool kept; /* lives on when this process has ended */
	NetworkFence fence;
	char *fence_reason; /* why there is a network all the same; NULL: there is none, or none was wanted */
	WalWindow *window;  /* what brings its WAL while it replays; NULL: all is there */
	char *user;         /* who connects; found at the first connection */
	pid_t pid;          /* the postmaster; 0: not started */
} PrivateServer;

/* "<pgdata>/walship_server/wal"; the caller frees. */
char *private_server_wal_directory(const char *pgdata);

/* Makes its directories and configuration, once the data directory is restored; sets note.sockets. */
Error *private_server_prepare(PrivateServer *server) MUST_CHECK;

/* ERR_EXISTS: something runs in this directory.  ERR_DENIED: the fence is required and cannot be had. */
Error *private_server_start(PrivateServer *server) MUST_CHECK;

typedef enum ServerState
{
	SERVER_STARTING, /* not yet consistent: it takes no connections */
	SERVER_REPLAYING,
	SERVER_PAUSED,
	SERVER_OPEN,  /* recovery has ended */
	SERVER_ENDED, /* it stopped in order */
} ServerState;

typedef struct ServerProgress
{
	ServerState state;
	int64_t consistent_ms; /* after the start; -1: not yet */
	int64_t reached_ms;    /* the same of the target */
	XLogRecPtr replay_lsn; /* after the last record that was replayed */
	TimeUs last_xact_time; /* of the last commit or abort that was replayed; TIME_NONE: there was none */
} ServerProgress;

/*
 * Until its recovery has ended, pauses or shut it down.  "stop_lsn" of its note is
 * where it may pause at the earliest.  ERR_CORRUPT, with the server's own last
 * words, when it gives up; ERR_CANCELLED; what wal_window_advance() says.  *ret_progress
 * is how far it came, after an error, too.
 */
Error *private_server_wait(PrivateServer *server, ServerProgress *ret_progress) MUST_CHECK;

/* As superuser.  "options": as in ServerAddress, besides our own. */
Error *private_server_connect(PrivateServer *server, const char *database, Server **ret_connection)
	MUST_CHECK;

/* What the backup has for its roles and databases must not load libraries or cut answers off. */
#define PRIVATE_SERVER_OPTIONS                                                             \
	"-c session_preload_libraries= -c local_preload_libraries= -c statement_timeout=0 "    \
	"-c lock_timeout=0 -c search_path=pg_catalog,public -c datestyle=ISO -c timezone=UTC " \
	"-c session_replication_role=replica -c role=none"

/*
 * The environment of the server, and of a program that works on it: no address, no
 * password, no key.  "options" are PGOPTIONS; "": none.  NULL follows the last word.
 */
void private_server_environment(const char *options, StrList *words);

/* Fast; at once when that takes too long.  One that does not run is success. */
Error *private_server_stop(PrivateServer *server) MUST_CHECK;

/* Likewise by the directory: of one that another process has started. */
Error *private_server_stop_in(const char *pgdata) MUST_CHECK;

/* The last error in its log, without time and process; NULL: there is none.  The caller frees. */
char *private_server_last_words(const char *pgdata);

/* Removes sockets and shared memory that it left, and its directory; it does not run. */
Error *private_server_clear(const char *pgdata) MUST_CHECK;

/* Ends it at once unless it is kept. */
void private_server_release(PrivateServer *server);
#define AUTO_PRIVATE_SERVER __attribute__((cleanup(private_server_release))) PrivateServer
