/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every compiler and every device must draw: 64-bit FNV-1a of the values of draw 2 of seed 1, as they lie in
 * memory of a little-endian machine.
 */
#ifndef CLEF_RANDOM_HASHES_H
#define CLEF_RANDOM_HASHES_H

/* Of 65,536 values. */
#define CLEF__HASH_UNIFORM 0x4a113ed1a23dc4ffu /* from 0 to 1 */
#define CLEF__HASH_NORMAL  0xd5344607959a108bu /* N(0, 1) */

/* Of 4,096 values. */
#define CLEF__HASH_EXPONENTIAL  0xc0f6db1dcb7bf9ebu /* rate 1 */
#define CLEF__HASH_BERNOULLI    0xf16c266fe8103d75u /* p = 0.3 */
#define CLEF__HASH_INTEGERS     0x986af7886907b1ffu /* from -1 to 2e9 - 1 */
#define CLEF__HASH_TRUNC_NORMAL 0x8c13c4c220c3a96eu /* N(0, 1) from -2 to 2 */

#endif
