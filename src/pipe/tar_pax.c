/*
 * Entries with all that a file has.  What ustar has no room for stands in front of
 * it, in the records of a pax header, under the names that GNU tar, bsdtar and star use.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tar_block.h"
#include "walship/base/dir.h"
#include "walship/base/mem.h"

/* "<length> <key>=<value>\n": the length counts its own digits, too. */
static void
put_record(Buf *records, const char *key, const void *value, size_t size)
{
	size_t rest = strlen(key) + size + strlen(" =\n");
	size_t length = rest + 1;

	for (char digits[24]; length != rest + (size_t) snprintf(digits, sizeof(digits), "%zu", length);)
		length = rest + (size_t) snprintf(digits, sizeof(digits), "%zu", length);
	buf_printf(records, "%zu %s=", length, key);
	buf_append(records, value, size);
	buf_putc(records, '\n');
}

static void
put_text(Buf *records, const char *key, const char *text)
{
	put_record(records, key, text, strlen(text));
}

static void
put_number(Buf *records, const char *key, uint64_t number)
{
	char text[24];

	(void) snprintf(text, sizeof(text), "%" PRIu64, number);
	put_text(records, key, text);
}

/* A moment before 1970 is the seconds and the fraction before it, under one sign. */
static void
put_mtime(Buf *records, const TarEntry *entry)
{
	bool before = entry->mtime < 0;
	uint64_t seconds = before ? (uint64_t) - (entry->mtime + (entry->mtime_ns > 0)) : (uint64_t) entry->mtime;
	uint32_t ns = before && entry->mtime_ns > 0 ? 1000000000 - entry->mtime_ns : entry->mtime_ns;
	char text[64];

	if (entry->mtime_ns == 0 && !before && seconds <= TAR_OCTAL_SIZE_MAX)
		return;
	if (ns == 0)
		(void) snprintf(text, sizeof(text), "%s%" PRIu64, before ? "-" : "", seconds);
	else
		(void) snprintf(text, sizeof(text), "%s%" PRIu64 ".%09" PRIu32, before ? "-" : "", seconds, ns);
	put_text(records, "mtime", text);
}

/* GNU tar: xheader.c, xattr_encode_keyword. */
static void
put_attribute(Buf *records, const TarAttribute *attribute)
{
	AUTO_BUF(key, TAR_EXTENSION_MAX);

	buf_puts(&key, PAX_ATTRIBUTE);
	for (const char *c = attribute->name; *c != '\0'; c++)
	{
		if (*c == '=' || *c == '%')
			buf_puts(&key, *c == '=' ? "%3D" : "%25");
		else
			buf_putc(&key, *c);
	}
	put_record(records, key.data, attribute->value, attribute->size);
}

/* Linux: posix_acl_xattr.h; little-endian.  An ACL as text, "user::rw-,user:1000:r--,mask::rw-"; "": it is none. */
static void
print_acl(const TarAttribute *attribute, Buf *into)
{
	static const struct
	{
		unsigned tag;
		const char *name;
		bool has_id;
	} tags[] = {{0x01, "user", false}, {0x02, "user", true},  {0x04, "group", false},
	            {0x08, "group", true}, {0x10, "mask", false}, {0x20, "other", false}};
	const uint8_t *bytes = attribute->value;

	for (size_t at = 4; at + 8 <= attribute->size; at += 8)
	{
		unsigned tag = bytes[at] | (unsigned) bytes[at + 1] << 8;
		unsigned permissions = bytes[at + 2];
		uint32_t id = bytes[at + 4] | (uint32_t) bytes[at + 5] << 8 | (uint32_t) bytes[at + 6] << 16 |
		              (uint32_t) bytes[at + 7] << 24;

		for (size_t i = 0; i < lengthof(tags); i++)
		{
			if (tags[i].tag != tag)
				continue;
			buf_printf(into, "%s%s:", into->size == 0 ? "" : ",", tags[i].name);
			if (tags[i].has_id)
				buf_printf(into, "%" PRIu32, id);
			buf_printf(into, ":%c%c%c", permissions & 4 ? 'r' : '-', permissions & 2 ? 'w' : '-',
			           permissions & 1 ? 'x' : '-');
		}
	}
}

/* GNU tar and star read ACLs as text, and pass over the attribute, which is what walship reads. */
static void
put_acl(Buf *records, const TarAttribute *attribute)
{
	static const char *const names[][2] = {{"system.posix_acl_access", "SCHILY.acl.access"},
	                                       {"system.posix_acl_default", "SCHILY.acl.default"}};
	AUTO_BUF(text, TAR_EXTENSION_MAX);

	for (size_t i = 0; i < lengthof(names); i++)
	{
		if (strcmp(attribute->name, names[i][0]) != 0)
			continue;
		print_acl(attribute, &text);
		if (text.size > 0)
			put_text(records, names[i][1], text.data);
	}
}

/* What programs that do not know of sparse files would make of it, in a directory beside the file if there is room for that. */
static void
name_for_others(const char *name, char ret_name[TAR_NAME_MAX + 1])
{
	static const char beside[] = "GNUSparseFile.0/";
	const char *leaf = path_leaf(name);
	size_t directory = strlen(name) + strlen(beside) > TAR_NAME_MAX ? 0 : (size_t) (leaf - name);
	AUTO_FREE char *other = mem_printf("%.*s%s%.255s", (int) directory, name, beside, leaf);

	memcpy(ret_name, other, strlen(other) + 1);
}

static void
put_records(Buf *records, const TarEntry *entry, const char *name)
{
	bool is_directory = entry->type == TAR_DIRECTORY;

	if (entry->sparse)
	{
		put_text(records, PAX_SPARSE "major", "1");
		put_text(records, PAX_SPARSE "minor", "0");
		put_text(records, PAX_SPARSE "name", entry->name);
		put_number(records, PAX_SPARSE "realsize", entry->sparse_size);
	}
	if (strlen(name) + is_directory > TAR_FIELD_NAME_MAX)
	{
		AUTO_FREE char *path = mem_printf("%s%s", name, is_directory ? "/" : "");

		put_text(records, "path", path);
	}
	if (strlen(entry->link_target) > TAR_FIELD_NAME_MAX)
		put_text(records, "linkpath", entry->link_target);
	if (entry->size > TAR_OCTAL_SIZE_MAX)
		put_number(records, "size", entry->size);
	if (entry->uid > TAR_OCTAL_ID_MAX)
		put_number(records, "uid", entry->uid);
	if (entry->gid > TAR_OCTAL_ID_MAX)
		put_number(records, "gid", entry->gid);
	put_mtime(records, entry);
	for (size_t i = 0; i < entry->n_attributes; i++)
	{
		put_attribute(records, &entry->attributes[i]);
		put_acl(records, &entry->attributes[i]);
	}
}

Error *
tar_entry_append(const TarEntry *entry, Buf *into)
{
	static const char zeros[TAR_BLOCK_SIZE];
	TarEntry written = *entry;
	uint8_t block[TAR_BLOCK_SIZE];
	AUTO_BUF(records, TAR_EXTENSION_MAX);

	if (entry->sparse)
		name_for_others(entry->name, written.name);
	put_records(&records, entry, written.name);
	if (records.overflowed)
		return error_new(ERR_SYSTEM, "attributes of \"%s\" are longer than %u bytes", entry->name,
		                 TAR_EXTENSION_MAX);
	if (records.size > 0)
	{
		TarEntry pax = {.size = records.size, .mode = 0644, .mtime = entry->mtime};

		(void) snprintf(pax.name, sizeof(pax.name), "PaxHeaders/%.80s", path_leaf(entry->name));
		tar_block_encode(&pax, TAR_FLAG_PAX, "", block);
		buf_append(into, block, sizeof(block));
		buf_append(into, records.data, records.size);
		buf_append(into, zeros, tar_padding(records.size));
	}
	if (entry->type != TAR_FILE)
		written.size = 0;
	tar_block_encode(&written, tar_flag_of(entry->type), "", block);
	buf_append(into, block, sizeof(block));
	return NULL;
}
