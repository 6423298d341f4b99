/*
 * Is everything fresh, whole and proven?  Facts are gathered, from the server as far
 * as it answers and from one listing of the store and a few small objects; what they
 * mean is decided by a pure function, item by item.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "walship/base/clock.h"
#include "walship/base/error.h"
#include "walship/base/notice.h"
#include "walship/base/strs.h"
#include "walship/pg/server.h"
#include "walship/store/store.h"
#include "walship/upkeep/running.h"
#include "walship/wal/lsn.h"
#include "walship/wal/name.h"

/* ---- facts ---- */

/* What the server tells. */
typedef struct StatusServer
{
	bool asked;
	char *error; /* why it did not answer; NULL: it did */
	char *hint;
	ServerArchiving archiving;
	bool waiting_known; /* this role may see it */
	uint64_t waiting;   /* files that wait to be archived */
	TimeUs waiting_since;
} StatusServer;

/* WAL in the store, on the timeline that began last. */
typedef struct StatusWal
{
	TimeLineID timeline; /* 0: there is neither WAL nor a backup */
	char last[WAL_NAME_SIZE];
	XLogRecPtr end;     /* of its last segment; 0: it has none */
	TimeUs came;        /* when its last file came, by the store's clock; TIME_NONE: none did */
	uint64_t size;      /* stored bytes, of all timelines */
	bool archived_lost; /* the store has not what the server calls archived */
} StatusWal;

/* What can be recovered, on the same timeline: the last of its windows. */
typedef struct StatusWindow
{
	bool exists;
	TimeUs from;
	TimeUs to; /* the latest commit; TIME_NONE: not known */
	XLogRecPtr to_lsn;
	bool ends_early;    /* segments follow that cannot be replayed, without a gap before them */
	int64_t replay_ms;  /* from its newest backup to its end */
	uint64_t gaps;      /* before the newest backup: moments that cannot be recovered */
	uint64_t gaps_open; /* behind it: nothing that came after can be */
	char *gap;          /* "000000010000000000000007 to ...09": the last one; NULL: none */
	TimeUs gap_came;    /* when the segment behind it came; TIME_NONE: none is there */
} StatusWindow;

typedef struct StatusBackups
{
	uint64_t count;   /* complete ones */
	char *id;         /* of the newest one of which nothing is missing; NULL: there is none */
	TimeUs stop_time; /* by the server's clock */
	TimeUs came;      /* when its record came, by the store's */
	int64_t duration_ms;
	uint64_t files_size; /* of the data directory */
	uint64_t stored_size;
	bool page_errors;
	uint64_t median_size; /* files_size of the ones before it; 0: too few */
	uint64_t total_size;  /* stored bytes of all */
	StrList faults;       /* sentences: parts that are missing, records that cannot be read */
	char *unfinished;     /* one that began after the newest, and that nobody is taking; NULL: none */
} StatusBackups;

/* The newest evidence of its kind, or for dumps and files the newest record. */
typedef struct StatusEvidence
{
	uint64_t count;
	TimeUs time;  /* TIME_NONE: there is none */
	char *damage; /* why it cannot be read; NULL: it was, or needs not be */
	bool passed;
	int64_t rto_ms;    /* of a drill: how long the recovery took; 0: not known */
	char *description; /* of a drill: backup and target; NULL: none */
} StatusEvidence;

/* The store of the setting "second_store". */
typedef struct StatusSecond
{
	char *url;   /* NULL: none is set */
	char *error; /* why it could not be read; NULL: it was */
	char *hint;
	uint64_t objects; /* of this database system */
	uint64_t size;
	TimeUs
		behind_since; /* when the first store got what this one lacks; TIME_NONE: it has the newest WAL and backup */
} StatusSecond;

/* Somebody is at work: by a lease that is in force, by what runs on this machine, or both. */
typedef struct StatusJob
{
	char *kind;
	char *holder;         /* "host db2, process 4711" */
	TimeUs since;         /* it was seen: the last renewal of its lease, or what it wrote here last */
	TimeUs until;         /* the lease is in force; TIME_NONE: it has none */
	TimeUs began;         /* TIME_NONE: not known */
	JobProgress progress; /* "operation" is NULL: not known, on another machine */
} StatusJob;

typedef enum StatusEndKind
{
	STATUS_END_CERTIFICATE,
	STATUS_END_SESSION,  /* temporary credentials */
	STATUS_END_PASSWORD, /* of the role that asks the server */
} StatusEndKind;

/* Something that is good until a certain time, and must be made anew before. */
typedef struct StatusEnd
{
	StatusEndKind kind;
	char *what;  /* "the store's certificate, CN=minio.example.com" */
	TimeUs time; /* TIME_NONE: not known */
	char *error; /* why it is not known; NULL: it is, or nobody says */
} StatusEnd;

typedef struct StatusStorage
{
	uint64_t objects;
	uint64_t size;
	int64_t size_per_day; /* what came in the last week, for each day of it; -1: not known yet */
	int64_t puts_per_day; /* requests that wrote it */
	TimeUs oldest;      /* when the first of these objects came, by the store's clock; TIME_NONE: none did */
	uint64_t disk_size; /* of a directory's file system; 0: it is a bucket */
	uint64_t disk_free;
} StatusStorage;

/* ---- what a page shows beside that ---- */

typedef struct StatusBackup
{
	char *id;
	TimeLineID timeline;
	TimeUs stop_time;
	int64_t duration_ms;
	uint64_t files_size;
	uint64_t stored_size;
	char *note;    /* NULL: none */
	char *missing; /* what the store does not hold of it; NULL: nothing */
} StatusBackup;

/* A window on the way to a timeline: any moment of it can be recovered. */
typedef struct StatusSpan
{
	TimeLineID timeline;
	TimeUs from;
	TimeUs to; /* "from" where the latest commit is not known */
} StatusSpan;

typedef struct StatusTimeline
{
	TimeLineID timeline;
	TimeLineID parent; /* 0: none */
	TimeUs began;      /* its own first commit; TIME_NONE: not known */
} StatusTimeline;

typedef struct StatusDrill
{
	TimeUs time;
	bool passed;
	int64_t rto_ms;
} StatusDrill;

typedef struct StatusPicture
{
	StatusBackup *backups; /* oldest first */
	size_t n_backups;
	StatusTimeline *timelines; /* ascending */
	size_t n_timelines;
	StatusSpan *spans; /* by timeline, ascending; between two of a timeline there is a gap */
	size_t n_spans;
	size_t spans_capacity;
	StatusDrill *drills; /* oldest first; read only when they were asked for */
	size_t n_drills;
} StatusPicture;

typedef struct StatusFacts
{
	TimeUs now;
	char *cluster; /* the section; NULL: none */
	char *store;   /* its URL; NULL: none is known */
	uint64_t system_identifier;
	char *store_error; /* why it could not be read; NULL: it was, and what follows is so */
	char *store_hint;
	StatusServer server;
	StatusWal wal;
	StatusWindow window;
	StatusBackups backups;
	StatusEvidence drill;
	StatusEvidence verify;
	StatusEvidence dumps;
	StatusEvidence files;
	StatusStorage storage;
	StatusSecond second;
	StatusJob *jobs;
	size_t n_jobs;
	size_t jobs_capacity;
	StatusEnd *ends;
	size_t n_ends;
	size_t ends_capacity;
	StrList clocks; /* sentences about clocks that are wrong */
	StatusPicture picture;
} StatusFacts;

/* Asks a server; that it does not answer is a fact. */
Error *status_ask_server(StatusFacts *facts, const char *conninfo, const char *data_directory) MUST_CHECK;

/*
 * What runs on this machine, by notes in state_dir: of this store (its identity, as running_file_new() got it; NULL:
 * none), and of no other cluster than facts->cluster.  "now" is set; before the store is read.
 */
void status_read_running(StatusFacts *facts, const char *state_dir, const char *store);

/*
 * Reads what the store holds of facts->system_identifier; so many records at a time, and of a bucket only those that were
 * not read before, as state_dir has it.  "now" and "server" are set.
 * The second store (NULL: there is none, or facts->second.error says why it could not be opened) is compared with it.
 */
Error *status_read_store(StatusFacts *facts, Store *store, Store *second, const char *state_dir, int jobs)
	MUST_CHECK;

/* The drills of the picture, a request for each of the newest; after status_read_store(). */
Error *status_read_drills(StatusFacts *facts, Store *store, int jobs, const Notices *notices) MUST_CHECK;

/*
 * Until when this process gets into a store, after its requests: "whose" is "the store's"; and until when the
 * certificates of a file are good, that a setting names.
 */
void status_note_access(StatusFacts *facts, Store *store, const char *whose);
void status_note_certificates(StatusFacts *facts, const char *setting, const char *path);

/* That it could not be read is a fact; but for a cancellation, which is returned.  The error is given away. */
Error *status_take_store_error(StatusFacts *facts, Error *error) MUST_CHECK;

/* The same for the second one. */
Error *status_take_second_error(StatusFacts *facts, Error *error) MUST_CHECK;

void status_facts_release(StatusFacts *facts);
#define AUTO_STATUS_FACTS __attribute__((cleanup(status_facts_release))) StatusFacts

/* ---- what they mean ---- */

/* From the settings of these names; 0: not set. */
typedef struct StatusLimits
{
	int64_t push_alarm_after_ms;
	int64_t rpo_target_ms;
	int64_t rto_target_ms;
	int64_t backup_max_age_ms;
	int64_t drill_max_age_ms;
	int64_t verify_max_age_ms;
	int64_t copy_max_age_ms;
	int64_t dump_max_age_ms; /* 0: backup_max_age_ms counts, as for the next one */
	int64_t files_max_age_ms;
	int64_t certificate_alarm_before_ms;
	int64_t session_alarm_before_ms;
	bool wants_dumps; /* there is a retention for them, so there are to be some */
	bool wants_files;
	double price_per_gb; /* of a month; below 0: not set */
	double price_per_1000_puts;
} StatusLimits;

/* In the order in which they outweigh each other in a summary, but for STATUS_UNKNOWN, which is before STATUS_WARN. */
typedef enum StatusState
{
	STATUS_OK,
	STATUS_WARN,
	STATUS_FAIL,
	STATUS_UNKNOWN,
} StatusState;

typedef struct StatusItem
{
	const char *name; /* a constant: "archiving" */
	StatusState state;
	char *value;     /* what is: "000000010000000000000007, 40 s ago" */
	char *threshold; /* "push_alarm_after = 15 min"; NULL: it has none */
	char *reason;    /* a sentence: why it is not well, or not known; NULL when it is well */
	char *remedy;    /* sentences, or a command; NULL: none */
} StatusItem;

typedef struct StatusReport
{
	StatusState state;
	char *verdict; /* one sentence without the state */
	StatusItem *items;
	size_t count;
	size_t capacity;
} StatusReport;

/* Pure. */
void status_decide(const StatusFacts *facts, const StatusLimits *limits, StatusReport *ret_report);
void status_report_release(StatusReport *report);
#define AUTO_STATUS_REPORT __attribute__((cleanup(status_report_release))) StatusReport

/* The worse of two: what fails, then what warns, then what is not known. */
StatusState status_worse(StatusState a, StatusState b);
const char *status_state_text(StatusState state); /* "OK" */

/* A price per month of what is stored and of the requests that write; below 0: not set. */
double status_price(const StatusFacts *facts, const StatusLimits *limits);
