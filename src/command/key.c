/* walship key new|show: a key pair for encryption, and what the keys at hand are good for. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "keys.h"
#include "table.h"
#include "walship/base/clock.h"
#include "walship/base/crypto.h"
#include "walship/base/file.h"
#include "walship/base/log.h"
#include "walship/base/mem.h"
#include "walship/base/strs.h"

#define REPORT_FORMAT 1
#define KEY_TEXT_SIZE 512
#define KEY_FILE_MODE 0600
#define PUBLIC_WIDTH  62

/* What is known of one key pair. */
typedef struct KeyFacts
{
	char *public_key;
	bool secret_here;   /* in the identity file */
	bool encrypted_for; /* among the recipients */
} KeyFacts;

typedef struct KeyReport
{
	KeyFacts items[AGE_IDENTITIES_MAX + AGE_RECIPIENTS_MAX];
	size_t count;
} KeyReport;

static Error *
choose_file(const Invocation *invocation, const char **ret_path)
{
	*ret_path = invocation_argument(invocation, 1);
	if (*ret_path == NULL)
		*ret_path = settings_text(invocation_settings(invocation), SETTING_identity_file);
	if (*ret_path != NULL)
		return NULL;
	return error_hint(error_new(ERR_USAGE, "no file is named, and setting \"identity_file\" is not set"),
	                  "Usage: walship key new|show FILE.");
}

/* The contents and the name, durably; never an existing file. */
static Error *
create_file(const char *path, const char *text)
{
	AUTO_FREE char *directory = path_parent(path);
	AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, KEY_FILE_MODE);
	Error *error;

	if (fd < 0 && errno == EEXIST)
		return error_hint(
			error_new(ERR_EXISTS, "file \"%s\" exists already", path),
			"It may hold the only key to what is stored, so it is left as it is. Name another file.");
	if (fd < 0)
		return error_errno("could not create file \"%s\"", path);
	error = file_write(fd, path, text, strlen(text));
	if (error == NULL)
		error = file_sync(fd, path);
	if (error == NULL)
		error = file_close(&fd, path);
	if (error == NULL)
		error = dir_sync(directory);
	if (error != NULL)
		(void) unlink(path);
	return error;
}

/* As age-keygen writes it. */
static Error *
write_key(const char *path, const char *secret, const char *public_key)
{
	char created[TIME_TEXT_SIZE];
	char text[KEY_TEXT_SIZE];
	Error *error;

	time_format_utc(clock_now(), created);
	(void) snprintf(text, sizeof(text), "# created: %s\n# public key: %s\n%s\n", created, public_key, secret);
	error = create_file(path, text);
	secret_clear(text, sizeof(text));
	return error;
}

static Error *
make_new(const Invocation *invocation)
{
	const char *path;
	char *secret;
	AUTO_FREE char *public_key = NULL;
	Error *error;

	TRY(choose_file(invocation, &path));
	TRY(keys_prepare());
	age_generate(&secret, &public_key);
	error = write_key(path, secret, public_key);
	secret_free(secret);
	TRY(error);
	printf("%s\n", public_key);
	log_line(
		LOG_INFO,
		"Put the public key into \"recipients\" on every host that archives. Keep copies of the file away from "
		"them and from the store: what is encrypted is lost without it.",
		"wrote the secret key to file \"%s\"", path);
	return NULL;
}

static KeyFacts *
facts_of(KeyReport *report, const char *public_key)
{
	for (size_t i = 0; i < report->count; i++)
		if (strcmp(report->items[i].public_key, public_key) == 0)
			return &report->items[i];
	report->items[report->count].public_key = mem_strdup(public_key);
	return &report->items[report->count++];
}

static void
collect(const AgeIdentities *identities, const AgeRecipients *recipients, KeyReport *report)
{
	for (size_t i = 0; i < age_identities_count(identities); i++)
		facts_of(report, age_identities_public(identities, i))->secret_here = true;
	for (size_t i = 0; recipients != NULL && i < age_recipients_count(recipients); i++)
	{
		AUTO_FREE char *public_key = age_recipients_public(recipients, i);

		if (public_key != NULL)
			facts_of(report, public_key)->encrypted_for = true;
	}
}

static void
print_text(const KeyReport *report)
{
	printf("%-*s  secret key  encrypted for\n", PUBLIC_WIDTH, "public key");
	for (size_t i = 0; i < report->count; i++)
		printf("%-*s  %-10s  %s\n", PUBLIC_WIDTH, report->items[i].public_key,
		       report->items[i].secret_here ? "here" : "not here",
		       report->items[i].encrypted_for ? "yes" : "no");
}

static const JsonField key_fields[] = {
	{"public_key", &json_string, JSON_AT(KeyFacts, public_key)},
	{"secret_here", &json_bool, JSON_AT(KeyFacts, secret_here)},
	{"encrypted_for", &json_bool, JSON_AT(KeyFacts, encrypted_for)},
};
static const JsonTable key_table = JSON_TABLE(KeyFacts, key_fields);

static void
print_json(const KeyReport *report)
{
	AUTO(Json) root = json_new_object();

	json_add_int(root, "format", REPORT_FORMAT);
	json_put_list(root, "keys", &key_table, report->items, report->count);
	print_object(root, stdout);
}

static Error *
show(const Invocation *invocation)
{
	const char *path;
	AUTO(AgeIdentities) identities = age_identities_new();
	AUTO(AgeRecipients) recipients = NULL;
	KeyReport report = {.count = 0};

	TRY(choose_file(invocation, &path));
	TRY(keys_read_identities(path, identities));
	TRY(keys_recipients(invocation_settings(invocation), &recipients));
	collect(identities, recipients, &report);
	if (invocation_flag(invocation, "json"))
		print_json(&report);
	else
		print_text(&report);
	for (size_t i = 0; i < report.count; i++)
		free(report.items[i].public_key);
	return NULL;
}

static Error *
run(Invocation *invocation)
{
	const char *verb = invocation_argument(invocation, 0);

	if (strcmp(verb, "new") == 0)
		return make_new(invocation);
	if (strcmp(verb, "show") == 0)
		return show(invocation);
	return error_hint(error_new(ERR_USAGE, "unknown action \"%s\"", verb),
	                  "Usage: walship key new|show [FILE].");
}

static const CommandOption options[] = {
	{"json", OPTION_FLAG, NULL, "of show: print one JSON object"},
};

const Command command_key = {
	.name = "key",
	.summary = "makes a key pair for encryption, or shows what the keys are good for",
	.arguments = "new|show [FILE]",
	.description =
		"new: writes a secret key into FILE, which must not exist yet, with mode 0600, and prints its public key.\n"
		"show: prints the public keys of FILE and of the settings, which of their secret keys FILE has, and which\n"
		"are encrypted for. Without FILE it is the one of the setting \"identity_file\". The files are those of the\n"
		"program age.",
	.examples = "  walship key new /etc/walship/key.txt\n"
				"  walship key show\n",
	.statuses = "0 2 3 5 7",
	.n_arguments = 1,
	.n_optional = 1,
	.options = options,
	.n_options = lengthof(options),
	.run = run,
};
