/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What clef_model_watch() tells of a tensor: mean, deviation, minimum, maximum, and how many values are zero, NaN and
 * infinite. A network that explodes has layers whose values fit a float while their squares do not, and one that
 * vanishes the other way round. So each chunk of values is scaled by a power of two, which loses nothing, until its
 * largest finite value is between 1 and 2.
 *
 * A record has WORDS words. Floats are kept as their bits, and NaNs are told by theirs, so that no option of a compiler
 * that takes values for finite can do harm.
 */
enum { MEAN, SQUARES, LOWEST, HIGHEST, EXPONENT, FINITE, ZEROS, NANS, WORDS };

#define INFINITE     0x7f800000u
#define MAGNITUDE(x) (as_uint16(x) & 0x7fffffffu)
#define IS_FINITE(x) (MAGNITUDE(x) < INFINITE)
#define FILLER       0x7fc00000u

/* 2^e, -126 <= e <= 127. */
static float power(int e)
{
	return as_float((uint)(e + 127) << 23);
}

/* Sixteen values, the last of them filled up with NaN. */
static float16 load(__global const float *x, int n, int i)
{
	uint part[16];

	if (n - i >= 16)
		return vload16(0, x + i);
	for (int j = 0; j < 16; j++)
		part[j] = i + j < n ? as_uint(x[i + j]) : FILLER;
	return as_float16(vload16(0, part));
}

static uint total(uint16 v)
{
	uint lane[16], sum = 0;

	vstore16(v, 0, lane);
	for (int j = 0; j < 16; j++)
		sum += lane[j];
	return sum;
}

/* Counts and bounds of n values. What is counted is the sign of a difference: Oclgrind counts comparisons wrongly. */
static void count_values(__global const float *x, int n, uint record[WORDS])
{
	float16 lowest = INFINITY, highest = -INFINITY;
	uint16 finite = 0, zeros = 0, nans = 0;
	float low[16], high[16];

	for (int i = 0; i < n; i += 16) {
		const float16 v = load(x, n, i);
		const int16 good = IS_FINITE(v);

		finite += (MAGNITUDE(v) - INFINITE) >> 31;
		zeros += (MAGNITUDE(v) - 1) >> 31;
		nans += (MAGNITUDE(v) + (0x7fffffffu - INFINITE)) >> 31;
		lowest = select(lowest, v, good & (v < lowest));
		highest = select(highest, v, good & (v > highest));
	}
	vstore16(lowest, 0, low);
	vstore16(highest, 0, high);
	for (int j = 1; j < 16; j++) {
		low[0] = low[j] < low[0] ? low[j] : low[0];
		high[0] = high[j] > high[0] ? high[j] : high[0];
	}
	record[LOWEST] = as_uint(low[0]);
	record[HIGHEST] = as_uint(high[0]);
	record[FINITE] = total(finite);
	record[ZEROS] = total(zeros);
	record[NANS] = total(nans) - (uint)(-n & 15);
}

/* Mean and squared distances from it, of the finite values times 2^-e. The mean that is found first is rounded; the
 * second pass corrects it, and itself. */
static void find_moments(__global const float *x, int n, uint record[WORDS])
{
	const uint size = record[FINITE] ? max(record[LOWEST] & 0x7fffffffu, record[HIGHEST] & 0x7fffffffu) : 0;
	const int e = clamp((int)(size >> 23) - 127, -126, 126);
	const float scale = power(-e), count = (float)max(record[FINITE], 1u);
	float16 sums = 0.0f, rests = 0.0f, squares = 0.0f;
	float mean, rest;

	for (int i = 0; i < n; i += 16) {
		const float16 v = load(x, n, i);

		sums += select((float16)0.0f, v * scale, IS_FINITE(v));
	}
	mean = sum16(sums) / count;
	for (int i = 0; i < n; i += 16) {
		const float16 v = load(x, n, i);
		const float16 d = select((float16)0.0f, v * scale - mean, IS_FINITE(v));

		rests += d;
		squares += d * d;
	}
	rest = sum16(rests) / count;
	record[MEAN] = as_uint(mean + rest);
	record[SQUARES] = as_uint(fmax(sum16(squares) - rest * rest * count, 0.0f));
	record[EXPONENT] = as_uint(e);
}

/* A work-item is a chunk of a tensor, and its record. */
__kernel void watch_chunks(__global const float *x, ulong x_offset, __global uint *records, ulong records_offset,
			   int total_values, int chunk, int chunks)
{
	GLOBAL_ID(id, chunks);
	const int from = id * chunk, n = min(chunk, total_values - from);
	uint record[WORDS];

	count_values(x + x_offset + from, n, record);
	find_moments(x + x_offset + from, n, record);
	records += records_offset + (ulong)id * WORDS;
	for (int i = 0; i < WORDS; i++)
		records[i] = record[i];
}

/* One record of two, by the formula of Chan, Golub and LeVeque (1983). The counts become floats on the way. */
static void merge(uint a[WORDS], __global const uint *b)
{
	const int e = max((int)a[EXPONENT], (int)b[EXPONENT]);
	const float to_a = power(max((int)a[EXPONENT] - e, -126)), to_b = power(max((int)b[EXPONENT] - e, -126));
	const float n_a = (float)a[FINITE], n_b = (float)b[FINITE], n = fmax(n_a + n_b, 1.0f);
	const float mean = as_float(a[MEAN]) * to_a, d = as_float(b[MEAN]) * to_b - mean;

	a[MEAN] = as_uint(mean + d * (n_b / n));
	a[SQUARES] = as_uint(as_float(a[SQUARES]) * to_a * to_a + as_float(b[SQUARES]) * to_b * to_b +
			     d * d * (n_a / n) * n_b);
	a[LOWEST] = as_float(b[LOWEST]) < as_float(a[LOWEST]) ? b[LOWEST] : a[LOWEST];
	a[HIGHEST] = as_float(b[HIGHEST]) > as_float(a[HIGHEST]) ? b[HIGHEST] : a[HIGHEST];
	a[EXPONENT] = (uint)e;
	for (int i = FINITE; i < WORDS; i++)
		a[i] += b[i];
}

/* One work-item puts the records of a tensor together, with the mean and the deviation in full. */
__kernel void watch_finish(__global const uint *records, ulong records_offset, __global uint *out, ulong out_offset,
			   int chunks)
{
	uint record[WORDS];

	if (get_global_id(0) > 0)
		return;
	records += records_offset;
	for (int i = 0; i < WORDS; i++)
		record[i] = records[i];
	for (int k = 1; k < chunks; k++)
		merge(record, records + k * WORDS);
	if (record[FINITE] == 0) {
		record[MEAN] = record[SQUARES] = record[LOWEST] = record[HIGHEST] = FILLER;
	} else {
		const float scale = power((int)record[EXPONENT]), degrees = (float)record[FINITE] - 1.0f;

		record[MEAN] = as_uint(as_float(record[MEAN]) * scale);
		record[SQUARES] =
			degrees > 0.0f ? as_uint(sqrt(as_float(record[SQUARES]) / degrees) * scale) : FILLER;
	}
	for (int i = 0; i < WORDS; i++)
		out[out_offset + i] = record[i];
}
