/* Writes into a restored data directory what makes the server recover as planned. */
#pragma once

#include <stddef.h>

#include "walship/backup/restore.h"
#include "walship/base/buf.h"
#include "walship/base/error.h"
#include "walship/plan/recover.h"

typedef struct RecoverConfig
{
	const char *program; /* absolute path of walship */
	const char *flags; /* by which it has these settings: "" or " --store=...": see settings_append_flags() */
	const RecoveryPlan *plan;
	const char *pgdata;
	const RestoreTablespace *tablespaces; /* where they are now */
	size_t n_tablespaces;
	const char *primary_conninfo; /* "" when there is none */
	const char *primary_slot_name;
} RecoverConfig;

/* tablespace_map, postgresql.auto.conf and, as the last one, the signal file. */
Error *recover_config_write(const RecoverConfig *config) MUST_CHECK;

/* The lines that postgresql.auto.conf gets, without writing them; ERR_USAGE when one is too long. */
Error *recover_config_print(const RecoverConfig *config, Buf *into) MUST_CHECK;

/*
 * Which backup was restored into pgdata by other means?  By its backup_label;
 * sets request->backup_id.  ERR_NOT_FOUND when it is none of the catalog's.
 */
Error *recover_config_find_backup(const char *pgdata, const Catalog *catalog, RecoveryRequest *request)
	MUST_CHECK;
