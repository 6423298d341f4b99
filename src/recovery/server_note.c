/* server.json: what later commands must know of a server of ours. */
#include <string.h>

#include "server_files.h"
#include "walship/base/file.h"
#include "walship/base/json_fields.h"
#include "walship/base/mem.h"
#include "walship/wal/json.h"

#define NOTE_MAX (1024 * 1024)

static const JsonField note_fields[] = {
	{"sockets", &json_path, JSON_AT(ServerNote, sockets)},
	{"port", &json_uint, JSON_AT(ServerNote, port)},
	{"listens", &json_bool, JSON_AT(ServerNote, listens)},
	{"no_network", &json_bool, JSON_AT(ServerNote, no_network)},
	{"major", &json_natural, JSON_AT(ServerNote, major)},
	{"programs", &json_path, JSON_AT(ServerNote, programs)},
	{"libraries", &json_string, JSON_AT(ServerNote, libraries)},
	{"backup", &json_string, JSON_AT(ServerNote, backup)},
	{"timeline", &json_uint, JSON_AT(ServerNote, timeline)},
	{"stop_lsn", &json_lsn, JSON_AT(ServerNote, stop_lsn), .flags = JSON_OPTIONAL},
	{"tablespaces", &json_list, JSON_AT(ServerNote, tablespaces.items), .of = &json_paths,
     .count = offsetof(ServerNote, tablespaces.count)},
};
static const JsonTable note_table = JSON_TABLE(ServerNote, note_fields);

char *
server_file(const char *pgdata, const char *name)
{
	return mem_printf("%s/%s%s%s", pgdata, SERVER_DIRECTORY, name[0] == '\0' ? "" : "/", name);
}

Error *
server_note_read(const char *pgdata, ServerNote *ret_note)
{
	AUTO_FREE char *path = server_file(pgdata, SERVER_NOTE);
	AUTO(Json) json = NULL;
	AUTO_BUF(text, NOTE_MAX);
	Error *error = file_read_all(path, &text);

	if (error_is(error, ERR_NOT_FOUND))
	{
		error_free(error);
		return error_hint(
			error_new(ERR_USAGE, "no server was started by walship in directory \"%s\"", pgdata),
			"\"walship recover --start --pgdata DIR\" starts one.");
	}
	TRY(error);
	TRY(json_parse(text.data, text.size, path, &json));
	return error_context(json_take(json, &note_table, ret_note), "file \"%s\"", path);
}

Error *
server_note_write(const char *pgdata, const ServerNote *note)
{
	AUTO_FREE char *path = server_file(pgdata, SERVER_NOTE);
	AUTO(Json) json = json_new_object();
	AUTO_BUF(text, NOTE_MAX);

	json_put(json, &note_table, note);
	json_print(json, false, &text);
	return file_replace(path, text.data, text.size, 0600);
}

void
server_note_release(ServerNote *note)
{
	free(note->sockets);
	free(note->programs);
	free(note->libraries);
	free(note->backup);
	strlist_release(&note->tablespaces);
	*note = (ServerNote){0};
}
