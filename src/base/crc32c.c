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

#define WITH_INSTRUCTION __attribute__((target("sse4.2")))

bool
crc32c_has_instruction(void)
{
	return __builtin_cpu_supports("sse4.2");
}

WITH_INSTRUCTION static inline uint64_t
take_word(uint64_t crc, const uint8_t *data)
{
	uint64_t word;

	memcpy(&word, data, 8);
	return _mm_crc32_u64(crc, word);
}

WITH_INSTRUCTION static inline uint32_t
take_byte(uint32_t crc, uint8_t byte)
{
	return _mm_crc32_u8(crc, byte);
}

#elif defined(__aarch64__) && defined(__linux__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__

#include <sys/auxv.h>

#define HWCAP_BIT_CRC32 (1UL << 7) /* Linux: arch/arm64/include/uapi/asm/hwcap.h */

#define WITH_INSTRUCTION

bool
crc32c_has_instruction(void)
{
	return (getauxval(AT_HWCAP) & HWCAP_BIT_CRC32) != 0;
}

/* By the assembler: gcc and clang differ in how a function gets the instructions of arm_acle.h. */
static inline uint64_t
take_word(uint64_t crc, const uint8_t *data)
{
	uint32_t low = (uint32_t) crc;
	uint64_t word;

	memcpy(&word, data, 8);
	__asm__(".arch_extension crc\n\tcrc32cx %w0, %w0, %x1" : "+r"(low) : "r"(word));
	return low;
}

static inline uint32_t
take_byte(uint32_t crc, uint8_t byte)
{
	__asm__(".arch_extension crc\n\tcrc32cb %w0, %w0, %w1" : "+r"(crc) : "r"((uint32_t) byte));
	return crc;
}

#endif

#ifdef WITH_INSTRUCTION

/*
 * The instruction's result comes three cycles after its operand, and one can begin
 * in each cycle.  So three lanes, one behind the other in the data, are computed at
 * the same time.  A CRC is linear: what the bytes of one lane do to the CRC before
 * them is a matrix over bits, the same for all lanes of one length.  "behind_lane" is that
 * matrix for a lane of zeros, by bytes of the CRC.
 */
#define LANE_SIZE ((size_t) 1024)
#define LANES     3

static uint32_t behind_lane[4][256];
static pthread_once_t behind_lane_once = PTHREAD_ONCE_INIT;

WITH_INSTRUCTION static void
make_behind_lane(void)
{
	static const uint8_t zeros[8];

	for (unsigned bit = 0; bit < 32; bit++)
	{
		unsigned column = 1U << bit % 8;
		uint64_t crc = UINT64_C(1) << bit;

		for (size_t i = 0; i < LANE_SIZE; i += 8)
			crc = take_word(crc, zeros);

		/* Every byte with this as its highest bit is this bit and a byte that is there already. */
		for (unsigned low = 0; low < column; low++)
			behind_lane[bit / 8][column + low] = (uint32_t) crc ^ behind_lane[bit / 8][low];
	}
}

static uint64_t
go_behind_lane(uint64_t crc)
{
	return behind_lane[0][crc & 0xFF] ^ behind_lane[1][crc >> 8 & 0xFF] ^ behind_lane[2][crc >> 16 & 0xFF] ^
	       behind_lane[3][crc >> 24 & 0xFF];
}

WITH_INSTRUCTION uint32_t
crc32c_by_instruction(uint32_t crc, const uint8_t *data, size_t size)
{
	uint64_t first = crc;

	if (size >= LANES * LANE_SIZE)
		(void) pthread_once(&behind_lane_once, make_behind_lane);
	for (; size >= LANES * LANE_SIZE; data += LANES * LANE_SIZE, size -= LANES * LANE_SIZE)
	{
		uint64_t second = 0;
		uint64_t third = 0;

		for (const uint8_t *next = data; next < data + LANE_SIZE; next += 8)
		{
			first = take_word(first, next);
			second = take_word(second, next + LANE_SIZE);
			third = take_word(third, next + 2 * LANE_SIZE);
		}
		first = go_behind_lane(go_behind_lane(first) ^ second) ^ third;
	}
	for (; size >= 8; data += 8, size -= 8)
		first = take_word(first, data);
	crc = (uint32_t) first;
	for (; size > 0; data++, size--)
		crc = take_byte(crc, *data);
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
