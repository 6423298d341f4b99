/*
 * A recovery, from what is asked for to a directory in which a server can be
 * started.  A command, a drill and a copy do the same: fill in a Recovery, have
 * its plan made, show the plan if they like, and run it.  Everything is decided
 * and checked before the data directory is touched.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "walship/age/age.h"
#include "walship/archive/catalog.h"
#include "walship/backup/restore.h"
#include "walship/base/error.h"
#include "walship/base/notice.h"
#include "walship/base/strs.h"
#include "walship/plan/recover.h"
#include "walship/recovery/drop.h"
#include "walship/ship/tablespaces.h"
#include "walship/store/store.h"

/* One that is made in the WAL that will be replayed. */
typedef struct CreatedTablespace
{
	uint32_t oid;
	XLogRecPtr lsn;
	char *path;  /* as the record says; owned */
	char *place; /* where it goes: in a copy elsewhere; NULL: the data directory is not known; owned */
} CreatedTablespace;

/* Of one directory to be made. */
typedef struct DiskSpace
{
	const char *path;   /* not owned */
	uint64_t needed;    /* on its file system, bytes, by all that goes there */
	uint64_t available; /* to an ordinary user */
} DiskSpace;

typedef struct Recovery
{
	/* What is asked for: set by the caller, who keeps all that is not said to be owned. */
	Store *store;
	Catalog *catalog;                /* of that store; what is found of its backups' objects is noted in it */
	const AgeIdentities *identities; /* NULL: nothing can be decrypted */
	RecoveryRequest request;         /* a drop or a restored backup, once found, is put into it */
	DropRequest drop;                /* for TARGET_BEFORE */
	char *pgdata;                    /* absolute; NULL: there is to be a plan and no more; owned */
	char *waldir; /* where pg_wal goes, with a link to it; NULL: into the data directory; owned */
	TablespaceMappings mappings;  /* of tablespaces that go elsewhere; owned */
	bool move_aside;              /* renames what is in the way instead of refusing it */
	bool yes;                     /* a copy may also take the place of a server that archived */
	bool config_only;             /* pgdata was restored by other means: only the settings are written */
	const char *program;          /* absolute path of walship, for restore_command */
	const char *flags;            /* by which it has these settings there: "" or " --store=... ..." */
	const char *primary_conninfo; /* of a standby; "" when there is none */
	const char *primary_slot_name;
	bool
		leased; /* the caller holds a lease on the backup and its WAL, as long as it needs them: none is taken here */
	const char *state_dir; /* where what indexes told is remembered; NULL: nowhere */
	int jobs;              /* requests, then parts, at a time */
	void (*on_bytes)(void *context, uint64_t bytes); /* restored; from several threads; may be NULL */
	void *on_bytes_context;
	Notices notices;

	/* Found by recovery_make_plan(). */
	RecoveryPlan *plan;
	RestoreTablespace *tablespaces; /* of the plan's backup: where they go */
	size_t n_tablespaces;
	StrList places;             /* the memory of their paths */
	CreatedTablespace *created; /* by the WAL of the plan, in its order; owned */
	size_t n_created;
	size_t created_capacity;
	StrList
		directories; /* outside the data directory, that will be written: of all these tablespaces, each once */
	DiskSpace *spaces; /* of the data directory and each tablespace; none where nothing will be restored */
	size_t n_spaces;
	char *settings;       /* the lines that postgresql.auto.conf will get */
	bool archives_itself; /* archive_mode and archive_command, ours, are among them */
	char *
		archive_library; /* of a server that goes live: its own settings name it, so ours are not; owned; NULL: none */
	bool unreachable; /* what ERR_NOT_FOUND says: the target, not something else, is out of reach */

	/* Done by recovery_run(). */
	StrList start_warnings; /* sentences: where the restored settings lead away from the restored directory */
	char *start_options;    /* for postgres, quoted for a shell, with which it runs there all the same; NULL:
	                           none are needed; owned */
	StrList moved;          /* directories that were moved aside: their names now end in */
	char *suffix;           /* ".before-20261120T023007.123Z" */

	/* For recovery_run() itself. */
	StrList made; /* directories that did not exist before, parents first */
	bool locked;  /* the data directory, against another run, */
	int lock;     /* by this descriptor */
} Recovery;

/* The server refuses to run as root, and root's files would be of no use to it: ERR_USAGE, of that command. */
Error *recovery_check_user(const char *command) MUST_CHECK;

/*
 * Touches nothing.  ERR_NOT_FOUND with "unreachable" set: there is no suitable
 * backup, or the target cannot be reached; see plan_recover().  ERR_DENIED,
 * naming object and fingerprints, when what is needed is encrypted and no
 * identity opens it.  ERR_USAGE: the backup has no such tablespace, a setting
 * would be too long.
 */
Error *recovery_make_plan(Recovery *recovery) MUST_CHECK;

/*
 * Once there is a plan: would recovery_run() refuse to begin?  Touches nothing.
 * Without a directory there is nothing to refuse.
 */
Error *recovery_check(const Recovery *recovery) MUST_CHECK;

/*
 * Once there is a plan: restores and configures.  ERR_EXISTS when a directory is
 * in use or not empty, or when a server still archives where this one will go live, ERR_SYSTEM when there is not enough space.  After a
 * failure everything is as before, so far as that is possible; what is not is
 * told as a notice.
 */
Error *recovery_run(Recovery *recovery) MUST_CHECK;

void recovery_release(Recovery *recovery);

#define AUTO_RECOVERY __attribute__((cleanup(recovery_release))) Recovery
