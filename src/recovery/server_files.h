/* What belongs to a server of ours; see walship/recovery/server.h. */
#pragma once

#include "walship/recovery/server.h"

#define SERVER_DIRECTORY "walship_server"
#define SERVER_NOTE      "server.json"
#define SERVER_LOG       "log"
#define SERVER_WAL       "wal"

char *server_file(const char *pgdata, const char *name); /* "": the directory itself; the caller frees */

Error *server_note_write(const char *pgdata, const ServerNote *note) MUST_CHECK;
