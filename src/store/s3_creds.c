/* Credentials from settings, environment and profile files. */
#include "s3_creds.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "walship/base/crypto.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/base/strs.h"

#define PROFILE_FILE_MAX (1024 * 1024)
#define DEFAULT_PROFILE  "default"

#define AUTO_CREDENTIALS __attribute__((cleanup(s3_creds_release))) S3Credentials

/* NULL also when the variable is empty, as the AWS tools have it. */
static const char *
variable(char *const *environment, const char *name)
{
	size_t length = strlen(name);

	for (char *const *entry = environment; entry != NULL && *entry != NULL; entry++)
	{
		if (strncmp(*entry, name, length) == 0 && (*entry)[length] == '=')
			return (*entry)[length + 1] == '\0' ? NULL : *entry + length + 1;
	}
	return NULL;
}

/* The line without blanks at its ends, in place; comments are lines of their own in these files. */
static char *
trim(char *line)
{
	size_t length;

	line += strspn(line, " \t");
	length = strlen(line);
	while (length > 0 && isspace((unsigned char) line[length - 1]))
		line[--length] = '\0';
	return line;
}

/* "[name]" in both files, "[profile name]" in the config file. */
static bool
is_section_of(char *line, const char *profile)
{
	size_t length = strlen(line);
	char *name;

	if (length < 2 || line[length - 1] != ']')
		return false;
	line[length - 1] = '\0';
	name = trim(line + 1);
	if (strncmp(name, "profile", 7) == 0 && (name[7] == ' ' || name[7] == '\t'))
		name = trim(name + 7);
	return strcmp(name, profile) == 0;
}

/* What was found first stays: the credentials file is read before the config file. */
static void
take(char **into, const char *value)
{
	if (*into == NULL && *value != '\0')
		*into = mem_strdup(value);
}

/*
 * AWS's own tools read no such entry; those that write temporary credentials into a profile leave one of these two
 * for whoever asks, and AWS_CREDENTIAL_EXPIRATION or AWS_SESSION_EXPIRATION in the environment.
 */
static void
take_end(TimeUs *into, const char *value)
{
	if (*into == TIME_NONE && value != NULL && !time_parse_iso(value, into))
		*into = TIME_NONE;
}

static void
take_entry(S3Credentials *found, const char *name, const char *value)
{
	if (strcmp(name, "aws_access_key_id") == 0)
		take(&found->access_key_id, value);
	else if (strcmp(name, "aws_secret_access_key") == 0)
		take(&found->secret_access_key, value);
	else if (strcmp(name, "aws_session_token") == 0)
		take(&found->session_token, value);
	else if (strcmp(name, "x_security_token_expires") == 0 || strcmp(name, "expiration") == 0)
		take_end(&found->ends, value);
	else if (strcmp(name, "region") == 0)
		take(&found->region, value);
	else if (strcmp(name, "endpoint_url") == 0)
		take(&found->endpoint, value);
}

static void
read_profile(char *text, const char *profile, S3Credentials *found, bool *ret_seen)
{
	bool inside = false;
	char *rest = text;

	for (char *raw = strsep(&rest, "\n"); raw != NULL; raw = strsep(&rest, "\n"))
	{
		bool nested = raw[0] == ' ' || raw[0] == '\t'; /* of a value that has settings of its own: "s3 =" */
		char *line = trim(raw);
		char *equals = strchr(line, '=');

		if (line[0] == '#' || line[0] == ';' || line[0] == '\0')
			continue;
		if (line[0] == '[')
		{
			inside = is_section_of(line, profile);
			*ret_seen |= inside;
		}
		else if (inside && !nested && equals != NULL)
		{
			*equals = '\0';
			take_entry(found, trim(line), trim(equals + 1));
		}
	}
}

/* The file of the variable, else ~/.aws/<name>; NULL when there is no home either. */
static char *
profile_path(char *const *environment, const char *variable_name, const char *name)
{
	const char *path = variable(environment, variable_name);
	const char *home = variable(environment, "HOME");

	if (path != NULL)
		return mem_strdup(path);
	return home == NULL ? NULL : mem_printf("%s/.aws/%s", home, name);
}

static Error *
read_profile_file(const char *path, const char *profile, S3Credentials *found, bool *ret_seen)
{
	AUTO_BUF(text, PROFILE_FILE_MAX);
	Error *error = path == NULL ? NULL : file_read_all(path, &text);

	if (error_is(error, ERR_NOT_FOUND))
	{
		error_free(error);
		error = NULL;
	}
	if (error == NULL && text.data != NULL)
		read_profile(text.data, profile, found, ret_seen);
	if (text.data != NULL)
		explicit_bzero(text.data, text.size);
	return error_context(error, "could not read AWS profile \"%s\"", profile);
}

static Error *
read_profiles(char *const *environment, S3Credentials *found)
{
	const char *named = variable(environment, "AWS_PROFILE");
	const char *profile = named == NULL ? DEFAULT_PROFILE : named;
	AUTO_FREE char *credentials = profile_path(environment, "AWS_SHARED_CREDENTIALS_FILE", "credentials");
	AUTO_FREE char *config = profile_path(environment, "AWS_CONFIG_FILE", "config");
	bool seen = false;

	TRY(read_profile_file(credentials, profile, found, &seen));
	TRY(read_profile_file(config, profile, found, &seen));
	if (named != NULL && !seen)
		return error_hint(error_new(ERR_USAGE, "AWS profile \"%s\" was not found", named),
		                  "AWS_PROFILE names it; \"%s\" and \"%s\" were looked at.",
		                  credentials == NULL ? "-" : credentials, config == NULL ? "-" : config);
	return NULL;
}

static Error *
only_one_of_two(const char *present, const char *missing, const char *where)
{
	return error_new(ERR_USAGE, "%s: there is \"%s\", but no \"%s\"", where, present, missing);
}

/* Both halves must come from one place: halves of two accounts fail far from here. */
static Error *
check_pair(const char *id, const char *secret, const char *id_name, const char *secret_name,
           const char *where)
{
	if (id != NULL && secret == NULL)
		return only_one_of_two(id_name, secret_name, where);
	if (id == NULL && secret != NULL)
		return only_one_of_two(secret_name, id_name, where);
	return NULL;
}

/* Without the line feed that secrets mounted as files and variables often end with. */
static char *
copy_key(const char *text)
{
	size_t length = text == NULL ? 0 : strlen(text);

	while (length > 0 && isspace((unsigned char) text[length - 1]))
		length--;
	return text == NULL ? NULL : mem_strndup(text, length);
}

static void
take_keys(S3Credentials *into, const char *id, const char *secret, const char *token, TimeUs ends)
{
	secret_forbid_core_files();
	into->ends = ends;
	into->access_key_id = copy_key(id);
	into->secret_access_key = copy_key(secret);
	into->session_token = copy_key(token);
}

static Error *
take_first_keys(const S3Options *options, S3Credentials *profile, S3Credentials *into)
{
	char *const *environment = options->environment;
	const char *id = variable(environment, "AWS_ACCESS_KEY_ID");
	const char *secret = variable(environment, "AWS_SECRET_ACCESS_KEY");

	TRY(check_pair(options->access_key_id, options->secret_access_key, "s3_access_key_id",
	               "s3_secret_access_key", "the settings"));
	if (options->access_key_id != NULL)
	{
		take_keys(into, options->access_key_id, options->secret_access_key, options->session_token,
		          TIME_NONE);
		return NULL;
	}
	TRY(check_pair(id, secret, "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "the environment"));
	if (id != NULL)
	{
		TimeUs ends = TIME_NONE;

		take_end(&ends, variable(environment, "AWS_CREDENTIAL_EXPIRATION"));
		take_end(&ends, variable(environment, "AWS_SESSION_EXPIRATION"));
		take_keys(into, id, secret, variable(environment, "AWS_SESSION_TOKEN"), ends);
		return NULL;
	}
	TRY(check_pair(profile->access_key_id, profile->secret_access_key, "aws_access_key_id",
	               "aws_secret_access_key", "the AWS profile"));
	if (profile->access_key_id == NULL)
		return error_hint(
			error_new(ERR_DENIED, "there are no credentials for store \"%s\"", options->url),
			"Write s3_access_key_id and s3_secret_access_key (or s3_secret_access_key_file) into "
			"the settings file, set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or make a profile "
			"in ~/.aws/credentials.");
	take_keys(into, profile->access_key_id, profile->secret_access_key, profile->session_token,
	          profile->ends);
	return NULL;
}

static const char *
first_of(const char *a, const char *b, const char *c)
{
	return a != NULL ? a : b != NULL ? b : c;
}

Error *
s3_creds_find(const S3Options *options, S3Credentials *ret_credentials)
{
	char *const *environment = options->environment;
	bool keys_elsewhere =
		options->access_key_id != NULL || variable(environment, "AWS_ACCESS_KEY_ID") != NULL;
	AUTO_CREDENTIALS profile = {.ends = TIME_NONE};
	AUTO_CREDENTIALS found = {.ends = TIME_NONE};
	Error *error = NULL;

	/* Settings that say everything need no other file; and who has keys does not depend on one. */
	if (options->access_key_id == NULL || options->region == NULL || options->endpoint == NULL)
		error = read_profiles(environment, &profile);
	if (error != NULL && !keys_elsewhere)
		return error;
	error_free(error);
	TRY(take_first_keys(options, &profile, &found));
	found.region = mem_strdup(first_of(variable(environment, "AWS_REGION"),
	                                   variable(environment, "AWS_DEFAULT_REGION"), profile.region));
	found.endpoint = mem_strdup(first_of(variable(environment, "AWS_ENDPOINT_URL_S3"),
	                                     variable(environment, "AWS_ENDPOINT_URL"), profile.endpoint));
	*ret_credentials = found;
	found = (S3Credentials){0};
	return NULL;
}

void
s3_creds_release(S3Credentials *credentials)
{
	secret_free(credentials->access_key_id);
	secret_free(credentials->secret_access_key);
	secret_free(credentials->session_token);
	free(credentials->region);
	free(credentials->endpoint);
	*credentials = (S3Credentials){0};
}
