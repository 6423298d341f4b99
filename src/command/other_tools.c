/* Names of commands and options of pgBackRest, WAL-G, WAL-E, barman, pg_probackup, restic and pg_basebackup; see docs/migration.md. */
#include "other_tools.h"

#include <string.h>

#include "commands.h"
#include "walship/base/mem.h"
#include "walship/base/strs.h"

#define ARCHIVES  "In postgresql.conf: archive_command = '/usr/local/bin/walship push %p'."
#define FETCHES   "\"walship recover\" writes it into restore_command: '/usr/local/bin/walship fetch %f %p'."
#define RECOVERS  "It takes the newest backup before the target; --plan only shows what it would do."
#define EXPIRES   "Look first: walship expire --dry-run. What stays says the setting \"retention\"."
#define NO_DAEMON "There is no daemon: PostgreSQL calls walship, timers do the rest (contrib/systemd)."

typedef struct Elsewhere
{
	const char *theirs;
	const char *ours;   /* behind "walship "; NULL: there is no such thing here */
	const char *remark; /* sentences, or NULL */
} Elsewhere;

static const Elsewhere commands_elsewhere[] = {
	{"wal-push", "push", ARCHIVES},
	{"archive-push", "push", ARCHIVES},
	{"archive-wal", "push", ARCHIVES},
	{"barman-wal-archive", "push", ARCHIVES},
	{"barman-cloud-wal-archive", "push", ARCHIVES},
	{"wal-fetch", "fetch", FETCHES},
	{"archive-get", "fetch", FETCHES},
	{"get-wal", "fetch", FETCHES},
	{"restore-wal", "fetch", FETCHES},
	{"barman-wal-restore", "fetch", FETCHES},
	{"barman-cloud-wal-restore", "fetch", FETCHES},
	{"wal-restore", "fetch", "For pg_rewind: pg_rewind -c, with that restore_command in its configuration."},
	{"wal-prefetch", "fetch", "It starts what fetches ahead by itself: setting \"prefetch\"."},
	{"backup-push", "backup", "It connects to the server; there is no path to be given."},
	{"basebackup", "backup", NULL},
	{"pg_basebackup", "backup", NULL},
	{"barman-cloud-backup", "backup", "The store is the setting \"store\"."},
	{"full", "backup", NULL},
	{"incr", NULL, "There are no incremental backups yet: \"walship backup\" takes a full one."},
	{"diff", NULL, "There are no differential backups yet: \"walship backup\" takes a full one."},
	{"annotate", "backup --note TEXT", "A note is given when the backup is taken, or with \"walship pin\"."},
	{"backup-list", "list", NULL},
	{"list-backup", "list", NULL},
	{"list-backups", "list", NULL},
	{"info", "list", NULL},
	{"show", "list", NULL},
	{"show-backup", "list", NULL},
	{"backup-show", "list", NULL},
	{"wal-show", "list", NULL},
	{"snapshots", "list", NULL},
	{"repo-ls", "list", NULL},
	{"barman-cloud-backup-list", "list", NULL},
	{"barman-cloud-backup-show", "list", NULL},
	{"restore", "recover", RECOVERS},
	{"backup-fetch", "recover", RECOVERS},
	{"barman-cloud-restore", "recover", RECOVERS},
	{"pitr", "recover", RECOVERS},
	{"catchup-push", "recover --standby", "From the archive, then it streams from its primary."},
	{"catchup-fetch", "recover --standby", "From the archive, then it streams from its primary."},
	{"catchup", "recover --standby", "From the archive, then it streams from its primary."},
	{"doctor", "check", NULL},
	{"diagnose", "check", NULL},
	{"check-wal-archive", "check", NULL},
	{"barman-cloud-check-wal-archive", "check", NULL},
	{"switch-wal", "check", "It ends a segment and waits until just that one is in the store."},
	{"switch-xlog", "check", "It ends a segment and waits until just that one is in the store."},
	{"stanza-create", "check --create", "A bucket needs nothing at all, a directory this, once."},
	{"create-stanza", "check --create", "A bucket needs nothing at all, a directory this, once."},
	{"add-instance", "check --create", "A bucket needs nothing at all, a directory this, once."},
	{"stanza-upgrade", "backup --new-system", "After pg_upgrade: docs/operations.md, \"pg_upgrade\"."},
	{"stanza-delete", NULL,
     "What is to go for good is removed by hand: the directory of that system in the store."},
	{"del-instance", NULL,
     "What is to go for good is removed by hand: the directory of that system in the store."},
	{"wal-verify", "verify", NULL},
	{"verify-backup", "verify", NULL},
	{"check-backup", "verify --backup ID", NULL},
	{"validate", "verify", "With --deep it reads everything; \"walship drill\" restores it."},
	{"checkdb", "drill",
     "It restores a backup and reads every table; with amcheck it checks the indexes, too."},
	{"delete", "expire", EXPIRES},
	{"backup-delete", "expire", EXPIRES},
	{"delete-backup", "expire", EXPIRES},
	{"barman-cloud-backup-delete", "expire", EXPIRES},
	{"forget", "expire", EXPIRES},
	{"prune", "expire", EXPIRES},
	{"backup-mark", "pin", NULL},
	{"keep", "pin", NULL},
	{"set-backup", "pin", NULL},
	{"barman-cloud-backup-keep", "pin", NULL},
	{"pgdump", "dump", NULL},
	{"pg_dump", "dump", NULL},
	{"pg_dumpall", "dump", NULL},
	{"pg_restore", "undump", NULL},
	{"show-config", "config", NULL},
	{"wal-receive", NULL,
     "WAL is not streamed yet: \"archive_timeout\" bounds what a dead server loses. " NO_DAEMON},
	{"receive-wal", NULL,
     "WAL is not streamed yet: \"archive_timeout\" bounds what a dead server loses. " NO_DAEMON},
	{"daemon", NULL, NO_DAEMON},
	{"server", NULL, NO_DAEMON},
	{"cron", NULL, NO_DAEMON},
	{"start", NULL, NO_DAEMON},
	{"stop", NULL, NO_DAEMON},
	{"version", "--version", NULL},
	{"-V", "--version", NULL},
	{"-v", "--version", NULL},
};

#define ALL_FULL "Every base backup is a full one."
#define TARGETS \
	"Each kind of target has an option of its own: --target-time, --target-lsn, --target-xid, --target-name, --immediate."

/* "pg1-*" is all that begins so. */
static const Elsewhere options_elsewhere[] = {
	{"--stanza", "--cluster", "A stanza is a section [cluster NAME] of the settings file."},
	{"--repo*", "--store", "There is one store, and \"second_store\" behind it."},
	{"--pg1-path", "--pgdata", NULL},
	{"--pg1-*", "--conninfo", NULL},
	{"--pg-*", "--conninfo", NULL},
	{"--type", NULL, ALL_FULL " " TARGETS},
	{"--target", NULL, TARGETS},
	{"--target-action", "--action", NULL},
	{"--target-timeline", "--timeline", NULL},
	{"--target-tli", "--timeline", NULL},
	{"--target-exclusive", "--exclusive", NULL},
	{"--target-immediate", "--immediate", NULL},
	{"--recovery-target-*", NULL, TARGETS},
	{"--set", "--backup", NULL},
	{"--backup-id", "--backup", NULL},
	{"--delta", "--move-aside", "What is there is renamed, never written over; of backups: " ALL_FULL},
	{"--archive-async", NULL, "\"push\" takes what waits along by itself: setting \"push_ahead\"."},
	{"--archive-mode", NULL, "A copy does not archive; --rejoin archives on."},
	{"--spool-path", "--state-dir", NULL},
	{"--process-max", "--jobs", NULL},
	{"--parallel*", "--jobs", NULL},
	{"--compress-type", "--compression", NULL},
	{"--compress-level", "--compression-level", NULL},
	{"--gzip", "--compression", "Codecs are brotli, zstd and none."},
	{"--bzip2", "--compression", "Codecs are brotli, zstd and none."},
	{"--snappy", "--compression", "Codecs are brotli, zstd and none."},
	{"--lz4", "--compression", "Codecs are brotli, zstd and none."},
	{"--zstd", "--compression", "Codecs are brotli, zstd and none."},
	{"--log-level-*", "--log-level", NULL},
	{"--output", "--json", NULL},
	{"--format", "--json", NULL},
	{"--pretty", NULL, "The output is for people unless --json is given."},
	{"--detail", "--verbose", NULL},
	{"--start-fast", "--fast", NULL},
	{"--immediate-checkpoint", "--fast", NULL},
	{"--checkpoint", "--fast", NULL},
	{"--annotation", "--note", NULL},
	{"--add-user-data", "--note", NULL},
	{"--permanent", NULL, "Take the backup, then keep it: walship pin ID."},
	{"--confirm", NULL, "\"expire\" removes unless --dry-run is given."},
	{"--full", NULL, ALL_FULL},
	{"--incremental", NULL, ALL_FULL},
	{"--delta-from-*", NULL, ALL_FULL},
	{"--retention-policy", "--retention", NULL},
	{"--retain*", "--retention", NULL},
	{"--keep-*", "--retention", "For instance --retention 'window 7d, daily 7, weekly 4'."},
	{"--cipher-*", "--recipients", "Encryption is for public keys, which \"walship key\" makes."},
	{"--encryption", "--recipients",
     "For public keys, which \"walship key\" makes; by the bucket: --s3-sse."},
	{"--cloud-provider", NULL, "Stores are s3://BUCKET/PREFIX and file:///DIRECTORY."},
	{"--endpoint-url", "--s3-endpoint", NULL},
	{"--aws-*", NULL, "Credentials: docs/providers.md."},
	{"--remote-ssh-command", NULL,
     "walship runs where it is needed, as the user of the server; it uses no ssh."},
	{"--walg-*", NULL, "walship config shows all settings."},
	{"-D", "--pgdata", NULL},
	{"-d", "--conninfo", NULL},
	{"-j", "--jobs", NULL},
};

static bool
matches(const char *pattern, const char *name, size_t length)
{
	size_t fixed = strcspn(pattern, "*");

	return strncmp(pattern, name, fixed < length ? fixed : length) == 0 &&
	       (pattern[fixed] == '*' ? length >= fixed : length == fixed);
}

static char *
hint_of(const Elsewhere *found, const char *before)
{
	if (found->ours == NULL)
		return mem_strdup(found->remark);
	return mem_printf("Did you mean \"%s%s\"?%s%s", before, found->ours, found->remark != NULL ? " " : "",
	                  found->remark != NULL ? found->remark : "");
}

static const Elsewhere *
lookup(const Elsewhere *table, size_t count, const char *name, size_t length)
{
	for (size_t i = 0; i < count; i++)
		if (matches(table[i].theirs, name, length))
			return &table[i];
	return NULL;
}

static const char *
command_of(const char *word)
{
	const Elsewhere *found = lookup(commands_elsewhere, lengthof(commands_elsewhere), word, strlen(word));

	if (command_by_name(word) != NULL)
		return word;
	return found != NULL ? found->ours : NULL;
}

/* pgBackRest and barman have options in front of the command. */
static char *
options_in_front(int argc, char *const *argv)
{
	for (int i = 1; i < argc; i++)
		if (argv[i][0] != '-' && command_of(argv[i]) != NULL)
			return mem_printf("Options come behind the command: \"walship %s %s ...\".", command_of(argv[i]),
			                  argv[0]);
	return NULL;
}

char *
other_tools_command(int argc, char *const *argv)
{
	const Elsewhere *found =
		lookup(commands_elsewhere, lengthof(commands_elsewhere), argv[0], strlen(argv[0]));

	if (found != NULL)
		return hint_of(found, "walship ");
	return argv[0][0] == '-' ? options_in_front(argc, argv) : NULL;
}

char *
other_tools_option(const char *option, size_t length)
{
	const Elsewhere *found = lookup(options_elsewhere, lengthof(options_elsewhere), option, length);

	return found != NULL ? hint_of(found, "") : NULL;
}
