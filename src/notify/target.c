/* Targets as they are written; see walship/notify/target.h. */
#include "walship/notify/target.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "walship/base/crc32c.h"
#include "walship/base/crypto.h"
#include "walship/base/mem.h"
#include "walship/base/strs.h"

#define SEPARATORS ", \t"

typedef enum AddressForm
{
	ADDRESS_CHAT,
	ADDRESS_FILE,        /* of a secret */
	ADDRESS_URL_OR_FILE, /* a URL, or a file that holds one */
	ADDRESS_MAIL,
	ADDRESS_PROGRAM,
} AddressForm;

typedef struct KindRow
{
	const char *scheme;
	AddressForm form;
	const char *hint; /* how it is written */
} KindRow;

#define FILE_HINT(scheme, what)                                                            \
	"Write " what " into a file of mode 0600, and that file's absolute path here: " scheme \
	":/etc/walship/" scheme

static const KindRow kinds[NOTIFY_KINDS] = {
	[NOTIFY_TELEGRAM] = {"telegram", ADDRESS_CHAT,
                         "Write the number of the chat, or @channel; the bot's token is the setting "
                         "\"telegram_token_file\"."},
	[NOTIFY_SLACK] = {"slack", ADDRESS_FILE, FILE_HINT("slack", "the webhook's URL, which is a secret,")},
	[NOTIFY_DISCORD] = {"discord", ADDRESS_FILE,
                        FILE_HINT("discord", "the webhook's URL, which is a secret,")},
	[NOTIFY_MATTERMOST] = {"mattermost", ADDRESS_FILE,
                           FILE_HINT("mattermost", "the webhook's URL, which is a secret,")},
	[NOTIFY_NTFY] = {"ntfy", ADDRESS_URL_OR_FILE,
                     "Write ntfy:https://ntfy.example.com/TOPIC, or the absolute path of a file that holds "
                     "the URL: one with a password or a token in it belongs there."},
	[NOTIFY_WEBHOOK] = {"webhook", ADDRESS_URL_OR_FILE,
                        "Write webhook:https://HOST/PATH, or the absolute path of a file that holds the URL: "
                        "one with a password or a token in it belongs there."},
	[NOTIFY_PAGERDUTY] = {"pagerduty", ADDRESS_FILE,
                          FILE_HINT("pagerduty", "the integration key (Events API v2)")},
	[NOTIFY_MAILTO] = {"mailto", ADDRESS_MAIL, "Write mailto:NAME@HOST."},
	[NOTIFY_EXEC] = {"exec", ADDRESS_PROGRAM,
                     "Write the absolute path of a program; it gets the message as JSON on its standard "
                     "input."},
};

/* Of http or https, with a host, and without a password in it. */
static bool
is_url(const char *text)
{
	const char *host = str_starts_with(text, "https://")  ? text + 8
	                   : str_starts_with(text, "http://") ? text + 7
	                                                      : NULL;

	if (host == NULL || strcspn(host, "/?#") == 0)
		return false;
	for (const char *c = text; *c != '\0'; c++)
		if (!isgraph((unsigned char) *c))
			return false;
	return memchr(host, '@', strcspn(host, "/?#")) == NULL;
}

static bool
is_chat(const char *text)
{
	const char *digits = text + (text[0] == '-');

	if (text[0] == '@')
		return text[1] != '\0' &&
		       text[1 + strspn(text + 1, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		                                 "0123456789_")] == '\0';
	return digits[0] != '\0' && digits[strspn(digits, "0123456789")] == '\0';
}

/* It stands in a mail's head, and in the words of a dialogue of SMTP. */
bool
notify_is_mail_address(const char *text)
{
	const char *at = strchr(text, '@');

	if (at == NULL || at == text || at[1] == '\0' || strchr(at + 1, '@') != NULL || text[0] == '-')
		return false;
	for (const char *c = text; *c != '\0'; c++)
		if (!isalnum((unsigned char) *c) && strchr("@.!#$%&'*+-/=?^_`{|}~", *c) == NULL)
			return false;
	return true;
}

static bool
fits(AddressForm form, const char *address)
{
	switch (form)
	{
		case ADDRESS_CHAT:
			return is_chat(address);
		case ADDRESS_MAIL:
			return notify_is_mail_address(address);
		case ADDRESS_URL_OR_FILE:
			return address[0] == '/' || is_url(address);
		case ADDRESS_FILE:
		case ADDRESS_PROGRAM:
			return address[0] == '/' && address[1] != '\0';
	}
	return false;
}

static const KindRow *
find_kind(const char *word, NotifyKind *ret_kind)
{
	size_t length = strcspn(word, ":");

	for (size_t i = 0; i < lengthof(kinds); i++)
		if (word[length] == ':' && strlen(kinds[i].scheme) == length &&
		    strncmp(kinds[i].scheme, word, length) == 0)
		{
			*ret_kind = (NotifyKind) i;
			return &kinds[i];
		}
	return NULL;
}

static Error *
add_target(const char *word, NotifyTargets *targets)
{
	NotifyKind kind = NOTIFY_EXEC;
	const KindRow *row = find_kind(word, &kind);
	const char *address = row == NULL ? NULL : word + strlen(row->scheme) + 1;

	if (row == NULL && (str_starts_with(word, "https:") || str_starts_with(word, "http:")))
		return error_hint(
			error_new(ERR_USAGE, "setting \"notify\": target %zu is a URL, and does not say of what kind",
		              targets->count + 1),
			"Write the kind before it, as in webhook:https://... or ntfy:https://...; the URL of slack, discord and "
			"mattermost is a secret: write it into a file of mode 0600, and slack:/FILE here.");
	if (row == NULL)
		return error_hint(
			error_new(ERR_USAGE, "setting \"notify\": target %zu is of no known kind", targets->count + 1),
			"There are telegram:, slack:, discord:, mattermost:, ntfy:, webhook:, pagerduty:, "
			"mailto: and exec:; targets are separated by commas or blanks.");
	if (!fits(row->form, address))
		return error_hint(error_new(ERR_USAGE,
		                            "setting \"notify\": target %zu, of kind \"%s\", is not well formed",
		                            targets->count + 1, row->scheme),
		                  "%s", row->hint);
	if (targets->count == NOTIFY_TARGETS_MAX - 1)
		return error_new(ERR_USAGE, "setting \"notify\" has more than %d targets", NOTIFY_TARGETS_MAX - 1);
	targets->items[targets->count++] = (NotifyTarget){
		.kind = kind,
		.name = mem_strdup(word),
		.address = mem_strdup(address),
		.in_file = row->form == ADDRESS_FILE || (row->form == ADDRESS_URL_OR_FILE && address[0] == '/'),
	};
	return NULL;
}

Error *
notify_targets_parse(const char *text, NotifyTargets *ret_targets)
{
	AUTO_NOTIFY_TARGETS targets = {0};

	for (text += strspn(text, SEPARATORS); *text != '\0'; text += strspn(text, SEPARATORS))
	{
		size_t length = strcspn(text, SEPARATORS);
		AUTO_FREE char *word = mem_strndup(text, length);

		TRY(add_target(word, &targets));
		text += length;
	}
	*ret_targets = targets;
	targets = (NotifyTargets){0};
	return NULL;
}

NotifyTarget
notify_target_heartbeat(const char *text)
{
	return (NotifyTarget){.kind = NOTIFY_HEARTBEAT,
	                      .name = mem_strdup("heartbeat"),
	                      .address = mem_strdup(text),
	                      .in_file = text[0] == '/'};
}

Error *
notify_target_check(const NotifyTarget *target)
{
	bool wants_url = target->kind != NOTIFY_TELEGRAM && target->kind != NOTIFY_PAGERDUTY &&
	                 target->kind != NOTIFY_MAILTO && target->kind != NOTIFY_EXEC;

	if (wants_url && !is_url(target->secret))
		return error_hint(error_new(ERR_USAGE, "target \"%s\" has no URL", target->name),
		                  "%s must be of the form https://HOST/PATH, without a password before the host.",
		                  target->in_file ? "The only line of its file" : "It");
	for (const char *c = target->secret; *c != '\0'; c++)
		if (!isgraph((unsigned char) *c))
			return error_new(ERR_USAGE,
			                 "the secret of target \"%s\" has a blank or a control character in it",
			                 target->name);
	return NULL;
}

void
notify_targets_release(NotifyTargets *targets)
{
	for (size_t i = 0; i < targets->count; i++)
	{
		free(targets->items[i].name);
		free(targets->items[i].address);
		secret_free(targets->items[i].secret);
	}
	*targets = (NotifyTargets){0};
}

const char *
notify_target_id(const NotifyTarget *target, char text[NOTIFY_TARGET_ID_SIZE])
{
	(void) snprintf(text, NOTIFY_TARGET_ID_SIZE, "%08" PRIx32, crc32c(0, target->name, strlen(target->name)));
	return text;
}
