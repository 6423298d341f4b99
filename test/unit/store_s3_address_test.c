/* Where requests go, and as whom. */
#include "scratch.h"

#include "s3_address.h"
#include "s3_creds.h"

typedef struct AddressCase
{
	const char *url;
	const char *endpoint;
	S3PathStyle style;
	const char *expected; /* scheme, host and path of key "a/b.c"; NULL: refused */
} AddressCase;

static const AddressCase address_cases[] = {
	{"s3://bucket", NULL, S3_PATH_STYLE_AUTO, "https://bucket.s3.eu-west-1.amazonaws.com/a/b.c"},
	{"s3://bucket/", NULL, S3_PATH_STYLE_AUTO, "https://bucket.s3.eu-west-1.amazonaws.com/a/b.c"},
	{"s3://bucket/p/q", NULL, S3_PATH_STYLE_AUTO, "https://bucket.s3.eu-west-1.amazonaws.com/p/q/a/b.c"},
	{"s3://bucket/p/q/", NULL, S3_PATH_STYLE_AUTO, "https://bucket.s3.eu-west-1.amazonaws.com/p/q/a/b.c"},
	{"s3://with.dots", NULL, S3_PATH_STYLE_AUTO, "https://s3.eu-west-1.amazonaws.com/with.dots/a/b.c"},
	{"s3://bucket", NULL, S3_PATH_STYLE_ON, "https://s3.eu-west-1.amazonaws.com/bucket/a/b.c"},
	{"s3://bucket/p", "https://h.example", S3_PATH_STYLE_AUTO, "https://h.example/bucket/p/a/b.c"},
	{"s3://bucket/p", "h.example", S3_PATH_STYLE_AUTO, "https://h.example/bucket/p/a/b.c"},
	{"s3://bucket", "https://H.example:443/", S3_PATH_STYLE_AUTO, "https://h.example/bucket/a/b.c"},
	{"s3://bucket", "http://h:80", S3_PATH_STYLE_AUTO, "http://h/bucket/a/b.c"},
	{"s3://bucket", "http://h:443", S3_PATH_STYLE_AUTO, "http://h:443/bucket/a/b.c"},
	{"s3://bucket", "http://127.0.0.1:9000", S3_PATH_STYLE_OFF, "http://bucket.127.0.0.1:9000/a/b.c"},
	{"s3://bucket", "http://[::1]:9000", S3_PATH_STYLE_AUTO, "http://[::1]:9000/bucket/a/b.c"},
	{"s3://bucket", "https://s3.eu-west-1.amazonaws.com", S3_PATH_STYLE_AUTO,
     "https://bucket.s3.eu-west-1.amazonaws.com/a/b.c"},
	{"s3://", NULL, S3_PATH_STYLE_AUTO, NULL},
	{"s3:///prefix", NULL, S3_PATH_STYLE_AUTO, NULL},
	{"s3://b", NULL, S3_PATH_STYLE_AUTO, NULL},
	{"s3://-bucket", NULL, S3_PATH_STYLE_AUTO, NULL},
	{"s3://buck et", NULL, S3_PATH_STYLE_AUTO, NULL},
	{"s3://bucket//p", NULL, S3_PATH_STYLE_AUTO, NULL},
	{"s3://bucket/p/../q", NULL, S3_PATH_STYLE_AUTO, NULL},
	{"s3://bucket/p q", NULL, S3_PATH_STYLE_AUTO, NULL},
	{"file:///x", NULL, S3_PATH_STYLE_AUTO, NULL},
	{"s3://bucket", "ftp://h", S3_PATH_STYLE_AUTO, NULL},
	{"s3://bucket", "https://", S3_PATH_STYLE_AUTO, NULL},
	{"s3://bucket", "https://h/path", S3_PATH_STYLE_AUTO, NULL},
	{"s3://bucket", "https://user@h", S3_PATH_STYLE_AUTO, NULL},
	{"s3://bucket", "https://h?x", S3_PATH_STYLE_AUTO, NULL},
};

static void
urls_and_endpoints_become_addresses(void **state)
{
	(void) state;
	for (size_t i = 0; i < lengthof(address_cases); i++)
	{
		const AddressCase *row = &address_cases[i];
		S3Address address = {0};
		AUTO_BUF(got, 1000);
		AUTO(Error) error = s3_address_parse(row->url, row->endpoint, row->style, &address);

		if (row->expected == NULL)
		{
			if (!error_is(error, ERR_USAGE))
				fail_msg("%s at %s is taken", row->url, row->endpoint);
			continue;
		}
		if (error != NULL)
			fail_msg("%s: %s", row->url, error_message(error));
		buf_printf(&got, "%s://", address.scheme);
		s3_address_host(&address, "eu-west-1", &got);
		s3_address_path(&address, "a/b.c", &got);
		assert_string_equal(got.data, row->expected);
		s3_address_release(&address);
	}
}

static void
some_providers_are_known(void **state)
{
	static const struct
	{
		const char *endpoint;
		S3Conditional expected;
	} cases[] = {
		{NULL, S3_CONDITIONAL_HONOURED},
		{"https://s3.eu-central-003.backblazeb2.com", S3_CONDITIONAL_REFUSED},
		{"https://storage.googleapis.com", S3_CONDITIONAL_IGNORED},
		{"https://evil-backblazeb2.com", S3_CONDITIONAL_UNKNOWN},
		{"http://127.0.0.1:9000", S3_CONDITIONAL_UNKNOWN},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(cases); i++)
	{
		S3Address address;

		assert_ok(s3_address_parse("s3://bucket", cases[i].endpoint, S3_PATH_STYLE_AUTO, &address));
		assert_int_equal(s3_address_preset(&address), cases[i].expected);
		s3_address_release(&address);
	}
}

typedef struct CredsCase
{
	const char *name;
	const char *settings[3];    /* key, secret, token */
	const char *environment[6]; /* besides the paths of the two files */
	const char *credentials;    /* file; NULL: none */
	const char *config;
	const char *expected; /* "id secret token region endpoint" or a part of the error's message */
} CredsCase;

#define FILE_TEXT                                                                                   \
	"# comment\n[default]\naws_access_key_id = D\naws_secret_access_key=d/+=x\n\n[ other ]\n"       \
	"  \naws_access_key_id=O\r\naws_secret_access_key = o ; no comment\r\naws_session_token = ot\n" \
	"[half]\naws_access_key_id=H\n"
#define CONFIG_TEXT                                                                     \
	"[default]\nregion = eu-1\ns3 =\n  region = nested\n[profile other]\nregion=eu-2\n" \
	"endpoint_url = https://o.example\n[profile keys]\naws_access_key_id = C\naws_secret_access_key = c\n"

static const CredsCase creds_cases[] = {
	{"settings", {"S", "s", NULL}, {NULL}, NULL, NULL, "S s - - -"},
	{"settings before all",
     {"S", "s", "t"},
     {"AWS_ACCESS_KEY_ID=E", "AWS_SECRET_ACCESS_KEY=e"},
     FILE_TEXT,
     CONFIG_TEXT,
     "S s t eu-1 -"},
	{"environment",
     {NULL},
     {"AWS_ACCESS_KEY_ID=E", "AWS_SECRET_ACCESS_KEY=e", "AWS_SESSION_TOKEN=t", "AWS_DEFAULT_REGION=r"},
     FILE_TEXT,
     NULL,
     "E e t r -"},
	{"empty variables",
     {NULL},
     {"AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY="},
     FILE_TEXT,
     NULL,
     "D d/+=x - - -"},
	{"region of the environment",
     {NULL},
     {"AWS_REGION=r1", "AWS_DEFAULT_REGION=r2"},
     FILE_TEXT,
     CONFIG_TEXT,
     "D d/+=x - r1 -"},
	{"default profile", {NULL}, {NULL}, FILE_TEXT, CONFIG_TEXT, "D d/+=x - eu-1 -"},
	{"another profile",
     {NULL},
     {"AWS_PROFILE=other"},
     FILE_TEXT,
     CONFIG_TEXT,
     "O o ; no comment ot eu-2 https://o.example"},
	{"keys in the config file", {NULL}, {"AWS_PROFILE=keys"}, FILE_TEXT, CONFIG_TEXT, "C c - - -"},
	{"endpoint",
     {"S", "s", NULL},
     {"AWS_ENDPOINT_URL=https://a", "AWS_ENDPOINT_URL_S3=https://b"},
     NULL,
     NULL,
     "S s - - https://b"},
	{"line feeds", {"S\n", "s \r\n", "t\n"}, {NULL}, NULL, NULL, "S s t - -"},
	{"nothing", {NULL}, {NULL}, NULL, NULL, "there are no credentials"},
	{"half of the settings", {"S", NULL, NULL}, {NULL}, FILE_TEXT, NULL, "no \"s3_secret_access_key\""},
	{"other half of the settings", {NULL, "s", NULL}, {NULL}, FILE_TEXT, NULL, "no \"s3_access_key_id\""},
	{"half of the environment",
     {NULL},
     {"AWS_ACCESS_KEY_ID=E"},
     FILE_TEXT,
     NULL,
     "no \"AWS_SECRET_ACCESS_KEY\""},
	{"half a profile", {NULL}, {"AWS_PROFILE=half"}, FILE_TEXT, NULL, "no \"aws_secret_access_key\""},
	{"unknown profile",
     {NULL},
     {"AWS_PROFILE=none"},
     FILE_TEXT,
     CONFIG_TEXT,
     "profile \"none\" was not found"},
};

static void
write_file(const char *path, const char *text)
{
	if (text != NULL)
		assert_ok(file_replace(path, text, strlen(text), 0600));
	else
		assert_ok(file_remove(path));
}

static const char *
or_dash(const char *text)
{
	return text == NULL ? "-" : text;
}

static void
run_creds_case(const CredsCase *row, const char *directory)
{
	AUTO_FREE char *credentials_path = path_join(directory, "credentials");
	AUTO_FREE char *config_path = path_join(directory, "config");
	AUTO_FREE char *credentials_variable = mem_printf("AWS_SHARED_CREDENTIALS_FILE=%s", credentials_path);
	AUTO_FREE char *config_variable = mem_printf("AWS_CONFIG_FILE=%s", config_path);
	char *environment[9] = {credentials_variable, config_variable};
	S3Options options = {.url = "s3://bucket",
	                     .environment = environment,
	                     .access_key_id = row->settings[0],
	                     .secret_access_key = row->settings[1],
	                     .session_token = row->settings[2]};
	S3Credentials found = {0};
	AUTO_FREE char *got = NULL;

	for (size_t i = 0; i < lengthof(row->environment); i++)
		environment[i + 2] = (char *) (uintptr_t) row->environment[i];
	write_file(credentials_path, row->credentials);
	write_file(config_path, row->config);

	AUTO(Error) error = s3_creds_find(&options, &found);

	if (error != NULL)
		got = mem_strdup(error_message(error));
	else
		got = mem_printf("%s %s %s %s %s", found.access_key_id, found.secret_access_key,
		                 or_dash(found.session_token), or_dash(found.region), or_dash(found.endpoint));
	s3_creds_release(&found);
	if (error == NULL ? strcmp(got, row->expected) != 0 : strstr(got, row->expected) == NULL)
		fail_msg("%s: %s", row->name, got);
}

/* Of temporary credentials it is known when they end where what made them wrote it beside them. */
static void
the_end_of_temporary_credentials_is_known_where_it_is_said(void **state)
{
	static const struct
	{
		const char *profile;
		const char *environment[4];
		TimeUs ends;
	} cases[] = {
		{"x_security_token_expires = 2030-01-02T00:47:31+02:00", {NULL}, INT64_C(1893538051000000)},
		{"expiration = 2030-01-01 22:47:31", {NULL}, INT64_C(1893538051000000)},
		{"expiration = tomorrow", {NULL}, TIME_NONE},
		{"", {NULL}, TIME_NONE},
		{"expiration = 2030-01-01 22:47:31",
	     {"AWS_ACCESS_KEY_ID=E", "AWS_SECRET_ACCESS_KEY=e", "AWS_CREDENTIAL_EXPIRATION=2031-01-01T00:00:00Z"},
	     INT64_C(1924992000000000)},
		{"expiration = 2030-01-01 22:47:31",
	     {"AWS_ACCESS_KEY_ID=E", "AWS_SECRET_ACCESS_KEY=e", "AWS_SESSION_TOKEN=t"},
	     TIME_NONE},
		{"", {"AWS_CREDENTIAL_EXPIRATION=2031-01-01T00:00:00Z"}, TIME_NONE},
	};
	char *directory = scratch_make();

	(void) state;
	for (size_t i = 0; i < lengthof(cases); i++)
	{
		AUTO_FREE char *path = path_join(directory, "credentials");
		AUTO_FREE char *variable = mem_printf("AWS_SHARED_CREDENTIALS_FILE=%s", path);
		AUTO_FREE char *text = mem_printf(
			"[default]\naws_access_key_id = D\naws_secret_access_key = d\naws_session_token = t\n%s\n",
			cases[i].profile);
		char *environment[6] = {variable, (char *) (uintptr_t) "AWS_CONFIG_FILE=/nowhere"};
		S3Options options = {.url = "s3://bucket", .environment = environment};
		S3Credentials found = {0};

		for (size_t k = 0; k < lengthof(cases[i].environment); k++)
			environment[k + 2] = (char *) (uintptr_t) cases[i].environment[k];
		write_file(path, text);
		assert_ok(s3_creds_find(&options, &found));
		assert_true(found.ends == cases[i].ends);
		s3_creds_release(&found);
	}
	scratch_remove(directory);
}

static void
credentials_come_from_settings_then_environment_then_profile(void **state)
{
	char *directory = scratch_make();

	(void) state;
	for (size_t i = 0; i < lengthof(creds_cases); i++)
		run_creds_case(&creds_cases[i], directory);
	scratch_remove(directory);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(urls_and_endpoints_become_addresses),
		cmocka_unit_test(some_providers_are_known),
		cmocka_unit_test(credentials_come_from_settings_then_environment_then_profile),
		cmocka_unit_test(the_end_of_temporary_credentials_is_known_where_it_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
