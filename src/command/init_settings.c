/* What is to stand in the settings file of "walship init", and what there contradicts it. */
#include <string.h>

#include "init_machine.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/config/describe.h"

#define DEFAULT_RETENTION "window 30d"
#define LIST_MAX          (256 * 1024)

static const char *
name_of(SettingId id)
{
	return settings_text_nth((size_t) id).name;
}

static bool
is_secret(SettingId id)
{
	return settings_text_nth((size_t) id).secret;
}

static void
want(InitMachine *machine, const char *name, const char *value)
{
	GROW(machine->wanted, machine->n_wanted, machine->wanted_capacity);
	machine->wanted[machine->n_wanted++] = (WantedSetting){mem_strdup(name), mem_strdup(value)};
}

/* Where it is not said yet; what a new section inherits, need not be said in it. */
static void
want_unless_set(InitMachine *machine, SettingId id, const char *value)
{
	if (value != NULL && (machine->file == NULL || !settings_is_set(machine->file, id)))
		want(machine, name_of(id), value);
}

static bool
is_wrong(InitMachine *machine, char *what, const char *hint)
{
	free(machine->config_wrong);
	free(machine->config_hint);
	machine->config_wrong = what;
	machine->config_hint = mem_strdup(hint);
	return true;
}

/* The values only of settings that never hold a secret. */
static char *
contradiction(const InitMachine *machine, SettingId id, const char *here, const char *given)
{
	static const SettingId shown[] = {SETTING_store,     SETTING_s3_endpoint, SETTING_s3_region,
	                                  SETTING_state_dir, SETTING_retention,   SETTING_s3_access_key_id};
	AUTO_FREE char *without = str_url_without_password(here);
	AUTO_FREE char *other = str_url_without_password(given);

	for (size_t i = 0; i < lengthof(shown); i++)
		if (shown[i] == id)
			return mem_printf("%s says %s = %s, and not %s", machine->config, name_of(id), without, other);
	return mem_printf("%s says something else for %s than the option", machine->config, name_of(id));
}

/* Is the file, or its section, about something else than what was asked for? */
bool
init_settings_contradict(InitMachine *machine)
{
	const Settings *file = machine->file;

	if (file == NULL || !machine->has_section)
		return false;
	if (machine->cluster == NULL && settings_clusters(file)->count > 0 &&
	    !settings_is_set(file, SETTING_pgdata))
		return is_wrong(machine,
		                mem_printf("%s has the clusters %s", machine->config, settings_other_clusters(file)),
		                "Choose one with --cluster, or give a new one a name with it.");

	const char *pgdata = init_text_in_file(machine, SETTING_pgdata);

	if (pgdata != NULL && strcmp(pgdata, machine->server.data_directory) != 0)
		return is_wrong(machine,
		                mem_printf("%s is of the server in %s, and not of the one in %s", machine->config,
		                           pgdata, machine->server.data_directory),
		                "Give this server a section of its own there: --cluster NAME.");
	for (int id = 0; id < SETTING_COUNT; id++)
	{
		if (is_secret((SettingId) id) || id == SETTING_pgdata ||
		    !settings_is_given(machine->given, (SettingId) id) || !settings_is_set(file, (SettingId) id))
			continue;

		const char *here = settings_as_written(file, id);
		const char *given = settings_as_written(machine->given, id);

		if (!str_equal(here, given))
			return is_wrong(machine, contradiction(machine, (SettingId) id, here, given),
			                "What is there is kept: leave the option out, or edit the file.");
	}
	if (machine->secret_file != NULL && settings_is_set(file, SETTING_s3_secret_access_key) &&
	    !file_exists(machine->secret_file))
		return is_wrong(machine, mem_printf("%s has another secret of the store", machine->config),
		                "What is there is kept: leave the new one out, or write it where the file says.");
	return false;
}

/* A section of its own has what tells this server from the others, whatever stands above. */
static void
want_server(InitMachine *machine)
{
	if (!machine->has_section || machine->file == NULL || !settings_is_set(machine->file, SETTING_pgdata))
		want(machine, name_of(SETTING_pgdata), machine->server.data_directory);
	if (!machine->has_section || machine->file == NULL || !settings_is_set(machine->file, SETTING_conninfo))
		want(machine, name_of(SETTING_conninfo), machine->conninfo);
}

void
init_want_settings(InitMachine *machine)
{
	static const SettingId apart[] = {SETTING_pgdata, SETTING_conninfo, SETTING_log_level,
	                                  SETTING_log_format};
	const Settings *given = machine->given;

	if (!settings_is_given(given, SETTING_store))
		want_unless_set(machine, SETTING_store, machine->store);
	for (int id = 0; id < SETTING_COUNT; id++)
	{
		bool left_out = is_secret(id) || !settings_is_given(given, id);

		for (size_t i = 0; i < lengthof(apart); i++)
			left_out = left_out || (int) apart[i] == id;
		if (left_out)
			continue;

		/* In a new section what is given wins over what stands above it. */
		if (machine->file == NULL || !settings_is_set(machine->file, id) ||
		    (!machine->has_section &&
		     !str_equal(settings_as_written(machine->file, id), settings_as_written(given, id))))
			want(machine, name_of(id), settings_as_written(given, id));
	}
	if (machine->store_directory == NULL)
	{
		if (!settings_is_given(given, SETTING_s3_endpoint))
			want_unless_set(machine, SETTING_s3_endpoint,
			                init_variable("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"));
		if (!settings_is_given(given, SETTING_s3_region))
			want_unless_set(machine, SETTING_s3_region, init_variable("AWS_REGION", "AWS_DEFAULT_REGION"));
		if (!settings_is_given(given, SETTING_s3_access_key_id))
			want_unless_set(machine, SETTING_s3_access_key_id, machine->access_key_id);
		if (machine->secret_file != NULL &&
		    (machine->file == NULL || !settings_is_set(machine->file, SETTING_s3_secret_access_key)))
			want(machine, "s3_secret_access_key_file", machine->secret_file);
	}
	want_server(machine);
	if (strcmp(machine->state_dir, settings_text(given, SETTING_state_dir)) != 0)
		want_unless_set(machine, SETTING_state_dir, machine->state_dir);

	/* The public key is added once there is one. */
	if (machine->key_file != NULL && !settings_is_given(given, SETTING_identity_file))
		want_unless_set(machine, SETTING_identity_file, machine->key_file);
	if (!settings_is_given(given, SETTING_retention))
		want_unless_set(machine, SETTING_retention, DEFAULT_RETENTION);
}

void
init_list_what_lacks(InitMachine *machine)
{
	AUTO_BUF(text, LIST_MAX);

	for (size_t i = 0; i < machine->n_wanted; i++)
		buf_printf(&text, "%s%s", i > 0 ? ", " : "", machine->wanted[i].name);
	if (machine->key_file != NULL)
		buf_puts(&text, ", recipients");
	machine->config_lacks = text.size == 0 ? NULL : buf_steal(&text);
}
