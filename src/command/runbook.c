/* walship runbook: this cluster's recoveries as a page.  What stands on it: walship/upkeep/runbook.h. */
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "context.h"
#include "keys.h"
#include "print_runbook.h"
#include "table.h"
#include "walship/base/crypto.h"
#include "walship/base/file.h"
#include "walship/base/log.h"
#include "walship/base/mem.h"
#include "walship/config/secret_file.h"
#include "walship/pg/pgdata.h"

#define STORE_PATIENCE_MS 15000
#define PAGE_MAX          (16 * 1024 * 1024)
#define FLAGS_MAX         (64 * 1024)
#define HOST_SIZE         256
#define DIGEST_SHOWN      16

static const CommandOption options[] = {
	{"html", OPTION_FLAG, NULL, "print a page for a browser and for paper, instead of text"},
	{"template", OPTION_FLAG, NULL, "print it for no cluster at all: everything is to be filled in by hand"},
	{"store-only", OPTION_FLAG, NULL, "do not ask the server: what only it knows is to be filled in by hand"},
};

static char *
text_of(const Settings *settings, SettingId id)
{
	const char *text = settings_text(settings, id);

	return text == NULL ? NULL : mem_strdup(text);
}

static char *
url_of(const Settings *settings, SettingId id)
{
	const char *text = settings_text(settings, id);

	return text == NULL ? NULL : str_url_without_password(text);
}

/* Where the file of a secret belongs somebody may have written the secret itself. */
static char *
path_of(const Settings *settings, SettingId id)
{
	const char *text = settings_text(settings, id);

	return text == NULL || text[0] != '/' ? NULL : mem_strdup(text);
}

static int64_t
target_of(const Settings *settings, SettingId id)
{
	return settings_is_set(settings, id) ? settings_ms(settings, id) : 0;
}

/*
 * "recover" has an option of the name "pgdata", and --store=SECOND takes the place of another --store.  Who is to be
 * told is nothing that a recovery needs, and an address at which anybody may write is a secret.
 */
static char *
flags_of(const Settings *settings, const RunbookFacts *facts, bool without_store)
{
	static const SettingId left_out[] = {SETTING_pgdata, SETTING_notify, SETTING_heartbeat_url,
	                                     SETTING_store};
	AUTO_BUF(flags, FLAGS_MAX);

	settings_append_flags_without(settings, left_out, lengthof(left_out) - (without_store ? 0 : 1), &flags);

	/* On a machine without the data directory nothing else tells which system it is. */
	if (facts->system_identifier != 0 && strcmp(settings_text(settings, SETTING_system), "auto") == 0)
		buf_printf(&flags, " --system=%" PRIu64, facts->system_identifier);
	return buf_steal(&flags);
}

static Error *
read_settings_file(const Settings *settings, RunbookFacts *facts)
{
	const char *path = settings_config_path(settings);
	AUTO_SECRET_BUF(text, SETTING_FILE_MAX);
	uint8_t digest[SHA256_SIZE];
	char digits[SHA256_TEXT_SIZE];

	if (path == NULL)
		return NULL;
	facts->settings_file = mem_strdup(path);
	TRY(file_read_all(path, &text));
	sha256_of(text.data == NULL ? "" : text.data, text.size, digest);
	hex_encode(digest, sizeof(digest), digits);
	facts->settings_digest = mem_strndup(digits, DIGEST_SHOWN);
	return NULL;
}

static Error *
read_recipients(const Settings *settings, RunbookFacts *facts)
{
	AUTO(AgeRecipients) recipients = NULL;

	TRY(keys_recipients(settings, &recipients));
	if (recipients != NULL)
		facts->recipients = mem_strdup(age_recipients_fingerprints(recipients));
	return NULL;
}

static Error *
read_keys(const Settings *settings, RunbookFacts *facts)
{
	AUTO(AgeIdentities) identities = NULL;
	AUTO_BUF(keys, FLAGS_MAX);

	TRY(keys_identities(settings, &identities));
	for (size_t i = 0; identities != NULL && i < age_identities_count(identities); i++)
		buf_printf(&keys, "%s%.*s", i > 0 ? ", " : "", AGE_FINGERPRINT_LENGTH,
		           age_identities_public(identities, i));
	if (keys.size > 0)
		facts->keys = buf_steal(&keys);
	return NULL;
}

static Error *
take_settings(const Invocation *invocation, RunbookFacts *facts)
{
	const Settings *settings = invocation_settings(invocation);
	char host[HOST_SIZE] = "";

	facts->now = clock_now();
	facts->version = mem_strdup(WALSHIP_VERSION);
	facts->program = mem_strdup(invocation_program(invocation));
	if (gethostname(host, sizeof(host) - 1) == 0 && host[0] != '\0')
		facts->host = mem_strdup(host);
	if (settings_cluster(settings) != NULL)
		facts->cluster = mem_strdup(settings_cluster(settings));
	facts->state_dir = text_of(settings, SETTING_state_dir);
	facts->store = url_of(settings, SETTING_store);
	facts->endpoint = url_of(settings, SETTING_s3_endpoint);
	facts->key_id = text_of(settings, SETTING_s3_access_key_id);
	facts->identity_file = path_of(settings, SETTING_identity_file);
	facts->passphrase_file = path_of(settings, SETTING_passphrase_file);
	facts->rto_target_ms = target_of(settings, SETTING_rto_target);
	facts->rpo_target_ms = target_of(settings, SETTING_rpo_target);
	facts->pgdata = context_pgdata(settings);
	TRY(runbook_take_error(facts, "the settings file", read_settings_file(settings, facts)));
	TRY(runbook_take_error(facts, "the public keys", read_recipients(settings, facts)));
	return runbook_take_error(facts, "the secret key", read_keys(settings, facts));
}

static Error *
take_second_store(const Settings *settings, RunbookFacts *facts)
{
	AUTO(Settings) second = NULL;

	TRY(context_second_settings(settings, &second));
	if (second != NULL)
		facts->second_store = url_of(settings, SETTING_second_store);
	return NULL;
}

/* Of a machine without it this is no fault. */
static void
look_at_directory(RunbookFacts *facts)
{
	PgControl control;
	AUTO(Error) error = facts->pgdata == NULL ? NULL : pgdata_read_control(facts->pgdata, &control);

	if (facts->pgdata == NULL || error != NULL)
		return;
	facts->system_identifier = control.system_identifier;
	facts->major = control.major;
}

static Error *
look_at_store(const Settings *settings, RunbookFacts *facts)
{
	Patience patience = {.retry_ms = settings_ms(settings, SETTING_store_deadline),
	                     .retry_until_ms = clock_monotonic_ms() + STORE_PATIENCE_MS};
	Notices notices = log_notices();
	AUTO(Store) store = NULL;

	TRY(context_open_store_within(settings, &patience, &store));
	if (facts->system_identifier == 0)
		TRY(context_system_in_store(settings, store, &facts->system_identifier));
	return runbook_read_store(facts, store, (int) settings_integer(settings, SETTING_jobs), &notices);
}

static Error *
gather(const Invocation *invocation, RunbookFacts *facts)
{
	const Settings *settings = invocation_settings(invocation);

	TRY(take_settings(invocation, facts));
	TRY(take_second_store(settings, facts));
	look_at_directory(facts);
	if (strcmp(settings_text(settings, SETTING_system), "auto") != 0)
		TRY(context_system(settings, NULL, &facts->system_identifier));
	if (!invocation_flag(invocation, "store-only"))
		TRY(runbook_ask_server(facts, settings_text(settings, SETTING_conninfo)));

	Error *error = look_at_store(settings, facts);

	/* Without a store there is nothing to be recovered from, and no page. */
	if (error != NULL && settings_text(settings, SETTING_store) == NULL)
		return error;
	TRY(runbook_take_error(facts, "the store", error));
	facts->flags = flags_of(settings, facts, false);
	facts->flags_to_copy = flags_of(settings, facts, true);
	return NULL;
}

static Error *
run(Invocation *invocation)
{
	AUTO_RUNBOOK_FACTS facts = {0};
	AUTO_RUNBOOK runbook = {0};
	AUTO_BUF(page, PAGE_MAX);

	if (!invocation_flag(invocation, "template"))
		TRY(gather(invocation, &facts));
	for (size_t i = 0; i < facts.unknown.count; i++)
		log_line(LOG_WARNING, NULL, "not known: %s", facts.unknown.items[i]);
	runbook_write(&facts, &runbook);
	if (invocation_flag(invocation, "html"))
		print_runbook_html(&runbook, &page);
	else
		print_runbook_text(&runbook, &page);
	return print_buf(&page);
}

const Command command_runbook = {
	.name = "runbook",
	.summary = "prints this cluster's recoveries as a page to keep elsewhere",
	.arguments = "",
	.description =
		"The page at 3 a.m.: what must be kept away from this machine, then numbered commands, with the paths of this\n"
		"cluster, for a dropped table, deleted rows, a copy to look at, a lost machine, a failover, a lost store, a lost\n"
		"key; and what the last drill has measured. Print it, fill in what stands in CAPITALS, and keep it where the\n"
		"database is not. No secret is on it. What could not be found out, because server or store do not answer, is\n"
		"said there, and on stderr.",
	.examples = "  walship runbook > runbook.md\n"
				"  walship runbook --html --cluster billing > billing.html\n",
	.statuses = "0 2 7",
	.options = options,
	.n_options = lengthof(options),
	.run = run,
};
