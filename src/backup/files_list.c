/* Entries of a set as lines of JSON; see files_list.h. */
#include "files_list.h"

#include <inttypes.h>
#include <string.h>

#include "walship/base/json_fields.h"
#include "walship/base/mem.h"

#define LIST_FORMAT   1
#define LIST_LINE_MAX (64u * 1024) /* two paths, in hexadecimal */
#define READ_STEP     (256u * 1024)

typedef struct ListHead
{
	int format;
	char *name;
	char *id;
} ListHead;

static const JsonField head_fields[] = {
	{"format", &json_natural, JSON_AT(ListHead, format)},
	{"name", &json_string, JSON_AT(ListHead, name)},
	{"id", &json_string, JSON_AT(ListHead, id)},
};
static const JsonTable head_table = JSON_TABLE(ListHead, head_fields);

static const char *const type_names[] = {
	[TAR_FILE] = "file",
	[TAR_DIRECTORY] = "directory",
	[TAR_SYMLINK] = "symlink",
	[TAR_LINK] = "link",
	[TAR_FIFO] = "fifo",
	[TAR_CHARACTER_DEVICE] = "character device",
	[TAR_BLOCK_DEVICE] = "block device",
};

static const JsonField entry_fields[] = {
	{"path", &json_path, JSON_AT(FilesEntry, path)},
	{"type", &json_enum, JSON_AT(FilesEntry, type), .names = type_names, .n_names = lengthof(type_names)},
	{"size", &json_uint, JSON_AT(FilesEntry, size), .flags = JSON_OPTIONAL},
	{"mode", &json_uint, JSON_AT(FilesEntry, mode), .flags = JSON_OPTIONAL},
	{"uid", &json_uint, JSON_AT(FilesEntry, uid), .flags = JSON_OPTIONAL},
	{"gid", &json_uint, JSON_AT(FilesEntry, gid), .flags = JSON_OPTIONAL},
	{"mtime", &json_int, JSON_AT(FilesEntry, mtime)},
	{"mtime_ns", &json_uint, JSON_AT(FilesEntry, mtime_ns), .flags = JSON_OPTIONAL},
	{"ctime", &json_int, JSON_AT(FilesEntry, ctime)},
	{"ctime_ns", &json_uint, JSON_AT(FilesEntry, ctime_ns), .flags = JSON_OPTIONAL},
	{"inode", &json_uint, JSON_AT(FilesEntry, inode), .flags = JSON_OPTIONAL},
	{"target", &json_path, JSON_AT(FilesEntry, target), .flags = JSON_OPTIONAL},
	{"part", &json_string, JSON_AT(FilesEntry, part), .flags = JSON_OPTIONAL},
	{"problem", &json_string, JSON_AT(FilesEntry, problem), .flags = JSON_OPTIONAL},
};
static const JsonTable entry_table = JSON_TABLE(FilesEntry, entry_fields);

void
files_entry_release(FilesEntry *entry)
{
	free(entry->path);
	free(entry->target);
	free(entry->part);
	free(entry->problem);
	*entry = (FilesEntry){0};
}

int
files_path_compare(const char *a, const char *b)
{
	while (*a != '\0' && *a == *b)
	{
		a++;
		b++;
	}

	int left = *a == '\0' ? -1 : *a == '/' ? 0 : (unsigned char) *a;
	int right = *b == '\0' ? -1 : *b == '/' ? 0 : (unsigned char) *b;

	return left - right;
}

bool
files_path_is_safe(const char *path)
{
	if (strlen(path) > TAR_NAME_MAX)
		return false;
	for (const char *part = path;; part++)
	{
		size_t length = strcspn(part, "/");

		if (length == 0 || (part[0] == '.' && (length == 1 || (length == 2 && part[1] == '.'))))
			return false;
		part += length;
		if (*part == '\0')
			return true;
	}
}

static Error *
write_line(Spool *list, const Json *line)
{
	AUTO_BUF(text, LIST_LINE_MAX);

	json_print(line, true, &text);
	if (text.overflowed)
		return error_new(ERR_SYSTEM, "a line of the list of files is longer than %u bytes", LIST_LINE_MAX);
	return spool_write(list, text.data, text.size);
}

Error *
files_list_begin(Spool *list, const char *name, const char *id)
{
	AUTO(Json) line = json_new_object();
	AUTO_FREE char *head_name = mem_strdup(name);
	AUTO_FREE char *head_id = mem_strdup(id);
	ListHead head = {LIST_FORMAT, head_name, head_id};

	json_put(line, &head_table, &head);
	return write_line(list, line);
}

void
files_entry_put(const FilesEntry *entry, Json *into)
{
	json_put(into, &entry_table, entry);
}

Error *
files_list_add(Spool *list, const FilesEntry *entry)
{
	AUTO(Json) line = json_new_object();

	files_entry_put(entry, line);
	return write_line(list, line);
}

/* *ret_line: its text without the end, in the buffer until the next call; NULL at the end of the list. */
static Error *
next_line(FilesListReader *reader, char **ret_line, size_t *ret_size)
{
	Buf *buffer = &reader->buffer;

	for (;;)
	{
		char *begin = buffer->data + reader->used;
		size_t left = buffer->size - reader->used;
		char *end = left == 0 ? NULL : memchr(begin, '\n', left);
		char step[16 * 1024];
		size_t size;

		if (end != NULL)
		{
			*ret_line = begin;
			*ret_size = (size_t) (end - begin);
			reader->used += *ret_size + 1;
			return NULL;
		}
		if (left > 0 && reader->used > 0)
			memmove(buffer->data, begin, left);
		buffer->size = left;
		reader->used = 0;
		if (left > LIST_LINE_MAX)
			return error_new(ERR_CORRUPT, "a line of more than %u bytes", LIST_LINE_MAX);
		TRY(slice_read(reader->list, reader->at, step, sizeof(step), &size));
		reader->at += size;
		if (size == 0 && left > 0)
			return error_new(ERR_CORRUPT, "its last line is cut off");
		*ret_line = NULL;
		if (size == 0)
			return NULL;
		buf_append(buffer, step, size);
	}
}

static Error *
read_head(FilesListReader *reader, const char *name, const char *id)
{
	AUTO(Json) root = NULL;
	ListHead head = {0};
	char *line;
	size_t size;

	TRY(next_line(reader, &line, &size));
	if (line == NULL)
		return error_new(ERR_CORRUPT, "it is empty");
	TRY(json_parse(line, size, "first line", &root));

	Error *error = json_take(root, &head_table, &head);

	if (error == NULL && head.format != LIST_FORMAT)
		error = error_hint(error_new(ERR_CORRUPT, "format version %d is unknown", head.format),
		                   "A newer walship wrote it. Update this one.");
	else if (error == NULL && (strcmp(head.name, name) != 0 || strcmp(head.id, id) != 0))
		error = error_new(ERR_CORRUPT, "it is the list of another set");
	free(head.name);
	free(head.id);
	return error;
}

Error *
files_list_open(FilesListReader *reader, const Slice *list, const char *what, const char *name,
                const char *id)
{
	*reader = (FilesListReader){.list = list, .what = what};
	buf_init(&reader->buffer, LIST_LINE_MAX + READ_STEP);
	return error_context(read_head(reader, name, id), "%s", what);
}

static Error *
read_entry(FilesListReader *reader, FilesEntry *entry)
{
	AUTO(Json) root = NULL;
	char *line;
	size_t size;

	TRY(next_line(reader, &line, &size));
	if (line == NULL)
		return NULL;
	TRY(json_parse(line, size, "line", &root));
	TRY(json_take(root, &entry_table, entry));
	if (!files_path_is_safe(entry->path) || (entry->type == TAR_LINK && entry->part != NULL &&
	                                         (entry->target == NULL || !files_path_is_safe(entry->target))))
		return error_new(ERR_CORRUPT, "path \"%s\" leads out of the directory", entry->path);
	if (reader->last != NULL && files_path_compare(reader->last, entry->path) >= 0)
		return error_new(ERR_CORRUPT, "path \"%s\" is out of order", entry->path);
	free(reader->last);
	reader->last = mem_strdup(entry->path);
	return NULL;
}

Error *
files_list_next(FilesListReader *reader, FilesEntry *ret_entry)
{
	return error_context(read_entry(reader, ret_entry), "%s", reader->what);
}

void
files_list_close(FilesListReader *reader)
{
	buf_release(&reader->buffer);
	free(reader->last);
	*reader = (FilesListReader){0};
}
