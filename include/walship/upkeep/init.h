/*
 * Setting walship up beside a server: what this machine has is found by looking (init_find_servers(), init_ask_server());
 * what is to be done about it is decided by init_plan(), which is pure; and then each step is done, and can be done again.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "walship/base/buf.h"
#include "walship/base/error.h"
#include "walship/base/strs.h"

/* A server that runs on this machine, by the lock file beside its socket (PostgreSQL: miscadmin.h, LOCK_FILE_LINE_*). */
typedef struct FoundServer
{
	char *data_directory;
	char *socket_directory;
	int port;
	uid_t owner; /* of its data directory, whose user runs it */
} FoundServer;

typedef struct FoundServers
{
	FoundServer *items;
	size_t count;
	size_t capacity;
} FoundServers;

void found_servers_release(FoundServers *servers);
#define AUTO_FOUND_SERVERS __attribute__((cleanup(found_servers_release))) FoundServers

/*
 * Those with a socket in these directories that this user may see, by port and directory; each server once.  NULL: where
 * PostgreSQL and Debian put sockets, and when there are none, by the processes.
 */
void init_find_servers(const char *const *directories, FoundServers *ret_servers);

/* The one whose postmaster.pid lies in this directory: ERR_TRANSIENT when none runs there. */
Error *init_find_server_in(const char *data_directory, FoundServers *ret_servers) MUST_CHECK;

/* Debian's clusters, "15/main" (a folder such as /etc/postgresql); none is no error. */
void init_list_debian_clusters(const char *folder, StrList *ret_clusters);

/* A setting of the server: as it runs, and as its files have it, which is what a reload or a restart makes of it. */
typedef struct ServerSetting
{
	char *running;
	char *next;
	bool fixed; /* on its command line: nothing in a file changes it */
} ServerSetting;

typedef enum ServerSettingId
{
	SERVER_ARCHIVE_MODE,
	SERVER_ARCHIVE_COMMAND,
	SERVER_ARCHIVE_LIBRARY, /* "" before PostgreSQL 15 */
	SERVER_ARCHIVE_TIMEOUT, /* as it runs in seconds */
	SERVER_WAL_LEVEL,
	SERVER_MAX_WAL_SENDERS,
	SERVER_SETTINGS,
} ServerSettingId;

/* What a server says of itself. */
typedef struct ServerFacts
{
	int version; /* 150020 */
	uint64_t system_identifier;
	char *data_directory;
	char *config_file;
	char *hba_file;
	char *role;
	bool is_superuser;
	bool in_recovery;
	bool no_alter_system; /* allow_alter_system is off (PostgreSQL 17) */
	ServerSetting settings[SERVER_SETTINGS];
	char *no_backups; /* why a connection for replication is refused; NULL: it is not */
} ServerFacts;

void server_facts_release(ServerFacts *facts);

/* By a connection for SQL and one for replication. */
Error *init_ask_server(const char *conninfo, ServerFacts *ret_facts) MUST_CHECK;

/* Is there what is needed, or can it be made? */
typedef enum InitPlace
{
	INIT_PLACE_THERE,
	INIT_PLACE_CAN_BE_MADE,
	INIT_PLACE_NEEDS_ROOT,
	INIT_PLACE_LOST, /* it was there: settings name it */
} InitPlace;

/* How timers are made. */
typedef enum InitTimers
{
	INIT_TIMERS_ON,       /* they are enabled, or there is a file for cron */
	INIT_TIMERS_SYSTEMD,  /* systemd runs, and has the units */
	INIT_TIMERS_NO_UNITS, /* systemd runs, and has not */
	INIT_TIMERS_CRON,     /* there is no systemd */
} InitTimers;

/* Everything that is looked at.  Strings may be NULL where it says so, and are the caller's. */
typedef struct InitFacts
{
	bool is_root;
	const char *user; /* that runs the server */
	const ServerFacts *server;

	const char *program;  /* absolute */
	bool program_runs;    /* the server's user may execute it */
	const char *command;  /* archive_command as it is to be */
	bool command_is_ours; /* the one that the server has is another spelling of it */

	const char *config;       /* path of the settings file */
	const char *config_wrong; /* why it cannot be used as it is; NULL: it can, or is not there */
	const char *config_hint;  /* the remedy; NULL */
	const char *config_lacks; /* "store, pgdata": what is to be written into it; NULL: nothing */
	bool config_exists;
	bool config_can_be_written;

	const char *state_dir;
	InitPlace state_dir_place;

	const char *store; /* URL, without a password; NULL: not known yet, somebody is to be asked */
	bool store_is_directory;
	InitPlace store_place;
	bool store_has_others; /* other database systems, and not this one */

	const char *secret_file; /* where the credentials' secret is; NULL: none is needed */
	bool secret_exists;

	const char *key_file; /* NULL: none is wanted */
	bool key_exists;
	bool encrypts; /* by settings that are there, or given */

	bool has_backup;
	const char *backup; /* the newest one's id; NULL */

	const char *restart_command; /* NULL: it is not for us, such as in a container */

	InitTimers timers;
	const char *timers_names; /* units, or the lines for cron */
} InitFacts;

/* What was asked for. */
typedef struct InitOptions
{
	bool replace_archive_command;
	bool new_system;
	bool restart;
	bool no_backup;
	bool no_timers;
	bool shares_store; /* a cluster among several: the store may hold others */
} InitOptions;

typedef enum InitStepId
{
	INIT_SERVER,
	INIT_STATE,
	INIT_STORE,
	INIT_KEY,
	INIT_SECRET,
	INIT_SETTINGS,
	INIT_TRY_STORE,
	INIT_ACCESS,
	INIT_ARCHIVING,
	INIT_RESTART,
	INIT_BACKUP,
	INIT_CHECK,
	INIT_TIMER,
	INIT_STEPS,
} InitStepId;

typedef enum InitState
{
	INIT_KEPT,     /* it is so already */
	INIT_TO_DO,    /* by us */
	INIT_LEFT_OUT, /* not asked for, or there is nothing to it */
	INIT_YOURS,    /* somebody else's; everything else goes on without it */
	INIT_WAITS,    /* for somebody, or for a step that does: another run goes on there */
	INIT_REFUSED,  /* and with it everything: nothing is done at all */
} InitState;

typedef struct InitStep
{
	InitState state;
	ErrorKind kind; /* of one that is refused */
	char *detail;
	char *hint; /* NULL */
} InitStep;

typedef struct InitPlan
{
	InitStep steps[INIT_STEPS];
	bool refused;
	InitStepId
		refused_by; /* the step whose reason counts: settings about something else come before all others */
	bool waits;
	size_t to_do;
} InitPlan;

void init_plan_release(InitPlan *plan);
#define AUTO_INIT_PLAN __attribute__((cleanup(init_plan_release))) InitPlan

/* Pure. */
void init_plan(const InitFacts *facts, const InitOptions *options, InitPlan *ret_plan);

const char *init_step_name(InitStepId id);

/* Does this archive_command archive nothing, as one that only holds the place? */
bool init_command_is_placeholder(const char *command);

/* So many of the server's settings as differ from what they are to be, "name = value" each, in the order in which they are set. */
void init_list_settings(const ServerFacts *server, const char *command, bool command_is_ours,
                        StrList *ret_names, StrList *ret_values);

/* Does the server need a restart, once these are set? */
bool init_needs_restart(const ServerFacts *server);

/* ALTER SYSTEM for each, then a reload, then waits until what needs no restart is so. */
Error *init_set_archiving(const char *conninfo, const ServerFacts *server, const char *command,
                          bool command_is_ours) MUST_CHECK;

/*
 * The line that lets this role take backups over the server's socket, before all others of its pg_hba.conf; reloads, and
 * waits until a connection for replication works.
 */
Error *init_add_hba_line(const char *conninfo, const ServerFacts *server) MUST_CHECK;
char *init_hba_line(const char *role);                                          /* the caller frees */
void init_hba_text(const char *text, size_t size, const char *line, Buf *into); /* pure */

/* How this server is restarted here, as words of a command line; none: by nobody here. */
typedef struct InitRestart
{
	StrList words;
	char *directory; /* where they are run; NULL: anywhere */
	bool as_user;    /* as the server's user, else as root */
} InitRestart;

/*
 * The directory in which a server was started by these words (postmaster.opts), of which "-D" may be a relative path: pg_ctl
 * starts it again by just these.  False: it cannot be told; "/" when it does not matter.  Pure; the caller frees.
 */
bool init_started_in(const char *words, const char *data_directory, char **ret_directory);

void init_find_restart(const ServerFacts *server, bool is_root, InitRestart *ret_restart);
