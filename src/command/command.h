/*
 * Commands: each file exports one const Command; main looks it up, parses the
 * options by its table and runs it.  What a command prints on stdout is data,
 * on stderr it is talk (walship/base/log.h).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "walship/base/buf.h"
#include "walship/base/error.h"
#include "walship/config/settings.h"

/* An option of commands that read the second store, too: leave that alone. */
#define WITHOUT_SECOND_STORE      "without-second-store"
#define WITHOUT_SECOND_STORE_HELP "do not look into the setting \"second_store\": when that one is dead"

/* Of fetch, or of what may have been meant as one, during archive recovery. */
#define STATUS_STOP_RECOVERY 200

typedef enum OptionKind
{
	OPTION_FLAG,  /* --name */
	OPTION_VALUE, /* --name VALUE or --name=VALUE */
	OPTION_MANY,  /* like OPTION_VALUE, may be repeated */
	OPTION_MAYBE, /* --name, --name VALUE or --name=VALUE; only of commands without arguments */
} OptionKind;

typedef struct CommandOption
{
	const char *name; /* without "--" */
	OptionKind kind;
	const char *value_name; /* in --help: "TIME" */
	const char *help;
} CommandOption;

/* In --help, before this option: where there are many, a reader looks for a group of them. */
typedef struct OptionHeading
{
	const char *option;
	const char *text;
} OptionHeading;

/* What the command line said. */
typedef struct Invocation Invocation;

/* Who is told of what became of a run: the targets of the setting "notify". */
typedef enum Tells
{
	TELLS_NOBODY,
	TELLS_OUTCOME,
	TELLS_LATER, /* somebody waits for it: what lasts longer than push_alarm_after, by another process */
} Tells;

typedef struct Command
{
	const char *name;
	const char *summary;     /* one line, for "walship --help" */
	const char *arguments;   /* "PATH", "NAME DEST", "" */
	const char *description; /* paragraph for "walship NAME --help" */
	const char *examples;    /* for "walship NAME --help": lines as one would type them */
	const char *statuses;    /* the exit codes that it can have: "0 1 2"; what they mean is one table */
	int n_arguments;         /* so many, */
	int n_optional;          /* and up to so many more */
	bool takes_rest; /* from the first argument on it is another command line, whose options are its own */
	const CommandOption *options;
	size_t n_options;
	const OptionHeading *headings; /* in the order of the options, from the first one on; or none */
	size_t n_headings;

	/*
	 * The exit status for an error, when it is not the one of its kind; -1 leaves
	 * it at that.  Also called for wrong arguments and settings, with an
	 * invocation that holds what could be understood.  May be NULL.
	 */
	int (*error_status)(const Invocation *invocation, const Error *error);

	bool absence_is_normal; /* ERR_NOT_FOUND is an answer, not a fault: said at log level debug */
	bool without_settings;  /* it is the same whatever they are, and right where they are wrong */
	bool hidden;            /* not for people: only walship itself calls it */
	Tells tells;
	bool beats; /* exit 0 means that all is well: then, and only then, "heartbeat_url" is pinged */
	const char *tells_more; /* of a failure, to whom it was told: "check", "expire --dry-run" */
	const char *
		tells_apart; /* options, with blanks, that make it something else of which to tell: "to from"; NULL: none */
	bool in_servers_log; /* the server calls it: its lines stand in the server's log */

	Error *(*run)(Invocation *invocation);
} Command;

bool invocation_flag(const Invocation *invocation, const char *option);
const char *invocation_value(const Invocation *invocation, const char *option); /* NULL when not given */
size_t invocation_count(const Invocation *invocation, const char *option);      /* of an OPTION_MANY */
const char *invocation_nth(const Invocation *invocation, const char *option, size_t n);

/* Which of these was given, as an index, or -1; more than one of them is ERR_USAGE.  NULL among them is skipped. */
Error *invocation_choice(const Invocation *invocation, const char *const *options, size_t n_options,
                         int *ret_choice) MUST_CHECK;

const char *invocation_argument(const Invocation *invocation, int n); /* NULL when not given */
/* Of a command that takes the rest: all of it, from the first argument on. */
char *const *invocation_rest(const Invocation *invocation, size_t *ret_count);

const char *invocation_program(const Invocation *invocation); /* absolute path of this program */
const Settings *invocation_settings(const Invocation *invocation);

/* The settings with the section of this cluster instead, from the same file, environment and flags.  Main thread only. */
Error *invocation_load_cluster(const Invocation *invocation, const char *cluster, Settings **ret_settings)
	MUST_CHECK;

/* Those of environment and command line alone. */
Error *invocation_load_given(const Invocation *invocation, Settings **ret_settings) MUST_CHECK;

/* What command line, else environment say of where the settings are; NULL: nothing. */
const char *invocation_config(const Invocation *invocation);
const char *invocation_cluster(const Invocation *invocation);

/* Adds the options by which another process, started here with this environment, has the same settings. */
void invocation_list_sources(const Invocation *invocation, StrList *words);

/*
 * The settings that the command line gave, and where it said that they are, for
 * another command line: "" or " --config='...' --store='...'".
 */
void invocation_append_flags(const Invocation *invocation, Buf *into);

/*
 * What came of it in one line, as a notification has it where there is no error:
 * "2 of 17 checks failed: archiver, store".  What was said before is replaced.
 */
void invocation_set_summary(Invocation *invocation, const char *format, ...) PRINTF_LIKE(2, 3);

/*
 * Exit with this status instead of the one of the error's kind (or 0): for the
 * codes that commands decide, 8, 9 and 200.
 */
void invocation_set_status(Invocation *invocation, int status);

int command_main(int argc, char **argv);
