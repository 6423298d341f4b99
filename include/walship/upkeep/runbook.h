/*
 * The page at 3 a.m.: how this cluster comes back, with its own names and paths, to be
 * printed and kept where the cluster is not.  Facts are gathered, from the settings, the
 * server and the store as far as they answer; the page is made of them by a pure function.
 * A fact that is not known stands there in CAPITALS, to be filled in by hand: so without any
 * it is the template, docs/runbook.md.  No secret is ever a fact.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "walship/base/clock.h"
#include "walship/base/error.h"
#include "walship/base/notice.h"
#include "walship/base/strs.h"
#include "walship/store/store.h"

/* All owned.  NULL, 0 and false: not known, or there is none. */
typedef struct RunbookFacts
{
	TimeUs now; /* 0: nothing was looked at, this is the template */
	char *host;
	char *version; /* of walship */
	char *program; /* its path */
	char *flags;   /* " --config='...'": by these another machine has these settings, but for "pgdata" */
	char *flags_to_copy; /* the same without the store, where --store=SECOND is put instead */
	char *cluster;       /* the section of the settings file */
	char *settings_file;
	char *settings_digest; /* the first digits of its SHA-256 */
	char *state_dir;
	char *store;
	char *endpoint;     /* of S3 */
	char *key_id;       /* of S3's credentials, which is no secret */
	char *second_store; /* as the setting has it: a URL, or the name of a section */
	char *recipients;   /* fingerprints of what is encrypted for */
	char *keys;         /* fingerprints of the keys that are here */
	char *identity_file;
	char *passphrase_file;
	int64_t rto_target_ms;
	int64_t rpo_target_ms;

	/* The server, or its data directory. */
	uint64_t system_identifier;
	int major;
	char *pgdata;
	char *config_file; /* postgresql.conf */
	char *libraries;   /* shared_preload_libraries */

	/* The store. */
	char *backup; /* id of the newest one */
	TimeUs backup_time;
	uint64_t backup_size; /* on disk */
	bool backup_has_config;
	StrList tablespaces;
	bool drilled;
	bool drill_passed;
	TimeUs drill_time;
	int64_t drill_ms;
	uint64_t drill_rpo_ms;

	StrList unknown; /* sentences: what could not be looked at, and why */
} RunbookFacts;

void runbook_facts_release(RunbookFacts *facts);
#define AUTO_RUNBOOK_FACTS __attribute__((cleanup(runbook_facts_release))) RunbookFacts

/* Asks a server; that it does not answer, or is of another system, is a fact. */
Error *runbook_ask_server(RunbookFacts *facts, const char *conninfo) MUST_CHECK;

/* The newest backup and the newest drill of facts->system_identifier, so many reports at a time. */
Error *runbook_read_store(RunbookFacts *facts, Store *store, int jobs, const Notices *notices) MUST_CHECK;

/* "could not look at WHAT: why", but a cancellation is returned.  The error is given away. */
Error *runbook_take_error(RunbookFacts *facts, const char *what, Error *error) MUST_CHECK;

/* ---- the page ---- */

typedef enum RunbookBlockKind
{
	RUNBOOK_TITLE,
	RUNBOOK_HEADING, /* steps are counted anew */
	RUNBOOK_TEXT,
	RUNBOOK_TABLE, /* the headings of one: its rows follow */
	RUNBOOK_ROW,
	RUNBOOK_STEP,
	RUNBOOK_COMMAND, /* of the step before; lines for a shell */
} RunbookBlockKind;

#define RUNBOOK_CELLS 3

/* Between backticks it is what a reader types or sees, between "**" it is what must not be overlooked. */
typedef struct RunbookBlock
{
	RunbookBlockKind kind;
	char *cells[RUNBOOK_CELLS]; /* of tables; else the first is the text.  NULL: there is no such cell */
} RunbookBlock;

typedef struct Runbook
{
	RunbookBlock *blocks;
	size_t count;
	size_t capacity;
} Runbook;

/* Pure. */
void runbook_write(const RunbookFacts *facts, Runbook *ret_runbook);
void runbook_release(Runbook *runbook);
#define AUTO_RUNBOOK __attribute__((cleanup(runbook_release))) Runbook
