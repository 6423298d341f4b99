/*
 * Is everything in the store that must be there, and is it what it says?  By listings
 * and the small objects alone: names, sizes, records with their seals, history files
 * with their digests, and those indexes from which the recoverable windows follow.
 * Deep: every object is read, too, decrypted where there is a key, decompressed and
 * hashed; files of backups are checked against the manifest, the records of the WAL
 * are walked.
 *
 * What is wrong is a list of findings, each a value: the object, why, and the remedy.
 * A finding is no error.  An error is what kept it from looking.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "walship/age/age.h"
#include "walship/archive/catalog.h"
#include "walship/archive/known_gap.h"
#include "walship/archive/wal_path.h"
#include "walship/base/clock.h"
#include "walship/base/json.h"
#include "walship/base/notice.h"
#include "walship/base/retention.h"
#include "walship/base/strs.h"
#include "walship/plan/windows.h"

typedef enum FindingKind
{
	FINDING_MISSING,        /* a record, an index or a rule of the format says that it must be there */
	FINDING_TRUNCATED,      /* it is shorter than it was */
	FINDING_CORRUPT,        /* it is not what its seal, its digest or its form says */
	FINDING_FOREIGN,        /* it is whole, and belongs elsewhere: another name, backup or system */
	FINDING_ORPHANED,       /* nothing needs it, and nothing will remove it by itself */
	FINDING_UNREADABLE_KEY, /* encrypted, and none of this host's keys opens it */
	FINDING_UNTRUSTED,      /* not encrypted, and this host must not believe that */
	FINDING_GAP,            /* WAL segments that a recovery needs are missing */
} FindingKind;

#define N_FINDING_KINDS 8

typedef enum FindingObject
{
	FINDING_OF_SEGMENT,
	FINDING_OF_PARTIAL,
	FINDING_OF_HISTORY, /* a history file, or its digest */
	FINDING_OF_RECORD,  /* backup.json */
	FINDING_OF_PART,
	FINDING_OF_MANIFEST,
	FINDING_OF_CONFIG,
	FINDING_OF_MAP,
	FINDING_OF_BACKUP, /* all objects of it */
	FINDING_OF_DUMP,   /* an object of one, or all of them */
	FINDING_OF_FILES,  /* an object of a set of files, or all of them */
	FINDING_OF_PIN,
	FINDING_OF_KNOWN_GAP, /* what says that one is acknowledged */
	FINDING_OF_LEASE,
	FINDING_OF_EVIDENCE,
	FINDING_OF_BACKUP_FILE, /* a backup history file */
} FindingObject;

#define N_FINDING_OBJECTS 16

typedef struct Finding
{
	FindingKind kind;
	FindingObject object;
	char *key; /* the object's; of a gap that of its first segment; of a whole backup its prefix */
	char *
		backup; /* id of the one that it belongs to, or, of a gap, that needs it; of a dump its id, of files "<NAME>/<ID>"; NULL: none */
	WalRange
		wal; /* of segments and gaps: all of these; timeline alone: of a partial or history file; all 0: none */
	char *reason;       /* a clause */
	const char *remedy; /* a sentence or two; by kind and object */
	bool
		acknowledged; /* of segments: somebody knows it, and nothing that is kept needs them; it does not count */
} Finding;

typedef struct FindingList
{
	Finding *items; /* by key */
	size_t count;
	size_t capacity;
	uint64_t
		found; /* without those that are acknowledged; more than "count" when there are more than FINDINGS_MAX */
} FindingList;

#define FINDINGS_MAX 100000

/* Which objects a deep verify reads: those that pass all of it. */
typedef struct VerifyChoice
{
	uint32_t sample_ppm; /* so many of a million; 0: all */
	uint64_t seed;       /* of the sample: another one is another sample */
	TimeUs newer_than;   /* by the store's clock; TIME_NONE: of any age */
	int rotate;          /* everything falls into so many parts, of which one is read; 0: all */
	int slice;           /* that one, from 0; verify_run() sets it, by the evidence of the last run */

	/* Set by verify_run(), of a run that goes on where another one was broken off. */
	const char *after; /* what comes up to this key was read ...; NULL: nothing was */
	TimeUs since;      /* ... from then on: what came later was not */
} VerifyChoice;

/* Pure.  "modified": when the object came; of a backup's objects when that ended. */
bool verify_chooses(const VerifyChoice *choice, const char *key, TimeUs modified);

/* What a deep verify read. */
typedef struct VerifyReads
{
	uint64_t objects; /* of backups, dumps and sets of files */
	uint64_t segments;
	uint64_t stored_size; /* bytes of all these */
	uint64_t locked;      /* of all these, what could not be decrypted: only the stored bytes were hashed */
} VerifyReads;

typedef struct VerifyCounts
{
	uint64_t backups; /* with a record */
	uint64_t dumps;
	uint64_t file_sets;
	uint64_t objects; /* that all these records name */
	uint64_t segments;
	uint64_t histories;
	uint64_t stored_size; /* bytes of all these */
} VerifyCounts;

typedef struct Verify
{
	/* Set by the caller, who keeps what is not said to be owned. */
	Store *store;
	uint64_t system_identifier;
	const AgeIdentities *identities;
	const RetentionPolicy
		*retention;   /* NULL: not set; then what the last expire went by counts, if there was one */
	const char *zone; /* of the retention's calendar; NULL: UTC */
	const char *walship_version;
	int jobs;
	Notices notices;
	const char *backup; /* look at this one alone; NULL: at everything */
	bool deep;
	VerifyChoice choice;   /* with "deep" */
	const char *state_dir; /* where a deep one that is broken off leaves its place; NULL: nowhere */
	void (*on_bytes)(void *context,
	                 uint64_t bytes); /* with "deep": read and decoded; from several threads; may be NULL */
	void *on_bytes_context;

	/* Found by verify_run(). */
	TimeUs now;
	Catalog *catalog;
	WindowList windows;
	bool *kept; /* of each backup, whether the retention keeps it; NULL: there is no retention */
	FindingList findings;
	StrList notes; /* sentences: what is worth knowing, and no fault */
	VerifyCounts counts;
	VerifyReads reads;   /* by the run that was broken off, too */
	char *resumed_after; /* the choice's, owned */
} Verify;

/* Main thread only, for the calendar.  ERR_NOT_FOUND: there is no such backup. */
Error *verify_run(Verify *verify) MUST_CHECK;

/* What a verify leaves behind. */
typedef struct VerifyEvidence
{
	TimeUs time;
	TimeUs ended;
	bool passed;
	char *walship_version; /* owned, of one that was read; */
	char *backup;          /* ... likewise.  The one that was looked at alone; NULL: everything was */
	bool deep;
	uint64_t sample_ppm;
	TimeUs newer_than;
	uint64_t rotate;
	uint64_t slice;
	TimeUs
		read_since; /* the run that this one went on with began then; TIME_NONE: it began at the beginning */
	VerifyReads reads;
	VerifyCounts counts;
	uint64_t found;
	uint64_t kinds[N_FINDING_KINDS]; /* how many findings of each */
} VerifyEvidence;

/* Of the newest verify that looked at everything; *ret_found: there is one.  For whoever must say how old it is. */
Error *verify_evidence_newest(Store *store, uint64_t system_identifier, VerifyEvidence *ret_evidence,
                              bool *ret_found) MUST_CHECK;
void verify_evidence_release(VerifyEvidence *evidence);

/* Pure.  Which part comes next?  NULL: none was read yet. */
int verify_slice_after(const VerifyEvidence *last, int rotate);

/* proof/<time>-verify.json.  Credentials that may only read are no error: it is warned of. */
Error *verify_store_evidence(const Verify *verify) MUST_CHECK;

/*
 * After verify_run(): stores that this gap is known, so that it counts no more.  ERR_USAGE: nothing is found there.
 * ERR_EXISTS: it is needed, or known already.  Sets the gap's time.
 */
Error *verify_acknowledge(Verify *verify, KnownGap *gap) MUST_CHECK;

bool verify_passed(const Verify *verify);
uint64_t verify_count(const Verify *verify, FindingKind kind);
void verify_release(Verify *verify);
#define AUTO_VERIFY __attribute__((cleanup(verify_release))) Verify

const char *finding_kind_text(FindingKind kind);       /* "missing", "unreadable key" */
const char *finding_object_text(FindingObject object); /* "segment", "part" */
const char *finding_remedy(FindingKind kind, FindingObject object);

/* "findings", "windows", "notes" and the counts, as --json has them. */
void verify_put(const Verify *verify, Json *into);
