/* SPDX-License-Identifier: Apache-2.0 */
/* Weights with a structure: identities, and columns with a number of zeros. */
#include "philox.clh"

/*
 * x[o][i][k], with `inputs` values of i and `kernel_size` of k: 1 where k is the centre and i is the place of o in its
 * group of `group` outputs, else 0.
 */
__kernel void identity(__global float *x, ulong x_offset, uint n, uint inputs, uint kernel_size, uint centre,
		       uint group)
{
	const uint index = (uint)get_global_id(0);
	const uint row = index / kernel_size;

	if (index < n)
		x[x_offset + index] = index % kernel_size == centre && row / inputs % group == row % inputs;
}

/* 0 <= result < n: attempts from 1 on at value e, since attempt 0 has made the normal value of an element. */
static uint below(uint n, uint e, ulong seed, ulong counter)
{
	uint product = 0, word = 0;

	for (uint attempt = 1; attempt <= PHILOX_ATTEMPTS; attempt++) {
		uint w[4];

		philox_attempt(w, attempt, e / 4, 0, seed, counter);
		/* Of e % 4 compilers make a switch over two bits, which Oclgrind gets wrong. */
		word = e & 2 ? (e & 1 ? w[3] : w[2]) : (e & 1 ? w[1] : w[0]);
		product = word * n;
		if (product >= n || product >= (0u - n) % n)
			break;
	}
	return mul_hi(word, n);
}

/*
 * Sets `zeros` of the rows of each column to 0, every choice of them equally likely: a row is one of them with the
 * chance of those that are left among the rows that are left (Knuth, "The Art of Computer Programming", vol. 2,
 * algorithm S). A work-item goes down a column.
 */
__kernel void sparse_zeros(__global float *x, ulong x_offset, uint rows, uint columns, uint zeros, ulong seed,
			   ulong counter)
{
	const uint column = (uint)get_global_id(0);
	uint left = zeros;

	if (column >= columns)
		return;
	x += x_offset + column;
	for (uint row = 0; row < rows && left; row++)
		if (below(rows - row, column * rows + row, seed, counter) < left) {
			x[row * columns] = 0.0f;
			left--;
		}
}
