/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Division by a number that is the same for all work-items, for kernels that include divide.clh. With l = ceil(log2 d)
 * the multiplier is m = ceil(2^(31 + l) / d), which is below 2^32, and n m / 2^(31 + l) exceeds n / d by less than
 * n / 2^(31 + l) < 1 / d: too little to reach the next whole number (Granlund and Montgomery 1994).
 */
#ifndef CLEF_DIVIDE_H
#define CLEF_DIVIDE_H

#include <stdint.h>

/* The divider for d >= 1, a kernel's ulong argument; 1 for smaller ones. */
static inline uint64_t clef__divider(int64_t d)
{
	uint64_t n = d > 1 ? (uint64_t)d : 1, shift = 31;

	while ((uint64_t)1 << (shift - 31) < n)
		shift++;
	return shift << 32 | ((((uint64_t)1 << shift) + n - 1) / n);
}

#define CLEF__DIVIDER(d) CLEF__ULONG(clef__divider(d))

#endif
