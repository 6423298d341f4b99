/*
 * Tablespaces that a server creates while it replays.  The record says in which
 * directory, and the server believes it, wherever it runs: a copy beside the server
 * that it came from would link to that one's files, and replay alone would destroy
 * them.  So a segment is looked through before the server gets it.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "walship/archive/wal_object.h"
#include "walship/ship/store_opener.h"

typedef enum TablespaceRule
{
	TABLESPACES_AS_RECORDED, /* nobody looks: a restore_command that recover did not write */

	/*
	 * Of a copy, which never archives: where a mapping says, and nowhere else.  The link in
	 * pg_tblspc is made, and the segment changed so that the server uses it (walship/wal/tablespace_record.h).
	 */
	TABLESPACES_MAPPED,

	/* As recorded, but only into a directory that is missing, empty or this server's. */
	TABLESPACES_EMPTY,
} TablespaceRule;

typedef struct TablespaceMapping
{
	char *from; /* as on the source; both owned */
	char *to;   /* absolute */
} TablespaceMapping;

typedef struct TablespaceMappings
{
	TablespaceMapping *items; /* owned */
	size_t count;
	size_t capacity;
} TablespaceMappings;

void tablespace_mappings_add(TablespaceMappings *mappings, const char *from, const char *to); /* copies */
void tablespace_mappings_release(TablespaceMappings *mappings);
#define AUTO_MAPPINGS __attribute__((cleanup(tablespace_mappings_release))) TablespaceMappings

/* NULL: there is no mapping of this path. */
const char *tablespace_mappings_find(const TablespaceMappings *mappings, const char *from);

typedef struct TablespaceRules
{
	TablespaceRule rule;
	const TablespaceMappings *mappings;
	const char
		*others; /* in a directory below this one, by their OID, go those without a mapping; NULL: nowhere */
} TablespaceRules;

/*
 * A path that was read in a record or in the WAL: absolute, in its plain form,
 * without control characters, and not in the data directory (NULL: that is not
 * known).  ERR_CORRUPT.
 */
Error *tablespace_path_check(const char *path, const char *data_directory) MUST_CHECK;

/* Missing, or nothing in it but what the root of a file system has. */
Error *tablespace_directory_is_empty(const char *path, bool *ret_empty) MUST_CHECK;

/* As the server makes it, durably: pg_tblspc/<OID> to "path". */
Error *tablespace_link(const char *data_directory, uint32_t oid, const char *path) MUST_CHECK;

/* A segment in its file, and where to get the next one, for a record that goes on there. */
typedef struct TablespaceSegment
{
	const char *path;
	WalName name;
	const char *data_directory; /* whose server will replay it */
	WalArchive *archive;        /* its store is opened when it is needed and NULL */
	const StoreOpener *opener;
	Patience patience;
} TablespaceSegment;

/*
 * Applies the rules to the segment.  ERR_EXISTS: it creates a tablespace that must
 * not be created there; ERR_CORRUPT: in a place that is none.  Never ERR_NOT_FOUND.
 */
Error *tablespaces_prepare(const TablespaceSegment *segment, const TablespaceRules *rules) MUST_CHECK;
