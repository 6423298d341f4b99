/*
 * Keys in the store: the only file that knows them (docs/format.md).  Every
 * function returns a string of the caller's.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "walship/base/error.h"
#include "walship/pipe/codec.h"
#include "walship/wal/name.h"

/* "<system-id>/": everything of one database system lies below it. */
char *layout_system_prefix(uint64_t system_identifier);

/*
 * Segments "<system-id>/wal/<TLI>/<SEGMENT>.tar", history and backup files.  For
 * WAL_PARTIAL the digest of the plain bytes is part of the key; NULL otherwise.
 */
char *layout_wal_key(uint64_t system_identifier, const WalName *name, const uint8_t *sha256);

/* The digest of a history file: "<system-id>/wal/<TLI>.history.sha256". */
char *layout_history_digest_key(uint64_t system_identifier, TimeLineID timeline);

char *layout_wal_prefix(uint64_t system_identifier);                               /* "<system-id>/wal/" */
char *layout_timeline_prefix(uint64_t system_identifier, TimeLineID timeline);     /* ".../wal/<TLI>/" */
char *layout_base_prefix(uint64_t system_identifier);                              /* "<system-id>/base/" */
char *layout_backup_prefix(uint64_t system_identifier, const char *backup_id);     /* ".../base/<ID>/" */
char *layout_backup_record_key(uint64_t system_identifier, const char *backup_id); /* ".../backup.json" */

char *layout_pin_prefix(uint64_t system_identifier);                     /* "<system-id>/pin/" */
char *layout_pin_key(uint64_t system_identifier, const char *backup_id); /* ".../pin/<ID>.json" */
char *layout_known_gap_prefix(uint64_t system_identifier);               /* "<system-id>/gap/" */
char *layout_known_gap_key(uint64_t system_identifier, const char *first, const char *last);
char *layout_lease_prefix(uint64_t system_identifier); /* "<system-id>/lease/" */
char *layout_lease_key(uint64_t system_identifier, const char *id,
                       int number);                    /* ".../lease/<id>-<n>.json" */
char *layout_proof_prefix(uint64_t system_identifier); /* "<system-id>/proof/" */
char *layout_proof_key(uint64_t system_identifier, int64_t time_us,
                       const char *kind); /* ".../proof/<time>-<kind>.json" */

/* Trees of files: ".../files/", ".../files/<NAME>/", ".../files/<NAME>/<ID>/" and its record, ".../files.json". */
char *layout_files_prefix(uint64_t system_identifier);
char *layout_files_name_prefix(uint64_t system_identifier, const char *name);
char *layout_files_set_prefix(uint64_t system_identifier, const char *name, const char *id);
char *layout_files_record_key(uint64_t system_identifier, const char *name, const char *id);
char *layout_files_list_name(Codec codec, bool encrypted); /* "list.br", "list.br.age" */

/* "base-0001.tar.br", "base-0001.tar.br.age": "set" is "base", "wal" or a tablespace's OID; numbers start at 1. */
char *layout_part_name(const char *set, int number, Codec codec, bool encrypted);
char *layout_manifest_name(Codec codec, bool encrypted); /* "manifest.br", "manifest.br.age" */
char *layout_config_name(Codec codec, bool encrypted);   /* "config.tar.br", "config.tar.br.age" */
char *layout_map_name(Codec codec, bool encrypted);      /* "map.br", "map.br.age" */

char *layout_dump_root(uint64_t system_identifier);                            /* "<system-id>/dump/" */
char *layout_dump_prefix(uint64_t system_identifier, const char *dump_id);     /* ".../dump/<ID>/" */
char *layout_dump_record_key(uint64_t system_identifier, const char *dump_id); /* ".../dump.json" */

/* "globals.sql.br", "schema-16384.sql.br.age", "16384.dump.br", "16384-16390.dump.br", "contents.json.br" */
char *layout_globals_name(Codec codec, bool encrypted);
char *layout_schema_name(uint32_t database, Codec codec, bool encrypted);
char *layout_archive_name(uint32_t database, Codec codec, bool encrypted);
char *layout_table_data_name(uint32_t database, uint32_t table, Codec codec, bool encrypted);
char *layout_contents_name(Codec codec, bool encrypted);

/* "20261120T023007Z-9f3c": of a backup, a dump, a lease */
char *layout_backup_id(int64_t start_time_us, uint16_t random);
bool layout_is_backup_id(const char *text);

/* The WAL name in the last component of a key below wal/; false when it is none of ours.
 * Of a partial, ret_name->kind is WAL_PARTIAL. */
bool layout_parse_wal_key(const char *key, WalName *ret_name);
