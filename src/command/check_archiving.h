/* The part of "walship check" that is about the server: does it archive, here, with this program? */
#pragma once

#include <stdint.h>

#include "walship/base/error.h"
#include "walship/config/settings.h"
#include "walship/pg/server.h"

/*
 * Connects as "walship backup" does; so the role and pg_hba.conf are looked at, too.
 * ERR_USAGE: it is another database system than that of the data directory.  The
 * detail is the caller's to free.
 */
Error *check_server(uint64_t system_identifier, Server **ret_server, char **ret_detail) MUST_CHECK;

/*
 * wal_level, archive_mode, and that archive_command is this "walship push" with these
 * settings; how much waits in pg_wal.  ERR_USAGE names the setting, its hint the remedy.
 */
Error *check_archiving(const Settings *settings, Server *server, const char *program,
                       const char *data_directory, char **ret_detail) MUST_CHECK;
