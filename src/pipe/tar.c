/* Header blocks of tar, there and back. */
#include "walship/pipe/tar.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "tar_block.h"

/* POSIX.1-2017, pax, "ustar Interchange Format": the fields of a header block. */
typedef struct TarField
{
	size_t offset;
	size_t size;
} TarField;

static const TarField field_name = {0, 100};
static const TarField field_mode = {100, 8};
static const TarField field_uid = {108, 8};
static const TarField field_gid = {116, 8};
static const TarField field_size = {124, 12};
static const TarField field_mtime = {136, 12};
static const TarField field_checksum = {148, 8};
static const TarField field_type = {156, 1};
static const TarField field_link = {157, 100};
static const TarField field_magic = {257, 8};
static const TarField field_owner = {265, 32};
static const TarField field_group = {297, 32};
static const TarField field_device_major = {329, 8};
static const TarField field_device_minor = {337, 8};
static const TarField field_prefix = {345, 155};

static const char ustar_magic[] = "ustar\0"
								  "00"; /* magic, NUL, version */

static void
field_put_text(uint8_t *block, TarField field, const char *text)
{
	size_t length = strlen(text);

	assert(length <= field.size);
	memcpy(block + field.offset, text, length);
}

/* Octal with a final NUL, or base-256 (GNU, star and PostgreSQL) when that does not hold it. */
static void
field_put_number(uint8_t *block, TarField field, uint64_t value)
{
	size_t digits = field.size - 1;
	bool octal = value >> (3 * digits) == 0;

	for (size_t i = digits; i-- > 0;)
	{
		block[field.offset + i + (octal ? 0 : 1)] = octal ? (uint8_t) ('0' + (value & 7)) : (uint8_t) value;
		value >>= octal ? 3 : 8;
	}
	if (!octal)
		block[field.offset] = 0x80;
}

/* The sum of all bytes, with the checksum's own field taken as blanks. */
static uint32_t
block_checksum(const uint8_t *block)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < TAR_BLOCK_SIZE; i++)
	{
		bool own = i >= field_checksum.offset && i < field_checksum.offset + field_checksum.size;

		sum += own ? ' ' : block[i];
	}
	return sum;
}

char
tar_flag_of(TarType type)
{
	static const char flags[] = {
		[TAR_FILE] = '0', [TAR_DIRECTORY] = '5',        [TAR_SYMLINK] = '2',      [TAR_LINK] = '1',
		[TAR_FIFO] = '6', [TAR_CHARACTER_DEVICE] = '3', [TAR_BLOCK_DEVICE] = '4',
	};

	return flags[type];
}

void
tar_block_encode(const TarEntry *entry, char flag, const char *owner, uint8_t ret_block[TAR_BLOCK_SIZE])
{
	uint8_t block[TAR_BLOCK_SIZE] = {0};
	size_t length = strlen(entry->name);
	bool is_device = flag == '3' || flag == '4';

	memcpy(block, entry->name, length < field_name.size ? length : field_name.size);
	if (flag == '5' && length < field_name.size)
		block[field_name.offset + length] = '/';
	field_put_number(block, field_mode, entry->mode & 07777);
	field_put_number(block, field_uid, entry->uid);
	field_put_number(block, field_gid, entry->gid);
	field_put_number(block, field_size, entry->size);
	field_put_number(block, field_mtime, entry->mtime < 0 ? 0 : (uint64_t) entry->mtime);
	block[field_type.offset] = (uint8_t) flag;
	if (flag == '1' || flag == '2')
		memcpy(block + field_link.offset, entry->link_target, strnlen(entry->link_target, field_link.size));
	memcpy(block + field_magic.offset, ustar_magic, field_magic.size);
	field_put_text(block, field_owner, owner);
	field_put_text(block, field_group, owner);
	if (is_device)
	{
		field_put_number(block, field_device_major, entry->device_major);
		field_put_number(block, field_device_minor, entry->device_minor);
	}

	/* Six digits, NUL, blank: the form that every tar writes. */
	field_put_number(block, (TarField){field_checksum.offset, 7}, block_checksum(block));
	block[field_checksum.offset + 7] = ' ';
	memcpy(ret_block, block, sizeof(block));
}

Error *
tar_header_format(const TarEntry *entry, uint8_t ret_block[TAR_BLOCK_SIZE])
{
	size_t length = strlen(entry->name) + (entry->type == TAR_DIRECTORY ? 1 : 0);
	TarEntry written = *entry;

	if (length > field_name.size)
		return error_new(ERR_SYSTEM, "name \"%s\" is too long for a tar header", entry->name);
	if (entry->type == TAR_SYMLINK && strlen(entry->link_target) > field_link.size)
		return error_new(ERR_SYSTEM, "target \"%s\" of symbolic link \"%s\" is too long for a tar header",
		                 entry->link_target, entry->name);
	if (entry->type != TAR_FILE)
		written.size = 0;
	written.uid = written.gid = 0;
	tar_block_encode(&written, tar_flag_of(entry->type), "postgres", ret_block);
	return NULL;
}

static void
field_get_text(const uint8_t *block, TarField field, char *ret_text)
{
	size_t length = strnlen((const char *) block + field.offset, field.size);

	memcpy(ret_text, block + field.offset, length);
	ret_text[length] = '\0';
}

/* Two's complement, big-endian; the first byte's top bit is the mark, the next one the sign. */
static bool
base256_parse(const uint8_t *bytes, size_t size, int64_t *ret_value)
{
	bool negative = (bytes[0] & 0x40) != 0;
	int64_t value = negative ? -1 : 0;

	for (size_t i = 0; i < size; i++)
	{
		uint8_t byte = i > 0 ? bytes[i] : negative ? bytes[i] : bytes[i] & 0x7f;

		if (value > (INT64_MAX >> 8) || value < (INT64_MIN >> 8))
			return false;
		value = value * 256 + byte;
	}
	*ret_value = value;
	return true;
}

static bool
field_get_number(const uint8_t *block, TarField field, int64_t *ret_value)
{
	const uint8_t *bytes = block + field.offset;
	size_t i = 0;
	int64_t value = 0;

	if ((bytes[0] & 0x80) != 0)
		return base256_parse(bytes, field.size, ret_value);
	while (i < field.size && bytes[i] == ' ')
		i++;
	for (; i < field.size && bytes[i] >= '0' && bytes[i] <= '7'; i++)
		value = value * 8 + (bytes[i] - '0');
	if (i < field.size && bytes[i] != ' ' && bytes[i] != '\0')
		return false;
	*ret_value = value;
	return true;
}

/* Most readers do not look at it, so what makes no sense is 0. */
static uint32_t
field_get_id(const uint8_t *block, TarField field)
{
	int64_t value;

	return field_get_number(block, field, &value) && value >= 0 && value <= UINT32_MAX ? (uint32_t) value : 0;
}

Error *
tar_block_decode(const uint8_t block[TAR_BLOCK_SIZE], TarBlock *ret_block)
{
	TarBlock decoded = {0};
	int64_t checksum;
	int64_t size;
	int64_t mode;
	char prefix[155 + 1] = "";
	char name[100 + 1];

	if (memcmp(block + field_magic.offset, ustar_magic, strlen("ustar")) != 0)
		return error_new(ERR_CORRUPT, "a block that is no tar header");
	if (!field_get_number(block, field_checksum, &checksum) || checksum != block_checksum(block))
		return error_new(ERR_CORRUPT, "a tar header whose checksum is wrong");

	/* GNU's own format has other things in the place of the prefix, and another magic: "ustar  ". */
	if (memcmp(block + field_magic.offset, ustar_magic, sizeof("ustar")) == 0)
		field_get_text(block, field_prefix, prefix);
	field_get_text(block, field_name, name);
	(void) snprintf(decoded.entry.name, sizeof(decoded.entry.name), "%s%s%s", prefix,
	                prefix[0] == '\0' ? "" : "/", name);

	if (!field_get_number(block, field_size, &size) || size < 0 ||
	    !field_get_number(block, field_mode, &mode) ||
	    !field_get_number(block, field_mtime, &decoded.entry.mtime))
		return error_new(ERR_CORRUPT, "a number in the tar header of \"%s\" is malformed",
		                 decoded.entry.name);
	decoded.entry.uid = field_get_id(block, field_uid);
	decoded.entry.gid = field_get_id(block, field_gid);
	decoded.entry.device_major = field_get_id(block, field_device_major);
	decoded.entry.device_minor = field_get_id(block, field_device_minor);
	decoded.entry.size = (uint64_t) size;
	decoded.entry.mode = (uint32_t) mode & 07777;
	decoded.flag = (char) block[field_type.offset];
	field_get_text(block, field_link, decoded.entry.link_target);
	*ret_block = decoded;
	return NULL;
}

static Error *
name_settle(char *name)
{
	size_t length;

	while (name[0] == '.' && name[1] == '/')
		memmove(name, name + 2, strlen(name + 2) + 1);

	/* Only now: ".//etc" is to be read as "/etc" by no one. */
	if (name[0] == '/')
		return error_new(ERR_CORRUPT, "name \"%s\" in tar archive is absolute", name);
	for (length = strlen(name); length > 0 && name[length - 1] == '/';)
		name[--length] = '\0';
	if (length == 0)
		(void) snprintf(name, TAR_NAME_MAX + 1, ".");
	for (const char *part = name; part != NULL; part = strchr(part, '/'))
	{
		part += part[0] == '/' ? 1 : 0;
		if (part[0] == '.' && part[1] == '.' && (part[2] == '/' || part[2] == '\0'))
			return error_new(ERR_CORRUPT, "name \"%s\" in tar archive leads out of it", name);
	}
	return NULL;
}

/* False: none that "everything" would have. */
static bool
settle_special(char flag, TarEntry *entry)
{
	static const TarType types[] = {TAR_LINK, TAR_CHARACTER_DEVICE, TAR_BLOCK_DEVICE, TAR_FIFO};

	for (size_t i = 0; i < lengthof(types); i++)
		if (flag == tar_flag_of(types[i]))
		{
			entry->type = types[i];
			return true;
		}
	return false;
}

Error *
tar_entry_settle(char flag, bool everything, TarEntry *entry)
{
	size_t length = strlen(entry->name);

	if (length == 0)
		return error_new(ERR_CORRUPT, "an entry without a name");
	switch (flag)
	{
		case '0':
		case '7': /* "contiguous", which is an ordinary file everywhere */
		case '\0':
			/* Before POSIX a directory was a file whose name ends so. */
			entry->type = entry->name[length - 1] == '/' ? TAR_DIRECTORY : TAR_FILE;
			break;
		case '5':
			entry->type = TAR_DIRECTORY;
			break;
		case '2':
			entry->type = TAR_SYMLINK;
			break;
		default:
			if (everything && settle_special(flag, entry))
				break;
			return error_new(ERR_CORRUPT,
			                 "entry \"%s\" in tar archive has type 0x%02x, which is not supported",
			                 entry->name, (unsigned char) flag);
	}
	if (entry->type != TAR_FILE)
		entry->size = 0;
	if (entry->type == TAR_LINK)
		TRY(name_settle(entry->link_target));
	else if (entry->type != TAR_SYMLINK)
		entry->link_target[0] = '\0';
	return name_settle(entry->name);
}

Error *
tar_header_parse(const uint8_t block[TAR_BLOCK_SIZE], TarEntry *ret_entry)
{
	TarBlock decoded;

	TRY(tar_block_decode(block, &decoded));
	TRY(tar_entry_settle(decoded.flag, false, &decoded.entry));
	*ret_entry = decoded.entry;
	return NULL;
}

bool
tar_block_is_zero(const uint8_t block[TAR_BLOCK_SIZE])
{
	for (size_t i = 0; i < TAR_BLOCK_SIZE; i++)
	{
		if (block[i] != 0)
			return false;
	}
	return true;
}
