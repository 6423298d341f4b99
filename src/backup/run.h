/* One backup under way: what take.c and copy.c share. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "parts.h"
#include "wal.h"
#include "walship/archive/lease.h"
#include "walship/backup/take.h"
#include "walship/pg/manifest.h"
#include "walship/pg/server.h"

typedef struct BackupRun
{
	const BackupOptions *options;
	int64_t began_ms;

	Server *server;
	ServerIdentity identity;
	bool standby;
	bool slot_allowed;
	LeaseHold *lease; /* on what is being written: an expire takes it for left behind otherwise */
	BackupTarget target;
	PartList parts;
	BackupWal *wal;
	BackupRecord *record;
	ServerDatabase *databases; /* with their names, which an encrypted backup's record lacks */
	size_t n_databases;
	bool record_tried; /* it may be in the store */

	/* What is being received: copy.c. */
	BackupTar *tar;         /* the open archive */
	StoredObject *manifest; /* the open manifest */
	Pipe *manifest_reader;
	Manifest *manifest_facts;
	BackupFacts facts;
	BackupPhase phase;
	uint64_t received;
	uint64_t expected;
} BackupRun;

/* The copy itself, checked: parts and manifest are stored, the record's fields about them are set. */
Error *backup_run_copy(BackupRun *run) MUST_CHECK;

/* Tells whoever watches; in the thread of the copy. */
void backup_run_progress(void *run);
