/* The part of "walship check" that is about the server: can it be backed up, and does it archive here? */
#pragma once

#include <stdint.h>

#include "check_report.h"
#include "walship/base/error.h"
#include "walship/config/settings.h"
#include "walship/pg/server.h"

/* For what only the archiver can tell. */
#define CHECK_LOG_HINT "Why is in the server's log, in lines that begin with \"walship:\"."

typedef struct CheckedServer
{
	Server *replication; /* as "walship backup" connects; NULL: it cannot, or it is another system's server */
	Server *sql;         /* NULL: this role may not */
	ServerIdentity identity;
	char *data_directory; /* where it can be looked into from here; NULL: nowhere */
	bool in_recovery;
	bool archives; /* here and with these settings, by what it says of itself */
} CheckedServer;

/*
 * Connects as "walship backup" does; so the role and pg_hba.conf are looked at, too.
 * "data_directory" may be NULL: then it is the server's own.  Release it in any case.
 */
void check_server(const Settings *settings, const char *program, const char *data_directory,
                  CheckReport *report, CheckedServer *ret_server);

/*
 * Is this archive_command walship's, with these settings?  Compared as text: it is walship's, and where the settings have
 * a file or a section, it names the same.
 */
bool check_command_is_ours(const Settings *settings, const char *command);

void checked_server_release(CheckedServer *server);
