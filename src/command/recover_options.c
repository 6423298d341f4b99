/* What "walship recover" was asked for. */
#include "recover_options.h"

#include <stdlib.h>
#include <string.h>

#include "option_values.h"
#include "walship/base/clock.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/base/strs.h"

#define XID_PREFIX "xid:"

const CommandOption recover_command_options[N_RECOVER_OPTIONS] = {
	{"target-time", OPTION_VALUE, "TIME", "up to this time, such as \"2026-11-20 14:01:58+01\""},
	{"target-lsn", OPTION_VALUE, "LSN", "up to the record at this place in the WAL"},
	{"target-xid", OPTION_VALUE, "XID", "up to the end of this transaction"},
	{"target-name", OPTION_VALUE, "NAME", "up to this restore point"},
	{"before-drop", OPTION_MAYBE, "WHICH",
     "up to just before a drop; a number of \"walship find\", or xid:XID"},
	{"before", OPTION_VALUE, "xid:XID", "up to just before the commit of this transaction, such as a DELETE"},
	{"since", OPTION_VALUE, "TIME", "with --before-drop: not before this time"},
	{"until", OPTION_VALUE, "TIME", "with --before-drop: not after this time"},
	{"immediate", OPTION_FLAG, NULL, "up to the end of the backup"},
	{"latest", OPTION_FLAG, NULL, "up to the end of the WAL in the store; say --copy or --rejoin, too"},
	{"from-backup-only", OPTION_FLAG, NULL, "up to the end of the backup, without the archive"},
	{"exclusive", OPTION_FLAG, NULL, "stop just before the target instead of just after it"},
	{"stop-by", OPTION_VALUE, "WHAT",
     "with --target-time, what the server is told: lsn, of the last commit that counts (default), or time"},
	{"timeline", OPTION_VALUE, "N",
     "along this timeline, or latest (default: the only one that holds the target)"},
	{"backup", OPTION_VALUE, "ID", "from this backup (default: the newest that ended before the target)"},
	{"copy", OPTION_FLAG, NULL, "a copy to look at: does not archive, pauses at the target (default)"},
	{"rejoin", OPTION_FLAG, NULL, "replaces the lost server: promotes at the target and archives on"},
	{"standby", OPTION_FLAG, NULL, "a standby: follows its primary; no target"},
	{"action", OPTION_VALUE, "ACTION", "at the target: pause, promote or shutdown"},
	{"pgdata", OPTION_VALUE, "DIR", "data directory to make (default: $PGDATA)"},
	{"tablespace-map", OPTION_MANY, "OLD=NEW", "put the tablespace of OLD into NEW; may be repeated"},
	{"waldir", OPTION_VALUE, "DIR",
     "put pg_wal into this directory, and a link to it into the data directory"},
	{"move-aside", OPTION_FLAG, NULL, "rename directories that are in the way"},
	{"yes", OPTION_FLAG, NULL, "with --move-aside: a copy may also take the place of a server that archived"},
	{"primary-conninfo", OPTION_VALUE, "TEXT", "with --standby: how it connects to its primary"},
	{"primary-slot-name", OPTION_VALUE, "NAME", "with --standby: its replication slot on the primary"},
	{"plan", OPTION_FLAG, NULL, "print the plan and touch nothing"},
	{"start", OPTION_FLAG, NULL,
     "start the copy, wait for the target, and say how to connect and how to end it"},
	{"port", OPTION_VALUE, "N", "with --start: listen on this port of localhost, too"},
	{"preload-libraries", OPTION_VALUE, "LIST",
     "with --start: what the copy may load at its start (default: nothing)"},
	{"network-fence", OPTION_VALUE, "WHEN",
     "with --start: no network for the copy: auto (where the kernel allows it; default), require or off"},
	{"forward", OPTION_FLAG, NULL, "move a copy that was started so on to a later target"},
	{"stop", OPTION_FLAG, NULL, "end a copy that was started so"},
	{"remove", OPTION_FLAG, NULL, "with --stop: and remove its directory"},
	{"config-only", OPTION_FLAG, NULL, "only write the settings into DIR, restored by other means"},
	{WITHOUT_SECOND_STORE, OPTION_FLAG, NULL, WITHOUT_SECOND_STORE_HELP},
	{"verbose", OPTION_FLAG, NULL, "print the settings that will be written, too"},
	{"json", OPTION_FLAG, NULL, "print the plan as JSON"},
	{"progress", OPTION_VALUE, "MODE", "how to show progress: auto (default), json or none"},
};

static const char *const targets[] = {
	[TARGET_TIME] = "target-time",
	[TARGET_LSN] = "target-lsn",
	[TARGET_XID] = "target-xid",
	[TARGET_NAME] = "target-name",
	[TARGET_BEFORE] = "before-drop",
	[TARGET_IMMEDIATE] = "immediate",
	[TARGET_LATEST] = "latest",
	[TARGET_BACKUP_ONLY] = "from-backup-only",
	"before", /* TARGET_BEFORE, too */
};
static const char *const purposes[] = {
	[PURPOSE_COPY] = "copy", [PURPOSE_REJOIN] = "rejoin", [PURPOSE_STANDBY] = "standby"};

static Error *
parse_action(const Invocation *invocation, RecoveryRequest *request)
{
	static const char *const names[] = {
		[ACTION_PAUSE] = "pause", [ACTION_PROMOTE] = "promote", [ACTION_SHUTDOWN] = "shutdown"};
	const char *text = invocation_value(invocation, "action");

	if (text == NULL)
		return NULL;
	if (request->purpose == PURPOSE_STANDBY)
		return error_new(ERR_USAGE, "a standby has no target, so no action at it");
	for (size_t i = 0; i < lengthof(names); i++)
		if (strcmp(names[i], text) == 0)
		{
			request->action = (RecoveryAction) i;
			return NULL;
		}
	return error_hint(error_new(ERR_USAGE, "action \"%s\" is not known", text),
	                  "It is pause, promote or shutdown.");
}

static Error *
parse_target_value(const Invocation *invocation, const char *option, RecoveryTarget *target)
{
	const char *text = invocation_value(invocation, option);

	switch (target->kind)
	{
		case TARGET_TIME:
			return option_time(invocation, option, &target->time);
		case TARGET_LSN:
			if (lsn_parse(text, &target->lsn))
				return NULL;
			return error_hint(error_new(ERR_USAGE, "\"%s\" is no place in the WAL", text),
			                  "It looks like 3/9A0011C0.");
		case TARGET_XID:
			if (option_xid(text, &target->xid, &target->full_xid))
				return NULL;
			return error_new(ERR_USAGE, "\"%s\" is no transaction id", text);
		case TARGET_NAME:
			if (text[0] == '\0' || strlen(text) > 63)
				return error_new(ERR_USAGE, "\"%s\" is no name of a restore point", text);
			target->name = text;
			return NULL;
		case TARGET_BEFORE:
			if (strcmp(option, "before") != 0)
				return NULL; /* parse_drop() has it */
			if (str_starts_with(text, XID_PREFIX) &&
			    option_xid(text + strlen(XID_PREFIX), &target->xid, &target->full_xid))
				return NULL;
			return error_hint(error_new(ERR_USAGE, "\"%s\" names no transaction", text),
			                  "It looks like xid:745; \"walship find --commits\" shows them.");
		case TARGET_IMMEDIATE:
		case TARGET_LATEST:
		case TARGET_BACKUP_ONLY:
			break;
	}
	return NULL;
}

static Error *
parse_target(const Invocation *invocation, bool purpose_said, RecoveryRequest *request)
{
	RecoveryTarget *target = &request->target;
	const char *option;
	int kind;

	TRY(invocation_choice(invocation, targets, lengthof(targets), &kind));
	option = kind < 0 ? NULL : targets[kind];
	target->inclusive = !invocation_flag(invocation, "exclusive");
	if (request->purpose == PURPOSE_STANDBY)
	{
		if (option != NULL)
			return error_new(
				ERR_USAGE, "a standby has no target: \"--%s\" and \"--standby\" exclude each other", option);
		if (!target->inclusive)
			return error_new(ERR_USAGE,
			                 "a standby has no target: \"--exclusive\" and \"--standby\" exclude each other");
		target->kind = TARGET_LATEST;
		return NULL;
	}
	if (option == NULL)
		return error_hint(error_new(ERR_USAGE, "no recovery target was given"),
		                  "Give --target-time, --target-lsn, --target-xid, --target-name, --before-drop, "
		                  "--before, --immediate, "
		                  "--from-backup-only, or --latest together with --copy or --rejoin.");
	target->kind = kind > TARGET_BACKUP_ONLY ? TARGET_BEFORE : (TargetKind) kind;
	if (target->kind == TARGET_LATEST && !purpose_said)
		return error_hint(
			error_new(ERR_USAGE, "\"--latest\" needs to know what it is for"),
			"Say --copy for a copy to look at, or --rejoin for the server that goes live and archives.");
	if (target->kind == TARGET_LATEST && request->action != ACTION_PROMOTE &&
	    invocation_value(invocation, "action") != NULL)
		return error_hint(
			error_new(ERR_USAGE, "\"--latest\" and \"--action %s\" exclude each other",
		              invocation_value(invocation, "action")),
			"At the end of the WAL the server promotes itself: only at a target can it pause or shut down. "
			"\"walship list\" shows the latest commit: give it with --target-time.");
	if (!target->inclusive && target->kind != TARGET_TIME && target->kind != TARGET_LSN &&
	    target->kind != TARGET_XID)
		return error_new(ERR_USAGE, "\"--exclusive\" goes with a time, an LSN or a transaction id");
	return parse_target_value(invocation, option, target);
}

static Error *
parse_drop(const Invocation *invocation, DropRequest *drop)
{
	const char *text = invocation_value(invocation, "before-drop");
	uint64_t full_xid;

	TRY(option_time(invocation, "since", &drop->since));
	TRY(option_time(invocation, "until", &drop->until));
	if (!invocation_flag(invocation, "before-drop"))
	{
		if (drop->since != TIME_NONE || drop->until != TIME_NONE)
			return error_new(ERR_USAGE, "\"--since\" and \"--until\" go with \"--before-drop\"");
		drop->choice = DROP_NOT_ASKED;
	}
	else if (text == NULL)
		drop->choice = DROP_ONLY;
	else if (str_starts_with(text, XID_PREFIX) &&
	         option_xid(text + strlen(XID_PREFIX), &drop->xid, &full_xid))
		drop->choice = DROP_XID;
	else if (str_to_uint64(text, &drop->number) && drop->number > 0)
		drop->choice = DROP_NUMBER;
	else
		return error_hint(error_new(ERR_USAGE, "\"%s\" names no drop", text),
		                  "It is a number that \"walship find\" shows, such as 1, or a transaction, such as "
		                  "xid:745.");
	return NULL;
}

static Error *
parse_stop_by(const Invocation *invocation, RecoveryRequest *request)
{
	const char *text = invocation_value(invocation, "stop-by");

	if (text == NULL)
		return NULL;
	if (request->target.kind != TARGET_TIME)
		return error_new(ERR_USAGE, "\"--stop-by\" goes with \"--target-time\"");
	if (strcmp(text, "time") == 0)
		request->stop_by = STOP_BY_TIME;
	else if (strcmp(text, "lsn") != 0)
		return error_hint(error_new(ERR_USAGE, "\"%s\" is nothing to stop by", text), "It is lsn or time.");
	return NULL;
}

static Error *
parse_place(const Invocation *invocation, Recovery *recovery)
{
	const char *given = invocation_value(invocation, "pgdata");
	const char *waldir = invocation_value(invocation, "waldir");
	const char *pgdata = given != NULL ? given : getenv("PGDATA");

	recovery->config_only = invocation_flag(invocation, "config-only");
	recovery->move_aside = invocation_flag(invocation, "move-aside");
	recovery->yes = invocation_flag(invocation, "yes");
	if (recovery->yes && !recovery->move_aside)
		return error_new(ERR_USAGE, "\"--yes\" goes with \"--move-aside\"");
	if (recovery->config_only && recovery->request.backup_id != NULL)
		return error_new(
			ERR_USAGE,
			"\"--config-only\" goes by the backup_label in the directory: \"--backup\" does not go with it");
	if (recovery->config_only &&
	    (recovery->move_aside || waldir != NULL || invocation_count(invocation, "tablespace-map") > 0))
		return error_new(
			ERR_USAGE,
			"\"--config-only\" leaves the directories as they are: \"--move-aside\", \"--waldir\" and "
			"\"--tablespace-map\" do not go with it");
	if (waldir != NULL)
	{
		recovery->waldir = path_absolute(waldir);
		option_trim_slashes(recovery->waldir);
	}
	if (pgdata != NULL && pgdata[0] != '\0')
	{
		recovery->pgdata = path_absolute(pgdata);
		option_trim_slashes(recovery->pgdata);
	}
	else if (!invocation_flag(invocation, "plan"))
		return error_hint(error_new(ERR_USAGE, "no data directory was given"), "Give --pgdata DIR.");
	return option_mappings(invocation, &recovery->mappings);
}

static Error *
parse_standby(const Invocation *invocation, Recovery *recovery)
{
	const char *conninfo = invocation_value(invocation, "primary-conninfo");
	const char *slot = invocation_value(invocation, "primary-slot-name");

	if ((conninfo != NULL || slot != NULL) && recovery->request.purpose != PURPOSE_STANDBY)
		return error_new(ERR_USAGE,
		                 "\"--primary-conninfo\" and \"--primary-slot-name\" go with \"--standby\"");
	recovery->primary_conninfo = conninfo != NULL ? conninfo : "";
	recovery->primary_slot_name = slot != NULL ? slot : "";
	return NULL;
}

Error *
recover_options_parse(const Invocation *invocation, Recovery *recovery)
{
	RecoveryRequest *request = &recovery->request;
	int purpose;

	request->now = clock_now();
	request->backup_id = invocation_value(invocation, "backup");
	request->every_index = !invocation_flag(invocation, "plan");
	TRY(parse_drop(invocation, &recovery->drop));
	TRY(invocation_choice(invocation, purposes, lengthof(purposes), &purpose));
	request->purpose = purpose < 0 ? PURPOSE_COPY : (RecoveryPurpose) purpose;
	request->action = request->purpose == PURPOSE_REJOIN ? ACTION_PROMOTE : ACTION_PAUSE;
	TRY(parse_action(invocation, request));
	TRY(parse_target(invocation, purpose >= 0, request));
	TRY(parse_stop_by(invocation, request));
	TRY(option_timeline(invocation, &request->timeline));
	TRY(parse_standby(invocation, recovery));
	return parse_place(invocation, recovery);
}

Error *
copy_options_parse(const Invocation *invocation, CopyOptions *ret_options)
{
	static const char *const fences[] = {
		[FENCE_AUTO] = "auto", [FENCE_REQUIRE] = "require", [FENCE_OFF] = "off"};
	const char *port = invocation_value(invocation, "port");
	const char *fence = invocation_value(invocation, "network-fence");
	const char *libraries = invocation_value(invocation, "preload-libraries");
	CopyOptions options = {.libraries = libraries != NULL ? libraries : ""};
	uint64_t number = 0;
	size_t i = 0;

	if (port != NULL && (!str_to_uint64(port, &number) || number == 0 || number > 65535))
		return error_new(ERR_USAGE, "\"%s\" is no port", port);
	options.port = (int) number;
	while (fence != NULL && i < lengthof(fences) && strcmp(fence, fences[i]) != 0)
		i++;
	if (i == lengthof(fences))
		return error_hint(error_new(ERR_USAGE, "network fence \"%s\" is not known", fence),
		                  "It is auto, require or off.");
	options.fence = (NetworkFence) i;
	*ret_options = options;
	return NULL;
}

Error *
drill_request_parse(const Invocation *invocation, RecoveryRequest *request)
{
	int kind;

	*request = (RecoveryRequest){.target = {.kind = TARGET_LATEST, .inclusive = true},
	                             .purpose = PURPOSE_COPY,
	                             .action = ACTION_PAUSE,
	                             .every_index = true,
	                             .now = clock_now(),
	                             .backup_id = invocation_value(invocation, "backup")};
	TRY(invocation_choice(invocation, targets, lengthof(targets), &kind));
	if (kind >= 0)
		TRY(parse_target(invocation, true, request));
	return option_timeline(invocation, &request->timeline);
}
