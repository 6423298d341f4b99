/* What belongs to a server of ours; see walship/recovery/server.h. */
#pragma once

#include "walship/recovery/server.h"

#define SERVER_DIRECTORY "walship_server"
#define SERVER_NOTE      "server.json"
#define SERVER_LOG       "log"
#define SERVER_WAL       "wal"
#define SOCKETS_BEGIN \
	"/tmp/walship-"      /* of a directory for the socket, where a path in SERVER_DIRECTORY is too long */
#define SOCKETS_RANDOM 6 /* bytes behind it, as digits */
#define POLL_MS        50

char *server_file(const char *pgdata, const char *name); /* "": the directory itself; the caller frees */

Error *server_note_write(const char *pgdata, const ServerNote *note) MUST_CHECK;

/* The lock on the data directory, which the server's processes keep.  ERR_EXISTS: somebody has it. */
Error *server_lock(const char *pgdata, int *ret_lock) MUST_CHECK;
