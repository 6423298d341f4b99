/* Files of this machine into an archive of their own; see config_files.h. */
#include "config_files.h"

#include <stdio.h>
#include <string.h>

#include "walship/archive/layout.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"

#define CONFIG_FILE_MAX (4u * 1024 * 1024)
#define CONFIG_MAX      (64u * 1024 * 1024) /* all of them */

static Error *
append_file(Buf *archive, const char *path)
{
	static const char zeros[TAR_BLOCK_SIZE];
	TarEntry entry = {.type = TAR_FILE};
	AUTO_BUF(contents, CONFIG_FILE_MAX);
	AUTO_CLOSE int fd = -1;
	struct stat status;
	uint8_t header[TAR_BLOCK_SIZE];

	TRY(file_open_read(path, &fd, &status));
	TRY(file_read_all(path, &contents));
	(void) snprintf(entry.name, sizeof(entry.name), "%s", path + strspn(path, "/"));
	entry.size = contents.size;
	entry.mode = (uint32_t) status.st_mode & 0777;
	entry.mtime = status.st_mtime;
	TRY(tar_header_format(&entry, header));
	buf_append(archive, header, sizeof(header));
	buf_append(archive, contents.data, contents.size);
	buf_append(archive, zeros, tar_padding(contents.size));
	return NULL;
}

static Error *
store_archive(const BackupTarget *target, const Buf *archive, StrList *names, BackupObject *ret_config)
{
	static const uint8_t end[TAR_END_SIZE];
	AUTO_FREE char *name = layout_config_name(target->compression.codec, target->recipients != NULL);
	AUTO(StoredObject) object = NULL;
	Digest stored;

	strlist_add(names, name);
	TRY(backup_target_open(target, name, &object));
	TRY(stored_object_write(object, archive->data, archive->size));
	TRY(stored_object_write(object, end, sizeof(end)));
	TRY(stored_object_finish(object, &stored));
	*ret_config = (BackupObject){
		.name = MOVE(name), .raw_size = stored_object_raw_size(object), .stored_size = stored.size};
	memcpy(ret_config->stored_sha256, stored.sha256, sizeof(ret_config->stored_sha256));
	return NULL;
}

Error *
config_files_write(const BackupTarget *target, const StrList *files, const Notices *notices, StrList *names,
                   BackupObject *ret_config)
{
	AUTO_BUF(archive, CONFIG_MAX);

	for (size_t i = 0; i < files->count; i++)
	{
		AUTO(Error) error = append_file(&archive, files->items[i]);

		if (error != NULL)
			notice(notices, LOG_WARNING, NULL, "configuration file \"%s\" is not in the backup: %s",
			       files->items[i], error_message(error));
	}
	if (archive.overflowed)
		notice(notices, LOG_WARNING, NULL,
		       "configuration files are not in the backup: they have more than %u bytes", CONFIG_MAX);
	return archive.size == 0 || archive.overflowed ? NULL
	                                               : store_archive(target, &archive, names, ret_config);
}
