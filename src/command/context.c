/* From settings to the values that the folders below take. */
#include "context.h"

#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "systems.h"
#include "walship/archive/catalog.h"
#include "walship/archive/dump_record.h"
#include "walship/base/log.h"
#include "walship/base/mem.h"
#include "walship/base/strs.h"
#include "walship/pg/pgdata.h"
#include "walship/store/file_store.h"
#include "walship/store/s3_store.h"
#include "walship/store/second_store.h"

#define FILE_SCHEME "file://"
#define S3_SCHEME   "s3://"

/* Someone waits for push and fetch, and asks again; nobody for a backup, which begins from scratch. */
#define CONNECT_HURRIED_MS 3000
#define CONNECT_PATIENT_MS 10000
#define UNREACHED_MS       15000

static Error *
store_setting(const Settings *settings, const char **ret_url)
{
	*ret_url = settings_text(settings, SETTING_store);
	if (*ret_url != NULL)
		return NULL;
	if (settings_other_clusters(settings) != NULL)
		return error_hint(
			error_new(ERR_USAGE, "setting \"store\" is not set outside of the clusters' sections"),
			"The settings file has the clusters %s: choose one with --cluster.",
			settings_other_clusters(settings));
	return error_hint(
		error_new(ERR_USAGE, "setting \"store\" is not set"),
		"Write \"store = s3://bucket/prefix\" or \"store = file:///directory\" into the settings "
		"file, or give --store or WALSHIP_STORE.");
}

/* "/backup" of "file:///backup"; NULL for a bucket. */
static Error *
store_directory(const Settings *settings, const char **ret_directory)
{
	const char *url;

	TRY(store_setting(settings, &url));
	*ret_directory = NULL;
	if (str_starts_with(url, S3_SCHEME))
		return NULL;
	if (!str_starts_with(url, FILE_SCHEME "/"))
		return error_hint(error_new(ERR_USAGE, "store \"%s\" is of no known kind", url),
		                  "A bucket is written s3://bucket/prefix, a directory file:///directory, with three "
		                  "slashes.");
	*ret_directory = url + strlen(FILE_SCHEME);
	return NULL;
}

Error *
context_create_store(const Settings *settings)
{
	const char *directory;

	TRY(store_directory(settings, &directory));
	return directory == NULL ? NULL : file_store_create(directory);
}

static S3PathStyle
path_style(const Settings *settings)
{
	const char *text = settings_text(settings, SETTING_s3_path_style);

	if (strcmp(text, "on") == 0)
		return S3_PATH_STYLE_ON;
	return strcmp(text, "off") == 0 ? S3_PATH_STYLE_OFF : S3_PATH_STYLE_AUTO;
}

static Error *
open_s3(const Settings *settings, const Patience *patience, bool keeps_certificate, Store **ret_store)
{
	S3Options options = {
		.url = settings_text(settings, SETTING_store),
		.endpoint = settings_text(settings, SETTING_s3_endpoint),
		.region = settings_text(settings, SETTING_s3_region),
		.path_style = path_style(settings),
		.ca_file = settings_text(settings, SETTING_s3_ca_file),
		.access_key_id = settings_text(settings, SETTING_s3_access_key_id),
		.secret_access_key = settings_text(settings, SETTING_s3_secret_access_key),
		.session_token = settings_text(settings, SETTING_s3_session_token),
		.environment = environ,
		.storage_class = settings_text(settings, SETTING_s3_storage_class),
		.sse = settings_text(settings, SETTING_s3_sse),
		.sse_kms_key_id = settings_text(settings, SETTING_s3_sse_kms_key_id),
		.state_dir = settings_text(settings, SETTING_state_dir),
		.user_agent = "walship/" WALSHIP_VERSION,
		.jobs = (int) settings_integer(settings, SETTING_jobs),
		.keeps_certificate = keeps_certificate,
		.patience = *patience,
		.notices = log_notices(),
	};

	if (options.patience.connect_ms == 0)
		options.patience.connect_ms = CONNECT_HURRIED_MS;
	if (options.patience.stall_ms == 0)
		options.patience.stall_ms = settings_ms(settings, SETTING_request_timeout);
	return s3_store_open(&options, ret_store);
}

static Patience
patient(const Settings *settings)
{
	Patience patience = {.connect_ms = CONNECT_PATIENT_MS,
	                     .retry_ms = settings_ms(settings, SETTING_store_deadline)};

	/* Who sits there has perhaps mistyped the address. */
	if (isatty(STDERR_FILENO) && !settings_is_set(settings, SETTING_store_deadline))
		patience.unreached_ms = UNREACHED_MS;
	return patience;
}

Error *
context_open_store(const Settings *settings, Store **ret_store)
{
	Patience patience = patient(settings);

	return context_open_store_within(settings, &patience, ret_store);
}

static Error *
open_store(const Settings *settings, const Patience *patience, bool keeps_certificate, Store **ret_store)
{
	const char *directory;

	TRY(store_directory(settings, &directory));
	if (directory == NULL)
		return open_s3(settings, patience, keeps_certificate, ret_store);
	return file_store_open(directory, ret_store);
}

Error *
context_open_store_within(const Settings *settings, const Patience *patience, Store **ret_store)
{
	return open_store(settings, patience, false, ret_store);
}

Error *
context_open_store_to_look_at(const Settings *settings, const Patience *patience, Store **ret_store)
{
	return open_store(settings, patience, true, ret_store);
}

/* What opens a second store, as long as there may be use for it. */
typedef struct SecondContext
{
	Settings *settings;
	Patience patience;
} SecondContext;

static Error *
open_second(void *context, Store **ret_store)
{
	const SecondContext *second = context;

	return context_open_store_within(second->settings, &second->patience, ret_store);
}

static void
free_second(void *context)
{
	SecondContext *second = context;

	settings_free(second->settings);
	free(second);
}

/* By another name: through a link, or with a slash more. */
static bool
is_same_directory(const char *ours, const char *theirs)
{
	struct stat one;
	struct stat other;

	return ours != NULL && theirs != NULL && stat(ours, &one) == 0 && stat(theirs, &other) == 0 &&
	       one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

bool
context_is_same_store(const Store *ours, const Store *theirs)
{
	return strcmp(store_identity(ours), store_identity(theirs)) == 0 ||
	       is_same_directory(store_directory_path(ours), store_directory_path(theirs));
}

/* No reason for a recovery to fail: it reads the one store. */
static bool
is_own_directory(const Settings *settings, const Settings *other)
{
	const char *ours;
	const char *theirs;
	AUTO(Error) error = store_directory(settings, &ours);

	if (error == NULL)
		error = store_directory(other, &theirs);
	if (error != NULL || !is_same_directory(ours, theirs))
		return false;
	log_line(LOG_WARNING, "A second copy lies on another disk, better in another place.",
	         "setting \"second_store\": \"%s\" is the store itself, and no second copy", theirs);
	return true;
}

Error *
context_second_settings(const Settings *settings, Settings **ret_settings)
{
	const char *second = settings_text(settings, SETTING_second_store);
	AUTO(Settings) other = NULL;
	AUTO_FREE char *ours = context_store_identity(settings);
	AUTO_FREE char *theirs = NULL;

	*ret_settings = NULL;
	if (second == NULL || strcmp(second, NO_SECOND_STORE) == 0)
		return NULL;
	TRY(error_context(settings_of_store(settings, second, &other), "setting \"second_store\""));
	theirs = context_store_identity(other);

	/* As of a command that was given the second one as its store. */
	if (!str_equal(ours, theirs) && !is_own_directory(settings, other))
		*ret_settings = MOVE(other);
	return NULL;
}

/* A store that is read: behind it there is the second one, when one is set. */
static Error *
open_both(const Settings *settings, const Patience *patience, Store **ret_store)
{
	AUTO(Store) first = NULL;
	AUTO(Settings) second = NULL;
	SecondStoreOpener opener = {.open = open_second, .free = free_second};
	Notices notices = log_notices();
	SecondContext *context;

	TRY(context_open_store_within(settings, patience, &first));
	TRY(context_second_settings(settings, &second));
	if (second == NULL)
	{
		*ret_store = MOVE(first);
		return NULL;
	}
	context = NEW(SecondContext);
	*context = (SecondContext){MOVE(second), *patience};
	opener.context = context;
	*ret_store =
		second_store_new(MOVE(first), settings_text(context->settings, SETTING_store), &opener, &notices);
	return NULL;
}

Error *
context_open_stores(const Settings *settings, Store **ret_store)
{
	Patience patience = patient(settings);

	return open_both(settings, &patience, ret_store);
}

static Error *
open_by_settings(const void *settings, const Patience *patience, Store **ret_store)
{
	return open_both(settings, patience, ret_store);
}

StoreOpener
context_store_opener(const Settings *settings)
{
	return (StoreOpener){open_by_settings, settings};
}

Error *
context_compression(const Settings *settings, CompressFor purpose, Compression *ret_compression)
{
	const char *name = settings_text(settings, SETTING_compression);
	bool level_is_set = settings_is_set(settings, SETTING_compression_level);
	int64_t level = level_is_set ? settings_integer(settings, SETTING_compression_level) : 0;
	Codec codec;
	int lowest;
	int highest;

	if (!codec_from_name(name, &codec))
	{
		if (level_is_set)
			return error_hint(error_new(ERR_USAGE,
			                            "setting \"compression_level\" is %" PRId64
			                            ", but \"compression\" is \"auto\"",
			                            level),
			                  "A level belongs to a codec: set compression = brotli or zstd beside it, or "
			                  "leave the level out.");
		*ret_compression = compression_auto(purpose);
		return NULL;
	}
	codec_level_range(codec, &lowest, &highest);
	if (level_is_set && (level < lowest || level > highest))
		return error_new(ERR_USAGE,
		                 "setting \"compression_level\" is %" PRId64 ", but %s has levels %d to %d", level,
		                 name, lowest, highest);
	*ret_compression = compression_for(codec, purpose);
	if (level_is_set)
		ret_compression->level = (int) level;
	return NULL;
}

static Error *
different_systems(uint64_t wanted, uint64_t found, const char *directory)
{
	return error_hint(error_new(ERR_USAGE,
	                            "setting \"system\" is %" PRIu64
	                            ", but data directory \"%s\" belongs to system %" PRIu64,
	                            wanted, directory, found),
	                  "Remove the setting: it is only needed where several systems share a store.");
}

/* False when the setting is not set. */
static bool
system_from_setting(const Settings *settings, uint64_t *ret_system)
{
	const char *text = settings_text(settings, SETTING_system);

	return text != NULL && str_to_uint64(text, ret_system);
}

static Error *
read_control(const char *data_directory, PgControl *ret_control)
{
	Error *error = pgdata_read_control(data_directory, ret_control);

	if (!error_is(error, ERR_NOT_FOUND))
		return error;
	error_free(error);
	return error_hint(
		error_new(ERR_NOT_FOUND, "data directory \"%s\" is not there, or holds no database system",
	              data_directory),
		"Where the server's data lies elsewhere now, change the setting \"pgdata\"; or set \"system\".");
}

Error *
context_system(const Settings *settings, const char *data_directory, uint64_t *ret_system)
{
	uint64_t wanted = 0;
	bool given = system_from_setting(settings, &wanted);
	PgControl control;

	if (data_directory == NULL && !given)
		return error_hint(
			error_new(ERR_USAGE, "no data directory was found, so the database system is unknown"),
			"Run walship in the data directory, or set \"system\".");
	if (data_directory == NULL)
	{
		*ret_system = wanted;
		return NULL;
	}
	TRY(read_control(data_directory, &control));
	if (given && wanted != control.system_identifier)
		return different_systems(wanted, control.system_identifier, data_directory);
	*ret_system = control.system_identifier;
	return NULL;
}

#define DIRECTORIES_MAX 8 /* of a store's top, into which to look for servers of barman */

typedef struct OwnerSearch
{
	const char *owner; /* NULL: not known */
	StrList unknown;
	size_t depth; /* bytes of the prefix */
} OwnerSearch;

/* By the names that the other programs' stores have at their top; barman has them in a server's directory. */
static Error *
recognize_owner(void *context, const StoreEntry *entry)
{
	static const struct
	{
		const char *prefix;
		const char *owner;
	} owners[] = {{"basebackups_005/", "WAL-G"}, {"wal_005/", "WAL-G"}, {"archive/", "pgBackRest"},
	              {"backup/", "pgBackRest"},     {"base/", "barman"},   {"wals/", "barman"}};
	OwnerSearch *search = context;

	for (size_t i = 0; i < lengthof(owners); i++)
		if (strcmp(entry->key + search->depth, owners[i].prefix) == 0)
			search->owner = owners[i].owner;
	if (search->depth == 0 && entry->is_prefix && search->unknown.count < DIRECTORIES_MAX)
		strlist_add(&search->unknown, entry->key);
	return NULL;
}

Error *
context_other_owner(Store *store, const char **ret_owner)
{
	OwnerSearch search = {0};
	Error *error = store_list(store, "", LIST_LEVEL, NULL, recognize_owner, &search);

	for (size_t i = 0; error == NULL && search.owner == NULL && i < search.unknown.count; i++)
	{
		uint64_t system;
		const char *directory = search.unknown.items[i];
		AUTO_FREE char *name = mem_strndup(directory, strlen(directory) - 1);

		search.depth = strlen(directory);
		if (!str_to_uint64(name, &system))
			error = store_list(store, directory, LIST_LEVEL, NULL, recognize_owner, &search);
	}
	strlist_release(&search.unknown);
	*ret_owner = search.owner;
	return error;
}

static Error *
only_system(const Settings *settings, Store *store, uint64_t *ret_system)
{
	AUTO_STRLIST systems = {0};

	TRY(catalog_systems(store, &systems));
	if (systems.count == 0)
	{
		const char *owner = NULL;

		TRY(context_other_owner(store, &owner));
		if (owner != NULL)
			return error_hint(error_new(ERR_NOT_FOUND,
			                            "store \"%s\" holds backups of %s, and none of walship",
			                            store_url(store), owner),
			                  "walship reads only what it wrote itself: give it a prefix of its own.");
		return error_hint(error_new(ERR_NOT_FOUND, "store \"%s\" holds nothing yet", store_url(store)),
		                  "Is archiving set up, and is this the right store?");
	}
	if (systems.count > 1)
		return systems_choose(store, &systems, (int) settings_integer(settings, SETTING_jobs));
	(void) str_to_uint64(systems.items[0], ret_system);
	return NULL;
}

char *
context_pgdata(const Settings *settings)
{
	const char *pgdata = settings_text(settings, SETTING_pgdata);

	return pgdata != NULL ? mem_strdup(pgdata) : pgdata_of(NULL);
}

Error *
context_system_in_store(const Settings *settings, Store *store, uint64_t *ret_system)
{
	AUTO_FREE char *directory = context_pgdata(settings);
	AUTO(Error) gone = NULL;

	if (system_from_setting(settings, ret_system))
		return NULL;
	if (directory != NULL)
		gone = context_system(settings, directory, ret_system);
	if (directory != NULL && !error_is(gone, ERR_NOT_FOUND))
		return MOVE(gone);

	/* On a new machine the store is all there is, and knows which one it was. */
	TRY(only_system(settings, store, ret_system));
	if (gone != NULL)
		log_info("%s: system %" PRIu64 " is taken, the only one in the store", error_message(gone),
		         *ret_system);
	return NULL;
}

Error *
context_system_to_change(const Settings *settings, Store *store, uint64_t *ret_system)
{
	const char *directory = settings_text(settings, SETTING_pgdata);
	AUTO(Error) gone = NULL;

	if (directory != NULL && !system_from_setting(settings, ret_system))
		gone = context_system(settings, directory, ret_system);
	if (error_is(gone, ERR_NOT_FOUND))
		return error_hint(MOVE(gone),
		                  "Whose objects are meant is not guessed: say --system. \"walship list\" "
		                  "names the systems in the store.");
	return gone != NULL ? MOVE(gone) : context_system_in_store(settings, store, ret_system);
}

Error *
context_dumps_newest_first(const Settings *settings, Store *store, uint64_t system, StrList *ret_ids,
                           size_t *ret_n_damaged)
{
	AUTO_STRLIST damaged = {0};

	TRY(dump_ids_newest_first(store, system, (int) settings_integer(settings, SETTING_jobs), ret_ids,
	                          &damaged));
	for (size_t i = 0; i < damaged.count; i++)
		log_line(LOG_WARNING, NULL, "dump %s: it is passed over", damaged.items[i]);
	*ret_n_damaged = damaged.count;
	return NULL;
}

/* The environment is the postmaster's, and has a say where the setting has none. */
char *
context_store_identity(const Settings *settings)
{
	const char *url = settings_text(settings, SETTING_store);
	const char *endpoint = settings_text(settings, SETTING_s3_endpoint);

	if (endpoint == NULL)
		endpoint = getenv("AWS_ENDPOINT_URL_S3");
	if (endpoint == NULL)
		endpoint = getenv("AWS_ENDPOINT_URL");
	return url == NULL ? NULL : mem_printf("%s\n%s", url, endpoint == NULL ? "" : endpoint);
}

Error *
context_fetch_source(const Settings *settings, const char *data_directory, FetchSource *ret_source)
{
	*ret_source = (FetchSource){.data_directory = data_directory,
	                            .opener = context_store_opener(settings),
	                            .state_dir = settings_text(settings, SETTING_state_dir),
	                            .ahead = (int) settings_integer(settings, SETTING_prefetch),
	                            .jobs = (int) settings_integer(settings, SETTING_jobs)};
	return context_system(settings, data_directory, &ret_source->system_identifier);
}
