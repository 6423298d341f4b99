/* walship status: is everything fresh, whole and proven?  What that is: walship/upkeep/status.h. */
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "context.h"
#include "print_status.h"
#include "table.h"
#include "walship/archive/catalog.h"
#include "walship/base/cancel.h"
#include "walship/base/file.h"
#include "walship/base/log.h"
#include "walship/base/mem.h"
#include "walship/base/workers.h"

#define STATUS_CHECKS_FAILED 8
#define STORE_PATIENCE_MS    15000
#define NAGIOS_PATIENCE_MS   4000
#define NAGIOS_LIMIT_MS      8500 /* NRPE and its kin wait for 10 s */
#define METRICS_MAX          (16 * 1024 * 1024)
#define PAGE_MAX             (256 * 1024 * 1024)
#define SYSTEMS_MAX          4096

static const CommandOption options[] = {
	{"all", OPTION_FLAG, NULL, "every [cluster NAME] of the settings file, side by side"},
	{"store-only", OPTION_FLAG, NULL, "do not ask the server: what only it knows is not shown"},
	{"json", OPTION_FLAG, NULL, "print one JSON object"},
	{"nagios", OPTION_FLAG, NULL,
     "print one line for Nagios and its kin, within 10 s, with their exit codes: 0, 1, 2, 3"},
	{"html", OPTION_VALUE, "FILE", "write a page for a browser into this file"},
	{"prometheus", OPTION_VALUE, "FILE",
     "write metrics for the textfile collector of node_exporter into this file"},
};

/* ---- one cluster ---- */

/* What is looked at, and how; shared by all threads but for "cluster". */
typedef struct Look
{
	const Settings *settings;
	Settings *second; /* of the second store; NULL: there is none */
	int64_t until_ms; /* when no other attempt is made at the store */
	bool with_server;
	bool with_drills;       /* all of them, for the page */
	bool alone;             /* settings that cannot be used are an error of the command */
	ClusterStatus *cluster; /* to be filled */
} Look;

static double
price(const Settings *settings, SettingId id)
{
	const char *text = settings_text(settings, id);

	return text == NULL ? -1 : strtod(text, NULL);
}

static int64_t
limit(const Settings *settings, SettingId id)
{
	return settings_is_set(settings, id) ? settings_ms(settings, id) : 0;
}

static StatusLimits
limits_of(const Settings *settings)
{
	return (StatusLimits){
		.push_alarm_after_ms = settings_ms(settings, SETTING_push_alarm_after),
		.rpo_target_ms = limit(settings, SETTING_rpo_target),
		.rto_target_ms = limit(settings, SETTING_rto_target),
		.backup_max_age_ms = settings_ms(settings, SETTING_backup_max_age),
		.drill_max_age_ms = settings_ms(settings, SETTING_drill_max_age),
		.verify_max_age_ms = settings_ms(settings, SETTING_verify_max_age),
		.copy_max_age_ms = settings_ms(settings, SETTING_copy_max_age),
		.dump_max_age_ms = limit(settings, SETTING_dump_max_age),
		.files_max_age_ms = limit(settings, SETTING_files_max_age),
		.certificate_alarm_before_ms = settings_ms(settings, SETTING_certificate_alarm_before),
		.session_alarm_before_ms = settings_ms(settings, SETTING_session_alarm_before),
		.wants_dumps = settings_text(settings, SETTING_dump_retention) != NULL,
		.wants_files = settings_text(settings, SETTING_files_retention) != NULL,
		.price_per_gb = price(settings, SETTING_price_per_gb),
		.price_per_1000_puts = price(settings, SETTING_price_per_1000_puts),
	};
}

/* Nothing is there of this system: is it another one's store, or another program's? */
static Error *
explain_emptiness(Store *store, uint64_t system)
{
	AUTO_STRLIST systems = {0};
	AUTO_BUF(names, SYSTEMS_MAX);
	const char *owner = NULL;

	TRY(catalog_systems(store, &systems));
	for (size_t i = 0; i < systems.count; i++)
		buf_printf(&names, "%s%s", i > 0 ? ", " : "", systems.items[i]);
	if (systems.count > 0)
		return error_hint(error_new(ERR_NOT_FOUND, "the store holds nothing of system %" PRIu64 ", but of %s",
		                            system, names.overflowed ? "many others" : names.data),
		                  "Is this the right store, and the right pgdata or system?");
	TRY(context_other_owner(store, &owner));
	if (owner == NULL)
		return error_hint(error_new(ERR_NOT_FOUND, "the store holds nothing yet"),
		                  "Is archiving set up, and is this the right store? Run: walship check");
	return error_hint(error_new(ERR_NOT_FOUND, "the store holds backups of %s, and none of walship", owner),
	                  "walship reads only what it wrote itself: give it a prefix of its own.");
}

static Error *
read_opened(const Look *look, Store *store, Store *second)
{
	StatusFacts *facts = &look->cluster->facts;
	int jobs = (int) settings_integer(look->settings, SETTING_jobs);

	TRY(context_system_in_store(look->settings, store, &facts->system_identifier));
	TRY(status_read_store(facts, store, second, settings_text(look->settings, SETTING_state_dir), jobs));
	if (look->with_drills)
	{
		Notices notices = log_notices();

		TRY(status_read_drills(facts, store, jobs, &notices));
	}
	return facts->storage.objects == 0 ? explain_emptiness(store, facts->system_identifier) : NULL;
}

static Error *
read_stores(const Look *look)
{
	StatusFacts *facts = &look->cluster->facts;
	Patience patience = {.retry_ms = settings_ms(look->settings, SETTING_store_deadline),
	                     .retry_until_ms = look->until_ms};
	AUTO(Store) store = NULL;
	AUTO(Store) second = NULL;

	/* Also of one that cannot be opened it is known which it is. */
	facts->store = mem_strdup(settings_text(look->settings, SETTING_store));
	TRY(context_open_store_to_look_at(look->settings, &patience, &store));
	if (look->second != NULL)
	{
		facts->second.url = mem_strdup(settings_text(look->second, SETTING_store));
		TRY(status_take_second_error(facts, context_open_store_to_look_at(look->second, &patience, &second)));
	}

	Error *error = read_opened(look, store, second);

	status_note_access(facts, store, "the store's");
	if (second != NULL)
		status_note_access(facts, second, "the second store's");
	return error;
}

/* What this machine knows by itself. */
static void
look_at_machine(const Look *look)
{
	static const struct
	{
		SettingId id;
		const char *name;
	} authorities[] = {{SETTING_s3_ca_file, "s3_ca_file"}, {SETTING_notify_ca_file, "notify_ca_file"}};
	StatusFacts *facts = &look->cluster->facts;
	AUTO_FREE char *identity = context_store_identity(look->settings);

	status_read_running(facts, settings_text(look->settings, SETTING_state_dir), identity);
	for (size_t i = 0; i < lengthof(authorities); i++)
	{
		const char *path = settings_text(look->settings, authorities[i].id);

		if (path != NULL)
			status_note_certificates(facts, authorities[i].name, path);
	}
}

/* The server first: what it has archived by then must be in the store. */
static Error *
look_at_cluster(void *argument)
{
	const Look *look = argument;
	ClusterStatus *cluster = look->cluster;
	StatusFacts *facts = &cluster->facts;
	AUTO_FREE char *pgdata = context_pgdata(look->settings);
	Error *error;

	cluster->limits = limits_of(look->settings);
	facts->now = clock_now();
	facts->cluster = mem_strdup(settings_cluster(look->settings));
	if (look->with_server)
		TRY(status_ask_server(facts, settings_text(look->settings, SETTING_conninfo), pgdata));
	look_at_machine(look);
	error = read_stores(look);
	if (look->alone && error_is(error, ERR_USAGE))
		return error;
	TRY(status_take_store_error(facts, error));
	status_decide(facts, &cluster->limits, &cluster->report);
	return NULL;
}

/* ---- all of them ---- */

static void
cluster_list_release(ClusterList *clusters)
{
	for (size_t i = 0; i < clusters->count; i++)
	{
		status_facts_release(&clusters->items[i].facts);
		status_report_release(&clusters->items[i].report);
	}
	free(clusters->items);
}

/* A cluster whose settings cannot be used must not hide the others. */
static void
take_settings_error(ClusterStatus *cluster, const char *name, Error *error)
{
	cluster->facts.now = clock_now();
	cluster->facts.cluster = mem_strdup(name);
	cluster->facts.store_error = mem_strdup(error_message(error));
	cluster->facts.store_hint = mem_strdup(error_get_hint(error));
	error_free(error);
	status_decide(&cluster->facts, &cluster->limits, &cluster->report);
}

static Error *
look_at_all(const Invocation *invocation, const StrList *names, const Look *how, ClusterList *clusters)
{
	AUTO(Workers) workers = workers_new((int) settings_integer(how->settings, SETTING_jobs));
	AUTO_FREE Look *looks = NEW_ARRAY(Look, names->count);
	AUTO_FREE Settings **settings = NEW_ARRAY(Settings *, names->count);
	Error *error;

	for (size_t i = 0; i < names->count; i++)
	{
		looks[i] = *how;
		looks[i].cluster = &clusters->items[i];
		error = invocation_load_cluster(invocation, names->items[i], &settings[i]);
		looks[i].settings = settings[i];
		if (error == NULL)
			error = context_second_settings(settings[i], &looks[i].second);
		if (error != NULL)
			take_settings_error(&clusters->items[i], names->items[i], error);
		else
			workers_submit(workers, look_at_cluster, &looks[i], NULL);
	}
	error = workers_wait(workers);
	for (size_t i = 0; i < names->count; i++)
	{
		settings_free(settings[i]);
		settings_free(looks[i].second);
	}
	return error;
}

static Error *
look(const Invocation *invocation, int64_t until_ms, ClusterList *clusters)
{
	const Settings *settings = invocation_settings(invocation);
	const StrList *names = settings_clusters(settings);
	Look how = {.settings = settings,
	            .until_ms = until_ms,
	            .with_server = !invocation_flag(invocation, "store-only"),
	            .with_drills = invocation_value(invocation, "html") != NULL};

	clusters->all = invocation_flag(invocation, "all");
	if (clusters->all && settings_cluster(settings) != NULL)
		return error_new(ERR_USAGE, "--all is for every cluster, and --cluster for one");
	if (clusters->all && names->count == 0)
		return error_hint(error_new(ERR_USAGE, "the settings have no clusters"),
		                  "Sections [cluster NAME] of the settings file make some.");
	clusters->count = clusters->all ? names->count : 1;
	clusters->items = NEW_ARRAY(ClusterStatus, clusters->count);
	if (clusters->all)
		return look_at_all(invocation, names, &how, clusters);
	how.alone = true;
	how.cluster = &clusters->items[0];

	AUTO(Settings) second = NULL;

	TRY(context_second_settings(settings, &second));
	how.second = second;
	return look_at_cluster(&how);
}

/* ---- Nagios ---- */

static void *
end_in_time(void *argument)
{
	if (cancel_sleep_ms(NAGIOS_LIMIT_MS) == NULL)
		cancel_request("the time limit of --nagios");
	return argument;
}

static Error *
limit_time(void)
{
	pthread_t thread;

	TRY(thread_start(end_in_time, NULL, &thread));
	(void) pthread_detach(thread);
	return NULL;
}

/* Whatever went wrong: Nagios reads standard output, and has codes of its own. */
static int
error_status(const Invocation *invocation, const Error *error)
{
	if (!invocation_flag(invocation, "nagios"))
		return -1;
	print_line(stdout, "WALSHIP UNKNOWN - %s", error_message(error));
	return print_status_nagios_exit(STATUS_UNKNOWN);
}

/* ---- the command ---- */

static Error *
write_metrics(const char *path, const ClusterList *clusters)
{
	AUTO_BUF(text, METRICS_MAX);

	print_status_prometheus(clusters, &text);
	if (text.overflowed)
		return error_new(ERR_SYSTEM, "metrics are longer than %zu bytes", text.cap);
	return file_replace(path, text.data, text.size, 0644);
}

static Error *
write_page(const char *path, const ClusterList *clusters)
{
	AUTO_BUF(text, PAGE_MAX);

	print_status_html(clusters, &text);
	if (text.overflowed)
		return error_new(ERR_SYSTEM, "the page is longer than %zu bytes", text.cap);
	return file_replace(path, text.data, text.size, 0644);
}

static Error *
show(Invocation *invocation, const ClusterList *clusters)
{
	const char *metrics = invocation_value(invocation, "prometheus");
	const char *page = invocation_value(invocation, "html");
	StatusState state = print_status_state(clusters);
	AUTO_FREE char *verdict = print_status_verdict(clusters);

	invocation_set_summary(invocation, "%s", verdict);
	if (metrics != NULL)
		TRY(write_metrics(metrics, clusters));
	if (page != NULL)
		TRY(write_page(page, clusters));
	if (invocation_flag(invocation, "json"))
		print_status_json(clusters, stdout);
	else if (invocation_flag(invocation, "nagios"))
		print_status_nagios(clusters, stdout);
	else if (metrics == NULL && page == NULL)
		print_status_text(clusters, stdout);
	if (invocation_flag(invocation, "nagios"))
		invocation_set_status(invocation, print_status_nagios_exit(state));
	else if (state == STATUS_FAIL)
		invocation_set_status(invocation, STATUS_CHECKS_FAILED);
	return NULL;
}

static Error *
run(Invocation *invocation)
{
	static const char *const forms[] = {"json", "nagios"};
	bool nagios = invocation_flag(invocation, "nagios");
	int64_t until_ms = clock_monotonic_ms() + (nagios ? NAGIOS_PATIENCE_MS : STORE_PATIENCE_MS);
	ClusterList clusters __attribute__((cleanup(cluster_list_release))) = {0};
	int form;

	TRY(invocation_choice(invocation, forms, lengthof(forms), &form));
	if (nagios)
		TRY(limit_time());
	TRY(look(invocation, until_ms, &clusters));
	return show(invocation, &clusters);
}

const Command command_status = {
	.name = "status",
	.summary = "says whether everything is fresh, whole and proven",
	.arguments = "",
	.description =
		"Looks at the server, as far as it answers, and at the store, and says first what can be recovered and how\n"
		"well that is proven. Then each item with its state: OK, WARN, FAIL or UNKNOWN, why, and what to do. It works\n"
		"from the store alone, too, when the server is gone. Thresholds are settings: push_alarm_after, rpo_target,\n"
		"rto_target, backup_max_age, drill_max_age, verify_max_age.\n"
		"Exit 8: something is FAIL, be it that the store cannot be read. With --nagios the codes are Nagios's.",
	.examples = "  walship status\n"
				"  walship status --all --prometheus /var/lib/prometheus/node-exporter/walship.prom\n",
	.statuses = "0 2 7 8",
	.options = options,
	.n_options = lengthof(options),
	.error_status = error_status,
	.tells = TELLS_OUTCOME,
	.tells_more = "status",
	.tells_apart = "all store-only",
	.beats = true,
	.run = run,
};
