/* From the settings of notifications to the values that notify/ takes. */
#include "notify_context.h"

#include <string.h>
#include <unistd.h>

#include "context.h"
#include "walship/base/crypto.h"
#include "walship/base/mem.h"
#include "walship/config/secret_file.h"

#define HOST_MAX 256

char *
notify_host(void)
{
	char host[HOST_MAX] = "";

	if (gethostname(host, sizeof(host) - 1) != 0 || host[0] == '\0')
		return mem_strdup("unknown");
	return notify_text(host, NOTIFY_NAME_MAX);
}

Error *
notify_context_init(const Settings *settings, NotifyContext *ret_context)
{
	const char *text = settings_text(settings, SETTING_notify);
	const char *cluster = settings_cluster(settings);
	AUTO_FREE char *store = context_store_identity(settings);

	*ret_context = (NotifyContext){
		.policy = {.repeat_ms = settings_ms(settings, SETTING_notify_repeat),
	               .successes = strcmp(settings_text(settings, SETTING_notify_success), "on") == 0}};
	TRY(notify_targets_parse(text == NULL ? "" : text, &ret_context->targets));
	ret_context->scope =
		mem_printf("cluster %s\nstore %s", cluster == NULL ? "" : cluster, store == NULL ? "" : store);
	ret_context->notes = (NotifyNotes){settings_text(settings, SETTING_state_dir), ret_context->scope};
	return NULL;
}

void
notify_context_init_heartbeat(const Settings *settings, NotifyContext *ret_context)
{
	*ret_context = (NotifyContext){
		.targets = {.items = {notify_target_heartbeat(settings_text(settings, SETTING_heartbeat_url))},
	                .count = 1}};
}

static Error *
read_telegram_token(const Settings *settings, NotifyTarget *target)
{
	const char *path = settings_text(settings, SETTING_telegram_token_file);

	if (path == NULL)
		return error_hint(
			error_new(ERR_USAGE, "target \"%s\" needs the setting \"telegram_token_file\"", target->name),
			"Write the bot's token into a file of mode 0600, and its path into the settings.");
	return error_context(secret_file_read_line(path, &target->secret), "setting \"telegram_token_file\"");
}

/* Where there is a login, what mail needs besides the address. */
static Error *
read_mail(const Settings *settings, NotifyContext *context)
{
	const char *user = settings_text(settings, SETTING_smtp_user);
	const char *path = settings_text(settings, SETTING_smtp_password_file);

	if (!notify_is_mail_address(context->mail_from))
		return error_hint(
			error_new(ERR_USAGE, "mail would be from \"%s\", which is no address", context->mail_from),
			"Set \"mail_from\".");
	if ((user == NULL) != (path == NULL))
		return error_hint(
			error_new(ERR_USAGE, "of \"smtp_user\" and \"smtp_password_file\" one alone is set"),
			"A login needs both.");
	if (path != NULL && context->smtp_password == NULL)
		return error_context(secret_file_read_line(path, &context->smtp_password),
		                     "setting \"smtp_password_file\"");
	return NULL;
}

static Error *
read_secret(const Settings *settings, NotifyContext *context, NotifyTarget *target)
{
	if (target->kind == NOTIFY_MAILTO)
		TRY(read_mail(settings, context));
	if (target->kind == NOTIFY_TELEGRAM)
		TRY(read_telegram_token(settings, target));
	else if (target->in_file)
		TRY(error_context(secret_file_read_line(target->address, &target->secret), "target \"%s\"",
		                  target->name));
	else
		target->secret = mem_strdup(target->address);
	return notify_target_check(target);
}

void
notify_context_prepare(const Settings *settings, NotifyContext *context)
{
	AUTO_FREE char *host = notify_host();
	const HttpOptions options = {.ca_file = settings_text(settings, SETTING_notify_ca_file),
	                             .ca_setting = "notify_ca_file",
	                             .user_agent = "walship/" WALSHIP_VERSION};

	context->mail_from = settings_is_set(settings, SETTING_mail_from)
	                         ? mem_strdup(settings_text(settings, SETTING_mail_from))
	                         : mem_printf("walship@%s", host);
	for (size_t i = 0; i < context->targets.count; i++)
		context->troubles.errors[i] = read_secret(settings, context, &context->targets.items[i]);
	context->client = http_client_new(&options);
	context->sender =
		(NotifySender){.client = context->client,
	                   .services = {.telegram_url = settings_text(settings, SETTING_telegram_url),
	                                .pagerduty_url = settings_text(settings, SETTING_pagerduty_url),
	                                .mail_from = context->mail_from,
	                                .smtp_url = settings_text(settings, SETTING_smtp_url),
	                                .sendmail = settings_text(settings, SETTING_sendmail),
	                                .smtp_user = settings_text(settings, SETTING_smtp_user),
	                                .smtp_password = context->smtp_password}};
}

void
notify_context_release(NotifyContext *context)
{
	notify_targets_release(&context->targets);
	notify_answers_release(&context->troubles);
	http_client_free(context->client);
	free(context->mail_from);
	secret_free(context->smtp_password);
	free(context->scope);
	*context = (NotifyContext){0};
}
