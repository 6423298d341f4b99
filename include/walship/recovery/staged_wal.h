/*
 * The WAL of a plan, brought beside a data directory before its server starts: then
 * the server needs neither the store nor anybody's credentials.
 */
#pragma once

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
	int jobs;
	void (*on_bytes)(void *context, uint64_t bytes); /* from several threads; may be NULL */
	void *on_bytes_context;
} StagedWal;

/* Bytes that it takes, and of them those that must come from the store. */
uint64_t staged_wal_size(const RecoveryPlan *plan);

/*
 * Segments and history files, whole and checked.  ERR_SYSTEM when there is not
 * enough space, before anything is fetched; else what wal_object_get() says.
 */
Error *staged_wal_fetch(const StagedWal *staged) MUST_CHECK;

/* The restore_command that takes them from there, with every '%' doubled but its own.  The caller frees. */
char *staged_wal_command(const char *directory);
