/*
 * CRC-32C.  x86-64 has an instruction for it since SSE 4.2, ARM since version 8
 * (optional until 8.1); elsewhere eight tables are used ("slicing by 8").
 */
#include "walship/base/crc32c.h"

#include "crc32c_impl.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#define CASTAGNOLI_REVERSED UINT32_C(0x82F63B78)

static uint32_t tables[8][256];
static pthread_once_t tables_once = PTHREAD_ONCE_INIT;

static void
make_tables(void)
{
	for (uint32_t n = 0; n < 256; n++)
	{
		uint32_t crc = n;

		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ CASTAGNOLI_REVERSED : crc >> 1;
		tables[0][n] = crc;
	}
	for (uint32_t n = 0; n < 256; n++)
		for (int slice = 1; slice < 8; slice++)
			tables[slice][n] = tables[slice - 1][n] >> 8 ^ tables[0][tables[slice - 1][n] & 0xFF];
}

uint32_t
crc32c_by_tables(uint32_t crc, const uint8_t *data, size_t size)
{
	(void) pthread_once(&tables_once, make_tables);
	for (; size >= 8; data += 8, size -= 8)
	{
		uint32_t low;
		uint32_t high;

		memcpy(&low, data, 4);
		memcpy(&high, data + 4, 4);
		low ^= crc;
		crc = tables[7][low & 0xFF] ^ tables[6][low >> 8 & 0xFF] ^ tables[5][low >> 16 & 0xFF] ^
		      tables[4][low >> 24] ^ tables[3][high & 0xFF] ^ tables[2][high >> 8 & 0xFF] ^
		      tables[1][high >> 16 & 0xFF] ^ tables[0][high >> 24];
	}
	for (; size > 0; data++, size--)
		crc = crc >> 8 ^ tables[0][(crc ^ *data) & 0xFF];
	return crc;
}

#if defined(__x86_64__)

#include <nmmintrin.h>

bool
crc32c_has_instruction(void)
{
	return __builtin_cpu_supports("sse4.2");
}

__attribute__((target("sse4.2"))) uint32_t
crc32c_by_instruction(uint32_t crc, const uint8_t *data, size_t size)
{
	uint64_t wide = crc;

	for (; size >= 8; data += 8, size -= 8)
	{
		uint64_t word;

		memcpy(&word, data, 8);
		wide = _mm_crc32_u64(wide, word);
	}
	crc = (uint32_t) wide;
	for (; size > 0; data++, size--)
		crc = _mm_crc32_u8(crc, *data);
	return crc;
}

#elif defined(__aarch64__) && defined(__linux__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__

#include <sys/auxv.h>

#define HWCAP_BIT_CRC32 (1UL << 7) /* Linux: arch/arm64/include/uapi/asm/hwcap.h */

bool
crc32c_has_instruction(void)
{
	return (getauxval(AT_HWCAP) & HWCAP_BIT_CRC32) != 0;
}

/* By the assembler: gcc and clang differ in how a function gets the instructions of arm_acle.h. */
uint32_t
crc32c_by_instruction(uint32_t crc, const uint8_t *data, size_t size)
{
	for (; size >= 8; data += 8, size -= 8)
	{
		uint64_t word;

		memcpy(&word, data, 8);
		__asm__(".arch_extension crc\n\tcrc32cx %w0, %w0, %x1" : "+r"(crc) : "r"(word));
	}
	for (; size > 0; data++, size--)
		__asm__(".arch_extension crc\n\tcrc32cb %w0, %w0, %w1" : "+r"(crc) : "r"((uint32_t) *data));
	return crc;
}

#else

bool
crc32c_has_instruction(void)
{
	return false;
}

uint32_t
crc32c_by_instruction(uint32_t crc, const uint8_t *data, size_t size)
{
	return crc32c_by_tables(crc, data, size);
}

#endif

uint32_t
crc32c(uint32_t crc, const void *data, size_t size)
{
	crc = ~crc;
	crc =
		crc32c_has_instruction() ? crc32c_by_instruction(crc, data, size) : crc32c_by_tables(crc, data, size);
	return ~crc;
}
