/* What "walship init" works on: this machine as it was found, and what was asked for.  Shared by the files init*.c only. */
#pragma once

#include "command.h"
#include "init_user.h"
#include "walship/upkeep/init.h"

/* A line for the settings file. */
typedef struct WantedSetting
{
	char *name;
	char *value;
} WantedSetting;

typedef struct InitMachine
{
	const Invocation *invocation;
	InitOptions options;
	bool is_root;
	Settings *given; /* environment and command line */

	/* The server. */
	InitUser user;
	char *conninfo;
	char *data_directory; /* as its lock file has it, until the server is asked; NULL: not known */
	ServerFacts server;
	InitRestart restart;
	char *restart_command; /* its words, for people; NULL */

	/* Settings. */
	char *config;
	char *directory;     /* where that lies */
	const char *cluster; /* NULL: none */
	Settings *
		file; /* what the file says, or what a section that is to be made would inherit; NULL: there is no file */
	bool has_section; /* or none is needed */
	WantedSetting *wanted;
	size_t n_wanted;
	size_t wanted_capacity;
	char *config_wrong;
	char *config_hint;
	char *config_lacks;

	/* What they will say, or what somebody answered. */
	char *store;
	char *store_directory; /* of file:///directory; NULL: a bucket */
	char *state_dir;
	char *access_key_id;
	char *secret; /* of the store; NULL: none was given */
	char *secret_file;
	char *key_file;
	char *backup;
	char *command;
	char *timers_names;

	InitFacts facts; /* its strings are the ones above */
} InitMachine;

void init_machine_release(InitMachine *machine);
#define AUTO_INIT_MACHINE __attribute__((cleanup(init_machine_release))) InitMachine

/* Finds the server, and reads the settings that there are.  Nothing is changed. */
Error *init_look_for_server(const Invocation *invocation, InitMachine *machine) MUST_CHECK;

#define FILE_SCHEME "file://"
#define S3_SCHEME   "s3://"

/* What the settings file says of this server, not of another one; NULL: nothing. */
const char *init_text_in_file(const InitMachine *machine, SettingId id);

/* Of the environment, for a value that is AWS's: the archiver will not have it.  NULL: neither is set. */
const char *init_variable(const char *name, const char *other);

/* Does the file say something else than what was asked for, or is it about another server?  Then config_wrong says so. */
bool init_settings_contradict(InitMachine *machine);

/* What the file lacks: "wanted", and "config_lacks" for people. */
void init_want_settings(InitMachine *machine);
void init_list_what_lacks(InitMachine *machine);

/* Everything else, once store and credentials are known. */
Error *init_look_at_machine(InitMachine *machine) MUST_CHECK;

/* Is a store to be asked for; and for one on S3, credentials? */
bool init_lacks_store(const InitMachine *machine);
bool init_lacks_credentials(const InitMachine *machine);

/* At a terminal; what is there is not asked for. */
Error *init_ask(InitMachine *machine) MUST_CHECK;
bool init_ask_restart(const char *command);

/* Without one it must have been said. */
Error *init_check_answers(const InitMachine *machine) MUST_CHECK;

/* Does one step.  *ret_detail says what came of it, when that is more than the plan said; *ret_status: of a command that failed. */
Error *init_do(InitMachine *machine, InitStepId id, char **ret_detail, int *ret_status) MUST_CHECK;
