/*
 * The WAL of a plan, brought beside a data directory before its server starts: then
 * the server needs neither the store nor anybody's credentials.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "walship/age/age.h"
#include "walship/archive/catalog.h"
#include "walship/base/error.h"
#include "walship/plan/recover.h"
#include "walship/ship/tablespaces.h"
#include "walship/store/store.h"

typedef struct StagedWal
{
	Store *store;
	const Catalog *catalog; /* of that store */
	const AgeIdentities *identities;
	const RecoveryPlan *plan;
	const char *pgdata;          /* whose server will replay it */
	TablespaceRules tablespaces; /* where it may create tablespaces */
	const char *directory;       /* is there; what is in it already stays */
	bool
		taken; /* the server that comes is thrown away: it takes segments out of the directory instead of copying them */
	int jobs;
	void (*on_bytes)(void *context, uint64_t bytes); /* from several threads; may be NULL */
	void *on_bytes_context;
} StagedWal;

#define STAGED_WAL_COMING \
	"coming" /* in the directory: a list of segments, by name, for which the server waits when they are not there */

/* Bytes that it takes. */
uint64_t staged_wal_size(const RecoveryPlan *plan);

/* Bytes that are free in the directory. */
Error *staged_wal_room(const char *directory, uint64_t *ret_bytes) MUST_CHECK;

/*
 * Segments and history files, whole and checked.  ERR_SYSTEM when there is not
 * enough space, before anything is fetched; else what wal_object_get() says.
 */
Error *staged_wal_fetch(const StagedWal *staged) MUST_CHECK;

/* Parts of that, for whoever does it in an order of its own. */
Error *staged_wal_prepare(const StagedWal *staged) MUST_CHECK; /* all but the segments */
Error *staged_wal_fetch_segment(const StagedWal *staged, const WalName *name) MUST_CHECK;

/* The restore_command that takes them from there, with every '%' doubled but its own.  The caller frees. */
char *staged_wal_command(const char *directory, bool taken);
